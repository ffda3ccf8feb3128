-- Statements end with a semicolon and an empty line, and have no empty line inside. The definer runs them.

-- Measure the gauges and keep them, unless they were measured within the last 55 seconds or another session measures
-- now. Returns whether they were measured. Callers ask once a minute: 55 seconds, so that one that is a moment early
-- does not leave them as they are for another minute.
CREATE FUNCTION turnup.measure_gauges() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    measured jsonb;
BEGIN
    -- A standby keeps what it is sent.
    IF current_setting('transaction_read_only') = 'on' THEN
        RETURN false;
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('turnup.gauge_reading', 0)) THEN
        RETURN false;
    END IF;
    -- A time in the future is of a database server whose clock was ahead.
    IF EXISTS (
        SELECT FROM turnup.gauge_reading r
        WHERE r.measured_at > clock_timestamp() - interval '55 seconds' AND r.measured_at <= clock_timestamp()
    ) THEN
        RETURN false;
    END IF;
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'locations', of_locations.by_status,
        'approvals_waiting', of_approvals.waiting,
        'approvals_oldest_seconds', of_approvals.oldest_seconds,
        'payloads_unacknowledged', of_payloads.unacknowledged,
        'payloads_oldest_unacknowledged_seconds', of_payloads.oldest_seconds,
        'sessions_open', of_sessions.open,
        'audit_verification_age_seconds', of_verification.age_seconds,
        'audit_verification_ok', of_verification.ok,
        'approvals_by_new_users', of_new_users.approvals
    )) INTO measured
    FROM (
        SELECT coalesce(jsonb_object_agg(c.status, c.number), '{}') AS by_status
        FROM (SELECT l.status, count(*) AS number FROM turnup.location l WHERE NOT l.test GROUP BY l.status) c
    ) of_locations, (
        SELECT count(*) AS waiting,
               coalesce(extract(epoch FROM now() - min(a.requested_at)), 0)::float8 AS oldest_seconds
        FROM turnup.approval a WHERE a.status = 'PENDING'
    ) of_approvals, (
        SELECT count(*) AS unacknowledged,
               coalesce(extract(epoch FROM now() - min(p.released_at)), 0)::float8 AS oldest_seconds
        FROM turnup.provisioning_payload p WHERE p.state = 'RELEASED' AND NOT p.test
    ) of_payloads, (
        SELECT count(*) AS open
        FROM turnup.user_session s WHERE s.expires_at > now() AND s.idle_until > now() AND s.ended_at IS NULL
    ) of_sessions, (
        SELECT extract(epoch FROM now() - max(v.verified_at))::float8 AS age_seconds, min(v.ok::int) AS ok
        FROM turnup.audit_verification v
    ) of_verification, (
        SELECT count(*) AS approvals
        FROM turnup.approval a JOIN turnup."user" u ON u.id = a.decided_by
        WHERE a.decided_at > now() - interval '1 hour' AND a.status IN ('APPROVED', 'VOIDED')
          AND a.decided_at < u.created_at + interval '1 hour'
    ) of_new_users;
    INSERT INTO turnup.gauge_reading AS r (readings, measured_at) VALUES (measured, clock_timestamp())
    ON CONFLICT (single) DO UPDATE SET readings = EXCLUDED.readings, measured_at = EXCLUDED.measured_at;
    RETURN true;
END
$$;

-- The gauges as they were measured last, and how many seconds ago that was. No row if they never were.
CREATE FUNCTION turnup.read_gauges() RETURNS TABLE (readings jsonb, age_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.readings, extract(epoch FROM clock_timestamp() - r.measured_at)::float8 FROM turnup.gauge_reading r
$$;
