"""Record the replacement of a phone on site: open an override, change the device and close the override at once."""

from dataclasses import dataclass, replace

from app.db import tables
from app.domain.limits import RANGES
from app.domain.locks import check_overridable, override_terms
from app.domain.mac_address import read_mac
from app.domain.refusals import InvalidInput
from app.domain.text import clean, given
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import found, put
from app.operations.mutation import ContentEffect, Counted, LocationMutation, RecordedRefusals
from app.operations.open_override import new_override
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceDevice(Command):
    """The device, the MAC address and serial number of the new phone, and the reason."""

    device_id: str
    mac_address: str
    serial_number: str | None = None
    reason: str


def decide(aggregate: Aggregate, command: ReplaceDevice) -> LocationChange:
    """Give the device the MAC address and serial number of another phone, under an override that ends with the change.

    The new phone keeps the device's id, brand, model, label and extension. Raises NotLocked, OverrideScope while
    another override is in force, and InvalidInput, also if neither the address nor the serial number changes.
    """
    check_overridable(aggregate.status)
    shortest, _ = RANGES["expiresInMinutes"]
    terms = override_terms(
        sections=frozenset({Section.DEVICES}),
        reason=command.reason,
        ticket=None,
        expires_in_minutes=shortest,
        now=aggregate.now,
    )
    override = new_override(aggregate, terms, ended_at=aggregate.now)
    device = found(aggregate.content.devices, command.device_id)
    changed = replace(
        device,
        mac_address=read_mac(
            given("device.macAddress", command.mac_address, path=("macAddress",)), path=("macAddress",)
        ),
        serial_number=clean("device.serialNumber", command.serial_number, path=("serialNumber",)),
    )
    if changed == device:
        rule = "must differ from the current one, unless the serial number changes"
        raise InvalidInput(field="macAddress", rule=rule, path=("macAddress",))
    return replace(
        override,
        content=replace(aggregate.content, devices=put(aggregate.content.devices, changed)),
        sections=frozenset({Section.DEVICES}),
        ids={**override.ids, "device": device.id},
    )


REPLACE_DEVICE = LocationMutation(
    name="replaceDevice",
    command=ReplaceDevice,
    decide=decide,
    action=Action.OVERRIDE_LOCK,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(Counted.OVERRIDES_OPENED,),
    table=tables.device,
    key="device_id",
)
