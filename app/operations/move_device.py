"""Move a device to another location of the same account."""

from dataclasses import dataclass, replace

from app.db import tables
from app.db.writing import Update
from app.domain.limits import check_cap
from app.domain.refusals import InvalidInput
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import edited, found, permitted
from app.operations.mutation import ContentEffect, RecordedRefusals, TwoLocationMutation
from app.operations.remove_device import sections_of_extensions, without_device
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveDevice(Command):
    """The device to move, and its new location."""

    device_id: str
    expected_revision: int
    to_location_id: str


def decide(source: Aggregate, target: Aggregate, command: MoveDevice) -> tuple[LocationChange, LocationChange]:
    """Move the device. Both locations must be editable. The extension that rang the device remains.

    Raises Locked, OverrideScope, Conflict, LimitReached, and InvalidInput if the target is the current location or a
    location of another account.
    """
    device_id = command.device_id
    leaving = permitted(source, Section.DEVICES, *sections_of_extensions(source, device_id))
    joining = permitted(target, Section.DEVICES)
    source.check_row_revision(device_id, command.expected_revision)
    device = found(source.content.devices, device_id)
    _check_target(source, target)
    check_cap("devices", len(target.content.devices) + 1)
    left = edited(source, Section.DEVICES, leaving, without_device(source.content, device_id))
    content = replace(target.content, devices=(*target.content.devices, device))
    revision = Update(tables.device, {"id": device_id}, {"revision": command.expected_revision + 1})
    joined = replace(edited(target, Section.DEVICES, joining, content), updates=(revision,))
    target_id = target.record.location.id
    moved = {"device": device_id}
    return replace(left, ids=moved), replace(joined, ids={**moved, "location": target_id})


def _check_target(source: Aggregate, target: Aggregate) -> None:
    here, there = source.record.location, target.record.location
    if here.id == there.id:
        raise InvalidInput(field="toLocationId", rule="the device is already at this location", path=("toLocationId",))
    if here.account_id != there.account_id:
        raise InvalidInput(field="toLocationId", rule="must be a location of the same account", path=("toLocationId",))


MOVE_DEVICE = TwoLocationMutation(
    name="moveDevice",
    command=MoveDevice,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.device,
    key="device_id",
    other_key="to_location_id",
)
