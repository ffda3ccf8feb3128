"""The client's request id, recorded beside the server's.

Locks: the tables audit_entry and audit_incident, each for a moment
Data: a new column, which is empty in the rows that are there; their hashes stay valid
Deployment: nothing to do
"""

from alembic import op
from sqlalchemy import Column, Text

from app.db import steps

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

older_code_may_write = True

# app/audit/encoding.py writes the same bytes. An entry without a client's id has the form of before.
ENCODED = """
CREATE OR REPLACE FUNCTION turnup.audit_encoded(entry turnup.audit_entry) RETURNS bytea
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT CASE WHEN entry.client_request_id IS NOT NULL
                THEN convert_to('turnup.audit.3', 'UTF8') || coalesce(boolsend(entry.is_override), '\\x02'::bytea)
                     || turnup.audit_framed(entry.client_request_id)
                WHEN entry.is_override IS NULL THEN convert_to('turnup.audit.1', 'UTF8')
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

# As in 0004_override_mark.py, with the client's id. Code of the revision before leaves it out.
OPEN = """
CREATE FUNCTION turnup.audit_open(
    entry_id text, entry_chain text, entry_action text, entry_location_id text, entry_request_id text,
    entry_reason text, entry_override_id text, entry_outcome text, entry_code text, counts_as_override boolean = false,
    entry_client_request_id text = NULL
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
                                    request_id, reason, reason_salt, reason_hash, override_id, is_override,
                                    client_request_id)
    VALUES (entry_id, entry_chain, nullif(entry_chain, 'system'), entry_location_id, entry_action, entry_outcome,
            entry_code, actor, nullif(current_setting('turnup.role', true), ''), entry_request_id,
            entry_reason, salt, turnup.audit_salted(salt, entry_reason), entry_override_id,
            coalesce(counts_as_override, false) OR entry_override_id IS NOT NULL, entry_client_request_id);
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

# As in 0006_whole_trail.sql, with the client's id of the first request of the minute.
COUNT = """
CREATE FUNCTION turnup.audit_count(
    incident_action text, incident_code text, incident_actor text, incident_request text,
    incident_client_request text = NULL
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF char_length(incident_code) > 200 OR char_length(incident_request) > 200
       OR char_length(incident_client_request) > 200
       OR NOT EXISTS (SELECT FROM turnup."user" u WHERE u.id = incident_actor) THEN
        RAISE EXCEPTION 'what is counted is of a user, with a code and request ids of at most 200 characters'
            USING ERRCODE = 'AU008', CONSTRAINT = 'audit_counted_of_a_user';
    END IF;
    INSERT INTO turnup.audit_incident AS i (minute, action, code, actor_id, request_id, first_at, client_request_id)
    VALUES (date_trunc('minute', clock_timestamp()), incident_action, incident_code, incident_actor, incident_request,
            clock_timestamp(), incident_client_request)
    ON CONFLICT (minute, action, code, actor_id) DO UPDATE SET count = i.count + 1;
    PERFORM turnup.audit_settle();
END
$$
"""

# As in 0002_audit.sql, with the client's id.
SETTLE = """
CREATE OR REPLACE FUNCTION turnup.audit_settle() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    incident turnup.audit_incident;
    entry text;
    salt bytea;
    settled integer := 0;
BEGIN
    FOR incident IN
        SELECT * FROM turnup.audit_incident i WHERE i.minute < date_trunc('minute', clock_timestamp())
        ORDER BY i.first_at FOR UPDATE SKIP LOCKED
    LOOP
        DELETE FROM turnup.audit_incident i
        WHERE (i.minute, i.action, i.code, i.actor_id)
            = (incident.minute, incident.action, incident.code, incident.actor_id);
        entry := 'entry_' || replace(gen_random_uuid()::text, '-', '');
        salt := uuid_send(gen_random_uuid());
        INSERT INTO turnup.audit_entry (id, chain, action, outcome, code, actor_id, actor_role, request_id, occurred_at,
                                        client_request_id)
        VALUES (entry, 'system', incident.action, 'REFUSED', incident.code, incident.actor_id,
                (SELECT u.role FROM turnup."user" u WHERE u.id = incident.actor_id),
                incident.request_id, incident.first_at, incident.client_request_id);
        PERFORM turnup.audit_remember(entry, 'system', NULL);
        INSERT INTO turnup.field_change (entry_id, table_name, row_id, field, after, after_salt, after_hash)
        VALUES (entry, 'incident', entry, 'count', to_jsonb(incident.count), salt,
                turnup.audit_salted(salt, to_jsonb(incident.count)::text));
        settled := settled + 1;
    END LOOP;
    IF settled > 0 THEN
        PERFORM turnup.audit_seal();
    END IF;
    RETURN settled;
END
$$
"""
OLD_OPEN = f"turnup.audit_open({', '.join(['text'] * 9)}, boolean)"
NEW_OPEN = f"turnup.audit_open({', '.join(['text'] * 9)}, boolean, text)"
OLD_COUNT = "turnup.audit_count(text, text, text, text)"
NEW_COUNT = "turnup.audit_count(text, text, text, text, text)"


def upgrade() -> None:
    """Add the columns; put four functions in the place of the earlier ones, as their owner."""
    steps.column("audit_entry", Column("client_request_id", Text, nullable=True))
    steps.column("audit_incident", Column("client_request_id", Text, nullable=True))
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    for statement in (
        ENCODED,
        f"DROP FUNCTION {OLD_OPEN}",
        OPEN,
        f"DROP FUNCTION {OLD_COUNT}",
        COUNT,
        SETTLE,
        *(f"REVOKE ALL ON FUNCTION {each} FROM PUBLIC" for each in (NEW_OPEN, NEW_COUNT)),
        *(f"GRANT EXECUTE ON FUNCTION {each} TO turnup_app" for each in (NEW_OPEN, NEW_COUNT)),
    ):
        op.execute(statement)
    op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
