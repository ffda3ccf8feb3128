"""What clients may send that nobody should: the right problem at the right place, nothing written, and no bug."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from app.db import tables
from app.domain.vocabulary import LocationStatus, Role
from tests.builders_db import a_device_model, a_session, a_user, insert

from .edits import EDITS
from .inputs import OF_NO_LOCATION, Path, arranged, good_input, places_of_null, places_of_text, with_text
from .scenario import MUTATIONS, Rollout, Scenario, a_key

S = LocationStatus
NUL, BIDI, HALF = "a\0b", "a\u202eb", "a\u0007b"
CONTACT = {"purpose": "PRIMARY", "fullName": "Ida"}
EXTENSION = {"number": "1002"}
HOURS = {"weekday": 1, "opens": "09:00:00", "closes": "12:00:00"}
OPTION = {"digit": "1", "target": {"hangUp": True}}
OTHER = "an id of another location"

# mutation, what differs from a good input, the problem, and the place it is at
BAD: list[tuple[str, dict[str, Any], str, list[str]]] = [
    *(
        ("editDevice", {field: text}, "INVALID_INPUT", [field])
        for text in (NUL, BIDI, HALF, "x" * 61, "a\nb")
        for field in ("label", "model", "serialNumber")
    ),
    *(("editDevice", {"macAddress": mac}, "INVALID_INPUT", ["macAddress"]) for mac in ("zz", "80:5e", NUL, "1" * 41)),
    ("updateLocation", {"name": NUL}, "INVALID_INPUT", ["name"]),
    ("updateLocation", {"name": "x" * 121}, "INVALID_INPUT", ["name"]),
    ("updateLocation", {"timezone": BIDI}, "INVALID_INPUT", ["timezone"]),
    ("updateLocation", {"timezone": "x" * 65}, "INVALID_INPUT", ["timezone"]),
    ("updateLocation", {"address": {"city": NUL}}, "INVALID_INPUT", ["address", "city"]),
    ("updateLocation", {"address": {"country": "USA"}}, "INVALID_INPUT", ["address", "country"]),
    ("updateLocation", {"address": {"country": "us"}}, "INVALID_INPUT", ["address", "country"]),
    ("setPhoneSystem", {"mainNumber": NUL}, "INVALID_INPUT", ["mainNumber"]),
    ("setPhoneSystem", {"outboundPrefix": "12345"}, "INVALID_INPUT", ["outboundPrefix"]),
    ("setPhoneSystem", {"extensionLength": 7}, "INVALID_INPUT", ["extensionLength"]),
    ("setPhoneSystem", {"extensionLength": 1}, "INVALID_INPUT", ["extensionLength"]),
    ("setContacts", {"contacts": [{**CONTACT, "fullName": NUL}]}, "INVALID_INPUT", ["contacts", "0", "fullName"]),
    ("setContacts", {"contacts": [CONTACT, {**CONTACT, "email": NUL}]}, "INVALID_INPUT", ["contacts", "1", "email"]),
    ("setContacts", {"contacts": [{**CONTACT, "phone": "1" * 41}]}, "INVALID_INPUT", ["contacts", "0", "phone"]),
    ("setContacts", {"contacts": [CONTACT] * 9}, "LIMIT_REACHED", ["contacts"]),
    ("setContacts", {"contacts": [CONTACT, {**CONTACT, "id": OTHER}]}, "NOT_FOUND", ["contacts", "1", "id"]),
    ("setContacts", {"contacts": [{**CONTACT, "id": "contact-of-nobody"}]}, "NOT_FOUND", ["contacts", "0", "id"]),
    ("setContacts", {"contacts": [{**CONTACT, "id": NUL}]}, "INVALID_INPUT", ["contacts", "0", "id"]),
    ("addPerson", {"firstName": NUL}, "INVALID_INPUT", ["firstName"]),
    ("addPerson", {"email": "x" * 255}, "INVALID_INPUT", ["email"]),
    ("editPerson", {"mobile": BIDI}, "INVALID_INPUT", ["mobile"]),
    ("addDevice", {"macAddress": "not one"}, "INVALID_INPUT", ["macAddress"]),
    ("setExtensions", {"extensions": [EXTENSION] * 251}, "LIMIT_REACHED", ["extensions"]),
    ("setExtensions", {"extensions": [{"number": ""}]}, "INVALID_INPUT", ["extensions", "0", "number"]),
    ("setExtensions", {"extensions": [{"number": NUL}]}, "INVALID_INPUT", ["extensions", "0", "number"]),
    (
        "setExtensions",
        {"extensions": [EXTENSION, {"number": "1" * 17}]},
        "INVALID_INPUT",
        ["extensions", "1", "number"],
    ),
    *(
        ("setExtensions", {"extensions": [EXTENSION, {**EXTENSION, name: given}]}, code, ["extensions", "1", name])
        for name in ("id", "personId", "deviceId")
        for given, code in (
            (OTHER, "NOT_FOUND"),
            ("extension-of-nobody", "NOT_FOUND"),
            ("", "INVALID_INPUT"),
            (NUL, "INVALID_INPUT"),
        )
    ),
    ("setWorkingHours", {"intervals": [HOURS] * 43}, "LIMIT_REACHED", ["intervals"]),
    ("setWorkingHours", {"intervals": [{**HOURS, "weekday": 0}]}, "INVALID_INPUT", ["intervals", "0", "weekday"]),
    ("setWorkingHours", {"intervals": [{**HOURS, "opens": "09:00:30"}]}, "INVALID_INPUT", ["intervals", "0", "opens"]),
    *(
        ("setWorkingHours", {"intervals": [HOURS, {**HOURS, "id": each}]}, code, ["intervals", "1", "id"])
        for each, code in (
            (OTHER, "NOT_FOUND"),
            ("hours-of-nobody", "NOT_FOUND"),
            ("", "INVALID_INPUT"),
            (NUL, "INVALID_INPUT"),
        )
    ),
    *(
        (
            "setWorkingHours",
            {"intervals": [HOURS, {**HOURS, "closes": text}]},
            "INVALID_INPUT",
            ["intervals", "1", "closes"],
        )
        for text in ("12:00:00+02:00", "12:00:00.5", "12", "24:00", "25:00", "")
    ),
    ("updateLocation", {"name": None}, "INVALID_INPUT", ["name"]),
    ("updateLocation", {"address": None}, "INVALID_INPUT", ["address"]),
    ("setPhoneSystem", {"voicemail": None}, "INVALID_INPUT", ["voicemail"]),
    ("editDevice", {"brand": None}, "INVALID_INPUT", ["brand"]),
    ("editPerson", {"voicemail": None}, "INVALID_INPUT", ["voicemail"]),
    ("setCallFlow", {"options": [OPTION] * 101}, "LIMIT_REACHED", ["options"]),
    ("setCallFlow", {"options": [{**OPTION, "digit": "123"}]}, "INVALID_INPUT", ["options", "0", "digit"]),
    ("setCallFlow", {"greeting": NUL}, "INVALID_INPUT", ["greeting"]),
    ("setCallFlow", {"greeting": "x" * 2001}, "INVALID_INPUT", ["greeting"]),
    ("setCallFlow", {"timeoutSeconds": 0}, "INVALID_INPUT", ["timeoutSeconds"]),
    ("setCallFlow", {"retries": 11}, "INVALID_INPUT", ["retries"]),
    ("setCallFlow", {"directTargets": ["x"] * 101}, "LIMIT_REACHED", ["directTargets"]),
    ("setCallFlow", {"directTargets": ["extension-1", NUL]}, "INVALID_INPUT", ["directTargets", "1"]),
    (
        "setCallFlow",
        {"options": [{"digit": "1", "target": {"extensionId": NUL}}]},
        "INVALID_INPUT",
        ["options", "0", "target", "extensionId"],
    ),
    (
        "setCallFlow",
        {"timeoutTarget": {"externalNumber": BIDI}},
        "INVALID_INPUT",
        ["timeoutTarget", "externalNumber"],
    ),
    *(
        (
            "setCallFlow",
            {"options": [{**OPTION, "target": {name: False}}]},
            "INVALID_INPUT",
            ["options", "0", "target", name],
        )
        for name in ("hangUp", "voicemailOfLocation")
    ),
    (
        "setCallFlow",
        {"invalidTarget": {"voicemailOfExtensionId": NUL}},
        "INVALID_INPUT",
        ["invalidTarget", "voicemailOfExtensionId"],
    ),
    ("editDevice", {"idempotencyKey": NUL}, "INVALID_INPUT", ["idempotencyKey"]),
    ("editDevice", {"idempotencyKey": ""}, "INVALID_INPUT", ["idempotencyKey"]),
    ("editDevice", {"idempotencyKey": "k" * 256}, "INVALID_INPUT", ["idempotencyKey"]),
]


def named(case: tuple[str, dict[str, Any], str, list[str]]) -> str:
    return f"{case[0]}-{'.'.join(case[3])}-{case[2]}"


def with_ids_of(value: Any, other: dict[str, str], name: str = "") -> Any:
    """The input with the ids of another location where the table says so."""
    if isinstance(value, dict):
        return {key: with_ids_of(each, other, key) for key, each in value.items()}
    if isinstance(value, list):
        return [with_ids_of(each, other, name) for each in value]
    return other[name] if value == OTHER else value


@pytest.mark.parametrize("case", BAD, ids=named)
async def test_a_value_that_cannot_be_is_refused_at_its_place_and_nothing_is_written(
    scenario: Scenario, rest: dict[LocationStatus, Rollout], case: tuple[str, dict[str, Any], str, list[str]]
) -> None:
    mutation, changes, code, path = case
    location = rest[S.IN_PROGRESS]
    before = await scenario.state_of(location.id)
    for account in (scenario.account, scenario.away) if OTHER in str(changes) else (scenario.account,):
        other = await scenario.a_location(S.IN_PROGRESS, account=account) if OTHER in str(changes) else location
        ids = {
            "id": {"setContacts": other.contact, "setWorkingHours": other.hours}.get(mutation, other.extension),
            "personId": other.person,
            "deviceId": other.device,
        }
        sent = await scenario.send(
            scenario.customer, mutation, **{**EDITS[mutation](location), **with_ids_of(changes, ids)}
        )
        assert (sent.outcome, sent.problem.get("path")) == (code, path)
        assert await scenario.state_of(location.id) == before


TEXTS = [(mutation, place) for mutation in sorted(MUTATIONS) for place in places_of_text(mutation)]


@pytest.mark.parametrize(("mutation", "place"), TEXTS, ids=lambda each: each if isinstance(each, str) else None)
async def test_every_text_input_of_the_schema_is_validated_in_the_same_way(
    scenario: Scenario, mutation: str, place: Path
) -> None:
    who, location = await arranged(scenario, mutation)
    before = await scenario.state_of(location.id)
    for text in (NUL, BIDI, HALF, "x" * 5000):
        given = with_text(good_input(mutation, location, location), place, text)
        if mutation in OF_NO_LOCATION and "userId" in given:
            given["userId"] = scenario.clerk
        if "policy" in given and text != NUL:  # each item of a bulk answers for itself
            sent = await scenario.send(who, mutation, "results { problem { code path } }", **given)
            (told,) = [each["problem"] for each in sent.payload["results"]]
        else:
            told = (await scenario.send(who, mutation, **given)).problem
        assert (told.get("code"), told.get("path")) == ("INVALID_INPUT", [str(step) for step in place])
    assert replace(await scenario.state_of(location.id), entries=0) == replace(before, entries=0)


NULLS = [(mutation, place) for mutation in sorted(MUTATIONS) for place in places_of_null(mutation)]


@pytest.mark.parametrize(("mutation", "place"), NULLS, ids=lambda each: each if isinstance(each, str) else None)
async def test_null_is_answered_wherever_a_mutation_takes_it(scenario: Scenario, mutation: str, place: Path) -> None:
    who, location = await arranged(scenario, mutation)
    given = with_text(good_input(mutation, location, location), place, None)
    if mutation in OF_NO_LOCATION and "userId" in given:
        async with scenario.arranging():
            given["userId"] = await a_user(scenario.connection, Role.PARTNER)
    if "sessionId" in given:
        async with scenario.arranging():
            given["sessionId"] = await a_session(scenario.connection, who)
    if "deviceModelId" in given:  # the devices of other tests have the models of the demo data
        async with scenario.arranging():
            given["deviceModelId"] = await a_device_model(scenario.connection)
    if mutation == "setDeviceModels":
        found = await scenario.connection.fetch("SELECT brand, model AS name, lines FROM turnup.device_model")
        given["models"] += map(dict, found)
    sent = await scenario.send(who, mutation, **given)
    assert not sent.error
    assert "null" not in sent.problem.get("message", "")
    await scenario.retire(location)


@pytest.mark.parametrize(
    ("mutation", "changes"),
    [
        ("editDevice", {"brand": "NOKIA"}),
        ("editDevice", {"expectedRevision": 2**31}),
        ("editDevice", {"expectedRevision": "1"}),
        ("editDevice", {"nobodyKnows": 1}),
        ("editDevice", {"label": {"a": 1}}),
        ("setWorkingHours", {"intervals": [{**HOURS, "opens": 9}]}),
        ("setWorkingHours", {"intervals": None}),
        ("setContacts", {"contacts": [None]}),
        ("setCurrentStep", {"step": "NOWHERE"}),
        *(
            ("setCallFlow", {"timeoutTarget": target})
            for target in ({}, {"hangUp": None}, {"hangUp": True, "voicemailOfLocation": True}, {"kind": "HANG_UP"})
        ),
    ],
)
async def test_a_value_of_the_wrong_type_is_bad_user_input(
    scenario: Scenario, mutation: str, changes: dict[str, Any]
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    sent = await scenario.send(scenario.customer, mutation, **{**EDITS[mutation](location), **changes})
    assert sent.outcome == "BAD_USER_INPUT"
    assert (await scenario.state_of(location.id)).revision == 1


@pytest.mark.parametrize(("mutation", "table"), [("addDevice", tables.device), ("addPerson", tables.person)])
async def test_the_two_hundred_and_fifty_first_is_one_too_many(scenario: Scenario, mutation: str, table: Any) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    brand = {"brand": "YEALINK"} if mutation == "addDevice" else {}
    key = {"account_id": scenario.account, "location_id": location.id}
    async with scenario.arranging():
        for place in range(248):
            await insert(scenario.connection, table, id=f"{table.name}-{location.id}-n{place}", **key, **brand)
    given = EDITS[mutation](location)
    assert (await scenario.send(scenario.customer, mutation, **given)).outcome == "DONE"
    sent = await scenario.send(scenario.customer, mutation, **given)
    assert (sent.outcome, sent.problem["limit"]) == ("LIMIT_REACHED", 250)


async def test_nothing_is_locked_for_a_caller_out_of_whose_reach_it_is(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    async with scenario.connection.transaction():
        await scenario.connection.fetch("SELECT id FROM turnup.location WHERE id = $1 FOR UPDATE", location.id)
        for who in (scenario.away_customer, scenario.listed):
            sent = await asyncio.wait_for(scenario.send(who, "editDevice", **EDITS["editDevice"](location)), 30)
            assert sent.outcome == "NOT_FOUND"


async def test_a_contact_named_twice_is_refused(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    twice = [{**CONTACT, "id": location.contact}] * 2
    sent = await scenario.send(
        scenario.customer, "setContacts", locationId=location.id, expectedRevision=1, contacts=twice
    )
    assert (sent.outcome, sent.problem["path"]) == ("INVALID_INPUT", ["contacts"])


async def test_a_partners_reasons_have_to_be_readable(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PROVISIONING)
    good = {"path": "/devices", "code": "X", "message": "Not ours."}
    bad: list[tuple[Any, str, list[str]]] = [
        ([], "INVALID_INPUT", ["reasons"]),
        ([good] * 101, "LIMIT_REACHED", ["reasons"]),
        ([good, {**good, "path": "devices"}], "INVALID_INPUT", ["reasons", "1", "path"]),
        ([{**good, "code": "x" * 65}], "INVALID_INPUT", ["reasons", "0", "code"]),
        ([{**good, "message": NUL}], "INVALID_INPUT", ["reasons", "0", "message"]),
    ]
    for reasons, code, path in bad:
        answer = {"payloadId": location.payload, "reasons": reasons, "idempotencyKey": a_key()}
        sent = await scenario.send(scenario.partner, "rejectPayload", **answer)
        assert (sent.outcome, sent.problem["path"]) == (code, path)
    assert (await scenario.state_of(location.id)).status == S.PROVISIONING
