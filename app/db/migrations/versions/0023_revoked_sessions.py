"""The audit log records which sessions were revoked, and whose.

Locks: ACCESS EXCLUSIVE on user_session, for a moment
Data: as it is; content digests, approvals and audit entries stay as they are
Deployment: servers of the version before revoke no sessions
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

older_code_may_write = True

# A boolean sub-select, for the reason that 0001_tables.py gives.
OWN = (
    "(select current_setting('turnup.all_accounts', true) = 'on')"
    " OR user_id = (select nullif(current_setting('turnup.user_id', true), ''))"
)
WATCHED = "coalesce(current_setting('turnup.unaudited', true), '') <> 'on' OR NOT turnup.audit_is_system()"
# The row is named by its user and its id, because it is deleted 30 days later.
RECORD = """
CREATE FUNCTION turnup.audit_revoked_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    PERFORM turnup.audit_write('user_session', NEW.user_id || '/' || NEW.id, 'system', NULL, NULL,
                               to_jsonb(OLD) - 'secret_sha256', to_jsonb(NEW) - 'secret_sha256');
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Record each revocation, and let the app's role end sessions in no other way."""
    op.execute(
        f"ALTER POLICY app_update ON turnup.user_session USING ({OWN}) WITH CHECK (({OWN}) AND end_reason = 'REVOKED')"
    )
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    op.execute(RECORD)
    op.execute("REVOKE ALL ON FUNCTION turnup.audit_revoked_session() FROM PUBLIC")
    op.execute(
        "CREATE TRIGGER audit_revoked AFTER UPDATE ON turnup.user_session FOR EACH ROW"
        f" WHEN (NEW.end_reason = 'REVOKED' AND OLD.end_reason IS NULL AND ({WATCHED}))"
        " EXECUTE FUNCTION turnup.audit_revoked_session()"
    )
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
