"""Remove a device; the extensions that rang it stay and ring it no more."""

from dataclasses import replace

from app.db import tables
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import edited, permitted, without


def decide(work: Work, given: Input) -> Change:
    """Raises Locked, Conflict."""
    row_id = given["device_id"]
    override_id = permitted(work, Section.DEVICES, *_sections_of_extensions(work, row_id))
    work.check_row_revision(row_id, given["expected_revision"])
    extensions = tuple(
        replace(each, device_id=None) if each.device_id == row_id else each for each in work.content.extensions
    )
    content = replace(work.content, devices=without(work.content.devices, row_id), extensions=extensions)
    return edited(work, Section.DEVICES, override_id, content)


def _sections_of_extensions(work: Work, row_id: str) -> tuple[Section, ...]:
    """An extension that loses its device changes too."""
    holds = any(each.device_id == row_id for each in work.content.extensions)
    return (Section.EXTENSIONS,) if holds else ()


REMOVE_DEVICE = UseCase(mutation="removeDevice", decide=decide, table=tables.device, key="device_id")
