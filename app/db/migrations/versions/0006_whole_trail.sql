-- Statements end with a semicolon and an empty line, and have no empty line inside.

-- Values are compared as the texts that the trail keeps: to jsonb 4 and 4.00 are equal. As in 0002_audit.sql otherwise.
CREATE OR REPLACE FUNCTION turnup.audit_write(
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
        WHERE coalesce((old_row -> f.field)::text, 'null') <> coalesce((new_row -> f.field)::text, 'null')
        OFFSET 0
    ) d;
END
$$;

-- As in 0005_statements.sql, but for the comparison.
CREATE OR REPLACE FUNCTION turnup.audit_write_many(
    changed_table text, chain_column text, location_column text, key_columns text[], old_rows jsonb[], new_rows jsonb[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    account_column text := CASE changed_table WHEN 'account' THEN 'id' ELSE 'account_id' END;
    open_at jsonb := coalesce(nullif(current_setting('turnup.audit_open', true), ''), '{}')::jsonb -> 'at';
    erasing boolean := coalesce(current_setting('turnup.erasing', true) = 'on' AND turnup.audit_is_system(), false);
    entries jsonb;
BEGIN
    -- The open entry of each place: its location's, else its chain's; else what audit_entry_for decides.
    SELECT jsonb_object_agg(p.chain || '/' || coalesce(p.location, ''),
                            coalesce(e.id, turnup.audit_entry_for(p.chain, p.location)))
    INTO entries
    FROM (
        SELECT DISTINCT coalesce(r.any_row ->> chain_column, 'system') AS chain, r.any_row ->> location_column AS location
        FROM (SELECT coalesce(c.new_row, c.old_row) AS any_row
              FROM unnest(old_rows, new_rows) AS c (old_row, new_row)) r
    ) p
    LEFT JOIN turnup.audit_entry e
           ON e.id = coalesce(open_at ->> (p.chain || '/' || p.location), open_at ->> p.chain)
          AND e.number IS NULL AND e.chain = p.chain AND coalesce(e.location_id = p.location, true);
    -- A column that is null in a row that comes or goes is not written. OFFSET 0 keeps what is asked for more than once
    -- from being computed as often.
    INSERT INTO turnup.field_change (entry_id, account_id, location_id, table_name, row_id, field,
                                     before, before_salt, before_hash, after, after_salt, after_hash)
    SELECT d.entry, d.account, d.location, changed_table, d.row_id, d.field,
           CASE WHEN NOT d.withheld AND NOT erasing THEN d.before END,
           CASE WHEN NOT erasing THEN d.before_salt END,
           turnup.audit_salted(d.before_salt, d.before::text),
           CASE WHEN NOT d.withheld THEN d.after END,
           d.after_salt,
           turnup.audit_salted(d.after_salt, d.after::text)
    FROM (
        SELECT r.place, r.entry, r.account, r.location, r.row_id, f.field,
               r.old_row -> f.field AS before, r.new_row -> f.field AS after,
               changed_table = 'user' AND f.field = 'subject' AS withheld,
               CASE WHEN r.old_row IS NOT NULL THEN turnup.audit_salt(r.origin, 'before ' || f.field) END AS before_salt,
               CASE WHEN r.new_row IS NOT NULL THEN turnup.audit_salt(r.origin, 'after ' || f.field) END AS after_salt
        FROM (
            SELECT c.place, c.old_row, c.new_row, a.any_row,
                   a.any_row ->> account_column AS account, a.any_row ->> location_column AS location,
                   concat_ws('/', a.any_row ->> key_columns[1], a.any_row ->> key_columns[2]) AS row_id,
                   entries ->> (coalesce(a.any_row ->> chain_column, 'system') || '/'
                                || coalesce(a.any_row ->> location_column, '')) AS entry,
                   -- Each value's salt comes of it; it is kept nowhere. One draw of randomness a row: a draw costs
                   -- five times a hash.
                   uuid_send(gen_random_uuid()) AS origin
            FROM unnest(old_rows, new_rows) WITH ORDINALITY AS c (old_row, new_row, place)
            CROSS JOIN LATERAL (SELECT coalesce(c.new_row, c.old_row) AS any_row) a
            OFFSET 0
        ) r
        CROSS JOIN LATERAL jsonb_object_keys(r.any_row) AS f (field)
        WHERE coalesce((r.old_row -> f.field)::text, 'null') <> coalesce((r.new_row -> f.field)::text, 'null')
        OFFSET 0
    ) d
    ORDER BY d.place;
END
$$;

-- As in 0005_statements.sql, but for the comparison: rows that differ in nothing are no change, and need no entry.
CREATE OR REPLACE FUNCTION turnup.audit_capture_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    old_rows jsonb[];
    new_rows jsonb[];
    any_row jsonb;
    is_one_row boolean;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        SELECT array_agg(to_jsonb(w)) INTO old_rows FROM went w;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT array_agg(to_jsonb(c)) INTO new_rows FROM came c;
    END IF;
    any_row := coalesce(new_rows[1], old_rows[1]);
    is_one_row := coalesce(cardinality(old_rows), 1) = 1 AND coalesce(cardinality(new_rows), 1) = 1;
    IF TG_OP = 'UPDATE' AND NOT (is_one_row AND (
        (old_rows[1] -> TG_ARGV[0], old_rows[1] -> TG_ARGV[1], old_rows[1] -> TG_ARGV[2], old_rows[1] -> TG_ARGV[3])
        IS NOT DISTINCT FROM
        (new_rows[1] -> TG_ARGV[0], new_rows[1] -> TG_ARGV[1], new_rows[1] -> TG_ARGV[2], new_rows[1] -> TG_ARGV[3])
    )) THEN
        -- A row that moves, or gets another key, leaves one place and then comes to another.
        is_one_row := false;
        SELECT array_agg(o.held ORDER BY n.held IS NOT NULL), array_agg(n.held ORDER BY n.held IS NOT NULL)
        INTO old_rows, new_rows
        FROM unnest(old_rows) AS o (held)
        FULL JOIN unnest(new_rows) AS n (held)
          ON concat_ws('/', o.held ->> TG_ARGV[2], o.held ->> TG_ARGV[3])
             = concat_ws('/', n.held ->> TG_ARGV[2], n.held ->> TG_ARGV[3])
         AND coalesce(o.held ->> TG_ARGV[0], '') = coalesce(n.held ->> TG_ARGV[0], '')
         AND coalesce(o.held ->> TG_ARGV[1], '') = coalesce(n.held ->> TG_ARGV[1], '')
        WHERE o.held::text IS DISTINCT FROM n.held::text;
    END IF;
    IF TG_TABLE_NAME = 'account' AND EXISTS (
        SELECT FROM unnest(new_rows) AS n (held) WHERE n.held ->> 'id' = 'system'
    ) THEN
        RAISE EXCEPTION 'no account may be called system: the chain of that name is not an account''s'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'audit_account_is_not_system';
    END IF;
    IF any_row IS NULL OR coalesce(old_rows, new_rows) IS NULL
       OR is_one_row AND old_rows[1]::text = new_rows[1]::text THEN
        RETURN NULL;
    END IF;
    IF is_one_row THEN
        PERFORM turnup.audit_write(
            TG_TABLE_NAME, concat_ws('/', any_row ->> TG_ARGV[2], any_row ->> TG_ARGV[3]),
            coalesce(any_row ->> TG_ARGV[0], 'system'),
            any_row ->> CASE TG_TABLE_NAME WHEN 'account' THEN 'id' ELSE 'account_id' END,
            any_row ->> TG_ARGV[1], old_rows[1], new_rows[1]);
    ELSE
        PERFORM turnup.audit_write_many(
            TG_TABLE_NAME, TG_ARGV[0], TG_ARGV[1], ARRAY[TG_ARGV[2], TG_ARGV[3]], old_rows, new_rows);
    END IF;
    RETURN NULL;
END
$$;

-- As in 0002_audit.sql, but an entry that is not the system's stands where it belongs: on `system` without a location,
-- or on the chain of an account that is there, with a location of it or none. What the entry itself tells the removal of
-- was there. It is asked now, not when the entry is opened: createAccount and createLocation open theirs first.
CREATE OR REPLACE FUNCTION turnup.audit_seal() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    next_chain text;
    head turnup.chain_head;
    entry turnup.audit_entry;
    is_system boolean := turnup.audit_is_system();
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
            IF NOT is_system AND NOT (CASE WHEN entry.chain = 'system' THEN entry.location_id IS NULL ELSE
                (EXISTS (SELECT FROM turnup.account a WHERE a.id = entry.chain)
                 OR EXISTS (SELECT FROM turnup.field_change c
                            WHERE c.entry_id = entry.id AND c.table_name = 'account' AND c.row_id = entry.chain))
                AND (entry.location_id IS NULL
                     OR EXISTS (SELECT FROM turnup.location l
                                WHERE l.id = entry.location_id AND l.account_id = entry.chain)
                     OR EXISTS (SELECT FROM turnup.field_change c
                                WHERE c.entry_id = entry.id AND c.table_name = 'location'
                                  AND c.row_id = entry.location_id))
            END) THEN
                RAISE EXCEPTION 'entry % names an account that is not there, or a location that is not of it', entry.id
                    USING ERRCODE = 'AU007', CONSTRAINT = 'audit_out_of_place';
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

-- As in 0002_audit.sql, but of users alone, and no longer than what is worth reading.
CREATE OR REPLACE FUNCTION turnup.audit_count(
    incident_action text, incident_code text, incident_actor text, incident_request text
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF char_length(incident_code) > 200 OR char_length(incident_request) > 200
       OR NOT EXISTS (SELECT FROM turnup."user" u WHERE u.id = incident_actor) THEN
        RAISE EXCEPTION 'what is counted is of a user, with a code and a request id of at most 200 characters'
            USING ERRCODE = 'AU008', CONSTRAINT = 'audit_counted_of_a_user';
    END IF;
    INSERT INTO turnup.audit_incident AS i (minute, action, code, actor_id, request_id, first_at)
    VALUES (date_trunc('minute', clock_timestamp()), incident_action, incident_code, incident_actor, incident_request,
            clock_timestamp())
    ON CONFLICT (minute, action, code, actor_id) DO UPDATE SET count = i.count + 1;
    PERFORM turnup.audit_settle();
END
$$;
