"""The same subject of two issuers is two users.

Locks: ACCESS EXCLUSIVE on user, for a moment; the index is made concurrently
Data: as it is; content digests, approvals and audit entries stay as they are
Deployment: servers of the version before keep serving; one that is asked to give a user the subject of another answers
    with an internal error
"""

from alembic import op

from app.db import steps

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

older_code_may_write = True


def upgrade() -> None:
    """Make the index on subject and issuer, then drop the constraint that it replaces."""
    steps.index(
        "uq_user_subject_issuer", "user", ["subject", "issuer"], unique=True, postgresql_nulls_not_distinct=True
    )
    op.execute('ALTER TABLE turnup."user" DROP CONSTRAINT uq_user_subject')


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
