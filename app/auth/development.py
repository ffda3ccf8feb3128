"""The development issuer: signs access tokens on a developer's machine, without an identity provider."""

import os
import tempfile
import uuid
from hashlib import sha256
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm
from jwt.utils import base64url_encode

from app.auth.keys import StaticKeys

ISSUER = "https://turnup.example/development"
AUDIENCE = "turnup"
CLIENT_ID = "turnup-development"
KEY_FILE = "development-issuer.pem"


class UnusableKey(ValueError):  # noqa: N818 - says what was found
    """The file does not contain the issuer's key."""


class DevelopmentIssuer:
    """Signs tokens with a private key from a file. Anyone who can read the file can sign in as any user."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Store the signing key; use `load_or_create` to obtain one."""
        self._key = key
        self._jwk = _public_jwk(key)

    @classmethod
    def load_or_create(cls, home: Path) -> "DevelopmentIssuer":
        """Return the issuer whose key is stored in `home`, creating the key on first use.

        Processes that start at the same time get the same key. Raises UnusableKey when the file contains no such key,
        OSError when it cannot be read or written.
        """
        path = home / KEY_FILE
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True)
            _create(path)
        return cls(_load(path))

    def issue(self, subject: str, *, lifetime_seconds: int, now: float, audience: str = AUDIENCE) -> str:
        """Return an access token (RFC 9068) for a subject, valid for `lifetime_seconds` from `now` (Unix seconds)."""
        issued_at = int(now)
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": subject,
            "client_id": CLIENT_ID,
            "iat": issued_at,
            "exp": issued_at + lifetime_seconds,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": self._jwk["kid"]})

    def derived(self, purpose: str, length: int) -> bytes:
        """Return secret bytes that follow from the key and the purpose (HKDF, RFC 5869). They do not reveal the key."""
        key = self._key.private_bytes_raw()
        return HKDF(hashes.SHA256(), length, salt=None, info=f"turnup: {purpose}".encode()).derive(key)

    def public_keys(self) -> StaticKeys:
        """Return the keys that verify this issuer's tokens."""
        return StaticKeys([self._jwk])


def _create(path: Path) -> None:
    """Write a new key to `path` unless another process does so first; a hard link makes the file appear complete."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return  # another process created a key first: use that one
    finally:
        Path(draft).unlink()


def _load(path: Path) -> Ed25519PrivateKey:
    path.chmod(0o600)  # the mode of a copied or restored file may have changed
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise UnusableKey(f"{path} does not hold the development issuer's key; remove it to have a new one made")


def _public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """Return the public key as a JWK whose id is its thumbprint (RFC 7638; RFC 8037 for this type of key)."""
    x = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)["x"]
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    kid = base64url_encode(sha256(canonical.encode()).digest()).decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": "EdDSA", "kid": kid}
