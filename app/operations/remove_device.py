"""Remove a device; the extension that rang it stays and rings it no more."""

from dataclasses import replace

from app.db import tables
from app.domain.content import LocationContent
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import edited, permitted, without


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Raises Locked, Conflict."""
    device_id = given["device_id"]
    override_id = permitted(aggregate, Section.DEVICES, *sections_of_extensions(aggregate, device_id))
    aggregate.check_row_revision(device_id, given["expected_revision"])
    return edited(aggregate, Section.DEVICES, override_id, without_device(aggregate.content, device_id))


def without_device(content: LocationContent, device_id: str) -> LocationContent:
    """The content without a device."""
    extensions = tuple(
        replace(each, device_id=None) if each.device_id == device_id else each for each in content.extensions
    )
    return replace(content, devices=without(content.devices, device_id), extensions=extensions)


def sections_of_extensions(aggregate: Aggregate, device_id: str) -> tuple[Section, ...]:
    """An extension that loses its device changes too."""
    holds = any(each.device_id == device_id for each in aggregate.content.extensions)
    return (Section.EXTENSIONS,) if holds else ()


REMOVE_DEVICE = UseCase(mutation="removeDevice", decide=decide, table=tables.device, key="device_id")
