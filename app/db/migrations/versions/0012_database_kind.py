"""Whether the database is for demos or for production.

Locks: none on an existing table
Data: a new table without rows; the next command as the owner or the next server marks a database that has accounts, and
    records the mark in the audit log. Content digests, approvals and audit entries stay as they are
Deployment: servers of the version before keep serving; seeds of the version before refuse a newer database
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

older_code_may_write = True

TABLE = (
    """CREATE TABLE turnup.installation (
           id TEXT COLLATE "C" NOT NULL,
           kind TEXT NOT NULL,
           single BOOLEAN DEFAULT true NOT NULL,
           marked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
           CONSTRAINT pk_installation PRIMARY KEY (id),
           CONSTRAINT uq_installation_single UNIQUE (single),
           CONSTRAINT ck_installation_single_only CHECK (single),
           CONSTRAINT ck_installation_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$'),
           CONSTRAINT ck_installation_kind_known CHECK (kind IN ('DEMO', 'PRODUCTION'))
       )""",
    "ALTER TABLE turnup.installation ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE turnup.installation FORCE ROW LEVEL SECURITY",
    "GRANT ALL ON turnup.installation TO turnup_definer",
    "CREATE POLICY definer ON turnup.installation TO turnup_definer USING (true) WITH CHECK (true)",
    "GRANT SELECT ON turnup.installation TO turnup_app",
    "CREATE POLICY app_select ON turnup.installation FOR SELECT TO turnup_app USING (true)",
)
WATCHED = "coalesce(current_setting('turnup.unaudited', true), '') <> 'on' OR NOT turnup.audit_is_system()"
SEEN = {
    "INSERT": "NEW TABLE AS came",
    "UPDATE": "OLD TABLE AS went NEW TABLE AS came",
    "DELETE": "OLD TABLE AS went",
}
# The app's role may call it: a server without the owner's URL marks the database that it is the first to serve in
# production. It can make no database a demo that seeds did not fill, and changes no mark.
FUNCTION = """
CREATE FUNCTION turnup.mark_database(as_production boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    marked text;
    entry text := 'entry_' || replace(gen_random_uuid()::text, '-', '');
BEGIN
    SELECT i.kind INTO marked FROM turnup.installation i;
    IF FOUND THEN
        RETURN marked;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('turnup.installation', 0));
    SELECT i.kind INTO marked FROM turnup.installation i;
    IF FOUND THEN
        RETURN marked;
    END IF;
    SELECT CASE
        WHEN EXISTS (
            SELECT FROM turnup.account a WHERE NOT EXISTS (
                SELECT FROM turnup.audit_entry e
                WHERE e.chain = a.id AND e.number = 1 AND e.action IN ('SEED_DEMO', 'LOAD_UNAUDITED')
            )
        ) THEN 'PRODUCTION'
        WHEN EXISTS (SELECT FROM turnup.account) THEN 'DEMO'
        WHEN as_production OR EXISTS (SELECT FROM turnup."user") THEN 'PRODUCTION'
    END INTO marked;
    IF marked IS NOT NULL THEN
        INSERT INTO turnup.audit_entry (id, chain, action, outcome)
        VALUES (entry, 'system', 'MARK_DATABASE', 'APPLIED');
        PERFORM turnup.audit_remember(entry, 'system', NULL);
        INSERT INTO turnup.installation (id, kind)
        VALUES ('installation_' || replace(gen_random_uuid()::text, '-', ''), marked);
        PERFORM turnup.audit_seal();
    END IF;
    RETURN marked;
END
$$
"""


def upgrade() -> None:
    """Add the table, its audit triggers and the function that marks the database."""
    for statement in TABLE:
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")  # the owner may not call the trigger's function
    for event, seen in SEEN.items():
        name = "audit_capture" if event == "INSERT" else f"audit_capture_{event.lower()}"
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON turnup.installation REFERENCING {seen} "
            f"FOR EACH STATEMENT WHEN ({WATCHED}) EXECUTE FUNCTION turnup.audit_capture_rows('', '', 'id')"
        )
    op.execute(FUNCTION)
    op.execute("REVOKE ALL ON FUNCTION turnup.mark_database(boolean) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION turnup.mark_database(boolean) TO turnup_app")
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
