"""From the link of an invitation to the session of a new user, and the pages of everybody who is not that person."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.http.sign_in import ENDINGS, OPEN_AGAIN, Outcome
from app.http.sign_in_paths import LOGIN
from app.settings import Settings
from tests.auth.small_provider import providing
from tests.builders_db import fresh
from tests.harness import Client, TestDatabase, own_database, served

from .test_browser_sign_in import ORIGIN, Browser, Place, is_ending, running

INVITE = """mutation($input: InviteUserInput!) { inviteUser(input: $input) { invitation { id } link } }"""
REVOKE = """mutation($id: ID!) { revokeInvitation(input: {invitationId: $id}) { problems { code } } }"""


@pytest.fixture(scope="module")
async def invited_database() -> AsyncIterator[TestDatabase]:
    """A database with the demo data, for the users of this module."""
    async with own_database() as made:
        yield made


@pytest.fixture(scope="module")
async def lead(invited_database: TestDatabase, home: Path) -> AsyncIterator[Client]:
    """A client of a lead, whose links lead to the server of `place`."""
    async with served(invited_database, home, public_url=ORIGIN) as client:
        yield client


@pytest.fixture
async def place(settings: Settings, invited_database: TestDatabase) -> AsyncIterator[Place]:
    """A server, and a provider where somebody signs in who is nobody here, with a verified address."""
    async with providing() as provider, running(settings, invited_database, provider) as place:
        provider.subject = fresh("person")
        provider.claims = {"email": f"{provider.subject}@carrier.example", "email_verified": True}
        yield place


async def invited(lead: Client, email: str) -> tuple[str, str]:
    """Invite a partner; return the id, and the path and query of the link."""
    given = {"email": email, "name": "Ida Frost", "role": "PARTNER", "grants": []}
    answer = await lead.ask(INVITE, input=given)
    assert answer.headers["cache-control"] == "no-store, no-transform"
    payload = answer.data["inviteUser"]
    link: str = payload["link"]
    assert link.startswith(f"{ORIGIN}{LOGIN}?invitation=")
    return payload["invitation"]["id"], link.removeprefix(ORIGIN)


async def users(place: Place) -> list[dict[str, Any]]:
    """The users with the subject of whom the provider signs in."""
    return await place.rows(f"SELECT id, email, issuer FROM turnup.\"user\" WHERE subject = '{place.provider.subject}'")


async def test_who_was_invited_is_a_user_with_a_session_after_the_first_sign_in(place: Place, lead: Client) -> None:
    email = place.provider.claims["email"]
    _, link = await invited(lead, email)
    browser = place.browser()
    response = await browser.sign_in(f"{link}&next=/graphiql")
    assert (response.status_code, response.headers["location"]) == (303, "/graphiql")
    (user,) = await users(place)
    assert (user["email"], user["issuer"]) == (email, None)
    assert [each["user_id"] for each in await place.sessions() if each["user_id"] == user["id"]] == [user["id"]]
    assert place.counted(Outcome.SIGNED_IN)


async def test_the_secret_of_the_link_is_stored_as_a_hash_alone(place: Place, lead: Client) -> None:
    _, link = await invited(lead, place.provider.claims["email"])
    await place.browser().begin(link)
    stored = await place.rows(
        "SELECT a::text FROM turnup.sign_in_attempt a UNION ALL SELECT i::text FROM turnup.invitation i"
    )
    assert link.partition("invitation=")[2] not in str(stored)


async def test_the_link_signs_the_same_person_in_again_and_another_browser_changes_nothing(
    place: Place, lead: Client
) -> None:
    _, link = await invited(lead, place.provider.claims["email"])
    for _ in range(2):
        assert (await place.browser().sign_in(link)).status_code == 303
    assert len(await users(place)) == 1


@pytest.mark.parametrize(
    ("claims", "outcome"),
    [
        ({"email_verified": False}, Outcome.INVITATION_EMAIL_UNVERIFIED),
        ({"email": "mallory@carrier.example"}, Outcome.INVITATION_EMAIL_DIFFERS),
    ],
    ids=["not verified", "of another"],
)
async def test_another_or_an_unverified_address_has_its_page_and_the_invitation_stays_open(
    place: Place, lead: Client, claims: dict[str, Any], outcome: Outcome
) -> None:
    right = place.provider.claims
    _, link = await invited(lead, right["email"])
    place.provider.claims = {**right, **claims}
    response = await place.browser().sign_in(link)
    assert is_ending(response, outcome)
    assert OPEN_AGAIN in response.text
    assert (await users(place), place.counted(outcome)) == ([], True)
    place.provider.claims = right
    assert (await place.browser().sign_in(link)).status_code == 303


async def test_an_address_that_the_provider_does_not_tell_is_not_verified(place: Place, lead: Client) -> None:
    _, link = await invited(lead, place.provider.claims["email"])
    place.provider.claims = {}
    place.provider.user_info = {}
    assert is_ending(await place.browser().sign_in(link), Outcome.INVITATION_EMAIL_UNVERIFIED)


async def ended(browser: Browser, link: str, outcome: Outcome) -> None:
    """The sign-in ends with the page of an invitation that is of no use, which does not ask to open it again."""
    response = await browser.sign_in(link)
    assert is_ending(response, outcome)
    assert ENDINGS[outcome].text in response.text.replace("&#x27;", "'")
    assert OPEN_AGAIN not in response.text
    assert browser.session is None


async def test_a_revoked_an_expired_and_an_unknown_invitation_have_their_pages(place: Place, lead: Client) -> None:
    email = place.provider.claims["email"]
    identifier, revoked = await invited(lead, email)
    assert (await lead.ask(REVOKE, id=identifier)).data["revokeInvitation"]["problems"] == []
    await ended(place.browser(), revoked, Outcome.INVITATION_REVOKED)
    identifier, expired = await invited(lead, email)
    await place.change(
        "UPDATE turnup.invitation SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'"
        f" WHERE id = '{identifier}'"
    )
    await ended(place.browser(), expired, Outcome.INVITATION_EXPIRED)
    await ended(place.browser(), f"{LOGIN}?invitation={'A' * 43}", Outcome.INVITATION_UNKNOWN)
    assert await users(place) == []


async def test_a_used_invitation_is_of_no_use_to_another_person(place: Place, lead: Client) -> None:
    _, link = await invited(lead, place.provider.claims["email"])
    assert (await place.browser().sign_in(link)).status_code == 303
    place.provider.subject = fresh("person")
    await ended(place.browser(), link, Outcome.INVITATION_USED)
    assert await users(place) == []


async def test_a_user_is_not_invited_to_be_another_one(place: Place, lead: Client) -> None:
    first, second = place.provider.claims["email"], f"{fresh('second')}@carrier.example"
    links = [(await invited(lead, email))[1] for email in (first, second)]
    assert (await place.browser().sign_in(links[0])).status_code == 303
    place.provider.claims = {"email": second, "email_verified": True}
    await ended(place.browser(), links[1], Outcome.INVITATION_USER_EXISTS)


async def test_two_browsers_that_come_back_at_once_are_one_user(place: Place, lead: Client) -> None:
    _, link = await invited(lead, place.provider.claims["email"])
    browsers = [place.browser(), place.browser()]
    back = [await each.begin(link) for each in browsers]
    answers = [await each.http.get(url) for each, url in zip(browsers, back, strict=True)]
    assert [each.status_code for each in answers] == [303, 303]
    assert len(await users(place)) == 1
