"""Accounts and their locations: made and named by leads."""

from app.db import tables
from app.db.writing import Insert, Update
from app.domain.content import Address, LocationContent
from app.domain.digest import content_digest
from app.domain.progress import completeness
from app.domain.readiness import readiness
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import LocationStatus, Section
from app.operations.administration import AdminCase, AdministrationContext, Decision
from app.operations.context import Input
from app.operations.editing import address_fields


async def create_account(context: AdministrationContext, given: Input) -> Decision:
    """Add an account; its audit chain begins."""
    account_id = context.new_id("Account")
    row = {"id": account_id, "name": given_text("account.name", given["name"], path=("name",)), **_made(context)}
    return Decision(writes=(Insert(tables.account, row),), chain=account_id, ids={"account": account_id})


async def update_account(context: AdministrationContext, given: Input) -> Decision:
    """Rename an account. No content digest moves: a payload reads the name when it is generated."""
    account = await context.at_revision(tables.account, given["account_id"], given["expected_revision"])
    values = {"name": given_text("account.name", given["name"], path=("name",))}
    changed = values | {"revision": account.revision + 1, "updated_at": context.now}
    return Decision(
        writes=(Update(tables.account, {"id": account.id}, changed),), chain=account.id, ids={"account": account.id}
    )


async def create_location(context: AdministrationContext, given: Input) -> Decision:
    """Add a location to an account, NOT_STARTED, with as much of its address as is known."""
    account = await context.found(tables.account, given["account_id"])
    content = LocationContent(
        location_id=context.new_id("Location"),
        account_id=account.id,
        name=given_text("location.name", given["name"], path=("name",)),
        address=Address(**address_fields(given.get("address") or {}, ("address",))),
        timezone=clean("location.timezone", given.get("timezone"), path=("timezone",)),
    )
    location = {
        "id": content.location_id,
        "account_id": account.id,
        "name": content.name,
        **{part: getattr(content.address, part) for part in Address.__slots__},
        "timezone": content.timezone,
        "status": LocationStatus.NOT_STARTED,
        "content_digest": content_digest(content),
        **_made(context),
    }
    complete = completeness(readiness(content))
    key = {"account_id": account.id, "location_id": content.location_id}
    sections = (
        Insert(tables.section, {**key, "section": each, "revision": 1, "complete": complete[each]}) for each in Section
    )
    return Decision(
        writes=(Insert(tables.location, location), *sections),
        chain=account.id,
        location_id=content.location_id,
        ids={"location": content.location_id},
    )


def _made(context: AdministrationContext) -> dict[str, object]:
    return {"revision": 1, "created_at": context.now, "updated_at": context.now}


CREATE_ACCOUNT = AdminCase(mutation="createAccount", decide=create_account)
UPDATE_ACCOUNT = AdminCase(mutation="updateAccount", decide=update_account)
CREATE_LOCATION = AdminCase(mutation="createLocation", decide=create_location)
