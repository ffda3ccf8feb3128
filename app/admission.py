"""Decides which requests enter, before their bodies are read: by token, by client address, by remembered refusals."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from math import ceil

from starlette.types import Scope

from app.auth.claims import Claims, InvalidToken, KeysUnavailable, TokenFault
from app.auth.verifier import Verifier
from app.http.addresses import counted_address
from app.http.graphql import UnreadRequest
from app.http.refusals import TransportRefused
from app.limiting.token_buckets import TokenBuckets

KEYS_RETRY_SECONDS = 5
MOST_SUBJECTS = 10_000
CHECKS_OF_KNOWN_SUBJECT = 60
"""Signature checks per minute in the name of one known subject that fail, after those of its address are used up."""

# Answers a subject that sign-in refused moments ago: its code and message. None for every other subject.
RecentRefusal = Callable[[str, UnreadRequest], Awaitable[tuple[str, str] | None]]


class AnonymousBound:
    """The bound of requests without a valid token, per client address.

    Tokens that fail at their signature or later are counted separately: other anonymous requests keep nobody from
    signing in. While forged tokens use up the checks of an address, a new token is still checked if it names a subject
    that this process knows from an earlier token.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._requests = TokenBuckets(per_minute)
        self._signatures = TokenBuckets(per_minute)
        self._known_signatures = TokenBuckets(CHECKS_OF_KNOWN_SUBJECT)
        self._known: OrderedDict[str, None] = OrderedDict()

    def count_request(self, scope: Scope) -> None:
        """Count a request to a path that needs no token. Raises TransportRefused."""
        self._count(self._requests, _address(scope.get("client")))

    def is_used_up(self, address: str) -> bool:
        """Return whether an address can send no more requests without a valid token, or of one kind, for now."""
        return max(self._requests.wait_seconds(address), self._signatures.wait_seconds(address)) > 0

    async def claims(self, verifier: Verifier, head: UnreadRequest) -> Claims:
        """Verify the token of a request. A token that the verifier remembers is never refused by the bound.

        Raises InvalidToken, KeysUnavailable, and TransportRefused beyond the bound, in which case no signature was
        checked.
        """
        authorization = head.field(b"authorization")
        claims = verifier.cached(authorization) if authorization else None
        if claims is not None:
            return claims
        address = _address(head.client)
        buckets, key = self._requests, address

        def before_signature(claimed_subject: object) -> None:
            nonlocal buckets, key
            buckets = self._signatures
            known = isinstance(claimed_subject, str) and claimed_subject in self._known
            if known and buckets.wait_seconds(key) > 0:
                buckets, key = self._known_signatures, f"{address} {claimed_subject}"
            self._check(buckets, key)

        try:
            claims = await verifier.verify(authorization, before_signature)
        except InvalidToken:
            self._count(buckets, key)
            raise
        self._know(claims.subject)
        return claims

    def _know(self, subject: str) -> None:
        self._known[subject] = None
        self._known.move_to_end(subject)
        if len(self._known) > MOST_SUBJECTS:
            self._known.popitem(last=False)

    def _count(self, buckets: TokenBuckets, key: str) -> None:
        self._check(buckets, key)
        buckets.count(key)

    def _check(self, buckets: TokenBuckets, key: str) -> None:
        wait = buckets.wait_seconds(key)
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

    def known_subject(self, fields: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the subject of a token that the verifier remembers; None if the token has to be verified first."""
        sent = [value for name, value in fields if name == b"authorization"]
        claims = self._verifier.cached(sent[0].decode("latin-1")) if len(sent) == 1 else None
        return None if claims is None else claims.subject

    async def subject(self, head: UnreadRequest) -> str:
        """Return the subject of a request's token. Raises TransportRefused."""
        try:
            claims = await self._bound.claims(self._verifier, head)
        except InvalidToken as error:
            challenge = "Bearer" if error.fault is TokenFault.MISSING else 'Bearer error="invalid_token"'
            raise TransportRefused("UNAUTHENTICATED", str(error), {"WWW-Authenticate": challenge}) from None
        except KeysUnavailable as error:
            raise TransportRefused("UNAVAILABLE", str(error), {"Retry-After": str(KEYS_RETRY_SECONDS)}) from None
        refusal = await self._recent_refusal(claims.subject, head)
        if refusal is not None:
            raise TransportRefused(*refusal)
        return claims.subject


def _address(client: tuple[str, int] | None) -> str:
    return counted_address(client[0] if client else None)
