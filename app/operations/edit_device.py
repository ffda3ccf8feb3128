"""Change a device."""

from dataclasses import dataclass, replace

from app.db import tables
from app.domain.vocabulary import Budget, DeviceBrand, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset
from app.operations.context import LocationChange
from app.operations.editing import device_with, edited, found, permitted, put
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class EditDevice(Command):
    """Changes to a device."""

    device_id: str
    expected_revision: int
    brand: DeviceBrand | Unset = UNSET
    model: str | Unset | None = UNSET
    mac_address: str | Unset | None = UNSET
    serial_number: str | Unset | None = UNSET
    label: str | Unset | None = UNSET


def decide(aggregate: Aggregate, command: EditDevice) -> LocationChange:
    """Change the given fields. Raises Locked, OverrideScope, Conflict, InvalidInput."""
    override_id = permitted(aggregate, Section.DEVICES)
    aggregate.check_row_revision(command.device_id, command.expected_revision)
    changed = device_with(found(aggregate.content.devices, command.device_id), command)
    content = replace(aggregate.content, devices=put(aggregate.content.devices, changed))
    return edited(aggregate, Section.DEVICES, override_id, content, device=changed.id)


EDIT_DEVICE = LocationMutation(
    name="editDevice",
    command=EditDevice,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.device,
    key="device_id",
)
