"""The bytes that are hashed. `turnup.audit_encoded` in PostgreSQL produces the same bytes.

Every part has either a fixed length or a frame (presence, length, bytes), so that two different entries never have the
same bytes. Values are represented by their salted hashes.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

# The first bytes of an entry. The first form has no override flag; its entries have null in that column. The third form
# has the client's request id; an entry without one has an earlier form.
FORMS = {None: b"turnup.audit.1", False: b"turnup.audit.2\x00", True: b"turnup.audit.2\x01"}
FORMS_WITH_CLIENT = {None: b"turnup.audit.3\x02", False: b"turnup.audit.3\x00", True: b"turnup.audit.3\x01"}
GENESIS = bytes(32)
# Every salt has this length: with a free length, the boundary between salt and value could be moved under the same
# hash.
SALT_BYTES = 16
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # the epoch of PostgreSQL's timestamps
_MICROSECOND = timedelta(microseconds=1)
_ABSENT = b"\x00"


class ChangeRecord(NamedTuple):
    """One value before and after a change, each as PostgreSQL's jsonb text, with its salt and its hash."""

    account_id: str | None
    location_id: str | None
    table_name: str
    row_id: str
    field: str
    before: str | None
    before_salt: bytes | None
    before_hash: bytes | None
    after: str | None
    after_salt: bytes | None
    after_hash: bytes | None


class Entry(NamedTuple):
    """One write or refused attempt, as stored in a chain."""

    id: str
    chain: str
    number: int
    account_id: str | None
    location_id: str | None
    action: str
    outcome: str
    code: str | None
    actor_id: str | None
    actor_role: str | None
    request_id: str
    reason: str | None
    reason_salt: bytes | None
    reason_hash: bytes | None
    override_id: str | None
    is_override: bool | None
    client_request_id: str | None
    occurred_at: datetime
    previous_hash: bytes | None
    hash: bytes


def encoded(entry: Entry, changes: Sequence[ChangeRecord]) -> bytes:
    """Return the bytes of an entry with its changes in their order."""
    micros = (entry.occurred_at - _EPOCH) // _MICROSECOND
    parts = [
        *_form(entry),
        _text(entry.chain),
        entry.number.to_bytes(8, "big", signed=True),
        _framed(entry.previous_hash),
        *map(_text, (entry.id, entry.account_id, entry.location_id, entry.action, entry.outcome, entry.code)),
        *map(_text, (entry.actor_id, entry.actor_role, entry.request_id)),
        _framed(entry.reason_hash),
        _text(entry.override_id),
        micros.to_bytes(8, "big", signed=True),
        len(changes).to_bytes(8, "big", signed=True),
    ]
    parts.extend(_changes(changes))
    return b"".join(parts)


def salted(salt: bytes, value: str) -> bytes:
    """Return the hash that represents a value in the chain; the salt is `SALT_BYTES` long."""
    return sha256(salt + value.encode()).digest()


def _form(entry: Entry) -> tuple[bytes, ...]:
    if entry.client_request_id is None:
        return (FORMS[entry.is_override],)
    return (FORMS_WITH_CLIENT[entry.is_override], _text(entry.client_request_id))


def _changes(changes: Iterable[ChangeRecord]) -> Iterable[bytes]:
    for change in changes:
        yield _text(change.account_id)
        yield _text(change.location_id)
        yield _text(change.table_name)
        yield _text(change.row_id)
        yield _text(change.field)
        yield _framed(change.before_hash)
        yield _framed(change.after_hash)


@lru_cache(maxsize=8192)  # the same tables, fields, rows and locations recur in many entries
def _text(value: str | None) -> bytes:
    return _ABSENT if value is None else _framed(value.encode())


def _framed(value: bytes | None) -> bytes:
    return _ABSENT if value is None else b"\x01" + len(value).to_bytes(4, "big") + value
