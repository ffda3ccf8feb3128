"""The client's request id, recorded beside the server's.

Locks: none
Data: none
Deployment: nothing to do
"""

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

older_code_may_write = True


def upgrade() -> None:
    """Do nothing yet."""


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
