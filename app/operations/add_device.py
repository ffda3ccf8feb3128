"""Add a device to a location."""

from dataclasses import dataclass, replace

from app.domain.content import Device
from app.domain.limits import check_cap
from app.domain.vocabulary import Budget, DeviceBrand, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import device_with, edited, permitted
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDevice(Command):
    """A new device, which can be incomplete."""

    location_id: str
    brand: DeviceBrand
    model: str | None = None
    mac_address: str | None = None
    serial_number: str | None = None
    label: str | None = None


def decide(aggregate: Aggregate, command: AddDevice) -> LocationChange:
    """Add the device. Raises Locked, OverrideScope, LimitReached, InvalidInput."""
    override_id = permitted(aggregate, Section.DEVICES)
    check_cap("devices", len(aggregate.content.devices) + 1)
    added = device_with(Device(id=aggregate.new_id("Device"), brand=command.brand), command)
    content = replace(aggregate.content, devices=(*aggregate.content.devices, added))
    return edited(aggregate, Section.DEVICES, override_id, content, device=added.id)


ADD_DEVICE = LocationMutation(
    name="addDevice",
    command=AddDevice,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
