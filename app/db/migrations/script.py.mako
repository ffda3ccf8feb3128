"""${message}.

Locks: <the tables, the lock modes, and how long they are held with 100,000 locations>
Data: <existing rows, content digests, approvals and audit entries: what changes, and why all stay valid>
Deployment: <whether servers of the version before keep working while and after this runs>
"""

from alembic import op

revision = "${up_revision}"
down_revision = "${down_revision}"
branch_labels = None
depends_on = None

older_code_may_write: bool  # <True or False: whether the version before may write, or would lose what this adds>

# A new table needs row-level security (ENABLE and FORCE), policies, grants and its audit triggers. Changes of a table
# with rows use app.db.steps: column, index, check, foreign_key, validate. app/db/tables.py describes the same tables; a
# test compares the two. Remove this comment.
STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    """<One sentence: what this adds, changes or removes.>"""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
