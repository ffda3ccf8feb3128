"""The path: which hardware addresses other locations hold, told without telling whose they are."""

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


def upgrade() -> None:
    """Add the function, owned by the definer role and callable by the app's role alone."""
    op.execute(CLAIMED_ELSEWHERE)
    op.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
    op.execute("ALTER FUNCTION turnup.claimed_elsewhere(text) OWNER TO turnup_definer")
    op.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")
    op.execute("SET LOCAL ROLE turnup_definer")
    op.execute("REVOKE ALL ON FUNCTION turnup.claimed_elsewhere(text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION turnup.claimed_elsewhere(text) TO turnup_app")
    op.execute("RESET ROLE")


def downgrade() -> None:
    """Migrations go forward; restore a backup instead."""
    raise NotImplementedError
