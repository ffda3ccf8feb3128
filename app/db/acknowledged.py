"""The payload that was acknowledged last before each of some payloads."""

from app.db import tables
from app.db.database import Transaction
from app.db.scoping import scope_on
from app.db.statements import Statement, joined
from app.domain.vocabulary import ReceiptKind

# One index scan per payload, along the unique (location_id, sequence).
SQL = f"""
SELECT p.id, (
    SELECT CASE WHEN a.in_operation THEN e.id END
    FROM turnup.provisioning_payload e CROSS JOIN LATERAL (
        SELECT bool_or(r.decommissioned_at IS NULL) AS in_operation
        FROM turnup.receipt t
        JOIN turnup.payload_recipient r ON r.payload_id = t.payload_id AND r.user_id = t.received_by
        WHERE t.payload_id = e.id AND t.kind = '{ReceiptKind.ACKNOWLEDGED}'
          AND ($2::text IS NULL OR t.received_by = $2)) a
    WHERE e.location_id = p.location_id AND e.sequence < p.sequence AND a.in_operation IS NOT NULL
    ORDER BY e.sequence DESC LIMIT 1)
FROM turnup.provisioning_payload p
WHERE p.id = ANY (string_to_array($1, ','))
"""
ACKNOWLEDGED_BEFORE = Statement("acknowledged before", SQL, ("keys", "recipient"), lambda *pair: pair)


async def acknowledged_before(tx: Transaction, payload_ids: list[str]) -> list[str | None]:
    """Return the id of the last earlier payload of the same location that was acknowledged, or None, per payload.

    None as well if it was decommissioned since: its phones are out of operation, so there is nothing to change. It was
    acknowledged by the viewer or, for viewers who receive no payloads themselves, by any recipient.
    """
    recipient = scope_on(tx.viewer, tables.receipt).recipient
    pairs = await tx.fetch(ACKNOWLEDGED_BEFORE, keys=joined(payload_ids), recipient=recipient)
    found = dict(pairs)
    return [found.get(each) for each in payload_ids]
