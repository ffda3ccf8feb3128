-- Statements end with a semicolon and an empty line, and have no empty line inside.

-- What `turnup audit replay --keep` left holds the values; one that runs now is waited for, and gone when it ends.
CREATE FUNCTION turnup.audit_drop_replay() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('turnup_replay', 0));
    DROP SCHEMA IF EXISTS turnup_replay CASCADE;
END
$$;

-- Forget the answers kept for repeated calls that name one of these ids: they can quote what a rule found wrong, and
-- their fingerprints are hashes of what was sent. An id has no character that JSON writes otherwise.
CREATE FUNCTION turnup.audit_forget_answers(named text[]) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM turnup.idempotency_key k
    WHERE EXISTS (SELECT FROM unnest(named) AS n (id) WHERE position('"' || n.id || '"' IN k.outcome::text) > 0)
       OR k.user_id = ANY (named)
$$;

-- Blank the documents of a location that are due and out of use: for good, as nothing brings one back into use. The
-- location is locked and an ERASE entry is open.
CREATE FUNCTION turnup.audit_blank_unused(
    due_chain text, due_location text, OUT blanked_values integer, OUT blanked_documents integer
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due text;
BEGIN
    blanked_values := 0;
    blanked_documents := 0;
    FOR due IN
        SELECT p.id
        FROM turnup.erasure_due d
        JOIN turnup.provisioning_payload p ON p.id = d.payload_id
        JOIN turnup.location l ON l.id = p.location_id
        WHERE d.location_id = due_location AND p.state NOT IN ('GENERATED', 'RELEASED')
          AND l.live_payload_id IS DISTINCT FROM p.id
        ORDER BY p.id
    LOOP
        blanked_values := blanked_values
            + turnup.audit_blank(due_chain, due_location, 'provisioning_payload', due, ARRAY['document']);
        UPDATE turnup.provisioning_payload p SET document = '{"erased": true}' WHERE p.id = due;
        -- The entry lists what goes, and keeps none of it: that of a server's housekeeping either, whose changes are
        -- captured as any other's.
        UPDATE turnup.field_change c SET before = NULL, before_salt = NULL
        FROM turnup.audit_entry e
        WHERE e.id = c.entry_id AND e.number IS NULL AND c.location_id = due_location
          AND c.table_name = 'provisioning_payload' AND c.row_id = due AND c.field = 'document';
        DELETE FROM turnup.erasure_due d WHERE d.location_id = due_location AND d.payload_id = due;
        blanked_documents := blanked_documents + 1;
    END LOOP;
END
$$;

-- Blank what is due and has left use, at most so many locations of it; returns how many documents went. Servers call
-- it now and then.
CREATE FUNCTION turnup.audit_erase_due(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    place record;
    entry text;
    blanked integer := 0;
BEGIN
    -- What the caller opened covers nothing of this, and is not sealed with it.
    PERFORM set_config('turnup.audit_open', '', true);
    FOR place IN
        SELECT l.id, l.account_id FROM turnup.location l
        WHERE l.id IN (
            SELECT d.location_id
            FROM turnup.erasure_due d
            JOIN turnup.provisioning_payload p ON p.id = d.payload_id
            JOIN turnup.location h ON h.id = p.location_id
            WHERE p.state NOT IN ('GENERATED', 'RELEASED') AND h.live_payload_id IS DISTINCT FROM p.id
        )
        ORDER BY l.id LIMIT least(most, 100) FOR UPDATE SKIP LOCKED
    LOOP
        entry := 'entry_' || replace(gen_random_uuid()::text, '-', '');
        INSERT INTO turnup.audit_entry (id, chain, account_id, action, outcome)
        VALUES (entry, place.account_id, place.account_id, 'ERASE', 'APPLIED');
        PERFORM turnup.audit_remember(entry, place.account_id, NULL);
        blanked := blanked
            + (SELECT b.blanked_documents FROM turnup.audit_blank_unused(place.account_id, place.id) b);
    END LOOP;
    IF blanked > 0 THEN
        PERFORM turnup.audit_seal();
    END IF;
    RETURN blanked;
END
$$;

-- Erase a person from history: a person or contact that was removed from its location, or a user (who is suspended
-- and keeps an empty name). Returns how many values went, how many documents, and the payloads that keep theirs until
-- they are out of use.
CREATE OR REPLACE FUNCTION turnup.audit_erase(
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
    held text[];
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
    PERFORM turnup.audit_drop_replay();
    -- No payload of it comes into use, or leaves it, and no answer about it is kept meanwhile.
    PERFORM FROM turnup.location l WHERE l.id = subject_location FOR UPDATE;
    PERFORM set_config('turnup.erasing', 'on', true),
            turnup.audit_open('entry_' || replace(gen_random_uuid()::text, '-', ''), subject_chain, 'ERASE',
                              NULL, '', erase_reason, NULL, 'APPLIED', NULL);
    erased_values := turnup.audit_blank(subject_chain, subject_location, subject_table, subject_row, fields);
    PERFORM turnup.audit_forget_answers(array_remove(ARRAY[subject_row, subject_location], NULL));
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
        -- A document holds whom the location had when it was made, and nobody else: who was removed next, or came last,
        -- was there. What the document says is not searched; one that the trail has no beginning of is taken to hold
        -- the person.
        WITH presence AS (
            SELECT c.id AS change, c.after_hash IS NOT NULL AS came
            FROM turnup.field_change c
            WHERE c.location_id = subject_location AND c.table_name = subject_table AND c.row_id = subject_row
              AND c.field = 'id'
        ), made AS (
            SELECT c.row_id AS payload, min(c.id) AS change
            FROM turnup.field_change c
            WHERE c.location_id = subject_location AND c.table_name = 'provisioning_payload' AND c.field = 'id'
            GROUP BY c.row_id
        )
        SELECT coalesce(array_agg(p.id ORDER BY p.id), '{}') INTO held
        FROM turnup.provisioning_payload p LEFT JOIN made m ON m.payload = p.id
        WHERE p.location_id = subject_location AND p.document <> '{"erased": true}' AND coalesce(
            (SELECT NOT s.came FROM presence s WHERE s.change > m.change ORDER BY s.change LIMIT 1),
            (SELECT s.came FROM presence s WHERE s.change < m.change ORDER BY s.change DESC LIMIT 1),
            true);
        INSERT INTO turnup.erasure_due (location_id, payload_id)
        SELECT subject_location, h.id FROM unnest(held) AS h (id) ON CONFLICT DO NOTHING;
        SELECT erased_values + b.blanked_values, b.blanked_documents INTO erased_values, erased_documents
        FROM turnup.audit_blank_unused(subject_chain, subject_location) b;
        kept_payloads := ARRAY(SELECT d.payload_id FROM turnup.erasure_due d
                               WHERE d.location_id = subject_location AND d.payload_id = ANY (held)
                               ORDER BY d.payload_id);
    END IF;
    PERFORM turnup.audit_seal(), set_config('turnup.erasing', '', true);
END
$$;

-- Erase the reason that somebody wrote into an entry, and what the entry's rows say of it in the same words: the
-- override's reason, the approval's comment, why payloads were withdrawn.
CREATE OR REPLACE FUNCTION turnup.audit_erase_reason(erased_entry text, erase_reason text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    entry turnup.audit_entry;
    copies turnup.field_change[];
    copied turnup.field_change;
BEGIN
    PERFORM turnup.audit_drop_replay();
    SELECT * INTO entry FROM turnup.audit_entry e
    WHERE e.id = erased_entry AND e.number IS NOT NULL AND e.reason_hash IS NOT NULL FOR UPDATE;
    copies := ARRAY(
        SELECT c FROM turnup.field_change c
        WHERE c.entry_id = entry.id AND jsonb_typeof(c.after) = 'string' AND (c.table_name, c.field) IN (
            ('override', 'reason'), ('approval', 'comment'), ('provisioning_payload', 'withdrawn_reason'))
        ORDER BY c.id);
    IF entry.reason IS NULL AND cardinality(copies) = 0 THEN
        RAISE EXCEPTION 'the entry % holds no reason', erased_entry USING ERRCODE = 'AU004';
    END IF;
    PERFORM set_config('turnup.erasing', 'on', true),
            turnup.audit_open('entry_' || replace(gen_random_uuid()::text, '-', ''), entry.chain, 'ERASE',
                              NULL, '', erase_reason, NULL, 'APPLIED', NULL),
            turnup.audit_forget_answers(ARRAY[coalesce(entry.location_id, entry.actor_id)]);
    IF entry.reason IS NOT NULL THEN
        UPDATE turnup.audit_entry e SET reason = NULL, reason_salt = NULL WHERE e.id = erased_entry;
        INSERT INTO turnup.field_change (entry_id, account_id, table_name, row_id, field, before_hash)
        VALUES (turnup.audit_entry_for(entry.chain, NULL), entry.account_id, 'audit_entry', entry.number::text,
                'reason', entry.reason_hash);
    END IF;
    FOREACH copied IN ARRAY copies LOOP
        PERFORM turnup.audit_blank(entry.chain, copied.location_id, copied.table_name, copied.row_id,
                                   ARRAY[copied.field]);
        EXECUTE format('UPDATE turnup.%I SET %I = ''ERASED'' WHERE id = $1 AND %2$I = $2',
                       copied.table_name, copied.field)
        USING copied.row_id, copied.after #>> '{}';
    END LOOP;
    PERFORM turnup.audit_seal(), set_config('turnup.erasing', '', true);
END
$$;
