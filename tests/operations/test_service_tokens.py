"""Service tokens are made by leads of all accounts, shown once, bounded in number and time, and revoked at once."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.secrets import service_token_sha256
from app.domain.vocabulary import LocationStatus, Role
from app.operations.manage_service_tokens import LONGEST_DAYS
from permissions.matrix import NEVER_OF_TOKENS, REQUIRES, Action, TokenAction
from permissions.policy import missing_for, role_includes
from tests.builders_db import a_grant, a_service_token, a_user
from tests.lanes import scaled

from .scenario import Scenario, Sent, a_key

pytestmark = [pytest.mark.usefixtures("users_as_before"), pytest.mark.usefixtures("replayed")]

ROUNDS = [1, pytest.param(scaled(10), marks=pytest.mark.slow)]

ALL: dict[str, Any] = {"allOfUser": True}
TOKEN = """serviceToken { id name prefix accountIds actions createdAt expiresAt lastUsedAt revokedAt
           user { id } createdBy { id } } secret"""
VALID = "SELECT count(*) FROM turnup.service_token WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()"


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def created(scenario: Scenario, who: str, user: str, **more: Any) -> Sent:
    given = {"name": "Poller", "accounts": ALL, "actions": ALL, "expiresAt": in_days(90), **more}
    return await scenario.send(who, "createServiceToken", TOKEN, userId=user, **given)


async def revoked(scenario: Scenario, who: str, token: str, **more: Any) -> Sent:
    return await scenario.send(who, "revokeServiceToken", "serviceToken { id revokedAt }", serviceTokenId=token, **more)


async def a_partner(scenario: Scenario, **row: Any) -> str:
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.PARTNER, **row)
        await a_grant(scenario.connection, user, scenario.account)
        return user


def refused(sent: Sent) -> tuple[str, str, str]:
    return sent.outcome, "/".join(sent.problem["path"]), sent.problem.get("rule", "")


# What a token is


async def test_a_new_token_is_shown_once_and_stored_as_a_hash(scenario: Scenario) -> None:
    user = await a_partner(scenario)
    expires_at = in_days(90)
    sent = await created(scenario, scenario.lead, user, name=" Poller ", expiresAt=expires_at)
    token, secret = sent.payload["serviceToken"], sent.payload["secret"]
    assert secret.startswith(f"turnup_{token['prefix']}_")
    assert token | {"id": "", "prefix": "", "createdAt": ""} == {
        "id": "",
        "name": "Poller",
        "prefix": "",
        "accountIds": None,
        "actions": None,
        "createdAt": "",
        "expiresAt": token["expiresAt"],
        "lastUsedAt": None,
        "revokedAt": None,
        "user": {"id": user},
        "createdBy": {"id": scenario.lead},
    }
    assert datetime.fromisoformat(token["expiresAt"]) == datetime.fromisoformat(expires_at)
    stored = await scenario.connection.fetchval(
        "SELECT secret_sha256 FROM turnup.service_token WHERE id = $1", token["id"]
    )
    assert stored == service_token_sha256(secret)


async def test_no_audit_entry_has_the_secret_or_its_hash(scenario: Scenario) -> None:
    sent = await created(scenario, scenario.lead, await a_partner(scenario))
    rows = await scenario.connection.fetch(
        """SELECT e.chain, e.action, c.field, c.before::text AS before, c.after::text AS after
           FROM turnup.audit_entry e JOIN turnup.field_change c ON c.entry_id = e.id WHERE e.request_id = $1""",
        sent.request_id,
    )
    told = {row["field"]: row["after"] for row in rows}
    assert {(row["chain"], row["action"]) for row in rows} == {("system", "createServiceToken")}
    assert told["secret_sha256"] is None
    assert json.loads(told["prefix"]) == sent.payload["serviceToken"]["prefix"]
    digest = service_token_sha256(sent.payload["secret"])
    assert digest is not None
    text = repr([tuple(row) for row in rows])
    assert sent.payload["secret"] not in text
    assert digest.hex() not in text


async def test_a_repeated_call_with_its_key_shows_the_same_token_without_its_secret(scenario: Scenario) -> None:
    user, key, expires_at = await a_partner(scenario), a_key(), in_days(90)
    first, second = [
        await created(scenario, scenario.lead, user, idempotencyKey=key, expiresAt=expires_at) for _ in range(2)
    ]
    assert (first.replayed, second.replayed) == (False, True)
    assert first.payload["serviceToken"]["id"] == second.payload["serviceToken"]["id"]
    assert (len(first.payload["secret"]), second.payload["secret"]) == (len("turnup_12345678_") + 49, None)
    kept = await scenario.connection.fetch("SELECT * FROM turnup.idempotency_key WHERE user_id = $1", scenario.lead)
    assert first.payload["secret"] not in repr([tuple(row) for row in kept])


# Who makes and ends tokens


@pytest.mark.parametrize("role", ["customer", "partner", "auditor", "scoped_lead"])
async def test_nobody_but_leads_of_all_accounts_makes_or_ends_tokens_not_even_their_own(
    scenario: Scenario, role: str
) -> None:
    who = getattr(scenario, role)
    async with scenario.arranging():
        token = await a_service_token(scenario.connection, who)
    assert (await created(scenario, who, who)).outcome == "FORBIDDEN"
    assert (await revoked(scenario, who, token)).outcome == "FORBIDDEN"


async def test_an_unconfirmed_lead_makes_and_ends_no_tokens(scenario: Scenario) -> None:
    async with scenario.arranging():
        lead = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD, made_by=[scenario.lead])
        token = await a_service_token(scenario.connection, lead)
    assert (await created(scenario, lead, lead)).outcome == "USER_UNCONFIRMED"
    assert (await revoked(scenario, lead, token)).outcome == "USER_UNCONFIRMED"


async def test_a_revoked_token_stays_revoked_at_its_time(scenario: Scenario) -> None:
    user = await a_partner(scenario)
    token = (await created(scenario, scenario.lead, user)).payload["serviceToken"]["id"]
    first, second = [await revoked(scenario, scenario.lead_2, token) for _ in range(2)]
    assert first.payload["serviceToken"]["revokedAt"] is not None
    assert second.payload["serviceToken"] == first.payload["serviceToken"]
    entries = await scenario.connection.fetchval(
        "SELECT count(*) FROM turnup.audit_entry WHERE request_id = ANY ($1)", [first.request_id, second.request_id]
    )
    assert entries == 1


async def test_a_token_that_is_not_there_is_not_found(scenario: Scenario) -> None:
    assert (await revoked(scenario, scenario.lead, "token-of-nobody")).outcome == "NOT_FOUND"
    assert (await created(scenario, scenario.lead, "user-nobody")).outcome == "NOT_FOUND"


# Bounds


@pytest.mark.parametrize(
    ("days", "outcome"),
    [(-1, "INVALID_INPUT"), (0, "INVALID_INPUT"), (LONGEST_DAYS - 0.01, "DONE"), (LONGEST_DAYS + 1, "INVALID_INPUT")],
)
async def test_a_token_expires_in_the_future_and_within_a_year(scenario: Scenario, days: float, outcome: str) -> None:
    sent = await created(scenario, scenario.lead, await a_partner(scenario), expiresAt=in_days(days))
    assert sent.outcome == outcome
    if sent.problem:
        assert sent.problem["path"] == ["expiresAt"]


@pytest.mark.parametrize(("name", "outcome"), [("", "INVALID_INPUT"), (" ", "INVALID_INPUT"), ("n" * 120, "DONE")])
async def test_a_token_has_a_name(scenario: Scenario, name: str, outcome: str) -> None:
    assert (await created(scenario, scenario.lead, await a_partner(scenario), name=name)).outcome == outcome


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_of_25_calls_at_the_same_time_20_make_a_token(scenario: Scenario, rounds: int) -> None:
    for _ in range(rounds):
        user = await a_partner(scenario)
        sent = await asyncio.gather(*(created(scenario, scenario.lead, user) for _ in range(25)))
        assert sorted(each.outcome for each in sent) == ["DONE"] * 20 + ["LIMIT_REACHED"] * 5
        assert len({each.payload["secret"] for each in sent if each.outcome == "DONE"}) == 20
        assert await scenario.connection.fetchval(VALID, user) == 20


async def test_tokens_that_ended_do_not_count(scenario: Scenario) -> None:
    user, now = await a_partner(scenario), datetime.now(UTC)
    async with scenario.arranging():
        for _ in range(10):
            await a_service_token(scenario.connection, user, revoked_at=now)
            ended = {"created_at": now - timedelta(days=2), "expires_at": now - timedelta(days=1)}
            await a_service_token(scenario.connection, user, **ended)
        for _ in range(19):
            await a_service_token(scenario.connection, user)
    assert [(await created(scenario, scenario.lead, user)).outcome for _ in range(2)] == ["DONE", "LIMIT_REACHED"]


# Accounts


async def test_a_token_lists_accounts_that_its_user_has_access_to(scenario: Scenario) -> None:
    partner = await a_partner(scenario)
    for user in (partner, scenario.customer, scenario.scoped_lead):
        sent = await created(scenario, scenario.lead, user, accounts={"listed": [scenario.account]})
        assert sent.payload["serviceToken"]["accountIds"] == [scenario.account]
        further = await created(scenario, scenario.lead, user, accounts={"listed": [scenario.account, scenario.away]})
        assert refused(further) == ("INVALID_INPUT", "accounts/listed/1", "the user has no access to this account")


async def test_a_token_of_a_lead_of_all_accounts_lists_any(scenario: Scenario) -> None:
    sent = await created(scenario, scenario.lead, scenario.lead, accounts={"listed": [scenario.away]})
    assert sent.payload["serviceToken"]["accountIds"] == [scenario.away]


@pytest.mark.parametrize("listed", [[], "twice", "too many"])
async def test_a_list_of_accounts_names_some_and_each_once(scenario: Scenario, listed: Any) -> None:
    if listed == "twice":
        listed = [scenario.account] * 2
    if listed == "too many":
        listed = [f"account-{number}" for number in range(101)]
    sent = await created(scenario, scenario.lead, scenario.lead, accounts={"listed": listed})
    assert refused(sent) == ("INVALID_INPUT", "accounts/listed", "must be 1 to 100 accounts, each once")


async def test_an_account_that_does_not_exist_is_not_found(scenario: Scenario) -> None:
    sent = await created(scenario, scenario.lead, scenario.lead, accounts={"listed": ["account-nowhere"]})
    assert refused(sent)[:2] == ("NOT_FOUND", "accounts/listed/0")


async def test_a_token_of_an_auditor_lists_no_accounts(scenario: Scenario) -> None:
    sent = await created(scenario, scenario.lead, scenario.auditor, accounts={"listed": [scenario.account]})
    assert refused(sent)[:2] == ("INVALID_INPUT", "accounts/listed")
    assert "auditors" in refused(sent)[2]


@pytest.mark.parametrize("field", ["accounts", "actions"])
@pytest.mark.parametrize("choice", [{"allOfUser": False}, {}, {"allOfUser": True, "listed": []}, {"allOfUser": None}])
async def test_all_of_the_user_is_stated_with_true_alone(
    scenario: Scenario, field: str, choice: dict[str, Any]
) -> None:
    sent = await created(scenario, scenario.lead, scenario.lead, **{field: choice})
    assert sent.outcome in {"INVALID_INPUT", "BAD_USER_INPUT"}
    assert sent.payload.get("secret") is None


# Actions


@pytest.mark.parametrize("role", ["customer", "partner", "auditor", "lead"])
async def test_a_token_lists_actions_of_the_role_and_others_are_refused_by_name(scenario: Scenario, role: str) -> None:
    user = getattr(scenario, role)
    roles = {"customer": Role.CUSTOMER, "partner": Role.PARTNER, "auditor": Role.AUDITOR}
    own = [each for each in TokenAction if role_includes(roles.get(role, Role.IMPLEMENTATION_LEAD), each)]
    listed = [each.name for each in own]
    sent = await created(scenario, scenario.lead, user, actions={"listed": listed})
    assert sent.payload["serviceToken"]["actions"] == sorted(listed)
    await revoked(scenario, scenario.lead, sent.payload["serviceToken"]["id"])
    for other in set(TokenAction) - set(own):
        sent = await created(scenario, scenario.lead, user, actions={"listed": [*listed, other.name]})
        assert refused(sent)[:2] == ("INVALID_INPUT", f"actions/listed/{len(listed)}")
        assert other.name in refused(sent)[2]


@pytest.mark.parametrize("action", sorted(NEVER_OF_TOKENS))
async def test_what_could_widen_a_token_cannot_even_be_asked_for(scenario: Scenario, action: Action) -> None:
    sent = await created(scenario, scenario.lead, scenario.lead, actions={"listed": [action.name]})
    assert sent.outcome == "BAD_USER_INPUT"


@pytest.mark.parametrize("action", sorted(set(REQUIRES) & {Action(each) for each in TokenAction}))
async def test_an_action_without_what_it_requires_is_refused_with_the_names(scenario: Scenario, action: Action) -> None:
    user = scenario.lead if role_includes(Role.IMPLEMENTATION_LEAD, TokenAction(action)) else scenario.partner
    sent = await created(scenario, scenario.lead, user, actions={"listed": [action.name]})
    missing = missing_for(action, [action])
    assert refused(sent) == ("INVALID_INPUT", "actions/listed/0", f"{action} requires {' and '.join(missing)}")
    complete = await created(scenario, scenario.lead, user, actions={"listed": [action.name, *missing]})
    assert complete.outcome == "DONE"
    await revoked(scenario, scenario.lead, complete.payload["serviceToken"]["id"])


# What follows from changes of the user


async def test_another_role_revokes_the_tokens_and_another_name_does_not(scenario: Scenario) -> None:
    user = await a_partner(scenario)
    token = (await created(scenario, scenario.lead, user)).payload["serviceToken"]["id"]

    async def edited(**changes: Any) -> bool:
        revision = await scenario.connection.fetchval('SELECT revision FROM turnup."user" WHERE id = $1', user)
        sent = await scenario.send(scenario.lead, "editUser", userId=user, expectedRevision=revision, **changes)
        assert sent.outcome == "DONE"
        ended = await scenario.connection.fetchval("SELECT revoked_at FROM turnup.service_token WHERE id = $1", token)
        return ended is not None

    assert not await edited(name="Other")
    assert not await edited(subject=a_key())
    assert await edited(role="AUDITOR")


async def made_by(scenario: Scenario, user: str) -> tuple[list[str], int]:
    """Who made the user, and the user's revision."""
    (row,) = await scenario.connection.fetch('SELECT made_by, revision FROM turnup."user" WHERE id = $1', user)
    return row["made_by"], row["revision"]


@pytest.mark.parametrize("whose", ["customer", "lead"])
async def test_who_made_a_token_for_a_user_counts_among_those_who_made_the_user(scenario: Scenario, whose: str) -> None:
    async with scenario.arranging():
        role = Role.CUSTOMER if whose == "customer" else Role.IMPLEMENTATION_LEAD
        user = await a_user(scenario.connection, role, scenario.account if whose == "customer" else None)
    before = await made_by(scenario, user)
    assert (await created(scenario, scenario.lead, user)).outcome == "DONE"
    assert (before, await made_by(scenario, user)) == (([], 1), ([scenario.lead], 2))


async def test_a_token_of_ones_own_changes_nothing_about_oneself(scenario: Scenario) -> None:
    async with scenario.arranging():
        lead = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD)
    await created(scenario, lead, lead)
    assert await made_by(scenario, lead) == ([], 1)


async def test_a_lead_cannot_approve_as_another_lead_of_whom_the_lead_made_a_token(scenario: Scenario) -> None:
    async with scenario.arranging():
        other = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD)
    location = await scenario.a_location(LocationStatus.PENDING_APPROVAL)
    await created(scenario, scenario.lead, other)
    sent = await scenario.send(other, "approve", locationId=location.id, expectedDigest=location.digest)
    assert sent.outcome == "USER_UNCONFIRMED"
    assert (await scenario.send(scenario.lead_2, "confirmUser", userId=other)).outcome == "DONE"
    sent = await scenario.send(other, "approve", locationId=location.id, expectedDigest=location.digest)
    assert sent.outcome == "DONE"


# Lists


async def listed(scenario: Scenario, who: str, user: str | None = None, **conditions: Any) -> list[str]:
    query = """query($user: ID, $filter: ServiceTokenFilter) {
        serviceTokens(userId: $user, filter: $filter, first: 100) { nodes { id } } }"""
    answer = await scenario.client.ask(query, who, user=user, filter=conditions)
    return [each["id"] for each in answer.data["serviceTokens"]["nodes"]]


async def test_tokens_are_listed_newest_first_and_found_by_prefix_and_expiry(scenario: Scenario) -> None:
    user, now = await a_partner(scenario), datetime.now(UTC)
    async with scenario.arranging():
        old, new, gone, ended = [
            await a_service_token(scenario.connection, user, created_at=now - timedelta(days=age), **row)
            for age, row in (
                (9, {"expires_at": now + timedelta(days=5)}),
                (8, {"expires_at": now + timedelta(days=50)}),
                (7, {"revoked_at": now}),
                (6, {"expires_at": now - timedelta(days=1)}),
            )
        ]
    prefix = await scenario.connection.fetchval("SELECT prefix FROM turnup.service_token WHERE id = $1", new)
    assert await listed(scenario, scenario.lead, user) == [ended, gone, new, old]
    assert await listed(scenario, scenario.lead, user, isValid=True) == [new, old]
    assert await listed(scenario, scenario.lead, user, isValid=False) == [ended, gone]
    soon = (now + timedelta(days=14)).isoformat()
    assert await listed(scenario, scenario.lead, user, isValid=True, expiresBefore=soon) == [old]
    assert await listed(scenario, scenario.lead, prefix=prefix) == [new]
    assert await listed(scenario, scenario.lead, prefix=prefix[:4]) == []


async def test_users_see_their_own_tokens_and_of_others_nothing(scenario: Scenario) -> None:
    user = await a_partner(scenario)
    async with scenario.arranging():
        own = await a_service_token(scenario.connection, user)
        other = await a_service_token(scenario.connection, scenario.partner)
    assert await listed(scenario, user) == [own]
    assert await listed(scenario, user, scenario.partner) == []
    prefix = await scenario.connection.fetchval("SELECT prefix FROM turnup.service_token WHERE id = $1", other)
    assert await listed(scenario, user, prefix=prefix) == []
    assert {own, other} <= set(await listed(scenario, scenario.lead))
