"""What the events of sign-ins name: the role of who signed in, and the invitation that was accepted.

Locks: none
Data: none
Deployment: servers of the version before keep serving
"""

from pathlib import Path

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

older_code_may_write = True

# The new functions, both of which the app's role may call.
FUNCTIONS = (
    "begin_session(text, text, text, bytea, text, integer, integer)",
    "accept_invitation_of(bytea, text, text, text, boolean, text, text)",
)


def upgrade() -> None:
    """Make the functions of the definer."""
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    op.execute(f"DROP FUNCTION turnup.{FUNCTIONS[0]}")  # code of the revision before selects two of the three columns
    for statement in Path(__file__).with_suffix(".sql").read_text().split(";\n\n"):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
