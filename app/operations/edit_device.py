"""Change a device."""

from dataclasses import replace

from app.db import tables
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import device_fields, edited, found, patched, permitted, put


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Change the fields that are given; raises Locked, Conflict, InvalidInput."""
    override_id = permitted(aggregate, Section.DEVICES)
    aggregate.check_row_revision(given["device_id"], given["expected_revision"])
    row = found(aggregate.content.devices, given["device_id"])
    changed = patched(row, device_fields(given, ()))
    content = replace(aggregate.content, devices=put(aggregate.content.devices, changed))
    return edited(aggregate, Section.DEVICES, override_id, content, device=changed.id)


EDIT_DEVICE = UseCase(mutation="editDevice", decide=decide, table=tables.device, key="device_id")
