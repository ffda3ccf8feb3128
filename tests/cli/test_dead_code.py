"""The part of `make check` that finds dead code names what nothing reads, and what its list allows in vain."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "dead_code.py"
SOURCE = """
LIMIT = 3
class Row:
    shown: int
    hidden: int
def called(): return Row().shown
def forgotten(): return called()
"""


@pytest.fixture(scope="module")
def dead_code() -> ModuleType:
    specification = importlib.util.spec_from_file_location("dead_code", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["dead_code"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/rows.py").write_text(SOURCE)
    return tmp_path


def test_what_nothing_reads_is_named(dead_code: ModuleType, root: Path) -> None:
    assert dead_code.complaints(dead_code.unused(root, ["app"]), []) == [
        "app/rows.py:2: unused variable LIMIT",
        "app/rows.py:5: unused variable hidden",
        "app/rows.py:7: unused function forgotten",
    ]


def test_the_list_allows_members_of_classes_or_names_and_must_not_allow_in_vain(
    dead_code: ModuleType, root: Path
) -> None:
    allowed = [
        dead_code.Allowed("app/*", "columns"),
        dead_code.Allowed("app/rows.py", "called from elsewhere", ("forgotten",)),
        dead_code.Allowed("app/gone.py", "columns of a file that is gone"),
        dead_code.Allowed("app/rows.py", "called", ("called",)),
    ]
    assert dead_code.complaints(dead_code.unused(root, ["app"]), allowed) == [
        "app/rows.py:2: unused variable LIMIT",
        "deploy/dead_code.py: nothing unused in app/gone.py: members of its classes",
        "deploy/dead_code.py: nothing unused in app/rows.py: called",
    ]
