"""Add a device to a location."""

from dataclasses import replace

from app.domain.content import Device
from app.domain.limits import check_cap
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import device_fields, edited, permitted


def decide(work: Work, given: Input) -> Change:
    """Add it, incomplete as it may be; raises Locked, LimitReached, InvalidInput."""
    override_id = permitted(work, Section.DEVICES)
    check_cap("devices", len(work.content.devices) + 1)
    added = Device(id=work.new_id("Device"), **device_fields(given, ()))
    content = replace(work.content, devices=(*work.content.devices, added))
    return edited(work, Section.DEVICES, override_id, content, device=added.id)


ADD_DEVICE = UseCase(mutation="addDevice", decide=decide)
