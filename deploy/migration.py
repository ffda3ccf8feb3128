"""Add a migration with the next number from the template app/db/migrations/script.py.mako.

    make migration m="site codes of locations"

Alembic prints the path of the new file. Its placeholders in angle brackets name what a migration must say; a test
refuses a migration that still has them.
"""

import re
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.db.migrate import MIGRATIONS

LONGEST_NAME = 60


def add(message: str, migrations: Path = MIGRATIONS) -> Path:
    """Write the file and return its path. Raises ValueError for a message without letters or digits."""
    message = message.strip().rstrip(".")
    name = "_".join(re.findall("[a-z0-9]+", message.lower()))
    if not name:
        raise ValueError('a migration needs a message: make migration m="site codes of locations"')
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("truncate_slug_length", str(LONGEST_NAME))
    newest = ScriptDirectory.from_config(config).get_current_head()
    number = f"{int(newest or 0) + 1:04}"
    command.revision(config, message[0].upper() + message[1:], rev_id=number)
    (written,) = (migrations / "versions").glob(f"{number}_*.py")
    return written


if __name__ == "__main__":
    try:
        add(" ".join(sys.argv[1:]))
    except ValueError as error:
        sys.exit(f"turnup: {error}")
