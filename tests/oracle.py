"""The final checks of every race and crash test: what must be true of the whole database, whatever was interrupted.

The audit log explains the complete content of the tables. No MAC address is in operation at two locations.

What is in operation is derived here from what people said: receipts, waivers, completions by hand and decommissions,
and from the documents of the payloads. The product's flags and functions are compared with that, and not used for it.
"""

import asyncpg

from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from app.operations.audit_names import AuditCode, AuditedTable
from tests.harness import TestDatabase

# A recipient runs with a payload after its acknowledgement, a waiver or a lead's completion by hand, until it
# acknowledges a later payload or the decommissioning is confirmed. A payload without recipients is completed by hand,
# until a lead completes a later one or confirms the decommissioning, which only the audit log says.
IN_OPERATION = """
    WITH by_hand AS (
        SELECT DISTINCT ON (s.id) p.id
        FROM turnup.status_change s JOIN turnup.provisioning_payload p
          ON p.location_id = s.location_id AND p.released_at <= s.changed_at
        WHERE s.verb = 'COMPLETE'
        ORDER BY s.id, p.sequence DESC
    ), confirmed AS (
        SELECT c.row_id AS id
        FROM turnup.audit_entry e JOIN turnup.field_change c ON c.entry_id = e.id
        WHERE e.action = 'confirmDecommission' AND e.outcome = 'APPLIED' AND c.table_name = 'provisioning_payload'
    ), stated AS (
        SELECT p.id, p.location_id, p.sequence, r.user_id, a.kind,
               CASE WHEN r.id IS NULL THEN p.id IN (SELECT id FROM confirmed)
                    ELSE r.decommissioned_at IS NOT NULL END AS ended
        FROM turnup.provisioning_payload p
        LEFT JOIN turnup.payload_recipient r ON r.payload_id = p.id
        LEFT JOIN turnup.receipt a ON a.payload_id = p.id AND a.received_by = r.user_id
        WHERE (a.kind = 'ACKNOWLEDGED' OR a.kind IS NULL)
          AND (a.kind IS NOT NULL OR r.waived_at IS NOT NULL OR p.id IN (SELECT id FROM by_hand))
    )
    SELECT s.location_id, s.id AS payload_id, s.user_id
    FROM stated s
    WHERE NOT s.ended AND NOT EXISTS (
        SELECT FROM stated t WHERE t.location_id = s.location_id AND t.sequence > s.sequence
          AND CASE WHEN s.user_id IS NULL THEN t.id IN (SELECT id FROM by_hand)
                   ELSE t.user_id = s.user_id AND t.kind IS NOT NULL END)
"""
IN_DOCUMENTS = f"""
    SELECT DISTINCT o.location_id, lower(replace(d ->> 'macAddress', ':', '')) AS mac
    FROM ({IN_OPERATION}) o
    JOIN turnup.provisioning_payload p ON p.id = o.payload_id AND NOT p.test
    CROSS JOIN LATERAL jsonb_array_elements(p.document::jsonb -> 'devices') AS d
    WHERE d ->> 'macAddress' IS NOT NULL
"""
# The addresses that a location holds: those in operation, and those of its content while it is submitted or later.
HELD = f"""
    SELECT location_id, mac FROM ({IN_DOCUMENTS}) i
    UNION
    SELECT l.id, d.mac_address FROM turnup.location l JOIN turnup.device d ON d.location_id = l.id
    WHERE d.mac_address IS NOT NULL AND NOT l.test
      AND l.status IN ('PENDING_APPROVAL', 'APPROVED', 'PROVISIONING', 'COMPLETED')
"""
_WRONG = {
    "a MAC address is in operation at two locations": f"""
        SELECT mac, array_agg(location_id ORDER BY location_id) AS locations
        FROM ({IN_DOCUMENTS}) i GROUP BY mac HAVING count(*) > 1""",
    "a location does not claim what it holds": f"""
        SELECT * FROM ({HELD}) h EXCEPT SELECT location_id, mac FROM turnup.mac_claim""",
    "a location claims what it does not hold": f"""
        SELECT location_id, mac FROM turnup.mac_claim EXCEPT SELECT * FROM ({HELD}) h""",
    "a recipient is marked live and runs with nothing, or the reverse": f"""
        WITH o AS ({IN_OPERATION})
        SELECT r.location_id, r.payload_id, r.user_id, r.live FROM turnup.payload_recipient r
        WHERE r.live <> EXISTS (SELECT FROM o WHERE o.payload_id = r.payload_id AND o.user_id = r.user_id)""",
    "a payload is marked live and is not in operation, or the reverse": f"""
        WITH o AS ({IN_OPERATION})
        SELECT p.location_id, p.id, p.live FROM turnup.provisioning_payload p
        WHERE p.live <> EXISTS (SELECT FROM o WHERE o.payload_id = p.id)""",
}
_QUESTION = " UNION ALL ".join(
    f"SELECT '{what}' AS what, to_json(w)::text AS facts FROM ({question}) w" for what, question in _WRONG.items()
)


_TABLES = "SELECT DISTINCT table_name AS text FROM turnup.field_change"
_CODES = "SELECT DISTINCT code AS text FROM turnup.audit_entry WHERE code IS NOT NULL AND action <> 'ROLE_DENIED'"


async def phones_in_two_places(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """Return what is wrong with the claims to MAC addresses, in one snapshot; nothing if all is right.

    The connection must have the definer's role, because row-level security hides rows from the owner.
    """
    rows = await connection.fetch(_QUESTION)
    return [f"{row['what']}: {row['facts']}" for row in rows]


async def chains_are_valid(database: TestDatabase) -> None:
    """Check that each entry of the audit log is as it was sealed."""
    async with snapshot(database.owner_url) as connection:
        broken = (await verify(connection)).broken
        assert broken is None, broken


async def audit_log_is_complete(database: TestDatabase) -> None:
    """Check that the chains are valid, that the API names what they hold, and that a replay rebuilds the tables."""
    await chains_are_valid(database)
    async with snapshot(database.owner_url) as connection:
        nameless = {
            *({row["text"] for row in await connection.fetch(_TABLES)} - {each.value for each in AuditedTable}),
            *({row["text"] for row in await connection.fetch(_CODES)} - {each.value for each in AuditCode}),
        }
        assert not nameless, nameless
    assert (await replay(database.owner_url)).differences == ()


async def database_is_consistent(database: TestDatabase) -> None:
    """Check that the audit log is complete, and that no phone is in operation at two locations."""
    await audit_log_is_complete(database)
    async with snapshot(database.owner_url) as connection:
        wrong = await phones_in_two_places(connection)
        assert not wrong, "\n".join(wrong)
