"""MAC addresses in use elsewhere, reasons of partners' rejections, and expiry of idempotency keys."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A customer may learn that an address is taken, never by whom; leads are told the holder's name.
CLAIMED_ELSEWHERE = """
CREATE FUNCTION turnup.claimed_elsewhere(asking text) RETURNS TABLE (mac text, holder text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.mac, CASE current_setting('turnup.role', true) WHEN 'IMPLEMENTATION_LEAD' THEN l.name END
    FROM turnup.device d
    JOIN turnup.mac_claim c ON c.mac = d.mac_address AND c.location_id <> asking
    JOIN turnup.location l ON l.id = c.location_id
    WHERE d.location_id = asking
$$
"""


# Customers see no receipts, but have to learn why a partner sent their location back.
LAST_REJECTION = """
CREATE FUNCTION turnup.last_rejection(asking text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('content_digest', p.content_digest, 'reasons', r.reasons)
    FROM turnup.receipt r JOIN turnup.provisioning_payload p ON p.id = r.payload_id
    WHERE r.location_id = asking AND r.kind = 'REJECTED' ORDER BY r.received_at DESC, r.id DESC LIMIT 1
$$
"""

FORGET_OLD_KEYS = """
CREATE FUNCTION turnup.forget_old_keys(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH old AS (
        SELECT user_id, key FROM turnup.idempotency_key WHERE created_at < now() - interval '24 hours'
        ORDER BY created_at LIMIT least(most, 10000) FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM turnup.idempotency_key k USING old WHERE k.user_id = old.user_id AND k.key = old.key RETURNING 1
    )
    SELECT count(*) FROM gone
$$
"""

FUNCTIONS = (
    (CLAIMED_ELSEWHERE, "claimed_elsewhere(text)"),
    (LAST_REJECTION, "last_rejection(text)"),
    (FORGET_OLD_KEYS, "forget_old_keys(integer)"),
)


def upgrade() -> None:
    """Add the functions, owned by the definer role and callable by the app's role alone."""
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    for statement, signature in FUNCTIONS:
        op.execute(statement)
        op.execute(f"ALTER FUNCTION turnup.{signature} OWNER TO turnup_definer")
        # The owner gave the function away; only its new owner may say who calls it.
        op.execute("SET LOCAL ROLE turnup_definer")
        op.execute(f"REVOKE ALL ON FUNCTION turnup.{signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION turnup.{signature} TO turnup_app")
        op.execute("RESET ROLE")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
