"""Audit log: checks of salts, numbers and the place of entries, and changes of the form of a value.

The functions are in 0006_whole_trail.sql. A trail that has a salt of another length, or a number below 1, was
tampered with: it is not migrated, and `turnup audit verify` names the entry.
"""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHECKS = {
    "audit_entry": {
        "number_positive": "number >= 1",
        "reason_salt_length": "octet_length(reason_salt) = 16",
    },
    "field_change": {
        "before_salt_length": "octet_length(before_salt) = 16",
        "after_salt_length": "octet_length(after_salt) = 16",
    },
}


def upgrade() -> None:
    """Add the checks; put five functions in the place of the earlier ones, as their owner."""
    for table, checks in CHECKS.items():
        added = ", ".join(f"ADD CONSTRAINT ck_{table}_{name} CHECK ({check})" for name, check in checks.items())
        op.execute(f"ALTER TABLE turnup.{table} {added}")
    connection = op.get_bind()
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    for statement in (Path(__file__).with_suffix(".sql")).read_text().split(";\n\n"):
        connection.exec_driver_sql(statement)
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
