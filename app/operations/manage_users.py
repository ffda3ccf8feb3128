"""Users, their grants and their confirmation. A change takes effect from the user's next request.

Only one transaction changes users at a time, and the viewer must be a confirmed lead of all accounts as of then: of two
leads who suspend, demote, limit or replace each other at the same time, one prevails. Nobody does so to themselves, so
one lead who can manage users always remains. The command line decides without a viewer, see operate_users.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from app.db import tables, writing
from app.db.writing import Delete, Insert, Update, Write
from app.domain.approving import check_confirmed
from app.domain.email_address import is_email
from app.domain.refusals import InvalidInput, NotFound
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, Role, UserStatus
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import UNSET, Command, Unset, or_stored
from app.operations.current_viewer import as_now
from permissions.matrix import BOUND_TO_ACCOUNT, Action
from permissions.policy import can_be_limited, needs_no_grant, takes_listed_locations

MOST_GRANTS = 100
MOST_LOCATIONS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser(Command):
    """A new user. The default of the subject is the email address; a lead has access to all accounts by default."""

    name: str
    email: str
    role: Role
    account_id: str | None = None
    subject: str | None = None
    all_accounts: bool | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class EditUser(Command):
    """Changes to a user."""

    user_id: str
    expected_revision: int
    name: str | Unset = UNSET
    email: str | Unset = UNSET
    subject: str | Unset = UNSET
    role: Role | Unset = UNSET
    account_id: str | Unset | None = UNSET
    all_accounts: bool | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantValue:
    """Access to one account: to the listed locations, or to all of them if none are listed."""

    account_id: str
    location_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetGrants(Command):
    """The complete grants of a user, and whether a lead has access to all accounts instead."""

    user_id: str
    expected_revision: int
    grants: tuple[GrantValue, ...]
    all_accounts: bool | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendUser(Command):
    """The user to suspend."""

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinstateUser(Command):
    """The user to reinstate."""

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmUser(Command):
    """The user to confirm."""

    user_id: str


async def create_user(context: AdministrationContext, command: CreateUser) -> AdministrationChange:
    """Create a user without grants, unconfirmed unless the system does it. A customer works for one account.

    Raises InvalidInput and NotFound.
    """
    await _may_manage(context)
    role, account_id = command.role, command.account_id
    all_accounts = or_stored(command.all_accounts, can_be_limited(role))
    _check_binding(role, account_id)
    _check_access(role, all_accounts)
    if account_id is not None:
        await context.found(tables.account, account_id)
    email = _email(command.email)
    row = {
        "id": context.new_id("User"),
        "subject": email if command.subject is None else given_text("user.subject", command.subject, path=("subject",)),
        "name": given_text("user.name", command.name, path=("name",)),
        "email": email,
        "role": role,
        "status": UserStatus.ACTIVE,
        "account_id": account_id,
        "all_accounts": all_accounts,
        "made_by": _made_by(context, ()),
        "revision": 1,
        "created_at": context.now,
        "updated_at": context.now,
    }
    return AdministrationChange(writes=(Insert(tables.user, row),), ids={"user": str(row["id"])})


async def edit_user(context: AdministrationContext, command: EditUser) -> AdministrationChange:
    """Change a user. Another role or account withdraws the grants, another role or subject the confirmation.

    Raises InvalidInput, also for the viewer's own role, subject and access, and NotFound.
    """
    await _may_manage(context)
    user = await context.at_revision(tables.user, command.user_id, command.expected_revision)
    values: dict[str, Any] = {}
    if command.name is not UNSET:
        values["name"] = given_text("user.name", command.name, path=("name",))
    if command.email is not UNSET:
        values["email"] = _email(command.email)
    if command.subject is not UNSET:
        values["subject"] = given_text("user.subject", command.subject, path=("subject",))
    role = Role(or_stored(command.role, user.role))
    bound_to = user.account_id if role in BOUND_TO_ACCOUNT else None
    account_id = or_stored(command.account_id, bound_to)
    _check_binding(role, account_id)
    moved = (role, account_id) != (user.role, user.account_id)
    if moved:
        if account_id is not None:
            await context.found(tables.account, account_id)
        values |= {"role": role, "account_id": account_id}
    identity = [name for name in ("subject", "role") if values.get(name, getattr(user, name)) != getattr(user, name)]
    if identity and user.id == context.viewer.id:
        raise InvalidInput(field=identity[0], rule="another lead must change your own", path=(identity[0],))
    values |= _new_access(context, user, role, command.all_accounts)
    if identity:
        values["made_by"] = _made_by(context, user.made_by)
    withdrawn = (Delete(tables.grant, {"user_id": user.id}),) if moved else ()
    unstated = (Delete(tables.accepted_version, {"user_id": user.id}),) if "role" in identity else ()
    change = _changed(context, user, values)
    return replace(change, writes=(*withdrawn, *unstated, *change.writes))


async def confirm_user(context: AdministrationContext, command: ConfirmUser) -> AdministrationChange:
    """Confirm a user whom other leads made. Raises InvalidInput for the viewer, and for a user whom the viewer made."""
    await _may_manage(context)
    user = await context.found(tables.user, command.user_id)
    if user.id == context.viewer.id:
        raise InvalidInput(field="userId", rule="you cannot confirm yourself", path=("userId",))
    if context.viewer.id in user.made_by:
        rule = "you created this user, or gave the user the role or subject: another lead must confirm the user"
        raise InvalidInput(field="userId", rule=rule, path=("userId",))
    return _changed(context, user, {"made_by": []} if user.made_by else {})


async def suspend_user(context: AdministrationContext, command: SuspendUser) -> AdministrationChange:
    """Suspend a user, effective from the user's next request. Leads cannot suspend themselves: raises InvalidInput."""
    await _may_manage(context)
    if command.user_id == context.viewer.id:
        raise InvalidInput(field="userId", rule="you cannot suspend yourself", path=("userId",))
    user = await context.found(tables.user, command.user_id)
    return _to_status(context, user, UserStatus.SUSPENDED)


async def reinstate_user(context: AdministrationContext, command: ReinstateUser) -> AdministrationChange:
    """Reinstate a suspended user."""
    await _may_manage(context)
    user = await context.found(tables.user, command.user_id)
    return _to_status(context, user, UserStatus.ACTIVE)


async def set_grants(context: AdministrationContext, command: SetGrants) -> AdministrationChange:
    """Replace the grants of a user: whole accounts or listed locations. Leads of all accounts need no grants."""
    await _may_manage(context)
    user = await context.at_revision(tables.user, command.user_id, command.expected_revision)
    grants = command.grants
    if len(grants) > MOST_GRANTS or len({each.account_id for each in grants}) < len(grants):
        rule = f"at most {MOST_GRANTS} grants, one per account"
        raise InvalidInput(field="grants", rule=rule, path=("grants",))
    access = _new_access(context, user, Role(user.role), command.all_accounts)
    all_accounts = access.get("all_accounts", user.all_accounts)
    for place, each in enumerate(grants):
        _check_form(user, all_accounts, each, ("grants", str(place)))
    await _check_reach(context, grants)
    writes = (
        Delete(tables.grant, {"user_id": user.id}),
        *(write for each in grants for write in _grant(context, user.id, each)),
        Update(tables.user, {"id": user.id}, access | {"revision": user.revision + 1, "updated_at": context.now}),
    )
    return AdministrationChange(writes=writes, ids={"user": user.id})


async def _may_manage(context: AdministrationContext) -> None:
    """Wait for other changes of users. Then the viewer must be a confirmed lead of all accounts, or the system.

    Raises UserUnconfirmed, SuspendedUser and Forbidden.
    """
    await writing.lock_users(context.transaction)
    if context.by_system:
        return
    now = await writing.user_now(context.transaction, context.viewer.id)
    check_confirmed(as_now(context.viewer, now, Action.ADMINISTER))


def _made_by(context: AdministrationContext, before: Iterable[str]) -> list[str]:
    """The users who made a user, with the viewer. The system is none of them: whom it makes is confirmed."""
    return sorted(before) if context.by_system else sorted({*before, context.viewer.id})


def _check_binding(role: Role, account_id: str | None) -> None:
    if (role in BOUND_TO_ACCOUNT) != (account_id is not None):
        rule = "required for customers, not allowed for other users"
        raise InvalidInput(field="accountId", rule=rule, path=("accountId",))


def _new_access(context: AdministrationContext, user: Any, role: Role, given: bool | Unset) -> dict[str, bool]:
    """The new value of `all_accounts` if it changes; a new lead has access to all accounts by default.

    Raises InvalidInput for another role than a lead, and for the viewer's own access.
    """
    all_accounts = or_stored(given, user.all_accounts if role == user.role else can_be_limited(role))
    _check_access(role, all_accounts)
    if all_accounts == user.all_accounts:
        return {}
    if user.id == context.viewer.id:
        raise InvalidInput(field="allAccounts", rule="another lead must change your own", path=("allAccounts",))
    return {"all_accounts": all_accounts}


def _check_access(role: Role, all_accounts: bool) -> None:
    if all_accounts and not can_be_limited(role):
        raise InvalidInput(field="allAccounts", rule="for leads only", path=("allAccounts",))


def _check_form(user: Any, all_accounts: bool, grant: GrantValue, path: tuple[str, ...]) -> None:
    role = Role(user.role)
    if needs_no_grant(role, all_accounts=all_accounts):
        rule = (
            "a lead with access to all accounts needs no grants; set allAccounts to false"
            if can_be_limited(role)
            else "auditors read the whole audit log and need no grants"
        )
        raise InvalidInput(field="grants", rule=rule, path=path)
    if role in BOUND_TO_ACCOUNT and grant.account_id != user.account_id:
        raise InvalidInput(field="accountId", rule="must be the customer's own account", path=(*path, "accountId"))
    locations = grant.location_ids
    if locations is not None and (not takes_listed_locations(role) or len(locations) > MOST_LOCATIONS):
        rule = f"for customers only, at most {MOST_LOCATIONS} locations"
        raise InvalidInput(field="locationIds", rule=rule, path=(*path, "locationIds"))


async def _check_reach(context: AdministrationContext, grants: Sequence[GrantValue]) -> None:
    """Raises NotFound for the first account that is out of scope, or location that is not of its account."""
    accounts = await context.kept(tables.account, (each.account_id for each in grants))
    locations = await context.kept(tables.location, chain.from_iterable(map(_listed, grants)))
    for place, each in enumerate(grants):
        path = ("grants", str(place))
        if each.account_id not in accounts:
            raise NotFound(path=(*path, "accountId"))
        for index, location_id in enumerate(_listed(each)):
            location = locations.get(location_id)
            if location is None or location.account_id != each.account_id:
                raise NotFound(path=(*path, "locationIds", str(index)))


def _listed(grant: GrantValue) -> Sequence[str]:
    return grant.location_ids or ()


def _grant(context: AdministrationContext, user_id: str, grant: GrantValue) -> Iterator[Write]:
    grant_id = context.new_id("Grant")
    row = {
        "id": grant_id,
        "user_id": user_id,
        "account_id": grant.account_id,
        "all_locations": grant.location_ids is None,
        "created_at": context.now,
    }
    yield Insert(tables.grant, row)
    for location_id in dict.fromkeys(_listed(grant)):
        listed = {"grant_id": grant_id, "account_id": grant.account_id, "location_id": location_id}
        yield Insert(tables.grant_location, listed)


def _to_status(context: AdministrationContext, user: Any, status: UserStatus) -> AdministrationChange:
    return _changed(context, user, {} if user.status == status else {"status": status})


def _changed(context: AdministrationContext, user: Any, values: dict[str, Any]) -> AdministrationChange:
    if not values:
        return AdministrationChange(ids={"user": user.id})
    changed = values | {"revision": user.revision + 1, "updated_at": context.now}
    return AdministrationChange(writes=(Update(tables.user, {"id": user.id}, changed),), ids={"user": user.id})


def _email(text: str) -> str:
    email = given_text("user.email", text, path=("email",))
    if not is_email(email):
        raise InvalidInput(field="email", rule="must be an email address", path=("email",))
    return email


CREATE_USER = AdministrationMutation(
    name="createUser",
    command=CreateUser,
    decide=create_user,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

EDIT_USER = AdministrationMutation(
    name="editUser",
    command=EditUser,
    decide=edit_user,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

SET_GRANTS = AdministrationMutation(
    name="setGrants",
    command=SetGrants,
    decide=set_grants,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

SUSPEND_USER = AdministrationMutation(
    name="suspendUser",
    command=SuspendUser,
    decide=suspend_user,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

REINSTATE_USER = AdministrationMutation(
    name="reinstateUser",
    command=ReinstateUser,
    decide=reinstate_user,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

CONFIRM_USER = AdministrationMutation(
    name="confirmUser",
    command=ConfirmUser,
    decide=confirm_user,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)
