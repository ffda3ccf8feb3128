"""Auditors, and leads of some accounts.

Locks: none
Data: none
Deployment: nothing to do
"""

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

older_code_may_write = True


def upgrade() -> None:
    """Do nothing yet."""


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
