"""Verifies the JWT access token (RFC 9068) of an Authorization header, following the advice of RFC 8725."""

import hashlib
import json
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, TypeVar

import jwt
from jwt.exceptions import InvalidSubjectError
from jwt.utils import base64url_decode, base64url_encode

from app.auth.claims import Claims, InvalidToken, TokenFault, TokenType
from app.auth.jwks import ALGORITHMS
from app.auth.keys import KeySource

MAX_HEADER_LENGTH = 8 * 1024
MAX_SUBJECT_LENGTH = 255
MAX_OBJECTS = 256  # in the header or in the claims; each costs time before the signature is checked
REFUSED_SECONDS = 10.0
TYPE_PREFIX = "application/"  # RFC 7515, section 4.1.9: may be left out of `typ`

# What tokens of type JWT carry. `nonce` and the hashes bind an ID token to its sign-in (OpenID Connect Core). Keycloak
# and Amazon Cognito name the kind of token in a claim.
ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash"})
ACCESS_TOKEN_CLAIMS = frozenset({
    "client_id", "scope",  # RFC 9068
    "scp", "azpacr", "appidacr",  # Okta, Entra ID 2.0, Entra ID 1.0
    "cid",  # Okta
    "gty",  # Auth0
    "typ", "token_use",  # Keycloak, Amazon Cognito
})  # fmt: skip
KIND_CLAIMS = {"typ": "Bearer", "token_use": "access"}

# Year 9999: later values of a NumericDate are invalid, and arithmetic on them may overflow.
_LAST_SECOND = 253_402_300_799

_BEARER = re.compile(r"bearer +([a-z0-9_-]+\.[a-z0-9_-]+\.[a-z0-9_-]*)", re.ASCII | re.IGNORECASE)

_OPTIONAL_WHITESPACE = " \t"  # RFC 9110, section 5.5: not part of a field's value; some parsers leave it at the end

_FAULT_OF_ERROR: dict[type[jwt.PyJWTError], TokenFault] = {
    jwt.InvalidSignatureError: TokenFault.SIGNATURE,
    jwt.MissingRequiredClaimError: TokenFault.CLAIM_MISSING,
    jwt.InvalidIssuerError: TokenFault.ISSUER,
    jwt.InvalidAudienceError: TokenFault.AUDIENCE,
    InvalidSubjectError: TokenFault.SUBJECT,
}


# The faults that do not go away while a refused token is remembered.
_LASTING_FAULTS = frozenset({TokenFault.SIGNATURE, TokenFault.EXPIRED})

T = TypeVar("T")


def _nothing(_subject: object) -> None:
    pass


class Verifier:
    """Verifies access tokens of one issuer for one audience.

    Verified tokens are cached until they expire or their key must be looked up again. Expired tokens and tokens with a
    wrong signature are remembered for ten seconds, so that a client that repeats one causes no further signature check.
    The keys of both caches are digests, so that no token is kept in memory. When a cache holds `cache_size` tokens, the
    oldest is removed.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: KeySource,
        types: Collection[TokenType] = (TokenType.AT_JWT,),
        leeway_seconds: float = 30.0,
        max_lifetime_seconds: float = 86_400.0,
        cache_size: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the trusted issuer, audience and keys, and the types of token to accept.

        `leeway_seconds` tolerates differences between clocks, `clock` returns Unix seconds.
        """
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._types = frozenset(types)
        self._leeway_seconds = leeway_seconds
        self._max_lifetime_seconds = max_lifetime_seconds
        self._cache_size = cache_size
        self._clock = clock
        self._verified: OrderedDict[bytes, tuple[float, Claims]] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[float, TokenFault]] = OrderedDict()

    def cached(self, authorization: str) -> Claims | None:
        """Return the claims of a recently verified header value, or None when `verify` has to check it."""
        if len(authorization) > MAX_HEADER_LENGTH:
            return None
        digest = _digest(authorization.rstrip(_OPTIONAL_WHITESPACE))
        known = self._verified.get(digest)
        if known is None:
            return None
        until, claims = known
        if self._clock() < until:
            return claims
        del self._verified[digest]
        return None

    async def verify(self, authorization: str | None, before_signature: Callable[[object], None] = _nothing) -> Claims:
        """Return the claims of the token in an Authorization header's value; None means that there is no such header.

        `before_signature` is called with the claimed subject before the signature is checked, which is the expensive
        part; it may raise an exception. After the call, the token is verified without another await. Raises
        InvalidToken, or KeysUnavailable when the issuer's keys are unavailable.
        """
        if not authorization:
            raise InvalidToken(TokenFault.MISSING)
        token = _token(authorization)
        claims = self.cached(authorization)
        if claims is not None:
            return claims
        self._check_refused(token)
        header, payload, signature = token.split(".")
        kid, algorithm, kind = _header(header)
        if kind not in self._types:
            raise InvalidToken(TokenFault.TYPE)
        claimed = _object(payload)
        if kind is TokenType.JWT and not _is_access_token(claimed):
            raise InvalidToken(TokenFault.NOT_FOR_ACCESS)
        _decoded(signature)
        key = await self._keys.key_for(kid, algorithm)
        if key is None:
            raise InvalidToken(TokenFault.UNKNOWN_KEY)
        before_signature(claimed.get("sub"))
        now = self._clock()
        try:
            self._check_signature(token, key.public)
            claims = Claims(_subject(claimed), self._expiry(claimed, now))
        except InvalidToken as error:
            if error.fault in _LASTING_FAULTS:
                _put(self._refused, _digest(token), (now + REFUSED_SECONDS, error.fault), self._cache_size)
            raise
        until = min(claims.expires_at + self._leeway_seconds, now + key.for_seconds)
        # Cache only the usual spelling: variants of one token, with more spaces for example, would evict other tokens.
        usual = f"Bearer {token}"
        if authorization.rstrip(_OPTIONAL_WHITESPACE) == usual:
            _put(self._verified, _digest(usual), (until, claims), self._cache_size)
        return claims

    def _check_refused(self, token: str) -> None:
        """Refuse a token again that was refused in the last seconds."""
        digest = _digest(token)
        known = self._refused.get(digest)
        if known is None:
            return
        until, fault = known
        if self._clock() < until:
            raise InvalidToken(fault)
        del self._refused[digest]

    def _check_signature(self, token: str, key: jwt.PyJWK) -> None:
        """Check the signature, that the claims exist, the issuer and the audience; the caller checks the times."""
        try:
            jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub"],
                    # PyJWT would use the machine's clock instead of `clock`.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(_FAULT_OF_ERROR.get(type(error), TokenFault.MALFORMED)) from None

    def _expiry(self, payload: dict[str, Any], now: float) -> int:
        """Check the times of the token and return its expiry in Unix seconds."""
        expires_at, issued_at = _seconds(payload["exp"]), _seconds(payload["iat"])
        if now >= expires_at + self._leeway_seconds:
            raise InvalidToken(TokenFault.EXPIRED)
        begins_at = max(issued_at, _seconds(payload["nbf"])) if "nbf" in payload else issued_at
        if begins_at > now + self._leeway_seconds:
            raise InvalidToken(TokenFault.NOT_YET_VALID)
        if expires_at - issued_at > self._max_lifetime_seconds:
            raise InvalidToken(TokenFault.LIFETIME)
        return math.floor(expires_at)


def _put(cache: OrderedDict[bytes, T], digest: bytes, value: T, most: int) -> None:
    cache[digest] = value
    if len(cache) > most:
        cache.popitem(last=False)


def _token(authorization: str) -> str:
    """Return the single token of a header value (RFC 6750, section 2.1), not yet decoded."""
    if len(authorization) > MAX_HEADER_LENGTH:
        raise InvalidToken(TokenFault.TOO_LONG)
    match = _BEARER.fullmatch(authorization.rstrip(_OPTIONAL_WHITESPACE))
    if match is None:
        raise InvalidToken(TokenFault.HEADER)
    return match[1]


def _header(part: str) -> tuple[str | None, str, TokenType | None]:
    """Return the key id, the algorithm and the type (None: another one) of a token after checking its header."""
    header = _object(part)
    # RFC 7515, section 4.1.11, and RFC 7797: no extensions are supported.
    if "crit" in header or header.get("b64", True) is not True:
        raise InvalidToken(TokenFault.MALFORMED)
    algorithm, kind, kid = header.get("alg"), header.get("typ", TokenType.JWT), header.get("kid")
    if "kid" in header and not isinstance(kid, str):
        raise InvalidToken(TokenFault.MALFORMED)
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken(TokenFault.ALGORITHM)
    return kid, algorithm, _TYPES.get(kind.lower().removeprefix(TYPE_PREFIX)) if isinstance(kind, str) else None


_TYPES = {each.lower(): each for each in TokenType}


def _is_access_token(claimed: Mapping[str, object]) -> bool:
    """Return whether the claims are those of an access token, when the type does not say so.

    An ID token has the same issuer, and the same audience if the API is registered as the client itself. It reaches
    browsers and logs that an access token does not reach.
    """
    if not ID_TOKEN_CLAIMS.isdisjoint(claimed):
        return False
    if any(claimed.get(name, kind) != kind for name, kind in KIND_CLAIMS.items()):
        return False
    return not ACCESS_TOKEN_CLAIMS.isdisjoint(claimed)


def _object(part: str) -> dict[str, Any]:
    """Return the JSON object in a part of a token, which must be UTF-8 without duplicate keys (RFC 7519, section 4)."""
    try:
        text = _decoded(part).decode()
        found = None if text.count("{") > MAX_OBJECTS else _STRICT_JSON.decode(text)
    except (ValueError, RecursionError):
        raise InvalidToken(TokenFault.MALFORMED) from None
    if not isinstance(found, dict):
        raise InvalidToken(TokenFault.MALFORMED)
    return found


def _decoded(part: str) -> bytes:
    """Return the bytes of a part; other spellings of the same bytes are refused, so that a token has one spelling."""
    try:
        found = base64url_decode(part)
    except ValueError:
        raise InvalidToken(TokenFault.MALFORMED) from None
    if base64url_encode(found).decode() != part:
        raise InvalidToken(TokenFault.MALFORMED)
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _constant(_word: str) -> NoReturn:
    raise ValueError


_STRICT_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)


def _subject(payload: dict[str, Any]) -> str:
    subject: str = payload["sub"]
    # Printable, because the database rejects a NUL or an unpaired surrogate.
    if not 1 <= len(subject) <= MAX_SUBJECT_LENGTH or not subject.isprintable():
        raise InvalidToken(TokenFault.SUBJECT)
    return subject


def _seconds(value: object) -> int | float:
    """Check a NumericDate (RFC 7519, section 2), which JSON may contain as a string, a list or an infinity."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LAST_SECOND:
        return value
    raise InvalidToken(TokenFault.MALFORMED)


def _digest(authorization: str) -> bytes:
    return hashlib.sha256(authorization.encode("utf-8", "surrogatepass")).digest()
