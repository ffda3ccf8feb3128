"""The routes of browser sign-in by themselves: where they lead, what they set, and what their pages are like."""

from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx2 import URL, Response
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.http.answers import UniformAnswers
from app.http.pages import POLICY
from app.http.sign_in import (
    ENDINGS,
    LONGEST_NEXT,
    OPEN_AGAIN,
    BegunSignIn,
    NewSession,
    Outcome,
    ProviderResponse,
    SignInFailed,
    SignInRoutes,
    is_local_path,
)
from app.http.sign_in_paths import CALLBACK, LOGIN, LOGOUT, SIGNED_IN, SIGNED_OUT

PUBLIC_URL = "https://turnup.example"
PROVIDER_URL = "https://login.example/authorize?state=s"
SIGN_OUT_URL = 'https://login.example/sign-out?a=1&b="2"'


class RecordingSignIns:
    """Notes what it is asked for, and succeeds until it is told to fail."""

    def __init__(self) -> None:
        self.failure: SignInFailed | None = None
        self.sign_out_url: str | None = SIGN_OUT_URL
        self.asked: list[dict[str, Any]] = []

    def _note(self, **given: Any) -> None:
        self.asked.append(given)
        if self.failure is not None:
            raise self.failure

    async def begin(self, browser: str | None, **given: Any) -> BegunSignIn:
        self._note(browser=browser, **given)
        return BegunSignIn(PROVIDER_URL, browser or "new-browser")

    async def finish(self, response: ProviderResponse, browser: str | None, **given: Any) -> NewSession:
        self._note(response=response, browser=browser, **given)
        return NewSession("new-session", "/graphiql")

    async def end(self, session: str | None) -> str | None:
        self._note(session=session)
        return self.sign_out_url


@pytest.fixture
def sign_ins() -> RecordingSignIns:
    return RecordingSignIns()


@pytest.fixture
def outcomes() -> list[str]:
    return []


@pytest.fixture
def browser(sign_ins: RecordingSignIns, outcomes: list[str]) -> Iterator[TestClient]:
    with a_browser(sign_ins, outcomes) as client:
        yield client


def a_browser(sign_ins: RecordingSignIns, outcomes: list[str], public_url: str = PUBLIC_URL) -> TestClient:
    routes = SignInRoutes(
        public_url,
        lambda: sign_ins,
        home=None,
        session_seconds=86_400,
        deadline_seconds=5,
        counted=outcomes.append,
    )
    app = UniformAnswers(Starlette(routes=routes.routes()))
    return TestClient(app, base_url=public_url, follow_redirects=False)


class PageReader(HTMLParser):
    """Notes the elements of a page, their attributes and its texts."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(response.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self.elements[-1][0], data.strip())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of the elements with this name."""
        return [attributes for name, attributes in self.elements if name == tag]


def cookies_of(response: Response) -> Mapping[str, tuple[str, set[str]]]:
    """The cookies that a response sets, with their attributes."""
    found = {}
    for cookie in response.headers.get_list("set-cookie"):
        pair, *attributes = cookie.split("; ")
        name, _, value = pair.partition("=")
        found[name] = value, set(attributes)
    return found


def links_of(response: Response) -> list[str | None]:
    """The addresses of the links and forms of a page."""
    found = check_page(response)
    return [each.get("href", each.get("action")) for each in (*found.of("a"), *found.of("form"))]


def check_page(response: Response) -> PageReader:
    """Check what all pages have in common."""
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == POLICY
    page = PageReader(response)
    assert page.of("html") == [{"lang": "en"}]
    assert [len(page.of(tag)) for tag in ("title", "main", "h1")] == [1, 1, 1]
    assert page.texts["title"] == f"{page.texts['h1']} - Turnup"
    assert not page.of("script")
    assert not page.of("input")
    assert not any(name.startswith("on") or name == "style" for _, attributes in page.elements for name in attributes)
    return page


def test_the_policy_lets_pages_load_and_run_nothing() -> None:
    assert POLICY.split("; ")[0] == "default-src 'none'"
    assert "img-src data:;" in POLICY  # the icon, which is empty, so that browsers ask for none
    assert {each.split()[0] for each in POLICY.split("; ")} == {
        *("default-src", "style-src", "img-src", "form-action", "frame-ancestors", "base-uri")
    }
    assert "unsafe" not in POLICY


def test_signing_in_leads_to_the_provider_with_a_secret_of_the_browser(
    browser: TestClient, sign_ins: RecordingSignIns
) -> None:
    response = browser.get(LOGIN, params={"next": "/graphiql?a=b"})
    assert (response.status_code, response.headers["location"]) == (303, PROVIDER_URL)
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert cookies_of(response) == {
        "__Host-turnup_sign_in": ("new-browser", {"Max-Age=600", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"})
    }
    browser.get(LOGIN, params={"prompt": "login", "invitation": "i"})
    assert sign_ins.asked == [
        {"browser": None, "next_path": "/graphiql?a=b", "invitation": None, "again": False},
        {"browser": "new-browser", "next_path": SIGNED_IN, "invitation": "i", "again": True},
    ]


def test_coming_back_begins_a_session_whose_cookie_no_script_and_no_other_host_can_read(
    browser: TestClient, sign_ins: RecordingSignIns, outcomes: list[str]
) -> None:
    sent = {"cookie": "__Host-turnup_sign_in=b; __Host-turnup_session=former"}
    response = browser.get(CALLBACK, params={"state": "s", "code": "c", "iss": "i"}, headers=sent)
    assert (response.status_code, response.headers["location"]) == (303, "/graphiql")
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert cookies_of(response) == {
        "__Host-turnup_session": ("new-session", {"Max-Age=86400", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"})
    }
    (asked,) = sign_ins.asked
    assert asked["response"] == ProviderResponse(state="s", code="c", error=None, issuer="i")
    assert (asked["browser"], asked["former_session"], asked["user_agent"]) == ("b", "former", "testclient")
    assert outcomes == ["signed_in"]


def test_on_loopback_http_the_cookies_have_no_prefix(sign_ins: RecordingSignIns) -> None:
    with a_browser(sign_ins, [], "http://127.0.0.1:8000") as browser:
        assert cookies_of(browser.get(LOGIN)) == {
            "turnup_sign_in": ("new-browser", {"Max-Age=600", "Path=/", "HttpOnly", "SameSite=Lax"})
        }


LOCAL = [
    *(
        "/",
        "/graphiql",
        "/graphiql/",
        "/graphiql?query=%7Bviewer%7D&a=b",
        "/schemas/provisioning-payload-v1.json",
        "/a/b/c_d-e",
    ),
    *("/a?next=https://evil.example", "/?a", "/?//evil.example", "/a?/../../", "/" + "a" * (LONGEST_NEXT - 1)),
]
NOT_LOCAL = [
    *("", "graphiql", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "\\/evil.example"),
    *(
        "https://evil.example",
        "http:evil.example",
        "https:/evil.example",
        "HTTPS://turnup.example/",
        "//turnup.example",
    ),
    *("javascript:alert(1)", "data:text/html,a", "%2F%2Fevil.example", "%2fgraphiql", "evil.example/graphiql"),
    *("/\t/evil.example", "/\n/evil.example", "\t//evil.example", " /graphiql", "/graphiql ", "/gra phiql", "/\x00"),
    *("/graphiql\r\nSet-Cookie: a=b", "/graphiql#part", "/\u2215evil.example", "/\uff0fevil.example", "/é", "/a\\b"),
    *("/..//evil.example", "/.//evil.example", "/a/../..//evil.example", "/%2e%2e//evil.example", "/a//evil.example"),
    *(
        "/%2F%2Fevil.example",
        "/%2f/evil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "/%0d%0aLocation:evil.example",
    ),
    *("/@evil.example", "/;@evil.example", "/:80", "/.evil.example", "/a/.", "/..", "/a;/b", "/~//evil.example", "/%"),
    *("/<script>", '/"', "/{a}", "/" + "a" * LONGEST_NEXT, "/?a=\\", "/\x7f"),
]


@pytest.mark.parametrize("path", LOCAL)
def test_a_path_of_this_server_can_be_the_next_one(path: str) -> None:
    assert is_local_path(path)
    resolved = urlsplit(str(URL(f"{PUBLIC_URL}/auth/callback").join(path)))
    assert f"{resolved.scheme}://{resolved.netloc}" == PUBLIC_URL


@pytest.mark.parametrize("path", NOT_LOCAL)
def test_everything_else_is_refused_before_the_sign_in_begins(
    browser: TestClient, sign_ins: RecordingSignIns, path: str
) -> None:
    assert not is_local_path(path)
    response = browser.get(LOGIN, params={"next": path})
    assert response.status_code == 400
    assert not sign_ins.asked
    assert "set-cookie" not in response.headers
    assert "evil" not in response.text


@pytest.mark.parametrize("path", [f"{LOGIN}?next=/a&next=/b", f"{CALLBACK}?state=s&state=t&code=c"])
def test_a_parameter_that_is_given_twice_is_refused(browser: TestClient, sign_ins: RecordingSignIns, path: str) -> None:
    assert check_page(browser.get(path)).texts["h1"] == ENDINGS[Outcome.MALFORMED].title
    assert not sign_ins.asked


def test_every_failure_has_a_page_that_says_what_to_do(
    browser: TestClient, sign_ins: RecordingSignIns, outcomes: list[str]
) -> None:
    for outcome, ending in ENDINGS.items():
        sign_ins.failure = SignInFailed(outcome, "/graphiql?a=b")
        response = browser.get(CALLBACK, params={"state": "state-s3cret", "code": "code-s3cret"})
        assert response.status_code == ending.status
        assert "retry-after" in response.headers or ending.status != 503
        page = check_page(response)
        assert page.texts["h1"] == ending.title
        assert ending.text in response.text
        (link,) = page.of("a")
        assert (link["href"] or "").removeprefix(PUBLIC_URL).startswith(f"{LOGIN}?next=/graphiql%3Fa%3Db")
        assert "s3cret" not in response.text
        assert "set-cookie" not in response.headers
    assert outcomes == list(ENDINGS)
    assert set(ENDINGS) == set(Outcome) - {Outcome.SIGNED_IN, Outcome.FAILED}


def test_who_was_invited_is_asked_to_open_the_invitation_again(browser: TestClient, sign_ins: RecordingSignIns) -> None:
    sign_ins.failure = SignInFailed(Outcome.PROVIDER_UNAVAILABLE, SIGNED_IN, invited=True)
    response = browser.get(CALLBACK, params={"state": "s"})
    assert not check_page(response).of("a")
    assert OPEN_AGAIN in response.text


def test_who_was_invited_is_not_sent_back_to_an_invitation_that_is_of_no_use(
    browser: TestClient, sign_ins: RecordingSignIns
) -> None:
    sign_ins.failure = SignInFailed(Outcome.INVITATION_USED, "/graphiql", invited=True)
    response = browser.get(CALLBACK, params={"state": "s"})
    (link,) = check_page(response).of("a")
    assert link["href"] == f"{LOGIN}?next=/graphiql"
    assert OPEN_AGAIN not in response.text


def test_who_has_no_access_can_choose_another_account(browser: TestClient, sign_ins: RecordingSignIns) -> None:
    sign_ins.failure = SignInFailed(Outcome.UNKNOWN_USER, "/graphiql")
    (link,) = check_page(browser.get(CALLBACK, params={"state": "s"})).of("a")
    assert link["href"] == f"{LOGIN}?next=/graphiql&prompt=login"


def test_a_link_signs_nobody_out_and_a_form_of_another_site_neither(
    browser: TestClient, sign_ins: RecordingSignIns
) -> None:
    page = check_page(browser.get(LOGOUT))
    assert page.of("form") == [{"method": "post", "action": LOGOUT}]
    foreign: list[dict[str, str]] = [
        *({"sec-fetch-site": site} for site in ("cross-site", "same-site", "none", "")),
        *({"sec-fetch-site": site, "origin": PUBLIC_URL} for site in ("cross-site", "same-site")),
        *({"origin": origin} for origin in ("https://evil.example", "null", "", f"{PUBLIC_URL}.evil.example")),
        {"origin": "http://turnup.example"},
        {"origin": f"{PUBLIC_URL}:8443"},
        {},
    ]
    for headers in foreign:
        response = browser.post(LOGOUT, headers={**headers, "cookie": "__Host-turnup_session=s"})
        assert response.status_code == 403
        assert check_page(response).of("form")
    assert not sign_ins.asked


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "same-origin"}, {"origin": PUBLIC_URL}, {"sec-fetch-site": "same-origin", "origin": "null"}],
)
def test_signing_out_ends_the_session_and_leads_to_the_provider(
    browser: TestClient, sign_ins: RecordingSignIns, headers: dict[str, str]
) -> None:
    response = browser.post(LOGOUT, headers={**headers, "cookie": "__Host-turnup_session=s"})
    page = check_page(response)
    assert response.status_code == 200
    assert {"http-equiv": "refresh", "content": f"0; url={SIGN_OUT_URL}"} in page.of("meta")
    assert page.of("a") == [{"href": SIGN_OUT_URL}]
    assert {name: value for name, (value, _) in cookies_of(response).items()} == {
        "__Host-turnup_session": "",
        "__Host-turnup_sign_in": "",
    }
    assert all("Max-Age=0" in attributes for _, attributes in cookies_of(response).values())
    assert sign_ins.asked == [{"session": "s"}]


def test_signing_out_ends_here_if_the_provider_has_no_page_for_it(
    browser: TestClient, sign_ins: RecordingSignIns
) -> None:
    sign_ins.sign_out_url = None
    response = browser.post(LOGOUT, headers={"sec-fetch-site": "same-origin"})
    assert (response.status_code, response.headers["location"]) == (303, SIGNED_OUT)
    assert check_page(browser.get(SIGNED_OUT)).of("a") == [{"href": LOGIN}]
    assert check_page(browser.get(SIGNED_IN)).of("a") == [{"href": LOGOUT}]


@pytest.mark.parametrize("path", [f"{LOGIN}?next=/graphiql", f"{CALLBACK}?state=s&code=c"])
def test_a_request_for_the_header_alone_begins_and_finishes_nothing(
    browser: TestClient, sign_ins: RecordingSignIns, path: str
) -> None:
    response = browser.head(path, headers={"cookie": "__Host-turnup_sign_in=b"})
    assert (response.status_code, response.headers["allow"], sign_ins.asked) == (405, "GET", [])
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(browser: TestClient, sign_ins: RecordingSignIns, method: str) -> None:
    for path in (LOGIN, CALLBACK, LOGOUT):
        assert browser.request(method, path).status_code == 405
    assert browser.post(LOGIN).status_code == 405
    assert not sign_ins.asked


@pytest.mark.parametrize(
    ("url", "host", "differing"),
    [
        ("http://turnup.example", "turnup.example", "scheme"),
        ("http://evil.example", "evil.example", "scheme and host"),
        ("https://evil.example", "evil.example", "host"),
        ("https://turnup.example", "turnup.example.evil.example", "host"),
        ("https://turnup.example", "turnup.example@evil.example", "host"),
        ("https://turnup.example", "[turnup.example", "host"),
    ],
)
def test_at_another_origin_nobody_signs_in_and_the_log_says_what_the_proxy_lacks(
    browser: TestClient,
    sign_ins: RecordingSignIns,
    caplog: pytest.LogCaptureFixture,
    url: str,
    host: str,
    differing: str,
) -> None:
    for path in (LOGIN, CALLBACK, LOGOUT):
        response = browser.get(url + path, headers={"host": host})
        assert response.status_code == 421
        assert check_page(response).of("a") == [{"href": PUBLIC_URL + LOGIN}]
        assert "set-cookie" not in response.headers
        assert f"with another {differing} than TURNUP_PUBLIC_URL has" in caplog.messages[-1]
        assert "evil" not in caplog.messages[-1]
    assert not sign_ins.asked


def test_a_proxy_may_leave_out_the_port(sign_ins: RecordingSignIns) -> None:
    with a_browser(sign_ins, [], "https://turnup.example:8443") as browser:
        assert browser.get(LOGIN, headers={"host": "turnup.example"}).status_code == 303


def test_under_a_path_of_a_shared_host_no_address_leaves_the_path(sign_ins: RecordingSignIns) -> None:
    below = f"{PUBLIC_URL}/turnup"
    with a_browser(sign_ins, [], below) as browser:
        browser.base_url = PUBLIC_URL  # the proxy removes the path
        assert links_of(browser.get(SIGNED_IN)) == ["/turnup" + LOGOUT]
        assert links_of(browser.get(SIGNED_OUT)) == ["/turnup" + LOGIN]
        assert links_of(browser.get(LOGOUT)) == ["/turnup" + LOGOUT]
        assert browser.get(CALLBACK).headers["location"] == "/turnup/graphiql"
        sign_ins.sign_out_url = None
        signed_out = browser.post(LOGOUT, headers={"origin": PUBLIC_URL})
        assert signed_out.headers["location"] == "/turnup" + SIGNED_OUT
        assert cookies_of(signed_out)["__Host-turnup_session"][1] >= {"Path=/", "Secure"}
        sign_ins.failure = SignInFailed(Outcome.CANCELLED, "/graphiql")
        assert links_of(browser.get(CALLBACK)) == [f"/turnup{LOGIN}?next=/graphiql"]
        assert links_of(browser.get(LOGIN, headers={"host": "evil.example"})) == [below + LOGIN]


@pytest.mark.parametrize(
    "sent", ["__Host-turnup_session=a; __Host-turnup_session=b", "turnup_session=a", "__host-turnup_session=a", "; ;="]
)
def test_a_cookie_that_is_ambiguous_or_has_another_name_does_not_count(
    browser: TestClient, sign_ins: RecordingSignIns, sent: str
) -> None:
    browser.post(LOGOUT, headers={"sec-fetch-site": "same-origin", "cookie": sent})
    assert sign_ins.asked == [{"session": None}]


@pytest.mark.parametrize("agent", ["x" * 1_000, "\x07bell", "", "Mozilla/5.0"])
def test_what_the_browser_says_of_itself_is_bounded(
    browser: TestClient, sign_ins: RecordingSignIns, agent: str
) -> None:
    browser.get(CALLBACK, params={"state": "s"}, headers={"user-agent": agent})
    kept = sign_ins.asked[0]["user_agent"]
    assert kept == (agent[:256] if agent.isprintable() else "")


def test_an_error_that_the_provider_makes_up_is_not_repeated(browser: TestClient, sign_ins: RecordingSignIns) -> None:
    for error in ("access_denied", "temporarily_unavailable", "Weird <b>", "a" * 65, ""):
        browser.get(CALLBACK, params={"state": "s", "error": error})
    assert [asked["response"].error for asked in sign_ins.asked] == [
        *("access_denied", "temporarily_unavailable", "unknown", "unknown", "unknown")
    ]
