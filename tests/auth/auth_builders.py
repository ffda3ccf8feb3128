"""What the tests of this room are made of: keys that sign, tokens with one thing wrong, a clock, a key server."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from enum import Enum
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.auth.keys import StaticKeys
from app.auth.verifier import Verifier

ISSUER = "https://login.example/"
AUDIENCE = "turnup"
NOW = 1_800_000_000
LEEWAY = 30


class Absent(Enum):
    """Marks a claim or header that is left out. Its name in the ids of tests is the same in each process."""

    GONE = "left out"


GONE = Absent.GONE


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self, now=NOW):
        self.now = float(now)

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


class Signer:
    """A signing key of an issuer."""

    def __init__(self, algorithm="ES256", kid="key-1", bits=2048):
        self.algorithm = algorithm
        self.kid = kid
        self.private = _private_key(algorithm, kid, bits)
        parts = _JWK_OF[algorithm](self.private.public_key(), as_dict=True)
        parts.pop("key_ops", None)
        self.jwk = {**parts, "kid": kid, "use": "sig", "alg": algorithm}

    def token(self, header=None, **claims):
        """An access token that is right but for the claims and headers given."""
        body = changed(right_claims(), claims)
        kept = changed({"typ": "at+jwt", "alg": self.algorithm, "kid": self.kid}, header or {})
        signing_input = f"{b64(json.dumps(kept))}.{b64(json.dumps(body))}".encode()
        signature = jwt.get_algorithm_by_name(self.algorithm).sign(signing_input, self.private)
        return f"{signing_input.decode()}.{b64(signature)}"

    def bearer(self, header=None, **claims):
        """The Authorization header value with such a token."""
        return f"Bearer {self.token(header, **claims)}"


class CountingKeys:
    """A key source that notes how often it was asked."""

    def __init__(self, source):
        self.source = source
        self.asked = 0

    async def key_for(self, kid, algorithm):
        self.asked += 1
        return await self.source.key_for(kid, algorithm)


class KeyServer:
    """An HTTP server on the loopback address that serves a key set, well or badly, and counts who asks."""

    def __init__(self, *jwks):
        self.body = json.dumps({"keys": list(jwks)}).encode()
        self.status = 200
        self.headers = {}
        self.delay = 0.0
        self.open = asyncio.Event()
        """While it is not set, who asks waits."""
        self.open.set()
        self.drip = False
        self.tls = None
        """The TLS of the server. With it the URL names the host localhost."""
        self.requests = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._answers = set()

    @property
    def url(self):
        return f"https://localhost:{self.port}/keys" if self.tls else f"http://127.0.0.1:{self.port}/keys"

    def publish(self, *jwks):
        self.body = json.dumps({"keys": list(jwks)}).encode()

    async def start(self):
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        assert self._server is not None
        self._server.close()
        for answer in self._answers:
            answer.cancel()
        await self._server.wait_closed()

    async def _answer(self, reader, writer):
        self._answers.add(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            await self.open.wait()
            await asyncio.sleep(self.delay)
            head = {"Content-Length": len(self.body), "Connection": "close", **self.headers}
            lines = [f"HTTP/1.1 {self.status} Answer", *(f"{name}: {value}" for name, value in head.items()), "", ""]
            writer.write("\r\n".join(lines).encode())
            for part in [bytes([byte]) for byte in self.body] if self.drip else [self.body]:
                writer.write(part)
                await writer.drain()
                if self.drip:
                    await asyncio.sleep(0.05)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*jwks, tls=None):
    """A key server that is up."""
    server = KeyServer(*jwks)
    server.tls = tls
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def a_verifier(*signers, keys=None, clock=None, **changes):
    """A verifier that believes these keys."""
    return Verifier(
        **{
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "keys": keys or StaticKeys([signer.jwk for signer in signers]),
            "leeway_seconds": LEEWAY,
            "clock": clock or Clock(),
            **changes,
        }
    )


def right_claims():
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "user-7", "iat": NOW - 60, "exp": NOW + 600}


def changed(whole, changes):
    return {name: value for name, value in {**whole, **changes}.items() if value is not GONE}


def hmac_token(secret, header):
    """A token under HS256, made by hand because the library refuses a public key as the secret."""
    signing_input = f"{b64(json.dumps(header))}.{b64(json.dumps(right_claims()))}"
    return f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"


def b64(data):
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_JWK_OF: dict[str, Callable[..., Any]] = {
    "ES256": ECAlgorithm.to_jwk,
    "RS256": RSAAlgorithm.to_jwk,
    "EdDSA": OKPAlgorithm.to_jwk,
}


@cache
def _private_key(algorithm, kid, bits):
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "RS256":
            return rsa.generate_private_key(65537, bits)
        case _:
            return ed25519.Ed25519PrivateKey.generate()
