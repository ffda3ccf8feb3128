-- Statements end with a semicolon and an empty line, and have no empty line inside. The definer runs them.

-- As in 0013_confirmations.sql, and for leads of some accounts. `accounts` are the granted accounts of customers, partners and
-- these leads; a lead of all accounts has none.
CREATE FUNCTION turnup.sign_in(token_subject text, timeout_ms integer)
RETURNS TABLE (id text, name text, email text, role text, status text, accounts text[], locations text[],
               all_accounts boolean, confirmed boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    principal turnup."user"%ROWTYPE;
    granted_all boolean;
BEGIN
    PERFORM set_config('statement_timeout', timeout_ms::text, true),
            set_config('turnup.user_id', '', true), set_config('turnup.role', '', true),
            set_config('turnup.account', '', true), set_config('turnup.accounts', '', true),
            set_config('turnup.locations', '', true), set_config('turnup.all_accounts', '', true),
            set_config('turnup.lead_accounts', '', true);
    SELECT * INTO principal FROM turnup."user" u WHERE u.subject = token_subject;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    accounts := '{}';
    IF principal.status = 'ACTIVE' THEN
        PERFORM set_config('turnup.user_id', principal.id, true), set_config('turnup.role', principal.role, true);
        IF principal.all_accounts THEN
            PERFORM set_config('turnup.all_accounts', 'on', true);
        ELSIF principal.role IN ('PARTNER', 'IMPLEMENTATION_LEAD') THEN
            SELECT coalesce(array_agg(g.account_id ORDER BY g.account_id), '{}') INTO accounts
            FROM turnup."grant" g
            WHERE g.user_id = principal.id AND (g.all_locations OR principal.role = 'PARTNER');
            PERFORM set_config(
                CASE principal.role WHEN 'PARTNER' THEN 'turnup.accounts' ELSE 'turnup.lead_accounts' END,
                (SELECT coalesce(jsonb_object_agg(a, 1), '{}')::text FROM unnest(accounts) a), true);
        ELSIF principal.role = 'CUSTOMER' THEN
            SELECT g.all_locations INTO granted_all
            FROM turnup."grant" g WHERE g.user_id = principal.id AND g.account_id = principal.account_id;
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
                        accounts, locations, principal.all_accounts, principal.made_by = '{}';
END
$$;

-- As in 0010_hand_off_functions.sql, but leads of some accounts see only holders in these accounts.
CREATE OR REPLACE FUNCTION turnup.shown_holder(holder text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('location_id', l.id, 'location_name', l.name, 'account_name', a.name)
    FROM turnup.location l JOIN turnup.account a ON a.id = l.account_id
    WHERE l.id = holder AND (current_setting('turnup.all_accounts', true) = 'on'
        OR nullif(current_setting('turnup.lead_accounts', true), '')::jsonb ? l.account_id)
$$;

-- As in 0013_confirmations.sql, and returns the viewer's access.
CREATE FUNCTION turnup.hold_approval_users(location_ids text[])
RETURNS TABLE (role text, status text, all_accounts boolean, confirmed boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    viewer text := current_setting('turnup.user_id', true);
BEGIN
    IF current_setting('turnup.role', true) IS DISTINCT FROM 'IMPLEMENTATION_LEAD' THEN
        RETURN;
    END IF;
    PERFORM u.id FROM turnup."user" u
    WHERE u.id = viewer OR u.id IN (
        SELECT s.submitted_by FROM turnup.onboarding_session s
        WHERE s.location_id = ANY (location_ids) AND s.closed_at IS NULL)
    ORDER BY u.id FOR SHARE;
    RETURN QUERY SELECT u.role, u.status, u.all_accounts, u.made_by = '{}' FROM turnup."user" u WHERE u.id = viewer;
END
$$;
