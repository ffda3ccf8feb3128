-- As in 0021_credentials.sql, with the role of the user.
CREATE FUNCTION turnup.begin_session(
    session_id text, session_issuer text, session_subject text, session_secret_sha256 bytea,
    session_user_agent text, idle_seconds integer, lifetime_seconds integer
) RETURNS TABLE (user_id text, status text, role text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- One session of a user begins at a time, and none while the user is changed.
    SELECT u.id, u.status, u.role INTO user_id, status, role FROM turnup."user" u
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

-- Accept an invitation, and say which one: its id and role, and the user that was created, now or before. The columns
-- after the outcome are NULL unless it is ACCEPTED.
CREATE FUNCTION turnup.accept_invitation_of(
    invitation_secret_sha256 bytea, token_issuer text, token_subject text, token_email text, email_verified boolean,
    new_user_id text, accepting_request_id text
) RETURNS TABLE (outcome text, invitation_id text, user_id text, role text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    outcome := turnup.accept_invitation(invitation_secret_sha256, token_issuer, token_subject, token_email,
                                        email_verified, new_user_id, accepting_request_id);
    IF outcome = 'ACCEPTED' THEN
        SELECT i.id, i.accepted_by, i.role INTO invitation_id, user_id, role FROM turnup.invitation i
        WHERE i.secret_sha256 = invitation_secret_sha256;
    END IF;
    RETURN NEXT;
END
$$;
