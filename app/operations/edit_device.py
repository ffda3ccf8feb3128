"""Change a device."""

from dataclasses import replace

from app.db import tables
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import device_fields, edited, found, patched, permitted, put


def decide(work: Work, given: Input) -> Change:
    """Change the fields that are given; raises Locked, Conflict, InvalidInput."""
    override_id = permitted(work, Section.DEVICES)
    work.check_row_revision(given["device_id"], given["expected_revision"])
    row = found(work.content.devices, given["device_id"])
    changed = patched(row, device_fields(given, ()))
    content = replace(work.content, devices=put(work.content.devices, changed))
    return edited(work, Section.DEVICES, override_id, content, device=changed.id)


EDIT_DEVICE = UseCase(mutation="editDevice", decide=decide, table=tables.device, key="device_id")
