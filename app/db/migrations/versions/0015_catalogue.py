"""Kind, maker and source of the device models.

Locks: ACCESS EXCLUSIVE on device_model for a moment
Data: models that exist have none of these values; content digests, approvals and audit entries stay as they are
Deployment: servers of the version before keep serving; what they write keeps the new values
"""

from sqlalchemy import Column, Date, Text

from app.db import steps

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

older_code_may_write = True

KINDS = (
    "DESK_PHONE", "VIDEO_PHONE", "CONFERENCE_PHONE", "WIFI_PHONE", "DECT_BASE", "DECT_HANDSET", "ATA", "GATEWAY",
    "OTHER",
)  # fmt: skip


def upgrade() -> None:
    """Add the columns and their checks, which 0016 validates."""
    for name in ("kind", "maker", "source"):
        steps.column("device_model", Column(name, Text))
    steps.column("device_model", Column("source_date", Date))
    listed = ", ".join(f"'{kind}'" for kind in KINDS)
    steps.check("device_model", "ck_device_model_kind_known", f"kind IN ({listed})")
    steps.check("device_model", "ck_device_model_source_of_date", "source IS NOT NULL OR source_date IS NULL")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
