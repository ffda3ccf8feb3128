"""What the trail left open: the length of salts, and numbers below 1.

A trail that has a salt of another length, or a number below 1, was
tampered with: it is not migrated, and `turnup audit verify` names the entry.
"""

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
    """Add the checks."""
    for table, checks in CHECKS.items():
        added = ", ".join(f"ADD CONSTRAINT ck_{table}_{name} CHECK ({check})" for name, check in checks.items())
        op.execute(f"ALTER TABLE turnup.{table} {added}")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
