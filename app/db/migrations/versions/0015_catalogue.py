"""Kind, maker and source of the device models.

Locks: none
Data: none
Deployment: nothing to do
"""

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

older_code_may_write = True


def upgrade() -> None:
    """Do nothing yet."""


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
