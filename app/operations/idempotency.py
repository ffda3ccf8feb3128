"""Idempotency keys: a repeated call returns the stored result of the first, and a key is valid for one input only."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from heapq import nlargest
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import orjson

from app.db import idempotency_keys
from app.db.database import Database, Transaction
from app.domain.canonical import canonical
from app.domain.issue import Issue
from app.domain.mac_holder import MacHolder
from app.domain.refusals import IdempotencyInProgress, IdempotencyKeyReused, Refusal
from app.domain.text import given
from app.operations.context import MutationCall, WriteContext

RETRY_AFTER_MS = 500
MOST_KEPT = 20
"""The number of list items of a refusal that are stored for replays: 100 locations can have 100,000 issues."""

# The keys of calls in progress in this process, by database, with their users.
_UNDER_WAY: WeakKeyDictionary[Database, set[tuple[str, str]]] = WeakKeyDictionary()


@contextmanager
def alone(context: WriteContext, call: MutationCall[Any]) -> Iterator[None]:
    """Of several concurrent calls with the same key, only the first runs; the others are refused without waiting.

    A refused call takes no connection. The connection that signed in its user is released when its request ends, which
    does not wait for anything that the first call holds. Raises IdempotencyInProgress. `earlier` refuses a call whose
    key is in use in another process.
    """
    if call.idempotency_key is None:
        yield
        return
    under_way = _UNDER_WAY.setdefault(context.database, set())
    mine = context.user_id, call.idempotency_key
    if mine in under_way:
        raise IdempotencyInProgress(retry_after_ms=RETRY_AFTER_MS)
    under_way.add(mine)
    try:
        yield
    finally:
        under_way.remove(mine)


def as_kept(call: MutationCall[Any]) -> str | None:
    """The normalized key of the call, or None if it has none.

    Raises InvalidInput for a key that is empty, too long or not valid text.
    """
    if call.idempotency_key is None:
        return None
    return given("idempotencyKey", call.idempotency_key, path=("idempotencyKey",))


async def earlier(tx: Transaction, call: MutationCall[Any]) -> Mapping[str, Any] | None:
    """The stored result of this call, or None if its key is new or absent. Locks the key until the transaction ends.

    Raises IdempotencyInProgress while another call holds the key, IdempotencyKeyReused for another input.
    """
    key = as_kept(call)
    if key is None:
        return None
    if not await idempotency_keys.try_lock(tx, key):
        raise IdempotencyInProgress(retry_after_ms=RETRY_AFTER_MS)
    found = await idempotency_keys.find(tx, key)
    if found is None:
        return None
    fingerprint, outcome = found
    if fingerprint != fingerprint_of(call):
        raise IdempotencyKeyReused(path=("idempotencyKey",))
    return outcome


async def keep(tx: Transaction, call: MutationCall[Any], outcome: Mapping[str, Any]) -> None:
    """Store the result of a call in the transaction of its writes."""
    key = as_kept(call)
    if key is not None:
        fingerprint = fingerprint_of(call)
        await idempotency_keys.store(tx, key, mutation=call.mutation, fingerprint=fingerprint, outcome=outcome)


def fingerprint_of(call: MutationCall[Any]) -> bytes:
    """SHA-256 of the RFC 8785 form of the mutation and its coerced input, without the key."""
    wanted = orjson.dumps({"mutation": call.mutation, "input": call.command.fingerprinted()})
    return hashlib.sha256(canonical(orjson.loads(wanted))).digest()


def refusal_to_json(refusal: Refusal) -> dict[str, Any]:
    """A refusal as plain values. Of a list, at most MOST_KEPT items; of issues, those that block the most steps."""
    facts = {field.name: _listed(getattr(refusal, field.name)) for field in fields(refusal)}
    return {"kind": type(refusal).__name__, "facts": facts}


def refusal_from_json(kept: Mapping[str, Any]) -> Refusal:
    """The refusal from plain values, with the same facts and so the same message. Raises msgspec.ValidationError."""
    return msgspec.convert(kept["facts"], _REFUSALS[kept["kind"]])


_ISSUE = tuple(field.name for field in fields(Issue))
_REFUSALS = {refusal.__name__: refusal for refusal in Refusal.__subclasses__()}


def _listed(value: Any) -> Any:
    """A fact as plain values. Issues contain sets, which are sorted as well."""
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_item_to_json(each) for each in _most_important(value)]
    return value


def _most_important(facts: tuple[Any, ...]) -> Iterator[Any]:
    """At most MOST_KEPT of the facts, in their original order."""
    weights = [len(fact.blocks) if isinstance(fact, Issue) else 0 for fact in facts]
    return (facts[place] for place in sorted(nlargest(MOST_KEPT, range(len(facts)), key=weights.__getitem__)))


def _item_to_json(item: Any) -> Any:
    if isinstance(item, Issue):
        return {name: getattr(item, name) for name in _ISSUE} | {"blocks": sorted(item.blocks)}
    return asdict(item) if isinstance(item, MacHolder) else item
