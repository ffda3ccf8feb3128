"""Service tokens, with which machines sign in as a user. A token can include less than its user has, and never more.

A lead who makes a token for another user can sign in as that user, and so counts among those who made the user until
another lead confirms the user. Tokens are changed one transaction at a time, as users are.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Any

from app.db import tables, writing
from app.db.writing import Insert, Update, Write
from app.domain.limits import check_cap, check_true
from app.domain.refusals import InvalidInput, NotFound
from app.domain.secrets import SERVICE_TOKEN_BYTES, new_service_token
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, Role
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import UNSET, Command, Unset
from app.operations.manage_users import MOST_GRANTS, check_manages_users, made_by_viewer
from permissions.matrix import BOUND_TO_ACCOUNT, Action, TokenAction
from permissions.policy import can_be_limited, missing_for, needs_no_grant, role_includes

LONGEST_DAYS = 366
"""The maximum number of days for which a service token is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAccounts:
    """The accounts of a token: all that the user has access to at the time of a request, or those that are listed."""

    all_of_user: bool | Unset = UNSET
    listed: tuple[str, ...] | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenActions:
    """The actions of a token: all of the user's role that a token can include, or those that are listed."""

    all_of_user: bool | Unset = UNSET
    listed: tuple[TokenAction, ...] | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateServiceToken(Command):
    """A new token of a user, with a name by which people know it."""

    user_id: str
    name: str
    accounts: TokenAccounts
    actions: TokenActions
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeServiceToken(Command):
    """The token to revoke."""

    service_token_id: str


async def create_service_token(context: AdministrationContext, command: CreateServiceToken) -> AdministrationChange:
    """Create a token of a user. The secret of the change is the token itself, of which only a hash is stored.

    Raises InvalidInput, NotFound, and LimitReached if the user has too many tokens that are valid.
    """
    await check_manages_users(context)
    user = await context.found(tables.user, command.user_id)
    name = given_text("serviceToken.name", command.name, path=("name",))
    account_ids = await _accounts(context, user, command.accounts)
    actions = _actions(Role(user.role), command.actions)
    _check_expiry(context.now, command.expires_at)
    check_cap("serviceTokens", 1 + await writing.valid_service_tokens(context.transaction, user.id))
    token = new_service_token(token_bytes(SERVICE_TOKEN_BYTES))
    row = {
        "id": context.new_id("ServiceToken"),
        "user_id": user.id,
        "name": name,
        "prefix": token.prefix,
        "secret_sha256": token.sha256,
        "account_ids": account_ids,
        "actions": actions,
        "created_by": context.viewer.id,
        "created_at": context.now,
        "expires_at": command.expires_at,
    }
    return AdministrationChange(
        writes=(Insert(tables.service_token, row), *_made(context, user)),
        ids={"service_token": str(row["id"])},
        secret=token.text,
    )


async def revoke_service_token(context: AdministrationContext, command: RevokeServiceToken) -> AdministrationChange:
    """Revoke a token, from the next request on. One that was revoked before stays as it is. Raises NotFound."""
    await check_manages_users(context)
    token = await context.found(tables.service_token, command.service_token_id)
    revoked = Update(tables.service_token, {"id": token.id}, {"revoked_at": context.now})
    return AdministrationChange(
        writes=() if token.revoked_at is not None else (revoked,), ids={"service_token": token.id}
    )


def _made(context: AdministrationContext, user: Any) -> tuple[Write, ...]:
    """The user with the viewer among those who made it, unless the token is the viewer's own."""
    made_by = made_by_viewer(context, user.made_by)
    if user.id == context.viewer.id or made_by == user.made_by:
        return ()
    values = {"made_by": made_by, "revision": user.revision + 1, "updated_at": context.now}
    return (Update(tables.user, {"id": user.id}, values),)


async def _accounts(context: AdministrationContext, user: Any, stated: TokenAccounts) -> list[str] | None:
    """The ids of the listed accounts, None for all of the user. The user must have access to each."""
    if stated.listed is UNSET:
        check_true("allOfUser", stated.all_of_user, path=("accounts", "allOfUser"))
        return None
    listed, path = stated.listed, ("accounts", "listed")
    role = Role(user.role)
    has_all = needs_no_grant(role, all_accounts=user.all_accounts)
    if has_all and not can_be_limited(role):
        rule = "auditors read the whole audit log, which no account limits"
        raise InvalidInput(field="listed", rule=rule, path=path)
    if not 1 <= len(listed) <= MOST_GRANTS or len(set(listed)) < len(listed):
        raise InvalidInput(field="listed", rule=f"must be 1 to {MOST_GRANTS} accounts, each once", path=path)
    found = await context.kept(tables.account, listed)
    if role in BOUND_TO_ACCOUNT:
        reached = {user.account_id}
    else:
        reached = set(found) if has_all else await writing.granted_accounts(context.transaction, user.id)
    for place, account_id in enumerate(listed):
        if account_id not in found:
            raise NotFound(path=(*path, str(place)))
        if account_id not in reached:
            rule = "the user has no access to this account"
            raise InvalidInput(field="listed", rule=rule, path=(*path, str(place)))
    return sorted(listed)


def _actions(role: Role, stated: TokenActions) -> list[TokenAction] | None:
    """The listed actions, None for all of the role. The role must include each, and the list what each requires."""
    if stated.listed is UNSET:
        check_true("allOfUser", stated.all_of_user, path=("actions", "allOfUser"))
        return None
    listed, path = stated.listed, ("actions", "listed")
    if not listed or len(set(listed)) < len(listed):
        raise InvalidInput(field="listed", rule="must be at least one action, each once", path=path)
    for place, action in enumerate(listed):
        if not role_includes(role, action):
            rule = f"{action} is not an action of the user's role, {role}"
            raise InvalidInput(field="listed", rule=rule, path=(*path, str(place)))
        if missing := missing_for(action, listed):
            rule = f"{action} requires {' and '.join(missing)}"
            raise InvalidInput(field="listed", rule=rule, path=(*path, str(place)))
    return sorted(listed)


def _check_expiry(now: datetime, wanted: datetime) -> None:
    if not now < wanted <= now + timedelta(days=LONGEST_DAYS):
        rule = f"must be in the future, at most {LONGEST_DAYS} days from now"
        raise InvalidInput(field="expiresAt", rule=rule, path=("expiresAt",))


CREATE_SERVICE_TOKEN = AdministrationMutation(
    name="createServiceToken",
    command=CreateServiceToken,
    decide=create_service_token,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

REVOKE_SERVICE_TOKEN = AdministrationMutation(
    name="revokeServiceToken",
    command=RevokeServiceToken,
    decide=revoke_service_token,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)
