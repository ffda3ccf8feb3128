"""Translates violated database constraints to refusals, by the name of the constraint.

None is expected while the location is locked, except for values that are unique within an account: another location
can have them. The others protect against writers outside the unit of work.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import asyncpg

from app.db.content_columns import UNIQUE_FIELDS
from app.domain.refusals import Conflict, InvalidInput, NotFound, OverrideScope, Refusal
from app.operations.aggregate import Aggregate


@contextmanager
def constraints_named(aggregate: Aggregate) -> Iterator[None]:
    """Raise the refusal for a violated constraint. A constraint that only a bug can violate is raised unchanged."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        known = _BY_NAME.get(error.constraint_name or "")
        if known is None:
            raise
        raise known(aggregate) from error


def _changed_since(aggregate: Aggregate) -> Refusal:
    return Conflict(current_revision=aggregate.record.location.revision)


def _taken(field: str) -> Callable[[Aggregate], Refusal]:
    return lambda _aggregate: InvalidInput(field=field, rule="already in use", path=(field,))


def _not_there(_aggregate: Aggregate) -> Refusal:
    return NotFound()


def _override_open(_aggregate: Aggregate) -> Refusal:
    return OverrideScope(sections=frozenset())


_BY_NAME: Mapping[str, Callable[[Aggregate], Refusal]] = {
    "uq_approval_pending": _changed_since,
    "uq_onboarding_session_open": _changed_since,
    "uq_provisioning_payload_location_id_sequence": _changed_since,
    "uq_receipt_payload_id_received_by": _changed_since,
    "uq_contact_location_id_position": _changed_since,
    "uq_extension_device_id": _changed_since,
    "fk_extension_device_location_id": _changed_since,
    "fk_extension_person_location_id": _changed_since,
    "uq_call_flow_option_location_id_position": _changed_since,
    "call_flow_option_target_of_location": _not_there,
    "uq_override_open": _override_open,
    **{constraint: _taken(field) for constraint, field in UNIQUE_FIELDS.items()},
}
