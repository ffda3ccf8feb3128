"""The audit log: open an entry, change rows, seal the entry.

PostgreSQL triggers capture each change and attach it to the open entry of the row's location, else of its account
(`system` for users, grants and the device catalogue). The actor comes from the sign-in and is never an argument. A
transaction with a change that no sealed entry covers cannot commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.db.database import Database, Transaction
from app.db.failures import translated
from app.db.statements import Statement
from app.domain.vocabulary import AuditOutcome, SystemAction

SYSTEM = "system"

# The arguments of the database function: texts and a boolean. An array of booleans is sent as text, because the driver
# would query the type's definition.
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
    "client_request_id",
)
_TEXT = "text"
_TYPES = {"is_override": "boolean"}


def _nothing(_void: object) -> None:
    return None


_OPEN = Statement(
    "audit open",
    f"SELECT turnup.audit_open({', '.join(f'${n}::{_TYPES.get(p, _TEXT)}' for n, p in enumerate(_PARTS, 1))})",
    _PARTS,
    _nothing,
)
_OPEN_MANY = Statement(
    "audit open many",
    f"""SELECT turnup.audit_open({", ".join(f"e.{part}::{_TYPES.get(part, _TEXT)}" for part in _PARTS)})
        FROM unnest({", ".join(f"${n}::text[]" for n in range(1, len(_PARTS) + 1))})
             WITH ORDINALITY AS e ({", ".join(_PARTS)}, place) ORDER BY e.place""",
    _PARTS,
    _nothing,
)
_SEAL = Statement("audit seal", "SELECT turnup.audit_seal()", (), _nothing)
_COUNT = "SELECT turnup.audit_count($1::text, $2::text, $3::text, $4::text, $5::text)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An entry to open; the fields are the arguments of `open_entry`.

    `is_override` marks an entry that counts as an override without an open one, such as reopening a locked location.
    Entries under an open override always count.
    """

    entry_id: str
    chain: str
    action: str
    location_id: str | None
    request_id: str
    reason: str | None = None
    override_id: str | None = None
    outcome: AuditOutcome = AuditOutcome.APPLIED
    code: str | None = None
    is_override: bool = False
    client_request_id: str | None = None


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
    outcome: AuditOutcome = AuditOutcome.APPLIED,
    code: str | None = None,
    is_override: bool = False,
    client_request_id: str | None = None,
) -> None:
    """Open an entry on a chain (an account's id or `SYSTEM`); later changes of this transaction belong to it."""
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
        client_request_id=client_request_id,
    )


async def open_entries(tx: Transaction, openings: Sequence[Opening]) -> None:
    """Open several entries in one statement, in their order: one per location that a bulk operation changes."""
    columns = {part: [getattr(opening, part) for opening in openings] for part in _PARTS}
    await tx.fetch(_OPEN_MANY, **columns | {"is_override": [str(opening.is_override) for opening in openings]})


async def seal(tx: Transaction) -> None:
    """Number and hash every open entry of this transaction. Call it last before the commit: it locks the chains."""
    await tx.fetch(_SEAL)


async def record_denial(
    database: Database, *, field: str, user_id: str, request_id: str, client_request_id: str | None = None
) -> None:
    """Count a field refused for a role, such as `overrides`, in a transaction of its own.

    One entry per user, field and minute, with the count, is written to the chain `SYSTEM` after the minute ends.
    """
    await _count(database, SystemAction.ROLE_DENIED, field, user_id, request_id, client_request_id)


async def record_security_event(
    database: Database, *, kind: str, user_id: str, request_id: str, client_request_id: str | None = None
) -> None:
    """Count a security event, such as the use of a suspended user's token; recorded like a denial."""
    await _count(database, SystemAction.SECURITY_EVENT, kind, user_id, request_id, client_request_id)


async def settle(database: Database) -> int:
    """Write the entries of all past minutes that have counts; returns the number of entries.

    Every denial does this too. A periodic call also records the last counts.
    """
    async with database.connection() as connection:
        with translated():
            return int(await connection.fetchval("SELECT turnup.audit_settle()"))


async def _count(database: Database, *arguments: str | None) -> None:
    async with database.connection() as connection:
        with database.observe("sql", "audit count", {}), translated():
            await connection.execute(_COUNT, *arguments)
