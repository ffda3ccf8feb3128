"""What follows from the matrix: verbs, listed actions, scopes, the awaited role, and the grants that a user may get.

Every decision about a viewer asks `may`, which knows the role and what a service token leaves of it. No other module
decides by the role of a viewer.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from app.domain import ids
from app.domain.credential import CredentialKind
from app.domain.status_machine import TABLE
from app.domain.viewer import EVERYTHING, NOTHING, Scope, Viewer
from app.domain.vocabulary import LocationAction, LocationStatus, Role
from app.domain.waiting import NEXT_VERB, Awaiting
from permissions.matrix import (
    ACTION_OF_LOCATION_ACTION,
    AUDIENCE,
    AUDIENCE_OF_VALUE,
    CUSTOMER,
    LEAD,
    LIMITED_TO_GRANTS,
    NEEDS_ALL_ACCOUNTS,
    PARTNER,
    REQUIRES,
    Action,
    TokenAction,
    allows,
)

AWAITING_OF_ROLE = {CUSTOMER: Awaiting.CUSTOMER, PARTNER: Awaiting.PARTNER, LEAD: Awaiting.LEAD}
"""The name of each role in the `awaiting` filter; a verb allowed to several roles counts for the first listed."""


class Forbidden(Exception):  # noqa: N818 - named like the error code
    """The viewer's role, service token, or access to only some accounts does not include this action."""

    def __init__(self, action: Action | None, message: str = "Your role does not allow this action.") -> None:
        super().__init__(message)
        self.action = action


LIMITED = "Your access is limited to some accounts. This action needs access to all accounts."
"""The message for users whose access is limited to the accounts of their grants."""
NARROWED = "Your service token does not include this action."
"""The message for actions that the role of the user includes, and the service token does not."""


def check_allowed(viewer: Viewer, action: Action) -> None:
    """Raise Forbidden unless the viewer may take the action, on the objects in the viewer's scope."""
    forbidden = _forbidden(viewer, action)
    if forbidden is not None:
        raise forbidden


def may(viewer: Viewer, action: Action) -> bool:
    """Return whether `check_allowed` passes."""
    return _forbidden(viewer, action) is None


def is_limited(role: Role, *, all_accounts: bool) -> bool:
    """Return whether a user's access is limited to the granted accounts, although the role includes all accounts."""
    return role in LIMITED_TO_GRANTS and not all_accounts


def verbs_of(viewer: Viewer) -> frozenset[LocationAction]:
    """Return the verbs of the status machine that a viewer may use."""
    return frozenset(verb for verb in TABLE if _may_use(viewer, verb))


def forbidden_actions_of(viewer: Viewer, *, account_id: str, location_id: str) -> dict[LocationAction, str]:
    """Return the actions that the viewer may not take on this location in any status, with the message for each."""
    editable = viewer.editing.includes(account_id, location_id)
    found = {
        each: Forbidden(action) if action is Action.EDIT_ONBOARDING and not editable else _forbidden(viewer, action)
        for each, action in ACTION_OF_LOCATION_ACTION.items()
    }
    return {each: str(forbidden) for each, forbidden in found.items() if forbidden is not None}


def actions_on_locations() -> tuple[LocationAction, ...]:
    """Return the actions that a role may take among those that see locations."""
    seeing = [role for role in Role if allows(role, Action.VIEW_LOCATIONS)]
    return tuple(each for each in LocationAction if any(_allows(role, each) for role in seeing))


def viewer_of(
    *,
    identifier: str,
    name: str,
    email: str,
    role: Role,
    granted: Scope,
    all_accounts: bool,
    confirmed: bool,
    credential_kind: CredentialKind = CredentialKind.ACCESS_TOKEN,
    credential_id: str | None = None,
    credential_expires_at: datetime | None = None,
    actions: frozenset[str] | None = None,
) -> Viewer:
    """Return a signed-in user with the scopes that follow from the role, the grants and the access to all accounts.

    `actions` are those to which a service token narrows the role; None for other credentials.
    """
    whole = granted if is_limited(role, all_accounts=all_accounts) else EVERYTHING

    def reach(some: Action, every: Action, granted: Scope = granted) -> Scope:
        if not _includes(role, actions, some):
            return NOTHING
        return whole if _includes(role, actions, every) else granted

    received = replace(granted, recipient=identifier)
    return Viewer(
        id=identifier,
        name=name,
        email=email,
        role=role,
        scope=reach(Action.VIEW_LOCATIONS, Action.VIEW_ALL_LOCATIONS),
        accounts=reach(Action.VIEW_ACCOUNTS, Action.VIEW_ALL_LOCATIONS),
        editing=reach(Action.VIEW_LOCATIONS, Action.EDIT_ANY_ONBOARDING),
        provisioning=reach(Action.VIEW_PROVISIONING, Action.VIEW_ALL_PROVISIONING, received),
        auditing=reach(Action.VIEW_AUDIT, Action.VIEW_ALL_AUDIT),
        all_accounts=all_accounts,
        confirmed=confirmed,
        credential_kind=credential_kind,
        credential_id=credential_id,
        credential_expires_at=credential_expires_at,
        actions=actions,
    )


def roles_with(action: Action) -> frozenset[Role]:
    """Return the roles that may take an action."""
    return frozenset(role for role in Role if allows(role, action))


def role_includes(role: Role, action: TokenAction) -> bool:
    """Return whether the role of a user includes an action that a service token of the user would include."""
    return allows(role, Action(action))


@lru_cache(maxsize=256)
def actions_of_token(stated: frozenset[str] | None) -> frozenset[str]:
    """Return the actions that count of those that a service token states; None states all that a token can include.

    An action counts with those that it requires.
    """
    listed = frozenset(each.value for each in TokenAction if stated is None or each in stated)
    return frozenset(each for each in listed if not missing_for(each, listed))


def missing_for(action: str, stated: Collection[str]) -> list[str]:
    """Return the actions that one requires, also indirectly, and that are not among the stated ones."""
    required = sorted(REQUIRES.get(Action(action), ()))
    missing = [each.value for each in required if each not in stated]
    return list(dict.fromkeys([*missing, *(further for each in required for further in missing_for(each, stated))]))


def acting_scope(viewer: Viewer, action: Action) -> Scope:
    """The locations on which the viewer may take an action, as far as grants decide."""
    if action is Action.EDIT_ONBOARDING:
        return viewer.editing
    return viewer.provisioning if action in _OF_PAYLOADS else viewer.scope


_OF_PAYLOADS = frozenset({Action.ACKNOWLEDGE, Action.REJECT, Action.CONFIRM_DECOMMISSION})


def answers_payloads(role: Role) -> bool:
    """Return whether users of a role receive payloads and answer them."""
    return allows(role, Action.ACKNOWLEDGE)


def acts_on_behalf(viewer: Viewer) -> bool:
    """Return whether a viewer acts on payloads on behalf of their recipients, because it cannot be one itself."""
    return not answers_payloads(viewer.role)


def statuses_awaiting(who: Awaiting, viewer: Viewer) -> frozenset[LocationStatus]:
    """Return the statuses in which a location awaits `who`; final ones await nobody.

    It awaits the viewer if it awaits the viewer's role, and the viewer may take the next verb.
    """
    awaited = AWAITING_OF_ROLE.get(viewer.role) if who is Awaiting.ME else who
    return frozenset(
        status
        for status, verb in NEXT_VERB.items()
        if awaited is not None and _awaited_for(verb) is awaited and (who is not Awaiting.ME or _may_use(viewer, verb))
    )


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


def may_view_type_of(viewer: Viewer, identifier: str) -> bool:
    """Return whether the viewer may view the type that the prefix of an id names. An unknown type may be viewed."""
    action = AUDIENCE.get(ids.type_of(identifier) or "")
    return action is None or may(viewer, action)


def may_read_value(viewer: Viewer, table: str, column: str) -> bool:
    """Return whether a viewer of the audit log reads the values of a column in it."""
    action = AUDIENCE_OF_VALUE.get((table, column))
    return action is None or may(viewer, action)


def _forbidden(viewer: Viewer, action: Action) -> Forbidden | None:
    """Why the viewer may not take the action on any object, or None."""
    if not _includes(viewer.role, viewer.actions, action):
        return Forbidden(action, NARROWED) if allows(viewer.role, action) else Forbidden(action)
    if action in NEEDS_ALL_ACCOUNTS and is_limited(viewer.role, all_accounts=viewer.all_accounts):
        return Forbidden(action, LIMITED)
    return None


def _includes(role: Role, actions: frozenset[str] | None, action: Action) -> bool:
    """Whether a role, narrowed to these actions by a service token, includes an action."""
    return allows(role, action) and (actions is None or action in actions)


def _awaited_for(verb: LocationAction) -> Awaiting | None:
    return next((name for role, name in AWAITING_OF_ROLE.items() if _allows(role, verb)), None)


def _may_use(viewer: Viewer, action: LocationAction) -> bool:
    needed = ACTION_OF_LOCATION_ACTION.get(action)
    return needed is not None and may(viewer, needed)


def _allows(role: Role, action: LocationAction) -> bool:
    needed = ACTION_OF_LOCATION_ACTION.get(action)
    return needed is not None and allows(role, needed)


if unnamed := [role for role in Role if role not in AWAITING_OF_ROLE and any(_allows(role, verb) for verb in TABLE)]:
    raise ValueError(f"AWAITING_OF_ROLE has no name for {', '.join(unnamed)}")
