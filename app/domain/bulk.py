"""Rules of bulk operations: the items they accept, and the verb that leads to a requested status."""

from collections.abc import Sequence
from types import MappingProxyType

from app.domain.limits import CAPS
from app.domain.refusals import InvalidInput, LimitReached
from app.domain.status_machine import TABLE
from app.domain.vocabulary import LocationAction, LocationStatus

# The verb that leads to each target status, by the location's current status; `None` matches every other status.
VERBS_TOWARDS = MappingProxyType(
    {
        LocationStatus.IN_PROGRESS: MappingProxyType(
            {LocationStatus.BLOCKED: LocationAction.UNBLOCK, None: LocationAction.REOPEN}
        ),
        LocationStatus.PENDING_APPROVAL: MappingProxyType({None: LocationAction.SUBMIT_ONBOARDING}),
        LocationStatus.PROVISIONING: MappingProxyType({None: LocationAction.TRIGGER_PROVISIONING}),
        LocationStatus.BLOCKED: MappingProxyType({None: LocationAction.BLOCK}),
        LocationStatus.CANCELLED: MappingProxyType({None: LocationAction.CANCEL}),
    }
)


def check_items(operation: str, ids: Sequence[str], *, field: str) -> None:
    """Refuse a bulk call as a whole: LimitReached for too many items, InvalidInput for no items or a repeated id.

    `field` is the input's list that names the items.
    """
    path = (field,)
    if len(ids) > CAPS[operation]:
        raise LimitReached(limit=CAPS[operation], counted=field, path=path)
    if not ids:
        raise InvalidInput(field=field, rule="at least one is required", path=path)
    if len(set(ids)) < len(ids):
        raise InvalidInput(field=field, rule="must not name a location twice", path=path)


def verb_towards(target: LocationStatus, status: LocationStatus) -> LocationAction | None:
    """Return the verb that takes a location from `status` to `target`, or None when it already has that status.

    Raises InvalidInput when bulk operations do not support `target`.
    """
    if target not in VERBS_TOWARDS:
        raise InvalidInput(field="status", rule=f"must be one of {', '.join(VERBS_TOWARDS)}", path=("status",))
    verbs = VERBS_TOWARDS[target]
    verb = verbs.get(status) or verbs[None]
    return None if status is target and status not in TABLE[verb].sources else verb
