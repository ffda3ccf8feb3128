"""The discovery document of an OpenID provider: what is used of it, how it is checked, fetched and kept."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from app.auth.fetching import UnusableAnswer, fetch, provider_url, reason_of
from app.auth.jwks import ALGORITHMS

PATH = "/.well-known/openid-configuration"
MAX_BYTES = 256 * 1024
CLOSING_SECONDS = 1.0
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
"""The ways to send a client's secret, the preferred one first."""

log = logging.getLogger("turnup.auth")


class ProviderUnavailable(Exception):  # noqa: N818 - a state of the provider, not a mistake in a call
    """The identity provider does not answer, or not as an OpenID provider. The cause is in the log."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The addresses and abilities of an OpenID provider."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    names_itself: bool
    """Whether each response from the authorization endpoint has `iss` (RFC 9207)."""
    secret_method: str | None
    """The preferred one of SECRET_METHODS that the token endpoint accepts."""


def issuer_url(issuer: str) -> httpx.URL:
    """Return an issuer's parsed URL. Raises ValueError unless it is a provider's URL without a query and a fragment."""
    if "?" in issuer or "#" in issuer:
        raise ValueError("the URL of an issuer has no query and no fragment")
    return provider_url(issuer)


def read_provider(body: bytes | bytearray, issuer: str) -> Provider:
    """Parse the discovery document of an issuer. Raises ValueError when it is not one that can be used.

    The issuer is compared exactly (OpenID Connect Discovery 1.0, section 4.3).
    """
    try:
        document = json.loads(body)
    except RecursionError:
        raise UnusableAnswer("the discovery document is nested too deeply") from None
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise UnusableAnswer("the discovery document is of another issuer")
    if not ALGORITHMS.intersection(_texts(document, "id_token_signing_alg_values_supported", ["RS256"])):
        raise UnusableAnswer("the provider signs ID tokens with no accepted algorithm")
    if "S256" not in _texts(document, "code_challenge_methods_supported", ["S256"]):  # some providers leave it out
        raise UnusableAnswer("the provider does not support PKCE with S256")
    methods = _texts(document, "token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Provider(
        issuer=issuer,
        authorization_endpoint=_endpoint(document, "authorization_endpoint"),
        token_endpoint=_endpoint(document, "token_endpoint"),
        jwks_uri=_endpoint(document, "jwks_uri"),
        userinfo_endpoint=_optional_endpoint(document, "userinfo_endpoint"),
        end_session_endpoint=_optional_endpoint(document, "end_session_endpoint"),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        secret_method=next((method for method in SECRET_METHODS if method in methods), None),
    )


class Discovery:
    """The provider of an issuer, for one event loop.

    A provider whose document was fetched in the last `fresh_seconds` answers: browsers can be sent to it. What comes
    back from the provider is checked by the last document, until it is `stale_seconds` old. One fetch runs at a time,
    and at most one starts per `retry_seconds`, however many people sign in. A caller waits for a fetch for at most
    `wait_seconds`.
    """

    def __init__(
        self,
        issuer: str,
        client: httpx.AsyncClient,
        *,
        fresh_seconds: float = 10.0,
        retry_seconds: float = 3.0,
        stale_seconds: float = 86_400.0,
        timeout_seconds: float = 5.0,
        wait_seconds: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the issuer and a client, which the caller closes; `clock` returns seconds from an arbitrary start.

        Raises ValueError when `issuer` cannot be an issuer's URL.
        """
        issuer_url(issuer)
        self._issuer = issuer
        self._client = client
        self._fresh_seconds = fresh_seconds
        self._retry_seconds = retry_seconds
        self._stale_seconds = stale_seconds
        self._timeout_seconds = timeout_seconds
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._known: Provider | None = None
        self._fetched_at = self._begun_at = -math.inf
        self._attempt: asyncio.Task[None] | None = None

    async def answering(self) -> Provider:
        """Return the provider if it answers. Raises ProviderUnavailable."""
        if self._age() >= self._fresh_seconds:
            attempt = self._renewal()
            if attempt is not None:
                await asyncio.wait([attempt], timeout=self._wait_seconds)  # cancels nothing that others wait for
        if self._known is None or self._age() >= self._fresh_seconds:
            raise ProviderUnavailable
        return self._known

    async def provider(self) -> Provider:
        """Return the provider as it is known. Raises ProviderUnavailable if it is unknown and does not answer."""
        if self._known is None or self._age() >= self._stale_seconds:
            return await self.answering()
        return self._known

    async def aclose(self) -> None:
        """Cancel a running fetch and wait CLOSING_SECONDS for its end; call this before closing the client."""
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt], timeout=CLOSING_SECONDS)

    def _renewal(self) -> asyncio.Task[None] | None:
        """Return the running fetch, or a new one unless it is too early for that."""
        now = self._clock()
        if self._attempt is None or self._attempt.done():
            if now < self._begun_at + self._retry_seconds:
                return None
            self._begun_at = now
            self._attempt = asyncio.create_task(self._renew(now))
        return self._attempt

    async def _renew(self, asked_at: float) -> None:
        try:
            answer = await fetch(
                self._client,
                "GET",
                self._issuer.rstrip("/") + PATH,
                seconds=self._timeout_seconds,
                most_bytes=MAX_BYTES,
                headers={"Accept": "application/json"},
            )
            if answer.status != httpx.codes.OK:
                raise UnusableAnswer(f"the issuer answered with status {answer.status}")
            self._known = read_provider(answer.body, self._issuer)
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            log.warning("the discovery document could not be used: %s", reason_of(error))
        else:
            self._fetched_at = asked_at

    def _age(self) -> float:
        return self._clock() - self._fetched_at


def _endpoint(document: dict[str, Any], name: str) -> str:
    match document.get(name):
        case str() as value if "#" not in value:
            with suppress(ValueError):
                provider_url(value)
                return value
    raise UnusableAnswer(f"{name} of the discovery document is not the URL of an endpoint")


def _optional_endpoint(document: dict[str, Any], name: str) -> str | None:
    return None if document.get(name) is None else _endpoint(document, name)


def _texts(document: dict[str, Any], name: str, default: list[str]) -> list[str]:
    match document.get(name, default):
        case list() as values if all(isinstance(each, str) for each in values):
            return values
    raise UnusableAnswer(f"{name} of the discovery document is not a list of texts")
