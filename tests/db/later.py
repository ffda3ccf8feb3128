"""Migrations of later releases, in a copy of the product's folder."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from app.db.content_columns import CELLS
from app.db.migrate import MIGRATIONS, newest_revision

_FILE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

from app.db import steps

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None

{says}


def upgrade() -> None:
{body}
'''
CONTENT_TABLES = tuple(table.name for table in CELLS)
OLDER_MAY_WRITE, OLDER_MAY_ONLY_READ = "older_code_may_write = True", "older_code_may_write = False"


def revision_after(places: int = 1) -> str:
    """The revision this many places after the code's newest."""
    return f"{int(newest_revision()) + places:04}"


def later(folder: Path, *bodies: str, says: str = OLDER_MAY_WRITE) -> Path:
    """Return a folder with the product's migrations and one more for each body, a line or several of Python."""
    migrations = folder / "migrations"
    if not migrations.exists():
        shutil.copytree(MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    versions = migrations / "versions"
    for body in bodies:
        before = max(path.name[:4] for path in versions.glob("*.py"))
        revision = f"{int(before) + 1:04}"
        text = _FILE.format(
            title=f"The change {revision}",
            revision=revision,
            before=before,
            says=says,
            body="\n".join(f"    {line}" for line in body.splitlines()),
        )
        (versions / f"{revision}_later.py").write_text(text)
    return migrations


def content_fields(tables: Iterable[str] = CONTENT_TABLES) -> str:
    """The body of a migration that adds a content field, `novelty`, to each of these tables."""
    return "\n".join(f'steps.column("{table}", sa.Column("novelty", sa.Text()))' for table in tables)
