-- Statements end with a semicolon and an empty line, and have no empty line inside.

ALTER TABLE turnup.audit_entry
    ADD COLUMN ordinal BIGINT GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN reason_salt BYTEA,
    ADD COLUMN reason_hash BYTEA,
    ADD CONSTRAINT ck_audit_entry_reason_whole CHECK (
        (reason IS NULL) = (reason_salt IS NULL) AND (reason IS NULL OR reason_hash IS NOT NULL)
    );

CREATE INDEX ix_audit_entry_open ON turnup.audit_entry (chain, location_id) WHERE number IS NULL;

ALTER TABLE turnup.field_change
    ADD COLUMN location_id TEXT COLLATE "C",
    ADD COLUMN before_salt BYTEA,
    ADD COLUMN before_hash BYTEA,
    ADD COLUMN after_salt BYTEA,
    ADD COLUMN after_hash BYTEA,
    ADD COLUMN erased BOOLEAN GENERATED ALWAYS AS (
        (before_hash IS NOT NULL AND before_salt IS NULL) OR (after_hash IS NOT NULL AND after_salt IS NULL)
    ) STORED NOT NULL,
    ADD CONSTRAINT ck_field_change_before_whole CHECK (
        (before IS NULL OR before_salt IS NOT NULL) AND (before_salt IS NULL OR before_hash IS NOT NULL)
    ),
    ADD CONSTRAINT ck_field_change_after_whole CHECK (
        (after IS NULL OR after_salt IS NOT NULL) AND (after_salt IS NULL OR after_hash IS NOT NULL)
    ),
    ADD CONSTRAINT ck_field_change_something_changed CHECK (before_hash IS NOT NULL OR after_hash IS NOT NULL);

CREATE INDEX ix_field_change_location_id_id ON turnup.field_change (location_id, id);

-- A value as it enters a hash: its presence, its length in four bytes, its bytes.
CREATE FUNCTION turnup.audit_framed(value bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value IS NULL THEN '\x00'::bytea
            ELSE '\x01'::bytea || pg_catalog.int4send(pg_catalog.octet_length(value)) || value END;

CREATE FUNCTION turnup.audit_framed(value text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN turnup.audit_framed(pg_catalog.convert_to(value, 'UTF8'));

-- The hash that stands for a value in the chain; without its salt nobody can guess the value from it.
CREATE FUNCTION turnup.audit_salted(salt bytea, value text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.sha256(salt || pg_catalog.convert_to(value, 'UTF8'));

-- What an entry's hash is taken of; app/db/audit/encoding.py writes the same bytes.
CREATE FUNCTION turnup.audit_encoded(entry turnup.audit_entry) RETURNS bytea
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT convert_to('turnup.audit.1', 'UTF8')
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
END;

-- Whether the connection signed in as a role that may become the definer: what only seeds, migrations and erasure do.
CREATE FUNCTION turnup.audit_is_system() RETURNS boolean
LANGUAGE sql STABLE
RETURN pg_catalog.pg_has_role(SESSION_USER, 'turnup_definer', 'MEMBER');

CREATE FUNCTION turnup.audit_open(
    entry_id text, entry_chain text, entry_action text, entry_location_id text, entry_request_id text,
    entry_reason text, entry_override_id text, entry_outcome text, entry_code text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    salt bytea;
    uncovered text;
BEGIN
    IF entry_reason IS NOT NULL THEN
        salt := uuid_send(gen_random_uuid());
    END IF;
    INSERT INTO turnup.audit_entry (id, chain, account_id, location_id, action, outcome, code, actor_id, actor_role,
                                    request_id, reason, reason_salt, reason_hash, override_id)
    VALUES (entry_id, entry_chain, nullif(entry_chain, 'system'), entry_location_id, entry_action, entry_outcome,
            entry_code, nullif(current_setting('turnup.user_id', true), ''),
            nullif(current_setting('turnup.role', true), ''), entry_request_id,
            entry_reason, salt, turnup.audit_salted(salt, entry_reason), entry_override_id);
    -- Changes of this transaction that came before their entry move to it.
    SELECT e.id INTO uncovered FROM turnup.audit_entry e
    WHERE e.number IS NULL AND e.chain = entry_chain AND e.action = 'UNCOVERED';
    IF FOUND THEN
        UPDATE turnup.field_change c SET entry_id = audit_open.entry_id WHERE c.entry_id = uncovered;
        DELETE FROM turnup.audit_entry e WHERE e.id = uncovered;
    END IF;
END
$$;

-- Number and hash every open entry of this transaction. Chain heads are locked here, one after the other in order,
-- and nothing is locked after them.
CREATE FUNCTION turnup.audit_seal() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    next_chain text;
    head turnup.chain_head;
    entry turnup.audit_entry;
BEGIN
    FOR next_chain IN
        SELECT DISTINCT e.chain FROM turnup.audit_entry e
        WHERE e.number IS NULL AND e.action <> 'UNCOVERED' ORDER BY e.chain
    LOOP
        LOOP
            SELECT * INTO head FROM turnup.chain_head h WHERE h.chain = next_chain FOR UPDATE;
            EXIT WHEN FOUND;
            INSERT INTO turnup.chain_head (chain, number, hash)
            VALUES (next_chain, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
        END LOOP;
        FOR entry IN
            SELECT * FROM turnup.audit_entry e
            WHERE e.number IS NULL AND e.chain = next_chain AND e.action <> 'UNCOVERED' ORDER BY e.ordinal
        LOOP
            IF entry.outcome = 'REFUSED' AND EXISTS (
                SELECT FROM turnup.field_change c WHERE c.entry_id = entry.id
            ) THEN
                RAISE EXCEPTION 'entry % was refused but changed something', entry.id
                    USING ERRCODE = 'AU003', CONSTRAINT = 'audit_refused_changes_nothing';
            END IF;
            entry.number := head.number + 1;
            entry.previous_hash := head.hash;
            entry.hash := sha256(turnup.audit_encoded(entry));
            UPDATE turnup.audit_entry e
            SET number = entry.number, previous_hash = entry.previous_hash, hash = entry.hash WHERE e.id = entry.id;
            head.number := entry.number;
            head.hash := entry.hash;
        END LOOP;
        UPDATE turnup.chain_head h SET number = head.number, hash = head.hash WHERE h.chain = next_chain;
    END LOOP;
END
$$;

-- The open entry that a change belongs to: its location's, else its chain's; else one that keeps the commit away.
CREATE FUNCTION turnup.audit_entry_for(row_chain text, row_location text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    found_id text;
    system_action text;
BEGIN
    IF row_location IS NOT NULL THEN
        SELECT e.id INTO found_id FROM turnup.audit_entry e
        WHERE e.number IS NULL AND e.chain = row_chain AND e.location_id = row_location
        ORDER BY e.ordinal DESC LIMIT 1;
        IF FOUND THEN
            RETURN found_id;
        END IF;
    END IF;
    SELECT e.id INTO found_id FROM turnup.audit_entry e
    WHERE e.number IS NULL AND e.chain = row_chain
    ORDER BY e.action = 'UNCOVERED', e.location_id IS NOT NULL, e.ordinal DESC LIMIT 1;
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
    RETURN found_id;
END
$$;

-- Write what differs between two forms of a row; NULL for a row that is not there. A column that is null in a row
-- that comes or goes is not written.
CREATE FUNCTION turnup.audit_write(
    changed_table text, changed_row text, row_chain text, row_account text, row_location text,
    old_row jsonb, new_row jsonb
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    entry text := turnup.audit_entry_for(row_chain, row_location);
    erasing boolean := current_setting('turnup.erasing', true) = 'on' AND turnup.audit_is_system();
BEGIN
    INSERT INTO turnup.field_change (entry_id, account_id, location_id, table_name, row_id, field,
                                     before, before_salt, before_hash, after, after_salt, after_hash)
    SELECT entry, row_account, row_location, changed_table, changed_row, d.field,
           CASE WHEN NOT d.withheld AND erasing IS NOT TRUE THEN d.before END,
           CASE WHEN erasing IS NOT TRUE THEN d.before_salt END,
           turnup.audit_salted(d.before_salt, d.before::text),
           CASE WHEN NOT d.withheld THEN d.after END,
           d.after_salt,
           turnup.audit_salted(d.after_salt, d.after::text)
    FROM (
        SELECT f.field, old_row -> f.field AS before, new_row -> f.field AS after,
               changed_table = 'user' AND f.field = 'subject' AS withheld,
               CASE WHEN old_row IS NOT NULL THEN uuid_send(gen_random_uuid()) END AS before_salt,
               CASE WHEN new_row IS NOT NULL THEN uuid_send(gen_random_uuid()) END AS after_salt
        FROM jsonb_object_keys(coalesce(new_row, old_row)) AS f (field)
        WHERE coalesce(old_row -> f.field, 'null') <> coalesce(new_row -> f.field, 'null')
    ) d;
END
$$;

-- The row trigger of every tracked table. Its arguments name columns: the account whose chain the row belongs to
-- ('' for the chain `system`), the location ('' for none), then the key.
CREATE FUNCTION turnup.audit_capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_seqscan = off
AS $$
DECLARE
    chain_column text := TG_ARGV[0];
    location_column text := TG_ARGV[1];
    old_row jsonb;
    new_row jsonb;
    old_key text;
    new_key text;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        old_row := to_jsonb(OLD);
        old_key := old_row ->> TG_ARGV[2];
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_row := to_jsonb(NEW);
        new_key := new_row ->> TG_ARGV[2];
    END IF;
    IF old_row = new_row THEN
        RETURN NULL;
    END IF;
    IF TG_NARGS > 3 THEN
        old_key := old_key || '/' || (old_row ->> TG_ARGV[3]);
        new_key := new_key || '/' || (new_row ->> TG_ARGV[3]);
    END IF;
    IF TG_OP = 'UPDATE' AND old_key = new_key
       AND old_row -> location_column IS NOT DISTINCT FROM new_row -> location_column
       AND old_row -> chain_column IS NOT DISTINCT FROM new_row -> chain_column THEN
        PERFORM turnup.audit_write(
            TG_TABLE_NAME, new_key, coalesce(new_row ->> chain_column, 'system'),
            new_row ->> CASE TG_TABLE_NAME WHEN 'account' THEN 'id' ELSE 'account_id' END,
            new_row ->> location_column, old_row, new_row);
        RETURN NULL;
    END IF;
    -- A row that moves leaves one place and comes to another.
    IF old_row IS NOT NULL THEN
        PERFORM turnup.audit_write(
            TG_TABLE_NAME, old_key, coalesce(old_row ->> chain_column, 'system'),
            old_row ->> CASE TG_TABLE_NAME WHEN 'account' THEN 'id' ELSE 'account_id' END,
            old_row ->> location_column, old_row, NULL);
    END IF;
    IF new_row IS NOT NULL THEN
        IF TG_TABLE_NAME = 'account' AND new_key = 'system' THEN
            RAISE EXCEPTION 'no account may be called system: the chain of that name is not an account''s'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_account_is_not_system';
        END IF;
        PERFORM turnup.audit_write(
            TG_TABLE_NAME, new_key, coalesce(new_row ->> chain_column, 'system'),
            new_row ->> CASE TG_TABLE_NAME WHEN 'account' THEN 'id' ELSE 'account_id' END,
            new_row ->> location_column, NULL, new_row);
    END IF;
    RETURN NULL;
END
$$;

-- Refuses the commit of an entry that was not sealed, and with it of every change that no entry covers.
CREATE FUNCTION turnup.audit_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    entry turnup.audit_entry;
BEGIN
    SELECT * INTO entry FROM turnup.audit_entry e WHERE e.id = NEW.id;
    IF FOUND AND entry.number IS NULL THEN
        IF entry.action = 'UNCOVERED' THEN
            RAISE EXCEPTION 'a change on the chain % is covered by no audit entry', entry.chain
                USING ERRCODE = 'AU001', CONSTRAINT = 'audit_uncovered';
        END IF;
        RAISE EXCEPTION 'the audit entry % was not sealed', entry.id
            USING ERRCODE = 'AU002', CONSTRAINT = 'audit_unsealed';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER audit_sealed AFTER INSERT ON turnup.audit_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION turnup.audit_check();
