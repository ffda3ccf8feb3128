-- Statements end with a semicolon and an empty line, and have no empty line inside. The definer runs them.

DROP FUNCTION turnup.claimed_elsewhere(text);

-- The holder of a MAC address as leads see it; NULL for everybody else.
CREATE FUNCTION turnup.shown_holder(holder text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('location_id', l.id, 'location_name', l.name, 'account_name', a.name)
    FROM turnup.location l JOIN turnup.account a ON a.id = l.account_id
    WHERE l.id = holder AND current_setting('turnup.role', true) = 'IMPLEMENTATION_LEAD'
$$;

-- The addresses of a location's devices that other locations hold: by a claim or, where two live payloads name an
-- address, by the other payload. Customers see that an address is taken, but not by whom.
CREATE FUNCTION turnup.claimed_elsewhere(asking text) RETURNS TABLE (mac text, holder jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH own AS MATERIALIZED (
        SELECT DISTINCT d.mac_address AS mac, c.location_id AS holder
        FROM turnup.device d JOIN turnup.location l ON l.id = d.location_id
        LEFT JOIN turnup.mac_claim c ON c.mac = d.mac_address
        WHERE d.location_id = asking AND d.mac_address IS NOT NULL AND NOT l.test
    ), unclaimed AS MATERIALIZED (
        -- All addresses at once: one search of the index.
        SELECT array_agg(o.mac) AS macs FROM own o WHERE o.holder IS NULL
    )
    SELECT DISTINCT ON (h.mac) h.mac, turnup.shown_holder(h.location_id)
    FROM (
        SELECT o.mac, o.holder AS location_id FROM own o WHERE o.holder <> asking
        UNION ALL
        SELECT m.mac, p.location_id
        FROM unclaimed u
        JOIN turnup.provisioning_payload p
          ON p.live AND NOT p.test AND turnup.macs_of(p.document) && u.macs AND p.location_id <> asking
        CROSS JOIN LATERAL unnest(turnup.macs_of(p.document)) AS m (mac)
        WHERE m.mac = ANY (u.macs)
    ) h
    ORDER BY h.mac, h.location_id
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

-- What a decision about a location's payloads needs, whoever makes it: a partner sees only its own recipient, and no
-- devices. `macs` are the addresses of the payloads that are live or can become live. The recipients are those of the
-- newest 100 payloads, as in the aggregate, and those that have a payload in operation.
CREATE FUNCTION turnup.handed_off(asking text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH payloads AS MATERIALIZED (
        SELECT p.id, p.live, p.test, turnup.macs_of(p.document) AS macs
        FROM turnup.provisioning_payload p
        WHERE p.location_id = asking AND (p.live OR p.state = 'RELEASED'
                                          OR (p.state = 'ACKNOWLEDGED' AND p.superseded_by IS NULL))
    ), running AS MATERIALIZED (
        SELECT array_agg(DISTINCT m.mac) AS macs
        FROM payloads o CROSS JOIN LATERAL unnest(o.macs) AS m (mac) WHERE o.live AND NOT o.test
    )
    SELECT jsonb_build_object(
        'recipients', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'id', r.id, 'payload_id', r.payload_id, 'user_id', r.user_id, 'required', r.required,
                       'live', r.live, 'waived_at', r.waived_at, 'decommissioned_at', r.decommissioned_at,
                       'receipt_id', a.id, 'answer', a.kind, 'answered_at', a.received_at) ORDER BY r.id), '[]')
            FROM turnup.payload_recipient r
            LEFT JOIN turnup.receipt a ON a.payload_id = r.payload_id AND a.received_by = r.user_id
            WHERE r.location_id = asking AND (r.live OR r.payload_id IN (
                SELECT p.id FROM turnup.provisioning_payload p
                WHERE p.location_id = asking ORDER BY p.sequence DESC LIMIT 100))),
        'macs', (SELECT coalesce(jsonb_object_agg(p.id, to_jsonb(p.macs)), '{}') FROM payloads p),
        'live', (SELECT coalesce(jsonb_agg(p.id ORDER BY p.id), '[]') FROM payloads p WHERE p.live),
        'live_twice', (
            SELECT coalesce(jsonb_object_agg(t.mac, t.holder), '{}')
            FROM (
                SELECT DISTINCT ON (m.mac) m.mac, turnup.shown_holder(p.location_id) AS holder
                FROM running o
                JOIN turnup.provisioning_payload p
                  ON p.live AND NOT p.test AND turnup.macs_of(p.document) && o.macs AND p.location_id <> asking
                CROSS JOIN LATERAL unnest(turnup.macs_of(p.document)) AS m (mac)
                WHERE m.mac = ANY (o.macs)
                ORDER BY m.mac, p.location_id
            ) t),
        'content_macs', (
            SELECT coalesce(jsonb_agg(DISTINCT d.mac_address), '[]')
            FROM turnup.device d WHERE d.location_id = asking AND d.mac_address IS NOT NULL))
$$;

-- The partners to whom a payload of a location would be released: those that a lead chose, or else all active ones with
-- access to the account. `available` says whether the partner could answer. Versions are empty if all are accepted.
CREATE FUNCTION turnup.partners_of(asking text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'user_id', u.id, 'name', u.name, 'purpose', w.purpose, 'required', w.required,
               'available', u.role = 'PARTNER' AND u.status = 'ACTIVE' AND EXISTS (
                   SELECT FROM turnup."grant" g WHERE g.user_id = u.id AND g.account_id = w.account_id),
               'versions', (SELECT coalesce(jsonb_agg(v.version ORDER BY v.version), '[]')
                            FROM turnup.accepted_version v WHERE v.user_id = u.id)) ORDER BY u.id), '[]')
    FROM (
        SELECT p.user_id, p.account_id, p.purpose, p.required FROM turnup.location_partner p
        WHERE p.location_id = asking
        UNION ALL
        SELECT g.user_id, g.account_id, 'OTHER', true
        FROM turnup.location l
        JOIN turnup."grant" g ON g.account_id = l.account_id
        JOIN turnup."user" m ON m.id = g.user_id AND m.role = 'PARTNER' AND m.status = 'ACTIVE'
        WHERE l.id = asking
          AND NOT EXISTS (SELECT FROM turnup.location_partner p WHERE p.location_id = asking)
    ) w
    JOIN turnup."user" u ON u.id = w.user_id
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
