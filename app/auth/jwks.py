"""JSON Web Key Sets (RFC 7517): which keys may verify a token, and which key a token refers to."""

import json
from collections.abc import Mapping
from typing import TypeAlias

import jwt

from app.auth.fetching import UnusableAnswer

MAX_KEYS = 64

# One algorithm per type of key, regardless of the key set and the token: nothing is negotiated (RFC 8725, section 3.1).
ALGORITHM_OF_KEY = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA", ("RSA", None): "RS256"}
ALGORITHMS = frozenset(ALGORITHM_OF_KEY.values())

Keys: TypeAlias = Mapping[tuple[str | None, str], jwt.PyJWK]
"""Public keys by key id (None: the key has none) and algorithm."""


def read_key_set(body: bytes | bytearray) -> Keys:
    """Parse an issuer's JSON Web Key Set and return its usable keys. Raises ValueError when it is not a valid set."""
    try:
        document = json.loads(body)
    except RecursionError:
        raise UnusableAnswer("the key set is nested too deeply") from None
    match document:
        case {"keys": list() as entries} if len(entries) <= MAX_KEYS:
            return usable_keys(entries)
    raise UnusableAnswer(f"the document is not a JSON Web Key Set with at most {MAX_KEYS} keys")


def usable_keys(entries: list[object]) -> Keys:
    """Return the public signing keys among JWKs. Of several with the same id and algorithm the first is used.

    As RFC 7517 section 5 requires, unusable keys are skipped silently: symmetric and private keys, keys for another use
    or algorithm, unknown curves, RSA below 2048 bits, and malformed entries.
    """
    keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
    for entry in entries:
        key = _usable(entry)
        if key is not None:
            keys.setdefault((key.key_id, key.algorithm_name), key)
    return keys


def find(keys: Keys, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
    """Return the key that a token refers to; without a key id that is the set's only key, else None."""
    if kid is not None:
        return keys.get((kid, algorithm))
    only = next(iter(keys.values())) if len(keys) == 1 else None
    return only if only is not None and only.algorithm_name == algorithm else None


def _usable(entry: object) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or "d" in entry:  # with a published private key anyone can sign tokens
        return None
    kid, kty, crv = entry.get("kid"), entry.get("kty"), entry.get("crv")
    if not (isinstance(kid, str | None) and isinstance(kty, str) and isinstance(crv, str | None)):
        return None
    algorithm = ALGORITHM_OF_KEY.get((kty, crv))
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        return None
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm)
    except jwt.PyJWTError:
        return None
    return None if key.Algorithm.check_key_length(key.key) else key
