"""Signed heads: the last entry of every chain at one moment, stored where the database's owner cannot write.

A chain alone does not show that its last entries were removed or that the whole chain was recomputed; a head that was
signed earlier does. A file also names the database, because a demo database that was reset has other chains.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from app.audit.verify import Head
from app.domain.canonical import canonical
from app.domain.installation import DatabaseKind, Installation

FORMAT = "turnup.audit.heads.1"
NO_KEY = "does not contain an Ed25519 key without a password"
_LACKING = """
SELECT s.chain, s.number FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS s (chain, number, hash)
WHERE NOT EXISTS (
    SELECT FROM turnup.audit_entry e WHERE e.chain = s.chain AND e.number = s.number AND e.hash = s.hash
) ORDER BY s.chain LIMIT 1
"""


class UntrustedHeads(Exception):  # noqa: N818 - says what was found
    """The file of heads is not trusted."""


@dataclass(frozen=True, slots=True)
class SignedHeads:
    """The content of a file of heads: the time, the database (None in older files), and the heads by chain."""

    at: str
    database: Installation | None
    key: str | None
    heads: Mapping[str, Head]


def signed_heads(
    heads: Mapping[str, Head], key: Ed25519PrivateKey, *, at: datetime, database: Installation | None = None
) -> str:
    """Return the heads as JSON text with an Ed25519 signature over their canonical form (RFC 8785)."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "at": at.isoformat(timespec="seconds"),
        "database": None if database is None else {"id": database.id, "kind": database.kind.value},
        "key": fingerprint(key.public_key()),
        "heads": [{"chain": c, "number": h.number, "hash": h.hash.hex()} for c, h in sorted(heads.items())],
    }
    signature = key.sign(canonical(document)).hex()
    return json.dumps({**document, "signature": signature}, indent=1) + "\n"


def trusted_heads(text: str | bytes, key: Ed25519PublicKey) -> dict[str, Head]:
    """Return the heads of a file. Raises UntrustedHeads when the key did not sign exactly these heads."""
    check_signature(text, key)
    return dict(read_heads(text).heads)


def check_signature(text: str | bytes, key: Ed25519PublicKey) -> None:
    """Raise UntrustedHeads when the key did not sign exactly this file."""
    try:
        document = json.loads(text)
        signature = bytes.fromhex(document.pop("signature"))
        key.verify(signature, canonical(document))
    except InvalidSignature as error:
        raise UntrustedHeads("the signature is not from this key, or the heads were modified") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UntrustedHeads(_NO_HEADS) from error


def read_heads(text: str | bytes) -> SignedHeads:
    """Return the content of a file without a check of its signature. Raises UntrustedHeads for another file."""
    try:
        document = json.loads(text)
        if document.get("format") != FORMAT:
            raise UntrustedHeads(f"the format of the file is not {FORMAT}")
        database = document.get("database")
        return SignedHeads(
            document["at"],
            None if database is None else Installation(database["id"], DatabaseKind(database["kind"])),
            document.get("key"),
            {each["chain"]: Head(each["number"], bytes.fromhex(each["hash"])) for each in document["heads"]},
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UntrustedHeads(_NO_HEADS) from error


async def first_lost(connection: Any, heads: Mapping[str, Head]) -> str | None:
    """Return the first signed head that the chains no longer contain, for a message. The connection is `snapshot`'s."""
    numbers, hashes = [each.number for each in heads.values()], [each.hash for each in heads.values()]
    row = await connection.fetchrow(_LACKING, list(heads), numbers, hashes)
    return None if row is None else f"chain {row['chain']}, entry {row['number']}"


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of a public key, in hexadecimal digits."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """Return the signing key of a PEM file; when there is none, create it, readable only by its owner."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(pem)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        path.with_suffix(".pub").write_bytes(public)
    with _reading_a_key(path):
        key_found = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key_found, Ed25519PrivateKey):
        raise UntrustedHeads(f"{path} {NO_KEY}")
    return key_found


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key of a PEM file that contains it, or the private key."""
    pem = path.read_bytes()
    with _reading_a_key(path):
        key = load_pem_private_key(pem, None).public_key() if b"PRIVATE" in pem else load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise UntrustedHeads(f"{path} {NO_KEY}")
    return key


@contextmanager
def _reading_a_key(path: Path) -> Iterator[None]:
    """Say which file contains no key that can be read: a TypeError is about a password."""
    try:
        yield
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UntrustedHeads(f"{path} {NO_KEY}") from None


_NO_HEADS = "the file does not contain signed heads"
