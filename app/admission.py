"""Decides which requests enter, before their bodies are read: by credential, client address and remembered refusals."""

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from math import ceil

from starlette.types import Scope

from app.auth.claims import Claims, InvalidToken, KeysUnavailable, TokenFault
from app.auth.verifier import Verifier
from app.db.user_keys import UserKeys
from app.domain.credential import Credential, CredentialKind
from app.domain.secrets import SERVICE_TOKEN_MARK, secret_sha256, service_token_sha256
from app.http.addresses import counted_address
from app.http.cookies import Cookie, check_same_origin
from app.http.graphql import Admitted, UnreadRequest, joined
from app.http.refusals import CHALLENGE, INVALID_TOKEN, TransportRefused
from app.limiting.token_buckets import TokenBuckets

KEYS_RETRY_SECONDS = 5
MOST_SUBJECTS = 10_000
INVALID_REQUEST = f'{CHALLENGE}, error="invalid_request"'
CHECKS_OF_KNOWN_SUBJECT = 60
"""Signature checks per minute in the name of one known subject that fail, after those of its address are used up."""

Client = tuple[str, int] | None

# Answers a credential that sign-in refused moments ago, and a secret that it refuses now: code and message. None for
# every other one. The last argument is called before a secret that has never signed in is looked up.
RecentRefusal = Callable[[Credential, UnreadRequest, Callable[[], None]], Awaitable[tuple[str, str] | None]]


class AnonymousBound:
    """The bound of requests without a valid credential, per client address.

    Tokens that fail at their signature or later, and secrets that have never signed in, are counted separately: other
    anonymous requests keep nobody from signing in. While forged tokens use up the checks of an address, a new token is
    still checked if it names a subject that this process knows from an earlier token.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._requests = TokenBuckets(per_minute)
        self._signatures = TokenBuckets(per_minute)
        self._known_signatures = TokenBuckets(CHECKS_OF_KNOWN_SUBJECT)
        self._known: OrderedDict[str, None] = OrderedDict()

    def count_request(self, scope: Scope) -> None:
        """Count a request to a path that needs no token. Raises TransportRefused."""
        self.count_refused(scope.get("client"))

    def count_refused(self, client: Client) -> None:
        """Count a request without a valid credential. Raises TransportRefused."""
        self._count(self._requests, _address(client))

    def count_unknown_secret(self, client: Client) -> None:
        """Count a secret that only the database can tell from a made-up one.

        Raises TransportRefused beyond the bound, in which case it is not looked up.
        """
        self._count(self._signatures, _address(client))

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

    def __init__(
        self,
        verifier: Verifier,
        session_cookie: Cookie,
        bound: AnonymousBound,
        user_keys: UserKeys,
        recent_refusal: RecentRefusal,
    ) -> None:
        self._verifier = verifier
        self._session_cookie = session_cookie
        self._bound = bound
        self._user_keys = user_keys
        self._recent_refusal = recent_refusal

    def known_user(self, fields: Iterable[tuple[bytes, bytes]]) -> Hashable:
        """Return the key of the user of a request, for bounds alone; None if its credential has to be checked first.

        That is a token which the verifier does not remember, and a session or service token that has not signed in.
        """
        try:
            shown = self._shown(joined(fields))
        except TransportRefused:
            return None
        if isinstance(shown, Credential):
            return self._user_keys.known(shown)
        claims = self._verifier.cached(shown) if shown else None
        return None if claims is None else self._user_keys.of(Credential.of_access_token(claims.subject))

    async def admit(self, head: UnreadRequest) -> Admitted:
        """Admit a request by its credential. Raises TransportRefused."""
        credential = await self._credential(head)
        counted = False

        def count() -> None:
            nonlocal counted
            counted = True
            self._bound.count_unknown_secret(head.client)

        refusal = await self._recent_refusal(credential, head, count)
        if refusal is None:
            return Admitted(credential, self._user_keys.of(credential))
        if credential.is_secret and not counted:
            self._bound.count_refused(head.client)
        raise TransportRefused(*refusal)

    async def _credential(self, head: UnreadRequest) -> Credential:
        """Return the credential of a request: a verified token, or a secret, of which only the form was checked."""
        try:
            shown = self._shown(head.fields)
            if isinstance(shown, Credential):
                if shown.kind is CredentialKind.SESSION:
                    self._session_cookie.check_transport(head.scheme, head.fields)
                return shown
        except TransportRefused:
            self._bound.count_refused(head.client)
            raise
        try:
            claims = await self._bound.claims(self._verifier, head)
        except InvalidToken as error:
            challenge = CHALLENGE if error.fault is TokenFault.MISSING else INVALID_TOKEN
            raise TransportRefused("UNAUTHENTICATED", str(error), {"WWW-Authenticate": challenge}) from None
        except KeysUnavailable as error:
            raise TransportRefused("UNAVAILABLE", str(error), {"Retry-After": str(KEYS_RETRY_SECONDS)}) from None
        return Credential.of_access_token(claims.subject)

    def _shown(self, fields: Mapping[bytes, bytes]) -> Credential | str | None:
        """Return the session or service token that header fields show, or else Authorization for the verifier.

        Nothing is looked up. Raises TransportRefused for two credentials, and for one that cannot count.
        """
        authorization, secret = fields.get(b"authorization"), self._session_cookie.value(fields)
        if secret is None:
            return None if authorization is None else _by_authorization(authorization.decode("latin-1"))
        if authorization is not None:
            sentence = f"The request has an Authorization header and the cookie {self._session_cookie.name}: send one."
            raise TransportRefused("BAD_REQUEST", sentence, {"WWW-Authenticate": INVALID_REQUEST})
        check_same_origin(fields)
        digest = secret_sha256(secret)
        if digest is None:
            sentence = f"The cookie {self._session_cookie.name} holds no session. Sign in again."
            raise TransportRefused("UNAUTHENTICATED", sentence, {"WWW-Authenticate": CHALLENGE})
        return Credential.of_session(digest)


def _by_authorization(authorization: str) -> Credential | str:
    """Return the service token of an Authorization field, or the field as it is. Raises TransportRefused."""
    found = _SERVICE_TOKEN.fullmatch(authorization)
    if found is None:
        return authorization
    digest = service_token_sha256(found[1])
    if digest is None:
        sentence = "The service token in the Authorization header is not one: its form or its checksum is wrong."
        raise TransportRefused("UNAUTHENTICATED", sentence, {"WWW-Authenticate": INVALID_TOKEN})
    return Credential.of_service_token(digest)


_SERVICE_TOKEN = re.compile(rf"(?i:bearer) +({SERVICE_TOKEN_MARK}[^ \t]*)[ \t]*", re.ASCII)


def _address(client: Client) -> str:
    return counted_address(client[0] if client else None)
