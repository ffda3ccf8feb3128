"""Invitations: who invites whom to what, and the one who accepts is the person who was invited."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.audit.erasure import NotErased, erase_person
from app.db.database import Database
from app.domain.secrets import secret_sha256
from app.domain.vocabulary import LocationStatus, Role
from app.operations.accept_invitation import Acceptance, accept_invitation
from app.settings import Executor
from tests.builders_db import a_user, fresh
from tests.harness import BROWSER_SIGN_IN, SIGN_IN_URL, TestDatabase, granting, served
from tests.lanes import scaled

from .scenario import Scenario, Sent, a_key

pytestmark = [pytest.mark.usefixtures("users_as_before"), pytest.mark.usefixtures("replayed")]

ROUNDS = [10, pytest.param(scaled(50), marks=pytest.mark.slow)]

LEAD, CUSTOMER, PARTNER, AUDITOR = "IMPLEMENTATION_LEAD", "CUSTOMER", "PARTNER", "AUDITOR"
FIELDS = """id invitedEmail name role grantsAllAccounts accountOfCustomer { id } grantedAccounts { id }
  grantedLocations { nodes { id } } invitedBy { id } createdAt expiresAt acceptedAt acceptedBy { id } revokedAt"""
INVITATION = f"invitation {{ {FIELDS} }}"
USER = """query($id: ID!) { node(id: $id) { ... on User { name role email allAccounts confirmed
  grants { account { id } allLocations locations { nodes { id } } } } } }"""
LISTED = """query($filter: InvitationFilter, $after: String) { invitations(first: 100, after: $after, filter: $filter) {
  nodes { id } pageInfo { hasNextPage endCursor } } }"""
LOG = """query($request: String!) { auditLog(filter: {requestId: $request}) { nodes { action actor { id } chain
  changes(first: 100) { nodes { table field after afterState } } } } }"""


@pytest.fixture(scope="module")
async def signing_in(own_database: TestDatabase) -> AsyncIterator[Database]:
    """The connections of a server to which browsers come back from the provider."""
    opened = await Database.open(own_database.app_url, size=4)
    yield opened
    await opened.close()


async def invited(scenario: Scenario, role: str = PARTNER, *, who: str | None = None, **given: Any) -> Sent:
    """Someone with a new address is invited, without grants unless they are given."""
    given = {"email": f"{fresh('ida')}@dune.example", "name": "Ida Frost", "role": role, "grants": [], **given}
    if role == LEAD:
        given = {"allAccounts": True, **given}
    if role == CUSTOMER:
        given = {"accountId": scenario.account, **given}
    return await scenario.send(who or scenario.lead, "inviteUser", f"{INVITATION} link", **given)


def secret_of(sent: Sent) -> bytes:
    """The digest of the secret in the link of an invitation."""
    link: str = sent.payload["link"]
    digest = secret_sha256(link.removeprefix(f"{SIGN_IN_URL}?invitation="))
    assert digest is not None
    return digest


async def accepted(signing_in: Database, sent: Sent, subject: str | None = None, **changes: Any) -> Acceptance:
    """The person signs in by the link, with the address that was invited, verified, unless something else is given."""
    identity: dict[str, Any] = {
        "issuer": None,
        "subject": subject or fresh("subject"),
        "email": sent.payload["invitation"]["invitedEmail"],
        "email_verified": True,
        "request_id": fresh("request"),
    }
    return await accept_invitation(signing_in, secret_of(sent), **{**identity, **changes})


async def user_of(scenario: Scenario, subject: str) -> dict[str, Any]:
    """The user whom the subject signs in, as a lead sees it."""
    identifier = (await scenario.client.ask("{ viewer { user { id } } }", subject)).data["viewer"]["user"]["id"]
    user: dict[str, Any] = (await scenario.client.ask(USER, scenario.lead, id=identifier)).data["node"]
    return user


async def count_of_users(scenario: Scenario, email: str) -> int:
    found: int = await scenario.connection.fetchval(
        'SELECT count(*) FROM turnup."user" WHERE lower(email) = lower($1)', email
    )
    return found


async def listed(scenario: Scenario, **condition: Any) -> set[str]:
    """The ids of all invitations that match."""
    found: set[str] = set()
    after = None
    while True:
        answer = await scenario.client.ask(LISTED, scenario.lead, filter=condition, after=after)
        page = answer.data["invitations"]
        found |= {each["id"] for each in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


async def expired(scenario: Scenario, sent: Sent) -> None:
    """Let the invitation have expired an hour ago."""
    async with scenario.arranging():
        await scenario.connection.execute(
            """UPDATE turnup.invitation SET created_at = now() - interval '2 hours',
                      expires_at = now() - interval '1 hour' WHERE id = $1""",
            sent.payload["invitation"]["id"],
        )


# The invitation


async def test_an_invitation_shows_what_it_grants_and_its_link_once(scenario: Scenario) -> None:
    email, key = f"{fresh('Ida')}@Dune.example", a_key()
    given: dict[str, Any] = {"email": email, "grants": [granting(scenario.account)], "idempotencyKey": key}
    sent = await invited(scenario, **given)
    invitation = sent.payload["invitation"]
    made = datetime.fromisoformat(invitation.pop("createdAt"))
    assert datetime.fromisoformat(invitation.pop("expiresAt")) - made == timedelta(days=7)
    assert invitation == {
        "id": invitation["id"],
        "invitedEmail": email,
        "name": "Ida Frost",
        "role": PARTNER,
        "grantsAllAccounts": False,
        "accountOfCustomer": None,
        "grantedAccounts": [{"id": scenario.account}],
        "grantedLocations": {"nodes": []},
        "invitedBy": {"id": scenario.lead},
        **dict.fromkeys(("acceptedAt", "acceptedBy", "revokedAt")),
    }
    assert sent.payload["link"].startswith(f"{SIGN_IN_URL}?invitation=")
    again = await invited(scenario, **given)
    assert (again.replayed, again.payload["link"], again.payload["invitation"]["id"]) == (True, None, invitation["id"])
    assert await count_of_users(scenario, email) == 0


async def test_neither_the_secret_nor_its_hash_is_in_the_audit_log(scenario: Scenario) -> None:
    sent = await invited(scenario)
    log = await scenario.client.ask(LOG, scenario.lead, request=sent.request_id)
    (entry,) = log.data["auditLog"]["nodes"]
    assert (entry["action"], entry["actor"], entry["chain"]) == ("INVITE_USER", {"id": scenario.lead}, "SYSTEM")
    values = {each["field"]: (each["after"], each["afterState"]) for each in entry["changes"]["nodes"]}
    assert values["secret_sha256"] == (None, "REDACTED")
    assert values["email"] == (sent.payload["invitation"]["invitedEmail"], "PRESENT")
    stored = await scenario.connection.fetchval(
        "SELECT string_agg(c::text, '') FROM turnup.field_change c WHERE row_id = $1", sent.payload["invitation"]["id"]
    )
    assert secret_of(sent).hex() not in stored
    assert str(sent.payload["link"]).partition("=")[2] not in stored


async def test_auditors_read_of_an_invitation_all_but_the_address(scenario: Scenario) -> None:
    sent = await invited(scenario)
    log = await scenario.client.ask(LOG.replace("actor { id } ", ""), scenario.auditor, request=sent.request_id)
    (entry,) = log.data["auditLog"]["nodes"]
    states = {each["field"]: each["afterState"] for each in entry["changes"]["nodes"]}
    assert (states["email"], states["name"]) == ("REDACTED", "PRESENT")


REFUSED: dict[str, tuple[Callable[[Scenario], dict[str, Any]], str, list[str]]] = {
    "an address of no form": (lambda _: {"email": "ida at dune"}, "INVALID_INPUT", ["email"]),
    "an empty name": (lambda _: {"name": " "}, "INVALID_INPUT", ["name"]),
    "a lead without stated access": (lambda _: {"role": LEAD}, "INVALID_INPUT", ["allAccounts"]),
    "a partner of all accounts": (lambda _: {"allAccounts": True}, "INVALID_INPUT", ["allAccounts"]),
    "a customer without an account": (lambda _: {"role": CUSTOMER}, "INVALID_INPUT", ["accountId"]),
    "a partner with an account": (lambda s: {"accountId": s.account}, "INVALID_INPUT", ["accountId"]),
    "an account of nobody": (lambda _: {"role": CUSTOMER, "accountId": "account-of-nobody"}, "NOT_FOUND", []),
    "a grant on an account of nobody": (
        lambda _: {"grants": [granting("account-of-nobody")]},
        "NOT_FOUND",
        ["grants", "0", "accountId"],
    ),
    "a customer's grant on another account": (
        lambda s: {"role": CUSTOMER, "accountId": s.account, "grants": [granting(s.away)]},
        "INVALID_INPUT",
        ["grants", "0", "accountId"],
    ),
    "two grants on an account": (lambda s: {"grants": [granting(s.account)] * 2}, "INVALID_INPUT", ["grants"]),
    "a grant for an auditor": (
        lambda s: {"role": AUDITOR, "grants": [granting(s.account)]},
        "INVALID_INPUT",
        ["grants", "0"],
    ),
    "a lead of all accounts with a grant": (
        lambda s: {"role": LEAD, "allAccounts": True, "grants": [granting(s.account)]},
        "INVALID_INPUT",
        ["grants", "0"],
    ),
    "the past": (lambda _: {"expiresAt": days_from_now(-1)}, "INVALID_INPUT", ["expiresAt"]),
    "31 days": (lambda _: {"expiresAt": days_from_now(31)}, "INVALID_INPUT", ["expiresAt"]),
    "a time without an offset": (lambda _: {"expiresAt": "2026-12-07T09:30:00"}, "INVALID_INPUT", ["expiresAt"]),
}


def days_from_now(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


@pytest.mark.parametrize("case", REFUSED)
async def test_an_invitation_is_refused_as_the_user_would_be(scenario: Scenario, case: str) -> None:
    given, code, path = REFUSED[case]
    base = {"email": f"{fresh('ida')}@dune.example", "name": "Ida Frost", "role": PARTNER, "grants": []}
    sent = await scenario.send(scenario.lead, "inviteUser", "link", **{**base, **given(scenario)})
    assert (sent.outcome, sent.problem["path"], sent.payload["link"]) == (code, path, None)


async def test_the_address_of_a_user_is_refused_in_any_case(scenario: Scenario) -> None:
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.PARTNER)
    sent = await invited(scenario, email=f"{user.upper()}@DUNE.example")
    assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["email"])


async def test_an_address_has_one_open_invitation(scenario: Scenario) -> None:
    email = f"{fresh('ida')}@dune.example"
    first = await invited(scenario, email=email)
    second = await invited(scenario, email=email.upper(), who=scenario.lead_2)
    assert (second.outcome, second.problem["path"]) == ("INVALID_INPUT", ["email"])
    assert "revoke it first" in second.problem["message"]
    await revoked(scenario, first)
    assert (await invited(scenario, email=email)).outcome == "DONE"


async def test_an_expired_invitation_is_replaced(scenario: Scenario, signing_in: Database) -> None:
    first = await invited(scenario)
    await expired(scenario, first)
    second = await invited(scenario, email=first.payload["invitation"]["invitedEmail"])
    assert second.outcome == "DONE"
    assert await accepted(signing_in, first) is Acceptance.EXPIRED
    assert await accepted(signing_in, second) is Acceptance.ACCEPTED


async def test_without_browser_sign_in_nobody_is_invited_and_the_settings_are_named(
    scenario: Scenario, own_database: TestDatabase, home: Path
) -> None:
    async with served(own_database, home, **dict.fromkeys(BROWSER_SIGN_IN)) as client:
        without = Scenario(client, scenario.connection)
        without.__dict__.update({**scenario.__dict__, "client": client})
        sent = await invited(without)
    assert (sent.outcome, sent.problem["path"]) == ("NO_BROWSER_SIGN_IN", [])
    assert "TURNUP_PUBLIC_URL" in sent.problem["message"]


async def test_an_unconfirmed_lead_neither_invites_nor_revokes(scenario: Scenario) -> None:
    sent = await invited(scenario)
    async with scenario.arranging():
        made = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD, made_by=[scenario.lead])
    assert (await invited(scenario, who=made)).outcome == "USER_UNCONFIRMED"
    assert (await revoked(scenario, sent, made)).outcome == "USER_UNCONFIRMED"


@pytest.mark.parametrize("who", ["scoped_lead", "customer", "partner", "auditor"])
async def test_nobody_but_leads_of_all_accounts_sees_an_invitation(scenario: Scenario, who: str) -> None:
    sent = await invited(scenario)
    asker, identifier = getattr(scenario, who), sent.payload["invitation"]["id"]
    read = await scenario.client.ask("query($id: ID!) { node(id: $id) { id } }", asker, id=identifier)
    assert (read.body["data"], read.codes) == ({"node": None}, ["FORBIDDEN"])
    assert (await scenario.client.ask(LISTED, asker)).codes == ["FORBIDDEN"]
    assert (await revoked(scenario, sent, asker)).outcome == "FORBIDDEN"
    assert (await invited(scenario, who=asker)).outcome == "FORBIDDEN"


async def test_the_list_filters_by_whether_an_invitation_is_open(scenario: Scenario, signing_in: Database) -> None:
    waiting, used, withdrawn, late = [await invited(scenario) for _ in range(4)]
    assert await accepted(signing_in, used) is Acceptance.ACCEPTED
    await revoked(scenario, withdrawn)
    await expired(scenario, late)
    ids = {each.payload["invitation"]["id"] for each in (waiting, used, withdrawn, late)}
    assert await listed(scenario, isOpen=True) & ids == {waiting.payload["invitation"]["id"]}
    assert await listed(scenario, isOpen=False) & ids == ids - {waiting.payload["invitation"]["id"]}
    assert await listed(scenario) >= ids


@pytest.mark.parametrize("executor", list(Executor))
async def test_both_executors_show_the_same_invitations(
    scenario: Scenario, own_database: TestDatabase, home: Path, executor: Executor
) -> None:
    listing = await scenario.a_location(LocationStatus.NOT_STARTED)
    sent = [
        await invited(scenario, grants=[granting(scenario.away), granting(scenario.account)]),
        await invited(scenario, CUSTOMER, grants=[granting(scenario.account, listing.id)]),
    ]
    ids = [each.payload["invitation"]["id"] for each in sent]
    query = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Invitation {{ {FIELDS} }} }} }}"
    async with served(own_database, home, executor=executor) as client:
        found = (await client.ask(query, scenario.lead, ids=ids)).data["nodes"]
    assert found == [each.payload["invitation"] for each in sent]
    assert [each["id"] for each in found[0]["grantedAccounts"]] == [scenario.away, scenario.account]
    assert (found[1]["grantedAccounts"], found[1]["grantedLocations"]["nodes"]) == ([], [{"id": listing.id}])


# The acceptance


@pytest.mark.parametrize("role", [LEAD, PARTNER, AUDITOR])
async def test_who_accepts_is_a_user_with_what_was_granted(scenario: Scenario, signing_in: Database, role: str) -> None:
    grants = [granting(scenario.away), granting(scenario.account)] if role == PARTNER else []
    sent, subject = await invited(scenario, role, grants=grants), fresh("subject")
    email = sent.payload["invitation"]["invitedEmail"]
    assert await accepted(signing_in, sent, subject, email=email.upper()) is Acceptance.ACCEPTED
    assert await user_of(scenario, subject) == {
        "name": "Ida Frost",
        "role": role,
        "email": email,
        "allAccounts": role == LEAD,
        "confirmed": False,
        "grants": [
            {"account": {"id": account}, "allLocations": True, "locations": {"nodes": []}}
            for account in (sorted((scenario.away, scenario.account)) if grants else [])
        ],
    }


async def test_a_customer_gets_the_locations_that_were_listed(scenario: Scenario, signing_in: Database) -> None:
    one, other = [await scenario.a_location(LocationStatus.NOT_STARTED) for _ in range(2)]
    sent = await invited(scenario, CUSTOMER, grants=[granting(scenario.account, one.id)])
    subject = fresh("subject")
    assert await accepted(signing_in, sent, subject) is Acceptance.ACCEPTED
    found = (await scenario.client.ask("{ locations(first: 100) { nodes { id } } }", subject)).data["locations"]
    assert found["nodes"] == [{"id": one.id}]
    assert other.id not in str(found)


async def test_an_acceptance_is_in_the_audit_log_with_what_it_created(scenario: Scenario, signing_in: Database) -> None:
    sent, subject, request = await invited(scenario, grants=[granting(scenario.account)]), fresh("subject"), fresh("r")
    assert await accepted(signing_in, sent, subject, request_id=request) is Acceptance.ACCEPTED
    log = await scenario.client.ask(LOG, scenario.lead, request=request)
    (entry,) = log.data["auditLog"]["nodes"]
    assert (entry["action"], entry["actor"], entry["chain"]) == ("INVITATION_ACCEPTED", None, "SYSTEM")
    assert {each["table"] for each in entry["changes"]["nodes"]} == {"USER", "GRANT", "INVITATION"}
    (made_by,) = [each["after"] for each in entry["changes"]["nodes"] if each["field"] == "made_by"]
    assert made_by == [scenario.lead]
    assert subject not in str(log.body)


async def test_the_inviter_does_not_confirm_whom_they_invited_and_another_lead_does(
    scenario: Scenario, signing_in: Database
) -> None:
    sent, subject = await invited(scenario, LEAD), fresh("subject")
    assert await accepted(signing_in, sent, subject) is Acceptance.ACCEPTED
    user = await scenario.connection.fetchval('SELECT id FROM turnup."user" WHERE subject = $1', subject)
    own = await scenario.send(scenario.lead, "confirmUser", userId=user)
    assert (own.outcome, own.problem["path"]) == ("INVALID_INPUT", ["userId"])
    assert (await scenario.send(scenario.lead_2, "confirmUser", userId=user)).outcome == "DONE"


async def test_the_same_person_opens_the_link_again_and_nobody_else_does(
    scenario: Scenario, signing_in: Database
) -> None:
    sent, subject = await invited(scenario), fresh("subject")
    for _ in range(2):
        assert await accepted(signing_in, sent, subject) is Acceptance.ACCEPTED
    assert await accepted(signing_in, sent, subject, issuer="https://other.example") is Acceptance.USED
    assert await accepted(signing_in, sent) is Acceptance.USED
    assert await count_of_users(scenario, sent.payload["invitation"]["invitedEmail"]) == 1


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"email_verified": False}, Acceptance.EMAIL_UNVERIFIED),
        ({"email": "mallory@dune.example"}, Acceptance.EMAIL_DIFFERS),
        ({"email": None}, Acceptance.EMAIL_DIFFERS),
        ({"email": "mallory@dune.example", "email_verified": False}, Acceptance.EMAIL_UNVERIFIED),
    ],
    ids=["not verified", "of another", "none", "of another, not verified"],
)
async def test_nobody_accepts_with_another_or_an_unverified_address(
    scenario: Scenario, signing_in: Database, changes: dict[str, Any], outcome: Acceptance
) -> None:
    sent, subject = await invited(scenario), fresh("subject")
    assert await accepted(signing_in, sent, subject, **changes) is outcome
    assert await count_of_users(scenario, sent.payload["invitation"]["invitedEmail"]) == 0
    assert sent.payload["invitation"]["id"] in await listed(scenario, isOpen=True)
    assert await accepted(signing_in, sent, subject) is Acceptance.ACCEPTED


@pytest.mark.parametrize(
    ("letter", "other"),
    [
        ("k", "\u212a"),
        ("K", "\u212a"),
        ("i", "\u0130"),
        ("i", "\u0131"),
        ("s", "\u017f"),
        ("e", "e\u0301"),
        ("a", "\uff41"),
    ],
    ids=["Kelvin sign", "Kelvin sign for K", "I with a dot", "i without a dot", "long s", "accent", "full width"],
)
async def test_an_address_with_a_letter_that_only_resembles_the_invited_one_is_another_address(
    scenario: Scenario, signing_in: Database, letter: str, other: str
) -> None:
    email = f"{fresh('mia')}-{letter}@dune.example"
    sent = await invited(scenario, email=email)
    imitated = email.replace(f"-{letter}@", f"-{other}@")
    assert await accepted(signing_in, sent, email=imitated) is Acceptance.EMAIL_DIFFERS
    for spelling in (f" {email}", f"{email} ", email.replace("@", "+1@"), f"{email}."):
        assert await accepted(signing_in, sent, email=spelling) is Acceptance.EMAIL_DIFFERS
    assert await accepted(signing_in, sent, email=email.swapcase()) is Acceptance.ACCEPTED


async def test_a_secret_that_was_never_given_out_invites_nobody(signing_in: Database) -> None:
    about: dict[str, Any] = {"issuer": None, "subject": "s", "email": "a@dune.example", "email_verified": True}
    assert await accept_invitation(signing_in, bytes(32), **about, request_id="r") is Acceptance.UNKNOWN


async def test_an_expired_or_revoked_invitation_is_not_accepted(scenario: Scenario, signing_in: Database) -> None:
    late, withdrawn = await invited(scenario), await invited(scenario)
    await expired(scenario, late)
    for _ in range(2):
        assert (await revoked(scenario, withdrawn)).payload["invitation"]["revokedAt"] is not None
    assert await accepted(signing_in, late) is Acceptance.EXPIRED
    assert await accepted(signing_in, withdrawn) is Acceptance.REVOKED


async def revoked(scenario: Scenario, sent: Sent, who: str | None = None) -> Sent:
    given = {"invitationId": sent.payload["invitation"]["id"]}
    return await scenario.send(who or scenario.lead, "revokeInvitation", INVITATION, **given)


async def test_an_accepted_invitation_is_not_revoked(scenario: Scenario, signing_in: Database) -> None:
    sent = await invited(scenario)
    assert await accepted(signing_in, sent) is Acceptance.ACCEPTED
    refused = await revoked(scenario, sent)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["invitationId"])


async def test_an_invitation_of_nobody_is_not_revoked(scenario: Scenario) -> None:
    sent = await scenario.send(scenario.lead, "revokeInvitation", invitationId="invitation-of-nobody")
    assert sent.outcome == "NOT_FOUND"


@pytest.mark.parametrize(
    "change",
    [
        "status = 'SUSPENDED'",
        "all_accounts = false",
        "made_by = ARRAY['user-x']",
        "role = 'PARTNER', all_accounts = false",
    ],
    ids=["suspended", "limited", "unconfirmed", "no lead"],
)
async def test_whom_a_lead_invited_is_not_admitted_once_the_lead_may_not_invite(
    scenario: Scenario, signing_in: Database, change: str
) -> None:
    async with scenario.arranging():
        inviter = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD)
    sent = await invited(scenario, who=inviter)
    async with scenario.arranging():
        await scenario.connection.execute(f'UPDATE turnup."user" SET {change} WHERE id = $1', inviter)
    assert await accepted(signing_in, sent) is Acceptance.INVITER_MAY_NOT


async def test_nobody_gets_a_second_user(scenario: Scenario, signing_in: Database) -> None:
    sent = await invited(scenario)
    assert await accepted(signing_in, sent, scenario.partner) is Acceptance.USER_EXISTS
    assert await accepted(signing_in, sent, scenario.partner, issuer="https://other.example") is Acceptance.ACCEPTED
    named = await invited(scenario)
    given = {"name": "Ida Frost", "email": named.payload["invitation"]["invitedEmail"].upper(), "role": PARTNER}
    assert (await scenario.send(scenario.lead, "createUser", **given)).outcome == "DONE"
    assert await accepted(signing_in, named) is Acceptance.USER_EXISTS


async def test_access_to_what_is_gone_is_not_given(scenario: Scenario, signing_in: Database) -> None:
    sent = await invited(scenario, CUSTOMER, grants=[granting(scenario.account, (await a_place(scenario)))])
    async with scenario.arranging():
        await scenario.connection.execute(
            "UPDATE turnup.invitation SET granted_location_ids = granted_location_ids || ARRAY['location-gone']"
            " WHERE id = $1",
            sent.payload["invitation"]["id"],
        )
    assert await accepted(signing_in, sent) is Acceptance.ACCESS_GONE


async def a_place(scenario: Scenario) -> str:
    return (await scenario.a_location(LocationStatus.NOT_STARTED)).id


# At the same time


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_of_two_invitations_for_one_person_at_once_one_is_made(scenario: Scenario, rounds: int) -> None:
    for _ in range(rounds):
        email = f"{fresh('ida')}@dune.example"
        sent = await asyncio.gather(
            invited(scenario, email=email), invited(scenario, email=email.upper(), who=scenario.lead_2)
        )
        assert sorted(each.outcome for each in sent) == ["DONE", "INVALID_INPUT"]


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_of_two_acceptances_at_once_one_is_the_user(
    scenario: Scenario, signing_in: Database, rounds: int
) -> None:
    for _ in range(rounds):
        sent = await invited(scenario, grants=[granting(scenario.account)])
        both = await asyncio.gather(accepted(signing_in, sent), accepted(signing_in, sent))
        assert sorted(both) == [Acceptance.ACCEPTED, Acceptance.USED]
        assert await count_of_users(scenario, sent.payload["invitation"]["invitedEmail"]) == 1


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_an_acceptance_and_a_revocation_at_once_are_one_of_both(
    scenario: Scenario, signing_in: Database, rounds: int
) -> None:
    for turn in range(rounds):
        sent, subject = await invited(scenario), fresh("subject")
        calls = [accepted(signing_in, sent, subject), revoked(scenario, sent)]
        done = await asyncio.gather(*(calls if turn % 2 else calls[::-1]))
        outcome, revocation = done if turn % 2 else done[::-1]
        assert (outcome, getattr(revocation, "outcome", None)) in (
            (Acceptance.ACCEPTED, "INVALID_INPUT"),
            (Acceptance.REVOKED, "DONE"),
        )
        users = await count_of_users(scenario, sent.payload["invitation"]["invitedEmail"])
        assert users == (outcome is Acceptance.ACCEPTED)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_suspension_of_the_inviter_and_an_acceptance_at_once_agree(
    scenario: Scenario, signing_in: Database, rounds: int
) -> None:
    for _ in range(rounds):
        async with scenario.arranging():
            inviter = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD)
        sent = await invited(scenario, who=inviter)
        outcome, _ = await asyncio.gather(
            accepted(signing_in, sent), scenario.send(scenario.lead, "suspendUser", userId=inviter)
        )
        assert outcome in {Acceptance.ACCEPTED, Acceptance.INVITER_MAY_NOT}
        users = await count_of_users(scenario, sent.payload["invitation"]["invitedEmail"])
        assert users == (outcome is Acceptance.ACCEPTED)


# The erasure


async def test_a_person_who_did_not_accept_is_erased_and_cannot_accept(
    scenario: Scenario, signing_in: Database, own_database: TestDatabase
) -> None:
    sent = await invited(scenario, name="Zelda Quint")
    identifier = sent.payload["invitation"]["id"]
    erased = await erase_person(own_database.owner_url, identifier, reason="Request 17")
    assert (erased.values, erased.documents) == (2, 0)
    assert await accepted(signing_in, sent) is Acceptance.REVOKED
    assert await left_of(scenario, sent) == 0


async def test_a_user_is_erased_with_the_invitation(
    scenario: Scenario, signing_in: Database, own_database: TestDatabase
) -> None:
    sent, subject = await invited(scenario, name="Zelda Quint"), fresh("subject")
    assert await accepted(signing_in, sent, subject) is Acceptance.ACCEPTED
    user = await scenario.connection.fetchval('SELECT id FROM turnup."user" WHERE subject = $1', subject)
    await erase_person(own_database.owner_url, user, reason="Request 18")
    assert await left_of(scenario, sent) == 0


async def left_of(scenario: Scenario, sent: Sent) -> int:
    """The number of rows, and of values in the audit log, that name the person."""
    email = sent.payload["invitation"]["invitedEmail"]
    found: int = await scenario.connection.fetchval(
        """SELECT (SELECT count(*) FROM turnup.invitation i WHERE i.email = $1 OR i.name = 'Zelda Quint')
                + (SELECT count(*) FROM turnup."user" u WHERE u.email = $1 OR u.name = 'Zelda Quint')
                + (SELECT count(*) FROM turnup.field_change c
                   WHERE strpos(c::text, $1) > 0 OR strpos(c::text, 'Zelda Quint') > 0)""",
        email,
    )
    return found


async def test_an_invitation_of_nobody_is_not_erased(own_database: TestDatabase) -> None:
    with pytest.raises(NotErased, match="there is no invitation"):
        await erase_person(own_database.owner_url, "invitation-of-nobody", reason="Request 19")
