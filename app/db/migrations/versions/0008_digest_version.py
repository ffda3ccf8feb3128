"""The version of each stored content digest; existing digests have version 1.

Locks: ACCESS EXCLUSIVE on location, approval and provisioning_payload, 0.03 seconds per 100,000 rows
Data: existing rows get the default without being rewritten, so digests, approvals and audit entries stay valid
Deployment: servers of the version before answer requests, because their digests have version 1; /readyz returns 503
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("location", "approval", "provisioning_payload")


def upgrade() -> None:
    """Add the columns. Existing rows get their value without a change in the audit log; a replay adds it."""
    for table in TABLES:
        op.execute(
            f"ALTER TABLE turnup.{table} ADD COLUMN digest_version SMALLINT DEFAULT '1' NOT NULL,"
            f" ADD CONSTRAINT ck_{table}_digest_version_positive CHECK (digest_version >= 1)"
        )


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
