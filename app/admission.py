"""Decides which requests enter, before their bodies are read: by token, by client address, by remembered refusals."""

from collections.abc import Awaitable, Callable
from math import ceil

from starlette.types import Scope

from app.auth.claims import Claims, InvalidToken, KeysUnavailable, TokenFault
from app.auth.verifier import Verifier
from app.http.graphql import RequestHead
from app.http.refusals import TransportRefused
from app.limiting.addresses import AddressLimiter, counted_address

KEYS_RETRY_SECONDS = 5

# Answers a subject that sign-in refused moments ago: its code and message. None for every other subject.
RecentRefusal = Callable[[str, str], Awaitable[tuple[str, str] | None]]


class AnonymousBound:
    """The bound of requests without a valid token, per client address.

    Tokens that fail at their signature or later are counted separately: otherwise any anonymous traffic would keep
    users behind the same address from signing in with a new token.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._requests = AddressLimiter(per_minute)
        self._signatures = AddressLimiter(per_minute)

    def count_request(self, scope: Scope) -> None:
        """Count a request to a path that needs no token. Raises TransportRefused."""
        self._count(self._requests, _address(scope.get("client")))

    async def claims(self, verifier: Verifier, head: RequestHead) -> Claims:
        """Verify the token of a request. A token that the verifier remembers is never refused by the bound.

        Raises InvalidToken, KeysUnavailable, and TransportRefused beyond the bound, in which case no signature was
        checked.
        """
        authorization = head.field(b"authorization")
        claims = verifier.cached(authorization) if authorization else None
        if claims is not None:
            return claims
        address, limiter = _address(head.client), self._requests

        def before_signature() -> None:
            nonlocal limiter
            limiter = self._signatures
            self._check(limiter, address)

        try:
            return await verifier.verify(authorization, before_signature)
        except InvalidToken:
            self._count(limiter, address)
            raise

    def _count(self, limiter: AddressLimiter, address: str) -> None:
        self._check(limiter, address)
        limiter.count(address)

    def _check(self, limiter: AddressLimiter, address: str) -> None:
        wait = limiter.wait_seconds(address)
        if wait > 0:
            milliseconds = ceil(wait * 1000)
            raise TransportRefused(
                "RATE_LIMITED",
                f"Rate limit exceeded: {self._per_minute} requests without a valid token per client address per "
                f"minute. Retry after {milliseconds:,} ms.",
                facts={"limit": self._per_minute, "retryAfterMs": milliseconds},
            )


class Admission:
    """Admits requests to `/graphql`."""

    def __init__(self, verifier: Verifier, bound: AnonymousBound, recent_refusal: RecentRefusal) -> None:
        self._verifier = verifier
        self._bound = bound
        self._recent_refusal = recent_refusal

    async def subject(self, head: RequestHead) -> str:
        """Return the subject of a request's token. Raises TransportRefused."""
        try:
            claims = await self._bound.claims(self._verifier, head)
        except InvalidToken as error:
            challenge = "Bearer" if error.fault is TokenFault.MISSING else 'Bearer error="invalid_token"'
            raise TransportRefused("UNAUTHENTICATED", str(error), {"WWW-Authenticate": challenge}) from None
        except KeysUnavailable as error:
            raise TransportRefused("UNAVAILABLE", str(error), {"Retry-After": str(KEYS_RETRY_SECONDS)}) from None
        refusal = await self._recent_refusal(claims.subject, head.request_id)
        if refusal is not None:
            raise TransportRefused(*refusal)
        return claims.subject


def _address(client: tuple[str, int] | None) -> str:
    return counted_address(client[0] if client else None)
