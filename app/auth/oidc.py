"""Browser sign-in by OpenID Connect: the authorization code flow with PKCE, as a client of one provider.

The URL, the token request and the rules for the claims of the ID token are authlib's. Requests are bounded, and
signatures are checked by the rules for access tokens. What comes from the provider or through the browser is not
believed before it is verified: the issuer in the response (RFC 9207), the signature, issuer, audience, authorized
party, times and nonce of the ID token, and the hash of the access token if the ID token has one.
"""

import asyncio
import json
import logging
import secrets
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any
from urllib.parse import quote_plus

import httpx
import jwt
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc.errors import JoseError

from app.auth.claims import KeysUnavailable
from app.auth.discovery import Discovery, Provider, ProviderUnavailable
from app.auth.fetching import Fetched, fetch, reason_of
from app.auth.jwks import ALGORITHMS
from app.auth.keys import RemoteKeySet
from app.auth.verifier import MAX_SUBJECT_LENGTH

MAX_ANSWER_BYTES = 64 * 1024
MOST_EXCHANGES = 16
"""The maximum number of codes that a process exchanges at one time."""
LEEWAY_SECONDS = 30
"""The difference between the clocks of the provider and of this machine that is tolerated."""
SECRET_BYTES = 32
ID_TOKEN_TYPES = frozenset({"jwt", "application/jwt"})
PROFILE = ("email", "email_verified")
"""The claims about a person, which come from the ID token or from the user information, never from both."""

log = logging.getLogger("turnup.auth")


@unique
class Fault(StrEnum):
    """Why a response of the provider is refused. The value is for the log."""

    ISSUER = "the response is from another issuer"
    CODE = "the provider refuses the code"
    NO_ID_TOKEN = "the token response has no ID token"  # noqa: S105 - a sentence
    ID_TOKEN = "the ID token is malformed or its claims are wrong"  # noqa: S105 - a sentence
    SIGNATURE = "the signature of the ID token is wrong"
    SUBJECT = "the subject is not 1 to 255 printable characters, or is another one in the user information"


class ResponseRefused(Exception):  # noqa: N818 - says what was found
    """A response of the provider is not what this sign-in asked for. Its message has no part of the response."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Registration:
    """This server as a client that is registered at the provider. `client_secret` is None for a public client."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scopes: str
    redirect_uri: str
    signed_out_uri: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """The secrets of one sign-in: in the URL to the provider are the state, the nonce and a hash of the verifier."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> "Challenge":
        """Return new random values."""
        return cls(*(secrets.token_urlsafe(SECRET_BYTES) for _ in range(3)))


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider has authenticated. `email` counts only if verified."""

    subject: str
    email: str | None = None
    email_verified: bool = False


class RelyingParty:
    """The client of one provider, for one event loop."""

    def __init__(
        self,
        registration: Registration,
        http: httpx.AsyncClient,
        *,
        key_seconds: float = 60.0,
        timeout_seconds: float = 5.0,
        wait_seconds: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take an HTTP client, which the caller closes.

        `key_seconds` bounds the use of a key that the provider removed. Each request to the provider takes at most
        `timeout_seconds`; an exchange waits for at most `wait_seconds` until it may begin. `clock` returns Unix
        seconds.
        """
        self._registration = registration
        self._http = http
        self._discovery = Discovery(registration.issuer, http, timeout_seconds=timeout_seconds)
        self._key_seconds = key_seconds
        self._timeout_seconds = timeout_seconds
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._exchanges = asyncio.Semaphore(MOST_EXCHANGES)
        self._keys: tuple[str, RemoteKeySet] | None = None

    async def aclose(self) -> None:
        """End running fetches; call this before closing the client."""
        await self._discovery.aclose()
        if self._keys is not None:
            await self._keys[1].aclose()

    async def authorization_url(self, challenge: Challenge, *, again: bool = False) -> str:
        """Return the provider's URL at which a sign-in begins; with `again`, it asks for the credentials in any case.

        Raises ProviderUnavailable, so that nobody is sent to a provider that does not answer.
        """
        provider = await self._discovery.answering()
        registration = self._registration
        url: str = prepare_grant_uri(
            provider.authorization_endpoint,
            registration.client_id,
            "code",
            redirect_uri=registration.redirect_uri,
            scope=registration.scopes,
            state=challenge.state,
            nonce=challenge.nonce,
            code_challenge=create_s256_code_challenge(challenge.code_verifier),
            code_challenge_method="S256",
            prompt="login" if again else None,
        )
        return url

    async def check_issuer(self, issuer: str | None) -> None:
        """Check the `iss` of a response from the authorization endpoint, None if it has none.

        Raises ResponseRefused when the response is from another provider, or ProviderUnavailable.
        """
        provider = await self._discovery.provider()
        if issuer != provider.issuer and (issuer is not None or provider.names_itself):
            raise ResponseRefused(Fault.ISSUER)

    async def identity(self, code: str, *, nonce: str, code_verifier: str, with_email: bool = False) -> Identity:
        """Exchange a code for the identity of the person; `with_email` also asks the provider for the e-mail address.

        Raises ResponseRefused or ProviderUnavailable.
        """
        provider = await self._discovery.provider()
        async with self._exchange():
            tokens = await self._tokens(provider, code, code_verifier)
            id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
            if not isinstance(id_token, str):
                raise ResponseRefused(Fault.NO_ID_TOKEN)
            claims = await self._claims(provider, id_token, nonce, access_token)
            if with_email and "email" not in claims and provider.userinfo_endpoint and isinstance(access_token, str):
                found = await self._user_info(provider.userinfo_endpoint, access_token, claims["sub"])
                claims |= {name: found.get(name) for name in PROFILE}
        return _identity(claims)

    async def sign_out_url(self) -> str | None:
        """Return the provider's URL at which a person signs out there too, None if there is none or it is unknown now.

        ID tokens are not kept, so the provider may ask the person whether to sign out.
        """
        try:
            provider = await self._discovery.answering()
        except ProviderUnavailable:
            return None
        if provider.end_session_endpoint is None:
            return None
        url: str = add_params_to_uri(
            provider.end_session_endpoint,
            [
                ("client_id", self._registration.client_id),
                ("post_logout_redirect_uri", self._registration.signed_out_uri),
            ],
        )
        return url

    @asynccontextmanager
    async def _exchange(self) -> AsyncIterator[None]:
        """Bound the exchanges in progress. Raises ProviderUnavailable when none of them ends in time."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._exchanges.acquire()
        except TimeoutError:
            log.warning("%d sign-ins wait for the identity provider", MOST_EXCHANGES)
            raise ProviderUnavailable from None
        try:
            yield
        finally:
            self._exchanges.release()

    async def _tokens(self, provider: Provider, code: str, code_verifier: str) -> dict[str, Any]:
        """Exchange the code at the token endpoint."""
        registration = self._registration
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        client: dict[str, str] = {"client_id": registration.client_id}
        if registration.client_secret is not None and provider.secret_method == "client_secret_basic":  # noqa: S105 - the name of a method
            # RFC 6749, section 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(registration.client_id)}:{quote_plus(registration.client_secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
            client = {}
        elif registration.client_secret is not None and provider.secret_method is not None:
            client["client_secret"] = registration.client_secret
        elif registration.client_secret is not None:
            log.error("the identity provider accepts no secret of a client, neither basic nor post")
            raise ProviderUnavailable
        body = prepare_token_request(
            "authorization_code",
            redirect_uri=registration.redirect_uri,
            code=code,
            code_verifier=code_verifier,
            **client,
        )
        answer = await self._asked("POST", provider.token_endpoint, headers, body)
        tokens = _object(answer)
        if answer.status == httpx.codes.OK and tokens is not None:
            return tokens
        reason = None if tokens is None else _text(tokens, "error")
        if reason == "invalid_grant":
            raise ResponseRefused(Fault.CODE)
        if reason in {"invalid_client", "unauthorized_client"}:
            log.error("the identity provider refuses this client: check its id, its secret and its redirect URI")
        else:
            log.warning("the token endpoint answered with status %d", answer.status)
        raise ProviderUnavailable

    async def _claims(self, provider: Provider, token: str, nonce: str, access_token: object) -> dict[str, Any]:
        """Verify an ID token (OpenID Connect Core 1.0, section 3.1.3.7) and return its claims."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, RecursionError, UnicodeEncodeError):
            raise ResponseRefused(Fault.ID_TOKEN) from None
        kid, algorithm = header.get("kid"), header.get("alg")
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower() not in ID_TOKEN_TYPES or "crit" in header:
            raise ResponseRefused(Fault.ID_TOKEN)
        if not isinstance(kid, str | None) or not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise ResponseRefused(Fault.SIGNATURE)
        try:
            key = await (await self._key_set(provider.jwks_uri)).key_for(kid, algorithm)
        except KeysUnavailable:
            raise ProviderUnavailable from None
        if key is None:
            raise ResponseRefused(Fault.SIGNATURE)
        try:
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[key.public.algorithm_name],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidSignatureError:
            raise ResponseRefused(Fault.SIGNATURE) from None
        except (jwt.PyJWTError, RecursionError):
            raise ResponseRefused(Fault.ID_TOKEN) from None
        client_id = self._registration.client_id
        expected = CodeIDToken(
            claims,
            header,
            options={
                "iss": {"essential": True, "value": provider.issuer},
                "aud": {"essential": True, "value": client_id},
                "sub": {"essential": True},
            },
            params={"nonce": nonce, "client_id": client_id, "access_token": access_token},
        )
        try:
            expected.validate(now=int(self._clock()), leeway=LEEWAY_SECONDS)
        except (JoseError, TypeError, ValueError):
            raise ResponseRefused(Fault.ID_TOKEN) from None
        return claims

    async def _user_info(self, url: str, access_token: str, subject: str) -> dict[str, Any]:
        """Return the user information, which must be of the same subject (OpenID Connect Core 1.0, section 5.3.2)."""
        headers = {"Accept": "application/json", "Authorization": f"Bearer {access_token}"}
        answer = await self._asked("GET", url, headers)
        found = _object(answer)
        if answer.status != httpx.codes.OK or found is None:
            log.warning("the endpoint of user information answered with status %d", answer.status)
            raise ProviderUnavailable
        if found.get("sub") != subject:
            raise ResponseRefused(Fault.SUBJECT)
        return found

    async def _asked(self, method: str, url: str, headers: Mapping[str, str], body: str | None = None) -> Fetched:
        try:
            return await fetch(
                self._http,
                method,
                url,
                seconds=self._timeout_seconds,
                most_bytes=MAX_ANSWER_BYTES,
                headers=headers,
                content=body,
            )
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            log.warning("the identity provider did not answer: %s", reason_of(error))
            raise ProviderUnavailable from None

    async def _key_set(self, url: str) -> RemoteKeySet:
        """Return the key set at the URL of the discovery document, which seldom changes."""
        former = self._keys
        if former is not None and former[0] == url:
            return former[1]
        found = RemoteKeySet(url, self._http, refresh_seconds=self._key_seconds)
        self._keys = url, found
        if former is not None:
            await former[1].aclose()
        return found


def _object(answer: Fetched) -> dict[str, Any] | None:
    """Return the JSON object in an answer, None if it has none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _identity(claims: Mapping[str, Any]) -> Identity:
    subject = claims["sub"]
    if not 1 <= len(subject) <= MAX_SUBJECT_LENGTH or not subject.isprintable():
        raise ResponseRefused(Fault.SUBJECT)
    return Identity(
        subject=subject,
        email=_text(claims, "email"),
        email_verified=claims.get("email_verified") is True,
    )


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value.isprintable() and value else None
