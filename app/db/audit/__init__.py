"""The audit trail: open an entry, change rows, seal.

PostgreSQL captures what changes by itself and attaches it to the open entry of the row's location, else of its
account (`system` for users, grants and the device catalogue). Who acts is what sign-in found, never an argument.
A transaction that changed something no sealed entry covers cannot commit.
"""

from app.db.database import Transaction
from app.db.statements import Statement

SYSTEM = "system"

_PARTS = ("entry_id", "chain", "action", "location_id", "request_id", "reason", "override_id", "outcome", "code")


def _nothing(_void: object) -> None:
    return None


_OPEN = Statement(
    "audit open",
    "SELECT turnup.audit_open($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text)",
    _PARTS,
    _nothing,
)
_SEAL = Statement("audit seal", "SELECT turnup.audit_seal()", (), _nothing)


async def open_entry(
    tx: Transaction,
    *,
    entry_id: str,
    chain: str,
    action: str,
    location_id: str | None,
    request_id: str,
    reason: str | None = None,
    override_id: str | None = None,
    outcome: str = "APPLIED",
    code: str | None = None,
) -> None:
    """Open an entry on a chain, an account's id or `SYSTEM`; later changes of this transaction belong to it."""
    await tx.fetch(
        _OPEN,
        entry_id=entry_id,
        chain=chain,
        action=action,
        location_id=location_id,
        request_id=request_id,
        reason=reason,
        override_id=override_id,
        outcome=outcome,
        code=code,
    )


async def seal(tx: Transaction) -> None:
    """Number and hash every open entry of this transaction; the last thing before the commit, for it locks chains."""
    await tx.fetch(_SEAL)
