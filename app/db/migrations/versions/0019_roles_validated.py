"""The constraints of revision 0014, checked for the users that were there before.

Locks: none that excludes servers
Data: none
Deployment: servers of the version before keep serving; their /readyz returns 503, as it does for every newer database
"""

from app.db import steps

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

older_code_may_write = True


def upgrade() -> None:
    """Validate the constraints."""
    for name in ("ck_user_role_known", "ck_user_all_accounts_of_leads_only"):
        steps.validate("user", name)


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
