"""Audit log: a mark of overrides on entries, and an index for each filter.

The app's entries have an actor and an action of the API, and a location's changes are in that location's entries.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Null where an entry was made before this: its hash knows nothing of the column.
COLUMN = (
    # What a migration before this one entered is checked now: a table is not altered while checks of it are pending.
    "SET CONSTRAINTS turnup.audit_sealed IMMEDIATE",
    "SET CONSTRAINTS turnup.audit_sealed DEFERRED",
    "ALTER TABLE turnup.audit_entry ADD COLUMN is_override BOOLEAN",
    "ALTER TABLE turnup.audit_entry ALTER COLUMN is_override SET DEFAULT false",
)
INDEXES = (
    "CREATE INDEX ix_audit_entry_actor_id_occurred_at_id ON turnup.audit_entry (actor_id, occurred_at, id)",
    "CREATE INDEX ix_audit_entry_action_occurred_at_id ON turnup.audit_entry (action, occurred_at, id)",
    "CREATE INDEX ix_audit_entry_request_id_occurred_at_id ON turnup.audit_entry (request_id, occurred_at, id)",
    "CREATE INDEX ix_audit_entry_override_id_occurred_at_id ON turnup.audit_entry (override_id, occurred_at, id)"
    " WHERE override_id IS NOT NULL",
    "CREATE INDEX ix_audit_entry_overrides ON turnup.audit_entry (occurred_at, id)"
    " WHERE coalesce(is_override, override_id IS NOT NULL)",
)

# app/db/audit/encoding.py writes the same bytes.
ENCODED = """
CREATE OR REPLACE FUNCTION turnup.audit_encoded(entry turnup.audit_entry) RETURNS bytea
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT CASE WHEN entry.is_override IS NULL THEN convert_to('turnup.audit.1', 'UTF8')
                ELSE convert_to('turnup.audit.2', 'UTF8') || boolsend(entry.is_override) END
        || turnup.audit_framed(entry.chain) || int8send(entry.number) || turnup.audit_framed(entry.previous_hash)
        || turnup.audit_framed(entry.id) || turnup.audit_framed(entry.account_id)
        || turnup.audit_framed(entry.location_id) || turnup.audit_framed(entry.action)
        || turnup.audit_framed(entry.outcome) || turnup.audit_framed(entry.code)
        || turnup.audit_framed(entry.actor_id) || turnup.audit_framed(entry.actor_role)
        || turnup.audit_framed(entry.request_id) || turnup.audit_framed(entry.reason_hash)
        || turnup.audit_framed(entry.override_id) || timestamptz_send(entry.occurred_at)
        || int8send(count(c.id))
        || coalesce(string_agg(
               turnup.audit_framed(c.account_id) || turnup.audit_framed(c.location_id)
               || turnup.audit_framed(c.table_name) || turnup.audit_framed(c.row_id) || turnup.audit_framed(c.field)
               || turnup.audit_framed(c.before_hash) || turnup.audit_framed(c.after_hash),
               ''::bytea ORDER BY c.id), '')
    FROM turnup.field_change c WHERE c.entry_id = entry.id;
END
"""

# Entries without an actor, and actions in capitals, are the system's own: a replay believes LOAD_UNAUDITED, say.
OPEN = """
CREATE FUNCTION turnup.audit_open(
    entry_id text, entry_chain text, entry_action text, entry_location_id text, entry_request_id text,
    entry_reason text, entry_override_id text, entry_outcome text, entry_code text, counts_as_override boolean = false
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    actor text := nullif(current_setting('turnup.user_id', true), '');
    salt bytea;
    uncovered text;
BEGIN
    IF (actor IS NULL OR entry_action = upper(entry_action)) AND NOT turnup.audit_is_system() THEN
        RAISE EXCEPTION 'without an actor, or as %, only the system opens an entry', entry_action
            USING ERRCODE = 'AU006', CONSTRAINT = 'audit_system_only';
    END IF;
    IF entry_reason IS NOT NULL THEN
        salt := uuid_send(gen_random_uuid());
    END IF;
    INSERT INTO turnup.audit_entry (id, chain, account_id, location_id, action, outcome, code, actor_id, actor_role,
                                    request_id, reason, reason_salt, reason_hash, override_id, is_override)
    VALUES (entry_id, entry_chain, nullif(entry_chain, 'system'), entry_location_id, entry_action, entry_outcome,
            entry_code, actor, nullif(current_setting('turnup.role', true), ''), entry_request_id,
            entry_reason, salt, turnup.audit_salted(salt, entry_reason), entry_override_id,
            coalesce(counts_as_override, false) OR entry_override_id IS NOT NULL);
    -- Changes of this transaction that came before their entry move to it.
    uncovered := coalesce(nullif(current_setting('turnup.audit_open', true), ''), '{}')::jsonb -> 'at' ->> entry_chain;
    PERFORM FROM turnup.audit_entry e
    WHERE e.id = uncovered AND e.number IS NULL AND e.chain = entry_chain AND e.action = 'UNCOVERED';
    IF FOUND THEN
        UPDATE turnup.field_change c SET entry_id = audit_open.entry_id
        WHERE c.entry_id = uncovered AND coalesce(c.location_id = entry_location_id, true);
        DELETE FROM turnup.audit_entry e
        WHERE e.id = uncovered AND NOT EXISTS (SELECT FROM turnup.field_change c WHERE c.entry_id = uncovered);
        IF FOUND THEN
            PERFORM turnup.audit_remember(entry_id, entry_chain, NULL);
        END IF;
    END IF;
    PERFORM turnup.audit_remember(entry_id, entry_chain, entry_location_id);
END
$$
"""
# An entry of one location does not cover a change of another, which nobody would find there.
ENTRY_FOR = """
CREATE OR REPLACE FUNCTION turnup.audit_entry_for(row_chain text, row_location text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    places jsonb := coalesce(nullif(current_setting('turnup.audit_open', true), ''), '{}')::jsonb -> 'at';
    found_id text := coalesce(places ->> (row_chain || '/' || row_location), places ->> row_chain);
    system_action text;
BEGIN
    PERFORM FROM turnup.audit_entry e
    WHERE e.id = found_id AND e.number IS NULL AND e.chain = row_chain
      AND coalesce(e.location_id = row_location, true);
    IF FOUND THEN
        RETURN found_id;
    END IF;
    found_id := 'entry_' || replace(gen_random_uuid()::text, '-', '');
    system_action := nullif(current_setting('turnup.system_action', true), '');
    IF system_action IS NULL OR NOT turnup.audit_is_system() THEN
        system_action := 'UNCOVERED';
    END IF;
    INSERT INTO turnup.audit_entry (id, chain, account_id, action, outcome)
    VALUES (found_id, row_chain, nullif(row_chain, 'system'), system_action, 'APPLIED');
    PERFORM turnup.audit_remember(found_id, row_chain, NULL);
    RETURN found_id;
END
$$
"""
TEXTS = ", ".join(["text"] * 9)


def upgrade() -> None:
    """Add the column and the indexes; put three functions in the place of the earlier ones, as their owner."""
    for statement in (*COLUMN, *INDEXES):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    for statement in (
        ENCODED,
        ENTRY_FOR,
        f"DROP FUNCTION turnup.audit_open({TEXTS})",
        OPEN,
        f"REVOKE ALL ON FUNCTION turnup.audit_open({TEXTS}, boolean) FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION turnup.audit_open({TEXTS}, boolean) TO turnup_app",
    ):
        op.execute(statement)
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
