"""What follows from the matrix: verbs, listed actions, scopes, whose turn it is, and what may be granted to whom."""

from app.domain.viewer import EVERYTHING, Scope, Viewer
from app.domain.vocabulary import LocationAction, LocationStatus, Role, Verb
from app.domain.waiting import NEXT_VERB, Awaiting
from permissions.matrix import ACTION_OF_LOCATION_ACTION, ACTION_OF_VERB, CUSTOMER, LEAD, PARTNER, Action, allows

AWAITING_OF_ROLE = {CUSTOMER: Awaiting.CUSTOMER, PARTNER: Awaiting.PARTNER, LEAD: Awaiting.LEAD}
"""The name of each role in the `awaiting` filter; a verb that several roles may take is awaited of the first here."""


class Forbidden(Exception):  # noqa: N818 - the code's own name
    """The viewer's role does not include this action."""

    def __init__(self, action: Action | None) -> None:
        super().__init__("Your role does not include this.")
        self.action = action


def check_allowed(role: Role, action: Action) -> None:
    """Raises Forbidden unless the role may take the action."""
    if not allows(role, action):
        raise Forbidden(action)


def verbs_of(role: Role) -> frozenset[Verb]:
    """The verbs of the status machine that a role may use."""
    return frozenset(verb for verb, action in ACTION_OF_VERB.items() if allows(role, action))


def location_actions_of(viewer: Viewer, *, account_id: str, location_id: str) -> frozenset[LocationAction]:
    """What the viewer's role may do to this location, whatever its status."""
    editable = viewer.editing.includes(account_id, location_id)
    return frozenset(
        each
        for each, action in ACTION_OF_LOCATION_ACTION.items()
        if allows(viewer.role, action) and (editable or action is not Action.EDIT_ONBOARDING)
    )


def viewer_of(*, identifier: str, name: str, email: str, role: Role, granted: Scope) -> Viewer:
    """A signed-in user with the scopes that follow from the role and from what was granted."""
    return Viewer(
        id=identifier,
        name=name,
        email=email,
        role=role,
        scope=_scope(role, Action.VIEW_ALL_LOCATIONS, granted),
        editing=_scope(role, Action.EDIT_ANY_ONBOARDING, granted),
        provisioning=_scope(role, Action.VIEW_ALL_PROVISIONING, granted),
    )


def statuses_awaiting(who: Awaiting, viewer: Role) -> frozenset[LocationStatus]:
    """The statuses in which a location awaits `who`, as `viewer` asks. A finished location awaits nobody."""
    awaited = AWAITING_OF_ROLE[viewer] if who is Awaiting.ME else who
    return frozenset(status for status, verb in NEXT_VERB.items() if _awaited_for(verb) is awaited)


def needs_no_grant(role: Role) -> bool:
    """Whether a role sees every account, so that a grant would say nothing."""
    return allows(role, Action.VIEW_ALL_LOCATIONS)


def takes_listed_locations(role: Role) -> bool:
    """Whether a grant may list locations: only for those who see locations, and not all of them."""
    return allows(role, Action.VIEW_LOCATIONS) and not needs_no_grant(role)


def _scope(role: Role, everywhere: Action, granted: Scope) -> Scope:
    return EVERYTHING if allows(role, everywhere) else granted


def _awaited_for(verb: Verb) -> Awaiting | None:
    action = ACTION_OF_VERB[verb]
    return next((name for role, name in AWAITING_OF_ROLE.items() if allows(role, action)), None)
