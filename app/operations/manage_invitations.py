"""Invitations. A person who is invited becomes a user at the first sign-in with the verified email address.

What the user will have is checked as for a user that is created. Changes of invitations wait for changes of users, and
so does the acceptance, which the database decides (see app.db.invitations).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from secrets import token_bytes

from app.db import tables, writing
from app.db.writing import Insert, Update, Write
from app.domain.refusals import InvalidInput, NoBrowserSignIn
from app.domain.secrets import SECRET_BYTES, new_secret, secret_sha256
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, Role
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import UNSET, Command, Unset
from app.operations.manage_users import (
    GrantValue,
    check_binding,
    check_form,
    check_manages_users,
    check_reach,
    email_of,
    listed_in,
    stated_access,
)
from permissions.matrix import Action

DEFAULT_DAYS = 7
MOST_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteUser(Command):
    """A person to invite, and what the user will have. Whether a lead has all accounts is stated."""

    email: str
    name: str
    role: Role
    account_id: str | None = None
    all_accounts: bool | Unset = UNSET
    grants: tuple[GrantValue, ...]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeInvitation(Command):
    """The invitation to revoke."""

    invitation_id: str


async def invite_user(context: AdministrationContext, command: InviteUser) -> AdministrationChange:
    """Invite a person. The secret of the change is the link, which is not stored. No user exists until the acceptance.

    An invitation of the same address that has expired is revoked. Raises InvalidInput, NoBrowserSignIn and NotFound.
    """
    await check_manages_users(context)
    role, grants = command.role, command.grants
    check_binding(role, command.account_id)
    all_accounts = stated_access(role, command.all_accounts)
    check_form(grants, role=role, account_id=command.account_id, all_accounts=all_accounts)
    email = email_of(command.email)
    name = given_text("user.name", command.name, path=("name",))
    expires_at = _expiry(context.now, command.expires_at)
    if context.sign_in_url is None:
        raise NoBrowserSignIn
    if command.account_id is not None:
        await context.found(tables.account, command.account_id)
    await check_reach(context, grants)
    replaced = await _replaced(context, email)
    secret = new_secret(token_bytes(SECRET_BYTES))
    row = {
        "id": context.new_id("Invitation"),
        "email": email,
        "name": name,
        "role": role,
        "account_id": command.account_id,
        "all_accounts": all_accounts,
        "granted_account_ids": [each.account_id for each in grants if each.scope.all_locations is True],
        "granted_location_ids": list(dict.fromkeys(chain.from_iterable(map(listed_in, grants)))),
        "secret_sha256": secret_sha256(secret),
        "invited_by": None if context.by_system else context.viewer.id,
        "created_at": context.now,
        "expires_at": expires_at,
    }
    return AdministrationChange(
        writes=(*replaced, Insert(tables.invitation, row)),
        ids={"invitation": str(row["id"])},
        secret=f"{context.sign_in_url}?invitation={secret}",
    )


async def revoke_invitation(context: AdministrationContext, command: RevokeInvitation) -> AdministrationChange:
    """Revoke an invitation; of one that was revoked before, nothing changes. Raises InvalidInput if it was accepted."""
    await check_manages_users(context)
    invitation = await context.found(tables.invitation, command.invitation_id)
    if invitation.accepted_at is not None:
        rule = "the person has accepted it; suspend the user instead"
        raise InvalidInput(field="invitationId", rule=rule, path=("invitationId",))
    writes = () if invitation.revoked_at is not None else (_revoked(context, invitation.id),)
    return AdministrationChange(writes=writes, ids={"invitation": invitation.id})


async def _replaced(context: AdministrationContext, email: str) -> tuple[Write, ...]:
    """The end of an expired invitation. Raises InvalidInput if a user has the address, or an open invitation does."""
    if await writing.has_user(context.transaction, email):
        raise InvalidInput(field="email", rule="already in use", path=("email",))
    before = await writing.unanswered_invitation(context.transaction, email)
    if before is None:
        return ()
    invitation_id, expires_at = before
    if expires_at > context.now:
        raise InvalidInput(field="email", rule="has an open invitation; revoke it first", path=("email",))
    return (_revoked(context, invitation_id),)


def _revoked(context: AdministrationContext, invitation_id: str) -> Update:
    return Update(tables.invitation, {"id": invitation_id}, {"revoked_at": context.now})


def _expiry(now: datetime, wanted: datetime | None) -> datetime:
    expires_at = now + timedelta(days=DEFAULT_DAYS) if wanted is None else wanted
    if not now < expires_at <= now + timedelta(days=MOST_DAYS):
        raise InvalidInput(field="expiresAt", rule=f"must be within the next {MOST_DAYS} days", path=("expiresAt",))
    return expires_at


INVITE_USER = AdministrationMutation(
    name="inviteUser",
    command=InviteUser,
    decide=invite_user,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

REVOKE_INVITATION = AdministrationMutation(
    name="revokeInvitation",
    command=RevokeInvitation,
    decide=revoke_invitation,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)
