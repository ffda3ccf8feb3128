"""No lead makes up a second person: users whom a lead made count as that lead until another lead confirms them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus, Role
from tests.builders_db import a_user, fresh
from tests.harness import TestDatabase, granting

from .scenario import Rollout, Scenario, Sent, a_key, as_definer
from .test_ways_round import until_waiting

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
UNCONFIRMED = "USER_UNCONFIRMED"
LEAD = "IMPLEMENTATION_LEAD"
VIEWER_ACTIONS = "query($id: ID!) { location(id: $id) { viewerActions { action allowed reason } } }"
CONFIRMED = "query($id: ID!) { node(id: $id) { ... on User { confirmed } } }"


async def made(scenario: Scenario, who: str, role: str = LEAD, **more: Any) -> str:
    """A user whom `who` creates, whose subject is the id of another thing: tokens name it."""
    subject = fresh("subject")
    given = {"name": "Uma Frost", "email": f"{subject}@dune.example", "role": role, "subject": subject, **more}
    if role == LEAD:
        given["allAccounts"] = True
    sent = await scenario.send(who, "createUser", "user { id }", **given)
    assert sent.outcome == "DONE"
    if role == "CUSTOMER":
        grants = [granting(given["accountId"])]
        granted = await scenario.send(
            who, "setGrants", userId=sent.payload["user"]["id"], expectedRevision=1, grants=grants
        )
        assert granted.outcome == "DONE"
    return subject


async def id_of(scenario: Scenario, subject: str) -> str:
    found: str = await scenario.connection.fetchval('SELECT id FROM turnup."user" WHERE subject = $1', subject)
    return found


async def edited(scenario: Scenario, who: str, user: str, **changes: Any) -> Sent:
    revision = await scenario.connection.fetchval('SELECT revision FROM turnup."user" WHERE id = $1', user)
    return await scenario.send(
        who,
        "editUser",
        "user { role confirmed grants { account { id } } }",
        userId=user,
        expectedRevision=revision,
        **changes,
    )


async def confirmed(scenario: Scenario, who: str, user: str) -> Sent:
    return await scenario.send(who, "confirmUser", "user { id confirmed }", userId=user)


async def approved(scenario: Scenario, who: str, location: Rollout, digest: str | None = None) -> Sent:
    digest = digest or (await scenario.state_of(location.id)).digest
    return await scenario.send(who, "approve", locationId=location.id, expectedDigest=digest)


async def approved_in_bulk(scenario: Scenario, who: str, location: Rollout, *, dry_run: bool = False) -> str:
    items = [{"locationId": location.id, "expectedDigest": (await scenario.state_of(location.id)).digest}]
    given: dict[str, Any] = {"items": items, "idempotencyKey": a_key(), "dryRun": dry_run}
    sent = await scenario.send(who, "bulkApprove", "results { outcome problem { code } }", **given)
    (result,) = sent.payload["results"]
    return str((result["problem"] or {"code": result["outcome"]})["code"])


async def labelled(scenario: Scenario, who: str, location: Rollout, revision: int = 1) -> None:
    given: dict[str, Any] = {"deviceId": location.device, "expectedRevision": revision, "label": fresh("Desk")}
    assert (await scenario.send(who, "editDevice", **given)).outcome == "DONE"


async def submitted(scenario: Scenario, who: str, location: Rollout) -> None:
    assert (await scenario.send(who, "submitOnboarding", locationId=location.id)).outcome == "DONE"


async def told(scenario: Scenario, who: str, location: Rollout) -> dict[str, str | None]:
    """What `viewerActions` says, by action."""
    answer = await scenario.client.ask(VIEWER_ACTIONS, who, id=location.id)
    return {each["action"]: each["reason"] for each in answer.data["location"]["viewerActions"]}


# A made-up lead


async def test_a_lead_whom_a_lead_created_approves_nothing_in_no_way(scenario: Scenario) -> None:
    second = await made(scenario, scenario.lead)
    pending, moved = await scenario.a_location(S.PENDING_APPROVAL), await scenario.a_location(S.APPROVED, moved=True)
    for location, action in ((pending, "APPROVE"), (moved, "APPROVE_AGAIN")):
        assert (await told(scenario, second, location))[action] == UNCONFIRMED
        assert (await approved(scenario, second, location)).outcome == UNCONFIRMED
        for dry_run in (True, False):
            assert await approved_in_bulk(scenario, second, location, dry_run=dry_run) == UNCONFIRMED
        last = (await scenario.entries(location.id))[-1]
        assert (last["action"], last["outcome"], last["code"]) == ("bulkApprove", "REFUSED", UNCONFIRMED)
    assert (await confirmed(scenario, scenario.lead_2, await id_of(scenario, second))).outcome == "DONE"
    assert (await told(scenario, second, pending))["APPROVE"] is None
    assert (await approved(scenario, second, pending)).outcome == "DONE"
    assert await approved_in_bulk(scenario, second, moved) == "APPLIED"


async def test_a_lead_whom_a_lead_created_may_do_everything_else(scenario: Scenario) -> None:
    second = await made(scenario, scenario.lead)
    pending = await scenario.a_location(S.PENDING_APPROVAL)
    others = await told(scenario, scenario.lead, pending)
    assert await told(scenario, second, pending) == {**others, "APPROVE": UNCONFIRMED}
    assert (await scenario.send(second, "block", locationId=pending.id, reason="A storm")).outcome == "DONE"


MANAGING: dict[str, Callable[[str, Scenario], dict[str, Any]]] = {
    "createUser": lambda _, __: {
        "name": "Third",
        "email": f"{fresh('third')}@dune.example",
        "role": LEAD,
        "allAccounts": True,
    },
    "editUser": lambda user, _: {"userId": user, "expectedRevision": 1, "name": "Other"},
    "setGrants": lambda user, _: {"userId": user, "expectedRevision": 1, "grants": []},
    "suspendUser": lambda user, _: {"userId": user},
    "reinstateUser": lambda user, _: {"userId": user},
    "confirmUser": lambda user, _: {"userId": user},
}


@pytest.mark.parametrize("mutation", MANAGING)
async def test_a_lead_whom_a_lead_created_manages_no_users(scenario: Scenario, mutation: str) -> None:
    second, other = await made(scenario, scenario.lead), await made(scenario, scenario.lead)
    user = await id_of(scenario, other)
    refused = await scenario.send(second, mutation, **MANAGING[mutation](user, scenario))
    assert (refused.outcome, refused.problem["path"]) == (UNCONFIRMED, [])
    assert "Another lead must confirm you" in refused.problem["message"]
    assert (await confirmed(scenario, scenario.lead_2, await id_of(scenario, second))).outcome == "DONE"
    assert (await scenario.send(second, mutation, **MANAGING[mutation](user, scenario))).outcome == "DONE"


@pytest.mark.parametrize("who", ["customer", "clerk", "listed", "partner"])
@pytest.mark.parametrize("mutation", MANAGING)
async def test_no_other_role_manages_or_confirms_users(scenario: Scenario, who: str, mutation: str) -> None:
    user = await id_of(scenario, await made(scenario, scenario.lead))
    asker = getattr(scenario, who)
    for wanted in (user, asker):
        refused = await scenario.send(asker, mutation, **MANAGING[mutation](wanted, scenario))
        assert refused.outcome == "FORBIDDEN"


# Who confirms


async def test_who_made_a_user_cannot_confirm_it_and_another_lead_can(scenario: Scenario) -> None:
    user = await id_of(scenario, await made(scenario, scenario.lead))
    refused = await confirmed(scenario, scenario.lead, user)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["userId"])
    assert "you created or invited this user" in refused.problem["message"]
    answer = await confirmed(scenario, scenario.lead_2, user)
    assert answer.payload["user"] == {"id": user, "confirmed": True}
    entry = await scenario.connection.fetchrow(
        "SELECT actor_id, outcome FROM turnup.audit_entry WHERE request_id = $1", answer.request_id
    )
    assert tuple(entry or ()) == (scenario.lead_2, "APPLIED")


async def test_nobody_confirms_themselves(scenario: Scenario) -> None:
    refused = await confirmed(scenario, scenario.lead, scenario.lead)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["userId"])
    assert "yourself" in refused.problem["message"]
    second = await made(scenario, scenario.lead)
    assert (await confirmed(scenario, second, await id_of(scenario, second))).outcome == UNCONFIRMED


async def test_two_leads_whom_one_lead_created_cannot_confirm_each_other(scenario: Scenario) -> None:
    second, third = await made(scenario, scenario.lead), await made(scenario, scenario.lead)
    for who, whom in ((second, third), (third, second)):
        assert (await confirmed(scenario, who, await id_of(scenario, whom))).outcome == UNCONFIRMED


async def test_a_confirmed_user_can_be_confirmed_again_without_a_change(scenario: Scenario) -> None:
    before = await scenario.connection.fetchval("SELECT max(ordinal) FROM turnup.audit_entry")
    assert (await confirmed(scenario, scenario.lead, scenario.lead_2)).outcome == "DONE"
    assert await scenario.connection.fetchval("SELECT max(ordinal) FROM turnup.audit_entry") == before


@pytest.mark.parametrize("change", ["subject", "role"])
async def test_a_lead_who_gives_a_subject_or_a_role_makes_the_user(scenario: Scenario, change: str) -> None:
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.PARTNER if change == "role" else Role.IMPLEMENTATION_LEAD)
    subject = fresh("subject") if change == "subject" else user
    given: dict[str, Any] = {"role": LEAD, "allAccounts": True} if change == "role" else {"subject": subject}
    answer = await edited(scenario, scenario.lead, user, **given)
    assert answer.payload["user"]["confirmed"] is False
    location = await scenario.a_location(S.PENDING_APPROVAL)
    assert (await approved(scenario, subject, location)).outcome == UNCONFIRMED
    assert (await confirmed(scenario, scenario.lead, user)).outcome == "INVALID_INPUT"
    assert (await confirmed(scenario, scenario.lead_2, user)).outcome == "DONE"
    assert (await approved(scenario, subject, location)).outcome == "DONE"


async def test_everybody_who_made_a_user_is_barred_until_a_third_lead_confirms_it(scenario: Scenario) -> None:
    async with scenario.arranging():
        third = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD)
    user = await id_of(scenario, await made(scenario, scenario.lead))
    assert (await edited(scenario, scenario.lead_2, user, subject=fresh("subject"))).outcome == "DONE"
    for who in (scenario.lead, scenario.lead_2):
        assert (await confirmed(scenario, who, user)).outcome == "INVALID_INPUT"
    assert (await confirmed(scenario, third, user)).outcome == "DONE"
    assert (await edited(scenario, scenario.lead_2, user, subject=fresh("subject"))).outcome == "DONE"
    assert (await confirmed(scenario, scenario.lead, user)).outcome == "DONE", "the first maker is forgotten"


async def test_names_addresses_grants_and_values_that_stay_change_no_confirmation(scenario: Scenario) -> None:
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.CUSTOMER, scenario.account)
    same = {"subject": user, "role": "CUSTOMER", "accountId": scenario.account}
    for changes in ({"name": "Other"}, {"email": f"{user}@elsewhere.example"}, same, {"accountId": scenario.away}):
        assert (await edited(scenario, scenario.lead, user, **changes)).payload["user"]["confirmed"] is True
    grants = [granting(scenario.away)]
    await scenario.send(scenario.lead, "setGrants", userId=user, expectedRevision=5, grants=grants)
    for mutation in ("suspendUser", "reinstateUser"):
        assert (await scenario.send(scenario.lead, mutation, userId=user)).outcome == "DONE"
    assert (await scenario.client.ask(CONFIRMED, scenario.lead, id=user)).data["node"] == {"confirmed": True}


# A made-up customer


async def test_a_submission_by_a_made_up_customer_does_not_clear_its_maker_s_edits(scenario: Scenario) -> None:
    customer = await made(scenario, scenario.lead, "CUSTOMER", accountId=scenario.account)
    location = await scenario.a_location(S.IN_PROGRESS)
    await labelled(scenario, scenario.lead, location)
    await submitted(scenario, customer, location)
    assert (await told(scenario, scenario.lead, location))["APPROVE"] == "SELF_APPROVAL"
    assert (await approved(scenario, scenario.lead, location)).outcome == "SELF_APPROVAL"
    assert await approved_in_bulk(scenario, scenario.lead, location) == "SELF_APPROVAL"
    assert (await told(scenario, scenario.lead_2, location))["APPROVE"] is None
    assert (await confirmed(scenario, scenario.lead_2, await id_of(scenario, customer))).outcome == "DONE"
    assert (await told(scenario, scenario.lead, location))["APPROVE"] is None
    assert (await approved(scenario, scenario.lead, location)).outcome == "DONE"


async def test_other_leads_approve_what_a_made_up_customer_submits_even_after_their_own_edits(
    scenario: Scenario,
) -> None:
    customer = await made(scenario, scenario.lead, "CUSTOMER", accountId=scenario.account)
    location = await scenario.a_location(S.IN_PROGRESS)
    await labelled(scenario, scenario.lead_2, location)
    await submitted(scenario, customer, location)
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"


async def test_who_made_the_customer_approves_where_it_edited_nothing(scenario: Scenario) -> None:
    customer = await made(scenario, scenario.lead, "CUSTOMER", accountId=scenario.account)
    location = await scenario.a_location(S.IN_PROGRESS)
    await labelled(scenario, scenario.customer, location)
    await submitted(scenario, customer, location)
    assert (await told(scenario, scenario.lead, location))["APPROVE"] is None
    assert (await approved(scenario, scenario.lead, location)).outcome == "DONE"


@pytest.mark.parametrize("between", ["withdrawSubmission", "requestChanges", "bulkUpdateStatus"])
async def test_edits_before_an_earlier_submission_are_not_cleared_by_a_made_up_customer_s(
    scenario: Scenario, between: str
) -> None:
    """Neither a genuine submission in between nor a detour through another status is an approval."""
    customer = await made(scenario, scenario.lead, "CUSTOMER", accountId=scenario.account)
    location = await scenario.a_location(S.IN_PROGRESS)
    await labelled(scenario, scenario.lead, location)
    await submitted(scenario, scenario.customer, location)
    given: dict[str, Any] = {"locationId": location.id}
    if between == "requestChanges":
        given["comment"] = "Please correct the label."
    if between == "bulkUpdateStatus":
        given = {"locationIds": [location.id], "status": "BLOCKED", "reason": "A storm", "idempotencyKey": a_key()}
    assert (await scenario.send(scenario.lead, between, **given)).outcome == "DONE"
    if between == "bulkUpdateStatus":
        assert (await scenario.send(scenario.lead, "unblock", locationId=location.id)).outcome == "DONE"
    await submitted(scenario, customer, location)
    assert (await told(scenario, scenario.lead, location))["APPROVE"] == "SELF_APPROVAL"
    assert (await approved(scenario, scenario.lead, location)).outcome == "SELF_APPROVAL"


async def test_edits_before_the_last_approval_do_not_count(scenario: Scenario) -> None:
    customer = await made(scenario, scenario.lead, "CUSTOMER", accountId=scenario.account)
    location = await scenario.a_location(S.IN_PROGRESS)
    await labelled(scenario, scenario.lead, location)
    await submitted(scenario, scenario.customer, location)
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"
    for mutation in ("cancel", "reopen"):
        reason = {"locationId": location.id, "reason": "They changed their mind"}
        assert (await scenario.send(scenario.lead, mutation, **reason)).outcome == "DONE"
    await submitted(scenario, customer, location)
    assert (await approved(scenario, scenario.lead, location)).outcome == "DONE"


async def test_a_submission_by_a_made_up_lead_clears_no_more_than_a_customer_s(scenario: Scenario) -> None:
    second = await made(scenario, scenario.lead)
    location = await scenario.a_location(S.IN_PROGRESS)
    await labelled(scenario, scenario.lead, location)
    await submitted(scenario, second, location)
    assert (await approved(scenario, scenario.lead, location)).outcome == "SELF_APPROVAL"
    assert (await approved(scenario, second, location)).outcome == UNCONFIRMED
    assert (await approved(scenario, scenario.lead_2, location)).outcome == "DONE"


async def test_a_customer_whom_the_lead_gave_another_subject_afterwards_no_longer_clears_edits(
    scenario: Scenario,
) -> None:
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.CUSTOMER, scenario.account)
    await scenario.send(
        scenario.lead_2, "setGrants", userId=user, expectedRevision=1, grants=[granting(scenario.account)]
    )
    location = await scenario.a_location(S.IN_PROGRESS)
    await labelled(scenario, scenario.lead, location)
    await submitted(scenario, user, location)
    assert (await told(scenario, scenario.lead, location))["APPROVE"] is None
    assert (await edited(scenario, scenario.lead, user, subject=fresh("subject"))).outcome == "DONE"
    assert (await told(scenario, scenario.lead, location))["APPROVE"] == "SELF_APPROVAL"
    assert (await approved(scenario, scenario.lead, location)).outcome == "SELF_APPROVAL"


# At the same time


async def waiting(
    database: TestDatabase, scenario: Scenario, location: Rollout, sending: Any, meanwhile: Callable[[], Any]
) -> Sent:
    """Send while the location is locked; when the call waits, do something else, then let it go on."""
    holder = await as_definer(database.owner_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM turnup.location WHERE id = $1 FOR UPDATE", location.id)
        sent = asyncio.ensure_future(sending)
        await until_waiting(scenario, sent)
        await meanwhile()
    await holder.close()
    answer: Sent = await sent
    return answer


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"mutation": "suspendUser"}, "UNAUTHENTICATED"),
        ({"mutation": "editUser", "role": "PARTNER"}, "FORBIDDEN"),
        ({"mutation": "editUser", "subject": "another"}, UNCONFIRMED),
    ],
)
async def test_an_approval_that_waited_counts_what_became_of_the_approver(
    scenario: Scenario, own_database: TestDatabase, change: dict[str, Any], outcome: str
) -> None:
    async with scenario.arranging():
        approver = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD)
    location = await scenario.a_location(S.PENDING_APPROVAL)
    given = {"userId": approver, **{name: value for name, value in change.items() if name != "mutation"}}
    if "subject" in given:
        given["subject"] = fresh("subject")
    if change["mutation"] == "editUser":
        given["expectedRevision"] = 1

    async def changed() -> None:
        assert (await scenario.send(scenario.lead_2, change["mutation"], **given)).outcome == "DONE"

    approving = approved(scenario, approver, location, location.digest)
    assert (await waiting(own_database, scenario, location, approving, changed)).outcome == outcome
    assert (await scenario.state_of(location.id)).status == "PENDING_APPROVAL"


async def test_an_approval_that_waited_counts_a_confirmation_meanwhile(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    second = await made(scenario, scenario.lead)
    location = await scenario.a_location(S.PENDING_APPROVAL)
    user = await id_of(scenario, second)

    async def meanwhile() -> None:
        assert (await confirmed(scenario, scenario.lead_2, user)).outcome == "DONE"

    assert (
        await waiting(
            own_database, scenario, location, approved(scenario, second, location, location.digest), meanwhile
        )
    ).outcome == "DONE"


async def test_an_approval_that_waited_counts_what_became_of_the_submitter(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.CUSTOMER, scenario.account)
    location = await scenario.a_location(S.IN_PROGRESS)
    await scenario.send(
        scenario.lead_2, "setGrants", userId=user, expectedRevision=1, grants=[granting(scenario.account)]
    )
    await labelled(scenario, scenario.lead, location)
    await submitted(scenario, user, location)

    async def meanwhile() -> None:
        assert (await edited(scenario, scenario.lead, user, subject=fresh("subject"))).outcome == "DONE"

    digest = (await scenario.state_of(location.id)).digest
    sent = await waiting(
        own_database, scenario, location, approved(scenario, scenario.lead, location, digest), meanwhile
    )
    assert sent.outcome == "SELF_APPROVAL"


async def test_approvals_confirmations_and_changes_of_one_user_at_once_leave_one_order(scenario: Scenario) -> None:
    """In any order, an approval is applied only if the approver is confirmed at that time."""
    for turn in range(8):
        second = await made(scenario, scenario.lead)
        user = await id_of(scenario, second)
        location = await scenario.a_location(S.PENDING_APPROVAL)
        if turn % 2:
            assert (await confirmed(scenario, scenario.lead_2, user)).outcome == "DONE"
            other = edited(scenario, scenario.lead, user, role="PARTNER")
        else:
            other = confirmed(scenario, scenario.lead_2, user)
        approval, change = await asyncio.gather(approved(scenario, second, location, location.digest), other)
        assert change.outcome == "DONE"
        assert approval.outcome in {"DONE", UNCONFIRMED, "FORBIDDEN"}
        assert ((await scenario.state_of(location.id)).status == "APPROVED") == (approval.outcome == "DONE")
