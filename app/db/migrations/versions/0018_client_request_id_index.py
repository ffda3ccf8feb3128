"""An index for the filter of the audit log by the client's request id.

Locks: none; the index is made concurrently
Data: content digests, approvals and audit entries stay as they are
Deployment: nothing to do
"""

from sqlalchemy import text

from app.db import steps

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

older_code_may_write = True


def upgrade() -> None:
    """Make the index."""
    steps.index(
        "ix_audit_entry_client_request_id_occurred_at_id",
        "audit_entry",
        ["client_request_id", "occurred_at", "id"],
        postgresql_where=text("client_request_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
