-- Statements end with a semicolon and an empty line, and have no empty line inside.

-- As in 0001_tables.py, and returns whether the user is confirmed.
CREATE FUNCTION turnup.sign_in(token_subject text, timeout_ms integer)
RETURNS TABLE (id text, name text, email text, role text, status text, accounts text[], locations text[],
               confirmed boolean)
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
            set_config('turnup.locations', '', true);
    SELECT * INTO principal FROM turnup."user" u WHERE u.subject = token_subject;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    accounts := '{}';
    IF principal.status = 'ACTIVE' THEN
        PERFORM set_config('turnup.user_id', principal.id, true), set_config('turnup.role', principal.role, true);
        IF principal.role = 'PARTNER' THEN
            SELECT coalesce(array_agg(g.account_id ORDER BY g.account_id), '{}') INTO accounts
            FROM turnup."grant" g WHERE g.user_id = principal.id;
            PERFORM set_config('turnup.accounts', (
                SELECT coalesce(jsonb_object_agg(a, 1), '{}')::text FROM unnest(accounts) a
            ), true);
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
                        accounts, locations, principal.made_by = '{}';
END
$$;

-- Who made the users who submitted the open sessions of locations, until a confirmation. For leads only.
CREATE FUNCTION turnup.makers_of_submitters(location_ids text[]) RETURNS TABLE (location_id text, maker text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.location_id, unnest(u.made_by)
    FROM turnup.onboarding_session s JOIN turnup."user" u ON u.id = s.submitted_by
    WHERE s.location_id = ANY (location_ids) AND s.closed_at IS NULL
      AND current_setting('turnup.role', true) = 'IMPLEMENTATION_LEAD'
$$;

-- The viewer as of now. Keeps the rows of the viewer and of the users who submitted the locations from being changed
-- until the end of the transaction. For leads only.
CREATE FUNCTION turnup.hold_approval_users(location_ids text[])
RETURNS TABLE (role text, status text, confirmed boolean)
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
    RETURN QUERY SELECT u.role, u.status, u.made_by = '{}' FROM turnup."user" u WHERE u.id = viewer;
END
$$;

-- Whether a location of the account, other than one, has this name, ignoring case. Locations that the caller cannot see
-- count, as they do for site codes. For leads, and for the customers of the account.
CREATE FUNCTION turnup.is_location_named(account text, wanted text, besides text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM turnup.location l
        WHERE l.account_id = account AND lower(l.name COLLATE "default") = lower(wanted)
          AND l.id IS DISTINCT FROM besides
          AND (current_setting('turnup.role', true) = 'IMPLEMENTATION_LEAD'
               OR current_setting('turnup.account', true) = account))
$$;
