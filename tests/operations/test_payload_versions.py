"""Partners state the versions of the payload document that they accept; each payload has one that suits them all."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.db import tables
from app.domain.content import CallFlow, CallFlowOption, LocationContent, Target
from app.domain.digest import document_digest
from app.domain.vocabulary import CallFlowKind, CallTarget, LocationStatus, Role
from tests.builders_db import a_grant, a_user, an_account, fresh, insert
from tests.domain.published_schema import violations

from .scenario import Rollout, Scenario, Sent, a_key, complete_content

pytestmark = pytest.mark.usefixtures("replayed")

OLD, NEW = "1.0.0", "1.1.0"
MUTATION = "setAcceptedPayloadVersions"
STATED = "user { id acceptedPayloadVersions }"
PAYLOAD = "payload { id version state document documentDigest supersededBy { id } } location { status }"
ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Site:
    """A location of an account with partners of its own."""

    account: str
    partners: Sequence[str]
    location: Rollout


async def a_site(
    scenario: Scenario,
    *accepted: Sequence[str],
    change: Callable[[LocationContent], LocationContent] = lambda content: content,
    **changes: Any,
) -> Site:
    """An approved location without payload, whose partners accept these versions, all if there are none."""
    async with scenario.arranging():
        account = await an_account(scenario.connection)
        partners = [await a_user(scenario.connection, Role.PARTNER, name=f"Carrier {n}") for n in range(len(accepted))]
        for partner, versions in zip(partners, accepted, strict=True):
            await a_grant(scenario.connection, partner, account)
            for version in versions:
                await insert(scenario.connection, tables.accepted_version, user_id=partner, version=version)
    content = change(replace(complete_content(fresh("location"), account), **changes))
    location = await scenario.a_location(
        LocationStatus.APPROVED, content=content, account=account, name=content.location_id, payload=False
    )
    return Site(account, partners, location)


async def state(scenario: Scenario, who: str, versions: Sequence[str], **given: Any) -> Sent:
    return await scenario.send(who, MUTATION, STATED, versions=versions, **given)


async def generate(scenario: Scenario, site: Site) -> Sent:
    given = {"locationId": site.location.id, "idempotencyKey": a_key()}
    return await scenario.send(scenario.lead, "generatePayload", PAYLOAD, **given)


async def release(scenario: Scenario, site: Site) -> Sent:
    given = {"locationId": site.location.id, "idempotencyKey": a_key()}
    return await scenario.send(scenario.lead, "triggerProvisioning", PAYLOAD, **given)


async def allowed(scenario: Scenario, site: Site) -> dict[str, str | None]:
    query = "query($id: ID!) { location(id: $id) { viewerActions { action reason } } }"
    data = (await scenario.client.ask(query, scenario.lead, id=site.location.id)).data
    return {each["action"]: each["reason"] for each in data["location"]["viewerActions"]}


async def stored(scenario: Scenario, user: str) -> list[str]:
    rows = await scenario.connection.fetch("SELECT version FROM turnup.accepted_version WHERE user_id = $1", user)
    return sorted(row["version"] for row in rows)


async def entries_of(scenario: Scenario, user: str) -> list[tuple[str, str]]:
    """Who stated which version, from the audit log, in order."""
    rows = await scenario.connection.fetch(
        "SELECT e.actor_id, c.row_id FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id"
        " WHERE c.table_name = 'accepted_version' AND c.field = 'version' AND e.action = $2 AND e.chain = 'system'"
        " AND c.row_id LIKE $1 || '/%' AND e.number IS NOT NULL ORDER BY e.number, c.id",
        user,
        MUTATION,
    )
    return [(row["actor_id"], row["row_id"].partition("/")[2]) for row in rows]


# Stating versions


async def test_a_partner_states_its_versions_and_sees_them_itself(scenario: Scenario) -> None:
    (partner,) = (await a_site(scenario, [])).partners
    viewer = "{ viewer { acceptedPayloadVersions } }"
    assert (await scenario.client.ask(viewer, partner)).data == {"viewer": {"acceptedPayloadVersions": [OLD, NEW]}}
    sent = await state(scenario, partner, [NEW])
    assert sent.payload["user"] == {"id": partner, "acceptedPayloadVersions": [NEW]}
    assert (await scenario.client.ask(viewer, partner)).data == {"viewer": {"acceptedPayloadVersions": [NEW]}}
    assert await entries_of(scenario, partner) == [(partner, NEW)]


async def test_a_lead_states_versions_for_a_partner(scenario: Scenario) -> None:
    (partner,) = (await a_site(scenario, [OLD])).partners
    sent = await state(scenario, scenario.lead, [NEW, OLD], userId=partner)
    assert sent.payload["user"] == {"id": partner, "acceptedPayloadVersions": [OLD, NEW]}
    assert await stored(scenario, partner) == [OLD, NEW]
    assert await entries_of(scenario, partner) == [(scenario.lead, NEW)]


async def test_stating_the_same_again_changes_nothing_and_leaves_no_entry(scenario: Scenario) -> None:
    (partner,) = (await a_site(scenario, [])).partners
    for _ in range(2):
        assert (await state(scenario, partner, [OLD], userId=partner)).outcome == "DONE"
    assert await entries_of(scenario, partner) == [(partner, OLD)]


async def test_a_repeated_key_states_nothing_twice(scenario: Scenario) -> None:
    (partner,) = (await a_site(scenario, [])).partners
    key = a_key()
    first = await state(scenario, partner, [OLD], idempotencyKey=key)
    await state(scenario, partner, [NEW])
    again = await state(scenario, partner, [OLD], idempotencyKey=key)
    assert (first.replayed, again.replayed) == (False, True)
    assert await stored(scenario, partner) == [NEW]


async def test_another_partner_is_answered_like_one_that_does_not_exist(scenario: Scenario) -> None:
    partner, other = (await a_site(scenario, [], [])).partners
    named = [(await state(scenario, partner, [OLD], userId=each)).problem for each in (other, "user-of-nobody")]
    assert (
        named
        == [{"__typename": "NotFound", "code": "NOT_FOUND", "path": ["userId"], "message": named[0]["message"]}] * 2
    )
    assert await stored(scenario, other) == []


async def test_a_lead_names_a_user_who_is_a_partner(scenario: Scenario) -> None:
    left_out = await state(scenario, scenario.lead, [OLD])
    assert left_out.problem["path"] == ["userId"]
    assert left_out.problem["rule"] == "required for leads"
    for user, role in ((scenario.customer, "CUSTOMER"), (scenario.lead_2, "IMPLEMENTATION_LEAD")):
        sent = await state(scenario, scenario.lead, [OLD], userId=user)
        assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["userId"])
        assert sent.problem["rule"] == f"must be a partner; this user has the role {role}"
        assert await stored(scenario, user) == []
    assert (await state(scenario, scenario.lead, [OLD], userId="user-of-nobody")).outcome == "NOT_FOUND"


async def test_customers_state_no_versions(scenario: Scenario) -> None:
    assert (await state(scenario, scenario.customer, [OLD])).outcome == "FORBIDDEN"


BAD = {
    "none": ([], ["versions"], f"must name at least one of {OLD} and {NEW}"),
    "an unknown one": ([OLD, "2.0.0"], ["versions", "1"], f"the versions are {OLD} and {NEW}"),
    "another spelling": (["1.0"], ["versions", "0"], f"the versions are {OLD} and {NEW}"),
    "a space": ([f" {OLD}"], ["versions", "0"], f"the versions are {OLD} and {NEW}"),
    "one twice": ([NEW, OLD, NEW], ["versions", "2"], f"each of {OLD} and {NEW} may appear only once"),
}


@pytest.mark.parametrize("case", BAD)
async def test_versions_that_do_not_exist_are_refused_with_those_that_do(scenario: Scenario, case: str) -> None:
    versions, path, rule = BAD[case]
    (partner,) = (await a_site(scenario, [OLD])).partners
    for who in (partner, scenario.lead):
        sent = await state(scenario, who, versions, userId=partner)
        told = {name: sent.problem[name] for name in ("code", "field", "path", "rule")}
        assert told == {"code": "INVALID_INPUT", "field": "versions", "path": path, "rule": rule}
    assert await stored(scenario, partner) == [OLD]


async def test_more_versions_than_anybody_has_are_too_many(scenario: Scenario) -> None:
    (partner,) = (await a_site(scenario, [])).partners
    assert (await state(scenario, partner, [OLD] * 21)).outcome == "LIMIT_REACHED"


async def test_only_partners_have_versions_and_only_leads_and_the_partner_see_them(scenario: Scenario) -> None:
    (partner,) = (await a_site(scenario, [OLD])).partners
    user = "query($id: ID!) { node(id: $id) { ... on User { acceptedPayloadVersions } } }"

    async def seen(who: str, of: str) -> Any:
        answer = await scenario.client.ask(user, who, id=of)
        return (answer.body["data"]["node"] or {}).get("acceptedPayloadVersions"), "errors" in answer.body

    assert await seen(scenario.lead, partner) == ([OLD], False)
    assert await seen(partner, partner) == ([OLD], False)
    assert await seen(scenario.lead, scenario.customer) == (None, False)
    assert await seen(scenario.customer, scenario.customer) == (None, True)
    for who in (scenario.lead, scenario.customer):
        answer = await scenario.client.ask("{ viewer { acceptedPayloadVersions } }", who)
        assert answer.data == {"viewer": {"acceptedPayloadVersions": None}}


async def test_a_partner_and_a_lead_who_state_versions_at_once_leave_what_one_of_them_stated(
    scenario: Scenario,
) -> None:
    (partner,) = (await a_site(scenario, [])).partners
    for _ in range(ROUNDS):
        wanted = ([OLD], [NEW], [OLD, NEW], [NEW])
        sent = await asyncio.gather(
            state(scenario, partner, wanted[0]),
            state(scenario, scenario.lead, wanted[1], userId=partner),
            state(scenario, partner, wanted[2]),
            state(scenario, scenario.lead_2, wanted[3], userId=partner),
        )
        assert [each.outcome for each in sent] == ["DONE"] * len(sent)
        assert await stored(scenario, partner) in wanted


# The version of a payload


@pytest.mark.parametrize(
    ("accepted", "changes", "version"),
    [
        ([[], []], {}, OLD),
        ([[OLD], [OLD, NEW]], {}, OLD),
        ([[NEW], []], {}, NEW),
        ([[], [NEW]], {"site_code": "Store 7"}, NEW),
        ([], {"site_code": "Store 7"}, NEW),
    ],
)
async def test_all_recipients_get_one_document_in_the_oldest_version_that_suits_all(
    scenario: Scenario, accepted: list[list[str]], changes: dict[str, Any], version: str
) -> None:
    site = await a_site(scenario, *accepted, **changes)
    made = (await generate(scenario, site)).payload["payload"]
    assert (made["version"], made["document"]["version"]) == (version, version)
    assert violations(made["document"], version) == []
    assert made["documentDigest"] == document_digest(made["document"])
    assert (await release(scenario, site)).payload["payload"]["state"] == "RELEASED"
    query = "query($id: ID!) { provisioningPayload: node(id: $id) { ... on ProvisioningPayload { document } } }"
    for partner in site.partners:
        received = (await scenario.client.ask(query, partner, id=made["id"])).data["provisioningPayload"]
        assert received["document"] == made["document"]


@pytest.mark.parametrize(
    ("accepted", "changes", "path"),
    [
        ([[OLD], []], {"site_code": "Store 7"}, "/location/siteCode"),
        ([[OLD], [NEW]], {}, ""),
    ],
)
async def test_when_no_version_suits_nothing_is_generated_and_readiness_says_whom_to_ask(
    scenario: Scenario, accepted: list[list[str]], changes: dict[str, Any], path: str
) -> None:
    site = await a_site(scenario, *accepted, **changes)
    sent = await generate(scenario, site)
    assert sent.outcome == "NOT_READY"
    found = [each for each in sent.problem["issues"] if each["code"] == "PAYLOAD_VERSION_NOT_ACCEPTED"]
    assert any(each["message"].startswith("Carrier 0 accepts only version 1.0.0 of the payload.") for each in found)
    assert {(each["path"], each["severity"], *each["blocks"]) for each in found} == {(path, "BLOCKER", "PROVISION")}
    assert (await allowed(scenario, site))["GENERATE_PAYLOAD"] == "NOT_READY"
    assert (await scenario.state_of(site.location.id)).payloads == {}
    assert (await state(scenario, site.partners[0], [OLD, NEW])).outcome == "DONE"
    assert (await generate(scenario, site)).payload["payload"]["version"] == NEW


async def test_a_customer_reads_of_a_partner_without_its_name(scenario: Scenario) -> None:
    site = await a_site(scenario, [OLD], site_code="Store 7")
    async with scenario.arranging():
        customer = await a_user(scenario.connection, Role.CUSTOMER, site.account)
        await a_grant(scenario.connection, customer, site.account)
    query = "query($id: ID!) { readiness(locationId: $id) { code message } }"
    issues = (await scenario.client.ask(query, customer, id=site.location.id)).data["readiness"]
    assert [each["message"] for each in issues if each["code"] == "PAYLOAD_VERSION_NOT_ACCEPTED"] == [
        "A partner accepts only version 1.0.0 of the payload. The content needs version 1.1.0, because of "
        "/location/siteCode."
    ]


async def test_a_payload_that_waits_for_its_release_is_made_anew_when_a_partner_no_longer_accepts_it(
    scenario: Scenario,
) -> None:
    site = await a_site(scenario, [], [])
    before = (await generate(scenario, site)).payload["payload"]
    assert (await allowed(scenario, site))["TRIGGER_PROVISIONING"] is None
    await state(scenario, site.partners[1], [NEW])
    actions = await allowed(scenario, site)
    assert (actions["GENERATE_PAYLOAD"], actions["TRIGGER_PROVISIONING"]) == (None, "ILLEGAL_TRANSITION")
    refused = await release(scenario, site)
    assert refused.outcome == "ILLEGAL_TRANSITION"
    assert "GENERATE_PAYLOAD" in refused.problem["allowed"]
    assert "TRIGGER_PROVISIONING" not in refused.problem["allowed"]
    after = (await generate(scenario, site)).payload["payload"]
    assert (after["version"], after["document"]["metadata"]["supersedes"]) == (NEW, before["id"])
    assert (await scenario.state_of(site.location.id)).payloads == {
        before["id"]: "SUPERSEDED",
        after["id"]: "GENERATED",
    }
    query = "query($id: ID!) { node(id: $id) { ... on ProvisioningPayload { supersededBy { id } } } }"
    replaced = (await scenario.client.ask(query, scenario.lead, id=before["id"])).data["node"]
    assert replaced == {"supersededBy": {"id": after["id"]}}
    assert (await generate(scenario, site)).payload["payload"]["id"] == after["id"]
    assert (await release(scenario, site)).payload["payload"]["id"] == after["id"]


async def test_a_payload_in_a_later_version_than_needed_can_be_released_and_is_made_anew_on_request(
    scenario: Scenario,
) -> None:
    site = await a_site(scenario, [NEW])
    before = (await generate(scenario, site)).payload["payload"]
    await state(scenario, site.partners[0], [OLD, NEW])
    assert (await allowed(scenario, site))["TRIGGER_PROVISIONING"] is None
    after = (await generate(scenario, site)).payload["payload"]
    assert (before["version"], after["version"]) == (NEW, OLD)


async def test_a_released_payload_stays_whatever_its_recipients_state_afterwards(scenario: Scenario) -> None:
    site = await a_site(scenario, [])
    released = (await generate(scenario, site)).payload["payload"]
    assert (await release(scenario, site)).outcome == "DONE"
    await state(scenario, site.partners[0], [NEW])
    for again in (generate, release):
        assert (await again(scenario, site)).payload["payload"]["id"] == released["id"]
    given = {"payloadId": released["id"], "documentDigest": released["documentDigest"], "idempotencyKey": a_key()}
    assert (await scenario.send(site.partners[0], "acknowledgePayload", **given)).outcome == "DONE"


async def test_the_partners_of_the_location_count_and_not_all_of_the_account(scenario: Scenario) -> None:
    site = await a_site(scenario, [OLD], [NEW])
    assert (await generate(scenario, site)).outcome == "NOT_READY"

    async def choose(partner: str) -> None:
        chosen = [{"userId": partner, "partnerPurpose": "PBX"}]
        given = {"locationId": site.location.id, "partners": {"listed": chosen}}
        assert (await scenario.send(scenario.lead, "setLocationPartners", "", **given)).outcome == "DONE"

    await choose(site.partners[1])
    assert (await generate(scenario, site)).payload["payload"]["version"] == NEW
    await choose(site.partners[0])
    assert (await release(scenario, site)).outcome == "ILLEGAL_TRANSITION"
    assert (await generate(scenario, site)).payload["payload"]["version"] == OLD
    assert (await release(scenario, site)).outcome == "DONE"


async def test_bulk_calls_follow_the_same_rules(scenario: Scenario) -> None:
    suited, refused = await a_site(scenario, [NEW]), await a_site(scenario, [OLD], site_code="Store 7")
    ids = [suited.location.id, refused.location.id]
    select = "results { outcome problem { code } payload { version } }"
    sent = await scenario.send(scenario.lead, "bulkGeneratePayloads", select, locationIds=ids, idempotencyKey=a_key())
    assert sent.payload["results"] == [
        {"outcome": "APPLIED", "problem": None, "payload": {"version": NEW}},
        {"outcome": "REFUSED", "problem": {"code": "NOT_READY"}, "payload": None},
    ]
    await state(scenario, suited.partners[0], [OLD])
    moved = {"status": "PROVISIONING", "idempotencyKey": a_key()}
    sent = await scenario.send(scenario.lead, "bulkUpdateStatus", select, locationIds=ids[:1], **moved)
    assert [each["problem"]["code"] for each in sent.payload["results"]] == ["ILLEGAL_TRANSITION"]


# What is handed over


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_direct_call_flow_hands_over_nothing_of_a_menu(scenario: Scenario, version: str) -> None:
    def direct(content: LocationContent) -> LocationContent:
        target = Target(kind=CallTarget.EXTENSION, extension_id=content.extensions[0].id)
        flow = CallFlow(
            kind=CallFlowKind.DIRECT,
            options=(CallFlowOption(digit="1", target=target),),
            timeout_target=target,
            invalid_target=target,
            direct_targets=(content.extensions[0].id,),
        )
        return replace(content, call_flow=flow)

    site = await a_site(scenario, [version], change=direct)
    flow = (await generate(scenario, site)).payload["payload"]["document"]["callFlow"]
    assert (flow["kind"], flow["extensions"]) == ("DIRECT", [site.location.content.extensions[0].number])
    assert (flow["options"], flow["timeoutTarget"], flow["invalidTarget"]) == ([], None, None)
