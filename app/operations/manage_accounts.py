"""Creates and renames accounts, and creates locations."""

from dataclasses import dataclass
from typing import Any

from app.db import tables
from app.db.content_rows import location_row
from app.db.writing import Insert, Update
from app.domain.content import Address, LocationContent
from app.domain.progress import completeness
from app.domain.readiness import readiness
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, LocationStatus, Section
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import UNSET, Command, Unset
from app.operations.editing import AddressPatch, address_with, text
from app.operations.names import check_account_name, check_location_name
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAccount(Command):
    """A new account."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAccount(Command):
    """The new name of an account."""

    account_id: str
    expected_revision: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLocation(Command):
    """A new location, with as much of its address as is known."""

    account_id: str
    name: str
    address: AddressPatch | None = None
    timezone: str | None = None
    site_code: str | Unset | None = UNSET


async def create_account(context: AdministrationContext, command: CreateAccount) -> AdministrationChange:
    """Create an account, which starts its audit chain. Raises InvalidInput if another account has the name."""
    account_id = context.new_id("Account")
    row = {"id": account_id, "name": await _account_name(context, command.name), **_made(context)}
    return AdministrationChange(writes=(Insert(tables.account, row),), chain=account_id, ids={"account": account_id})


async def update_account(context: AdministrationContext, command: UpdateAccount) -> AdministrationChange:
    """Rename an account. Content digests do not change: a payload reads the name when it is generated.

    Raises InvalidInput if another account has the name.
    """
    account = await context.at_revision(tables.account, command.account_id, command.expected_revision)
    values = {"name": await _account_name(context, command.name, renamed=account)}
    changed = values | {"revision": account.revision + 1, "updated_at": context.now}
    return AdministrationChange(
        writes=(Update(tables.account, {"id": account.id}, changed),), chain=account.id, ids={"account": account.id}
    )


async def create_location(context: AdministrationContext, command: CreateLocation) -> AdministrationChange:
    """Add a location to an account, NOT_STARTED, with as much of its address as is known.

    Raises InvalidInput if another location of the account has the name.
    """
    account = await context.found(tables.account, command.account_id)
    content = LocationContent(
        location_id=context.new_id("Location"),
        account_id=account.id,
        name=given_text("location.name", command.name, path=("name",)),
        address=address_with(Address(), command.address or AddressPatch(), ("address",)),
        timezone=clean("location.timezone", command.timezone, path=("timezone",)),
        site_code=text("location.siteCode", command.site_code, None, ()),
    )
    await check_location_name(context.transaction, account.id, content.name)
    location = {**location_row(content), "status": LocationStatus.NOT_STARTED, **_made(context)}
    complete = completeness(readiness(content))
    key = {"account_id": account.id, "location_id": content.location_id}
    sections = (
        Insert(tables.section, {**key, "section": each, "revision": 1, "complete": complete[each]}) for each in Section
    )
    return AdministrationChange(
        writes=(Insert(tables.location, location), *sections),
        chain=account.id,
        location_id=content.location_id,
        ids={"location": content.location_id},
    )


async def _account_name(context: AdministrationContext, wanted: str, *, renamed: Any = None) -> str:
    """The name as it is stored. Raises InvalidInput if it is new to the account and another account has it."""
    name = given_text("account.name", wanted, path=("name",))
    if renamed is None or renamed.name != name:
        await check_account_name(context.transaction, name, besides=renamed and renamed.id)
    return name


def _made(context: AdministrationContext) -> dict[str, object]:
    return {"revision": 1, "created_at": context.now, "updated_at": context.now}


CREATE_ACCOUNT = AdministrationMutation(
    name="createAccount",
    command=CreateAccount,
    decide=create_account,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

UPDATE_ACCOUNT = AdministrationMutation(
    name="updateAccount",
    command=UpdateAccount,
    decide=update_account,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

CREATE_LOCATION = AdministrationMutation(
    name="createLocation",
    command=CreateLocation,
    decide=create_location,
    action=Action.CREATE_LOCATIONS,
    budget=Budget.EDITS,
    counts=(),
)
