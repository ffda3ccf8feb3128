"""Users as an operator manages them on the command line, also when no lead can sign in.

The rules are those of the mutations in manage_users. Users who are added here are confirmed: no lead made them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.db import tables, writing
from app.db.statements import Statement
from app.domain.email_address import is_email
from app.domain.refusals import InvalidInput, NotFound
from app.domain.vocabulary import Role, UserStatus
from app.operations import manage_users
from app.operations.administration import AdministrationChange, AdministrationContext, write
from app.operations.manage_users import ConfirmUser, CreateUser, GrantValue, ReinstateUser, SetGrants, SuspendUser
from app.operations.system import SystemAction, as_system, reading_as_system
from permissions.matrix import BOUND_TO_ACCOUNT
from permissions.policy import can_be_limited


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUser:
    """A new user, with a grant on all locations of each account. The default of the subject is the email address.

    A lead without accounts has access to all of them.
    """

    name: str
    email: str
    role: Role
    subject: str | None = None
    account_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A user as an operator sees it: unconfirmed if `made_by` names users, with grants on the accounts."""

    id: str
    role: Role
    status: UserStatus
    email: str
    made_by: tuple[str, ...]
    all_accounts: bool
    account_ids: tuple[str, ...]


async def add_user(owner_url: str, command: AddUser) -> str:
    """Add a user with the user's grants; returns the id. Raises InvalidInput, NotFound, and what `as_system` raises."""
    accounts = command.account_ids
    if command.role in BOUND_TO_ACCOUNT and len(accounts) != 1:
        raise InvalidInput(field="accountId", rule="a customer works for exactly one account", path=("accountId",))
    async with as_system(owner_url, SystemAction.USER_ADDED) as context:
        found = await context.kept(tables.account, accounts)
        if missing := [str(place) for place, each in enumerate(accounts) if each not in found]:
            raise NotFound(path=("grants", missing[0], "accountId"))
        created = await manage_users.create_user(
            context,
            CreateUser(
                name=command.name,
                email=command.email,
                role=command.role,
                account_id=accounts[0] if command.role in BOUND_TO_ACCOUNT else None,
                subject=command.subject,
                all_accounts=can_be_limited(command.role) and not accounts,
            ),
        )
        await write(context.transaction, created)
        user_id = created.ids["user"]
        if accounts:
            grants = tuple(GrantValue(account_id=each) for each in accounts)
            granting = SetGrants(user_id=user_id, expected_revision=1, grants=grants)
            granted = await manage_users.set_grants(context, granting)
            await write(context.transaction, granted)
    return user_id


async def suspend_user(owner_url: str, named: str) -> bool:
    """Suspend a user, named by id or email address. Returns whether the user was active before.

    Raises InvalidInput if no other active lead can manage users, NotFound, and what `as_system` raises.
    """
    async with as_system(owner_url, SystemAction.USER_SUSPENDED) as context:
        managing = await writing.two_managing_leads(context.transaction)
        user = await _named(context, named)
        is_lead = (user.role, user.status) == (Role.IMPLEMENTATION_LEAD, UserStatus.ACTIVE)
        if is_lead and not managing - {user.id}:
            rule = "the last active lead who can manage users; add, reinstate or confirm another one first"
            raise InvalidInput(field="user", rule=rule, path=("user",))
        return await _written(context, await manage_users.suspend_user(context, SuspendUser(user_id=user.id)))


async def reinstate_user(owner_url: str, named: str) -> bool:
    """Reinstate a user, named by id or email address. Returns whether the user was suspended before.

    Raises NotFound, and what `as_system` raises.
    """
    async with as_system(owner_url, SystemAction.USER_REINSTATED) as context:
        user = await _named(context, named)
        return await _written(context, await manage_users.reinstate_user(context, ReinstateUser(user_id=user.id)))


async def confirm_user(owner_url: str, named: str) -> bool:
    """Confirm a user, named by id or email address. Returns whether the user was unconfirmed before.

    Raises NotFound, and what `as_system` raises.
    """
    async with as_system(owner_url, SystemAction.USER_CONFIRMED) as context:
        user = await _named(context, named)
        return await _written(context, await manage_users.confirm_user(context, ConfirmUser(user_id=user.id)))


async def list_users(owner_url: str, *, after: str, limit: int) -> Sequence[ListedUser]:
    """Return the users with ids after this one, in the order of their ids. Raises what `as_system` raises."""
    async with reading_as_system(owner_url) as transaction:
        return await transaction.fetch(_LISTED, after=after, most=limit)


async def _named(context: AdministrationContext, named: str) -> Any:
    """The user, locked. Raises NotFound."""
    user_id = named
    if is_email(named):
        user_id = await context.transaction.fetch_one(_BY_EMAIL, email=named) or ""
    return await context.found(tables.user, user_id)


async def _written(context: AdministrationContext, change: AdministrationChange) -> bool:
    await write(context.transaction, change)
    return bool(change.writes)


_BY_EMAIL = Statement("user by email", 'SELECT id FROM turnup."user" WHERE lower(email) = lower($1)', ("email",), str)
_LISTED = Statement(
    "list users",
    """SELECT u.id, u.role, u.status, u.email, u.made_by, u.all_accounts, array(
           SELECT g.account_id FROM turnup."grant" g WHERE g.user_id = u.id ORDER BY g.account_id
       ) FROM turnup."user" u WHERE u.id > $1 ORDER BY u.id LIMIT $2""",
    ("after", "most"),
    lambda user_id, role, status, email, made_by, all_accounts, accounts: ListedUser(
        user_id, Role(role), UserStatus(status), email, tuple(made_by), all_accounts, tuple(accounts)
    ),
)
