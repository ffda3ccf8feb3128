"""Remove a device. The extension that rang it remains without a device."""

from dataclasses import dataclass, replace

from app.db import tables
from app.domain.content import LocationContent
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import edited, permitted, without
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDevice(Command):
    """The device to remove."""

    device_id: str
    expected_revision: int


def decide(aggregate: Aggregate, command: RemoveDevice) -> LocationChange:
    """Remove the device. Raises Locked, OverrideScope, Conflict, NotFound."""
    device_id = command.device_id
    override_id = permitted(aggregate, Section.DEVICES, *sections_of_extensions(aggregate, device_id))
    aggregate.check_row_revision(device_id, command.expected_revision)
    content = without_device(aggregate.content, device_id)
    return edited(aggregate, Section.DEVICES, override_id, content, removed_device=device_id)


def without_device(content: LocationContent, device_id: str) -> LocationContent:
    """The content without the device."""
    extensions = tuple(
        replace(each, device_id=None) if each.device_id == device_id else each for each in content.extensions
    )
    return replace(content, devices=without(content.devices, device_id), extensions=extensions)


def sections_of_extensions(aggregate: Aggregate, device_id: str) -> tuple[Section, ...]:
    """The section EXTENSIONS if an extension rings the device and would change too."""
    holds = any(each.device_id == device_id for each in aggregate.content.extensions)
    return (Section.EXTENSIONS,) if holds else ()


REMOVE_DEVICE = LocationMutation(
    name="removeDevice",
    command=RemoveDevice,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.device,
    key="device_id",
)
