"""A small OpenID provider on the loopback address, which does everything right until it is told not to."""

import asyncio
import hashlib
import json
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from .auth_builders import Signer, b64, changed

CLIENT_ID, CLIENT_SECRET = "turnup+web", "s3cret/with:signs%"
METADATA, AUTHORIZE, TOKEN, KEYS = "/.well-known/openid-configuration", "/authorize", "/token", "/keys"
USER_INFO, SIGN_OUT = "/userinfo", "/sign-out"

Answer = tuple[int, dict[str, str], bytes]


class SmallProvider:
    """A provider with one person, who is always signed in, and a client that must authenticate itself."""

    def __init__(self) -> None:
        self.signer = Signer(kid="provider-1")
        self.keys = [self.signer.jwk]
        self.subject = "oidc|person-1"
        self.clock: Callable[[], float] = time.time
        self.metadata: dict[str, Any] = {}
        """Changes of the discovery document."""
        self.claims: dict[str, Any] = {}
        """Changes of the claims in ID tokens."""
        self.user_info: dict[str, Any] = {}
        """Changes of the user information."""
        self.token_answer: dict[str, Any] = {}
        """Changes of the answers of the token endpoint."""
        self.headers: dict[str, str] = {}
        """Changes of the header of ID tokens."""
        self.answers: dict[str, Answer] = {}
        """Answers that replace the right ones, by path."""
        self.response: dict[str, Any] = {}
        """Changes of the response from the authorization endpoint."""
        self.hold = asyncio.Event()
        """While it is not set, who asks waits."""
        self.hold.set()
        self.drip = False
        self.asked: list[str] = []
        """The paths that were asked for."""
        self.bodies: list[dict[str, str]] = []
        """The parameters that the token endpoint received."""
        self.in_progress = self.most_in_progress = 0
        self.codes: dict[str, dict[str, str]] = {}
        self.access_tokens: set[str] = set()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._answering: set[Any] = set()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def document(self) -> dict[str, Any]:
        """The discovery document."""
        right = {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + AUTHORIZE,
            "token_endpoint": self.issuer + TOKEN,
            "jwks_uri": self.issuer + KEYS,
            "userinfo_endpoint": self.issuer + USER_INFO,
            "end_session_endpoint": self.issuer + SIGN_OUT,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "authorization_response_iss_parameter_supported": True,
        }
        document: dict[str, Any] = changed(right, self.metadata)
        return document

    def authorize(self, url: str) -> str:
        """What the browser is sent back with: the URL of the redirect."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = token_urlsafe(16)
        self.codes[code] = asked
        response = changed({"code": code, "state": asked["state"], "iss": self.issuer}, self.response)
        return f"{asked['redirect_uri']}?{urlencode(response)}"

    def id_token(self, asked, access_token):
        """An ID token for the request of a code."""
        now = int(self.clock())
        half_hash = b64(hashlib.sha256(access_token.encode()).digest()[:16])
        right = {
            "iss": self.issuer,
            "aud": asked["client_id"],
            "sub": self.subject,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "at_hash": half_hash,
        }
        return self.signer.token({"typ": "JWT", **self.headers}, **{**right, **self.claims})

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for answer in self._answering:
            answer.cancel()
        await self._server.wait_closed()

    async def _answer(self, reader, writer):
        self._answering.add(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.strip().split("\r\n")
            sent = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
            body = (await reader.readexactly(int(sent.get("content-length", 0)))).decode()
            path = urlsplit(line.split()[1]).path
            self.asked.append(path)
            self.in_progress += 1
            self.most_in_progress = max(self.most_in_progress, self.in_progress)
            await self.hold.wait()
            status, headers, content = self.answers.get(path) or self._right_answer(path, sent, body)
            shown = {"Content-Length": str(len(content)), "Connection": "close", **headers}
            lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in shown.items()), "", ""]
            writer.write("\r\n".join(lines).encode())
            for part in [bytes([byte]) for byte in content] if self.drip else [content]:
                writer.write(part)
                await writer.drain()
                if self.drip:
                    await asyncio.sleep(0.05)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.in_progress -= 1
            writer.close()

    def _right_answer(self, path, sent, body):
        match path:
            case "/.well-known/openid-configuration":
                return json_answer(self.document())
            case "/keys":
                return json_answer({"keys": self.keys})
            case "/token":
                return self._exchanged(sent, {name: values[0] for name, values in parse_qs(body).items()})
            case "/userinfo" if sent.get("authorization", "").removeprefix("Bearer ") in self.access_tokens:
                return json_answer(changed({"sub": self.subject}, self.user_info))
        return json_answer({"error": "not_found"}, 404)

    def _exchanged(self, sent, given):
        """Exchange a code once, as RFC 6749 and RFC 7636 say."""
        self.bodies.append(given)
        if self._client(sent, given) != (CLIENT_ID, CLIENT_SECRET):
            return json_answer({"error": "invalid_client"}, 401)
        asked = self.codes.pop(given.get("code", ""), None)
        verified = b64(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != verified
            or asked["redirect_uri"] != given.get("redirect_uri")
            or given.get("grant_type") != "authorization_code"
        ):
            return json_answer({"error": "invalid_grant"}, 400)
        access_token = token_urlsafe(16)
        self.access_tokens.add(access_token)
        right = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.id_token(asked, access_token),
        }
        return json_answer(changed(right, self.token_answer))

    def _client(self, sent, given):
        if "authorization" in sent:
            pair = b64decode(sent["authorization"].removeprefix("Basic ")).decode()
            return tuple(map(unquote_plus, pair.split(":")))
        return given.get("client_id"), given.get("client_secret")


def json_answer(content: object, status: int = 200) -> Answer:
    """A JSON answer."""
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


@asynccontextmanager
async def providing() -> AsyncIterator[SmallProvider]:
    """A provider that is up."""
    provider = SmallProvider()
    await provider.start()
    try:
        yield provider
    finally:
        await provider.stop()
