"""A lead of some accounts is a lead there and nobody elsewhere; only a lead of all accounts decides who is which."""

import json
import secrets
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus, Role
from app.operations.registry import MUTATIONS as DECLARED
from permissions.matrix import MATRIX, NEEDS_ALL_ACCOUNTS, Action
from tests.builders_db import a_grant, a_user
from tests.harness import TestDatabase, granting

from .inputs import OF_A_LOCATION, arranged, good_input
from .scenario import MUTATIONS, Rollout, Scenario, Sent, a_key, document
from .test_confirmations import waiting

S = LocationStatus
OF_LEADS = sorted(each for each in MUTATIONS if Role.IMPLEMENTATION_LEAD in MATRIX[DECLARED[each].action])
ADMINISTRATION = sorted(each for each in MUTATIONS if DECLARED[each].action in NEEDS_ALL_ACCOUNTS)


def renamed(given: Any, names: dict[str, str]) -> Any:
    """The input with other ids."""
    text = json.dumps(given)
    for old, new in names.items():
        text = text.replace(old, new)
    return json.loads(text)


def missing(identifier: str) -> str:
    """An id of the same form and length that belongs to nothing."""
    return identifier[:-6] + "zzzzzz"


async def revision_of(scenario: Scenario, user: str) -> int:
    found: int = await scenario.connection.fetchval('SELECT revision FROM turnup."user" WHERE id = $1', user)
    return found


async def raw(scenario: Scenario, who: str, mutation: str, given: dict[str, Any]) -> bytes:
    answer = await scenario.client.ask(document(mutation), who, headers={"x-request-id": "pinned"}, input=given)
    return answer.raw


@pytest.mark.parametrize("mutation", sorted(set(OF_A_LOCATION) & set(OF_LEADS)))
async def test_a_location_of_another_account_cannot_be_told_from_a_missing_one(
    scenario: Scenario, mutation: str
) -> None:
    _, here = await arranged(scenario, mutation)
    given = {**good_input(mutation, here, here), "idempotencyKey": a_key()}
    ids = [here.id, here.payload, here.override]
    before = await scenario.state_of(here.id)
    there = await raw(scenario, scenario.away_lead, mutation, given)
    absent = await raw(
        scenario,
        scenario.away_lead,
        mutation,
        {**renamed(given, {each: missing(each) for each in ids if each}), "idempotencyKey": a_key()},
    )
    assert there.replace(here.id.encode(), missing(here.id).encode()) == absent
    assert mutation.startswith("bulk") or b"NOT_FOUND" in there  # the results of bulk items are asked for below
    assert await scenario.state_of(here.id) == before


@pytest.mark.parametrize("mutation", sorted(set(OF_A_LOCATION) & set(OF_LEADS)))
async def test_within_the_granted_accounts_a_lead_may_do_what_every_lead_may(scenario: Scenario, mutation: str) -> None:
    who, here = await arranged(scenario, mutation)
    given = good_input(mutation, here, await scenario.a_location(S.IN_PROGRESS))
    asked_as = scenario.scoped_lead if who == scenario.lead else scenario.lead
    sent = await scenario.send(asked_as, mutation, **given)
    assert sent.outcome not in {"FORBIDDEN", "NOT_FOUND", "INTERNAL"}


@pytest.mark.parametrize(
    "mutation", ["updateLocation", "submitOnboarding", "block", "setLocationPartners", "bulkUpdateStatus", "addDevice"]
)
async def test_a_lead_of_the_account_changes_its_locations(scenario: Scenario, mutation: str) -> None:
    here = await scenario.a_location(S.IN_PROGRESS)
    inputs: dict[str, dict[str, Any]] = {
        "updateLocation": {"locationId": here.id, "expectedRevision": 1, "name": "Dune Opticians - Harbour"},
        "submitOnboarding": {"locationId": here.id},
        "block": {"locationId": here.id, "reason": "The carrier is late"},
        "setLocationPartners": {
            "locationId": here.id,
            "partners": {"listed": [{"userId": here.recipient, "partnerPurpose": "PBX"}]},
        },
        "bulkUpdateStatus": {"locationIds": [here.id], "status": "BLOCKED", "reason": "The carrier is late"},
        "addDevice": {"locationId": here.id, "brand": "YEALINK"},
    }
    given = inputs[mutation]
    if mutation == "bulkUpdateStatus":
        given["idempotencyKey"] = a_key()
    assert (await scenario.send(scenario.scoped_lead, mutation, **given)).outcome == "DONE"


async def test_a_lead_of_the_account_approves_and_hands_off(scenario: Scenario) -> None:
    here = await scenario.a_location(S.PENDING_APPROVAL)
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("approve", {"expectedDigest": here.digest}),
        ("generatePayload", {"idempotencyKey": a_key()}),
        ("triggerProvisioning", {"idempotencyKey": a_key()}),
    )
    for mutation, more in steps:
        assert (await scenario.send(scenario.scoped_lead, mutation, locationId=here.id, **more)).outcome == "DONE"
    assert (await scenario.state_of(here.id)).status == S.PROVISIONING


async def test_in_bulk_a_location_of_another_account_is_missing_and_the_others_are_done(scenario: Scenario) -> None:
    here, away = (
        await scenario.a_location(S.IN_PROGRESS),
        await scenario.a_location(S.IN_PROGRESS, account=scenario.away),
    )
    query = """mutation($input: BulkUpdateStatusInput!) { bulkUpdateStatus(input: $input) {
        results { locationId outcome problem { code message } } problems { code } } }"""
    given = {"locationIds": [here.id, away.id], "status": "BLOCKED", "reason": "Late", "idempotencyKey": a_key()}
    answer = await scenario.client.ask(query, scenario.scoped_lead, input=given)
    done, not_found = answer.data["bulkUpdateStatus"]["results"]
    assert (done["outcome"], not_found["problem"]["code"]) == ("APPLIED", "NOT_FOUND")
    given |= {"locationIds": [missing(away.id)], "idempotencyKey": a_key()}
    answer = await scenario.client.ask(query, scenario.scoped_lead, input=given)
    assert answer.data["bulkUpdateStatus"]["results"] == [{**not_found, "locationId": missing(away.id)}]
    assert (await scenario.state_of(away.id)).status == S.IN_PROGRESS


@pytest.mark.parametrize("mutation", ADMINISTRATION)
async def test_what_concerns_all_accounts_is_refused_in_words(
    scenario: Scenario, rest: dict[S, Rollout], mutation: str
) -> None:
    given = good_input(mutation, rest[S.PROVISIONING], rest[S.IN_PROGRESS])
    sent = await scenario.send(scenario.scoped_lead, mutation, **given)
    assert sent.outcome == "FORBIDDEN"
    assert sent.error["message"] == (
        "Your access is limited to some accounts. This action needs access to all accounts."
    )


async def test_a_lead_of_the_account_creates_locations_there_and_nowhere_else(scenario: Scenario) -> None:
    def made(account: str) -> dict[str, Any]:
        return {"accountId": account, "name": "Dune Opticians - Quay"}

    assert (await scenario.send(scenario.scoped_lead, "createLocation", **made(scenario.account))).outcome == "DONE"
    refused = [
        await raw(scenario, scenario.scoped_lead, "createLocation", made(account))
        for account in (scenario.away, missing(scenario.away))
    ]
    assert refused[0] == refused[1]
    assert b"NOT_FOUND" in refused[0]


async def test_a_partner_without_access_to_the_account_cannot_be_told_from_a_missing_one(scenario: Scenario) -> None:
    here = await scenario.a_location(S.IN_PROGRESS)
    refused = [
        await raw(
            scenario,
            scenario.scoped_lead,
            "setLocationPartners",
            {"locationId": here.id, "partners": {"listed": [{"userId": user, "partnerPurpose": "PBX"}]}},
        )
        for user in (scenario.away_partner, missing(scenario.away_partner))
    ]
    assert refused[0] == refused[1]
    assert b"must be the id of a user" in refused[0]


async def test_the_holder_of_an_address_in_another_account_is_not_named(scenario: Scenario) -> None:
    away = await scenario.a_location(S.APPROVED, account=scenario.away)
    mac = next(each.mac_address for each in away.content.devices)
    assert mac is not None
    here = await scenario.a_location(S.IN_PROGRESS, macs=[mac])
    query = "query($id: ID!) { readiness(locationId: $id) { code message } }"
    told = {}
    for who in (scenario.lead, scenario.scoped_lead):
        issues = (await scenario.client.ask(query, who, id=here.id)).data["readiness"]
        told[who] = " ".join(each["message"] for each in issues if each["code"] == "MAC_IN_USE")
    assert "Elm Florists" in told[scenario.lead]
    assert told[scenario.scoped_lead]
    assert "Elm Florists" not in told[scenario.scoped_lead]


# Who has access to what


async def a_new_lead(scenario: Scenario, **more: Any) -> tuple[str, Sent]:
    subject = f"{secrets.token_hex(6)}@dune.example"
    given = {"name": "Nora Vale", "email": subject, "role": "IMPLEMENTATION_LEAD", **more}
    return subject, await scenario.send(scenario.lead, "createUser", "user { id allAccounts }", **given)


async def accounts_of(scenario: Scenario, who: str) -> tuple[bool, set[str]]:
    answer = await scenario.client.ask("{ viewer { allAccounts } accounts(first: 100) { nodes { id } } }", who)
    return answer.data["viewer"]["allAccounts"], {each["id"] for each in answer.data["accounts"]["nodes"]}


async def test_a_new_lead_has_access_to_all_accounts_or_to_those_of_the_grants_as_stated(scenario: Scenario) -> None:
    subject, made = await a_new_lead(scenario, allAccounts=True)
    assert made.payload["user"]["allAccounts"] is True
    assert {scenario.account, scenario.away} <= (await accounts_of(scenario, subject))[1]
    subject, made = await a_new_lead(scenario, allAccounts=False)
    assert made.payload["user"]["allAccounts"] is False
    assert await accounts_of(scenario, subject) == (False, set())


async def test_nobody_becomes_a_lead_whose_access_is_not_stated(scenario: Scenario) -> None:
    _, created = await a_new_lead(scenario)
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.PARTNER)
    about: dict[str, Any] = {"userId": user, "role": "IMPLEMENTATION_LEAD"}
    edited = await scenario.send(scenario.lead, "editUser", **about, expectedRevision=1)
    for sent in (created, edited):
        assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["allAccounts"])
        assert sent.problem["rule"] == "required for leads"
    limited = await scenario.send(
        scenario.lead, "editUser", "user { allAccounts }", **about, expectedRevision=1, allAccounts=False
    )
    assert limited.payload["user"] == {"allAccounts": False}


async def test_the_access_of_a_lead_is_limited_and_widened_from_the_next_request_on(scenario: Scenario) -> None:
    subject, made = await a_new_lead(scenario, allAccounts=True)
    user = made.payload["user"]["id"]

    async def changed(mutation: str, revision: int, **more: Any) -> Sent:
        return await scenario.send(scenario.lead, mutation, userId=user, expectedRevision=revision, **more)

    grants = [granting(scenario.account)]
    assert (await changed("setGrants", 1, grants=grants)).problem["path"] == ["grants", "0"]
    assert (await changed("setGrants", 1, grants=grants, allAccounts=False)).outcome == "DONE"
    assert await accounts_of(scenario, subject) == (False, {scenario.account})
    assert (await changed("setGrants", 2, grants=[granting(scenario.away)])).outcome == "DONE"
    assert await accounts_of(scenario, subject) == (False, {scenario.away})
    assert (await changed("editUser", 3, allAccounts=True)).outcome == "DONE"
    assert (await accounts_of(scenario, subject))[0] is True
    assert (await changed("editUser", 4, allAccounts=False)).outcome == "DONE"
    assert await accounts_of(scenario, subject) == (False, {scenario.away})
    assert (await changed("setGrants", 5, grants=[], allAccounts=True)).outcome == "DONE"
    assert {scenario.account, scenario.away} <= (await accounts_of(scenario, subject))[1]


@pytest.mark.parametrize("role", ["CUSTOMER", "PARTNER", "AUDITOR"])
async def test_access_to_all_accounts_is_for_leads_only(scenario: Scenario, role: str) -> None:
    given: dict[str, Any] = {"name": "Nora Vale", "email": f"{secrets.token_hex(6)}@dune.example", "role": role}
    given["allAccounts"] = True
    if role == "CUSTOMER":
        given["accountId"] = scenario.account
    sent = await scenario.send(scenario.lead, "createUser", **given)
    assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["allAccounts"])
    user = {"CUSTOMER": scenario.customer, "PARTNER": scenario.partner, "AUDITOR": scenario.auditor}[role]
    revision = await revision_of(scenario, user)
    about: dict[str, Any] = {"userId": user, "expectedRevision": revision, "allAccounts": True}
    for mutation, given in (("editUser", about), ("setGrants", {**about, "grants": []})):
        sent = await scenario.send(scenario.lead, mutation, **given)
        assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["allAccounts"])


async def test_nobody_limits_their_own_access(scenario: Scenario) -> None:
    for mutation, more in (("editUser", {}), ("setGrants", {"grants": [granting(scenario.account)]})):
        given: dict[str, Any] = {"userId": scenario.lead, "allAccounts": False, **more}
        given["expectedRevision"] = await revision_of(scenario, scenario.lead)
        sent = await scenario.send(scenario.lead, mutation, **given)
        assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["allAccounts"])


async def test_a_lead_is_granted_whole_accounts_and_an_auditor_none(scenario: Scenario) -> None:
    here = await scenario.a_location(S.IN_PROGRESS)
    for user, grant, path in (
        (scenario.away_lead, granting(scenario.account, here.id), ["grants", "0", "scope", "locationIds"]),
        (scenario.auditor, granting(scenario.account), ["grants", "0"]),
    ):
        revision = await revision_of(scenario, user)
        sent = await scenario.send(scenario.lead, "setGrants", userId=user, expectedRevision=revision, grants=[grant])
        assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", path)


async def test_a_lead_without_a_grant_finds_nothing(scenario: Scenario) -> None:
    here = await scenario.a_location(S.IN_PROGRESS)
    async with scenario.arranging():
        nobody = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD, all_accounts=False)
        listed = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD, all_accounts=False)
        await a_grant(scenario.connection, listed, scenario.account, [here.id])
    for who in (nobody, listed):
        assert await accounts_of(scenario, who) == (False, set())
        assert (await scenario.send(who, "block", locationId=here.id, reason="Late")).outcome == "NOT_FOUND"


# Auditors


async def test_an_auditor_reads_who_did_what_and_neither_addresses_nor_documents(scenario: Scenario) -> None:
    here = await scenario.a_location(S.APPROVED, payload=False)
    generated = await scenario.send(scenario.lead, "generatePayload", locationId=here.id, idempotencyKey=a_key())
    assert generated.outcome == "DONE"
    assert (await a_new_lead(scenario, allAccounts=True))[1].outcome == "DONE"
    name = (await scenario.client.ask("{ viewer { name } }", scenario.lead)).data["viewer"]["name"]
    query = """query($filter: AuditLogFilter) { auditLog(first: 10, filter: $filter) { nodes {
        chain action actor { id name role }
        changes { nodes { table field before beforeState after afterState } } } } }"""
    for action, table, field in (
        ("CREATE_USER", "USER", "email"),
        ("GENERATE_PAYLOAD", "PROVISIONING_PAYLOAD", "document"),
    ):
        told = {}
        for who in (scenario.auditor, scenario.lead):
            answer = await scenario.client.ask(query, who, filter={"action": action, "actorId": scenario.lead})
            node = answer.data["auditLog"]["nodes"][0]
            assert node["actor"] == {"id": scenario.lead, "name": name, "role": "IMPLEMENTATION_LEAD"}
            (told[who],) = [
                each for each in node["changes"]["nodes"] if (each["table"], each["field"]) == (table, field)
            ]
        assert told[scenario.auditor]["after"] is None
        assert (told[scenario.auditor]["beforeState"], told[scenario.auditor]["afterState"]) == ("ABSENT", "REDACTED")
        assert (told[scenario.lead]["after"] is not None, told[scenario.lead]["afterState"]) == (True, "PRESENT")


async def test_of_an_actor_an_auditor_reads_no_address_no_rights_and_no_status(scenario: Scenario) -> None:
    assert (await a_new_lead(scenario, allAccounts=True))[1].outcome == "DONE"
    name = (await scenario.client.ask("{ viewer { name } }", scenario.lead)).data["viewer"]["name"]
    query = """query($id: ID!) { auditLog(first: 1, filter: {actorId: $id}) { nodes { override { id } actor {
        id name role revision email allAccounts signInStatus grants { account { id } } acceptedPayloadVersions
        } } } }"""
    answer = await scenario.client.ask(query, scenario.auditor, id=scenario.lead)
    (node,) = answer.body["data"]["auditLog"]["nodes"]
    actor = {"id": scenario.lead, "name": name, "role": "IMPLEMENTATION_LEAD", "revision": 1}
    fields = ("email", "allAccounts", "signInStatus", "grants", "acceptedPayloadVersions")
    assert node == {"override": None, "actor": {**actor, **dict.fromkeys(fields)}}
    assert set(answer.codes) == {"FORBIDDEN"}


async def test_an_auditor_changes_nothing_and_the_sessions_of_others_are_missing(
    scenario: Scenario, rest: dict[S, Rollout]
) -> None:
    here, other = rest[S.PROVISIONING], rest[S.IN_PROGRESS]
    for mutation in sorted(MUTATIONS):
        sent = await scenario.send(scenario.auditor, mutation, **good_input(mutation, here, other))
        has_own = DECLARED[mutation].action == Action.MANAGE_OWN_SESSIONS
        assert sent.outcome == ("NOT_FOUND" if has_own else "FORBIDDEN"), mutation


# At the same time


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("before", ["of some accounts", "of all accounts"])
async def test_an_approval_that_waited_finds_nothing_where_access_ended_meanwhile(
    scenario: Scenario, own_database: TestDatabase, before: str, bulk: bool
) -> None:
    limited = before == "of some accounts"
    async with scenario.arranging():
        approver = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD, all_accounts=not limited)
        if limited:
            await a_grant(scenario.connection, approver, scenario.account)
    here = await scenario.a_location(S.PENDING_APPROVAL)

    async def access_ends() -> None:
        given: dict[str, Any] = {"grants": [granting(scenario.away)], "allAccounts": False}
        sent = await scenario.send(scenario.lead, "setGrants", userId=approver, expectedRevision=1, **given)
        assert sent.outcome == "DONE"

    item = {"locationId": here.id, "expectedDigest": here.digest}
    if bulk:
        given: dict[str, Any] = {"items": [item], "idempotencyKey": a_key()}
        approving = scenario.send(approver, "bulkApprove", "results { problem { code } }", **given)
    else:
        approving = scenario.send(approver, "approve", **item)
    sent = await waiting(own_database, scenario, here, approving, access_ends)
    assert (sent.payload["results"][0]["problem"]["code"] if bulk else sent.outcome) == "NOT_FOUND"
    assert (await scenario.state_of(here.id)).status == S.PENDING_APPROVAL
