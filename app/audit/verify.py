"""Verifies the chains, and reports the first entry that is not as it was sealed.

Entries and changes are read in pages, so that memory use does not depend on the size of the log. The connection acts as
the definer role in one snapshot, which `snapshot` opens. The database only reads and sorts rows, with PostgreSQL's own
functions and operators: every hash is computed here.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter
from typing import Any, NamedTuple

from app.audit import SYSTEM
from app.audit.encoding import GENESIS, SALT_BYTES, ChangeRecord, Entry, encoded, salted
from app.audit.objects import PINNED
from app.db.connecting import connect_as_owner
from app.progress import Report, unreported

PAGE = 500
ERASE = "ERASE"
# Columns whose values are never stored in the log; their salted hashes show that they changed.
WITHHELD = frozenset({("user", "subject"), ("service_token", "secret_sha256"), ("invitation", "secret_sha256")})
# Columns whose values an erasure removes: what a person is called and reached by, free text, and documents with both.
_ERASABLE = {
    "person": {"first_name", "last_name", "email", "mobile", "mobile_e164"},
    "contact": {"name", "email", "phone", "e164"},
    "user": {"name", "email", "subject", "issuer"},
    "invitation": {"name", "email"},
    "approval": {"content", "comment"},
    "provisioning_payload": {"document", "withdrawn_reason"},
    "override": {"reason"},
    "status_change": {"reason", "reason_for_customer", "reason_for_partner"},
    "payload_recipient": {"waived_reason", "decommission_reason"},
    "receipt": {"reasons"},
}
_PLACES = frozenset({"account", "location"})  # the tables whose rows chains and entries are named after
_LISTS = frozenset({"field_change", "audit_entry"})  # the tables that an ERASE entry lists as erased from

# The first page has no lower bound, so that an entry below the first valid position is found too.
_ENTRIES = """
SELECT {columns} FROM turnup.audit_entry
WHERE {after} AND number IS NOT NULL AND ($1::text IS NULL OR chain = $1)
ORDER BY chain, number LIMIT {page}
"""
_FIRST, _NEXT = (
    _ENTRIES.format(columns=", ".join(Entry._fields), page=PAGE, after=after)
    for after in ("true", "(chain, number) > ($2, $3)")
)
_CHANGES = """
SELECT entry_id, account_id, location_id, table_name, row_id, field,
       before::text, before_salt, before_hash, after::text, after_salt, after_hash
FROM turnup.field_change WHERE entry_id = ANY ($1::text[]) ORDER BY id
"""
_HOMES = "SELECT id, account_id FROM turnup.location WHERE id = ANY ($1::text[])"
_ACCOUNTS = "SELECT id FROM turnup.account WHERE $1::text IS NULL OR id = $1"
_HEADS = "SELECT chain, number, hash FROM turnup.chain_head WHERE $1::text IS NULL OR chain = $1 ORDER BY chain"
_UNSEALED = """
SELECT chain, id FROM turnup.audit_entry WHERE number IS NULL AND ($1::text IS NULL OR chain = $1)
ORDER BY chain, ordinal LIMIT 1
"""
_ORPHAN = """
SELECT c.entry_id FROM turnup.field_change c
WHERE NOT EXISTS (SELECT FROM turnup.audit_entry e WHERE e.id = c.entry_id) LIMIT 1
"""
# Used when one account is verified alone: the entries of other chains, which are not verified, about this account.
_ELSEWHERE = f"""
SELECT chain, number, id FROM turnup.audit_entry WHERE account_id = $1 AND chain <> $1
UNION ALL
SELECT e.chain, e.number, e.id FROM turnup.location l JOIN turnup.audit_entry e ON e.location_id = l.id
WHERE l.account_id = $1 AND e.chain <> $1
UNION ALL
SELECT e.chain, e.number, e.id FROM turnup.location l JOIN turnup.field_change c ON c.location_id = l.id
JOIN turnup.audit_entry e ON e.id = c.entry_id WHERE l.account_id = $1 AND e.chain NOT IN ($1, '{SYSTEM}')
LIMIT 1
"""
_COUNTED = """
SELECT (SELECT count(*) FROM turnup.audit_entry WHERE number IS NOT NULL AND ($1::text IS NULL OR chain = $1)),
       CASE WHEN $1::text IS NULL THEN (SELECT count(*) FROM turnup.field_change) END
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry that is not as it was sealed; `number` is None when the fault concerns no single entry."""

    chain: str
    number: int | None
    entry_id: str | None
    why: str
    missing: bool = False
    """Whether a chain that was asked for, or its signed head, does not exist: its name may be mistyped."""

    def __str__(self) -> str:
        """Return one line for display."""
        entry = "" if self.number is None else f", entry {self.number}"
        return f"chain {self.chain}{entry}{f' ({self.entry_id})' if self.entry_id else ''}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a verification. `erased` counts values removed by an erasure that the chain itself records."""

    chains: int
    entries: int
    changes: int
    erased: int
    seconds: float
    broken: Broken | None


@asynccontextmanager
async def snapshot(owner_url: str) -> AsyncIterator[Any]:
    """Open a read-only connection that sees the whole log at one moment, as the definer role."""
    connection = await connect_as_owner(owner_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(PINNED)
            await connection.execute("SET LOCAL ROLE turnup_definer")
            yield connection
    finally:
        await connection.close()


async def verify(
    connection: Any,
    *,
    chain: str | None = None,
    signed: Mapping[str, Head] | None = None,
    report: Report = unreported,
) -> Verdict:
    """Verify every chain, or one; with `signed` heads also detect removed last entries and recomputed chains.

    A chain given by name must exist, and must be among the signed heads when there are any. `report` gets the number of
    entries that are verified and of all.
    """
    stored = {row["chain"]: Head(row["number"], row["hash"]) for row in await connection.fetch(_HEADS, chain)}
    expected = {name: head for name, head in (signed or {}).items() if chain in {None, name}}
    accounts = frozenset(row["id"] for row in await connection.fetch(_ACCOUNTS, chain))
    total = sum(head.number for head in stored.values())
    walk = _Walk(stored, expected, accounts)
    started = perf_counter()
    broken: Broken | None = None
    try:
        async for entry, changes, homes in _entries(connection, chain):
            walk.step(entry, changes, homes)
            report(walk.entries, total)
        walk.end()
        await _nothing_loose(connection, chain, walk)
        if chain is not None:
            _is_there(chain, walk, signed)
    except _Break as found:
        broken = found.broken
    return Verdict(walk.chains, walk.entries, walk.changes, walk.erased, perf_counter() - started, broken)


async def heads(connection: Any) -> dict[str, Head]:
    """Return the last entry of every chain."""
    return {row["chain"]: Head(row["number"], row["hash"]) for row in await connection.fetch(_HEADS, None)}


async def _entries(
    connection: Any, chain: str | None
) -> AsyncIterator[tuple[Entry, list[ChangeRecord], Mapping[str, str]]]:
    """Yield each entry with its changes, and the accounts of the existing locations that its page names."""
    records = await connection.fetch(_FIRST, chain)
    while True:
        page = [Entry(*record) for record in records]
        changes: dict[str, list[ChangeRecord]] = {entry.id: [] for entry in page}
        named = {entry.location_id for entry in page}
        for entry_id, *parts in await connection.fetch(_CHANGES, list(changes)):
            change = ChangeRecord(*parts)
            changes[entry_id].append(change)
            named.add(change.location_id)
        homes = dict(await connection.fetch(_HOMES, list(named - {None})))
        for entry in page:
            yield entry, changes[entry.id], homes
        if len(page) < PAGE:
            return
        records = await connection.fetch(_NEXT, chain, page[-1].chain, page[-1].number)


async def _nothing_loose(connection: Any, chain: str | None, walk: "_Walk") -> None:
    unsealed = await connection.fetchrow(_UNSEALED, chain)
    if unsealed is not None:
        raise _Break(Broken(unsealed["chain"], None, unsealed["id"], "the entry was never sealed"))
    orphan = None if chain is not None else await connection.fetchval(_ORPHAN)
    if orphan is not None:
        raise _Break(Broken("?", None, orphan, "its changes exist, but the entry does not"))
    elsewhere = None if chain in {None, SYSTEM} else await connection.fetchrow(_ELSEWHERE, chain)
    if elsewhere is not None:
        raise _Break(
            Broken(
                elsewhere["chain"], elsewhere["number"], elsewhere["id"], f"it concerns {chain} but is in another chain"
            )
        )
    entries, changes = await connection.fetchrow(_COUNTED, chain)
    if entries != walk.entries or changes not in {None, walk.changes}:
        raise _Break(Broken(chain or "?", None, None, "there are entries or changes outside the verified chains"))


def _is_there(chain: str, walk: "_Walk", signed: Mapping[str, Head] | None) -> None:
    if walk.entries == 0:
        raise _Break(Broken(chain, None, None, "the chain has no entries to verify", missing=True))
    if signed is not None and chain not in signed:
        raise _Break(Broken(chain, None, None, "the signed heads do not include this chain", missing=True))


class Side(NamedTuple):
    """One value of a change with its salt and hash."""

    name: str
    value: str | None
    salt: bytes | None
    hash: bytes | None


class _Break(Exception):  # noqa: N818 - carries the finding to the caller
    def __init__(self, broken: Broken) -> None:
        super().__init__(str(broken))
        self.broken = broken


class _Walk:
    """The state of a verification.

    It holds the last entry, the heads not reached yet, the accounts and locations that the chain describes or names
    without their rows, and the removed values whose erasure entry has not been reached yet.
    """

    def __init__(self, stored: dict[str, Head], signed: dict[str, Head], accounts: frozenset[str]) -> None:
        self._stored = stored
        self._signed = signed
        self._accounts = accounts
        self._last: Entry | None = None
        # Accounts and locations with changes in the chain, and the locations that it names and that do not exist.
        self._told: set[tuple[str, str]] = set()
        self._gone: dict[str, Entry] = {}
        self._waiting: dict[tuple[str, str], tuple[Entry, bytes]] = {}
        self.chains = self.entries = self.changes = self.erased = 0

    def step(self, entry: Entry, changes: list[ChangeRecord], homes: Mapping[str, str]) -> None:
        last = self._last
        if last is not None and last.chain != entry.chain:
            self._end_of(last)
            last = None
        self.chains += last is None
        number, previous = (0, GENESIS) if last is None else (last.number, last.hash)
        if entry.number != number + 1:
            raise _broken(entry, f"the entries between {number} and this one are missing")
        if entry.previous_hash != previous:
            raise _broken(entry, "its previous hash is not the hash of the entry before it")
        if sha256(encoded(entry, changes)).digest() != entry.hash:
            raise _broken(entry, "the entry or one of its changes was modified after sealing")
        signed = self._signed.get(entry.chain)
        if signed is not None and signed.number == entry.number and signed.hash != entry.hash:
            raise _broken(entry, "its hash differs from the signed head")
        reason = Side("reason", entry.reason, entry.reason_salt, entry.reason_hash)
        self._check_side(entry, str(entry.number), None, reason)
        for place, change in enumerate(changes, start=1):
            self._check(entry, f"{entry.number}/{place}", change)
        self._check_places(entry, changes, homes)
        self._last = entry
        self.entries += 1
        self.changes += len(changes)

    def end(self) -> None:
        if self._last is not None:
            self._end_of(self._last)
        for chain in self._stored:
            raise _Break(Broken(chain, None, None, "the chain has a head but no entries"))
        for chain, head in self._signed.items():
            raise _Break(Broken(chain, head.number, None, "the chain has a signed head but no entries"))

    def _check_places(self, entry: Entry, changes: list[ChangeRecord], homes: Mapping[str, str]) -> None:
        account = None if entry.chain == SYSTEM else entry.chain
        if entry.account_id != account:
            raise _broken(entry, "its account is not the account of the chain")
        self._told.update((each.table_name, each.row_id) for each in changes if each.table_name in _PLACES)
        for of_account, location in {(account, entry.location_id), *((c.account_id, c.location_id) for c in changes)}:
            if account is not None and of_account != account:
                raise _broken(entry, "the account of one of its changes is not the account of the chain")
            if location is not None and homes.get(location, of_account) != of_account:
                raise _broken(entry, f"it names {location}, which belongs to another account")
            if account is not None and location is not None and location not in homes:
                self._gone.setdefault(location, entry)

    def _check(self, entry: Entry, place: str, change: ChangeRecord) -> None:
        self._check_side(entry, place, change, Side("after", change.after, change.after_salt, change.after_hash))
        before = Side("before", change.before, change.before_salt, change.before_hash)
        if entry.action != ERASE or before.hash is None or before.salt is not None:
            self._check_side(entry, place, change, before)
        elif change.table_name in _LISTS:
            _entry, digest = self._waiting.pop((change.row_id, change.field), (entry, None))
            if digest != before.hash:
                raise _broken(
                    entry, f"it records the erasure of {change.field} of {change.row_id}, which was not erased"
                )

    def _check_side(self, entry: Entry, place: str, change: ChangeRecord | None, side: Side) -> None:
        if side.hash is None:
            if side.value is not None or side.salt is not None:
                raise _broken(entry, f"{side.name} of {place} was added after sealing")
        elif side.salt is None:
            if change is not None and change.field not in _ERASABLE.get(change.table_name, ()):
                raise _broken(entry, f"{side.name} of {place} was removed, though no erasure removes {change.field}")
            self._waiting[place, side.name] = (entry, side.hash)
            self.erased += 1
        elif len(side.salt) != SALT_BYTES:
            raise _broken(entry, f"the salt of {side.name} of {place} has the wrong length")
        elif side.value is None:
            if change is None or (change.table_name, change.field) not in WITHHELD:
                raise _broken(entry, f"{side.name} of {place} was removed")
        elif salted(side.salt, side.value) != side.hash:
            raise _broken(entry, f"{side.name} of {place} was modified after sealing")

    def _end_of(self, last: Entry) -> None:
        for entry, _hash in self._waiting.values():
            raise _broken(entry, "one of its values was removed without a recorded erasure")
        if last.chain != SYSTEM and last.chain not in self._accounts and ("account", last.chain) not in self._told:
            raise _broken(last, "the chain's account does not exist, and the chain does not record it")
        for location, entry in self._gone.items():
            if ("location", location) not in self._told:
                raise _broken(entry, f"it names {location}, which does not exist and which the chain does not record")
        self._told, self._gone = set(), {}
        head = self._stored.pop(last.chain, None)
        if head != Head(last.number, last.hash):
            raise _broken(
                last, "the chain's head is not this last entry: later entries are missing, or the head is wrong"
            )
        signed = self._signed.pop(last.chain, None)
        if signed is not None and signed.number > last.number:
            raise _broken(last, f"the chain ends here, but entry {signed.number} was signed")


def _broken(entry: Entry, why: str) -> _Break:
    return _Break(Broken(entry.chain, entry.number, entry.id, why))
