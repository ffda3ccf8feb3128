"""What every content edit shares: the lock, the first edit that starts a session, values as they are kept."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, TypeVar

from app.domain import ids
from app.domain.content import Contact, Device, LocationContent, Person, PhoneSystem, Target
from app.domain.dialling import e164_of
from app.domain.limits import check_range
from app.domain.locks import decide_edit
from app.domain.mac_address import read_mac
from app.domain.refusals import InvalidInput, NotFound
from app.domain.text import clean
from app.domain.vocabulary import LocationStatus, Section, Verb
from app.operations.aggregate import Aggregate
from app.operations.context import LocationChange

T = TypeVar("T", Contact, Device, Person)

Path = tuple[str, ...]


def permitted(aggregate: Aggregate, *sections: Section) -> str | None:
    """The id of the override to edit these sections under, None where none is needed. Raises Locked, OverrideScope."""
    override = decide_edit(
        aggregate.status, frozenset(sections), aggregate.record.override, aggregate.viewer, aggregate.now
    )
    return override.id if override else None


def edited(
    aggregate: Aggregate, section: Section, override_id: str | None, content: LocationContent, **made: str
) -> LocationChange:
    """The change of an edit; the first one starts the onboarding."""
    first = aggregate.status is LocationStatus.NOT_STARTED
    return LocationChange(
        content=content,
        sections=frozenset({section}),
        transition=aggregate.transition(Verb.START) if first else None,
        override_id=override_id,
        ids=made,
    )


def found(rows: tuple[T, ...], row_id: str) -> T:
    """The row with this id; raises NotFound."""
    for row in rows:
        if row.id == row_id:
            return row
    raise NotFound


def patched(row: T, fields: Mapping[str, Any]) -> T:
    """The row with these fields."""
    return replace(row, **fields)


def put(rows: tuple[T, ...], changed: T) -> tuple[T, ...]:
    """The rows with one of them changed."""
    return tuple(changed if row.id == changed.id else row for row in rows)


def without(rows: tuple[T, ...], row_id: str) -> tuple[T, ...]:
    """The rows without one of them."""
    return tuple(row for row in rows if row.id != row_id)


def texts(entity: str, given: Mapping[str, Any], names: Mapping[str, str], path: Path) -> dict[str, str | None]:
    """Those of the named text fields that are given, as they are kept; `names` maps a field to its name in the API."""
    return {
        field: clean(f"{entity}.{name}", given[field], path=(*path, name))
        for field, name in names.items()
        if field in given
    }


def address_fields(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields of an address."""
    names = {name: name for name in ("line1", "line2", "city", "state", "zipcode", "country")}
    return texts("address", given, names, path)


def contact_fields(given: Mapping[str, Any], country: str | None, path: Path) -> dict[str, Any]:
    """The fields of a contact."""
    fields: dict[str, Any] = texts("contact", given, {"name": "name", "email": "email", "phone": "phone"}, path)
    if "phone" in fields:
        fields["e164"] = e164_of(fields["phone"], country)
    return fields | _kept(given, "purpose")


def phone_system_fields(given: Mapping[str, Any], country: str | None, path: Path) -> dict[str, Any]:
    """The fields of a phone system."""
    names = {
        "main_number": "mainNumber",
        "caller_id_name": "callerIdName",
        "provider": "provider",
        "outbound_prefix": "outboundPrefix",
    }
    fields: dict[str, Any] = texts("phoneSystem", given, names, path)
    if "main_number" in fields:
        fields["main_number_e164"] = e164_of(fields["main_number"], country)
    check_range("extensionLength", given.get("extension_length"), path=(*path, "extensionLength"))
    return fields | _kept(given, "voicemail", "extension_length")


def device_fields(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields of a device."""
    names = {"model": "model", "serial_number": "serialNumber", "label": "label", "mac_address": "macAddress"}
    fields: dict[str, Any] = texts("device", given, names, path)
    if fields.get("mac_address") is not None:
        fields["mac_address"] = read_mac(fields["mac_address"], path=(*path, "macAddress"))
    return fields | _kept(given, "brand")


def person_fields(given: Mapping[str, Any], country: str | None, path: Path) -> dict[str, Any]:
    """The fields of a person."""
    names = {"first_name": "firstName", "last_name": "lastName", "email": "email", "mobile": "mobile"}
    fields: dict[str, Any] = texts("person", given, names, path)
    if "mobile" in fields:
        fields["mobile_e164"] = e164_of(fields["mobile"], country)
    return fields | _kept(given, "voicemail")


def target_of(given: Mapping[str, Any], country: str | None, path: Path) -> Target:
    """Where a branch of a call flow leads."""
    number = clean("target.externalNumber", given.get("external_number"), path=(*path, "externalNumber"))
    extension_id = given.get("extension_id")
    if extension_id is not None:
        identifier(extension_id, "extensionId", path)
    return Target(
        kind=given["kind"],
        extension_id=extension_id,
        external_number=number,
        external_number_e164=e164_of(number, country),
    )


def identifier(value: str, name: str, path: Path) -> str:
    """An id of the right form; raises InvalidInput."""
    if not ids.is_well_formed(value):
        raise InvalidInput(field=name, rule="it is not an id", path=(*path, name))
    return value


def check_known(wanted: str | None, known: AbstractSet[str], path: Path) -> None:
    """Raises NotFound for an id in a list that no row of the location has."""
    if wanted is not None and wanted not in known:
        raise NotFound(path=path)


def check_once(field: str, values: Sequence[str], path: Path) -> None:
    """Raises InvalidInput when a list names something twice."""
    if len(set(values)) < len(values):
        raise InvalidInput(field=field, rule="each may be named once", path=path)


def country_of(aggregate: Aggregate) -> str | None:
    """The country within which numbers without a prefix are read."""
    return aggregate.content.address.country


def empty_phone_system(aggregate: Aggregate) -> PhoneSystem:
    """The phone system on record, or an empty one."""
    return aggregate.content.phone_system or PhoneSystem()


def _kept(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given and given[name] is not None}
