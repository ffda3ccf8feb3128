"""What the database refuses by a constraint, as a refusal that follows from the constraint's name.

Behind the location's lock none of these is expected, except for values that are unique within an account: another
location can have them. The others hold against writers outside the unit of work.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import asyncpg

from app.db.content_columns import UNIQUE_FIELDS
from app.domain.refusals import Conflict, InvalidInput, OverrideScope, Refusal
from app.operations.aggregate import Aggregate


@contextmanager
def constraints_named(aggregate: Aggregate) -> Iterator[None]:
    """Raise the refusal that a violated constraint stands for; one that only a bug of ours can violate passes."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        known = _BY_NAME.get(error.constraint_name or "")
        if known is None:
            raise
        raise known(aggregate) from error


def _moved_on(aggregate: Aggregate) -> Refusal:
    return Conflict(current_revision=aggregate.record.location.revision)


def _taken(field: str) -> Callable[[Aggregate], Refusal]:
    return lambda _aggregate: InvalidInput(field=field, rule="it is taken", path=(field,))


def _override_open(_aggregate: Aggregate) -> Refusal:
    return OverrideScope(sections=frozenset())


_BY_NAME: Mapping[str, Callable[[Aggregate], Refusal]] = {
    "uq_approval_pending": _moved_on,
    "uq_onboarding_session_open": _moved_on,
    "uq_provisioning_payload_location_id_sequence": _moved_on,
    "uq_receipt_payload_id": _moved_on,
    "uq_contact_location_id_position": _moved_on,
    "uq_extension_device_id": _moved_on,
    "fk_extension_device_location_id": _moved_on,
    "fk_extension_person_location_id": _moved_on,
    "uq_call_flow_option_location_id_position": _moved_on,
    "uq_override_open": _override_open,
    **{constraint: _taken(field) for constraint, field in UNIQUE_FIELDS.items()},
}
