"""Any folders of tests can be named in one run: each module of tests has one import name, and no two share it."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = sorted(path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts)
FOLDERS = sorted({module.parent for module in MODULES})
ALSO_OF_OTHERS = {"http", "permissions"}  # a package of Python and one of the product
NAMES = {path.stem for path in [*MODULES, *FOLDERS]} - ALSO_OF_OTHERS - {"tests", "__init__"}
BARE = re.compile(rf"^\s*(?:from|import) (?:{'|'.join(sorted(NAMES))})\b.*", re.MULTILINE)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(TESTS.parent)))
def test_a_folder_of_tests_is_a_package(folder: Path) -> None:
    """A module outside a package is imported by its bare name, which a module of another folder may share."""
    assert (folder / "__init__.py").is_file()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(TESTS.parent)))
def test_a_module_of_tests_imports_others_by_their_full_names(module: Path) -> None:
    """A bare name imports a second copy of the module, or a module of another folder."""
    assert BARE.findall(module.read_text()) == []
