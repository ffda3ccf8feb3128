"""Indexes for the lists of locations and of requests for approval: by account and by status, in their orders.

Few locations are for tests, so these have an index of their own, which writes of others do not touch.

Locks: none; the indexes are made concurrently
Data: content digests, approvals and audit entries stay as they are
Deployment: nothing to do
"""

from sqlalchemy import text

from app.db import steps

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

older_code_may_write = True

INDEXES = {
    "ix_location_status_updated_at_id": ("location", ["status", "updated_at", "id"]),
    "ix_location_account_id_updated_at_id": ("location", ["account_id", "updated_at", "id"]),
    "ix_location_account_id_status_name_id": ("location", ["account_id", "status", "name", "id"]),
    "ix_location_account_id_status_updated_at_id": ("location", ["account_id", "status", "updated_at", "id"]),
    "ix_approval_requested_at_id": ("approval", ["requested_at", "id"]),
    "ix_approval_account_id_requested_at_id": ("approval", ["account_id", "requested_at", "id"]),
    "ix_approval_status_requested_at_id": ("approval", ["status", "requested_at", "id"]),
    "ix_approval_account_id_status_requested_at_id": ("approval", ["account_id", "status", "requested_at", "id"]),
}


def upgrade() -> None:
    """Make the indexes."""
    for name, (table, columns) in INDEXES.items():
        steps.index(name, table, columns)
    steps.index("ix_location_test", "location", ["account_id", "id"], postgresql_where=text("test"))


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
