"""What follows from the matrix: verbs, listed actions, scopes, the awaited role, and the grants that a user may get."""

from dataclasses import replace

from app.domain.viewer import EVERYTHING, Scope, Viewer
from app.domain.vocabulary import LocationAction, LocationStatus, Role, Verb
from app.domain.waiting import NEXT_VERB, Awaiting
from permissions.matrix import ACTION_OF_LOCATION_ACTION, ACTION_OF_VERB, CUSTOMER, LEAD, PARTNER, Action, allows

AWAITING_OF_ROLE = {CUSTOMER: Awaiting.CUSTOMER, PARTNER: Awaiting.PARTNER, LEAD: Awaiting.LEAD}
"""The name of each role in the `awaiting` filter; a verb allowed to several roles counts for the first listed."""

if unnamed := [role for role in Role if role not in AWAITING_OF_ROLE]:
    raise ValueError(f"AWAITING_OF_ROLE has no name for {', '.join(unnamed)}")


class Forbidden(Exception):  # noqa: N818 - named like the error code
    """The viewer's role does not include this action."""

    def __init__(self, action: Action | None) -> None:
        super().__init__("Your role does not allow this action.")
        self.action = action


def check_allowed(role: Role, action: Action) -> None:
    """Raise Forbidden unless the role may take the action."""
    if not allows(role, action):
        raise Forbidden(action)


def verbs_of(role: Role) -> frozenset[Verb]:
    """Return the verbs of the status machine that a role may use."""
    return frozenset(verb for verb, action in ACTION_OF_VERB.items() if allows(role, action))


def location_actions_of(viewer: Viewer, *, account_id: str, location_id: str) -> frozenset[LocationAction]:
    """Return the actions that the viewer's role may take on this location, in any status."""
    editable = viewer.editing.includes(account_id, location_id)
    return frozenset(
        each
        for each, action in ACTION_OF_LOCATION_ACTION.items()
        if allows(viewer.role, action) and (editable or action is not Action.EDIT_ONBOARDING)
    )


def viewer_of(*, identifier: str, name: str, email: str, role: Role, granted: Scope, confirmed: bool) -> Viewer:
    """Return a signed-in user with the scopes that follow from the role and the grants."""
    return Viewer(
        id=identifier,
        name=name,
        email=email,
        role=role,
        scope=_scope(role, Action.VIEW_ALL_LOCATIONS, granted),
        editing=_scope(role, Action.EDIT_ANY_ONBOARDING, granted),
        provisioning=_scope(role, Action.VIEW_ALL_PROVISIONING, replace(granted, recipient=identifier)),
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
    awaited = AWAITING_OF_ROLE[viewer] if who is Awaiting.ME else who
    return frozenset(status for status, verb in NEXT_VERB.items() if _awaited_for(verb) is awaited)


def needs_no_grant(role: Role) -> bool:
    """Return whether a role sees every account, so that a grant would have no effect."""
    return allows(role, Action.VIEW_ALL_LOCATIONS)


def takes_listed_locations(role: Role) -> bool:
    """Return whether a grant may list locations: only for roles that see locations, and not all of them."""
    return allows(role, Action.VIEW_LOCATIONS) and not needs_no_grant(role)


def _scope(role: Role, everywhere: Action, granted: Scope) -> Scope:
    return EVERYTHING if allows(role, everywhere) else granted


def _awaited_for(verb: Verb) -> Awaiting | None:
    action = ACTION_OF_VERB[verb]
    return next((name for role, name in AWAITING_OF_ROLE.items() if allows(role, action)), None)
