"""An id in an input that belongs to another location is answered like one that does not exist, and is not stored."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, get_named_type

from app.domain.vocabulary import LocationStatus

from .inputs import Path, good_input, with_text
from .scenario import MUTATIONS, Rollout, Scenario, input_fields

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
# The rows of a location that an input can name, by the name of the field.
ROWS = {
    "extensionId": "extension",
    "voicemailOfExtensionId": "extension",
    "directTargets": "extension",
    "personId": "person",
    "deviceId": "device",
}
FLOW = "location { callFlow { directTargets { id } timeoutTarget { extension { id } } } readiness { code path } }"


def places(fields: Any, above: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where an input names a row of its location: the place, and the kind of row."""
    for name, field in fields.items():
        kind, within = get_named_type(field.type), (*above, name)
        is_list = "[" in str(field.type)
        if isinstance(kind, GraphQLInputObjectType):
            yield from places(kind.fields, (*within, 0) if is_list else within)
        elif name in ROWS and "locationId" not in (above or ("locationId",)):
            yield (*within, 0) if is_list else within, ROWS[name]
        elif name == "directTargets":
            yield (*within, 0), ROWS[name]


NAMED = [
    (mutation, place, row)
    for mutation in sorted(MUTATIONS)
    if "locationId" in input_fields(mutation)
    for place, row in places(input_fields(mutation))
]


def test_every_target_of_a_call_flow_and_every_row_of_an_extension_is_among_the_places() -> None:
    assert {(mutation, place) for mutation, place, _ in NAMED} == {
        *(
            ("setCallFlow", (*target, name))
            for target in (("options", 0, "target"), ("timeoutTarget",), ("invalidTarget",))
            for name in ("extensionId", "voicemailOfExtensionId")
        ),
        ("setCallFlow", ("directTargets", 0)),
        ("setExtensions", ("extensions", 0, "personId")),
        ("setExtensions", ("extensions", 0, "deviceId")),
    }


@pytest.mark.parametrize(
    ("mutation", "place", "row"), NAMED, ids=lambda each: "-".join(map(str, each)) if isinstance(each, tuple) else each
)
async def test_a_row_of_another_location_is_answered_like_one_that_does_not_exist(
    scenario: Scenario, mutation: str, place: Path, row: str
) -> None:
    here, other = await scenario.a_location(S.IN_PROGRESS), await scenario.a_location(S.IN_PROGRESS)
    good = good_input(mutation, here, other)
    answers = []
    for who in (scenario.lead, scenario.customer):
        for named in (f"{row}-{other.id}", "extension-1", "missing-1"):
            given = with_text(good, place, named)
            answers.append(await scenario.send(who, mutation, **{**given, "idempotencyKey": None}))
    assert {each.outcome for each in answers} == {"NOT_FOUND"}
    assert {tuple(each.problem["path"]) for each in answers} == {tuple(map(str, place))}
    assert len({each.problem["message"] for each in answers}) == 1
    assert (await scenario.state_of(here.id)).revision == 1


async def test_a_target_whose_extension_is_removed_stays_and_is_reported(scenario: Scenario) -> None:
    here = await scenario.a_location(S.IN_PROGRESS)
    target = {"extensionId": here.extension}
    flow = {"kind": "IVR", "timeoutTarget": target, "invalidTarget": target, "greeting": "Welcome."}
    assert (await sent_flow(scenario, here, **flow)).outcome == "DONE"
    given = {"locationId": here.id, "expectedRevision": (await scenario.revisions(here.id))["EXTENSIONS"]}
    removed = await scenario.send(scenario.customer, "setExtensions", FLOW, **given, extensions=[])
    location = removed.payload["location"]
    assert location["callFlow"]["timeoutTarget"] == {"extension": None}
    found = {(each["code"], each["path"]) for each in location["readiness"]}
    assert {("TARGET_DANGLING", "/callFlow/timeoutTarget"), ("TARGET_DANGLING", "/callFlow/invalidTarget")} <= found
    again = await sent_flow(scenario, here, **flow)
    assert (again.outcome, again.problem["path"]) == ("NOT_FOUND", ["timeoutTarget", "extensionId"])


async def sent_flow(scenario: Scenario, here: Rollout, **flow: Any) -> Any:
    revision = (await scenario.revisions(here.id))["CALL_FLOW"]
    given = {"locationId": here.id, "expectedRevision": revision, **flow}
    return await scenario.send(scenario.customer, "setCallFlow", FLOW, **given)
