"""The header fields of requests that the application reads, and which of them pages of other origins may send.

The answers to CORS preflights are derived from this declaration, so that browsers let through what the server reads.
"""

import re

READ = frozenset({
    "accept", "accept-encoding", "authorization", "content-encoding", "content-type", "cookie", "host", "if-none-match",
    "origin", "sec-fetch-site", "traceparent", "user-agent", "x-forwarded-for", "x-forwarded-proto", "x-request-id",
    "x-turnup-csrf", "x-user-id", "x-user-role",
})  # fmt: skip
IGNORED = frozenset({"tracestate"})
"""Fields that clients send together with one of `READ`, and that the server ignores."""
WITHHELD = {
    "user-agent": "is sent by browsers alone",
    "x-forwarded-for": "is sent by proxies alone",
    "x-forwarded-proto": "is sent by proxies alone",
    "x-turnup-csrf": "is sent by pages of the server alone",
}
"""Fields that no page of another origin may send, besides those that no script of any page can set."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+")  # RFC 9110, section 5.1, without *, which CORS reads as "any"
_FORBIDDEN = re.compile(
    r"(?:proxy-|sec-).*|accept-(?:charset|encoding)|access-control-request-(?:headers|method|private-network)"
    r"|connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|origin|referer|set-cookie|te|trailer"
    r"|transfer-encoding|upgrade|via",
    re.IGNORECASE,
)
"""The forbidden request-headers of the Fetch standard, section 2.2.2: browsers set them themselves."""


def withheld(name: str) -> str | None:
    """Return why no page of another origin may send a field, as the predicate of a sentence; None if one may."""
    if not _NAME.fullmatch(name):
        return "is not the name of a header field"
    if _FORBIDDEN.fullmatch(name):
        return "is sent by browsers alone"
    return WITHHELD.get(name.lower())


FROM_OTHER_ORIGINS = tuple(sorted(name for name in READ | IGNORED if withheld(name) is None))
"""The fields that pages of allowed origins may send."""
