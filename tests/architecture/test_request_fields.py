"""The header fields of requests that the application reads are declared: CORS lets pages send what is declared."""

import ast
from collections.abc import Iterator

from app.http.cookies import CSRF
from app.http.request_fields import READ

from .sources import product_files

FRAMING = {"chunks.py", "connections.py", "heads.py", "protocol.py"}
"""The modules that read how a request is framed, which no page can set."""
OF_ANSWERS = {"allow", "cache-control", "content-length", "etag", "vary"}
READERS = {"field", "get", "getlist", "_values"}


def fields_read(tree: ast.AST) -> Iterator[str]:
    """Yield what is looked up in header fields or compared with the name of one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            reader, _, owner = ast.unparse(node.func)[::-1].partition(".")
            if reader[::-1] in READERS:
                yield from _texts(node.args, of_headers="headers" in owner[::-1].lower())
        elif isinstance(node, ast.Compare) and "name" in ast.unparse(node.left):
            yield from _texts(node.comparators, of_headers=False)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".headers"):
            yield from _texts([node.slice], of_headers=True)


def _texts(nodes: list[ast.expr], *, of_headers: bool) -> Iterator[str]:
    """Yield the texts: bytes, and also strings if they are looked up in Starlette's headers."""
    for node in nodes:
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, bytes):
            yield value.decode("ascii")
        elif isinstance(value, str) and of_headers:
            yield value


def test_the_header_fields_that_the_application_reads_are_the_declared_ones() -> None:
    files = [path for path in product_files() if path.name not in FRAMING]
    found = {name for path in files for name in fields_read(ast.parse(path.read_text(encoding="utf-8")))}
    assert found - OF_ANSWERS - {""} | {CSRF.lower()} == READ


def test_a_field_is_found_however_it_is_read() -> None:
    source = """
head.field(b"x-one"), fields.get(b"x-two", b""), request.headers.get("x-three"), request.headers["x-four"]
[value for name, value in scope["headers"] if name == b"x-five"], Headers(scope=scope).getlist("x-six")
given.get("query")
"""
    assert {each for each in fields_read(ast.parse(source)) if each} == {
        "x-one", "x-two", "x-three", "x-four", "x-five", "x-six",
    }  # fmt: skip
