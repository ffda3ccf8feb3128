-- Statements end with a semicolon and an empty line, and have no empty line inside. The definer runs them.

-- As in 0014_roles.sql, by one of three credentials: the issuer (null: the configured one) and the subject of an access
-- token, or the SHA-256 of the secret of a session or of a service token. One that was ended or revoked, or that
-- expired, signs nobody in. A service token can limit the accounts and actions of its user, and widens nothing: a lead
-- of all accounts becomes one of some accounts. The access of auditors has no accounts, so that it cannot be limited.
CREATE FUNCTION turnup.sign_in(
    credential_kind text, token_subject text, token_issuer text, secret bytea, timeout_ms integer
)
RETURNS TABLE (id text, name text, email text, role text, status text, accounts text[], locations text[],
               all_accounts boolean, confirmed boolean, credential_id text, actions text[],
               expires_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    principal turnup."user"%ROWTYPE;
    token turnup.service_token%ROWTYPE;
    granted_all boolean;
BEGIN
    PERFORM set_config('statement_timeout', timeout_ms::text, true),
            set_config('turnup.user_id', '', true), set_config('turnup.role', '', true),
            set_config('turnup.account', '', true), set_config('turnup.accounts', '', true),
            set_config('turnup.locations', '', true), set_config('turnup.all_accounts', '', true),
            set_config('turnup.lead_accounts', '', true);
    CASE credential_kind
    WHEN 'ACCESS_TOKEN' THEN
        SELECT * INTO principal FROM turnup."user" u
        WHERE u.subject = token_subject AND u.issuer IS NOT DISTINCT FROM token_issuer;
    WHEN 'SESSION' THEN
        SELECT s.id, s.expires_at, s.user_id INTO credential_id, sign_in.expires_at, principal.id
        FROM turnup.user_session s
        WHERE s.secret_sha256 = secret AND s.ended_at IS NULL AND s.idle_until > now() AND s.expires_at > now();
        SELECT * INTO principal FROM turnup."user" u WHERE u.id = principal.id;
    WHEN 'SERVICE_TOKEN' THEN
        SELECT * INTO token FROM turnup.service_token t
        WHERE t.secret_sha256 = secret AND t.revoked_at IS NULL AND t.expires_at > now();
        SELECT * INTO principal FROM turnup."user" u
        WHERE u.id = token.user_id AND (u.role <> 'AUDITOR' OR token.account_ids IS NULL);
        credential_id := token.id;
        actions := token.actions;
        sign_in.expires_at := token.expires_at;
    END CASE;
    IF principal.role IS NULL THEN
        RETURN;
    END IF;
    accounts := '{}';
    all_accounts := principal.all_accounts AND token.account_ids IS NULL;
    IF principal.status = 'ACTIVE' THEN
        PERFORM set_config('turnup.user_id', principal.id, true), set_config('turnup.role', principal.role, true);
        IF all_accounts THEN
            PERFORM set_config('turnup.all_accounts', 'on', true);
        ELSIF principal.role IN ('PARTNER', 'IMPLEMENTATION_LEAD') THEN
            IF principal.all_accounts THEN
                SELECT coalesce(array_agg(a.id ORDER BY a.id), '{}') INTO accounts
                FROM turnup.account a WHERE a.id = ANY (token.account_ids);
            ELSE
                SELECT coalesce(array_agg(g.account_id ORDER BY g.account_id), '{}') INTO accounts
                FROM turnup."grant" g
                WHERE g.user_id = principal.id AND (g.all_locations OR principal.role = 'PARTNER')
                  AND (token.account_ids IS NULL OR g.account_id = ANY (token.account_ids));
            END IF;
            PERFORM set_config(
                CASE principal.role WHEN 'PARTNER' THEN 'turnup.accounts' ELSE 'turnup.lead_accounts' END,
                (SELECT coalesce(jsonb_object_agg(a, 1), '{}')::text FROM unnest(accounts) a), true);
        ELSIF principal.role = 'CUSTOMER' THEN
            SELECT g.all_locations INTO granted_all
            FROM turnup."grant" g
            WHERE g.user_id = principal.id AND g.account_id = principal.account_id
              AND (token.account_ids IS NULL OR g.account_id = ANY (token.account_ids));
            IF FOUND THEN
                accounts := ARRAY[principal.account_id];
                PERFORM set_config('turnup.account', principal.account_id, true);
                IF NOT granted_all THEN
                    SELECT coalesce(array_agg(l.location_id), '{}') INTO locations
                    FROM turnup."grant" g JOIN turnup.grant_location l ON l.grant_id = g.id
                    WHERE g.user_id = principal.id AND g.account_id = principal.account_id;
                    PERFORM set_config('turnup.locations', (
                        SELECT coalesce(jsonb_object_agg(l, 1), '{}')::text FROM unnest(locations) l
                    ), true);
                END IF;
            END IF;
        END IF;
    END IF;
    RETURN QUERY SELECT principal.id, principal.name, principal.email, principal.role, principal.status,
                        accounts, locations, all_accounts, principal.made_by = '{}', credential_id, actions,
                        sign_in.expires_at;
END
$$;

-- For servers of the version before, which know the subjects of the configured issuer alone.
CREATE FUNCTION turnup.sign_in(token_subject text, timeout_ms integer)
RETURNS TABLE (id text, name text, email text, role text, status text, accounts text[], locations text[],
               all_accounts boolean, confirmed boolean)
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.id, s.name, s.email, s.role, s.status, s.accounts, s.locations, s.all_accounts, s.confirmed
    FROM turnup.sign_in('ACCESS_TOKEN', token_subject, NULL, NULL, timeout_ms) s
$$;

-- Remember an attempt to sign in until its browser comes back from the provider. The oldest attempts give way to a new
-- one when there are 10,000.
CREATE FUNCTION turnup.begin_sign_in_attempt(
    state_sha256 bytea, browser_sha256 bytea, nonce text, code_verifier text, next text, invitation_sha256 bytea
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('turnup.sign_in_attempt', 0));
    DELETE FROM turnup.sign_in_attempt a
    WHERE a.state_sha256 IN (
        SELECT o.state_sha256 FROM turnup.sign_in_attempt o ORDER BY o.created_at DESC, o.state_sha256 OFFSET 9999);
    INSERT INTO turnup.sign_in_attempt (state_sha256, browser_sha256, nonce, code_verifier, next, invitation_sha256)
    VALUES (begin_sign_in_attempt.state_sha256, begin_sign_in_attempt.browser_sha256, begin_sign_in_attempt.nonce,
            begin_sign_in_attempt.code_verifier, begin_sign_in_attempt.next, begin_sign_in_attempt.invitation_sha256);
END
$$;

-- Return an attempt of this browser once, within 10 minutes.
CREATE FUNCTION turnup.take_sign_in_attempt(taken_state_sha256 bytea, taken_browser_sha256 bytea)
RETURNS TABLE (nonce text, code_verifier text, next text, invitation_sha256 bytea)
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM turnup.sign_in_attempt a
    WHERE a.state_sha256 = taken_state_sha256 AND a.browser_sha256 = taken_browser_sha256
      AND a.created_at > now() - interval '10 minutes'
    RETURNING a.nonce, a.code_verifier, a.next, a.invitation_sha256
$$;

-- Begin a session of the user with this issuer (null: the configured one) and subject, and return the user. Nobody has
-- more than 20 open sessions: the one that was used least recently ends. A suspended user gets none.
CREATE FUNCTION turnup.begin_session(
    session_id text, session_issuer text, session_subject text, session_secret_sha256 bytea,
    session_user_agent text, idle_seconds integer, lifetime_seconds integer
) RETURNS TABLE (user_id text, status text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- One session of a user begins at a time, and none while the user is changed.
    SELECT u.id, u.status INTO user_id, status FROM turnup."user" u
    WHERE u.subject = session_subject AND u.issuer IS NOT DISTINCT FROM session_issuer FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF status = 'ACTIVE' THEN
        UPDATE turnup.user_session s SET ended_at = now(), end_reason = 'REPLACED'
        WHERE s.id IN (
            SELECT o.id FROM turnup.user_session o
            WHERE o.user_id = begin_session.user_id AND o.ended_at IS NULL
              AND o.idle_until > now() AND o.expires_at > now()
            ORDER BY o.last_used_at DESC, o.id OFFSET 19);
        INSERT INTO turnup.user_session (id, user_id, secret_sha256, user_agent, idle_until, expires_at)
        VALUES (session_id, user_id, session_secret_sha256, session_user_agent,
                now() + make_interval(secs => idle_seconds), now() + make_interval(secs => lifetime_seconds));
    END IF;
    RETURN NEXT;
END
$$;

-- End the session with this secret, as its browser asks.
CREATE FUNCTION turnup.end_session(ended_secret_sha256 bytea)
RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE turnup.user_session s SET ended_at = now(), end_reason = 'SIGNED_OUT'
    WHERE s.secret_sha256 = ended_secret_sha256 AND s.ended_at IS NULL
$$;

-- A user who is suspended, or gets another subject, issuer or role, has no session any more. Another role revokes the
-- service tokens: what they may do was decided for the role before.
CREATE FUNCTION turnup.end_credentials() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE turnup.user_session s
    SET ended_at = now(), end_reason = CASE NEW.status WHEN 'SUSPENDED' THEN 'SUSPENDED' ELSE 'USER_CHANGED' END
    WHERE s.user_id = NEW.id AND s.ended_at IS NULL;
    IF NEW.role <> OLD.role THEN
        UPDATE turnup.service_token t SET revoked_at = now() WHERE t.user_id = NEW.id AND t.revoked_at IS NULL;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER end_credentials AFTER UPDATE ON turnup."user" FOR EACH ROW
WHEN (NEW.status = 'SUSPENDED' OR NEW.role <> OLD.role OR NEW.subject <> OLD.subject
      OR NEW.issuer IS DISTINCT FROM OLD.issuer)
EXECUTE FUNCTION turnup.end_credentials();

-- Whose work may be the viewer's, and when it was done: a lead can work with the service tokens that the lead made for
-- others, and somebody can approve with one that was made for the viewer. For leads only.
CREATE FUNCTION turnup.work_by_tokens() RETURNS TABLE (user_id text, since timestamptz, until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
    WITH maker AS (
        SELECT t.created_by AS id FROM turnup.service_token t
        WHERE t.user_id = current_setting('turnup.user_id', true) AND t.user_id <> t.created_by
          AND t.revoked_at IS NULL AND t.expires_at > now() AND (t.actions IS NULL OR 'APPROVE' = ANY (t.actions))
    ), work AS (
        SELECT m.id, timestamptz '-infinity' AS since, timestamptz 'infinity' AS until FROM maker m
        UNION ALL
        SELECT t.user_id, t.created_at, least(t.revoked_at, t.expires_at) FROM turnup.service_token t
        WHERE t.created_by IN (SELECT current_setting('turnup.user_id', true) UNION ALL SELECT m.id FROM maker m)
          AND t.user_id <> t.created_by
          AND (t.actions IS NULL OR t.actions && ARRAY['EDIT_ONBOARDING', 'OVERRIDE_LOCK', 'RUN_BULK', 'SUBMIT'])
    )
    SELECT w.id, w.since, w.until FROM work w
    WHERE current_setting('turnup.role', true) = 'IMPLEMENTATION_LEAD'
$$;

-- Note when sessions and service tokens were last used, each so many seconds ago. A session stays open for the time
-- that it was given without being used. One that has ended stays as it is.
CREATE FUNCTION turnup.record_uses(session_ids text[], session_ages float8[], token_ids text[], token_ages float8[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH used AS (
        SELECT s.id, now() - make_interval(secs => greatest(u.age, 0)) AS at
        FROM unnest(session_ids, session_ages) AS u (id, age) JOIN turnup.user_session s ON s.id = u.id
        WHERE s.ended_at IS NULL
        ORDER BY s.id FOR NO KEY UPDATE OF s
    )
    UPDATE turnup.user_session s SET last_used_at = u.at, idle_until = u.at + (s.idle_until - s.last_used_at)
    FROM used u WHERE s.id = u.id AND u.at > s.last_used_at;
    INSERT INTO turnup.service_token_use AS t (token_id, last_used_at)
    SELECT u.id, now() - make_interval(secs => greatest(u.age, 0))
    FROM unnest(token_ids, token_ages) AS u (id, age)
    WHERE EXISTS (SELECT FROM turnup.service_token k WHERE k.id = u.id)
    ORDER BY u.id
    ON CONFLICT (token_id) DO UPDATE SET last_used_at = greatest(t.last_used_at, excluded.last_used_at);
END
$$;

-- Delete, at most so many of each: attempts to sign in after 10 minutes, sessions 30 days after they expired, and
-- service tokens a year after they were revoked or expired, which the audit log records. Returns the largest of the
-- three numbers. Servers call it now and then.
CREATE FUNCTION turnup.forget_credentials(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    bound integer := least(most, 10000);
    old_tokens text[];
    entry text := 'entry_' || replace(gen_random_uuid()::text, '-', '');
    gone integer;
    deleted integer;
BEGIN
    DELETE FROM turnup.sign_in_attempt a WHERE a.state_sha256 IN (
        SELECT o.state_sha256 FROM turnup.sign_in_attempt o WHERE o.created_at <= now() - interval '10 minutes'
        ORDER BY o.created_at LIMIT bound FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM turnup.user_session s WHERE s.id IN (
        SELECT o.id FROM turnup.user_session o WHERE o.expires_at < now() - interval '30 days'
        ORDER BY o.expires_at LIMIT bound FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    deleted := greatest(deleted, gone);
    old_tokens := ARRAY(
        SELECT t.id FROM turnup.service_token t
        WHERE least(t.revoked_at, t.expires_at) < now() - interval '1 year'
        ORDER BY least(t.revoked_at, t.expires_at) LIMIT bound FOR UPDATE SKIP LOCKED);
    IF cardinality(old_tokens) > 0 THEN
        -- What the caller opened covers nothing of this, and is not sealed with it.
        PERFORM set_config('turnup.audit_open', '', true);
        INSERT INTO turnup.audit_entry (id, chain, action, outcome)
        VALUES (entry, 'system', 'TOKENS_FORGOTTEN', 'APPLIED');
        PERFORM turnup.audit_remember(entry, 'system', NULL);
        DELETE FROM turnup.service_token t WHERE t.id = ANY (old_tokens);
        PERFORM turnup.audit_seal();
    END IF;
    RETURN greatest(deleted, cardinality(old_tokens));
END
$$;

-- As in 0006_whole_trail.sql, and withholds the hashes of secrets.
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
               (changed_table, f.field) = ('user', 'subject') OR f.field = 'secret_sha256' AS withheld,
               CASE WHEN old_row IS NOT NULL THEN turnup.audit_salt(origin, 'before ' || f.field) END AS before_salt,
               CASE WHEN new_row IS NOT NULL THEN turnup.audit_salt(origin, 'after ' || f.field) END AS after_salt
        FROM jsonb_object_keys(coalesce(new_row, old_row)) AS f (field)
        WHERE coalesce((old_row -> f.field)::text, 'null') <> coalesce((new_row -> f.field)::text, 'null')
        OFFSET 0
    ) d;
END
$$;

-- As in 0006_whole_trail.sql, and withholds the hashes of secrets.
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
               (changed_table, f.field) = ('user', 'subject') OR f.field = 'secret_sha256' AS withheld,
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

-- As in 0007_erasure.sql; a user's issuer goes too, the sessions are deleted, and the service tokens revoked.
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
        WHEN 'user' THEN ARRAY['name', 'email', 'subject', 'issuer'] END;
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
        SET name = '', email = u.id || '@erased.invalid', subject = 'erased:' || u.id, issuer = NULL,
            status = 'SUSPENDED', revision = u.revision + 1, updated_at = now()
        WHERE u.id = subject_row;
        DELETE FROM turnup.user_session s WHERE s.user_id = subject_row;
        UPDATE turnup.service_token t SET revoked_at = now() WHERE t.user_id = subject_row AND t.revoked_at IS NULL;
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
