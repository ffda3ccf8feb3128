"""Idempotency keys: a call that was made before is answered by what it did, and a key stands for one input only."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from heapq import nlargest
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from app.db.database import Database, Transaction
from app.db.statements import Statement
from app.domain.canonical import canonical
from app.domain.issue import Issue
from app.domain.refusals import IdempotencyInProgress, IdempotencyKeyReused, Refusal
from app.domain.text import given
from app.operations.context import MutationCall, WriteContext

RETRY_AFTER_MS = 500
MOST_KEPT = 20
"""Of a list in a refusal, so many are kept for a repeated call: 100 locations may have 100,000 findings."""

_TRY_LOCK = Statement(
    "lock idempotency key",
    "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || E'\\n' || $2, 0))",
    ("user_id", "key"),
    bool,
)
_FIND = Statement(
    "find idempotency key",
    "SELECT fingerprint, outcome FROM turnup.idempotency_key WHERE user_id = $1 AND key = $2"
    " AND created_at > now() - interval '24 hours'",
    ("user_id", "key"),
    lambda fingerprint, outcome: (bytes(fingerprint), outcome),
)
_STORE = Statement(
    "store idempotency key",
    "INSERT INTO turnup.idempotency_key (user_id, key, mutation, fingerprint, outcome) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (user_id, key) DO UPDATE SET mutation = excluded.mutation, fingerprint = excluded.fingerprint,"
    " outcome = excluded.outcome, created_at = now()",
    ("user_id", "key", "mutation", "fingerprint", "outcome"),
    str,
)


# The keys under way in this process, by the database that they are kept in, with their users' subjects.
_UNDER_WAY: WeakKeyDictionary[Database, set[tuple[str, str]]] = WeakKeyDictionary()


@contextmanager
def alone(context: WriteContext, call: MutationCall) -> Iterator[None]:
    """Of calls with one key the first goes on; the others are told so before they take a connection.

    Raises IdempotencyInProgress. Calls that reach other processes meet in `earlier`.
    """
    if call.idempotency_key is None:
        yield
        return
    under_way = _UNDER_WAY.setdefault(context.database, set())
    mine = context.subject, call.idempotency_key
    if mine in under_way:
        raise IdempotencyInProgress(retry_after_ms=RETRY_AFTER_MS)
    under_way.add(mine)
    try:
        yield
    finally:
        under_way.remove(mine)


def as_kept(call: MutationCall) -> str | None:
    """The call's key in the form in which it is kept, or None when it has none.

    Raises InvalidInput for one that is empty, too long or cannot be read.
    """
    if call.idempotency_key is None:
        return None
    return given("idempotencyKey", call.idempotency_key, path=("idempotencyKey",))


async def earlier(tx: Transaction, call: MutationCall) -> Mapping[str, Any] | None:
    """What was kept of this very call, or None when its key is new or absent; the key is locked until the end.

    Raises IdempotencyInProgress while another call holds the key, IdempotencyKeyReused for another input.
    """
    key = as_kept(call)
    if key is None:
        return None
    if not await tx.fetch_one(_TRY_LOCK, user_id=tx.viewer.id, key=key):
        raise IdempotencyInProgress(retry_after_ms=RETRY_AFTER_MS)
    found = await tx.fetch_one(_FIND, user_id=tx.viewer.id, key=key)
    if found is None:
        return None
    fingerprint, outcome = found
    if fingerprint != fingerprint_of(call):
        raise IdempotencyKeyReused(path=("idempotencyKey",))
    kept: Mapping[str, Any] = outcome
    return kept


async def keep(tx: Transaction, call: MutationCall, outcome: Mapping[str, Any]) -> None:
    """Store what a call did, with its effect."""
    key = as_kept(call)
    if key is not None:
        stored = {"mutation": call.mutation, "fingerprint": fingerprint_of(call), "outcome": dict(outcome)}
        await tx.fetch(_STORE, user_id=tx.viewer.id, key=key, **stored)


def fingerprint_of(call: MutationCall) -> bytes:
    """SHA-256 of the mutation and its coerced input in RFC 8785 form, without the key itself."""
    wanted = orjson.dumps({"mutation": call.mutation, "input": call.input})
    return hashlib.sha256(canonical(orjson.loads(wanted))).digest()


def refusal_to_json(refusal: Refusal) -> dict[str, Any]:
    """A refusal as plain values: of a list of facts at most MOST_KEPT, of issues those that block the most steps."""
    facts = {field.name: _listed(getattr(refusal, field.name)) for field in fields(refusal)}
    return {"kind": type(refusal).__name__, "facts": facts}


def refusal_from_json(kept: Mapping[str, Any]) -> Refusal:
    """The refusal behind plain values; its facts read as they did, enumerations as their text."""
    facts = {name: _restored(name, value) for name, value in kept["facts"].items()}
    return _REFUSALS[kept["kind"]](**facts)


_ISSUE = tuple(field.name for field in fields(Issue))
_REFUSALS = {refusal.__name__: refusal for refusal in Refusal.__subclasses__()}


def _listed(value: Any) -> Any:
    """A fact as plain values; the issues of a location that is not ready hold sets of their own."""
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_issue_to_json(each) if isinstance(each, Issue) else each for each in _most_telling(value)]
    return value


def _most_telling(facts: tuple[Any, ...]) -> Iterator[Any]:
    """At most MOST_KEPT of the facts, in their order."""
    weights = [len(fact.blocks) if isinstance(fact, Issue) else 0 for fact in facts]
    return (facts[place] for place in sorted(nlargest(MOST_KEPT, range(len(facts)), key=weights.__getitem__)))


def _issue_to_json(issue: Issue) -> dict[str, Any]:
    return {name: getattr(issue, name) for name in _ISSUE} | {"blocks": sorted(issue.blocks)}


def _restored(name: str, value: Any) -> Any:
    if name == "issues":
        return tuple(Issue(**{**each, "blocks": frozenset(each["blocks"])}) for each in value)
    return tuple(value) if isinstance(value, list) else value
