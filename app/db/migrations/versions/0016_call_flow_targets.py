"""Call-flow targets belong to the location.

Locks: none
Data: none
Deployment: nothing to do
"""

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

older_code_may_write = True


def upgrade() -> None:
    """Do nothing yet."""


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
