"""The filter `viewerCan: APPROVE` lists exactly what `viewerActions` offers to approve, to each viewer."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from app.domain.content import LocationContent
from app.domain.readiness.findings import FINDINGS
from app.domain.vocabulary import Gate, IssueCode, LocationStatus
from tests.builders_db import fresh

from .scenario import LOCKED, Rollout, Scenario, complete_content
from .test_confirmations import id_of, labelled, submitted
from .test_confirmations import made as made_by

S = LocationStatus
LOCATIONS = """query($filter: LocationFilter, $order: LocationOrder!, $first: Int!, $after: String) {
  page: locations(filter: $filter, orderBy: $order, first: $first, after: $after) {
    nodes { id } totalCount pageInfo { hasNextPage endCursor } } }"""
APPROVALS = """query($filter: ApprovalFilter, $order: ApprovalOrder!, $first: Int!, $after: String) {
  page: approvals(filter: $filter, orderBy: $order, first: $first, after: $after) {
    nodes { id reviewStatus location { id } } totalCount pageInfo { hasNextPage endCursor } } }"""
OFFERED = """query($filter: LocationFilter, $after: String) { locations(filter: $filter, first: 50, after: $after) {
  nodes { id viewerActions { action allowed } approvals { reviewStatus } } pageInfo { hasNextPage endCursor } } }"""

LEADS = ("lead", "lead_2", "scoped_lead")
SUBMITTERS = ("customer", "lead", "scoped_lead", "a user of lead")
EDITORS = ("nobody", "customer", "lead", "scoped_lead")
DEFECTS = ("none", "no hours", "no address", "an address in use")


async def listed(scenario: Scenario, who: str, query: str, first: int, **given: Any) -> list[dict[str, Any]]:
    """The nodes of all pages of a list, which are as many as it says."""
    nodes: list[dict[str, Any]] = []
    total, after, more = 0, None, True
    while more:
        page = (await scenario.client.ask(query, who, first=first, after=after, **given)).data["page"]
        nodes += page["nodes"]
        total, after, more = page["totalCount"], page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert total == len(nodes)
    return nodes


async def offered(scenario: Scenario, who: str, account: str) -> dict[str, bool]:
    """The locations of an account for which `viewerActions` says that the viewer can approve them.

    With each, whether it has an open request: other tests arrange locations without any.
    """
    found: dict[str, bool] = {}
    after, more = None, True
    while more:
        answer = await scenario.client.ask(OFFERED, who, filter={"accountId": account}, after=after)
        page = answer.data["locations"]
        found |= {
            node["id"]: any(each["reviewStatus"] == "PENDING" for each in node["approvals"])
            for node in page["nodes"]
            if any(each["action"] == "APPROVE" and each["allowed"] for each in node["viewerActions"])
        }
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return found


async def agrees(scenario: Scenario, who: str, account: str) -> set[str]:
    """Compare both filters with `viewerActions`, in every order. Returns the locations that the viewer can approve."""
    expected = await offered(scenario, who, account)
    given = {"filter": {"accountId": account, "viewerCan": "APPROVE"}}
    for field in ("NAME", "UPDATED_AT"):
        for direction in ("ASC", "DESC"):
            order = {"field": field, "direction": direction}
            nodes = await listed(scenario, who, LOCATIONS, 20, **given, order=order)
            assert sorted(node["id"] for node in nodes) == sorted(expected)
    for direction in ("ASC", "DESC"):
        order = {"field": "REQUESTED_AT", "direction": direction}
        nodes = await listed(scenario, who, APPROVALS, 20, **given, order=order)
        assert {(node["location"]["id"], node["reviewStatus"]) for node in nodes} == {
            (each, "PENDING") for each, is_requested in expected.items() if is_requested
        }
        assert len(nodes) == sum(expected.values())
    return set(expected)


async def submission(scenario: Scenario, submitter: str, editor: str, defect: str) -> Rollout:
    """A submitted location. "a user of lead" is a customer whom a lead made up, after editing the location itself."""
    content = _content(scenario, defect)
    given: dict[str, Any] = {"content": content, "name": content.location_id}
    if submitter == "a user of lead":
        location = await scenario.a_location(S.IN_PROGRESS, **given)
        await labelled(scenario, scenario.lead, location)
        customer = await made_by(scenario, scenario.lead, "CUSTOMER", accountId=scenario.account)
        await submitted(scenario, customer, location)
    else:
        location = await scenario.a_location(S.PENDING_APPROVAL, submitted_by=getattr(scenario, submitter), **given)
    if defect == "no hours":
        location = await scenario.without_hours(location)
    if editor != "nobody":
        revision = (await scenario.revisions(location.id))[location.device]
        await labelled(scenario, getattr(scenario, editor), location, revision)
    return location


def _content(scenario: Scenario, defect: str) -> LocationContent:
    content = complete_content(fresh("location"), scenario.account)
    if defect != "no address":
        return content
    return replace(content, devices=tuple(replace(each, mac_address=None) for each in content.devices))


def is_approvable(who: str, submitter: str, editor: str, defect: str) -> bool:
    """Whether a lead can approve a submission, in the words of docs/rules.md."""
    workers = {"lead"} if submitter == "a user of lead" else {submitter}
    return defect == "none" and who not in workers | {editor}


async def lend(scenario: Scenario, mac: str, holder: Rollout) -> None:
    """Give the claim of an address to another location, as before claims followed live payloads."""
    async with scenario.arranging():
        await scenario.connection.execute(
            "UPDATE turnup.mac_claim SET location_id = $2, account_id = $3 WHERE mac = $1",
            mac,
            holder.id,
            holder.content.account_id,
        )


async def test_the_filter_lists_exactly_what_is_offered_to_each_viewer(
    scenario: Scenario, lenient_scenario: Scenario
) -> None:
    """Every submitter, editor and defect together; and every status, with content that is or is not the approved."""
    made = {each: await submission(scenario, *each) for each in product(SUBMITTERS, EDITORS, DEFECTS)}
    others = [await scenario.a_location(status, moved=moved) for status in S for moved in (False, status in LOCKED)]
    plain = {each.id for each in others if each.status is S.PENDING_APPROVAL}
    holder = await scenario.a_location(S.APPROVED, account=scenario.away)
    taken = [location for (_, _, defect), location in made.items() if defect == "an address in use"]
    for location in taken:
        await lend(scenario, location.mac, holder)
    ours = plain | {location.id for location in made.values()}
    for who in LEADS:
        expected = {location.id for each, location in made.items() if is_approvable(who, *each)} | plain
        assert await agrees(scenario, getattr(scenario, who), scenario.account) & ours == expected
        assert await agrees(lenient_scenario, getattr(scenario, who), scenario.account) & ours == plain | {
            location.id for (_, _, defect), location in made.items() if defect == "none"
        }
    for who in ("away_lead", "customer", "listed", "away_customer"):
        assert await agrees(scenario, getattr(scenario, who), scenario.account) == set()
    for location in taken:
        await lend(scenario, location.mac, location)
    assert {location.id for location in taken} & await agrees(scenario, scenario.lead_2, scenario.account) == {
        location.id
        for each, location in made.items()
        if each[2] == "an address in use" and is_approvable("lead_2", *each[:2], "none")
    }


async def test_a_lead_who_becomes_confirmed_can_approve(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL)
    subject = await made_by(scenario, scenario.lead)
    assert await agrees(scenario, subject, scenario.account) == set()
    user = await id_of(scenario, subject)
    assert (await scenario.send(scenario.lead_2, "confirmUser", userId=user)).outcome == "DONE"
    assert location.id in await agrees(scenario, subject, scenario.account)


@pytest.mark.parametrize("status", ["APPROVED", "WITHDRAWN"])
async def test_the_filter_and_a_status_that_cannot_be_approved_have_no_request_in_common(
    scenario: Scenario, status: str
) -> None:
    await scenario.a_location(S.PENDING_APPROVAL)
    order = {"field": "REQUESTED_AT", "direction": "ASC"}
    given = {"filter": {"viewerCan": "APPROVE", "reviewStatus": [status]}, "order": order}
    assert await listed(scenario, scenario.lead, APPROVALS, 50, **given) == []


@pytest.mark.parametrize("who", ["partner", "auditor"])
@pytest.mark.parametrize("query", [LOCATIONS, APPROVALS])
async def test_roles_without_locations_are_refused(scenario: Scenario, who: str, query: str) -> None:
    order = {"field": "NAME" if query is LOCATIONS else "REQUESTED_AT", "direction": "ASC"}
    given: dict[str, Any] = {"filter": {"viewerCan": "APPROVE"}, "order": order, "first": 1}
    assert (await scenario.client.ask(query, getattr(scenario, who), **given)).codes == ["FORBIDDEN"]


def test_only_a_missing_address_blocks_approval_and_not_submission() -> None:
    """The filter reads the stored completeness, which is about submission, and looks for missing addresses itself."""
    beyond = {code for code, each in FINDINGS.items() if Gate.APPROVE in each.blocks and Gate.SUBMIT not in each.blocks}
    assert beyond == {IssueCode.MAC_MISSING}
