"""What follows from the matrix: verbs, listed actions, scopes, the awaited role, and the grants that a user may get."""

from dataclasses import replace

from app.domain.viewer import EVERYTHING, Scope, Viewer
from app.domain.vocabulary import LocationAction, LocationStatus, Role, Verb
from app.domain.waiting import NEXT_VERB, Awaiting
from permissions.matrix import (
    ACTION_OF_LOCATION_ACTION,
    ACTION_OF_VERB,
    AUDIENCE_OF_VALUE,
    CUSTOMER,
    LEAD,
    LIMITED_TO_GRANTS,
    NEEDS_ALL_ACCOUNTS,
    PARTNER,
    Action,
    allows,
)

AWAITING_OF_ROLE = {CUSTOMER: Awaiting.CUSTOMER, PARTNER: Awaiting.PARTNER, LEAD: Awaiting.LEAD}
"""The name of each role in the `awaiting` filter; a verb allowed to several roles counts for the first listed."""


class Forbidden(Exception):  # noqa: N818 - named like the error code
    """The viewer's role, or the viewer's access to only some accounts, does not include this action."""

    def __init__(self, action: Action | None, message: str = "Your role does not allow this action.") -> None:
        super().__init__(message)
        self.action = action


LIMITED = "Your access is limited to some accounts. This action needs access to all accounts."
"""The message for users whose access is limited to the accounts of their grants."""


def check_allowed(viewer: Viewer, action: Action) -> None:
    """Raise Forbidden unless the viewer may take the action, on the objects in the viewer's scope."""
    if not allows(viewer.role, action):
        raise Forbidden(action)
    if action in NEEDS_ALL_ACCOUNTS and is_limited(viewer.role, all_accounts=viewer.all_accounts):
        raise Forbidden(action, LIMITED)


def may(viewer: Viewer, action: Action) -> bool:
    """Return whether `check_allowed` passes."""
    try:
        check_allowed(viewer, action)
    except Forbidden:
        return False
    return True


def is_limited(role: Role, *, all_accounts: bool) -> bool:
    """Return whether a user's access is limited to the granted accounts, although the role includes all accounts."""
    return role in LIMITED_TO_GRANTS and not all_accounts


def verbs_of(role: Role) -> frozenset[Verb]:
    """Return the verbs of the status machine that a role may use."""
    return frozenset(verb for verb, action in ACTION_OF_VERB.items() if allows(role, action))


def location_actions_of(viewer: Viewer, *, account_id: str, location_id: str) -> frozenset[LocationAction]:
    """Return the actions that the viewer's role may take on this location, in any status."""
    editable = viewer.editing.includes(account_id, location_id)
    return frozenset(
        each
        for each, action in ACTION_OF_LOCATION_ACTION.items()
        if may(viewer, action) and (editable or action is not Action.EDIT_ONBOARDING)
    )


def viewer_of(
    *, identifier: str, name: str, email: str, role: Role, granted: Scope, all_accounts: bool, confirmed: bool
) -> Viewer:
    """Return a signed-in user with the scopes that follow from the role, the grants and the access to all accounts."""
    whole = granted if is_limited(role, all_accounts=all_accounts) else EVERYTHING
    return Viewer(
        id=identifier,
        name=name,
        email=email,
        role=role,
        scope=whole if allows(role, Action.VIEW_ALL_LOCATIONS) else granted,
        editing=whole if allows(role, Action.EDIT_ANY_ONBOARDING) else granted,
        provisioning=whole if allows(role, Action.VIEW_ALL_PROVISIONING) else replace(granted, recipient=identifier),
        auditing=whole if allows(role, Action.VIEW_ALL_AUDIT) else granted,
        all_accounts=all_accounts,
        confirmed=confirmed,
    )


def acting_scope(viewer: Viewer, action: Action) -> Scope:
    """The locations on which the viewer may take an action, as far as grants decide."""
    if action is Action.EDIT_ONBOARDING:
        return viewer.editing
    return viewer.provisioning if action in _OF_PAYLOADS else viewer.scope


_OF_PAYLOADS = frozenset({Action.ACKNOWLEDGE, Action.REJECT, Action.CONFIRM_DECOMMISSION})


def answers_payloads(role: Role) -> bool:
    """Return whether users of a role receive payloads and answer them."""
    return allows(role, Action.ACKNOWLEDGE)


def reads_internal_reasons(role: Role) -> bool:
    """Return whether a role reads the internal reasons of status changes; the others read those written for them."""
    return allows(role, Action.VIEW_INTERNAL_REASONS)


def acts_on_behalf(role: Role, action: Action) -> bool:
    """Return whether a role takes an action on a payload on behalf of its recipients, because it is not one itself."""
    return allows(role, action) and not answers_payloads(role)


def statuses_awaiting(who: Awaiting, viewer: Role) -> frozenset[LocationStatus]:
    """Return the statuses in which a location awaits `who`, seen by role `viewer`; final ones await nobody."""
    awaited = AWAITING_OF_ROLE.get(viewer) if who is Awaiting.ME else who
    awaited_for = {status: _awaited_for(verb) for status, verb in NEXT_VERB.items()}
    return frozenset(status for status, each in awaited_for.items() if each is awaited and awaited is not None)


def needs_no_grant(role: Role, *, all_accounts: bool) -> bool:
    """Return whether a grant would have no effect: the user sees every account anyway, or none."""
    if is_limited(role, all_accounts=all_accounts):
        return False
    return allows(role, Action.VIEW_ALL_LOCATIONS) or not allows(role, Action.VIEW_ACCOUNTS)


def takes_listed_locations(role: Role) -> bool:
    """Return whether a grant may list locations: only for roles that see locations, and not all of them."""
    return allows(role, Action.VIEW_LOCATIONS) and not allows(role, Action.VIEW_ALL_LOCATIONS)


def can_be_limited(role: Role) -> bool:
    """Return whether a user of a role has access either to all accounts or to those of the grants."""
    return role in LIMITED_TO_GRANTS


def may_read_value(viewer: Viewer, table: str, column: str) -> bool:
    """Return whether a viewer of the audit log reads the values of a column in it."""
    action = AUDIENCE_OF_VALUE.get((table, column))
    return action is None or may(viewer, action)


def _awaited_for(verb: Verb) -> Awaiting | None:
    action = ACTION_OF_VERB[verb]
    return next((name for role, name in AWAITING_OF_ROLE.items() if allows(role, action)), None)


if unnamed := [role for role in Role if verbs_of(role) and role not in AWAITING_OF_ROLE]:
    raise ValueError(f"AWAITING_OF_ROLE has no name for {', '.join(unnamed)}")
