"""docs/upgrading.md lists the internals of Strawberry, graphql-core, uvicorn and asyncpg that the product uses."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import import_module
from inspect import isclass, ismodule
from typing import Any

import pytest

from .sources import ROOT, product_files

LIBRARIES = ("graphql", "strawberry", "uvicorn", "asyncpg")
PUBLIC_MODULES = (
    "asyncpg",
    "asyncpg.exceptions",
    "graphql",
    "graphql.language",
    "strawberry",
    "strawberry.exceptions",
    "strawberry.extensions",
    "strawberry.permission",
    "strawberry.relay",
    "strawberry.scalars",
    "strawberry.schema.config",
    "strawberry.types",
    "uvicorn",
)
"""The modules that the documentation of the libraries imports from. Their public names are in `__all__`."""
EXECUTORS = {"executor", "run.executor", "self.executor"}
"""Expressions in the product that are instances of graphql-core's Executor, whose methods are not documented."""


def is_public(module: str, name: str) -> bool:
    """Return whether a library documents an import."""
    return module in PUBLIC_MODULES and name in import_module(module).__all__


def imported_from_libraries(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield the local name, the module and the name of each import from the libraries."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            yield from ((alias.asname or alias.name, node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, alias.name, "") for alias in node.names if alias.name in LIBRARIES)


def internals(text: str) -> set[str]:
    """Return the internals of the libraries that a source file uses.

    These are imports that are not public, attributes of imported classes and modules, attributes of graphql-core's
    executor, and private attributes that the file does not define itself.
    """
    tree = ast.parse(text)
    imported = list(imported_from_libraries(tree))
    objects = {local: getattr(import_module(module), name) for local, module, name in imported if name}
    found = {f"{module}.{name}" for _, module, name in imported if name and not is_public(module, name)}
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_set_by_its_object(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (imported or ast.unparse(node.value) in EXECUTORS):
            found |= {name for name in [attribute_internal(node, objects, own)] if name}
        elif imported and isinstance(node, ast.keyword) and node.arg and node.arg.startswith("_"):
            found.add(node.arg)
    return found


def is_set_by_its_object(node: ast.Attribute) -> bool:
    """Return whether the code sets an attribute of `self`."""
    return isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"


def attribute_internal(node: ast.Attribute, objects: Mapping[str, Any], own: set[str]) -> str | None:
    """Return the name of the internal that an attribute access uses, None if it uses none."""
    owner, name = ast.unparse(node.value), node.attr
    if owner in EXECUTORS:
        return f"Executor.{name}"
    if owner == "strawberry":
        return None if is_public(owner, name) else f"strawberry.{name}"
    if owner in objects:
        is_enum = isclass(objects[owner]) and issubclass(objects[owner], Enum)
        return f"{owner}.{name}" if (isclass(objects[owner]) or ismodule(objects[owner])) and not is_enum else None
    if name.startswith("__strawberry_"):
        return name
    if not name.startswith("_") or name.endswith("__") or owner in {"self", "cls"}:
        return None
    return name if owner == "super()" or name not in own else None


def used() -> dict[str, set[str]]:
    """Return the files of the product by the internals that they use."""
    files: dict[str, set[str]] = defaultdict(set)
    for path in product_files():
        for name in internals(path.read_text(encoding="utf-8")):
            files[name].add(path.relative_to(ROOT).as_posix())
    return dict(files)


def listed() -> list[list[str]]:
    """Return the cells of the rows in the tables of docs/upgrading.md."""
    lines = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return [[cell.replace("`", "") for cell in row] for row in rows]


def test_the_page_lists_every_internal_with_its_files() -> None:
    assert {name: set(files.split(", ")) for name, files, _, _ in listed()} == used()


def test_the_page_gives_a_reason_and_an_existing_test_for_every_internal() -> None:
    for name, _, reason, tests in listed():
        assert reason, name
        for test in tests.split(", "):
            assert (ROOT / "tests" / test).is_file(), f"{name}: {test}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from graphql import parse\nparse('{a}')", set()),
        ("from graphql.pyutils import Path", {"graphql.pyutils.Path"}),
        ("from graphql import Executor\nExecutor.complete_leaf_value", {"Executor.complete_leaf_value"}),
        ("from graphql import OperationType\nOperationType.QUERY", set()),
        ("import strawberry\nstrawberry.field()\nstrawberry.utils", {"strawberry.utils"}),
        ("import strawberry\nschema._schema", {"_schema"}),
        ("import strawberry\nInfo(_raw_info=raw)", {"_raw_info"}),
        ("import strawberry\nclass A:\n    def f(self):\n        return self._own", set()),
        ("database._schema", set()),
        ("import asyncpg\nconnection._transport", {"_transport"}),
        ("import asyncpg\nclass A:\n    def f(self, other):\n        self._own = other._own", set()),
    ],
)
def test_an_internal_is_found_however_it_is_used(source: str, expected: set[str]) -> None:
    assert internals(source) == expected
