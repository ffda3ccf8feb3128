"""Users and what is granted to them. A suspension or a withdrawn grant counts from the next request on."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from app.db import tables, writing
from app.db.database import SuspendedUser
from app.db.writing import Delete, Insert, Update, Write
from app.domain.email_address import is_email
from app.domain.refusals import InvalidInput, NotFound
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import Role, UserStatus
from app.operations.administration import AdminCase, AdministrationContext, Decision
from app.operations.context import Input
from permissions.matrix import BOUND_TO_ACCOUNT
from permissions.policy import needs_no_grant, takes_listed_locations

MOST_GRANTS = 100
MOST_LOCATIONS = 1_000


async def create_user(context: AdministrationContext, given: Input) -> Decision:
    """Add a user. A customer works for one account; nothing is granted yet. The subject is the email unless given."""
    role: Role = given["role"]
    account_id = given.get("account_id")
    if (role in BOUND_TO_ACCOUNT) != (account_id is not None):
        rule = "customers have one, leads and partners have none"
        raise InvalidInput(field="accountId", rule=rule, path=("accountId",))
    if account_id is not None:
        await context.found(tables.account, account_id)
    email = _email(given["email"])
    row = {
        "id": context.new_id("User"),
        "subject": clean("user.subject", given["subject"], path=("subject",)) if given.get("subject") else email,
        "name": given_text("user.name", given["name"], path=("name",)),
        "email": email,
        "role": role,
        "status": UserStatus.ACTIVE,
        "account_id": account_id,
        "revision": 1,
        "created_at": context.now,
        "updated_at": context.now,
    }
    return Decision(writes=(Insert(tables.user, row),), ids={"user": str(row["id"])})


async def edit_user(context: AdministrationContext, given: Input) -> Decision:
    """Change a user's name or email; the token's subject stays."""
    user = await context.at_revision(tables.user, given["user_id"], given["expected_revision"])
    values: dict[str, Any] = {}
    if "name" in given:
        values["name"] = given_text("user.name", given["name"], path=("name",))
    if "email" in given:
        values["email"] = _email(given["email"])
    return _changed(context, user, values)


async def suspend_user(context: AdministrationContext, given: Input) -> Decision:
    """Refuse the user from the next request on.

    Nobody suspends themselves, and who was suspended meanwhile suspends nobody: of leads who suspend each other at
    the same moment one is left to let the others in again. Raises SuspendedUser, as signing in does.
    """
    if given["user_id"] == context.viewer.id:
        raise InvalidInput(field="userId", rule="nobody suspends themselves", path=("userId",))
    if not await writing.may_still_act(context.transaction):
        raise SuspendedUser(context.viewer.id)
    user = await context.found(tables.user, given["user_id"])
    return _to_status(context, user, UserStatus.SUSPENDED)


async def reinstate_user(context: AdministrationContext, given: Input) -> Decision:
    """Let a suspended user act again."""
    user = await context.found(tables.user, given["user_id"])
    return _to_status(context, user, UserStatus.ACTIVE)


async def set_grants(context: AdministrationContext, given: Input) -> Decision:
    """What a user may see becomes what is given: accounts, whole or by listed locations. Leads need no grants."""
    user = await context.at_revision(tables.user, given["user_id"], given["expected_revision"])
    grants = given["grants"]
    if len(grants) > MOST_GRANTS or len({each["account_id"] for each in grants}) < len(grants):
        rule = f"there may be at most {MOST_GRANTS}, one for an account"
        raise InvalidInput(field="grants", rule=rule, path=("grants",))
    for place, each in enumerate(grants):
        _check_form(user, each, ("grants", str(place)))
    await _check_reach(context, grants)
    writes = (
        Delete(tables.grant, {"user_id": user.id}),
        *(write for each in grants for write in _grant(context, user.id, each)),
        Update(tables.user, {"id": user.id}, {"revision": user.revision + 1, "updated_at": context.now}),
    )
    return Decision(writes=writes, ids={"user": user.id})


def _check_form(user: Any, grant: Mapping[str, Any], path: tuple[str, ...]) -> None:
    role = Role(user.role)
    if needs_no_grant(role):
        raise InvalidInput(field="grants", rule="leads see every account without a grant", path=path)
    if role in BOUND_TO_ACCOUNT and grant["account_id"] != user.account_id:
        raise InvalidInput(field="accountId", rule="a customer sees the own account only", path=(*path, "accountId"))
    locations = grant.get("location_ids")
    if locations is not None and (not takes_listed_locations(role) or len(locations) > MOST_LOCATIONS):
        rule = f"it is for customers, and at most {MOST_LOCATIONS}"
        raise InvalidInput(field="locationIds", rule=rule, path=(*path, "locationIds"))


async def _check_reach(context: AdministrationContext, grants: Sequence[Mapping[str, Any]]) -> None:
    """Raises NotFound at the first account that is out of reach, or location that is not one of its account's."""
    accounts = await context.kept(tables.account, (each["account_id"] for each in grants))
    locations = await context.kept(tables.location, chain.from_iterable(map(_listed, grants)))
    for place, each in enumerate(grants):
        path = ("grants", str(place))
        if each["account_id"] not in accounts:
            raise NotFound(path=(*path, "accountId"))
        for index, location_id in enumerate(_listed(each)):
            location = locations.get(location_id)
            if location is None or location.account_id != each["account_id"]:
                raise NotFound(path=(*path, "locationIds", str(index)))


def _listed(grant: Mapping[str, Any]) -> Sequence[str]:
    return grant.get("location_ids") or ()


def _grant(context: AdministrationContext, user_id: str, grant: Mapping[str, Any]) -> Iterator[Write]:
    grant_id = context.new_id("Grant")
    row = {
        "id": grant_id,
        "user_id": user_id,
        "account_id": grant["account_id"],
        "all_locations": grant.get("location_ids") is None,
        "created_at": context.now,
    }
    yield Insert(tables.grant, row)
    for location_id in dict.fromkeys(_listed(grant)):
        listed = {"grant_id": grant_id, "account_id": grant["account_id"], "location_id": location_id}
        yield Insert(tables.grant_location, listed)


def _to_status(context: AdministrationContext, user: Any, status: UserStatus) -> Decision:
    return _changed(context, user, {} if user.status == status else {"status": status})


def _changed(context: AdministrationContext, user: Any, values: dict[str, Any]) -> Decision:
    if not values:
        return Decision(ids={"user": user.id})
    changed = values | {"revision": user.revision + 1, "updated_at": context.now}
    return Decision(writes=(Update(tables.user, {"id": user.id}, changed),), ids={"user": user.id})


def _email(text: str) -> str:
    email = given_text("user.email", text, path=("email",))
    if not is_email(email):
        raise InvalidInput(field="email", rule="it is not an email address", path=("email",))
    return email


CREATE_USER = AdminCase(mutation="createUser", decide=create_user)
EDIT_USER = AdminCase(mutation="editUser", decide=edit_user)
SET_GRANTS = AdminCase(mutation="setGrants", decide=set_grants)
SUSPEND_USER = AdminCase(mutation="suspendUser", decide=suspend_user)
REINSTATE_USER = AdminCase(mutation="reinstateUser", decide=reinstate_user)
