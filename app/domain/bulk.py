"""What bulk operations add to the single ones: which items they take, and which verb a wished-for status stands for."""

from collections.abc import Sequence
from types import MappingProxyType

from app.domain.limits import check_cap
from app.domain.refusals import InvalidInput
from app.domain.status_machine import TABLE
from app.domain.vocabulary import LocationStatus, Verb

# The verbs that may lead to a status, by the status that a location comes from; `None` stands for any other.
VERBS_TOWARDS = MappingProxyType(
    {
        LocationStatus.IN_PROGRESS: MappingProxyType({LocationStatus.BLOCKED: Verb.UNBLOCK, None: Verb.REOPEN}),
        LocationStatus.PENDING_APPROVAL: MappingProxyType({None: Verb.SUBMIT}),
        LocationStatus.PROVISIONING: MappingProxyType({None: Verb.TRIGGER_PROVISIONING}),
        LocationStatus.BLOCKED: MappingProxyType({None: Verb.BLOCK}),
        LocationStatus.CANCELLED: MappingProxyType({None: Verb.CANCEL}),
    }
)


def check_items(operation: str, ids: Sequence[str], *, path: tuple[str, ...] = ()) -> None:
    """Refuses a whole bulk call: LimitReached for too many items, InvalidInput for none or for one named twice."""
    check_cap(operation, ids, path=path)
    if not ids:
        raise InvalidInput(field="items", rule="there must be at least one", path=path)
    if len(set(ids)) < len(ids):
        raise InvalidInput(field="items", rule="no location may be named twice", path=path)


def verb_towards(target: LocationStatus, status: LocationStatus) -> Verb | None:
    """The verb that is to take a location from its status to `target`; None when it is there and nothing is left to do.

    Raises InvalidInput for a target that no bulk operation has.
    """
    if target not in VERBS_TOWARDS:
        raise InvalidInput(field="status", rule=f"it must be one of {', '.join(VERBS_TOWARDS)}", path=("status",))
    verbs = VERBS_TOWARDS[target]
    verb = verbs.get(status) or verbs[None]
    return None if status is target and status not in TABLE[verb].sources else verb
