"""Browser sign-in from the first request to the session in the database, at a provider that answers on the loopback
address; and everything by which somebody could get a session that is not theirs.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from starlette.applications import Starlette

from app.db.failures import DatabaseUnavailable
from app.http.pages import POLICY
from app.http.sign_in import ENDINGS, Outcome
from app.http.sign_in_paths import CALLBACK, LOGIN, LOGOUT, SIGNED_OUT
from app.main import create_app
from app.settings import Settings
from app.telemetry import Telemetry
from app.telemetry.errors import Reports, start_error_tracking
from app.telemetry.metrics import start_metrics
from app.telemetry.tracing import start_tracing
from app.version import VERSION
from tests.auth.small_provider import (
    AUTHORIZE,
    CLIENT_ID,
    CLIENT_SECRET,
    METADATA,
    TOKEN,
    SmallProvider,
    json_answer,
    providing,
)
from tests.builders_db import committed
from tests.harness import LEAD, OTHER_PARTNER, TestDatabase, own_database
from tests.telemetry.span_types import type_of
from tests.telemetry.tracker import an_error_server

ORIGIN = "http://127.0.0.1:8000"
PAGE_TYPE = "text/html; charset=utf-8"
OWN_PAGE = {"sec-fetch-site": "same-origin"}


@dataclass
class Place:
    """A running server, the provider at which its users sign in, and their database."""

    app: Starlette
    provider: SmallProvider
    database: TestDatabase
    spans: InMemorySpanExporter
    telemetry: Telemetry

    def browser(self, origin: str = ORIGIN, **headers: str) -> "Browser":
        transport = httpx.ASGITransport(self.app)
        return Browser(self, httpx.AsyncClient(transport=transport, base_url=origin, headers=headers))

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with committed(self.database) as connection:
            return [dict(row) for row in await connection.fetch(query)]

    async def sessions(self) -> list[dict[str, Any]]:
        return await self.rows("SELECT * FROM turnup.user_session ORDER BY created_at, id")

    async def attempts(self) -> int:
        (row,) = await self.rows("SELECT count(*)::int AS number FROM turnup.sign_in_attempt")
        number: int = row["number"]
        return number

    async def change(self, statement: str) -> None:
        async with committed(self.database) as connection:
            await connection.execute(statement)

    def counted(self, outcome: Outcome) -> bool:
        """Whether sign-ins with this outcome, and no others, were counted once."""
        lines = self.telemetry.metrics.render().decode().splitlines()
        ended = [line for line in lines if line.startswith("turnup_sign_ins_total{") and not line.endswith(" 0.0")]
        return ended == [f'turnup_sign_ins_total{{outcome="{outcome}"}} 1.0']


@dataclass
class Browser:
    """A browser: it keeps cookies, and goes where it is sent."""

    place: Place
    http: httpx.AsyncClient

    @property
    def session(self) -> str | None:
        return self.http.cookies.get("turnup_session")

    async def begin(self, path: str = LOGIN) -> str:
        """Begin a sign-in; return the URL with which the provider sends the browser back."""
        response = await self.http.get(path)
        assert response.status_code == 303, response.text
        assert response.headers["location"].startswith(self.place.provider.issuer + AUTHORIZE)
        back: str = self.place.provider.authorize(response.headers["location"])
        return back

    async def viewer(self) -> str | None:
        """The e-mail address of the user whose session the API sees; None if it sees none."""
        asked = {"query": "{ viewer { email } }"}
        response = await self.http.post("/graphql", json=asked, headers=OWN_PAGE)
        if response.status_code == 401:
            return None
        email: str = response.json()["data"]["viewer"]["email"]
        return email

    async def sign_in(self, path: str = LOGIN) -> httpx.Response:
        """Sign in; return the answer to the callback."""
        return await self.http.get(await self.begin(path))


@pytest.fixture(scope="module")
async def sign_in_database() -> AsyncIterator[TestDatabase]:
    """A database with the demo data, for the sessions of this module."""
    async with own_database() as made:
        yield made


@asynccontextmanager
async def running(
    settings: Settings, database: TestDatabase, provider: SmallProvider, **changes: Any
) -> AsyncIterator[Place]:
    spans, metrics = InMemorySpanExporter(), start_metrics(VERSION)
    telemetry = Telemetry(
        tracing=start_tracing(VERSION, exporters=[spans]),
        metrics=metrics,
        errors=start_error_tracking(
            None, service_version=VERSION, environment="development", counted=metrics.unexpected_exception
        ),
    )
    own = {
        "database_url": SecretStr(database.app_url),
        "issuer": provider.issuer,
        "public_url": ORIGIN,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(CLIENT_SECRET),
    }
    app = create_app(settings.model_copy(update={**own, **changes}), telemetry)
    try:
        async with app.router.lifespan_context(app):
            yield Place(app, provider, database, spans, telemetry)
    finally:
        telemetry.errors.close()


@pytest.fixture
async def place(settings: Settings, sign_in_database: TestDatabase) -> AsyncIterator[Place]:
    """A server whose lead can sign in. There are no sessions and attempts before the test."""
    async with providing() as provider, running(settings, sign_in_database, provider) as place:
        provider.subject = LEAD
        await place.change("DELETE FROM turnup.sign_in_attempt")
        await place.change("DELETE FROM turnup.user_session")
        yield place


def title(response: httpx.Response) -> str:
    return response.text.partition("<h1>")[2].partition("</h1>")[0]


def is_ending(response: httpx.Response, outcome: Outcome) -> bool:
    """Whether an answer is the page of this outcome."""
    return (response.status_code, title(response)) == (ENDINGS[outcome].status, ENDINGS[outcome].title)


async def test_a_person_signs_in_and_the_database_has_the_session_without_its_secret(place: Place) -> None:
    browser = place.browser(**{"user-agent": "Firefox"})
    response = await browser.sign_in(f"{LOGIN}?next=/graphiql%3Fa=b")
    assert (response.status_code, response.headers["location"]) == (303, "/graphiql?a=b")
    (session,) = await place.sessions()
    assert session["secret_sha256"] == hashlib.sha256((browser.session or "").encode()).digest()
    (lead,) = await place.rows(f"SELECT id FROM turnup.\"user\" WHERE subject = '{LEAD}'")
    assert (session["user_id"], session["user_agent"]) == (lead["id"], "Firefox")
    assert (session["idle_until"] - session["created_at"]).total_seconds() == 8 * 3_600
    assert (session["expires_at"] - session["created_at"]).total_seconds() == 24 * 3_600
    assert session["ended_at"] is None
    assert await place.attempts() == 0
    assert (browser.session or "") not in json.dumps(session, default=str)
    assert await browser.viewer() == LEAD
    assert await place.browser().viewer() is None
    assert place.counted(Outcome.SIGNED_IN)


async def test_behind_https_the_cookies_are_bound_to_the_host(
    settings: Settings, sign_in_database: TestDatabase
) -> None:
    origin = "https://turnup.example"
    async with providing() as provider, running(settings, sign_in_database, provider, public_url=origin) as place:
        provider.subject = LEAD
        browser = place.browser(origin)
        response = await browser.sign_in()
        assert response.status_code == 303
        cookies = response.headers.get_list("set-cookie")
        assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-turnup_session"]
        assert "; Secure" in cookies[0]
        assert (await place.browser().http.get(LOGIN)).status_code == 421
        assert (await place.browser("http://turnup.example").http.get(LOGIN)).status_code == 421


async def test_a_session_that_somebody_planted_is_not_the_one_after_the_sign_in(place: Place) -> None:
    attacker, victim = place.browser(), place.browser()
    await attacker.sign_in()
    planted = attacker.session
    assert planted is not None
    victim.http.cookies.set("turnup_session", planted, domain="127.0.0.1")
    response = await victim.sign_in()
    assert response.status_code == 303
    assert victim.http.cookies.get("turnup_session", domain="127.0.0.1") != planted
    former, new = await place.sessions()
    assert (former["end_reason"], new["end_reason"]) == ("SIGNED_OUT", None)
    assert former["secret_sha256"] != new["secret_sha256"]
    assert await attacker.viewer() is None


async def test_every_sign_in_of_a_browser_has_a_new_secret_and_ends_the_session_before(place: Place) -> None:
    browser = place.browser()
    secrets = set()
    for _ in range(3):
        await browser.sign_in()
        secrets.add(browser.session)
    assert len(secrets) == 3
    assert [session["ended_at"] is None for session in await place.sessions()] == [False, False, True]


async def test_a_sign_in_that_an_attacker_began_is_not_finished_by_the_victim(place: Place) -> None:
    back = await place.browser().begin()
    victim = place.browser()
    await victim.begin()
    assert is_ending(await victim.http.get(back), Outcome.UNKNOWN_ATTEMPT)
    assert victim.session is None
    assert not await place.sessions()
    assert TOKEN not in place.provider.asked


async def test_two_tabs_of_one_browser_both_finish(place: Place) -> None:
    browser = place.browser()
    first, second = await browser.begin(), await browser.begin()
    assert [(await browser.http.get(back)).status_code for back in (second, first)] == [303, 303]


FORGED_STATES = ["", "x", "A" * 43, "A" * 42, "A" * 500, "%00", "'; DELETE FROM turnup.user_session; --"]


@pytest.mark.parametrize("state", FORGED_STATES, ids=range(len(FORGED_STATES)))
async def test_a_forged_state_is_refused(place: Place, state: str) -> None:
    browser = place.browser()
    await browser.begin()
    response = await browser.http.get(CALLBACK, params={"state": state, "code": "c", "iss": place.provider.issuer})
    assert is_ending(response, Outcome.UNKNOWN_ATTEMPT)
    assert await place.attempts() == 1
    assert TOKEN not in place.provider.asked
    assert place.counted(Outcome.UNKNOWN_ATTEMPT)


@pytest.mark.parametrize("path", [LOGIN, CALLBACK])
@pytest.mark.parametrize(
    "query",
    [
        *(
            "%ff=%ff",
            "%00",
            "state=%00&code=%00&iss=%00",
            "state=%ff%fe",
            "state[]=a&code[]=b",
            "=&=",
            "&&&",
            "a=%",
            "?",
        ),
        *("next=%ff", "next=%00", "next[]=/", "invitation=%00", "invitation=", "prompt=%00", "prompt=none"),
        *(
            "state=%F0%9F%98%80&code=%F0%9F%98%80",
            "error=%00",
            "error=access_denied",
            "code=" + "c" * 4_000,
            "a=b&" * 900,
        ),
    ],
)
async def test_whatever_is_in_the_query_is_answered(place: Place, path: str, query: str) -> None:
    odd_cookies = {b"cookie": b"turnup_sign_in=\xff\x00; =; turnup_session"}
    response = await place.browser().http.get(f"{path}?{query}", headers=odd_cookies)
    assert response.status_code in {303, 400}
    assert response.status_code == 303 or title(response) in {each.title for each in ENDINGS.values()}
    assert not await place.sessions()


async def test_a_state_counts_once(place: Place) -> None:
    browser = place.browser()
    back = await browser.begin()
    answers = await asyncio.gather(*(browser.http.get(back) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [303, 400, 400, 400, 400]
    assert is_ending(await browser.http.get(back), Outcome.UNKNOWN_ATTEMPT)
    assert len(await place.sessions()) == 1
    assert place.provider.asked.count(TOKEN) == 1


async def test_a_state_counts_for_ten_minutes(place: Place) -> None:
    browser = place.browser()
    back = await browser.begin()
    await place.change("UPDATE turnup.sign_in_attempt SET created_at = now() - interval '601 seconds'")
    assert is_ending(await browser.http.get(back), Outcome.UNKNOWN_ATTEMPT)
    back = await browser.begin()
    await place.change("UPDATE turnup.sign_in_attempt SET created_at = now() - interval '590 seconds'")
    assert (await browser.http.get(back)).status_code == 303


async def test_a_state_without_the_cookie_of_its_browser_is_refused(place: Place) -> None:
    browser = place.browser()
    back = await browser.begin()
    for planted in (None, "short", "A" * 43):
        other = place.browser()
        if planted is not None:
            other.http.cookies.set("turnup_sign_in", planted)
        assert is_ending(await other.http.get(back), Outcome.UNKNOWN_ATTEMPT)
    assert (await browser.http.get(back)).status_code == 303


async def test_a_forged_code_is_refused_and_uses_up_the_state(place: Place) -> None:
    browser = place.browser()
    place.provider.response["code"] = "forged"
    back = await browser.begin()
    assert is_ending(await browser.http.get(back), Outcome.RESPONSE_REFUSED)
    assert is_ending(await browser.http.get(back), Outcome.UNKNOWN_ATTEMPT)
    assert not await place.sessions()


async def test_a_code_of_another_sign_in_is_refused(place: Place) -> None:
    attacker, victim = place.browser(), place.browser()
    stolen = httpx.URL(await victim.begin()).params["code"]
    back = httpx.URL(await attacker.begin()).copy_set_param("code", stolen)
    assert is_ending(await attacker.http.get(back), Outcome.RESPONSE_REFUSED)
    assert attacker.session is None


async def test_an_id_token_of_another_sign_in_is_refused(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    place.provider.claims["nonce"] = "A" * 43
    assert is_ending(await browser.sign_in(), Outcome.RESPONSE_REFUSED)
    assert len(await place.sessions()) == 1


async def test_a_response_of_another_issuer_is_refused_before_its_code_is_used(place: Place) -> None:
    for issuer in ("https://evil.example", f"{place.provider.issuer}/"):
        place.provider.response["iss"] = issuer
        assert is_ending(await place.browser().sign_in(), Outcome.RESPONSE_REFUSED)
    assert TOKEN not in place.provider.asked
    assert not await place.sessions()


@pytest.mark.parametrize("seconds", [-3_600, 3_600])
async def test_a_provider_with_a_wrong_clock_signs_nobody_in(place: Place, seconds: int) -> None:
    right = place.provider.clock
    place.provider.clock = lambda: right() + seconds
    assert is_ending(await place.browser().sign_in(), Outcome.RESPONSE_REFUSED)
    assert not await place.sessions()


async def test_a_person_whose_subject_changed_at_the_provider_is_nobody(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    users = await place.rows('SELECT * FROM turnup."user" ORDER BY id')
    place.provider.subject = f"{LEAD}-changed"
    place.provider.claims.update(email=LEAD, email_verified=True, preferred_username=LEAD)
    response = await place.browser().sign_in()
    assert is_ending(response, Outcome.UNKNOWN_USER)
    assert LEAD not in response.text
    assert await place.rows('SELECT * FROM turnup."user" ORDER BY id') == users
    assert [session["ended_at"] for session in await place.sessions()] == [None]


async def test_the_same_subject_at_another_issuer_is_another_person(
    settings: Settings, sign_in_database: TestDatabase
) -> None:
    issuer = "https://tokens.example"
    async with (
        providing() as provider,
        running(settings, sign_in_database, provider, issuer=issuer, oidc_issuer=provider.issuer) as place,
    ):
        provider.subject = LEAD
        browser = place.browser()
        assert is_ending(await browser.sign_in(), Outcome.UNKNOWN_USER)
        await place.change(f"UPDATE turnup.\"user\" SET issuer = '{provider.issuer}' WHERE subject = '{LEAD}'")
        assert (await browser.sign_in()).status_code == 303
        assert await browser.viewer() == LEAD
        await place.change(f"UPDATE turnup.\"user\" SET issuer = NULL WHERE subject = '{LEAD}'")


async def test_a_suspended_user_gets_no_session(place: Place) -> None:
    place.provider.subject = OTHER_PARTNER
    await place.change(f"UPDATE turnup.\"user\" SET status = 'SUSPENDED' WHERE subject = '{OTHER_PARTNER}'")
    assert is_ending(await place.browser().sign_in(), Outcome.SUSPENDED_USER)
    await place.change(f"UPDATE turnup.\"user\" SET status = 'ACTIVE' WHERE subject = '{OTHER_PARTNER}'")
    assert not await place.sessions()


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("access_denied", Outcome.CANCELLED),
        ("temporarily_unavailable", Outcome.PROVIDER_UNAVAILABLE),
        ("server_error", Outcome.PROVIDER_UNAVAILABLE),
        ("invalid_scope", Outcome.REFUSED_BY_PROVIDER),
        ("<b>s3cret</b>", Outcome.REFUSED_BY_PROVIDER),
    ],
)
async def test_an_error_of_the_provider_has_a_page(
    place: Place, caplog: pytest.LogCaptureFixture, error: str, outcome: Outcome
) -> None:
    place.provider.response.update(error=error, error_description="s3cret")
    response = await place.browser().sign_in()
    assert is_ending(response, outcome)
    assert "s3cret" not in response.text
    assert "s3cret" not in "".join(each.getMessage() for each in caplog.records if each.name.startswith("turnup"))
    assert place.counted(outcome)
    assert TOKEN not in place.provider.asked


async def test_a_response_without_a_code_has_a_page(place: Place) -> None:
    back = httpx.URL(await (browser := place.browser()).begin()).copy_remove_param("code")
    assert is_ending(await browser.http.get(back), Outcome.REFUSED_BY_PROVIDER)


async def test_while_the_provider_is_down_new_people_get_a_page_and_the_others_stay(place: Place) -> None:
    browser, late = place.browser(), place.browser()
    await browser.sign_in()
    back = await late.begin()
    await place.provider.stop()
    answer = await late.http.get(back)
    assert is_ending(answer, Outcome.PROVIDER_UNAVAILABLE)
    assert answer.headers["retry-after"] == "10"
    assert await browser.viewer() == LEAD
    await browser.http.post(LOGOUT, headers=OWN_PAGE)
    assert await browser.viewer() is None
    await place.provider.start()
    assert (await late.sign_in()).status_code == 303


async def test_a_provider_that_was_never_reached_costs_no_row(place: Place) -> None:
    place.provider.answers[METADATA] = json_answer({}, 500)
    for _ in range(10):
        assert is_ending(await place.browser().http.get(LOGIN), Outcome.PROVIDER_UNAVAILABLE)
    assert await place.attempts() == 0
    assert place.provider.asked == [METADATA]
    response = await place.browser().http.post(LOGOUT, headers=OWN_PAGE)
    assert (response.status_code, response.headers["location"]) == (303, SIGNED_OUT)


async def test_ten_thousand_abandoned_sign_ins_keep_nobody_out(place: Place) -> None:
    await place.change(
        """INSERT INTO turnup.sign_in_attempt (state_sha256, browser_sha256, nonce, code_verifier, next, created_at)
           SELECT sha256(number::text::bytea), sha256('browser'), 'n', 'v', '/', now() - number * interval '1 ms'
           FROM generate_series(1, 10000) number"""
    )
    browser = place.browser()
    back = await browser.begin()
    assert await place.attempts() == 10_000
    assert not await place.rows("SELECT FROM turnup.sign_in_attempt WHERE state_sha256 = sha256('10000')")
    assert (await browser.http.get(back)).status_code == 303


async def test_requests_beyond_the_bound_of_an_address_cost_no_row(
    settings: Settings, sign_in_database: TestDatabase
) -> None:
    async with providing() as provider, running(settings, sign_in_database, provider, limit_anonymous=5) as place:
        await place.change("DELETE FROM turnup.sign_in_attempt")
        answers = [await place.browser().http.get(LOGIN) for _ in range(12)]
        assert [answer.status_code for answer in answers] == [303] * 5 + [429] * 7
        assert (title(answers[-1]), answers[-1].headers["content-type"]) == ("Too many requests", PAGE_TYPE)
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].headers["content-security-policy"] == POLICY
        assert "x-request-id" in answers[-1].headers
        assert (await place.browser().http.head(LOGIN)).content == b""
        (error,) = (await place.browser().http.get("/graphiql/config.json")).json()["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert await place.attempts() == 5


async def test_signing_out_ends_the_session_at_once(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    assert (await browser.http.get(LOGOUT)).status_code == 200
    assert (await browser.http.post(LOGOUT, headers={"sec-fetch-site": "cross-site"})).status_code == 403
    assert [session["ended_at"] for session in await place.sessions()] == [None]
    secret = browser.session
    response = await browser.http.post(LOGOUT, headers=OWN_PAGE)
    assert f"{place.provider.issuer}/sign-out?client_id=" in response.text
    assert browser.session is None
    (session,) = await place.sessions()
    assert session["end_reason"] == "SIGNED_OUT"
    browser.http.cookies.set("turnup_session", secret or "")
    assert await browser.viewer() is None


async def test_while_the_database_is_out_of_reach_people_get_a_page(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = place.browser()
    await browser.sign_in()
    back = await browser.begin()
    monkeypatch.setattr("app.db.database.Database.acquire", _unavailable)
    for response in (
        await browser.http.get(LOGIN),
        await browser.http.get(back),
        await browser.http.post(LOGOUT, headers=OWN_PAGE),
    ):
        assert is_ending(response, Outcome.SERVER_UNAVAILABLE)
        assert "retry-after" in response.headers
    assert browser.session is not None


async def test_no_secret_of_a_sign_in_is_in_a_log_line_or_a_span(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = place.browser()
    back = httpx.URL(await browser.begin(f"{LOGIN}?next=/graphiql"))
    await browser.http.get(back)
    place.provider.response["code"] = "forged"
    await browser.sign_in()
    secrets = {back.params["state"], back.params["code"], browser.session or "", *browser.http.cookies.values()}
    secrets |= {CLIENT_SECRET, "forged", *(value for body in place.provider.bodies for value in body.values())}
    secrets -= {"authorization_code", f"{ORIGIN}{CALLBACK}"}
    # The browser of this test logs its own requests, which the server's process does not.
    lines = [each.getMessage() for each in caplog.records if not (each.name == "httpx" and ORIGIN in each.getMessage())]
    logged = "\n".join(lines)
    for text in (logged, *(span.to_json() for span in place.spans.get_finished_spans())):
        assert not [secret for secret in secrets if secret in text]
    names = {span.name for span in place.spans.get_finished_spans()}
    assert {f"GET {LOGIN}", f"GET {CALLBACK}", "GET", "POST", "begin sign-in attempt", "begin session"} <= names
    assert all(type_of(span) is not None for span in place.spans.get_finished_spans())


async def test_no_secret_of_a_sign_in_that_fails_inside_reaches_the_browser_or_the_error_tracker(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_party: object, code: str, **given: str) -> None:
        raise LookupError(code, given)

    monkeypatch.setattr("app.auth.oidc.RelyingParty.identity", fails)
    with an_error_server() as tracker:
        # The handler of the place counts exceptions, and each is handled once.
        others = [each for each in logging.getLogger().handlers if not isinstance(each, Reports)]
        monkeypatch.setattr(logging.getLogger(), "handlers", others)
        tracking = start_error_tracking(tracker.dsn, service_version=VERSION, environment="production")
        browser = place.browser()
        back = httpx.URL(await browser.begin())
        response = await browser.http.get(back)
        tracking.shutdown()
        tracking.close()
    assert (response.status_code, title(response)) == (500, "Something went wrong")
    assert response.headers["content-type"] == PAGE_TYPE
    (event,) = tracker.events
    assert ([each["type"] for each in event["exception"]["values"]], event["transaction"]) == (
        ["LookupError"],
        CALLBACK,
    )
    secrets = [*back.params.values(), *browser.http.cookies.values()]
    assert not [secret for secret in secrets if secret in response.text or secret.encode() in tracker.received]


@pytest.mark.parametrize("step", [LOGIN, CALLBACK])
async def test_a_sign_in_that_a_bug_ends_is_counted_and_has_its_event(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    async def fails(*_arguments: object, **_given: object) -> None:
        raise LookupError

    browser = place.browser()
    path = LOGIN if step == LOGIN else await browser.begin()
    failing = {LOGIN: "app.db.browser_sign_ins.begin_attempt", CALLBACK: "app.auth.oidc.RelyingParty.identity"}
    monkeypatch.setattr(failing[step], fails)
    with caplog.at_level(logging.INFO, "turnup.events"):
        response = await browser.http.get(path)
    assert response.status_code == 500
    assert place.counted(Outcome.FAILED)
    rendered = place.telemetry.metrics.render().decode().splitlines()
    assert 'turnup_unexpected_exceptions_total{logger="turnup.http"} 1.0' in rendered
    (event,) = [record for record in caplog.records if record.name == "turnup.events"]
    assert (event.getMessage(), vars(event)["code"]) == ("sign_in.failed", "failed")


async def test_graphiql_says_that_people_can_sign_in(place: Place) -> None:
    config = (await place.browser().http.get("/graphiql/config.json")).json()
    assert config["signIn"] is True


async def test_without_a_client_id_there_is_nothing_to_sign_in_at(client: Any) -> None:
    assert {(await client.http.get(path)).status_code for path in (LOGIN, CALLBACK, LOGOUT)} == {404}
    assert "signIn" not in (await client.http.get("/graphiql/config.json")).json()


async def _unavailable(_database: object) -> None:
    raise DatabaseUnavailable
