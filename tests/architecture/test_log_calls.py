"""No line of the log has the message of an exception, and each has the name of a part of the product."""

import ast
import re
from collections.abc import Iterator

import pytest

from .sources import ROOT, product_files

METHODS = {"critical", "debug", "error", "exception", "info", "log", "warn", "warning"}
LOGGERS = {"_ERRORS", "log", "self._log"}
"""The names of loggers in the product."""
MADE_OF_TYPES = {"type", "reason_of"}
"""What makes a text of an exception without its message: see app/auth/fetching.py."""
OF_UVICORN = "app/http/protocol.py: _ERRORS = logging.getLogger('uvicorn.error')"
"""The logger of the class that app/http/protocol.py extends."""


def logged(tree: ast.AST) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Yield each call that writes a line, with each of its arguments but the exception that it is about."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in METHODS:
            continue
        owner = ast.unparse(node.func.value)
        if owner in LOGGERS or owner.startswith("logging"):
            values = [*node.args, *(each.value for each in node.keywords if each.arg != "exc_info")]
            yield from ((node, value) for value in values)


def exceptions_in(tree: ast.AST) -> set[str]:
    """Return the names of exceptions: of handlers, and of arguments and variables that are annotated as exceptions."""
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    annotated = [node for node in ast.walk(tree) if isinstance(node, ast.arg) and node.annotation is not None]
    found |= {each.arg for each in annotated if "Exception" in ast.unparse(each.annotation or each)}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and "Exception" in ast.unparse(node.annotation):
            found.add(ast.unparse(node.target))
    return found


def messages(source: str) -> list[str]:
    """Return the arguments of log calls that have the message of an exception."""
    tree = ast.parse(source)
    names = exceptions_in(tree)
    return [ast.unparse(value) for _, value in logged(tree) if any(_quotes(value, name) for name in names)]


def _quotes(value: ast.AST, name: str) -> bool:
    """Return whether an expression has the exception itself, not only its type or an attribute of it."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) in MADE_OF_TYPES:
        return False
    if isinstance(value, ast.Attribute) and ast.unparse(value.value) == name:
        return value.attr in {"args", "strerror"}
    if isinstance(value, ast.Name):
        return value.id == name
    return any(_quotes(each, name) for each in ast.iter_child_nodes(value))


def test_no_line_of_the_product_has_the_message_of_an_exception() -> None:
    found = {str(path.relative_to(ROOT)): messages(path.read_text(encoding="utf-8")) for path in product_files()}
    assert {path: quoting for path, quoting in found.items() if quoting} == {}


def test_each_module_that_logs_has_a_logger_of_the_product() -> None:
    names = {
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in product_files()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("logging.getLogger(")
        if not re.fullmatch(r"log = logging.getLogger\('turnup\.[a-z_]+'\)", ast.unparse(node))
    }
    assert names == {OF_UVICORN}


@pytest.mark.parametrize(
    "line",
    [
        "log.warning('failed: %s', error)",
        "log.warning(f'failed: {error}')",
        "log.warning('failed: %s', str(error))",
        "log.warning('failed', extra={'reason': repr(error)})",
        "self._log.error('failed: ' + ' '.join(error.args))",
        "logging.getLogger('turnup').error(error)",
    ],
)
def test_the_search_finds_a_message(line: str) -> None:
    assert messages(f"try:\n    work()\nexcept OSError as error:\n    {line}") != []


@pytest.mark.parametrize(
    "line",
    [
        "log.warning('failed: %s', type(error).__name__)",
        "log.error('failed', exc_info=error)",
        "log.warning('failed: %s', reason_of(error))",
        "log.warning('failed: %s', error.fault)",
    ],
)
def test_the_search_allows_what_is_no_message(line: str) -> None:
    assert messages(f"try:\n    work()\nexcept OSError as error:\n    {line}") == []
