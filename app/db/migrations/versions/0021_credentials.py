"""Sessions of browsers and service tokens, and the issuer of a user's access tokens.

Locks: ACCESS EXCLUSIVE on user, for a moment
Data: new tables without rows; users from before have no issuer, which means the configured one; content digests,
    approvals and audit entries stay as they are
Deployment: servers of the version before keep serving; they take no sessions and no service tokens, and those of users
    whom they change end nevertheless
"""

from pathlib import Path

from alembic import op
from sqlalchemy import Column, Text

from app.db import steps

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

older_code_may_write = True

TABLES = (
    """CREATE TABLE turnup.user_session (
           id TEXT COLLATE "C" NOT NULL,
           user_id TEXT COLLATE "C" NOT NULL,
           secret_sha256 BYTEA NOT NULL,
           user_agent TEXT DEFAULT '' NOT NULL,
           created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
           last_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
           idle_until TIMESTAMP WITH TIME ZONE NOT NULL,
           expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
           ended_at TIMESTAMP WITH TIME ZONE,
           end_reason TEXT,
           CONSTRAINT pk_user_session PRIMARY KEY (id),
           CONSTRAINT ck_user_session_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
           CONSTRAINT uq_user_session_secret_sha256 UNIQUE (secret_sha256),
           CONSTRAINT fk_user_session_user_user_id FOREIGN KEY (user_id)
               REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
           CONSTRAINT ck_user_session_secret_sha256_length CHECK (octet_length(secret_sha256) = 32),
           CONSTRAINT ck_user_session_end_reason_known CHECK (
               end_reason IN ('SIGNED_OUT', 'REVOKED', 'REPLACED', 'SUSPENDED', 'USER_CHANGED')),
           CONSTRAINT ck_user_session_end_whole CHECK ((ended_at IS NULL) = (end_reason IS NULL))
       )""",
    "CREATE INDEX ix_user_session_user_id_created_at_id ON turnup.user_session (user_id, created_at, id)",
    "CREATE INDEX ix_user_session_expires_at ON turnup.user_session (expires_at)",
    """CREATE TABLE turnup.sign_in_attempt (
           state_sha256 BYTEA NOT NULL,
           browser_sha256 BYTEA NOT NULL,
           nonce TEXT NOT NULL,
           code_verifier TEXT NOT NULL,
           next TEXT NOT NULL,
           invitation_sha256 BYTEA,
           created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
           CONSTRAINT pk_sign_in_attempt PRIMARY KEY (state_sha256)
       )""",
    "CREATE INDEX ix_sign_in_attempt_created_at ON turnup.sign_in_attempt (created_at, state_sha256)",
    """CREATE TABLE turnup.service_token (
           id TEXT COLLATE "C" NOT NULL,
           user_id TEXT COLLATE "C" NOT NULL,
           name TEXT NOT NULL,
           prefix TEXT COLLATE "C" NOT NULL,
           secret_sha256 BYTEA NOT NULL,
           account_ids TEXT[] COLLATE "C",
           actions TEXT[],
           created_by TEXT COLLATE "C" NOT NULL,
           created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
           expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
           revoked_at TIMESTAMP WITH TIME ZONE,
           CONSTRAINT pk_service_token PRIMARY KEY (id),
           CONSTRAINT ck_service_token_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
           CONSTRAINT uq_service_token_secret_sha256 UNIQUE (secret_sha256),
           CONSTRAINT fk_service_token_user_user_id FOREIGN KEY (user_id)
               REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
           CONSTRAINT fk_service_token_user_created_by FOREIGN KEY (created_by)
               REFERENCES turnup."user" (id) DEFERRABLE INITIALLY DEFERRED,
           CONSTRAINT ck_service_token_secret_sha256_length CHECK (octet_length(secret_sha256) = 32),
           CONSTRAINT ck_service_token_name_given CHECK (name <> ''),
           CONSTRAINT ck_service_token_account_ids_given CHECK (cardinality(account_ids) > 0),
           CONSTRAINT ck_service_token_actions_given CHECK (cardinality(actions) > 0),
           CONSTRAINT ck_service_token_expires_later CHECK (expires_at > created_at)
       )""",
    "CREATE INDEX ix_service_token_user_id_created_at_id ON turnup.service_token (user_id, created_at, id)",
    "CREATE INDEX ix_service_token_created_at_id ON turnup.service_token (created_at, id)",
    "CREATE INDEX ix_service_token_created_by ON turnup.service_token (created_by)",
    "CREATE INDEX ix_service_token_prefix ON turnup.service_token (prefix)",
    "CREATE INDEX ix_service_token_end ON turnup.service_token (LEAST(revoked_at, expires_at))",
    """CREATE TABLE turnup.service_token_use (
           token_id TEXT COLLATE "C" NOT NULL,
           last_used_at TIMESTAMP WITH TIME ZONE NOT NULL,
           CONSTRAINT pk_service_token_use PRIMARY KEY (token_id),
           CONSTRAINT fk_service_token_use_service_token_token_id FOREIGN KEY (token_id)
               REFERENCES turnup.service_token (id) ON DELETE CASCADE
       )""",
)
OWN_USER = "(select nullif(current_setting('turnup.user_id', true), ''))"
# A boolean sub-select, for the reason that 0001_tables.py gives.
LEAD_OF_ALL = "(select current_setting('turnup.all_accounts', true) = 'on')"
OWN = f"{LEAD_OF_ALL} OR user_id = {OWN_USER}"
# The commands that each table's policies allow, and their conditions. Who makes a token is one of those who made the
# user, so nobody makes one in the name of another; one that was revoked stays revoked.
POLICIES = {
    "user_session": {"SELECT": f"USING ({OWN})", "UPDATE": f"USING ({OWN}) WITH CHECK ({OWN})"},
    "sign_in_attempt": {},
    "service_token": {
        "SELECT": f"USING ({OWN})",
        "INSERT": f"WITH CHECK ({LEAD_OF_ALL} AND created_by = {OWN_USER})",
        "UPDATE": f"USING ({LEAD_OF_ALL}) WITH CHECK ({LEAD_OF_ALL} AND revoked_at IS NOT NULL)",
    },
    "service_token_use": {"SELECT": "USING (EXISTS (SELECT FROM turnup.service_token t WHERE t.id = token_id))"},
}
# What the app's role may do: it reads no hash of a secret, and changes only what ends a credential.
GRANTS = (
    "SELECT (id, user_id, user_agent, created_at, last_used_at, idle_until, expires_at, ended_at, end_reason),"
    " UPDATE (ended_at, end_reason) ON turnup.user_session",
    "SELECT (id, user_id, name, prefix, account_ids, actions, created_by, created_at, expires_at, revoked_at),"
    " INSERT, UPDATE (revoked_at) ON turnup.service_token",
    "SELECT ON turnup.service_token_use",
)
WATCHED = "coalesce(current_setting('turnup.unaudited', true), '') <> 'on' OR NOT turnup.audit_is_system()"
SEEN = {
    "INSERT": "NEW TABLE AS came",
    "UPDATE": "OLD TABLE AS went NEW TABLE AS came",
    "DELETE": "OLD TABLE AS went",
}
# The new functions, and whether the app's role may call them.
FUNCTIONS = {
    "sign_in(text, text, text, bytea, integer)": True,
    "sign_in(text, integer)": True,
    "begin_sign_in_attempt(bytea, bytea, text, text, text, bytea)": True,
    "take_sign_in_attempt(bytea, bytea)": True,
    "begin_session(text, text, text, bytea, text, integer, integer)": True,
    "end_session(bytea)": True,
    "end_credentials()": False,
    "work_by_tokens()": True,
    "record_uses(text[], float8[], text[], float8[])": True,
    "forget_credentials(integer)": True,
}


def upgrade() -> None:
    """Add the column and the tables with their policies, grants and triggers, then the functions of the definer."""
    steps.column("user", Column("issuer", Text, nullable=True))
    for statement in TABLES:
        op.execute(statement)
    for table, policies in POLICIES.items():
        _protect(table, policies)
    for grant in GRANTS:
        op.execute(f"GRANT {grant} TO turnup_app")
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    op.execute("DROP FUNCTION turnup.sign_in(text, integer)")
    for statement in Path(__file__).with_suffix(".sql").read_text().split(";\n\n"):
        op.execute(statement)
    for event, seen in SEEN.items():
        name = "audit_capture" if event == "INSERT" else f"audit_capture_{event.lower()}"
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON turnup.service_token REFERENCING {seen} "
            f"FOR EACH STATEMENT WHEN ({WATCHED}) EXECUTE FUNCTION turnup.audit_capture_rows('', '', 'id')"
        )
    for function, callable_by_app in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{function} FROM PUBLIC")
        if callable_by_app:
            op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{function} TO turnup_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def _protect(table: str, policies: dict[str, str]) -> None:
    op.execute(f"ALTER TABLE turnup.{table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE turnup.{table} FORCE ROW LEVEL SECURITY")
    op.execute(f"GRANT ALL ON turnup.{table} TO turnup_definer")
    op.execute(f"CREATE POLICY definer ON turnup.{table} TO turnup_definer USING (true) WITH CHECK (true)")
    for command, condition in policies.items():
        op.execute(f"CREATE POLICY app_{command.lower()} ON turnup.{table} FOR {command} TO turnup_app {condition}")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
