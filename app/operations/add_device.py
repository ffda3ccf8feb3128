"""Add a device to a location."""

from dataclasses import replace

from app.domain.content import Device
from app.domain.limits import check_cap
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import device_fields, edited, permitted


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Add it, incomplete as it may be; raises Locked, LimitReached, InvalidInput."""
    override_id = permitted(aggregate, Section.DEVICES)
    check_cap("devices", len(aggregate.content.devices) + 1)
    added = Device(id=aggregate.new_id("Device"), **device_fields(given, ()))
    content = replace(aggregate.content, devices=(*aggregate.content.devices, added))
    return edited(aggregate, Section.DEVICES, override_id, content, device=added.id)


ADD_DEVICE = UseCase(mutation="addDevice", decide=decide)
