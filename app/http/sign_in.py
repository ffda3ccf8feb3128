"""Browser sign-in over HTTP: the routes of `/auth`, their cookies and pages. They need no JavaScript.

A sign-in begins at `/auth/login`, continues at the identity provider, and ends at `/auth/callback` with a session whose
secret is in a cookie. Query strings of these routes have secrets, so no page, log line or span repeats them.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Protocol
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.http.cookies import SESSION, Cookie
from app.http.graphql import joined
from app.http.pages import HEADERS, Button, Link, page
from app.http.sign_in_paths import CALLBACK, LOGIN, LOGOUT, SEGMENT, SIGNED_IN, SIGNED_OUT, split_public_url

SIGN_IN = "turnup_sign_in"
"""The cookie of a browser in which a sign-in is in progress; its value is a secret."""
ATTEMPT_SECONDS = 600
"""The time in which a person must come back from the provider."""
RETRY_SECONDS = 10
LONGEST_NEXT = 1_024
LONGEST_USER_AGENT = 256

# A path as this server has them, with a query.
_LOCAL_PATH = re.compile(rf"/(?:{SEGMENT}(?:/{SEGMENT})*/?)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?")
_ERROR = re.compile(r"[a-z_]{1,64}")

log = logging.getLogger("turnup.sign_in")


@unique
class Outcome(StrEnum):
    """How a request to sign in ended; the label of a metric."""

    SIGNED_IN = "signed_in"
    MALFORMED = "malformed"
    OTHER_ORIGIN = "other_origin"
    UNKNOWN_ATTEMPT = "unknown_attempt"
    CANCELLED = "cancelled"
    REFUSED_BY_PROVIDER = "refused_by_provider"
    RESPONSE_REFUSED = "response_refused"
    INVITATION_UNKNOWN = "invitation_unknown"
    INVITATION_USED = "invitation_used"
    INVITATION_EXPIRED = "invitation_expired"
    INVITATION_REVOKED = "invitation_revoked"
    INVITATION_EMAIL_UNVERIFIED = "invitation_email_unverified"
    INVITATION_EMAIL_DIFFERS = "invitation_email_differs"
    INVITATION_INVITER_MAY_NOT = "invitation_inviter_may_not"
    INVITATION_USER_EXISTS = "invitation_user_exists"
    INVITATION_ACCESS_GONE = "invitation_access_gone"
    UNKNOWN_USER = "unknown_user"
    SUSPENDED_USER = "suspended_user"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    SERVER_UNAVAILABLE = "server_unavailable"
    FAILED = "failed"
    """By an exception that the code does not expect. It has no page here: the middleware answers every such request."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The page of an outcome.

    `again`: the provider asks for another account when the person tries again. `final`: who was invited does not try
    again with the invitation.
    """

    status: int
    title: str
    text: str
    again: bool = False
    final: bool = False


ENDINGS: Mapping[Outcome, Ending] = {
    Outcome.MALFORMED: Ending(
        400,
        "This link does not work",
        "A part of the address is missing or wrong. If somebody sent you the link, open all of it. Otherwise sign in.",
    ),
    Outcome.OTHER_ORIGIN: Ending(421, "Open this page at its own address", "You can sign in only there."),
    Outcome.UNKNOWN_ATTEMPT: Ending(
        400,
        "Please sign in again",
        "This sign-in took longer than 10 minutes, was used before, or began in another browser. If you were invited, "
        "open the link of the invitation again.",
    ),
    Outcome.CANCELLED: Ending(403, "You are not signed in", "The sign-in was cancelled at your identity provider."),
    Outcome.REFUSED_BY_PROVIDER: Ending(
        400, "You are not signed in", "Your identity provider did not complete the sign-in."
    ),
    Outcome.RESPONSE_REFUSED: Ending(
        400, "You are not signed in", "The answer of the identity provider could not be verified."
    ),
    Outcome.INVITATION_UNKNOWN: Ending(
        403, "This invitation does not exist", "Open the whole link that you received.", final=True
    ),
    Outcome.INVITATION_USED: Ending(
        403, "This invitation was used before", "If you used it yourself, sign in. Otherwise ask your lead.", final=True
    ),
    Outcome.INVITATION_EXPIRED: Ending(
        403, "This invitation has expired", "Ask your lead for another one.", final=True
    ),
    Outcome.INVITATION_REVOKED: Ending(403, "This invitation was withdrawn", "Ask your lead.", final=True),
    Outcome.INVITATION_EMAIL_UNVERIFIED: Ending(
        403,
        "Your e-mail address is not verified",
        "Your identity provider does not confirm that the address of this account is yours. Verify it there first.",
    ),
    Outcome.INVITATION_EMAIL_DIFFERS: Ending(
        403,
        "This invitation is for another e-mail address",
        "Sign in with the account that has the address to which you were invited.",
    ),
    Outcome.INVITATION_INVITER_MAY_NOT: Ending(
        403, "This invitation is no longer valid", "Who invited you may no longer do so. Ask another lead.", final=True
    ),
    Outcome.INVITATION_USER_EXISTS: Ending(
        403,
        "You are known already",
        "A user has this account or the e-mail address of the invitation. Sign in, or ask your lead.",
        final=True,
    ),
    Outcome.INVITATION_ACCESS_GONE: Ending(
        403, "This invitation is no longer valid", "What it gives access to is gone. Ask your lead.", final=True
    ),
    Outcome.UNKNOWN_USER: Ending(
        403, "You have no access", "Nobody with this account has access to Turnup. Ask your lead.", again=True
    ),
    Outcome.SUSPENDED_USER: Ending(403, "Your access is suspended", "Ask your lead.", again=True),
    Outcome.PROVIDER_UNAVAILABLE: Ending(
        503,
        "Nobody can sign in at the moment",
        "The identity provider does not answer as it should. People who are signed in are not affected. Try again in a "
        "minute. If it goes on, tell your lead.",
    ),
    Outcome.SERVER_UNAVAILABLE: Ending(
        503,
        "Nobody can sign in at the moment",
        "The server cannot answer. Try again in a minute. If it goes on, tell your lead.",
    ),
}


OPEN_AGAIN = "To try again, open the link of your invitation."


class SignInFailed(Exception):  # noqa: N818 - an answer to the person, not an error of the server
    """A sign-in ends without a session.

    `next_path` is where it was to lead, None if that is not known. `invited`: it began with an invitation, whose secret
    is in the link alone.
    """

    def __init__(self, outcome: Outcome, next_path: str | None = None, *, invited: bool = False) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.next_path = next_path
        self.invited = invited


@dataclass(frozen=True, slots=True)
class BegunSignIn:
    """A sign-in that has begun: the provider's URL, and the secret by which its browser is known again."""

    url: str = field(repr=False)
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """What the provider sent through the browser: a code or an error, and, if it names itself, its issuer."""

    state: str = field(repr=False)
    code: str | None = field(repr=False)
    error: str | None
    issuer: str | None


@dataclass(frozen=True, slots=True)
class NewSession:
    """The secret of a session that has begun, and the path to which its browser goes."""

    secret: str = field(repr=False)
    next_path: str


class SignIns(Protocol):
    """What the routes need. The secrets that a browser sends are in the form in which it sent them, or None.

    Each method raises SignInFailed.
    """

    async def begin(self, browser: str | None, *, next_path: str, invitation: str | None, again: bool) -> BegunSignIn:
        """Begin a sign-in; with `again`, the provider asks for credentials in any case."""

    async def finish(
        self,
        response: ProviderResponse,
        browser: str | None,
        *,
        user_agent: str,
        former_session: str | None,
        request_id: str,
    ) -> NewSession:
        """Begin a session for whom the provider authenticated, and end the one that the browser had."""

    async def end(self, session: str | None) -> str | None:
        """End a session, and return the provider's URL for signing out there too, if there is one."""


Endpoint = Callable[[Request], Awaitable[Response]]


class SignInRoutes:
    """The routes of browser sign-in at one origin.

    A proxy can serve them under the path of the public URL, which it removes from the paths of requests. Addresses for
    browsers have it; `next` has not.
    """

    def __init__(
        self,
        public_url: str,
        sign_ins: Callable[[], SignIns],
        *,
        home: str | None,
        session_seconds: int,
        deadline_seconds: float,
        counted: Callable[[str], None],
    ) -> None:
        """`public_url` is the server's URL as browsers see it; on https, cookies have the prefix `__Host-`.

        `sign_ins` returns what the routes need, `home` is the path to which a sign-in leads by default, `counted` is
        called with the outcome of each sign-in that ends.
        """
        self._origin, self._prefix = split_public_url(public_url)
        self._sign_ins = sign_ins
        self._home = home or SIGNED_IN
        self._session_seconds = session_seconds
        self._deadline_seconds = deadline_seconds
        self._counted = counted
        secure = public_url.startswith("https://")
        self._session_cookie = Cookie(SESSION, secure=secure)
        self._browser_cookie = Cookie(SIGN_IN, secure=secure)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            _route_of_get(LOGIN, self._answering(self._login)),
            _route_of_get(CALLBACK, self._answering(self._callback)),
            Route(LOGOUT, self._answering(self._ask_to_sign_out), methods=["GET"]),
            Route(LOGOUT, self._answering(self._logout), methods=["POST"]),
            Route(SIGNED_IN, self._signed_in),
            Route(SIGNED_OUT, self._signed_out),
        ]

    def _answering(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with the pages of its failures, at the right origin and within the deadline."""

        async def answer(request: Request) -> Response:
            try:
                self._check_origin(request)
                async with asyncio.timeout(self._deadline_seconds):
                    return await endpoint(request)
            except TimeoutError:
                return self._ended(SignInFailed(Outcome.SERVER_UNAVAILABLE))
            except SignInFailed as failure:
                return self._ended(failure)
            except Exception:
                self._counted(Outcome.FAILED)
                raise

        return answer

    async def _login(self, request: Request) -> Response:
        """Send the browser to the provider."""
        given = _single_parameters(request)
        next_path = given.get("next", self._home)
        if not is_local_path(next_path):
            raise SignInFailed(Outcome.MALFORMED)
        departure = await self._sign_ins().begin(
            _single(self._browser_cookie, request),
            next_path=next_path,
            invitation=given.get("invitation"),
            again=given.get("prompt") == "login",
        )
        response = RedirectResponse(departure.url, 303, HEADERS)
        _set(response, self._browser_cookie, departure.browser, ATTEMPT_SECONDS)
        return response

    async def _callback(self, request: Request) -> Response:
        """Finish the sign-in with which the browser comes back from the provider."""
        given = _single_parameters(request)
        error = given.get("error")
        session = await self._sign_ins().finish(
            ProviderResponse(
                state=given.get("state", ""),
                code=given.get("code"),
                error=error if error is None or _ERROR.fullmatch(error) else "unknown",
                issuer=given.get("iss"),
            ),
            _single(self._browser_cookie, request),
            user_agent=_user_agent(request),
            former_session=_single(self._session_cookie, request),
            request_id=request.state.request_id,
        )
        self._counted(Outcome.SIGNED_IN)
        response = RedirectResponse(self._prefix + session.next_path, 303, HEADERS)
        _set(response, self._session_cookie, session.secret, self._session_seconds)
        return response

    async def _ask_to_sign_out(self, _request: Request) -> Response:
        """Show the button: a link must not sign anybody out."""
        return self._sign_out_page(200)

    async def _logout(self, request: Request) -> Response:
        """End the session of the browser, then let the provider end its own.

        The browser goes to the provider from a page: policies for forms limit the redirects after a form, and a script
        that signs out could not follow them.
        """
        if not self._is_of_this_origin(request):
            return self._sign_out_page(403)
        url = await self._sign_ins().end(_single(self._session_cookie, request))
        if url is None:
            response: Response = RedirectResponse(self._prefix + SIGNED_OUT, 303, HEADERS)
        else:
            response = page(
                "You are signed out of Turnup",
                "Your identity provider may still know you.",
                action=Link("Sign out there too", url, follows=True),
            )
        for cookie in (self._session_cookie, self._browser_cookie):
            _set(response, cookie, "", 0)
        return response

    async def _signed_in(self, _request: Request) -> Response:
        return page("You are signed in", "You can close this page.", action=Link("Sign out", self._prefix + LOGOUT))

    async def _signed_out(self, _request: Request) -> Response:
        return page("You are signed out", action=Link("Sign in", self._prefix + LOGIN))

    def _ended(self, failure: SignInFailed) -> Response:
        """Return the page of a failure."""
        self._counted(failure.outcome)
        ending = ENDINGS[failure.outcome]
        headers = {"Retry-After": str(RETRY_SECONDS)} if ending.status == 503 else None
        if failure.invited and not ending.final:
            return page(ending.title, ending.text, OPEN_AGAIN, status=ending.status, headers=headers)
        address = self._prefix + LOGIN
        if failure.next_path is not None:
            address += f"?next={quote(failure.next_path, safe='/')}"
        if ending.again:
            address += ("?" if failure.next_path is None else "&") + "prompt=login"
        if failure.outcome is Outcome.OTHER_ORIGIN:
            address = self._origin + address
        return page(
            ending.title,
            ending.text,
            action=Link("Sign in with another account" if ending.again else "Sign in", address),
            status=ending.status,
            headers=headers,
        )

    def _check_origin(self, request: Request) -> None:
        """Refuse a request that does not come to the public origin: its cookies would be of another one.

        A proxy may leave the port out of Host, and cookies do not depend on it.
        """
        url = urlsplit(self._origin)
        hosts = request.headers.getlist("host")
        try:
            host = urlsplit(f"//{hosts[0]}").hostname if len(hosts) == 1 else None
        except ValueError:
            host = None
        found = {"scheme": request.scope["scheme"] == url.scheme, "host": host == url.hostname}
        differing = " and ".join(part for part, is_same in found.items() if not is_same)
        if differing:
            log.warning(
                "a request for sign-in came with another %s than TURNUP_PUBLIC_URL has: let the proxy send Host and "
                "X-Forwarded-Proto, and name it in TURNUP_TRUSTED_PROXIES",
                differing,
            )
            raise SignInFailed(Outcome.OTHER_ORIGIN)

    def _is_of_this_origin(self, request: Request) -> bool:
        """Return whether a page of this origin sent a form. A browser that says nothing about it is refused.

        Origin counts only without Sec-Fetch-Site: it is null for the forms of pages that send no referrer.
        """
        sites, origins = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
        return sites == ["same-origin"] if sites else origins == [self._origin]

    def _sign_out_page(self, status: int) -> Response:
        return page("Sign out of Turnup?", action=Button("Sign out", self._prefix + LOGOUT), status=status)


def is_local_path(text: str) -> bool:
    """Return whether a text is a path of this server, with or without a query, in every browser's reading."""
    return len(text) <= LONGEST_NEXT and _LOCAL_PATH.fullmatch(text) is not None


def _single_parameters(request: Request) -> Mapping[str, str]:
    """Return the parameters of the query. Raises SignInFailed when one is repeated (RFC 6749, section 3.1)."""
    given = request.query_params
    if len(given.multi_items()) != len(given):
        raise SignInFailed(Outcome.MALFORMED)
    return given


def _route_of_get(path: str, endpoint: Endpoint) -> Route:
    """Return a route that refuses HEAD, which Starlette would answer like GET: a HEAD request must change nothing."""
    route = Route(path, endpoint)
    route.methods = {"GET"}
    return route


def _single(cookie: Cookie, request: Request) -> str | None:
    """Return the value of a cookie, None if it is missing or ambiguous."""
    found = cookie.values(joined(request.headers.raw))
    return found[0] if len(found) == 1 else None


def _set(response: Response, cookie: Cookie, value: str, seconds: int) -> None:
    response.headers.append("set-cookie", cookie.set(value, seconds))


def _user_agent(request: Request) -> str:
    sent = request.headers.get("user-agent", "")[:LONGEST_USER_AGENT]
    return sent if sent.isprintable() else ""
