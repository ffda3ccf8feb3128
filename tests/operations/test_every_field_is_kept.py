"""Every field of the content that a mutation takes is kept: sent alone, it is read back."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNonNull, get_named_type

from app.domain.vocabulary import LocationStatus
from tests.builders_db import fresh
from tests.harness import least_fields

from .edits import CONTENT_EDITS
from .scenario import MUTATIONS, Scenario, input_fields

Path = tuple[str, ...]

# What is sent; it differs from what the location has. A field of the schema that is missing here fails its test.
SAMPLES: Mapping[str, Any] = {
    "CreateLocationInput.name": "name",
    "CreateLocationInput.timezone": "America/Chicago",
    "CreateLocationInput.siteCode": "Store 7",
    "UpdateLocationInput.name": "name",
    "UpdateLocationInput.timezone": "America/Chicago",
    "UpdateLocationInput.siteCode": "Store 8",
    "AddressInput.line1": "9 Elm Street",
    "AddressInput.line2": "Floor 3",
    "AddressInput.city": "Salem",
    "AddressInput.state": "OR",
    "AddressInput.zipcode": "97301",
    "AddressInput.country": "CA",
    "ContactInput.purpose": "EMERGENCY",
    "ContactInput.fullName": "Ida Frost",
    "ContactInput.email": "ida@dune.example",
    "ContactInput.phone": "+1 212 555 0177",
    "SetPhoneSystemInput.mainNumber": "+1 212 555 0178",
    "SetPhoneSystemInput.callerIdName": "DUNE",
    "SetPhoneSystemInput.provider": "Carrier Two",
    "SetPhoneSystemInput.outboundPrefix": "9",
    "SetPhoneSystemInput.voicemail": False,
    "SetPhoneSystemInput.extensionLength": 5,
    "AddDeviceInput.brand": "POLY",
    "AddDeviceInput.model": "VVX 450",
    "AddDeviceInput.macAddress": "00:04:F2:00:00:AA",
    "AddDeviceInput.serialNumber": "SN-0042",
    "AddDeviceInput.label": "Front desk",
    "EditDeviceInput.brand": "POLY",
    "EditDeviceInput.model": "VVX 450",
    "EditDeviceInput.macAddress": "00:04:F2:00:00:AB",
    "EditDeviceInput.serialNumber": "SN-0043",
    "EditDeviceInput.label": "Front desk",
    "AddPersonInput.firstName": "Ida",
    "AddPersonInput.lastName": "Frost",
    "AddPersonInput.email": "ida@dune.example",
    "AddPersonInput.mobile": "+1 212 555 0179",
    "AddPersonInput.voicemail": True,
    "EditPersonInput.firstName": "Ida",
    "EditPersonInput.lastName": "Frost",
    "EditPersonInput.email": "ida@dune.example",
    "EditPersonInput.mobile": "+1 212 555 0179",
    "EditPersonInput.voicemail": False,
    "ExtensionInput.number": "1002",
    "ExtensionInput.label": "Desk",
    "ExtensionInput.personId": "person",
    "ExtensionInput.deviceId": "device",
    "WorkingIntervalInput.weekday": 7,
    "WorkingIntervalInput.opens": "06:15:00",
    "WorkingIntervalInput.closes": "23:45:00",
    "WorkingIntervalInput.passesMidnight": True,
    "SetCallFlowInput.kind": "DIRECT",
    "SetCallFlowInput.greeting": "You have reached Dune Opticians.",
    "SetCallFlowInput.timeoutSeconds": 9,
    "SetCallFlowInput.retries": 4,
    "SetCallFlowInput.directTargets": ["extension"],
    "CallFlowOptionInput.digit": "#",
    "TargetInput.extensionId": "extension",
    "TargetInput.voicemailOfExtensionId": "extension",
    "TargetInput.voicemailOfLocation": True,
    "TargetInput.externalNumber": "+1 212 555 0180",
    "TargetInput.hangUp": True,
}
# What names the object to be changed, and is no content.
_KEYS = frozenset({"locationId", "accountId", "deviceId", "personId", "expectedRevision", "idempotencyKey"})
# Where the payload of a mutation has what its input is about.
_ANSWERED: Mapping[str, Path] = {
    "addDevice": ("device",),
    "editDevice": ("device",),
    "addPerson": ("person",),
    "editPerson": ("person",),
    "setPhoneSystem": ("location", "phoneSystem"),
    "setCallFlow": ("location", "callFlow"),
}
# Fields that are read under another name; the last of these names is that of a field of an object.
_READ_AS: Mapping[str, Path] = {
    "intervals": ("workingHours",),
    "personId": ("person", "id"),
    "deviceId": ("device", "id"),
    "extensionId": ("extension", "id"),
    "voicemailOfExtensionId": ("extension", "id"),
    "voicemailOfLocation": ("kind",),
    "hangUp": ("kind",),
    "directTargets": ("directTargets", "id"),
}
# What is read for a field that is true.
_CHOSEN: Mapping[str, str] = {"voicemailOfLocation": "VOICEMAIL", "hangUp": "HANG_UP"}


def _places(mutation: str) -> Iterator[Path]:
    """Where a mutation's input has a value of the content."""
    for name, field in input_fields(mutation).items():
        if name not in _KEYS:
            yield from _within(get_named_type(field.type), (name,))


def _within(kind: Any, path: Path) -> Iterator[Path]:
    if not isinstance(kind, GraphQLInputObjectType):
        yield path
        return
    for name, field in kind.fields.items():
        if name != "id":
            yield from _within(get_named_type(field.type), (*path, name))


PLACES = [(mutation, place) for mutation in (*CONTENT_EDITS, "createLocation") for place in _places(mutation)]


@pytest.mark.parametrize(("mutation", "place"), PLACES, ids=[f"{each}-{'.'.join(at)}" for each, at in PLACES])
async def test_a_field_that_is_sent_alone_is_read_back(scenario: Scenario, mutation: str, place: Path) -> None:
    location = await scenario.a_location(LocationStatus.IN_PROGRESS)
    names = {"person": location.person, "device": location.device, "extension": location.extension}
    names["name"] = fresh("Dune Opticians")
    about = {
        "locationId": location.id,
        "accountId": location.content.account_id,
        "deviceId": location.device,
        "personId": location.person,
        "expectedRevision": 1,
    }
    given = _given(get_named_type(MUTATIONS[mutation].args["input"].type), place, names)
    given |= {name: value for name, value in about.items() if name in input_fields(mutation)}
    read = (*_ANSWERED.get(mutation, ("location",)), *(step for name in place for step in _READ_AS.get(name, (name,))))

    sent = await scenario.send(scenario.lead, mutation, _selection(read), **given)

    assert sent.outcome == "DONE", sent
    assert _found(sent.payload, read) == _sent(given, place)
    await scenario.retire(location)


def _given(kind: GraphQLInputObjectType, place: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """An input with a sample at a place, and beside it nothing but what is required."""
    given: dict[str, Any] = {}
    required = () if kind.is_one_of and place else least_fields(kind)
    for name, field in kind.fields.items():
        is_wanted = bool(place) and name == place[0]
        if not is_wanted and (name in _KEYS or name not in required):
            continue
        below = get_named_type(field.type)
        deeper = place[1:] if is_wanted else ()
        if isinstance(below, GraphQLInputObjectType):
            value: Any = _given(below, deeper, names)
            listed = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
            given[name] = [value] if isinstance(listed, GraphQLList) else value
        else:
            given[name] = _sample(f"{kind.name}.{name}", names)
    return given


def _sample(field: str, names: Mapping[str, str]) -> Any:
    assert field in SAMPLES, f"no sample value for {field}"
    value = SAMPLES[field]
    return [names[each] for each in value] if isinstance(value, list) else names.get(value, value)


def _selection(path: Path) -> str:
    first, *rest = path
    return f"{first} {{ {_selection(tuple(rest))} }}" if rest else first


def _found(answer: Any, path: Path) -> Any:
    """The value at a path of an answer; lists on the way have one member."""
    for name in path:
        if isinstance(answer, list):
            (answer,) = answer
        answer = answer[name]
    return answer


def _sent(given: Any, place: Path) -> Any:
    found = _CHOSEN.get(place[-1], _found(given, place))
    return found[0] if isinstance(found, list) else found
