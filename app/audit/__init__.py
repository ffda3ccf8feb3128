"""The audit trail: open an entry, change rows, seal.

PostgreSQL captures what changes by itself and attaches it to the open entry of the row's location, else of its
account (`system` for users, grants and the device catalogue). Who acts is what sign-in found, never an argument.
A transaction that changed something no sealed entry covers cannot commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.db.database import Database, Transaction, translated
from app.db.statements import Statement

SYSTEM = "system"

# The arguments of the database's function. The last one is a truth value: of many it travels as text, for the driver
# would ask the database what an array of them is.
_PARTS = (
    "entry_id",
    "chain",
    "action",
    "location_id",
    "request_id",
    "reason",
    "override_id",
    "outcome",
    "code",
    "is_override",
)
_TEXTS = len(_PARTS) - 1


def _nothing(_void: object) -> None:
    return None


_OPEN = Statement(
    "audit open",
    f"SELECT turnup.audit_open({', '.join(f'${n}::text' for n in range(1, _TEXTS + 1))}, ${len(_PARTS)}::boolean)",
    _PARTS,
    _nothing,
)
_OPEN_MANY = Statement(
    "audit open many",
    f"""SELECT turnup.audit_open({", ".join(f"e.{part}" for part in _PARTS)}::boolean)
        FROM unnest({", ".join(f"${n}::text[]" for n in range(1, len(_PARTS) + 1))})
             WITH ORDINALITY AS e ({", ".join(_PARTS)}, place) ORDER BY e.place""",
    _PARTS,
    _nothing,
)
_SEAL = Statement("audit seal", "SELECT turnup.audit_seal()", (), _nothing)
_COUNT = "SELECT turnup.audit_count($1::text, $2::text, $3::text, $4::text)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An entry to be opened; the fields are the arguments of `open_entry`.

    `is_override` says that it counts as an override without one being open, as a reopening of what was locked does;
    what is done under an override counts anyway.
    """

    entry_id: str
    chain: str
    action: str
    location_id: str | None
    request_id: str
    reason: str | None = None
    override_id: str | None = None
    outcome: str = "APPLIED"
    code: str | None = None
    is_override: bool = False


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
    is_override: bool = False,
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
        is_override=is_override,
    )


async def open_entries(tx: Transaction, openings: Sequence[Opening]) -> None:
    """Open many entries in one statement, in their order: one for each location that a bulk operation changes."""
    columns = {part: [getattr(opening, part) for opening in openings] for part in _PARTS}
    await tx.fetch(_OPEN_MANY, **columns | {"is_override": [str(opening.is_override) for opening in openings]})


async def seal(tx: Transaction) -> None:
    """Number and hash every open entry of this transaction; the last thing before the commit, for it locks chains."""
    await tx.fetch(_SEAL)


async def record_denial(database: Database, *, field: str, user_id: str, request_id: str) -> None:
    """Count that a role was refused a field, such as `overrides`, in a transaction of its own.

    One entry a user, field and minute is made on the chain `SYSTEM`, with the count, once the minute is over.
    """
    await _count(database, "ROLE_DENIED", field, user_id, request_id)


async def record_security_event(database: Database, *, kind: str, user_id: str, request_id: str) -> None:
    """Count what should not happen, such as a suspended user's token; entered like a denial."""
    await _count(database, "SECURITY_EVENT", kind, user_id, request_id)


async def settle(database: Database) -> int:
    """Enter what was counted in minutes that are over; returns how many entries that made.

    Every denial does this too; called now and then it also enters the last ones.
    """
    async with database.connection() as connection:
        with translated():
            return int(await connection.fetchval("SELECT turnup.audit_settle()"))


async def _count(database: Database, action: str, code: str, user_id: str, request_id: str) -> None:
    async with database.connection() as connection:
        with translated():
            await connection.execute(_COUNT, action, code, user_id, request_id)
