-- Statements end with a semicolon and an empty line, and have no empty line inside.

ALTER TABLE turnup.audit_entry
    ADD COLUMN ordinal BIGINT GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN reason_salt BYTEA,
    ADD COLUMN reason_hash BYTEA,
    ADD CONSTRAINT ck_audit_entry_reason_whole CHECK (
        (reason IS NULL) = (reason_salt IS NULL) AND (reason IS NULL OR reason_hash IS NOT NULL)
    );

-- No foreign key to the entry: it cost 4 to 8 microseconds a change, only the definer's functions write changes, and
-- verification finds one without an entry.
ALTER TABLE turnup.field_change
    DROP CONSTRAINT fk_field_change_audit_entry_entry_id,
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

-- Denials and security events of the running minute, counted until their minute is over and they are entered.
CREATE TABLE turnup.audit_incident (
    minute TIMESTAMP WITH TIME ZONE NOT NULL,
    action TEXT NOT NULL,
    code TEXT NOT NULL,
    actor_id TEXT COLLATE "C" NOT NULL,
    request_id TEXT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    count INTEGER DEFAULT '1' NOT NULL,
    CONSTRAINT pk_audit_incident PRIMARY KEY (minute, action, code, actor_id),
    CONSTRAINT ck_audit_incident_action_known CHECK (action IN ('ROLE_DENIED', 'SECURITY_EVENT'))
);

-- A value as it enters a hash: its presence, its length in four bytes, its bytes.
CREATE FUNCTION turnup.audit_framed(value bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value IS NULL THEN '\x00'::bytea
            ELSE '\x01'::bytea || pg_catalog.int4send(pg_catalog.octet_length(value)) || value END;

-- STABLE like convert_to, or it would not be inlined; the database's encoding is UTF8.
CREATE FUNCTION turnup.audit_framed(value text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN value IS NULL THEN '\x00'::bytea
            ELSE '\x01'::bytea || pg_catalog.int4send(pg_catalog.octet_length(value))
                 || pg_catalog.convert_to(value, 'UTF8') END;

-- The hash that stands for a value in the chain; without its salt nobody can guess the value from it.
CREATE FUNCTION turnup.audit_salted(salt bytea, value text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.sha256(salt || pg_catalog.convert_to(value, 'UTF8'));

CREATE FUNCTION turnup.audit_salt(origin bytea, purpose text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.substring(pg_catalog.sha256(origin || pg_catalog.convert_to(purpose, 'UTF8')), 1, 16);

-- What an entry's hash is taken of; app/audit/encoding.py writes the same bytes.
CREATE FUNCTION turnup.audit_encoded(entry turnup.audit_entry) RETURNS bytea
LANGUAGE sql STABLE
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

-- The entries that this transaction opened stand in the setting turnup.audit_open, for an index of the unsealed ones
-- would fill with the dead while anybody reads for long: `all` of them, and by place (a chain, or a chain and a
-- location) the one that changes belong to. The app's role can spoil the setting, and gains nothing by it: an entry is
-- believed when it is unsealed, so of this transaction, and of the chain; one that is forgotten cannot be committed.
CREATE FUNCTION turnup.audit_remember(entry text, entry_chain text, entry_location text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    opened jsonb := coalesce(nullif(current_setting('turnup.audit_open', true), ''), '{"all": [], "at": {}}');
    places jsonb := '{}';
BEGIN
    IF entry_location IS NOT NULL THEN
        places := jsonb_build_object(entry_chain || '/' || entry_location, entry);
    END IF;
    IF entry_location IS NULL OR NOT opened -> 'at' ? entry_chain THEN
        places := places || jsonb_build_object(entry_chain, entry);
    END IF;
    PERFORM set_config('turnup.audit_open', jsonb_build_object(
        'all', (opened -> 'all') || to_jsonb(entry), 'at', (opened -> 'at') || places)::text, true);
END
$$;

-- Open an entry. These functions run small statements again and again: a plan is made once a session (planning anew
-- took twice as long as sealing), and never reads a growing table from end to end, whatever it held at that time.
CREATE FUNCTION turnup.audit_open(
    entry_id text, entry_chain text, entry_action text, entry_location_id text, entry_request_id text,
    entry_reason text, entry_override_id text, entry_outcome text, entry_code text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
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
    uncovered := coalesce(nullif(current_setting('turnup.audit_open', true), ''), '{}')::jsonb -> 'at' ->> entry_chain;
    DELETE FROM turnup.audit_entry e
    WHERE e.id = uncovered AND e.number IS NULL AND e.chain = entry_chain AND e.action = 'UNCOVERED';
    IF FOUND THEN
        UPDATE turnup.field_change c SET entry_id = audit_open.entry_id WHERE c.entry_id = uncovered;
        PERFORM turnup.audit_remember(entry_id, entry_chain, NULL);
    END IF;
    PERFORM turnup.audit_remember(entry_id, entry_chain, entry_location_id);
END
$$;

-- Number and hash every open entry of this transaction. Chain heads are locked here, one after the other in order,
-- and nothing is locked after them.
CREATE FUNCTION turnup.audit_seal() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    next_chain text;
    head turnup.chain_head;
    entry turnup.audit_entry;
    opened text[] := ARRAY(SELECT jsonb_array_elements_text(
        coalesce(nullif(current_setting('turnup.audit_open', true), ''), '{"all": []}')::jsonb -> 'all'));
BEGIN
    PERFORM set_config('turnup.audit_open', '', true);
    FOR next_chain IN
        SELECT DISTINCT e.chain FROM turnup.audit_entry e
        WHERE e.id = ANY (opened) AND e.number IS NULL AND e.action <> 'UNCOVERED' ORDER BY e.chain
    LOOP
        LOOP
            SELECT * INTO head FROM turnup.chain_head h WHERE h.chain = next_chain FOR UPDATE;
            EXIT WHEN FOUND;
            INSERT INTO turnup.chain_head (chain, number, hash)
            VALUES (next_chain, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
        END LOOP;
        FOR entry IN
            SELECT * FROM turnup.audit_entry e
            WHERE e.id = ANY (opened) AND e.number IS NULL AND e.chain = next_chain AND e.action <> 'UNCOVERED'
            ORDER BY e.ordinal
        LOOP
            IF entry.outcome = 'REFUSED' AND EXISTS (
                SELECT FROM turnup.field_change c WHERE c.entry_id = entry.id AND c.table_name <> 'incident'
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
    places jsonb := coalesce(nullif(current_setting('turnup.audit_open', true), ''), '{}')::jsonb -> 'at';
    found_id text := coalesce(places ->> (row_chain || '/' || row_location), places ->> row_chain);
    system_action text;
BEGIN
    PERFORM FROM turnup.audit_entry e WHERE e.id = found_id AND e.number IS NULL AND e.chain = row_chain;
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
    erasing boolean := coalesce(current_setting('turnup.erasing', true) = 'on' AND turnup.audit_is_system(), false);
    -- Each value's salt comes of it; it is kept nowhere. One draw of randomness a row: a draw costs five times a hash.
    origin bytea := uuid_send(gen_random_uuid());
BEGIN
    INSERT INTO turnup.field_change (entry_id, account_id, location_id, table_name, row_id, field,
                                     before, before_salt, before_hash, after, after_salt, after_hash)
    SELECT entry, row_account, row_location, changed_table, changed_row, d.field,
           CASE WHEN NOT d.withheld AND NOT erasing THEN d.before END,
           CASE WHEN NOT erasing THEN d.before_salt END,
           turnup.audit_salted(d.before_salt, d.before::text),
           CASE WHEN NOT d.withheld THEN d.after END,
           d.after_salt,
           turnup.audit_salted(d.after_salt, d.after::text)
    FROM (
        SELECT f.field, old_row -> f.field AS before, new_row -> f.field AS after,
               changed_table = 'user' AND f.field = 'subject' AS withheld,
               CASE WHEN old_row IS NOT NULL THEN turnup.audit_salt(origin, 'before ' || f.field) END AS before_salt,
               CASE WHEN new_row IS NOT NULL THEN turnup.audit_salt(origin, 'after ' || f.field) END AS after_salt
        FROM jsonb_object_keys(coalesce(new_row, old_row)) AS f (field)
        WHERE coalesce(old_row -> f.field, 'null') <> coalesce(new_row -> f.field, 'null')
        OFFSET 0
    ) d;
END
$$;

-- The row trigger of every tracked table. Its arguments name columns: the account whose chain the row belongs to
-- ('' for the chain `system`), the location ('' for none), then the key.
CREATE FUNCTION turnup.audit_capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan
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
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
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

-- Count a denial or a security event, and enter those whose minute is over.
CREATE FUNCTION turnup.audit_count(
    incident_action text, incident_code text, incident_actor text, incident_request text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO turnup.audit_incident AS i (minute, action, code, actor_id, request_id, first_at)
    VALUES (date_trunc('minute', clock_timestamp()), incident_action, incident_code, incident_actor, incident_request,
            clock_timestamp())
    ON CONFLICT (minute, action, code, actor_id) DO UPDATE SET count = i.count + 1;
    PERFORM turnup.audit_settle();
END
$$;

-- Enter every incident whose minute is over: one entry on the chain `system`, with the count.
CREATE FUNCTION turnup.audit_settle() RETURNS integer
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
        INSERT INTO turnup.audit_entry (id, chain, action, outcome, code, actor_id, actor_role, request_id, occurred_at)
        VALUES (entry, 'system', incident.action, 'REFUSED', incident.code, incident.actor_id,
                (SELECT u.role FROM turnup."user" u WHERE u.id = incident.actor_id),
                incident.request_id, incident.first_at);
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
$$;

-- Enter every row of the tracked tables as it stands, where a trail begins on data that was there before it.
CREATE FUNCTION turnup.audit_baseline() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    tracked record;
    account text;
BEGIN
    PERFORM set_config('turnup.system_action', 'BASELINE', true);
    FOR tracked IN
        SELECT c.relname AS name, string_to_array(encode(t.tgargs, 'escape'), '\000') AS arguments
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE t.tgname = 'audit_capture' AND n.nspname = 'turnup' ORDER BY c.relname
    LOOP
        account := CASE tracked.name WHEN 'account' THEN 'id' ELSE 'account_id' END;
        EXECUTE format(
            'SELECT turnup.audit_write($1, concat_ws(''/'', r ->> $4, r ->> $5), coalesce(r ->> $2, ''system''),'
            ' r ->> $6, r ->> $3, NULL, r) FROM (SELECT to_jsonb(t) AS r FROM turnup.%I t) rows', tracked.name)
        USING tracked.name, tracked.arguments[1], tracked.arguments[2], tracked.arguments[3],
              nullif(tracked.arguments[4], ''), account;
    END LOOP;
    PERFORM turnup.audit_seal(), set_config('turnup.system_action', '', true);
END
$$;

-- Blank what matching changes hold: values and salts go, hashes stay, and an open entry lists each of them.
CREATE FUNCTION turnup.audit_blank(
    blanked_chain text, blanked_location text, blanked_table text, blanked_row text, fields text[]
) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    blanked integer;
BEGIN
    WITH matching AS (
        SELECT c.id, c.entry_id, c.account_id, c.location_id, c.before_salt, c.before_hash, c.after_salt, c.after_hash,
               e.number || '/' || (SELECT count(*) FROM turnup.field_change b
                                   WHERE b.entry_id = c.entry_id AND b.id <= c.id) AS place
        FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
        WHERE c.table_name = blanked_table AND c.row_id = blanked_row AND c.field = ANY (fields)
          AND (blanked_location IS NULL OR c.location_id = blanked_location)
          AND e.chain = blanked_chain AND e.number IS NOT NULL AND coalesce(c.before_salt, c.after_salt) IS NOT NULL
    ), emptied AS (
        UPDATE turnup.field_change c
        SET before = NULL, before_salt = NULL, after = NULL, after_salt = NULL FROM matching m WHERE m.id = c.id
    )
    INSERT INTO turnup.field_change (entry_id, account_id, location_id, table_name, row_id, field, before_hash)
    SELECT turnup.audit_entry_for(blanked_chain, NULL), m.account_id, m.location_id, 'field_change', m.place,
           side.name, side.hash
    FROM matching m
    CROSS JOIN LATERAL (VALUES ('before', m.before_salt, m.before_hash), ('after', m.after_salt, m.after_hash))
         AS side (name, salt, hash)
    WHERE side.salt IS NOT NULL ORDER BY m.id, side.name;
    GET DIAGNOSTICS blanked = ROW_COUNT;
    RETURN blanked;
END
$$;

-- Erase a person from history: a person or contact that was removed from its location, or a user (who is suspended
-- and keeps an empty name). Returns how many values went, how many documents, and the payloads that keep theirs.
CREATE FUNCTION turnup.audit_erase(
    subject_table text, subject_row text, erase_reason text,
    OUT erased_values integer, OUT erased_documents integer, OUT kept_payloads text[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    fields text[] := CASE subject_table
        WHEN 'person' THEN ARRAY['first_name', 'last_name', 'email', 'mobile', 'mobile_e164']
        WHEN 'contact' THEN ARRAY['name', 'email', 'phone', 'e164']
        WHEN 'user' THEN ARRAY['name', 'email', 'subject'] END;
    member text := CASE subject_table WHEN 'person' THEN 'people' WHEN 'contact' THEN 'contacts' END;
    still_there boolean;
    subject_chain text;
    subject_location text;
    needles text[];
    document record;
BEGIN
    erased_values := 0;
    erased_documents := 0;
    kept_payloads := '{}';
    IF fields IS NULL THEN
        RAISE EXCEPTION 'there is nobody to erase in the table %', subject_table USING ERRCODE = 'AU004';
    END IF;
    IF subject_table <> 'user' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM turnup.%I WHERE id = $1)', subject_table)
        INTO still_there USING subject_row;
        IF still_there THEN
            RAISE EXCEPTION '% is still there: remove it from its location first', subject_row USING ERRCODE = 'AU005';
        END IF;
    END IF;
    SELECT e.chain, c.location_id INTO subject_chain, subject_location
    FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
    WHERE c.table_name = subject_table AND c.row_id = subject_row ORDER BY c.id DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the trail knows no % called %', subject_table, subject_row USING ERRCODE = 'AU004';
    END IF;
    PERFORM set_config('turnup.erasing', 'on', true),
            turnup.audit_open('entry_' || replace(gen_random_uuid()::text, '-', ''), subject_chain, 'ERASE',
                              NULL, '', erase_reason, NULL, 'APPLIED', NULL);
    SELECT coalesce(array_agg(DISTINCT v.value::text), '{}') INTO needles
    FROM turnup.field_change c CROSS JOIN LATERAL (VALUES (c.before), (c.after)) AS v (value)
    WHERE c.table_name = subject_table AND c.row_id = subject_row AND c.field = ANY (fields)
      AND jsonb_typeof(v.value) = 'string' AND length(v.value #>> '{}') > 3;
    needles := needles || to_jsonb(subject_row)::text;
    erased_values := turnup.audit_blank(subject_chain, subject_location, subject_table, subject_row, fields);
    IF subject_table = 'user' THEN
        UPDATE turnup."user" u
        SET name = '', email = u.id || '@erased.invalid', subject = 'erased:' || u.id, status = 'SUSPENDED',
            revision = u.revision + 1, updated_at = now()
        WHERE u.id = subject_row;
    END IF;
    IF member IS NOT NULL THEN
        -- What approvals remember of the person goes; that there was somebody stays.
        FOR document IN
            SELECT a.id, a.content #> ARRAY[member, subject_row] AS remembered FROM turnup.approval a
            WHERE a.location_id = subject_location AND EXISTS (
                SELECT FROM jsonb_each(a.content #> ARRAY[member, subject_row]) k
                WHERE jsonb_typeof(k.value) = 'string' AND k.key <> 'purpose')
            ORDER BY a.id FOR UPDATE
        LOOP
            erased_values := erased_values
                + turnup.audit_blank(subject_chain, subject_location, 'approval', document.id,
                                     ARRAY['content']);
            UPDATE turnup.approval a
            SET content = jsonb_set(a.content, ARRAY[member, subject_row], (
                SELECT jsonb_object_agg(k.key, CASE WHEN jsonb_typeof(k.value) = 'string' AND k.key <> 'purpose'
                                                    THEN 'null'::jsonb ELSE k.value END)
                FROM jsonb_each(document.remembered) k))
            WHERE a.id = document.id;
        END LOOP;
        FOR document IN
            SELECT p.id, p.state IN ('GENERATED', 'RELEASED') OR l.live_payload_id IS NOT DISTINCT FROM p.id AS kept
            FROM turnup.provisioning_payload p JOIN turnup.location l ON l.id = p.location_id
            WHERE p.location_id = subject_location
              AND EXISTS (SELECT FROM unnest(needles) n WHERE position(n IN p.document) > 0)
            ORDER BY p.id FOR UPDATE OF p
        LOOP
            IF document.kept THEN
                kept_payloads := kept_payloads || document.id;
                CONTINUE;
            END IF;
            erased_values := erased_values
                + turnup.audit_blank(subject_chain, subject_location, 'provisioning_payload',
                                     document.id, ARRAY['document']);
            UPDATE turnup.provisioning_payload p SET document = '{"erased": true}' WHERE p.id = document.id;
            erased_documents := erased_documents + 1;
        END LOOP;
    END IF;
    PERFORM turnup.audit_seal(), set_config('turnup.erasing', '', true);
END
$$;

-- Erase the reason that somebody wrote into an entry.
CREATE FUNCTION turnup.audit_erase_reason(erased_entry text, erase_reason text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    entry turnup.audit_entry;
BEGIN
    SELECT * INTO entry FROM turnup.audit_entry e
    WHERE e.id = erased_entry AND e.number IS NOT NULL AND e.reason IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the entry % holds no reason', erased_entry USING ERRCODE = 'AU004';
    END IF;
    PERFORM turnup.audit_open('entry_' || replace(gen_random_uuid()::text, '-', ''), entry.chain, 'ERASE',
                              NULL, '', erase_reason, NULL, 'APPLIED', NULL);
    UPDATE turnup.audit_entry e SET reason = NULL, reason_salt = NULL WHERE e.id = erased_entry;
    INSERT INTO turnup.field_change (entry_id, account_id, table_name, row_id, field, before_hash)
    VALUES (turnup.audit_entry_for(entry.chain, NULL), entry.account_id, 'audit_entry', entry.number::text, 'reason',
            entry.reason_hash);
    PERFORM turnup.audit_seal();
END
$$;
