"""Users as an operator manages them on the command line, also when no lead can sign in.

The rules are those of the mutations in manage_users. Users who are added here are confirmed: no lead made them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.db import tables, writing
from app.db.statements import Statement
from app.domain import events
from app.domain.email_address import is_email
from app.domain.refusals import InvalidInput, NotFound
from app.domain.vocabulary import Role, SystemAction, UserStatus
from app.operations import manage_invitations, manage_users
from app.operations.administration import AdministrationChange, AdministrationContext, write
from app.operations.event_log import emit_by_system
from app.operations.manage_invitations import InviteUser, RevokeInvitation
from app.operations.manage_users import (
    ConfirmUser,
    CreateUser,
    GrantScope,
    GrantValue,
    ReinstateUser,
    SetGrants,
    SuspendUser,
)
from app.operations.system import as_system, reading_as_system
from permissions.matrix import BOUND_TO_ACCOUNT
from permissions.policy import can_be_limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A user to add, or a person to invite, with a grant on all locations of each account."""

    name: str
    email: str
    role: Role
    all_accounts: bool = False
    account_ids: tuple[str, ...] = ()

    @property
    def account_of_customer(self) -> str | None:
        """The account that a customer works for; None for other roles."""
        return self.account_ids[0] if self.role in BOUND_TO_ACCOUNT else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUser(Newcomer):
    """A new user. The default of the subject is the email address, that of the issuer (None) the configured one."""

    subject: str | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite(Newcomer):
    """A person who can become a user, at the first sign-in with the email address, for so many days."""

    days: int


@dataclass(frozen=True, slots=True)
class ListedInvitation:
    """An open invitation as an operator sees it."""

    id: str
    role: Role
    expires_at: datetime
    email: str


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


async def add_user(owner_url: str, command: AddUser, *, configured_issuer: str) -> str:
    """Add a user with the user's grants; returns the id. Raises InvalidInput, NotFound, and what `as_system` raises."""
    async with as_system(owner_url, SystemAction.USER_ADDED, configured_issuer=configured_issuer) as context:
        grants = await _grants_on(context, command)
        created = await manage_users.create_user(
            context,
            CreateUser(
                name=command.name,
                email=command.email,
                role=command.role,
                account_id=command.account_of_customer,
                subject=command.subject,
                issuer=command.issuer,
                all_accounts=command.all_accounts,
            ),
        )
        await write(context.transaction, created)
        user_id = created.ids["user"]
        if grants:
            granting = SetGrants(user_id=user_id, expected_revision=1, grants=grants)
            granted = await manage_users.set_grants(context, granting)
            await write(context.transaction, granted)
    _log(SystemAction.USER_ADDED, created)
    return user_id


async def invite_user(owner_url: str, command: Invite, *, sign_in_url: str | None) -> str:
    """Invite a person, who will be confirmed; returns the link, which is stored nowhere.

    Raises NoBrowserSignIn, InvalidInput, NotFound, and what `as_system` raises.
    """
    async with as_system(owner_url, SystemAction.USER_INVITED, sign_in_url=sign_in_url) as context:
        invited = await manage_invitations.invite_user(
            context,
            InviteUser(
                email=command.email,
                name=command.name,
                role=command.role,
                grants=await _grants_on(context, command),
                account_id=command.account_of_customer,
                all_accounts=command.all_accounts,
                expires_at=context.now + timedelta(days=command.days),
            ),
        )
        await write(context.transaction, invited)
    _log(SystemAction.USER_INVITED, invited)
    return str(invited.secret)


async def revoke_invitation(owner_url: str, invitation_id: str) -> bool:
    """Revoke an invitation. Returns whether it was not revoked before.

    Raises InvalidInput, NotFound, and what `as_system` raises.
    """
    async with as_system(owner_url, SystemAction.INVITATION_REVOKED) as context:
        revoked = await manage_invitations.revoke_invitation(context, RevokeInvitation(invitation_id=invitation_id))
        await write(context.transaction, revoked)
    return _log(SystemAction.INVITATION_REVOKED, revoked)


async def list_invitations(owner_url: str, *, after: str, limit: int) -> Sequence[ListedInvitation]:
    """Return the open invitations with ids after this one, in order of their ids. Raises what `as_system` raises."""
    async with reading_as_system(owner_url) as transaction:
        return await transaction.fetch(_INVITATIONS, after=after, most=limit)


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
        suspended = await manage_users.suspend_user(context, SuspendUser(user_id=user.id))
        await write(context.transaction, suspended)
    return _log(SystemAction.USER_SUSPENDED, suspended)


async def reinstate_user(owner_url: str, named: str) -> bool:
    """Reinstate a user, named by id or email address. Returns whether the user was suspended before.

    Raises NotFound, and what `as_system` raises.
    """
    async with as_system(owner_url, SystemAction.USER_REINSTATED) as context:
        user = await _named(context, named)
        reinstated = await manage_users.reinstate_user(context, ReinstateUser(user_id=user.id))
        await write(context.transaction, reinstated)
    return _log(SystemAction.USER_REINSTATED, reinstated)


async def confirm_user(owner_url: str, named: str) -> bool:
    """Confirm a user, named by id or email address. Returns whether the user was unconfirmed before.

    Raises NotFound, and what `as_system` raises.
    """
    async with as_system(owner_url, SystemAction.USER_CONFIRMED) as context:
        user = await _named(context, named)
        confirmed = await manage_users.confirm_user(context, ConfirmUser(user_id=user.id))
        await write(context.transaction, confirmed)
    return _log(SystemAction.USER_CONFIRMED, confirmed)


async def list_users(owner_url: str, *, after: str, limit: int) -> Sequence[ListedUser]:
    """Return the users with ids after this one, in the order of their ids. Raises what `as_system` raises."""
    async with reading_as_system(owner_url) as transaction:
        return await transaction.fetch(_LISTED, after=after, most=limit)


async def _grants_on(context: AdministrationContext, command: Newcomer) -> tuple[GrantValue, ...]:
    """The grants of a newcomer. Raises InvalidInput, and NotFound for the first account that does not exist."""
    accounts = command.account_ids
    if command.role in BOUND_TO_ACCOUNT and len(accounts) != 1:
        raise InvalidInput(field="accountId", rule="a customer works for exactly one account", path=("accountId",))
    if can_be_limited(command.role) and not (command.all_accounts or accounts):
        rule = "a lead needs access to all accounts or to some"
        raise InvalidInput(field="allAccounts", rule=rule, path=("allAccounts",))
    found = await context.kept(tables.account, accounts)
    if missing := [str(place) for place, each in enumerate(accounts) if each not in found]:
        raise NotFound(path=("grants", missing[0], "accountId"))
    return tuple(GrantValue(account_id=each, scope=GrantScope(all_locations=True)) for each in accounts)


async def _named(context: AdministrationContext, named: str) -> Any:
    """The user, locked. Raises NotFound."""
    user_id = named
    if is_email(named):
        user_id = await context.transaction.fetch_one(_BY_EMAIL, email=named) or ""
    return await context.found(tables.user, user_id)


def _log(action: SystemAction, change: AdministrationChange) -> bool:
    """Write the event of a committed change. Returns whether anything changed."""
    if change.writes:
        emit_by_system(events.applied(action), action, change.effect)
    return bool(change.writes)


_BY_EMAIL = Statement("user by email", 'SELECT id FROM turnup."user" WHERE lower(email) = lower($1)', ("email",), str)
_INVITATIONS = Statement(
    "list invitations",
    """SELECT id, role, expires_at, email FROM turnup.invitation
       WHERE accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now() AND id > $1 ORDER BY id LIMIT $2""",
    ("after", "most"),
    lambda invitation_id, role, expires_at, email: ListedInvitation(invitation_id, Role(role), expires_at, email),
)
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
