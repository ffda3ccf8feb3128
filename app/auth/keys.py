"""Sources of the keys that verify tokens: a fixed set, or the issuer's key set fetched and renewed over HTTP."""

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import jwt

from app.auth.claims import KeysUnavailable
from app.auth.fetching import UnusableAnswer, fetch, provider_url, reason_of
from app.auth.jwks import Keys, find, read_key_set, usable_keys

MAX_KEY_SET_BYTES = 256 * 1024
CLOSING_SECONDS = 1.0

# In the last fifth of its lifetime a set is renewed in the background, so that on a busy server no request waits for
# the issuer.
RENEW_AHEAD = 0.8

log = logging.getLogger("turnup.auth")


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key, and for how many seconds it may be used before its source must be asked again."""

    public: jwt.PyJWK
    for_seconds: float


@dataclass(frozen=True, slots=True)
class KeySetState:
    """Whether the last attempt to get the keys succeeded, and how old they are; 0 before the first attempt."""

    up: bool
    age_seconds: float


class KeySource(Protocol):
    """A source of the issuer's public keys."""

    async def key_for(self, kid: str | None, algorithm: str) -> TrustedKey | None:
        """Return the key that a token refers to, or None when the issuer has no such key.

        `kid` is None when the token has no key id; the set's only key is used then. Raises KeysUnavailable.
        """
        ...


class StaticKeys:
    """A fixed set of known keys."""

    def __init__(self, jwks: Sequence[object]) -> None:
        """Take public keys as JWKs. Raises ValueError when none of them can verify a token."""
        self._keys = usable_keys(list(jwks))
        if not self._keys:
            raise ValueError("none of the keys can verify a token")

    async def key_for(self, kid: str | None, algorithm: str) -> TrustedKey | None:
        """Return the key that a token refers to, without an expiry."""
        key = find(self._keys, kid, algorithm)
        return None if key is None else TrustedKey(key, math.inf)

    def state(self) -> KeySetState:
        """Return that the keys are there, and do not age."""
        return KeySetState(up=True, age_seconds=0.0)

    async def look_again(self) -> None:
        """Do nothing: the keys are there."""


class RemoteKeySet:
    """The issuer's key set at a URL, for one event loop.

    Only one fetch runs at a time, and at most one starts per `retry_seconds`, whatever tokens arrive: an unknown key id
    triggers a fetch only within these limits. After a failure the next one may start `failed_retry_seconds` after the
    failed one, so that the server serves soon after the issuer does. A key that the issuer removed is accepted for at
    most `refresh_seconds` while the issuer is reachable. While it is not, the last set is used until it is
    `stale_seconds` old, and no request waits for further attempts. Each fetch is limited to `timeout_seconds` in total
    and to 256 KiB. A request waits for it for at most `wait_seconds`; the fetch continues.
    """

    def __init__(
        self,
        url: str,
        client: httpx.AsyncClient,
        *,
        refresh_seconds: float = 60.0,
        retry_seconds: float = 10.0,
        failed_retry_seconds: float = 3.0,
        stale_seconds: float = 3600.0,
        timeout_seconds: float = 5.0,
        wait_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the URL and a client, which the caller closes; `clock` returns seconds from an arbitrary start.

        `failed` is called after each fetch that failed.

        Raises ValueError unless the URL is https, or http on a loopback address, without a user or password.
        """
        self._url = provider_url(url)
        self._client = client
        self._refresh_seconds = refresh_seconds
        self._retry_seconds = retry_seconds
        self._failed_retry_seconds = min(failed_retry_seconds, retry_seconds)
        self._stale_seconds = stale_seconds
        self._timeout_seconds = timeout_seconds
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._failed = failed
        self._keys: Keys = {}
        self._fetched_at = -math.inf
        self._next_attempt_at = -math.inf
        self._failed_at = -math.inf
        self._attempt: asyncio.Task[None] | None = None

    async def key_for(self, kid: str | None, algorithm: str) -> TrustedKey | None:
        """Return the key that a token refers to, or None when the issuer has no such key.

        Raises KeysUnavailable when the key set is too old, or when the key is unknown and the issuer has not answered:
        the key may have been added since the last fetch.
        """
        await self._renew_when_due()
        key = find(self._keys, kid, algorithm)
        if key is None and kid is not None:
            await self._renew()
            key = find(self._keys, kid, algorithm)
            if key is None and (self._failing() or self._fetching()):
                raise KeysUnavailable
        return None if key is None else TrustedKey(key, self._trusted_for())

    def state(self) -> KeySetState:
        """Return the state of the set. It is asked for when tokens arrive, and by `look_again` after a failure."""
        age = self._age()
        return KeySetState(up=self._failed_at == -math.inf, age_seconds=age if math.isfinite(age) else 0.0)

    async def look_again(self) -> None:
        """Fetch the set if the last attempt failed, so that its state does not wait for a token."""
        if self._failed_at != -math.inf:
            await self._renew()

    async def aclose(self) -> None:
        """Cancel a running fetch and wait CLOSING_SECONDS for its end; call this before closing the client."""
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt], timeout=CLOSING_SECONDS)

    async def _renew_when_due(self) -> None:
        age = self._age()
        if age >= self._stale_seconds or (age >= self._refresh_seconds and not self._failing()):
            await self._renew()
            if self._age() >= self._stale_seconds:
                raise KeysUnavailable
        elif age >= RENEW_AHEAD * self._refresh_seconds:
            self._begin_renewal()

    async def _renew(self) -> None:
        """Wait for the running attempt or a new one; return immediately when it is too early for a new one."""
        attempt = self._begin_renewal()
        if attempt is not None:
            await asyncio.wait([attempt], timeout=self._wait_seconds)  # cancels nothing that others wait for

    def _fetching(self) -> bool:
        return self._attempt is not None and not self._attempt.done()

    def _begin_renewal(self) -> asyncio.Task[None] | None:
        if self._fetching():
            return self._attempt
        now = self._clock()
        if now < self._next_attempt_at:
            return None
        self._next_attempt_at = now + self._retry_seconds
        self._attempt = asyncio.create_task(self._try_renewal())
        return self._attempt

    async def _try_renewal(self) -> None:
        asked_at = self._clock()
        try:
            self._keys = read_key_set(await self._fetch())
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            self._failed_at = self._clock()
            self._next_attempt_at = asked_at + self._failed_retry_seconds
            self._failed()
            log.warning("the key set could not be renewed: %s", reason_of(error))
        else:
            self._failed_at = -math.inf
            self._fetched_at = asked_at

    async def _fetch(self) -> bytearray:
        answer = await fetch(
            self._client,
            "GET",
            self._url,
            seconds=self._timeout_seconds,
            most_bytes=MAX_KEY_SET_BYTES,
            headers={"Accept": "application/jwk-set+json, application/json"},
        )
        if answer.status != httpx.codes.OK:
            raise UnusableAnswer(f"the issuer answered with status {answer.status}")
        return answer.body

    def _trusted_for(self) -> float:
        """Return the seconds until the key may have to be looked up again: 0 while an answer that is due is awaited."""
        now = self._clock()
        if self._fetching() and self._age() >= self._refresh_seconds:
            return 0.0
        steps = [
            self._fetched_at + RENEW_AHEAD * self._refresh_seconds,
            self._fetched_at + self._refresh_seconds,
            min(self._next_attempt_at, self._fetched_at + self._stale_seconds),
        ]
        return next((step - now for step in steps if step > now), 0.0)

    def _failing(self) -> bool:
        """Return whether the last attempt failed less than `refresh_seconds` ago."""
        return self._clock() - self._failed_at < self._refresh_seconds

    def _age(self) -> float:
        return self._clock() - self._fetched_at


def trusting(ca_file: Path) -> ssl.SSLContext:
    """Return the rules of TLS connections that accept only certificates of the authorities in a file (PEM).

    Raises ValueError when the file cannot be read or has no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError(f"{ca_file} is not a file of certificates in PEM format") from None
    except OSError as error:
        raise ValueError(f"{ca_file}: {error.strerror}") from None
