"""Who made a user, until somebody confirms the user.

Locks: none
Data: none
Deployment: nothing to do
"""

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

older_code_may_write = True


def upgrade() -> None:
    """Do nothing yet."""


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
