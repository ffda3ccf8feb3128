"""The gauges of the business, which one server of all measures, and the result of the last audit verification.

Locks: none; the index is made concurrently
Data: new tables without rows; content digests, approvals and audit entries stay as they are
Deployment: servers of the version before keep serving; they measure nothing
"""

from pathlib import Path

from alembic import op
from sqlalchemy import text

from app.db import steps

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

older_code_may_write = True

# Both tables have one row at most, which functions and commands write: the app's role has no right on them.
TABLES = {
    "gauge_reading": """CREATE TABLE turnup.gauge_reading (
           single BOOLEAN DEFAULT true NOT NULL,
           readings JSONB NOT NULL,
           measured_at TIMESTAMP WITH TIME ZONE NOT NULL,
           CONSTRAINT pk_gauge_reading PRIMARY KEY (single),
           CONSTRAINT ck_gauge_reading_single_only CHECK (single)
       )""",
    "audit_verification": """CREATE TABLE turnup.audit_verification (
           single BOOLEAN DEFAULT true NOT NULL,
           verified_at TIMESTAMP WITH TIME ZONE NOT NULL,
           ok BOOLEAN NOT NULL,
           CONSTRAINT pk_audit_verification PRIMARY KEY (single),
           CONSTRAINT ck_audit_verification_single_only CHECK (single)
       )""",
}
# The new functions, all of which the app's role may call.
FUNCTIONS = ("measure_gauges()", "read_gauges()")


def upgrade() -> None:
    """Make the index, the tables, and the functions of the definer."""
    steps.index("ix_approval_decided_at", "approval", ["decided_at"], postgresql_where=text("decided_at IS NOT NULL"))
    for table, statement in TABLES.items():
        op.execute(statement)
        op.execute(f"ALTER TABLE turnup.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE turnup.{table} FORCE ROW LEVEL SECURITY")
        op.execute(f"GRANT ALL ON turnup.{table} TO turnup_definer")
        op.execute(f"CREATE POLICY definer ON turnup.{table} TO turnup_definer USING (true) WITH CHECK (true)")
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    for statement in Path(__file__).with_suffix(".sql").read_text().split(";\n\n"):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
