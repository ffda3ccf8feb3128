"""Auditors, and leads of some accounts.

Locks: ACCESS EXCLUSIVE on every table with policies, for a moment
Data: leads from before have access to all accounts, recorded in the audit log as MIGRATE; content digests, approvals
    and audit entries stay as they are
Deployment: servers of the version before only read; they would create leads without access to an account
"""

from pathlib import Path

from alembic import op
from sqlalchemy import Boolean, Column

from app.db import steps

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

older_code_may_write = False

OWN_USER = "(select nullif(current_setting('turnup.user_id', true), ''))"
OWN_ACCOUNT = "(select nullif(current_setting('turnup.account', true), ''))"
LISTED = "(select nullif(current_setting('turnup.locations', true), ''))"
GRANTED_TO_PARTNER = "(select nullif(current_setting('turnup.accounts', true), '')::jsonb)"
GRANTED_TO_LEAD = "(select nullif(current_setting('turnup.lead_accounts', true), '')::jsonb)"
# Boolean sub-selects, for the reason that 0001_tables.py gives.
LEAD_OF_ALL = "(select current_setting('turnup.all_accounts', true) = 'on')"
AUDITOR = "(select current_setting('turnup.role', true) = 'AUDITOR')"
# Everybody who is signed in, except auditors: they read the audit log and nothing else.
WORKS = "(select current_setting('turnup.user_id', true) <> '' AND current_setting('turnup.role', true) <> 'AUDITOR')"
LEAD = f"{LEAD_OF_ALL} OR {GRANTED_TO_LEAD} ? account_id"
PARTNER = f"{GRANTED_TO_PARTNER} ? account_id"


def customer(location_column: str) -> str:
    """Rows of the customer's account, and of the listed locations unless the grant is for all."""
    return (
        f"(account_id = {OWN_ACCOUNT} AND ({LISTED} IS NULL OR "
        f"(select nullif(current_setting('turnup.locations', true), '')::jsonb) ? {location_column}))"
    )


CONTENT = f"{LEAD} OR {customer('location_id')}"
STORY = f"{LEAD} OR {customer('location_id')} OR {PARTNER}"
RECEIVED = (
    "(SELECT r.id FROM turnup.payload_recipient r"
    f" WHERE r.payload_id = provisioning_payload.id AND r.user_id = {OWN_USER}) IS NOT NULL"
)
# The partners that have a grant for an account of the lead.
OF_GRANTED_ACCOUNT = (
    f'{GRANTED_TO_LEAD} IS NOT NULL AND EXISTS (SELECT FROM turnup."grant" g'
    f" WHERE g.user_id = {{user}} AND {GRANTED_TO_LEAD} ? g.account_id)"
)
USER_OF_GRANTED_ACCOUNT = OF_GRANTED_ACCOUNT.format(user='"user".id')
ACTED = 'EXISTS (SELECT FROM turnup.audit_entry e WHERE e.actor_id = "user".id)'
# Grants, users and accepted versions are on the chain `system`, which only auditors and leads of all accounts read.
# Their changes name the account that they are about.
ON_SYSTEM = "table_name IN ('user', 'grant', 'grant_location')"
# The policies whose conditions change, by table and command.
CHANGED = {
    "account": {
        "SELECT": f"{LEAD_OF_ALL} OR {GRANTED_TO_LEAD} ? id OR id = {OWN_ACCOUNT} OR {GRANTED_TO_PARTNER} ? id",
        "ALL": LEAD_OF_ALL,
    },
    "user": {
        "SELECT": f"{LEAD_OF_ALL} OR id = {OWN_USER} OR account_id = {OWN_ACCOUNT}"
        f" OR role = 'IMPLEMENTATION_LEAD' AND {WORKS} OR {GRANTED_TO_LEAD} ? account_id"
        f" OR {USER_OF_GRANTED_ACCOUNT} OR {AUDITOR} AND {ACTED}",
        "ALL": LEAD_OF_ALL,
    },
    "grant": {"ALL": LEAD_OF_ALL},
    "grant_location": {"ALL": LEAD_OF_ALL},
    "location": {"ALL": f"{LEAD} OR {customer('id')} OR {PARTNER}"},
    "section": {"ALL": CONTENT},
    "onboarding_session": {"ALL": STORY},
    "contact": {"ALL": CONTENT},
    "phone_system": {"ALL": CONTENT},
    "device": {"ALL": CONTENT},
    "person": {"ALL": CONTENT},
    "extension": {"ALL": CONTENT},
    "working_hours": {"ALL": CONTENT},
    "call_flow": {"ALL": CONTENT},
    "call_flow_option": {"ALL": CONTENT},
    "approval": {"ALL": STORY},
    "override": {"ALL": f"{LEAD} OR {PARTNER}"},
    "provisioning_payload": {"ALL": f"{LEAD} OR ({PARTNER} AND released_at IS NOT NULL AND {RECEIVED})"},
    "payload_recipient": {"ALL": LEAD},
    "receipt": {"ALL": LEAD},
    "location_partner": {"ALL": LEAD},
    "status_change": {"ALL": CONTENT},
    "accepted_version": {"ALL": f"{LEAD_OF_ALL} OR user_id = {OWN_USER}"},
    "mac_claim": {"ALL": STORY},
    "audit_entry": {"SELECT": f"{LEAD} OR {AUDITOR}"},
    "field_change": {"SELECT": f"{LEAD_OF_ALL} OR {GRANTED_TO_LEAD} ? account_id AND NOT {ON_SYSTEM} OR {AUDITOR}"},
    "device_model": {"SELECT": WORKS, "ALL": LEAD_OF_ALL},
}
# What a lead of some accounts sees of grants and versions.
ADDED = {
    "grant": f"{GRANTED_TO_LEAD} ? account_id",
    "accepted_version": OF_GRANTED_ACCOUNT.format(user="accepted_version.user_id"),
}
# The rows that a lead of some accounts locks and does not change: PostgreSQL asks the policies for UPDATE before it
# locks a row, and refuses every change of it.
LOCKED_ONLY = {"account": f"{GRANTED_TO_LEAD} ? id", "user": USER_OF_GRANTED_ACCOUNT}
# The functions whose results change, all called by the app's role.
FUNCTIONS = ("sign_in(text, integer)", "hold_approval_users(text[])")


def upgrade() -> None:
    """Add the role and the column, then the conditions that depend on them."""
    op.execute('ALTER TABLE turnup."user" DROP CONSTRAINT ck_user_role_known')
    steps.check("user", "ck_user_role_known", "role IN ('CUSTOMER', 'IMPLEMENTATION_LEAD', 'PARTNER', 'AUDITOR')")
    steps.column("user", Column("all_accounts", Boolean, nullable=False, server_default="false"))
    steps.check("user", "ck_user_all_accounts_of_leads_only", "role = 'IMPLEMENTATION_LEAD' OR NOT all_accounts")
    for table, policies in CHANGED.items():
        for command, condition in policies.items():
            check = "" if command == "SELECT" else f" WITH CHECK ({condition})"
            op.execute(f'ALTER POLICY app_{command.lower()} ON turnup."{table}" USING ({condition}){check}')
    for table, condition in ADDED.items():
        op.execute(f'CREATE POLICY app_select ON turnup."{table}" FOR SELECT TO turnup_app USING ({condition})')
    for table, condition in LOCKED_ONLY.items():
        op.execute(
            f'CREATE POLICY app_update ON turnup."{table}" FOR UPDATE TO turnup_app'
            f" USING ({condition}) WITH CHECK (false)"
        )
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION turnup.{function}")
    for statement in Path(__file__).with_suffix(".sql").read_text().split(";\n\n"):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("SELECT set_config('turnup.system_action', 'MIGRATE', true)")
    op.execute("UPDATE turnup.\"user\" SET all_accounts = true WHERE role = 'IMPLEMENTATION_LEAD'")
    op.execute("SELECT turnup.audit_seal(), set_config('turnup.system_action', '', true)")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
