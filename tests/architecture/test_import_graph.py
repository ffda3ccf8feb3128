"""The import graph of the product has no circle."""

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import pytest

from .sources import imported_modules, module_name, product_files


def circle(sources: Mapping[str, str]) -> list[str]:
    """Return the modules of one import circle in order, an empty list if there is none."""
    graph = {module: imported_modules(ast.parse(text), sources) for module, text in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_modules_of_the_product_import_each_other_in_a_circle() -> None:
    sources = {module_name(path): path.read_text(encoding="utf-8") for path in product_files()}
    assert len(sources) > 100
    assert " imports ".join(circle(sources)) == ""


@pytest.mark.parametrize(
    "back",
    [
        "from a.one import x",
        "import a.one",
        "from a import one",
        "if TYPE_CHECKING:\n    from a.one import X",
        "def f():\n    from a.one import x",
    ],
)
def test_a_circle_is_found_however_it_is_imported(back: str) -> None:
    sources = {"a": "", "a.one": "from a.two import y", "a.two": "import a.three", "a.three": back}
    assert circle(sources)[0] == circle(sources)[-1]
    assert set(circle(sources)) == {"a.one", "a.two", "a.three"}
