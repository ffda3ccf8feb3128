"""What every content edit shares: the lock, the first edit that starts a session, values as they are kept."""

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


def put(rows: tuple[T, ...], changed: T) -> tuple[T, ...]:
    """The rows with one of them changed."""
    return tuple(changed if row.id == changed.id else row for row in rows)


def without(rows: tuple[T, ...], row_id: str) -> tuple[T, ...]:
    """The rows without one of them."""
    return tuple(row for row in rows if row.id != row_id)


def text(rule: str, given: str | Unset | None, stored: str | None, path: Path) -> str | None:
    """A text field as it is kept, or the stored one where the patch leaves it out; `rule` ends in the field's name."""
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
    """The address with the given parts."""
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
    """What a new device is given, or an existing one."""

    @property
    def brand(self) -> DeviceBrand | Unset:
        """The maker."""

    @property
    def model(self) -> str | Unset | None:
        """The model."""

    @property
    def mac_address(self) -> str | Unset | None:
        """The MAC address in any usual spelling."""

    @property
    def serial_number(self) -> str | Unset | None:
        """The maker's serial number."""

    @property
    def label(self) -> str | Unset | None:
        """What people call it."""


def device_with(device: Device, given: DeviceFields) -> Device:
    """The device with the given fields. Raises InvalidInput."""
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
    """What a new person is given, or an existing one."""

    @property
    def first_name(self) -> str | Unset | None:
        """Given name."""

    @property
    def last_name(self) -> str | Unset | None:
        """Family name."""

    @property
    def email(self) -> str | Unset | None:
        """The address."""

    @property
    def mobile(self) -> str | Unset | None:
        """The mobile number, as people write it."""

    @property
    def voicemail(self) -> bool | Unset | None:
        """Whether the person has a mailbox; None leaves it as it is."""


def person_with(person: Person, given: PersonFields, country: str | None) -> Person:
    """The person with the given fields; a mobile number is read within the country. Raises InvalidInput."""
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
    """Where a branch of a call flow is to lead."""

    kind: CallTarget
    extension_id: str | None = None
    external_number: str | None = None


def target_of(given: TargetValue, country: str | None, path: Path) -> Target:
    """The target of a branch of a call flow; a number is read within the country. Raises InvalidInput."""
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
