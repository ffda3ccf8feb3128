"""A location's content as rows, and back: the one place where the domain's values meet the tables."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table

from app.db import tables
from app.domain.content import CallFlow, LocationContent, Target
from app.domain.vocabulary import CallTrigger

# The columns of a row by name, and its table; in an order in which foreign keys that are not deferred hold.
TableRow = tuple[Table, dict[str, Any]]


def rows_of(content: LocationContent, new_id: Any) -> Iterable[TableRow]:
    """Every child row of a content; `new_id(type name)` makes ids for the rows that the content does not name."""
    key = {"account_id": content.account_id, "location_id": content.location_id}
    for position, contact in enumerate(content.contacts):
        yield tables.contact, {**key, **_fields(contact), "position": position}
    if content.phone_system is not None:
        yield tables.phone_system, {**key, **_fields(content.phone_system)}
    for device in content.devices:
        yield tables.device, {**key, **_fields(device)}
    for person in content.people:
        yield tables.person, {**key, **_fields(person)}
    for extension in content.extensions:
        yield tables.extension, {**key, **_fields(extension)}
    for interval in content.working_hours:
        yield tables.working_hours, {"id": new_id("WorkingHours"), **key, **_fields(interval)}
    if content.call_flow is not None:
        flow = content.call_flow
        yield (
            tables.call_flow,
            {
                **key,
                "kind": flow.kind,
                "greeting": flow.greeting,
                "timeout_seconds": flow.timeout_seconds,
                "retries": flow.retries,
            },
        )
        for position, branch in enumerate(_branches(flow)):
            yield tables.call_flow_option, {"id": new_id("CallFlowOption"), **key, "position": position, **branch}


def _branches(flow: CallFlow) -> Iterable[dict[str, Any]]:
    for extension_id in flow.direct_targets:
        yield {"trigger": CallTrigger.DIRECT, "digit": None, "target": "EXTENSION", "extension_id": extension_id}
    for option in flow.options:
        yield {"trigger": CallTrigger.DIGIT, "digit": option.digit, **_target(option.target)}
    if flow.timeout_target is not None:
        yield {"trigger": CallTrigger.TIMEOUT, "digit": None, **_target(flow.timeout_target)}
    if flow.invalid_target is not None:
        yield {"trigger": CallTrigger.INVALID, "digit": None, **_target(flow.invalid_target)}


def _target(target: Target) -> dict[str, Any]:
    fields = _fields(target)
    return {"target": fields.pop("kind"), **fields}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}
