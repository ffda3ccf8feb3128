"""Shared code of content edits: the check of the lock, the start of the onboarding, the normalization of values."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from app.domain import ids
from app.domain.content import Address, Contact, Device, LocationContent, Person, Target
from app.domain.dialling import e164_of
from app.domain.locks import decide_edit
from app.domain.mac_address import read_mac
from app.domain.refusals import InvalidInput, NotFound
from app.domain.text import clean
from app.domain.vocabulary import CallTarget, DeviceBrand, LocationStatus, Section, Verb
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Unset, or_stored
from app.operations.context import LocationChange

T = TypeVar("T", Contact, Device, Person)

Path = tuple[str, ...]


def permitted(aggregate: Aggregate, *sections: Section) -> str | None:
    """The id of the override for editing these sections; None if none is needed. Raises Locked, OverrideScope."""
    override = decide_edit(
        aggregate.status, frozenset(sections), aggregate.record.override, aggregate.viewer, aggregate.now
    )
    return override.id if override else None


def edited(
    aggregate: Aggregate, section: Section, override_id: str | None, content: LocationContent, **made: str
) -> LocationChange:
    """The change of an edit. The first edit starts the onboarding."""
    first = aggregate.status is LocationStatus.NOT_STARTED
    return LocationChange(
        content=content,
        sections=frozenset({section}),
        transition=aggregate.transition(Verb.START) if first else None,
        override_id=override_id,
        ids=made,
    )


def found(rows: tuple[T, ...], row_id: str) -> T:
    """The row with this id. Raises NotFound."""
    for row in rows:
        if row.id == row_id:
            return row
    raise NotFound


def put(rows: tuple[T, ...], changed: T) -> tuple[T, ...]:
    """The rows, with one of them replaced."""
    return tuple(changed if row.id == changed.id else row for row in rows)


def without(rows: tuple[T, ...], row_id: str) -> tuple[T, ...]:
    """The rows, without the one with this id."""
    return tuple(row for row in rows if row.id != row_id)


def text(rule: str, given: str | Unset | None, stored: str | None, path: Path) -> str | None:
    """The normalized text, or the stored text if the patch leaves the field out; `rule` ends in the field's name."""
    return stored if given is UNSET else clean(rule, given, path=(*path, rule.rpartition(".")[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPatch:
    """The parts of an address to change."""

    line1: str | Unset | None = UNSET
    line2: str | Unset | None = UNSET
    city: str | Unset | None = UNSET
    state: str | Unset | None = UNSET
    zipcode: str | Unset | None = UNSET
    country: str | Unset | None = UNSET


def address_with(address: Address, given: AddressPatch, path: Path) -> Address:
    """The address with the given parts changed."""
    return replace(
        address,
        line1=text("address.line1", given.line1, address.line1, path),
        line2=text("address.line2", given.line2, address.line2, path),
        city=text("address.city", given.city, address.city, path),
        state=text("address.state", given.state, address.state, path),
        zipcode=text("address.zipcode", given.zipcode, address.zipcode, path),
        country=text("address.country", given.country, address.country, path),
    )


class DeviceFields(Protocol):
    """The fields of a new device, or the changes to an existing one."""

    @property
    def brand(self) -> DeviceBrand | Unset:
        """The maker."""

    @property
    def model(self) -> str | Unset | None:
        """The model."""

    @property
    def mac_address(self) -> str | Unset | None:
        """The MAC address, in any usual notation."""

    @property
    def serial_number(self) -> str | Unset | None:
        """The maker's serial number."""

    @property
    def label(self) -> str | Unset | None:
        """The name that people use for the device."""


def device_with(device: Device, given: DeviceFields) -> Device:
    """The device with the given fields changed. Raises InvalidInput."""
    changed = replace(
        device,
        brand=or_stored(given.brand, device.brand),
        model=text("device.model", given.model, device.model, ()),
        serial_number=text("device.serialNumber", given.serial_number, device.serial_number, ()),
        label=text("device.label", given.label, device.label, ()),
        mac_address=text("device.macAddress", given.mac_address, device.mac_address, ()),
    )
    if given.mac_address is UNSET or changed.mac_address is None:
        return changed
    return replace(changed, mac_address=read_mac(changed.mac_address, path=("macAddress",)))


class PersonFields(Protocol):
    """The fields of a new person, or the changes to an existing one."""

    @property
    def first_name(self) -> str | Unset | None:
        """The given name."""

    @property
    def last_name(self) -> str | Unset | None:
        """The family name."""

    @property
    def email(self) -> str | Unset | None:
        """The email address."""

    @property
    def mobile(self) -> str | Unset | None:
        """The mobile number, in any usual format."""

    @property
    def voicemail(self) -> bool | Unset | None:
        """Whether the person has a mailbox; None for no change."""


def person_with(person: Person, given: PersonFields, country: str | None) -> Person:
    """The person with the given fields changed. A mobile number is parsed for the country. Raises InvalidInput."""
    changed = replace(
        person,
        first_name=text("person.firstName", given.first_name, person.first_name, ()),
        last_name=text("person.lastName", given.last_name, person.last_name, ()),
        email=text("person.email", given.email, person.email, ()),
        mobile=text("person.mobile", given.mobile, person.mobile, ()),
    )
    if given.mobile is not UNSET:
        changed = replace(changed, mobile_e164=e164_of(changed.mobile, country))
    voicemail = or_stored(given.voicemail, None)
    return changed if voicemail is None else replace(changed, voicemail=voicemail)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetValue:
    """The given target of a branch of a call flow."""

    kind: CallTarget
    extension_id: str | None = None
    external_number: str | None = None


def target_of(given: TargetValue, country: str | None, path: Path) -> Target:
    """The target of a branch of a call flow. A number is parsed for the country. Raises InvalidInput."""
    number = clean("target.externalNumber", given.external_number, path=(*path, "externalNumber"))
    if given.extension_id is not None:
        identifier(given.extension_id, "extensionId", path)
    return Target(
        kind=given.kind,
        extension_id=given.extension_id,
        external_number=number,
        external_number_e164=e164_of(number, country),
    )


def identifier(value: str, name: str, path: Path) -> str:
    """A well-formed id. Raises InvalidInput."""
    if not ids.is_well_formed(value):
        raise InvalidInput(field=name, rule="must be a valid id", path=(*path, name))
    return value


def check_known(wanted: str | None, known: AbstractSet[str], path: Path) -> None:
    """Raises NotFound for a given id that no row of the location has."""
    if wanted is not None and wanted not in known:
        raise NotFound(path=path)


def check_once(field: str, values: Sequence[str], path: Path) -> None:
    """Raises InvalidInput if a list contains a value twice."""
    if len(set(values)) < len(values):
        raise InvalidInput(field=field, rule="must not contain duplicates", path=path)


def country_of(aggregate: Aggregate) -> str | None:
    """The country for which numbers without a country code are parsed."""
    return aggregate.content.address.country
