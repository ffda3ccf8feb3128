"""Sessions, service tokens and invitations over HTTP: where their secrets are not, and from when a revoked one counts
no more at another server of the same database.
"""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.http.sign_in_paths import LOGIN
from app.settings import Settings
from tests.auth.small_provider import providing
from tests.builders_db import LEAD_ID
from tests.harness import LEAD, LEAD_2, TestDatabase, own_database

from .test_browser_sign_in import ORIGIN, OWN_PAGE, Browser, Place, running

INVITE = """mutation($email: String!, $key: String) {
  inviteUser(input: {email: $email, name: "Ida Frost", role: PARTNER, grants: [], idempotencyKey: $key}) { link }
}"""
CREATE_TOKEN = """mutation($user: ID!, $expiresAt: DateTime!, $key: String) {
  createServiceToken(input: {
    userId: $user, name: "Poller", accounts: {allOfUser: true}, actions: {allOfUser: true}, expiresAt: $expiresAt,
    idempotencyKey: $key
  }) { serviceToken { id } secret problems { code message } }
}"""
REVOKE_TOKEN = "mutation($id: ID!) { revokeServiceToken(input: {serviceTokenId: $id}) { problems { code } } }"
REVOKE_SESSIONS = "mutation($user: ID!) { revokeSessions(input: {userId: $user}) { problems { code } } }"
SUSPEND = "mutation($user: ID!) { suspendUser(input: {userId: $user}) { problems { code } } }"


@pytest.fixture
async def own(settings: Settings) -> AsyncIterator[TestDatabase]:
    """A database with the demo data for one test."""
    async with own_database() as made:
        yield made


async def done(browser: Browser, document: str, **variables: Any) -> Any:
    """The result of a mutation that a signed-in person sends and that nothing refuses."""
    sent = {"query": document, "variables": variables}
    answer = (await browser.http.post("/graphql", json=sent, headers=OWN_PAGE)).json()
    (result,) = answer["data"].values()
    assert not result.get("problems"), result
    return result


async def new_token(browser: Browser, user: str, **more: Any) -> tuple[str, str]:
    """The id and the secret of a new token of a user."""
    expires_at = (datetime.now(UTC) + timedelta(days=90)).isoformat()
    result = await done(browser, CREATE_TOKEN, user=user, expiresAt=expires_at, **more)
    return result["serviceToken"]["id"], result["secret"]


async def answered(place: Place, token: str) -> int:
    """The status for a token at a server."""
    asked = {"query": "{ viewer { name } }"}
    response = await place.browser().http.post("/graphql", json=asked, headers={"authorization": f"Bearer {token}"})
    return response.status_code


async def everything_in(place: Place) -> str:
    """All rows of all tables."""
    tables = await place.rows(
        "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) AS name FROM information_schema.tables "
        "WHERE table_schema = 'turnup' AND table_type = 'BASE TABLE'"
    )
    assert len(tables) > 30
    rows = [await place.rows(f"SELECT t::text AS row FROM {table['name']} t") for table in tables]
    return "\n".join(row["row"] for each in rows for row in each)


async def test_no_secret_that_is_shown_once_is_in_the_log_a_span_or_the_database(
    settings: Settings, own: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with providing() as provider, running(settings, own, provider) as place:
        provider.subject = LEAD
        lead = place.browser()
        assert (await lead.sign_in()).status_code == 303
        _, token = await new_token(lead, LEAD_ID, key="token")
        link: str = (await done(lead, INVITE, email="ida@carrier.example", key="invitation"))["link"]
        assert await answered(place, token) == 200
        provider.subject, provider.claims = "sub-ida", {"email": "ida@carrier.example", "email_verified": True}
        invited = place.browser()
        assert (await invited.sign_in(link.removeprefix(ORIGIN))).status_code == 303
        assert await invited.viewer() == "ida@carrier.example"
        stored = await everything_in(place)
        spans = "\n".join(span.to_json() for span in place.spans.get_finished_spans())
        # The browser of this test logs its own requests, which the server's process does not.
        records = [each for each in caplog.records if not (each.name == "httpx" and ORIGIN in each.getMessage())]
        metrics = place.telemetry.metrics.render().decode()
    secrets = {
        token,
        httpx.URL(link).params["invitation"],
        *(value for browser in (lead, invited) for value in browser.http.cookies.values()),
    }
    assert len(secrets) >= 4
    assert "ida@carrier.example" in stored
    assert f"GET {LOGIN}" in spans
    for text in (stored, spans, metrics, "\n".join(repr(vars(record)) for record in records)):
        assert not [secret for secret in secrets if secret in text]


async def test_what_is_revoked_at_one_server_counts_no_more_at_another_from_the_next_request(
    settings: Settings, own: TestDatabase
) -> None:
    async with (
        providing() as provider,
        running(settings, own, provider) as here,
        running(settings, own, provider) as there,
    ):
        provider.subject = LEAD_2
        other = there.browser()
        assert (await other.sign_in()).status_code == 303
        (session,) = await here.sessions()
        user = session["user_id"]
        provider.subject = LEAD
        lead = here.browser()
        assert (await lead.sign_in()).status_code == 303

        name, token = await new_token(lead, user)
        assert [await answered(server, token) for server in (here, there)] == [200, 200]
        await done(lead, REVOKE_TOKEN, id=name)
        assert [await answered(server, token) for server in (here, there)] == [401, 401]

        assert await other.viewer() == LEAD_2
        await done(lead, REVOKE_SESSIONS, user=user)
        assert await other.viewer() is None

        provider.subject = LEAD_2
        assert (await other.sign_in()).status_code == 303
        _, token = await new_token(lead, user)
        assert (await other.viewer(), await answered(there, token)) == (LEAD_2, 200)
        await done(lead, SUSPEND, user=user)
        assert (await other.viewer(), await answered(there, token)) == (None, 401)
