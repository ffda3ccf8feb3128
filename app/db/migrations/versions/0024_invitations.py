"""Invitations: people who become users when they first sign in.

Locks: ACCESS EXCLUSIVE on field_change, and SHARE ROW EXCLUSIVE on account and user, for a moment
Data: a new table without rows; content digests, approvals and audit entries stay as they are
Deployment: servers of the version before keep serving; they neither invite nor accept
"""

from pathlib import Path

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

older_code_may_write = True

TABLE = (
    """CREATE TABLE turnup.invitation (
           id TEXT COLLATE "C" NOT NULL,
           email TEXT NOT NULL,
           name TEXT NOT NULL,
           role TEXT NOT NULL,
           account_id TEXT COLLATE "C",
           all_accounts BOOLEAN NOT NULL,
           granted_account_ids TEXT[] COLLATE "C" NOT NULL,
           granted_location_ids TEXT[] COLLATE "C" NOT NULL,
           secret_sha256 BYTEA NOT NULL,
           invited_by TEXT COLLATE "C",
           created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
           expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
           accepted_at TIMESTAMP WITH TIME ZONE,
           accepted_by TEXT COLLATE "C",
           revoked_at TIMESTAMP WITH TIME ZONE,
           CONSTRAINT pk_invitation PRIMARY KEY (id),
           CONSTRAINT ck_invitation_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
           CONSTRAINT uq_invitation_secret_sha256 UNIQUE (secret_sha256),
           CONSTRAINT fk_invitation_account_account_id FOREIGN KEY (account_id)
               REFERENCES turnup.account (id) DEFERRABLE INITIALLY DEFERRED,
           CONSTRAINT fk_invitation_user_invited_by FOREIGN KEY (invited_by)
               REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
           CONSTRAINT fk_invitation_user_accepted_by FOREIGN KEY (accepted_by)
               REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
           CONSTRAINT ck_invitation_role_known CHECK (
               role IN ('CUSTOMER', 'IMPLEMENTATION_LEAD', 'PARTNER', 'AUDITOR')),
           CONSTRAINT ck_invitation_account_of_customers_only CHECK ((role = 'CUSTOMER') = (account_id IS NOT NULL)),
           CONSTRAINT ck_invitation_all_accounts_of_leads_only CHECK (
               role = 'IMPLEMENTATION_LEAD' OR NOT all_accounts),
           CONSTRAINT ck_invitation_secret_sha256_length CHECK (octet_length(secret_sha256) = 32),
           CONSTRAINT ck_invitation_expiry_range CHECK (
               expires_at > created_at AND expires_at <= created_at + interval '30 days'),
           CONSTRAINT ck_invitation_acceptance_whole CHECK ((accepted_at IS NULL) = (accepted_by IS NULL)),
           CONSTRAINT ck_invitation_accepted_or_revoked CHECK (accepted_at IS NULL OR revoked_at IS NULL)
       )""",
    "CREATE UNIQUE INDEX uq_invitation_email_open ON turnup.invitation (lower(email))"
    " WHERE accepted_at IS NULL AND revoked_at IS NULL",
    "CREATE INDEX ix_invitation_open ON turnup.invitation (id) WHERE accepted_at IS NULL AND revoked_at IS NULL",
    "CREATE INDEX ix_invitation_accepted_by ON turnup.invitation (accepted_by) WHERE accepted_by IS NOT NULL",
    "ALTER TABLE turnup.invitation ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE turnup.invitation FORCE ROW LEVEL SECURITY",
    "GRANT ALL ON turnup.invitation TO turnup_definer",
    "CREATE POLICY definer ON turnup.invitation TO turnup_definer USING (true) WITH CHECK (true)",
    # The app's role reads no hash of a secret, and changes only whether an invitation is revoked.
    "GRANT SELECT (id, email, name, role, account_id, all_accounts, granted_account_ids, granted_location_ids,"
    " invited_by, created_at, expires_at, accepted_at, accepted_by, revoked_at), INSERT, UPDATE (revoked_at)"
    " ON turnup.invitation TO turnup_app",
)
# Boolean sub-selects, for the reason that 0001_tables.py gives.
LEAD_OF_ALL = "(select current_setting('turnup.all_accounts', true) = 'on')"
AUDITOR = "(select current_setting('turnup.role', true) = 'AUDITOR')"
OWN_USER = "(select nullif(current_setting('turnup.user_id', true), ''))"
GRANTED_TO_LEAD = "(select nullif(current_setting('turnup.lead_accounts', true), '')::jsonb)"
# The inviter is one of those who made the user, so nobody invites in the name of another. What was revoked stays so.
POLICIES = {
    "SELECT": f"USING ({LEAD_OF_ALL})",
    "INSERT": f"WITH CHECK ({LEAD_OF_ALL} AND invited_by = {OWN_USER} AND accepted_by IS NULL)",
    "UPDATE": f"USING ({LEAD_OF_ALL}) WITH CHECK ({LEAD_OF_ALL} AND revoked_at IS NOT NULL)",
}
# As in 0014_roles.py: invitations are on the chain `system`, and name the account that they are about.
ON_SYSTEM = "table_name IN ('user', 'grant', 'grant_location', 'invitation')"
CHANGES = f"{LEAD_OF_ALL} OR {GRANTED_TO_LEAD} ? account_id AND NOT {ON_SYSTEM} OR {AUDITOR}"
WATCHED = "coalesce(current_setting('turnup.unaudited', true), '') <> 'on' OR NOT turnup.audit_is_system()"
SEEN = {
    "INSERT": "NEW TABLE AS came",
    "UPDATE": "OLD TABLE AS went NEW TABLE AS came",
    "DELETE": "OLD TABLE AS went",
}
# The new functions, and whether the app's role may call them.
FUNCTIONS = {
    "accept_invitation(bytea, text, text, text, boolean, text, text)": True,
    "audit_erase_invitation(text, text)": False,
}


def upgrade() -> None:
    """Add the table with its policies and triggers, then the functions of the definer."""
    for statement in TABLE:
        op.execute(statement)
    for command, condition in POLICIES.items():
        op.execute(f"CREATE POLICY app_{command.lower()} ON turnup.invitation FOR {command} TO turnup_app {condition}")
    op.execute(f"ALTER POLICY app_select ON turnup.field_change USING ({CHANGES})")
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    for statement in Path(__file__).with_suffix(".sql").read_text().split(";\n\n"):
        op.execute(statement)
    for event, seen in SEEN.items():
        name = "audit_capture" if event == "INSERT" else f"audit_capture_{event.lower()}"
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON turnup.invitation REFERENCING {seen} "
            f"FOR EACH STATEMENT WHEN ({WATCHED}) EXECUTE FUNCTION turnup.audit_capture_rows('', '', 'id')"
        )
    for function, callable_by_app in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        if callable_by_app:
            op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
