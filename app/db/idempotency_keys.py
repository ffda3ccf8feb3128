"""The statements of idempotency keys: each is a user's own and is kept for 24 hours with the outcome of its call."""

from collections.abc import Mapping
from typing import Any

from app.db.database import Transaction
from app.db.statements import Statement

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


async def try_lock(tx: Transaction, key: str) -> bool:
    """Lock the viewer's key until the transaction ends; returns False when another transaction holds it."""
    return bool(await tx.fetch_one(_TRY_LOCK, user_id=tx.viewer.id, key=key))


async def find(tx: Transaction, key: str) -> tuple[bytes, Mapping[str, Any]] | None:
    """The fingerprint and the outcome that are kept under the viewer's key, None when there are none."""
    found: tuple[bytes, Mapping[str, Any]] | None = await tx.fetch_one(_FIND, user_id=tx.viewer.id, key=key)
    return found


async def store(tx: Transaction, key: str, *, mutation: str, fingerprint: bytes, outcome: Mapping[str, Any]) -> None:
    """Keep a call's fingerprint and outcome under the viewer's key."""
    kept = {"mutation": mutation, "fingerprint": fingerprint, "outcome": dict(outcome)}
    await tx.fetch(_STORE, user_id=tx.viewer.id, key=key, **kept)
