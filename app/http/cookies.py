"""Cookies of this host: their names and attributes, how they are read, and for which requests a session counts.

A browser sends a cookie with every request to its host, whichever page caused it. So a session counts only if the
browser says that a page of the same origin sent the request, or if the request has a header field that no page of
another origin can send: the server allows it to none by CORS. That holds for all methods, so that a navigation, an
image or a form never acts in somebody's name.
"""

from collections.abc import Mapping

from app.http.loopback import is_loopback_authority
from app.http.refusals import CHALLENGE, TransportRefused

HOST_PREFIX = "__Host-"
"""Browsers accept such a cookie only from its own host, over HTTPS, for all paths: no other host can plant one."""
SESSION = "turnup_session"
"""The cookie of a browser that is signed in; its value is the secret of the session."""
CSRF = "X-Turnup-CSRF"
BLANKS = " \t"
"""What surrounds a cookie and is no part of it. Other white space is: a name that begins with it has no prefix."""

Fields = Mapping[bytes, bytes]


class Cookie:
    """A cookie that goes to this host alone and that no script can read."""

    def __init__(self, name: str, *, secure: bool) -> None:
        """Without `secure`, the cookie is for plain HTTP on a loopback address, in development."""
        self.secure = secure
        self.name = f"{HOST_PREFIX}{name}" if secure else name

    def set(self, value: str, seconds: int) -> str:
        """Return the value of the field Set-Cookie that stores the cookie for so long; 0 seconds delete it."""
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def values(self, fields: Fields) -> list[str]:
        """Return the values with which a request sends the cookie: none, or one if the client is a browser."""
        sent = fields.get(b"cookie", b"").decode("latin-1")
        if self.name not in sent:
            return []
        pairs = (pair.partition("=") for pair in sent.split(";"))
        return [value.strip(BLANKS) for name, _, value in pairs if name.strip(BLANKS) == self.name]

    def value(self, fields: Fields) -> str | None:
        """Return the value of the cookie, None if it is not sent. Raises TransportRefused if it is sent twice."""
        values = self.values(fields)
        if len(values) > 1:
            raise TransportRefused("BAD_REQUEST", f"The cookie {self.name} is sent more than once.")
        return values[0] if values else None

    def check_transport(self, scheme: str, fields: Fields) -> None:
        """Raises TransportRefused if others could have read the cookie on its way. `scheme` is the browser's."""
        if self.secure and scheme != "https":
            raise _refused(f"The cookie {self.name} counts over HTTPS only.")
        if not self.secure and not is_loopback_authority(fields.get(b"host", b"").decode("latin-1")):
            raise _refused(f"The cookie {self.name} counts on a loopback address only.")


def check_same_origin(fields: Fields) -> None:
    """Raises TransportRefused unless a page of this origin, or a client that is no browser, sent the request.

    What a browser says about the request decides; the header field is for clients that say nothing.
    """
    site = fields.get(b"sec-fetch-site")
    if site != b"same-origin" if site is not None else fields.get(CSRF.lower().encode()) != b"1":
        raise _refused(
            f"A session cookie counts only with Sec-Fetch-Site: same-origin, which browsers send by themselves, or, "
            f"without that field, with {CSRF}: 1."
        )


def _refused(sentence: str) -> TransportRefused:
    return TransportRefused("UNAUTHENTICATED", sentence, {"WWW-Authenticate": CHALLENGE})
