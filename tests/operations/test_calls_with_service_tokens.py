"""Writes with a service token: what it lacks is refused, it is nobody's second person, and its end ends it."""

import asyncio
import re
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus, Role
from app.operations.registry import EDITS, MUTATIONS, SUBMITS
from permissions.matrix import Action, TokenAction
from permissions.policy import missing_for, role_includes
from tests.builders_db import a_grant, a_service_token, a_user, service_token_of
from tests.harness import TestDatabase

from .inputs import arranged, good_input
from .scenario import Rollout, Scenario, Sent, a_key, as_definer, document
from .test_ways_round import until_waiting

pytestmark = [pytest.mark.usefixtures("users_as_before"), pytest.mark.usefixtures("replayed")]

S = LocationStatus
ALL: dict[str, Any] = {"allOfUser": True}
OF_TOKENS = {each.value for each in TokenAction}


async def token_of(scenario: Scenario, user: str, **row: Any) -> str:
    """The text of a new token of a user."""
    async with scenario.arranging():
        return service_token_of(await a_service_token(scenario.connection, user, **row)).text


async def role_of(scenario: Scenario, user: str) -> Role:
    return Role(await scenario.connection.fetchval('SELECT role FROM turnup."user" WHERE id = $1', user))


async def shown(scenario: Scenario, who: str, user: str, **more: Any) -> str:
    """The text of a token that a lead makes for a user."""
    given = {"name": "Poller", "accounts": ALL, "actions": ALL, "expiresAt": "2027-01-31T00:00:00Z", **more}
    sent = await scenario.send(who, "createServiceToken", "secret", userId=user, **given)
    text: str = sent.payload["secret"]
    return text


# What it lacks


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
async def test_a_token_without_the_action_of_a_mutation_is_refused_before_anything_is_read(
    scenario: Scenario, mutation: str
) -> None:
    action = MUTATIONS[mutation].action
    who, location = await arranged(scenario, mutation)
    role = await role_of(scenario, who)
    others = [each.value for each in TokenAction if role_includes(role, each) and each.value != action]
    token = await token_of(scenario, who, actions=others)
    before = await scenario.state_of(location.id)
    answer = await scenario.client.ask(document(mutation), token, input=good_input(mutation, location, location))
    assert answer.codes == ["FORBIDDEN"]
    (error,) = answer.body["errors"]
    assert error["message"] == "Your service token does not include this action."
    assert await scenario.state_of(location.id) == before


@pytest.mark.parametrize("mutation", sorted(each for each in MUTATIONS if MUTATIONS[each].action not in OF_TOKENS))
async def test_what_could_widen_a_token_is_refused_to_one_with_everything(scenario: Scenario, mutation: str) -> None:
    _, location = await arranged(scenario, mutation)
    token = await token_of(scenario, scenario.lead)
    answer = await scenario.client.ask(document(mutation), token, input=good_input(mutation, location, location))
    assert answer.codes == ["FORBIDDEN"]


async def test_a_token_that_states_the_right_to_administer_does_not_have_it(scenario: Scenario) -> None:
    token = await token_of(scenario, scenario.lead, actions=[each.value for each in Action])
    assert (await scenario.send(token, "createAccount", name="Wider")).outcome == "FORBIDDEN"
    assert (await scenario.client.ask("{ users { totalCount } }", token)).codes == ["FORBIDDEN"]
    assert (await scenario.client.ask("{ viewer { role } }", token)).codes == []


async def test_an_item_of_a_bulk_call_needs_its_own_action(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    needed = {Action.RUN_BULK.value, *missing_for(Action.RUN_BULK, [])}
    given: dict[str, Any] = {"locationIds": [location.id], "status": "BLOCKED", "reason": "Strike"}
    select = "results { outcome problem { code } }"
    heard = []
    for listed in (needed, needed | {Action.BLOCK.value}):
        whole = {*listed, Action.VIEW_ALL_LOCATIONS.value, Action.VIEW_ALL_PROVISIONING.value}
        token = await token_of(scenario, scenario.lead, actions=sorted(whole))
        sent = await scenario.send(token, "bulkUpdateStatus", select, idempotencyKey=a_key(), **given)
        heard += sent.payload["results"]
    assert heard == [
        {"outcome": "REFUSED", "problem": {"code": "ILLEGAL_TRANSITION"}},
        {"outcome": "APPLIED", "problem": None},
    ]


async def test_bulk_approvals_need_the_right_to_approve(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    needed = sorted({Action.RUN_BULK.value, *missing_for(Action.RUN_BULK, []), Action.VIEW_ALL_LOCATIONS.value})
    token = await token_of(scenario, scenario.lead, actions=needed)
    items = [{"locationId": location.id, "expectedDigest": location.digest}]
    sent = await scenario.send(token, "bulkApprove", "results { outcome }", items=items, idempotencyKey=a_key())
    assert sent.outcome == "FORBIDDEN"


# What it has


async def test_a_partner_answers_a_payload_with_the_actions_of_a_poller(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    poller = [Action.VIEW_USERS, Action.VIEW_PROVISIONING, Action.ACKNOWLEDGE, Action.REJECT]
    token = await shown(
        scenario,
        scenario.lead,
        scenario.partner,
        actions={"listed": [each.name for each in poller]},
        accounts={"listed": [scenario.account]},
    )
    waiting = """query($id: ID!) { provisioningPayloads(filter: {awaitingReceipt: true, locationId: $id}) {
        nodes { id } } }"""
    found = (await scenario.client.ask(waiting, token, id=location.id)).data["provisioningPayloads"]["nodes"]
    assert found == [{"id": location.payload}]
    given: dict[str, Any] = {
        "payloadId": location.payload,
        "documentDigest": location.payload_digest,
        "idempotencyKey": a_key(),
    }
    assert (await scenario.send(token, "acknowledgePayload", "receipt { answer }", **given)).outcome == "DONE"


@pytest.mark.parametrize("mutation", ["approve", "submitOnboarding", "generatePayload"])
async def test_a_lead_of_all_accounts_does_with_a_token_of_one_account_what_it_does_there(
    scenario: Scenario, mutation: str
) -> None:
    status = {"approve": S.PENDING_APPROVAL, "submitOnboarding": S.IN_PROGRESS, "generatePayload": S.APPROVED}[mutation]
    here, away = await scenario.a_location(status), await scenario.a_location(status, account=scenario.away)
    token = await token_of(scenario, scenario.lead, account_ids=[scenario.account])

    async def called(location: Any) -> Sent:
        given: dict[str, Any] = {"locationId": location.id}
        if mutation == "generatePayload":
            given["idempotencyKey"] = a_key()
        if mutation == "approve":
            given["expectedDigest"] = location.digest
        return await scenario.send(token, mutation, **given)

    assert [(await called(each)).outcome for each in (here, away)] == ["DONE", "NOT_FOUND"]


# It is nobody's second person


async def test_a_lead_who_submits_as_a_customer_does_not_approve_it(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    async with scenario.arranging():
        lead = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD)
    edit: dict[str, Any] = {"deviceId": location.device, "expectedRevision": 1, "label": "Changed by the lead"}
    assert (await scenario.send(lead, "editDevice", **edit)).outcome == "DONE"
    token = await shown(scenario, lead, scenario.clerk)
    assert (await scenario.send(token, "submitOnboarding", locationId=location.id)).outcome == "DONE"
    digest = (await scenario.state_of(location.id)).digest
    given = {"locationId": location.id, "expectedDigest": digest}
    assert (await scenario.send(lead, "approve", **given)).outcome == "SELF_APPROVAL"
    assert (await scenario.send(scenario.lead_2, "approve", **given)).outcome == "DONE"
    async with scenario.arranging():
        await scenario.connection.execute('UPDATE turnup."user" SET made_by = $2 WHERE id = $1', scenario.clerk, [])


async def test_a_lead_does_not_approve_with_a_token_of_another_lead(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    async with scenario.arranging():
        lead, other = [await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
    token = await shown(scenario, lead, other)
    given = {"locationId": location.id, "expectedDigest": location.digest}
    assert (await scenario.send(token, "approve", **given)).outcome == "USER_UNCONFIRMED"
    assert (await scenario.send(other, "approve", **given)).outcome == "USER_UNCONFIRMED"


async def edited(scenario: Scenario, who: str, location: Rollout) -> Sent:
    return await scenario.send(who, "editDevice", deviceId=location.device, expectedRevision=1, label="Changed")


async def submitted(scenario: Scenario, who: str, location: Rollout) -> Sent:
    return await scenario.send(who, "submitOnboarding", locationId=location.id)


async def approved(scenario: Scenario, who: str, location: Rollout) -> str:
    """The outcome of an approval, which the list of what somebody can approve foretells."""
    digest = (await scenario.state_of(location.id)).digest
    query = "{ locations(filter: {viewerCan: APPROVE}, first: 100) { nodes { id } } }"
    listed = (await scenario.client.ask(query, who)).data["locations"]["nodes"]
    sent = await scenario.send(who, "approve", locationId=location.id, expectedDigest=digest)
    assert ({"id": location.id} in listed) == (sent.outcome == "DONE")
    return sent.outcome


async def two_leads(scenario: Scenario) -> tuple[str, str]:
    async with scenario.arranging():
        first, second = [await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
    return first, second


async def a_customer(scenario: Scenario) -> str:
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.CUSTOMER, scenario.account)
        await a_grant(scenario.connection, user, scenario.account)
    return user


@pytest.mark.parametrize("confirmed", [False, True])
async def test_a_lead_does_not_approve_what_was_done_with_a_token_that_the_lead_made(
    scenario: Scenario, confirmed: bool
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    lead, _ = await two_leads(scenario)
    customer = await a_customer(scenario)
    token = await shown(scenario, lead, customer)
    if confirmed:
        assert (await scenario.send(scenario.lead_2, "confirmUser", userId=customer)).outcome == "DONE"
    assert (await edited(scenario, token, location)).outcome == "DONE"
    assert (await submitted(scenario, token, location)).outcome == "DONE"
    assert await approved(scenario, lead, location) == "SELF_APPROVAL"
    async with scenario.arranging():
        await scenario.connection.execute(
            "UPDATE turnup.service_token SET revoked_at = clock_timestamp() WHERE user_id = $1", customer
        )
    assert await approved(scenario, lead, location) == "SELF_APPROVAL"
    assert await approved(scenario, scenario.lead_2, location) == "DONE"


async def test_a_lead_approves_the_work_of_a_user_whose_token_only_reads_or_has_ended(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    lead, _ = await two_leads(scenario)
    customer = await a_customer(scenario)
    await shown(scenario, lead, customer, actions={"listed": ["VIEW_LOCATIONS", "VIEW_ACCOUNTS", "VIEW_USERS"]})
    await shown(scenario, lead, customer)
    async with scenario.arranging():
        await scenario.connection.execute(
            "UPDATE turnup.service_token SET revoked_at = clock_timestamp() WHERE user_id = $1 AND actions IS NULL",
            customer,
        )
    assert (await edited(scenario, customer, location)).outcome == "DONE"
    assert (await submitted(scenario, customer, location)).outcome == "DONE"
    assert await approved(scenario, lead, location) == "DONE"


async def test_a_lead_does_not_approve_the_own_work_with_the_token_of_a_lead_whom_another_confirmed(
    scenario: Scenario,
) -> None:
    own, as_customer = [await scenario.a_location(S.IN_PROGRESS) for _ in range(2)]
    lead, other = await two_leads(scenario)
    customer = await a_customer(scenario)
    token, token_of_customer = await shown(scenario, lead, other), await shown(scenario, lead, customer)
    assert (await scenario.send(scenario.lead_2, "confirmUser", userId=other)).outcome == "DONE"
    for location, who in ((own, lead), (as_customer, token_of_customer)):
        assert (await edited(scenario, who, location)).outcome == "DONE"
        assert (await submitted(scenario, who, location)).outcome == "DONE"
        assert await approved(scenario, token, location) == "SELF_APPROVAL"
    theirs = await scenario.a_location(S.PENDING_APPROVAL)
    assert await approved(scenario, token, theirs) == "DONE"


async def test_the_tokens_with_which_somebody_works_are_those_with_an_action_that_edits_or_submits(
    scenario: Scenario,
) -> None:
    body = await scenario.connection.fetchval("SELECT prosrc FROM pg_proc WHERE oid = 'turnup.work_by_tokens'::regproc")
    (listed,) = re.findall(r"t\.actions && ARRAY\[(.*)\]", body)
    assert set(re.findall(r"[A-Z_]+", listed)) == {MUTATIONS[each].action.value for each in (*EDITS, *SUBMITS)}


# Its end ends it


async def test_a_token_that_is_revoked_between_two_mutations_of_a_request_does_not_do_the_second(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    async with scenario.arranging():
        name = await a_service_token(scenario.connection, scenario.lead)
    two = """mutation($first: SubmitOnboardingInput!, $second: WithdrawSubmissionInput!) {
        first: submitOnboarding(input: $first) { problems { code } }
        second: withdrawSubmission(input: $second) { problems { code } } }"""
    given, token = {"locationId": location.id}, service_token_of(name).text
    holder = await as_definer(own_database.owner_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM turnup.location WHERE id = $1 FOR UPDATE", location.id)
        answering = asyncio.ensure_future(scenario.client.ask(two, token, first=given, second=given))
        await until_waiting(scenario, answering)
        assert (await scenario.send(scenario.lead_2, "revokeServiceToken", serviceTokenId=name)).outcome == "DONE"
    await holder.close()
    answer = await answering
    assert (await scenario.state_of(location.id)).status == S.PENDING_APPROVAL
    assert answer.body["data"]["second"] is None
    assert answer.codes[-1] == "UNAUTHENTICATED"
    assert (await scenario.client.ask("{ viewer { role } }", token)).status == 401


async def test_budgets_are_those_of_the_user_and_not_of_the_token(scenario: Scenario) -> None:
    tokens = [await token_of(scenario, scenario.partner) for _ in range(2)]
    query = "{ rateLimits { budget remaining } }"
    left = []
    for token in tokens:
        limits = (await scenario.client.ask(query, token)).data["rateLimits"]
        left += [each["remaining"] for each in limits if each["budget"] == "OBJECTS"]
    assert left[1] < left[0]
