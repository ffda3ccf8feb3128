"""docs/upgrading.md lists every internal of Strawberry and graphql-core that the product uses."""

import ast
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import import_module
from inspect import isclass, ismodule
from typing import Any

from .sources import ROOT

PUBLIC_MODULES = (
    "graphql",
    "strawberry",
    "strawberry.exceptions",
    "strawberry.extensions",
    "strawberry.permission",
    "strawberry.relay",
    "strawberry.scalars",
    "strawberry.schema.config",
    "strawberry.types",
)
"""The modules that the libraries document for import. What is public in them is in their `__all__`."""
LIBRARIES = ("graphql", "strawberry")
STANDARD_LIBRARY = {"os._exit"}
PAGE = ROOT / "docs" / "upgrading.md"
ROW = re.compile(r"^\| `(?P<name>[\w.]+)` \| (?P<files>[^|]+) \| (?P<why>[^|]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE)


def is_public(module: str, name: str) -> bool:
    return module in PUBLIC_MODULES and name in import_module(module).__all__


def imported_from_libraries(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield the local name, the module and the name of each import from the libraries."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            yield from ((alias.asname or alias.name, node.module or "", alias.name) for alias in node.names)


def internals(text: str) -> set[str]:
    """Return the internals of the libraries that a source file uses, as the page writes them.

    These are imports that are not public; attributes of imported classes and modules; methods of graphql-core's
    executor; and private attributes that the file does not define itself.
    """
    tree = ast.parse(text)
    found: set[str] = set()
    imported: dict[str, Any] = {}
    for local, module, name in imported_from_libraries(tree):
        imported[local] = getattr(import_module(module), name)
        if not is_public(module, name):
            found.add(f"{module}.{name}")
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    own |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import | ast.Attribute):
            found |= set(attribute_internals(node, imported, own)) if isinstance(node, ast.Attribute) else set()
        if isinstance(node, ast.keyword) and (node.arg or "").startswith("_"):
            found.add(str(node.arg))
    return found


def attribute_internals(node: ast.Attribute, imported: Mapping[str, Any], own: set[str]) -> Iterator[str]:
    owner = ast.unparse(node.value)
    if owner in {"executor", "run.executor"}:
        yield f"Executor.{node.attr}"
    elif owner == "strawberry":
        if node.attr not in import_module("strawberry").__all__:
            yield f"strawberry.{node.attr}"
    elif owner in imported:
        value = imported[owner]
        if (isclass(value) and not issubclass(value, Enum)) or ismodule(value):
            yield f"{owner}.{node.attr}"
    elif node.attr.startswith("_") and not node.attr.endswith("__"):
        inherited = owner == "super()"
        if f"{owner}.{node.attr}" not in STANDARD_LIBRARY and (inherited or (owner != "self" and node.attr not in own)):
            yield node.attr
