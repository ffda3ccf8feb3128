"""Who made a user: the leads who created the user, or gave the user a role or a subject, and until a confirmation.

Locks: ACCESS EXCLUSIVE on user, for a moment
Data: the column is empty, so users from before are confirmed; digests, approvals and audit entries stay as they are
Deployment: servers of the version before only read; they would let an unconfirmed lead approve
"""

from pathlib import Path

from alembic import op
from sqlalchemy import ARRAY, Column, Text

from app.db import steps

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

older_code_may_write = False

# The functions, all called by the app's role.
FUNCTIONS = (
    "sign_in(text, integer)",
    "makers_of_submitters(text[])",
    "hold_approval_users(text[])",
    "name_key(text)",
    "is_location_named(text, text, text)",
)


def upgrade() -> None:
    """Add the column, and the functions that read it; sign-in returns whether the user is confirmed."""
    steps.column("user", Column("made_by", ARRAY(Text(collation="C")), nullable=False, server_default="{}"))
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    op.execute("DROP FUNCTION turnup.sign_in(text, integer)")
    script = Path(__file__).with_suffix(".sql").read_text()
    for statement in script.split(";\n\n"):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
