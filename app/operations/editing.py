"""Shared code of content edits: the check of the lock, the start of the onboarding, the normalization of values."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from app.domain.content import Address, Contact, Device, LocationContent, Person, Target
from app.domain.dialling import e164_of
from app.domain.limits import check_true
from app.domain.locks import decide_edit
from app.domain.mac_address import read_mac
from app.domain.refusals import InvalidInput, NotFound
from app.domain.text import clean
from app.domain.vocabulary import CallTarget, DeviceBrand, LocationAction, LocationStatus, Section
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
    """The change of an edit, with the ids of the objects `made` or removed. The first edit starts the onboarding."""
    first = aggregate.status is LocationStatus.NOT_STARTED
    return LocationChange(
        content=content,
        sections=frozenset({section}),
        transition=aggregate.transition(LocationAction.START_ONBOARDING) if first else None,
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
    """The given target of a branch of a call flow: one of the fields."""

    extension_id: str | Unset = UNSET
    voicemail_of_extension_id: str | Unset = UNSET
    voicemail_of_location: bool | Unset = UNSET
    external_number: str | Unset = UNSET
    hang_up: bool | Unset = UNSET

    def named_extensions(self, path: Path) -> Iterator[tuple[str, Path]]:
        """The id of the extension that the target names, if any, and where it is."""
        if self.extension_id is not UNSET:
            yield self.extension_id, (*path, "extensionId")
        if self.voicemail_of_extension_id is not UNSET:
            yield self.voicemail_of_extension_id, (*path, "voicemailOfExtensionId")


def target_of(given: TargetValue, country: str | None, path: Path) -> Target:
    """The target of a branch of a call flow. A number is parsed for the country. Raises InvalidInput."""
    if given.extension_id is not UNSET:
        return Target(kind=CallTarget.EXTENSION, extension_id=given.extension_id)
    if given.voicemail_of_extension_id is not UNSET:
        return Target(kind=CallTarget.VOICEMAIL, extension_id=given.voicemail_of_extension_id)
    if given.voicemail_of_location is not UNSET:
        check_true("voicemailOfLocation", given.voicemail_of_location, path=(*path, "voicemailOfLocation"))
        return Target(kind=CallTarget.VOICEMAIL)
    if given.external_number is not UNSET:
        number = clean("target.externalNumber", given.external_number, path=(*path, "externalNumber"))
        e164 = e164_of(number, country)
        return Target(kind=CallTarget.EXTERNAL_NUMBER, external_number=number, external_number_e164=e164)
    check_true("hangUp", given.hang_up, path=(*path, "hangUp"))
    return Target(kind=CallTarget.HANG_UP)


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
