"""The development issuer: signs access tokens on a developer's machine, where no identity provider is at hand."""

import os
import tempfile
import uuid
from hashlib import sha256
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
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


class DevelopmentIssuer:
    """Signs tokens with a key that lives in a file; whoever can read the file can be anybody."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Take the signing key; `load_or_create` is how to come by one."""
        self._key = key
        self._jwk = _public_jwk(key)

    @classmethod
    def load_or_create(cls, home: Path) -> "DevelopmentIssuer":
        """The issuer whose key is in `home`, made on first use; processes that start at once get the same key.

        Raises ValueError when the file holds something else, OSError when it cannot be read or written.
        """
        path = home / KEY_FILE
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True)
            _create(path)
        return cls(_load(path))

    def issue(self, subject: str, *, lifetime_seconds: int, now: float, audience: str = AUDIENCE) -> str:
        """An access token (RFC 9068) for a subject, valid from `now`, in unix seconds, for `lifetime_seconds`."""
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

    def public_keys(self) -> StaticKeys:
        """The keys that verify this issuer's tokens."""
        return StaticKeys([self._jwk])


def _create(path: Path) -> None:
    """Put a new key at `path` unless another process does so first: a link appears whole or not at all."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return  # the other process' key is as good as ours
    finally:
        Path(draft).unlink()


def _load(path: Path) -> Ed25519PrivateKey:
    path.chmod(0o600)  # a copied or restored file may have become readable for others
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise ValueError(f"{path} does not hold the development issuer's key; remove it to have a new one made")


def _public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half as a JWK whose id is its thumbprint (RFC 7638; RFC 8037 for this kind of key)."""
    x = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)["x"]
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    kid = base64url_encode(sha256(canonical.encode()).digest()).decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": "EdDSA", "kid": kid}
