"""A class name exists once in the product, so that a name says what is meant wherever it is read."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("app", "graphql_schema", "permissions", "resolvers")


def defined(sources: dict[str, str]) -> dict[str, list[str]]:
    """The places where each class is defined, anywhere in these files, by its name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for file, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{file}:{node.lineno}")
    return found


@pytest.fixture(scope="module")
def classes() -> dict[str, list[str]]:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return defined({str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files})


def test_no_two_classes_of_the_product_have_one_name(classes: dict[str, list[str]]) -> None:
    assert {name: places for name, places in classes.items() if len(places) > 1} == {}


def test_a_name_is_found_twice_wherever_its_classes_are_defined() -> None:
    inner = "def make():\n    class Device:\n        pass\n"
    assert defined({"a.py": "class Device:\n    pass\n", "b.py": inner})["Device"] == ["a.py:1", "b.py:2"]
