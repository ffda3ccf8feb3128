-- Statements end with a semicolon and an empty line, and have no empty line inside. The definer runs them.

-- Accept the invitation with this secret for the person who signed in with this issuer (null: the configured one),
-- subject and address. It makes the user with this id, and returns ACCEPTED, or why it did not. The inviter counts as
-- one who made the user; whom the command line invited is confirmed. The same person can accept again, which changes
-- nothing.
CREATE FUNCTION turnup.accept_invitation(
    invitation_secret_sha256 bytea, token_issuer text, token_subject text, token_email text, email_verified boolean,
    new_user_id text, accepting_request_id text
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    invited turnup.invitation%ROWTYPE;
    entry text := 'entry_' || replace(gen_random_uuid()::text, '-', '');
    listing_grant text := 'grant_' || replace(gen_random_uuid()::text, '-', '');
BEGIN
    -- The lock of all changes of users and invitations. What follows is read behind it.
    PERFORM pg_advisory_xact_lock(hashtextextended('turnup.user', 0));
    SELECT * INTO invited FROM turnup.invitation i WHERE i.secret_sha256 = invitation_secret_sha256;
    IF NOT FOUND THEN
        RETURN 'UNKNOWN';
    ELSIF invited.accepted_at IS NOT NULL THEN
        RETURN CASE WHEN EXISTS (
            SELECT FROM turnup."user" u WHERE u.id = invited.accepted_by AND u.subject = token_subject
                AND u.issuer IS NOT DISTINCT FROM token_issuer
        ) THEN 'ACCEPTED' ELSE 'USED' END;
    ELSIF invited.expires_at <= coalesce(invited.revoked_at, clock_timestamp()) THEN
        RETURN 'EXPIRED';
    ELSIF invited.revoked_at IS NOT NULL THEN
        RETURN 'REVOKED';
    ELSIF email_verified IS NOT TRUE THEN
        RETURN 'EMAIL_UNVERIFIED';
    -- In any case, and nothing more: the Kelvin sign and the capital I with a dot, which are other letters, have the
    -- lower case of K and I, but not the upper case.
    ELSIF (lower(token_email), upper(token_email)) IS DISTINCT FROM (lower(invited.email), upper(invited.email)) THEN
        RETURN 'EMAIL_DIFFERS';
    ELSIF invited.invited_by IS NOT NULL AND NOT EXISTS (
        SELECT FROM turnup."user" u
        WHERE u.id = invited.invited_by AND u.status = 'ACTIVE' AND u.all_accounts AND u.made_by = '{}'
    ) THEN
        RETURN 'INVITER_MAY_NOT';
    ELSIF EXISTS (
        SELECT FROM turnup."user" u
        WHERE lower(u.email) = lower(invited.email)
           OR u.subject = token_subject AND u.issuer IS NOT DISTINCT FROM token_issuer
    ) THEN
        RETURN 'USER_EXISTS';
    ELSIF EXISTS (
        SELECT FROM unnest(invited.granted_account_ids) AS g (id)
        WHERE NOT EXISTS (SELECT FROM turnup.account a WHERE a.id = g.id)
    ) OR EXISTS (
        SELECT FROM unnest(invited.granted_location_ids) AS g (id)
        WHERE NOT EXISTS (SELECT FROM turnup.location l WHERE l.id = g.id AND l.account_id = invited.account_id)
    ) THEN
        RETURN 'ACCESS_GONE';
    END IF;
    PERFORM set_config('turnup.user_id', '', true), set_config('turnup.role', '', true),
            set_config('turnup.audit_open', '', true);
    INSERT INTO turnup.audit_entry (id, chain, action, outcome, request_id)
    VALUES (entry, 'system', 'INVITATION_ACCEPTED', 'APPLIED', accepting_request_id);
    PERFORM turnup.audit_remember(entry, 'system', NULL);
    INSERT INTO turnup."user" (id, subject, issuer, name, email, role, account_id, all_accounts, made_by)
    VALUES (new_user_id, token_subject, token_issuer, invited.name, invited.email, invited.role, invited.account_id,
            invited.all_accounts, array_remove(ARRAY[invited.invited_by], NULL));
    INSERT INTO turnup."grant" (id, user_id, account_id, all_locations)
    SELECT 'grant_' || replace(gen_random_uuid()::text, '-', ''), new_user_id, g.id, true
    FROM unnest(invited.granted_account_ids) AS g (id);
    IF invited.granted_location_ids <> '{}' THEN
        INSERT INTO turnup."grant" (id, user_id, account_id, all_locations)
        VALUES (listing_grant, new_user_id, invited.account_id, false);
        INSERT INTO turnup.grant_location (grant_id, account_id, location_id)
        SELECT listing_grant, invited.account_id, g.id FROM unnest(invited.granted_location_ids) AS g (id);
    END IF;
    UPDATE turnup.invitation i SET accepted_at = clock_timestamp(), accepted_by = new_user_id WHERE i.id = invited.id;
    PERFORM turnup.audit_seal();
    RETURN 'ACCEPTED';
END
$$;

-- Erase the person of an invitation from history. One that was not accepted is revoked. Returns how many values went.
CREATE FUNCTION turnup.audit_erase_invitation(invitation_id text, erase_reason text) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    erased integer;
BEGIN
    PERFORM FROM turnup.invitation i WHERE i.id = invitation_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no invitation %', invitation_id USING ERRCODE = 'AU004';
    END IF;
    PERFORM turnup.audit_drop_replay();
    PERFORM set_config('turnup.erasing', 'on', true),
            turnup.audit_open('entry_' || replace(gen_random_uuid()::text, '-', ''), 'system', 'ERASE',
                              NULL, '', erase_reason, NULL, 'APPLIED', NULL);
    erased := turnup.audit_blank('system', NULL, 'invitation', invitation_id, ARRAY['name', 'email']);
    PERFORM turnup.audit_forget_answers(ARRAY[invitation_id]);
    UPDATE turnup.invitation i
    SET name = '', email = i.id || '@erased.invalid',
        revoked_at = CASE WHEN i.accepted_at IS NULL THEN coalesce(i.revoked_at, clock_timestamp()) END
    WHERE i.id = invitation_id;
    PERFORM turnup.audit_seal(), set_config('turnup.erasing', '', true);
    RETURN erased;
END
$$;
