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
from app.domain.limits import check_true
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
# Who signs in as the user, and what the user may do: nobody changes their own, and a change needs a confirmation.
_DECISIVE = ("subject", "issuer", "role")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser(Command):
    """A new user. The default of the subject is the email address, that of the issuer (None) the configured one.

    Whether a lead has all accounts is stated.
    """

    name: str
    email: str
    role: Role
    account_id: str | None = None
    subject: str | None = None
    issuer: str | Unset | None = UNSET
    all_accounts: bool | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class EditUser(Command):
    """Changes to a user."""

    user_id: str
    expected_revision: int
    name: str | Unset = UNSET
    email: str | Unset = UNSET
    subject: str | Unset = UNSET
    issuer: str | Unset | None = UNSET
    role: Role | Unset = UNSET
    account_id: str | Unset | None = UNSET
    all_accounts: bool | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantScope:
    """The locations of an account: all of them, or those that are listed. Neither is no access."""

    all_locations: bool | Unset = UNSET
    location_ids: tuple[str, ...] | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantValue:
    """Access to locations of one account."""

    account_id: str
    scope: GrantScope


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
    await check_manages_users(context)
    role, account_id = command.role, command.account_id
    check_binding(role, account_id)
    all_accounts = stated_access(role, command.all_accounts)
    if account_id is not None:
        await context.found(tables.account, account_id)
    email = email_of(command.email)
    row = {
        "id": context.new_id("User"),
        "subject": email if command.subject is None else given_text("user.subject", command.subject, path=("subject",)),
        "issuer": _issuer(context, or_stored(command.issuer, None)),
        "name": given_text("user.name", command.name, path=("name",)),
        "email": email,
        "role": role,
        "status": UserStatus.ACTIVE,
        "account_id": account_id,
        "all_accounts": all_accounts,
        "made_by": made_by_viewer(context, ()),
        "revision": 1,
        "created_at": context.now,
        "updated_at": context.now,
    }
    return AdministrationChange(writes=(Insert(tables.user, row),), ids={"user": str(row["id"])})


async def edit_user(context: AdministrationContext, command: EditUser) -> AdministrationChange:
    """Change a user. Another role or account withdraws the grants, another role or identity the confirmation.

    The identity is the issuer with the subject. Raises InvalidInput, also for the viewer's own role, identity and
    access, and NotFound.
    """
    await check_manages_users(context)
    user = await context.at_revision(tables.user, command.user_id, command.expected_revision)
    values: dict[str, Any] = {}
    if command.name is not UNSET:
        values["name"] = given_text("user.name", command.name, path=("name",))
    if command.email is not UNSET:
        values["email"] = email_of(command.email)
    if command.subject is not UNSET:
        values["subject"] = given_text("user.subject", command.subject, path=("subject",))
    if command.issuer is not UNSET:
        values["issuer"] = _issuer(context, command.issuer)
    role = Role(or_stored(command.role, user.role))
    bound_to = user.account_id if role in BOUND_TO_ACCOUNT else None
    account_id = or_stored(command.account_id, bound_to)
    check_binding(role, account_id)
    moved = (role, account_id) != (user.role, user.account_id)
    if moved:
        if account_id is not None:
            await context.found(tables.account, account_id)
        values |= {"role": role, "account_id": account_id}
    decisive = [name for name in _DECISIVE if values.get(name, getattr(user, name)) != getattr(user, name)]
    if decisive and user.id == context.viewer.id:
        raise InvalidInput(field=decisive[0], rule="another lead must change your own", path=(decisive[0],))
    values |= _new_access(context, user, role, command.all_accounts)
    if decisive:
        values["made_by"] = made_by_viewer(context, user.made_by)
    withdrawn = (Delete(tables.grant, {"user_id": user.id}),) if moved else ()
    unstated = (Delete(tables.accepted_version, {"user_id": user.id}),) if "role" in decisive else ()
    change = _changed(context, user, values)
    return replace(change, writes=(*withdrawn, *unstated, *change.writes))


async def confirm_user(context: AdministrationContext, command: ConfirmUser) -> AdministrationChange:
    """Confirm a user whom other leads made. Raises InvalidInput for the viewer, and for a user whom the viewer made."""
    await check_manages_users(context)
    user = await context.found(tables.user, command.user_id)
    if user.id == context.viewer.id:
        raise InvalidInput(field="userId", rule="you cannot confirm yourself", path=("userId",))
    if context.viewer.id in user.made_by:
        rule = (
            "you created or invited this user, gave the user the role, subject or issuer, or made a service token for "
            "the user: another lead must confirm the user"
        )
        raise InvalidInput(field="userId", rule=rule, path=("userId",))
    return _changed(context, user, {"made_by": []} if user.made_by else {})


async def suspend_user(context: AdministrationContext, command: SuspendUser) -> AdministrationChange:
    """Suspend a user, effective from the user's next request. Leads cannot suspend themselves: raises InvalidInput."""
    await check_manages_users(context)
    if command.user_id == context.viewer.id:
        raise InvalidInput(field="userId", rule="you cannot suspend yourself", path=("userId",))
    user = await context.found(tables.user, command.user_id)
    return _to_status(context, user, UserStatus.SUSPENDED)


async def reinstate_user(context: AdministrationContext, command: ReinstateUser) -> AdministrationChange:
    """Reinstate a suspended user."""
    await check_manages_users(context)
    user = await context.found(tables.user, command.user_id)
    return _to_status(context, user, UserStatus.ACTIVE)


async def set_grants(context: AdministrationContext, command: SetGrants) -> AdministrationChange:
    """Replace the grants of a user: all locations of an account, or some. Leads of all accounts need no grants."""
    await check_manages_users(context)
    user = await context.at_revision(tables.user, command.user_id, command.expected_revision)
    grants = command.grants
    access = _new_access(context, user, Role(user.role), command.all_accounts)
    all_accounts = access.get("all_accounts", user.all_accounts)
    check_form(grants, role=Role(user.role), account_id=user.account_id, all_accounts=all_accounts)
    await check_reach(context, grants)
    writes = (
        Delete(tables.grant, {"user_id": user.id}),
        *(write for each in grants for write in _grant(context, user.id, each)),
        Update(tables.user, {"id": user.id}, access | {"revision": user.revision + 1, "updated_at": context.now}),
    )
    return AdministrationChange(writes=writes, ids={"user": user.id})


async def check_manages_users(context: AdministrationContext) -> None:
    """Wait for other changes of users. Then the viewer must be a confirmed lead of all accounts, or the system.

    Raises UserUnconfirmed, SuspendedUser and Forbidden.
    """
    await writing.lock_users(context.transaction)
    if context.by_system:
        return
    now = await writing.user_now(context.transaction, context.viewer.id)
    check_confirmed(as_now(context.viewer, now, Action.ADMINISTER))


def made_by_viewer(context: AdministrationContext, before: Iterable[str]) -> list[str]:
    """The users who made a user, with the viewer. The system is none of them: whom it makes is confirmed."""
    return sorted(before) if context.by_system else sorted({*before, context.viewer.id})


def check_binding(role: Role, account_id: str | None) -> None:
    """Raises InvalidInput unless an account is given exactly for a role that works for one."""
    if (role in BOUND_TO_ACCOUNT) != (account_id is not None):
        rule = "required for customers, not allowed for other users"
        raise InvalidInput(field="accountId", rule=rule, path=("accountId",))


def _new_access(context: AdministrationContext, user: Any, role: Role, given: bool | Unset) -> dict[str, bool]:
    """The new value of `all_accounts` if it changes. It is stated when a user becomes a lead.

    Raises InvalidInput for another role than a lead, and for the viewer's own access.
    """
    is_kept = given is UNSET and role == user.role
    all_accounts = user.all_accounts if is_kept else stated_access(role, given)
    if all_accounts == user.all_accounts:
        return {}
    if user.id == context.viewer.id:
        raise InvalidInput(field="allAccounts", rule="another lead must change your own", path=("allAccounts",))
    return {"all_accounts": all_accounts}


def stated_access(role: Role, given: bool | Unset) -> bool:
    """Whether a user of the role has access to all accounts. For a lead it must be given."""
    if can_be_limited(role) and given is UNSET:
        raise InvalidInput(field="allAccounts", rule="required for leads", path=("allAccounts",))
    all_accounts = or_stored(given, False)
    if all_accounts and not can_be_limited(role):
        raise InvalidInput(field="allAccounts", rule="for leads only", path=("allAccounts",))
    return all_accounts


def check_form(grants: Sequence[GrantValue], *, role: Role, account_id: str | None, all_accounts: bool) -> None:
    """Raises InvalidInput for too many grants, and for the first one that a user of this role cannot have.

    `account_id` is the account that a customer works for.
    """
    if len(grants) > MOST_GRANTS or len({each.account_id for each in grants}) < len(grants):
        rule = f"at most {MOST_GRANTS} grants, one per account"
        raise InvalidInput(field="grants", rule=rule, path=("grants",))
    for place, each in enumerate(grants):
        _check_grant(each, role, account_id, all_accounts, ("grants", str(place)))


def _check_grant(
    grant: GrantValue, role: Role, account_id: str | None, all_accounts: bool, path: tuple[str, ...]
) -> None:
    if needs_no_grant(role, all_accounts=all_accounts):
        rule = (
            "a lead with access to all accounts needs no grants; set allAccounts to false"
            if can_be_limited(role)
            else "auditors read the whole audit log and need no grants"
        )
        raise InvalidInput(field="grants", rule=rule, path=path)
    if role in BOUND_TO_ACCOUNT and grant.account_id != account_id:
        raise InvalidInput(field="accountId", rule="must be the customer's own account", path=(*path, "accountId"))
    if grant.scope.all_locations is not UNSET:
        check_true("allLocations", grant.scope.all_locations, path=(*path, "scope", "allLocations"))
    elif not takes_listed_locations(role) or not 1 <= len(listed_in(grant)) <= MOST_LOCATIONS:
        rule = f"for customers only, from 1 to {MOST_LOCATIONS} locations"
        raise InvalidInput(field="locationIds", rule=rule, path=(*path, "scope", "locationIds"))


async def check_reach(context: AdministrationContext, grants: Sequence[GrantValue]) -> None:
    """Raises NotFound for the first account that is out of scope, or location that is not of its account."""
    accounts = await context.kept(tables.account, (each.account_id for each in grants))
    locations = await context.kept(tables.location, chain.from_iterable(map(listed_in, grants)))
    for place, each in enumerate(grants):
        path = ("grants", str(place))
        if each.account_id not in accounts:
            raise NotFound(path=(*path, "accountId"))
        for index, location_id in enumerate(listed_in(each)):
            location = locations.get(location_id)
            if location is None or location.account_id != each.account_id:
                raise NotFound(path=(*path, "scope", "locationIds", str(index)))


def listed_in(grant: GrantValue) -> Sequence[str]:
    """The locations that a grant lists."""
    return or_stored(grant.scope.location_ids, ())


def _grant(context: AdministrationContext, user_id: str, grant: GrantValue) -> Iterator[Write]:
    grant_id = context.new_id("Grant")
    row = {
        "id": grant_id,
        "user_id": user_id,
        "account_id": grant.account_id,
        "all_locations": grant.scope.all_locations is True,
        "created_at": context.now,
    }
    yield Insert(tables.grant, row)
    for location_id in dict.fromkeys(listed_in(grant)):
        listed = {"grant_id": grant_id, "account_id": grant.account_id, "location_id": location_id}
        yield Insert(tables.grant_location, listed)


def _to_status(context: AdministrationContext, user: Any, status: UserStatus) -> AdministrationChange:
    return _changed(context, user, {} if user.status == status else {"status": status})


def _changed(context: AdministrationContext, user: Any, values: dict[str, Any]) -> AdministrationChange:
    if not values:
        return AdministrationChange(ids={"user": user.id})
    changed = values | {"revision": user.revision + 1, "updated_at": context.now}
    return AdministrationChange(writes=(Update(tables.user, {"id": user.id}, changed),), ids={"user": user.id})


def _issuer(context: AdministrationContext, text: str | None) -> str | None:
    """The issuer as it is stored: None for the configured one."""
    issuer = None if text is None else given_text("user.issuer", text, path=("issuer",))
    return None if issuer == context.configured_issuer else issuer


def email_of(text: str) -> str:
    """The email address as it is stored. Raises InvalidInput."""
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
