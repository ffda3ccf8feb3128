"""Reading a JSON Web Key Set (RFC 7517): which of its keys may verify a token, and which one a token means."""

import json
from collections.abc import Mapping
from typing import TypeAlias

import jwt

MAX_KEYS = 64

# One algorithm for each kind of key, whatever set or token say: nothing is left to negotiate (RFC 8725, section 3.1).
ALGORITHM_OF_KEY = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA", ("RSA", None): "RS256"}
ALGORITHMS = frozenset(ALGORITHM_OF_KEY.values())

Keys: TypeAlias = Mapping[tuple[str | None, str], jwt.PyJWK]
"""Public keys by key id (None: the key has none) and algorithm."""


def read_key_set(body: bytes | bytearray) -> Keys:
    """The usable keys of a JSON Web Key Set as an issuer serves it; raises ValueError when it is not one."""
    try:
        document = json.loads(body)
    except RecursionError:
        raise ValueError("the key set is nested too deeply") from None
    match document:
        case {"keys": list() as entries} if len(entries) <= MAX_KEYS:
            return usable_keys(entries)
    raise ValueError(f"the document is not a set of at most {MAX_KEYS} keys")


def usable_keys(entries: list[object]) -> Keys:
    """The public signing keys among JWKs; the first of several under one id and algorithm counts.

    Left out without a word, as RFC 7517 section 5 asks: symmetric and private keys, keys for another use or
    algorithm, unknown curves, RSA below 2048 bits, whatever cannot be read.
    """
    keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
    for entry in entries:
        key = _usable(entry)
        if key is not None:
            keys.setdefault((key.key_id, key.algorithm_name), key)
    return keys


def find(keys: Keys, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
    """The key a token means; a token that names no key means the only one, or none when there are several."""
    if kid is not None:
        return keys.get((kid, algorithm))
    only = next(iter(keys.values())) if len(keys) == 1 else None
    return only if only is not None and only.algorithm_name == algorithm else None


def _usable(entry: object) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or "d" in entry:  # a published private key signs for everybody
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
