"""`make migration` adds the next file, whose placeholders name what a migration must say."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.db.migrate import MIGRATIONS, known, newest_revision
from app.db.steps import MigrationRefused

SCRIPT = Path(__file__).parents[2] / "deploy" / "migration.py"
PLACEHOLDER = re.compile(r"<[A-Za-z][^<>]* [^<>]*>")
MUST_SAY = ("Locks", "Data", "Deployment")


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A copy of the migrations of the product."""
    return shutil.copytree(MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))


def add(message: str, migrations: Path) -> Path:
    specification = importlib.util.spec_from_file_location("migration", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    written = module.add(message, migrations)
    assert isinstance(written, Path)
    return written


def test_the_new_migration_follows_the_newest_and_says_what_must_be_written(migrations: Path) -> None:
    written = add("site codes of locations", migrations)
    number = f"{int(newest_revision()) + 1:04}"
    assert written.name == f"{number}_site_codes_of_locations.py"
    config = Config()
    config.set_main_option("script_location", str(migrations))
    revision = ScriptDirectory.from_config(config).get_revision(number)
    assert revision.down_revision == newest_revision()
    assert revision.doc == "Site codes of locations."
    described = [line.partition(":")[0] for line in written.read_text().splitlines() if PLACEHOLDER.search(line)]
    assert described[:3] == list(MUST_SAY)
    assert described[3] == "older_code_may_write"
    with pytest.raises(MigrationRefused, match=f"{number} does not say older_code_may_write"):
        known(migrations)


def test_migrations_are_numbered_one_after_the_other(migrations: Path) -> None:
    first, second = add("One", migrations), add("Two", migrations)
    assert int(second.name[:4]) == int(first.name[:4]) + 1


def test_no_migration_of_the_product_has_placeholders_left() -> None:
    versions = sorted((MIGRATIONS / "versions").glob("*.py"))
    assert versions
    assert [path.name for path in versions if PLACEHOLDER.search(path.read_text())] == []


def test_every_migration_since_the_template_says_what_it_locks_keeps_and_needs() -> None:
    versions = [path for path in sorted((MIGRATIONS / "versions").glob("*.py")) if path.name[:4] > "0007"]
    assert versions
    for path in versions:
        for subject in MUST_SAY:
            assert f"\n{subject}: " in path.read_text(), f"{path.name} does not say {subject}"


def test_a_migration_without_a_message_is_refused() -> None:
    refused = subprocess.run([sys.executable, SCRIPT, ""], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr == 'turnup: a migration needs a message: make migration m="site codes of locations"\n'
