"""Signed heads: where every chain ended at a moment, to be kept where the database's owner cannot write.

A chain alone cannot tell that its tail was cut, or that all of it was computed anew; a head signed earlier can.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
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

FORMAT = "turnup.audit.heads.1"


class UntrustedHeads(Exception):  # noqa: N818 - says what was found
    """The file of heads cannot be believed."""


def signed_heads(heads: Mapping[str, Head], key: Ed25519PrivateKey, *, at: datetime) -> str:
    """The heads as JSON text with an Ed25519 signature over their canonical form (RFC 8785)."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "at": at.isoformat(timespec="seconds"),
        "heads": [{"chain": c, "number": h.number, "hash": h.hash.hex()} for c, h in sorted(heads.items())],
    }
    signature = key.sign(canonical(document)).hex()
    return json.dumps({**document, "signature": signature}, indent=1) + "\n"


def trusted_heads(text: str, key: Ed25519PublicKey) -> dict[str, Head]:
    """The heads of a file; raises UntrustedHeads when the key did not sign exactly this."""
    try:
        document = json.loads(text)
        signature = bytes.fromhex(document.pop("signature"))
        key.verify(signature, canonical(document))
    except InvalidSignature as error:
        raise UntrustedHeads("the signature is not by this key, or the heads were changed") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UntrustedHeads("this is not a file of signed heads") from error
    if document.get("format") != FORMAT:
        raise UntrustedHeads(f"this is not {FORMAT}")
    return {each["chain"]: Head(each["number"], bytes.fromhex(each["hash"])) for each in document["heads"]}


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """The signing key of a PEM file; made, for its owner's eyes only, where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(pem)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        path.with_suffix(".pub").write_bytes(public)
    key_found = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key_found, Ed25519PrivateKey):
        raise UntrustedHeads(f"{path} holds no Ed25519 key")
    return key_found


def load_public_key(path: Path) -> Ed25519PublicKey:
    """The public key of a PEM file that holds it, or the private key."""
    pem = path.read_bytes()
    key = load_pem_private_key(pem, None).public_key() if b"PRIVATE" in pem else load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise UntrustedHeads(f"{path} holds no Ed25519 key")
    return key
