-- Statements end with a semicolon and an empty line, and have no empty line inside. The definer runs them.

DROP FUNCTION turnup.claimed_elsewhere(text), turnup.last_rejection(text);

-- The holder of a MAC address as leads see it; NULL for everybody else.
CREATE FUNCTION turnup.shown_holder(holder text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('location_id', l.id, 'location_name', l.name, 'account_name', a.name)
    FROM turnup.location l JOIN turnup.account a ON a.id = l.account_id
    WHERE l.id = holder AND current_setting('turnup.role', true) = 'IMPLEMENTATION_LEAD'
$$;

-- The addresses of the devices of locations that other locations hold: by a claim or, where two live payloads name an
-- address, by the other payload. Customers see that an address is taken, but not by whom.
CREATE FUNCTION turnup.claimed_elsewhere(asking text[]) RETURNS TABLE (location_id text, mac text, holder jsonb)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
    WITH own AS MATERIALIZED (
        SELECT d.location_id, d.mac_address AS mac, c.location_id AS holder
        FROM turnup.device d
        LEFT JOIN turnup.mac_claim c ON c.mac = d.mac_address
        WHERE d.location_id = ANY (asking) AND d.mac_address IS NOT NULL
    ), unclaimed AS MATERIALIZED (
        -- All addresses at once: one search of the index.
        SELECT array_agg(o.mac) AS macs FROM own o WHERE o.holder IS NULL
    ), held AS (
        SELECT o.location_id, o.mac, o.holder FROM own o WHERE o.holder <> o.location_id
        UNION ALL
        SELECT o.location_id, o.mac, p.location_id
        FROM unclaimed u
        JOIN turnup.provisioning_payload p ON p.live AND NOT p.test AND turnup.macs_of(p.document) && u.macs
        CROSS JOIN LATERAL unnest(turnup.macs_of(p.document)) AS m (mac)
        JOIN own o ON o.mac = m.mac AND o.holder IS NULL AND o.location_id <> p.location_id
    )
    SELECT DISTINCT ON (h.location_id, h.mac) h.location_id, h.mac, turnup.shown_holder(h.holder)
    FROM held h JOIN turnup.location l ON l.id = h.location_id AND NOT l.test
    ORDER BY h.location_id, h.mac, h.holder
$$;

-- Of pairs of an address and a location, those that a live payload of another location names.
CREATE FUNCTION turnup.live_elsewhere(macs text[], locations text[]) RETURNS TABLE (mac text, location_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.mac, c.location_id FROM unnest(macs, locations) AS c (mac, location_id)
    WHERE EXISTS (SELECT FROM turnup.provisioning_payload p
                  WHERE p.live AND NOT p.test AND turnup.macs_of(p.document) @> ARRAY[c.mac]
                    AND p.location_id <> c.location_id)
$$;

-- The locations that hold addresses, for leads; nothing for everybody else. A claim counts before a live payload.
CREATE FUNCTION turnup.mac_holders(macs text[]) RETURNS TABLE (mac text, holder jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT ON (h.mac) h.mac, s.holder
    FROM (
        SELECT c.mac, c.location_id, 1 AS rank FROM turnup.mac_claim c WHERE c.mac = ANY (macs)
        UNION ALL
        SELECT m.mac, p.location_id, 2
        FROM unnest(macs) AS m (mac) JOIN turnup.provisioning_payload p
          ON p.live AND NOT p.test AND turnup.macs_of(p.document) @> ARRAY[m.mac]
    ) h
    CROSS JOIN LATERAL turnup.shown_holder(h.location_id) AS s (holder)
    WHERE s.holder IS NOT NULL
    ORDER BY h.mac, h.rank, h.location_id
$$;

-- The facts that a decision about a location needs and that the caller cannot read itself: a partner sees only its own
-- recipient, and no devices; customers see no receipts. The caller asks for locations that it sees.
-- `handed_off`: `macs` are the addresses of the live payloads and, where the decision can make it live, of the payload
-- that was released last: parsing documents takes as long as all other searches. `taken` are the addresses of that
-- payload that other locations hold. The recipients are those of the newest 100 payloads, as in the aggregate, and those
-- that have a payload in operation.
-- `partners` are those to whom a payload would be released: those that a lead chose, or else all active ones with access
-- to the account. `available` says whether the partner could answer. Versions are empty if all are accepted.
-- One call reads any number of locations: calling a function costs as much as several of its searches.
CREATE FUNCTION turnup.decision_facts(asking text[], to_write boolean) RETURNS TABLE (
    location_id text, rejection json, handed_off json, partners json, claimed_elsewhere json
)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
    WITH claimed AS MATERIALIZED (
        SELECT c.location_id, json_object_agg(c.mac, c.holder) AS holders
        FROM turnup.claimed_elsewhere(asking) c GROUP BY c.location_id
    ), invited AS MATERIALIZED (
        SELECT o.account_id, (
            SELECT json_agg(json_build_object(
                       'user_id', u.id, 'name', u.name, 'purpose', 'OTHER', 'required', true, 'available', true,
                       'versions', ARRAY(SELECT v.version FROM turnup.accepted_version v WHERE v.user_id = u.id)
                   ) ORDER BY u.id)
            FROM turnup."grant" g JOIN turnup."user" u ON u.id = g.user_id
            WHERE g.account_id = o.account_id AND u.role = 'PARTNER' AND u.status = 'ACTIVE') AS partners
        FROM (SELECT DISTINCT l.account_id FROM turnup.location l WHERE l.id = ANY (asking)) o
    )
    SELECT
        l.id,
        CASE WHEN p.newest IS NOT NULL THEN (
            SELECT json_build_object('content_digest', q.content_digest, 'reasons', a.reasons)
            FROM turnup.provisioning_payload q JOIN turnup.receipt a ON a.payload_id = q.id AND a.kind = 'REJECTED'
            WHERE q.location_id = l.id ORDER BY a.received_at DESC, a.id DESC LIMIT 1) END,
        json_build_object(
            'recipients', CASE WHEN p.newest IS NULL THEN '[]' ELSE (
                SELECT coalesce(json_agg(json_build_object(
                           'id', r.id, 'payload_id', r.payload_id, 'user_id', r.user_id, 'required', r.required,
                           'live', r.live, 'waived_at', r.waived_at, 'decommissioned_at', r.decommissioned_at,
                           'receipt_id', a.id, 'answer', a.kind, 'answered_at', a.received_at) ORDER BY r.id), '[]')
                FROM turnup.payload_recipient r
                LEFT JOIN turnup.receipt a ON a.payload_id = r.payload_id AND a.received_by = r.user_id
                WHERE r.location_id = l.id AND (r.live OR p.newest <= 100 OR p.newest - 100 < (
                    SELECT q.sequence FROM turnup.provisioning_payload q WHERE q.id = r.payload_id))) END,
            'macs', coalesce(p.macs, '{}'),
            'live', coalesce(to_json(p.live), '[]'),
            'taken', CASE WHEN p.idle IS NULL THEN '[]' ELSE (
                SELECT coalesce(json_agg(c.mac), '[]') FROM turnup.mac_claim c
                WHERE c.mac = ANY (string_to_array(p.idle, ',')) AND c.location_id <> l.id) END,
            'live_twice', CASE WHEN p.running IS NULL THEN '{}' ELSE (
                SELECT coalesce(json_object_agg(t.mac, t.holder), '{}')
                FROM (
                    SELECT DISTINCT ON (m.mac) m.mac, turnup.shown_holder(q.location_id) AS holder
                    FROM turnup.provisioning_payload q
                    CROSS JOIN LATERAL unnest(turnup.macs_of(q.document)) AS m (mac)
                    WHERE q.live AND NOT q.test AND turnup.macs_of(q.document) && string_to_array(p.running, ',')
                      AND q.location_id <> l.id AND m.mac = ANY (string_to_array(p.running, ','))
                    ORDER BY m.mac, q.location_id
                ) t) END,
            'content_macs', (
                SELECT coalesce(json_agg(d.mac_address), '[]')
                FROM turnup.device d WHERE d.location_id = l.id AND d.mac_address IS NOT NULL)),
        coalesce((
            SELECT json_agg(json_build_object(
                       'user_id', u.id, 'name', u.name, 'purpose', c.purpose, 'required', c.required,
                       'available', u.role = 'PARTNER' AND u.status = 'ACTIVE' AND EXISTS (
                           SELECT FROM turnup."grant" g WHERE g.user_id = u.id AND g.account_id = l.account_id),
                       'versions', ARRAY(SELECT v.version FROM turnup.accepted_version v WHERE v.user_id = u.id)
                   ) ORDER BY u.id)
            FROM turnup.location_partner c JOIN turnup."user" u ON u.id = c.user_id
            WHERE c.location_id = l.id), i.partners, '[]'),
        coalesce(c.holders, '{}')
    FROM turnup.location l
    JOIN invited i ON i.account_id = l.account_id
    LEFT JOIN claimed c ON c.location_id = l.id
    CROSS JOIN LATERAL (
        SELECT max(e.sequence) AS newest,
               json_object_agg(e.id, e.macs) FILTER (WHERE e.macs IS NOT NULL) AS macs,
               array_agg(e.id) FILTER (WHERE e.live) AS live,
               string_agg(array_to_string(e.macs, ','), ',') FILTER (WHERE e.live AND NOT e.test) AS running,
               string_agg(array_to_string(e.macs, ','), ',') FILTER (WHERE NOT e.live AND NOT e.test) AS idle
        FROM (
            SELECT w.id, w.sequence, w.live, w.test,
                   CASE WHEN w.live OR w.state = 'RELEASED' OR (
                            w.sequence = w.released AND (to_write OR l.status IN ('PROVISIONING', 'COMPLETED')))
                        THEN turnup.macs_of(w.document) END AS macs
            FROM (
                SELECT q.id, q.sequence, q.state, q.live, q.test, q.document,
                       max(q.sequence) FILTER (WHERE q.released_at IS NOT NULL) OVER () AS released
                FROM turnup.provisioning_payload q WHERE q.location_id = l.id OFFSET 0
            ) w OFFSET 0
        ) e
    ) p
    WHERE l.id = ANY (asking)
$$;

-- As in 0007_erasure.sql, but a payload is in use as long as it is live for a recipient, and recipients find the erasure
-- by `updated_at`.
CREATE OR REPLACE FUNCTION turnup.audit_blank_unused(
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
        WHERE d.location_id = due_location AND p.state NOT IN ('GENERATED', 'RELEASED') AND NOT p.live
        ORDER BY p.id
    LOOP
        blanked_values := blanked_values
            + turnup.audit_blank(due_chain, due_location, 'provisioning_payload', due, ARRAY['document']);
        UPDATE turnup.provisioning_payload p SET document = '{"erased": true}', updated_at = clock_timestamp()
        WHERE p.id = due;
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

-- As in 0007_erasure.sql, but a payload is in use as long as it is live for a recipient.
CREATE OR REPLACE FUNCTION turnup.audit_erase_due(most integer) RETURNS integer
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
            WHERE p.state NOT IN ('GENERATED', 'RELEASED') AND NOT p.live
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

-- As in 0007_erasure.sql, with the copies of reasons that this revision adds, and with the messages of rejections.
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
    SELECT * INTO entry FROM turnup.audit_entry e WHERE e.id = erased_entry AND e.number IS NOT NULL FOR UPDATE;
    copies := ARRAY(
        SELECT c FROM turnup.field_change c
        WHERE c.entry_id = entry.id AND (
            (jsonb_typeof(c.after) = 'string' AND (c.table_name, c.field) IN (
                ('override', 'reason'), ('approval', 'comment'), ('provisioning_payload', 'withdrawn_reason'),
                ('status_change', 'reason'), ('status_change', 'reason_for_customer'),
                ('status_change', 'reason_for_partner'), ('payload_recipient', 'waived_reason'),
                ('payload_recipient', 'decommission_reason')))
            OR ((c.table_name, c.field) = ('receipt', 'reasons') AND c.after <> '[]'))
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
        IF copied.table_name = 'receipt' THEN
            UPDATE turnup.receipt r
            SET reasons = (SELECT jsonb_agg(m.reason || '{"message": "ERASED"}' ORDER BY m.place)
                           FROM jsonb_array_elements(r.reasons) WITH ORDINALITY AS m (reason, place))
            WHERE r.id = copied.row_id;
        ELSE
            EXECUTE format('UPDATE turnup.%I SET %I = ''ERASED'' WHERE id = $1 AND %2$I = $2',
                           copied.table_name, copied.field)
            USING copied.row_id, copied.after #>> '{}';
        END IF;
    END LOOP;
    PERFORM turnup.audit_seal(), set_config('turnup.erasing', '', true);
END
$$;
