"""Breaking the glass: who may edit what is locked, for how long, and why nobody ships content alone."""

import pytest

from app.domain.vocabulary import LOCKED_STATUSES, LocationStatus
from tests.harness import first_row

from .scenario import Rollout, Scenario, Sent, a_key

S = LocationStatus
REASON = "Two phones were swapped on site."
OPENED = "override { id openedBy { id } editableSections reason ticket openedAt expiresAt endedAt }"


async def opened(scenario: Scenario, who: str, location: Rollout, **more: object) -> Sent:
    given = {"editableSections": ["DEVICES"], "reason": REASON, "ticket": "OPS-7", "expiresInMinutes": 30, **more}
    return await scenario.send(who, "openOverride", OPENED, locationId=location.id, **given)


async def edited(scenario: Scenario, who: str, location: Rollout, label: str, revision: int = 1) -> Sent:
    return await scenario.send(who, "editDevice", deviceId=location.device, expectedRevision=revision, label=label)


async def digest_of(scenario: Scenario, location: Rollout) -> str:
    review = f'{{ review(locationId: "{location.id}") {{ digest }} }}'
    return str((await scenario.client.ask(review, scenario.lead)).data["review"]["digest"])


async def approved(scenario: Scenario, who: str, location: Rollout) -> Sent:
    digest = await digest_of(scenario, location)
    return await scenario.send(
        who, "approve", "approval { reviewStatus digest }", locationId=location.id, expectedDigest=digest
    )


async def generated(scenario: Scenario, location: Rollout) -> Sent:
    select = "payload { id state sequence document }"
    return await scenario.send(scenario.lead, "generatePayload", select, locationId=location.id, idempotencyKey=a_key())


async def triggered(scenario: Scenario, location: Rollout) -> Sent:
    select = "payload { id state }"
    return await scenario.send(
        scenario.lead, "triggerProvisioning", select, locationId=location.id, idempotencyKey=a_key()
    )


async def test_the_whole_story_of_a_broken_glass(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    old = location.payload or ""
    assert (await edited(scenario, scenario.lead, location, "Too early")).outcome == "LOCKED"

    override = (await opened(scenario, scenario.lead, location)).payload["override"]
    assert (override["openedBy"], override["editableSections"], override["endedAt"]) == (
        {"id": scenario.lead},
        ["DEVICES"],
        None,
    )
    assert (await edited(scenario, scenario.lead_2, location, "Not mine")).outcome == "LOCKED"
    assert (await opened(scenario, scenario.lead_2, location)).outcome == "OVERRIDE_SCOPE"
    assert (await edited(scenario, scenario.lead, location, "Swapped")).outcome == "DONE"

    outdated = await generated(scenario, location)
    assert outdated.outcome == (await triggered(scenario, location)).outcome == "APPROVAL_OUTDATED"
    assert outdated.problem["currentDigest"] == await digest_of(scenario, location)
    assert (await scenario.state_of(location.id)).payloads == {old: "SUPERSEDED"}
    answer = {"payloadId": old, "documentDigest": location.payload_digest, "idempotencyKey": a_key()}
    superseded = await scenario.send(scenario.partner, "acknowledgePayload", **answer)
    assert (superseded.outcome, superseded.problem["by"]) == ("PAYLOAD_SUPERSEDED", None)

    assert (await approved(scenario, scenario.lead, location)).outcome == "SELF_APPROVAL"
    assert (await approved(scenario, scenario.lead_2, location)).payload["approval"] == {
        "reviewStatus": "APPROVED",
        "digest": await digest_of(scenario, location),
    }
    new = (await generated(scenario, location)).payload["payload"]
    assert (new["state"], new["sequence"], new["document"]["devices"][0]["label"]) == ("GENERATED", 3, "Swapped")
    assert (await triggered(scenario, location)).payload["payload"] == {"id": new["id"], "state": "RELEASED"}
    told = await scenario.send(scenario.partner, "acknowledgePayload", **{**answer, "idempotencyKey": a_key()})
    assert (told.outcome, told.problem["by"]) == ("PAYLOAD_SUPERSEDED", new["id"])

    closed = await scenario.send(scenario.lead, "closeOverride", OPENED, overrideId=override["id"])
    assert closed.payload["override"]["endedAt"] is not None
    assert (await edited(scenario, scenario.lead, location, "Too late", 2)).outcome == "LOCKED"
    trail = [(each["action"], each["outcome"], each["override_id"]) for each in await scenario.entries(location.id)]
    assert trail == [
        ("editDevice", "REFUSED", None),
        ("openOverride", "APPLIED", override["id"]),
        ("editDevice", "REFUSED", None),
        ("openOverride", "REFUSED", None),
        ("editDevice", "APPLIED", override["id"]),
        ("generatePayload", "REFUSED", None),
        ("triggerProvisioning", "REFUSED", None),
        ("acknowledgePayload", "REFUSED", None),
        ("approve", "REFUSED", None),
        ("approve", "APPLIED", None),
        ("generatePayload", "APPLIED", None),
        ("triggerProvisioning", "APPLIED", None),
        ("acknowledgePayload", "REFUSED", None),
        ("closeOverride", "APPLIED", override["id"]),
        ("editDevice", "REFUSED", None),
    ]


@pytest.mark.parametrize("status", sorted(LOCKED_STATUSES))
async def test_no_single_lead_ships_content_alone_by_any_way_round(scenario: Scenario, status: LocationStatus) -> None:
    """Whatever one lead does after an edit, no payload of the edited content gets out without somebody else."""
    location = await scenario.a_location(status)
    await opened(scenario, scenario.lead, location)
    await edited(scenario, scenario.lead, location, "All my own work")
    mine = await digest_of(scenario, location)
    override = (await scenario.record(location.id)).override
    assert override is not None

    async def attempts() -> None:
        assert (await approved(scenario, scenario.lead, location)).outcome != "DONE"
        assert (await generated(scenario, location)).outcome != "DONE"
        assert (await triggered(scenario, location)).outcome != "DONE"

    await attempts()
    await scenario.send(scenario.lead, "closeOverride", overrideId=override.id)
    await attempts()
    if status is S.PROVISIONING:
        await scenario.send(scenario.lead, "block", locationId=location.id, reason="Another way round")
        await scenario.send(scenario.lead, "unblock", locationId=location.id)
    else:
        await scenario.send(scenario.lead, "reopen", locationId=location.id, reason="Another way round")
    await attempts()
    assert (await scenario.send(scenario.lead, "submitOnboarding", locationId=location.id)).outcome == "DONE"
    await attempts()
    assert (await scenario.send(scenario.lead, "withdrawSubmission", locationId=location.id)).outcome == "DONE"
    assert (await scenario.send(scenario.lead, "submitOnboarding", locationId=location.id)).outcome == "DONE"
    await attempts()
    out = await scenario.connection.fetch(
        "SELECT state FROM turnup.provisioning_payload WHERE location_id = $1 AND content_digest = $2",
        location.id,
        mine,
    )
    assert out == []


@pytest.mark.parametrize("status", sorted(LOCKED_STATUSES))
async def test_an_edit_under_an_override_supersedes_what_was_not_acknowledged_and_nothing_else(
    scenario: Scenario, status: LocationStatus
) -> None:
    location = await scenario.a_location(status, override_of=scenario.lead, live=status is not S.COMPLETED)
    before = (await scenario.state_of(location.id)).payloads
    assert (await edited(scenario, scenario.lead, location, "Moved")).outcome == "DONE"
    became = {"GENERATED": "SUPERSEDED", "RELEASED": "SUPERSEDED"}
    assert (await scenario.state_of(location.id)).payloads == {
        payload: became.get(state, state) for payload, state in before.items()
    }


async def test_what_comes_back_to_the_approved_content_needs_no_new_approval_but_a_new_payload(
    scenario: Scenario,
) -> None:
    location = await scenario.a_location(S.PROVISIONING, override_of=scenario.lead)
    await edited(scenario, scenario.lead, location, "Away")
    await edited(scenario, scenario.lead, location, "Reception", 2)
    assert await digest_of(scenario, location) == location.digest
    new = (await generated(scenario, location)).payload["payload"]
    assert new["id"] != location.payload
    assert (await scenario.state_of(location.id)).payloads == {location.payload: "SUPERSEDED", new["id"]: "GENERATED"}


@pytest.mark.parametrize("status", sorted(set(S) - LOCKED_STATUSES))
async def test_there_is_nothing_to_override_on_an_unlocked_location(scenario: Scenario, status: LocationStatus) -> None:
    sent = await opened(scenario, scenario.lead, await scenario.a_location(status))
    assert (sent.outcome, sent.problem["status"]) == ("NOT_LOCKED", status)


@pytest.mark.parametrize(
    ("changes", "path", "field"),
    [
        ({"editableSections": []}, ["editableSections"], "editableSections"),
        ({"reason": "Too short"}, ["reason"], "reason"),
        ({"reason": "a\u200b b\u200b c\u200b d\u200b e"}, ["reason"], "reason"),
        ({"reason": "x" * 1001}, ["reason"], "reason"),
        ({"ticket": "x" * 121}, ["ticket"], "ticket"),
        ({"expiresInMinutes": 0}, ["expiresInMinutes"], "expiresInMinutes"),
        ({"expiresInMinutes": 481}, ["expiresInMinutes"], "expiresInMinutes"),
        ({"expiresInMinutes": -5}, ["expiresInMinutes"], "expiresInMinutes"),
    ],
)
async def test_an_override_is_not_opened_on_poor_terms(
    scenario: Scenario, changes: dict[str, object], path: list[str], field: str
) -> None:
    location = await scenario.a_location(S.APPROVED)
    sent = await opened(scenario, scenario.lead, location, **changes)
    assert (sent.outcome, sent.problem["path"], sent.problem["field"]) == ("INVALID_INPUT", path, field)
    assert (await scenario.state_of(location.id)).open_overrides == 0


@pytest.mark.parametrize("minutes", [1, 480])
async def test_an_override_lasts_from_one_minute_to_a_shift(scenario: Scenario, minutes: int) -> None:
    sent = await opened(scenario, scenario.lead, await scenario.a_location(S.APPROVED), expiresInMinutes=minutes)
    row = await first_row(
        scenario.connection,
        "SELECT expires_at - opened_at AS length FROM turnup.override WHERE id = $1",
        sent.payload["override"]["id"],
    )
    assert row["length"].total_seconds() == minutes * 60


async def test_an_expired_override_stands_in_nobodys_way_and_ended_when_it_expired(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED, override_of=scenario.lead)
    await scenario.expire(location.override or "")
    assert (await edited(scenario, scenario.lead, location, "Late")).outcome == "LOCKED"
    assert (await opened(scenario, scenario.lead_2, location)).outcome == "DONE"
    row = await first_row(scenario.connection, "SELECT * FROM turnup.override WHERE id = $1", location.override)
    assert row["ended_at"] == row["expires_at"]


@pytest.mark.parametrize("way", ["closeOverride", "reopen"])
async def test_what_ends_an_override_after_its_time_does_not_prolong_it(scenario: Scenario, way: str) -> None:
    location = await scenario.a_location(S.APPROVED, override_of=scenario.lead)
    await scenario.expire(location.override or "")
    if way == "reopen":
        await scenario.send(scenario.lead, "reopen", locationId=location.id, reason="A change order")
    else:
        await scenario.send(scenario.lead_2, "closeOverride", overrideId=location.override)
    row = await first_row(scenario.connection, "SELECT * FROM turnup.override WHERE id = $1", location.override)
    assert row["ended_at"] == row["expires_at"]


async def test_an_override_that_has_ended_stays_as_it_is(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED, override_of=scenario.lead)
    first = await scenario.send(scenario.lead_2, "closeOverride", OPENED, overrideId=location.override)
    again = await scenario.send(scenario.lead, "closeOverride", OPENED, overrideId=location.override)
    assert first.payload["override"]["endedAt"] is not None
    assert again.payload["override"] == first.payload["override"]
    assert [each["action"] for each in await scenario.entries(location.id)] == ["closeOverride"]


async def test_overrides_are_for_leads_alone(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED, override_of=scenario.lead)
    for who in (scenario.customer, scenario.partner):
        assert (await opened(scenario, who, location)).outcome == "FORBIDDEN"
        assert (await scenario.send(who, "closeOverride", overrideId=location.override)).outcome == "FORBIDDEN"
    assert (await scenario.state_of(location.id)).open_overrides == 1


async def test_the_status_change_that_ends_an_override_ends_the_editing(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED, override_of=scenario.lead)
    assert (await triggered(scenario, location)).outcome == "DONE"
    assert (await edited(scenario, scenario.lead, location, "Late")).outcome == "LOCKED"
