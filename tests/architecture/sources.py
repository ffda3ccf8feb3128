"""The product's modules and their imports, read from the source code."""

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("app", "graphql_schema", "permissions", "resolvers")


def product_files() -> list[Path]:
    """Return the Python files of the product."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def module_name(path: Path) -> str:
    """Return the dotted name of the module in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield the module of each import, and the imported name where there is one.

    The search covers the whole file, so it includes imports for type checkers and inside functions.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (("." * node.level + (node.module or ""), alias.name) for alias in node.names)


def imported_modules(tree: ast.AST, modules: Collection[str]) -> set[str]:
    """Return which of these modules a file imports, itself or a name in it."""
    named = (f"{module}.{name}" if f"{module}.{name}" in modules else module for module, name in imported_names(tree))
    return {each for each in named if each in modules}
