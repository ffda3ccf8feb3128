"""`turnup user invite`: an operator invites the first lead, and withdraws an invitation."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.db.database import Database
from app.domain.secrets import secret_sha256
from app.operations.accept_invitation import Acceptance, accept_invitation
from tests import harness
from tests.audit.trail import definer
from tests.harness import BROWSER_SIGN_IN_VARIABLES, SIGN_IN_URL, TestDatabase, Turnup
from tests.oracle import database_is_consistent

INVITE = ("user", "invite", "--email", "olga@example.com")
LEAD = ("--role", "lead", "--all-accounts", "--name", "Olga Peters")


@pytest.fixture(autouse=True)
def browser_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what turns browser sign-in on."""
    for name, value in BROWSER_SIGN_IN_VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def fresh() -> AsyncIterator[TestDatabase]:
    """A migrated database without rows."""
    async with harness.own_database(harness.EMPTY_TEMPLATE) as made:
        yield made
        await database_is_consistent(made)


@pytest.fixture
async def demo() -> AsyncIterator[TestDatabase]:
    """A database with the demo data."""
    async with harness.own_database() as made:
        yield made
        await database_is_consistent(made)


async def rows(place: TestDatabase, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query, as the definer reads them."""
    async with definer(place.owner_url) as connection:
        return [tuple(row) for row in await connection.fetch(query)]


async def accepted(place: TestDatabase, link: str) -> Acceptance:
    """Olga signs in by a link."""
    digest = secret_sha256(link.strip().partition("?invitation=")[2])
    assert digest is not None
    database = await Database.open(place.app_url, size=1)
    try:
        return await accept_invitation(
            database,
            digest,
            issuer=None,
            subject="idp|olga",
            email="olga@example.com",
            email_verified=True,
            request_id="request-1",
        )
    finally:
        await database.close()


async def test_the_first_lead_of_a_new_database_is_invited_and_confirmed(fresh: TestDatabase, turnup: Turnup) -> None:
    invited = await turnup(fresh, *INVITE, *LEAD)
    assert (invited.status, invited.error) == (0, "")
    assert re.fullmatch(re.escape(SIGN_IN_URL) + r"\?invitation=[A-Za-z0-9_-]{43}\n", invited.out)
    assert await rows(fresh, 'SELECT id FROM turnup."user"') == []
    assert await accepted(fresh, invited.out) is Acceptance.ACCEPTED
    assert await rows(fresh, 'SELECT subject, name, role, all_accounts, made_by FROM turnup."user"') == [
        ("idp|olga", "Olga Peters", "IMPLEMENTATION_LEAD", True, [])
    ]
    actions = ["MARK_DATABASE", "USER_INVITED", "INVITATION_ACCEPTED"]
    recorded = await rows(fresh, "SELECT action, actor_id FROM turnup.audit_entry ORDER BY number")
    assert recorded == [(action, None) for action in actions]


async def test_a_customer_and_a_partner_get_the_accounts_that_are_named(demo: TestDatabase, turnup: Turnup) -> None:
    invited = await turnup(demo, *INVITE, "--role", "customer", "--account", "account-1")
    assert await accepted(demo, invited.out) is Acceptance.ACCEPTED
    assert await rows(
        demo,
        """SELECT u.account_id, u.name, g.account_id, g.all_locations
           FROM turnup."user" u JOIN turnup."grant" g ON g.user_id = u.id WHERE u.subject = 'idp|olga'""",
    ) == [("account-1", "olga@example.com", "account-1", True)]
    partner = ("--role", "partner", "--account", "account-1", "account-2")
    assert (await turnup(demo, "user", "invite", "--email", "new@carrier.example", *partner)).status == 0
    assert await rows(demo, "SELECT granted_account_ids FROM turnup.invitation WHERE role = 'PARTNER'") == [
        (["account-1", "account-2"],)
    ]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--role", "lead"), "--all-accounts: a lead needs access to all accounts or to some"),
        (("--role", "customer"), "--account: a customer works for exactly one account"),
        (("--role", "partner", "--account", "account-9"), "--account: no account has the id account-9"),
        (("--role", "king"), "--role: must be one of customer, lead, partner, auditor"),
        (("--role", "auditor", "--account", "account-1"), "--account: auditors read the whole audit log"),
    ],
)
async def test_a_refusal_names_the_option(
    demo: TestDatabase, turnup: Turnup, options: tuple[str, ...], error: str
) -> None:
    ended = await turnup(demo, *INVITE, *options)
    assert (ended.status, ended.out) == (1, "")
    assert ended.error.startswith(f"turnup: {error}")


async def test_the_address_of_a_user_or_of_an_open_invitation_is_refused(demo: TestDatabase, turnup: Turnup) -> None:
    of_user = await turnup(demo, "user", "invite", "--email", harness.LEAD.upper(), *LEAD)
    assert of_user.error == "turnup: --email: already in use"
    assert (await turnup(demo, *INVITE, *LEAD)).status == 0
    assert (await turnup(demo, *INVITE, *LEAD)).error == "turnup: --email: has an open invitation; revoke it first"


async def test_without_browser_sign_in_the_settings_are_named(
    fresh: TestDatabase, turnup: Turnup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in BROWSER_SIGN_IN_VARIABLES:
        monkeypatch.delenv(name)
    ended = await turnup(fresh, *INVITE, *LEAD)
    assert (ended.status, ended.out) == (1, "")
    assert "TURNUP_PUBLIC_URL and TURNUP_OIDC_CLIENT_ID" in ended.error


async def test_open_invitations_are_listed_and_revoked(fresh: TestDatabase, turnup: Turnup) -> None:
    links = [(await turnup(fresh, "user", "invite", "--email", f"{name}@example.com", *LEAD)).out for name in "abc"]
    listed = (await turnup(fresh, "user", "invitations")).out.splitlines()
    assert listed[0].split() == ["ID", "ROLE", "EXPIRES", "EMAIL"]
    ids = [line.split()[0] for line in listed[1:]]
    assert [line.split()[-1] for line in listed[1:]] == ["a@example.com", "b@example.com", "c@example.com"]
    page = await turnup(fresh, "user", "invitations", "--limit", "1", "--after", ids[0])
    assert page.out.splitlines()[1].split()[0] == ids[1]
    assert page.error == f"turnup: there are more invitations: turnup user invitations --after {ids[1]}\n"
    assert (await turnup(fresh, "user", "revoke-invitation", ids[0])).out == "revoked\n"
    assert (await turnup(fresh, "user", "revoke-invitation", ids[0])).out == "revoked before; nothing changed\n"
    assert len((await turnup(fresh, "user", "invitations")).out.splitlines()) == 3
    assert await accepted(fresh, links[0]) is Acceptance.REVOKED
    gone = await turnup(fresh, "user", "revoke-invitation", "invitation-9")
    assert gone.error == "turnup: INVITATION: no invitation has the id invitation-9"
    assert (await rows(fresh, "SELECT count(*) FROM turnup.audit_entry WHERE action = 'INVITATION_REVOKED'"))[0] == (1,)


async def test_an_accepted_invitation_is_not_revoked(fresh: TestDatabase, turnup: Turnup) -> None:
    link = (await turnup(fresh, *INVITE, *LEAD)).out
    (identifier,) = (await rows(fresh, "SELECT id FROM turnup.invitation"))[0]
    assert await accepted(fresh, link) is Acceptance.ACCEPTED
    ended = await turnup(fresh, "user", "revoke-invitation", identifier)
    assert ended.error == "turnup: INVITATION: the person has accepted it; suspend the user instead"


@pytest.mark.parametrize("days", ["0", "31"])
async def test_a_link_is_valid_for_a_day_to_thirty(fresh: TestDatabase, turnup: Turnup, days: str) -> None:
    assert (await turnup(fresh, *INVITE, *LEAD, "--days", days)).status == 1
    assert (await turnup(fresh, *INVITE, *LEAD, "--days", "30")).status == 0
    assert await rows(fresh, "SELECT expires_at - created_at > interval '29 days 23 hours' FROM turnup.invitation") == [
        (True,)
    ]
