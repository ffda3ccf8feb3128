"""Accounts with every kind of row in them, everybody who may or may not see those, and a client whose SQL is seen."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from app.domain.vocabulary import PayloadState, Role, UserStatus
from app.settings import Settings
from tests.builders_db import (
    a_grant,
    a_location,
    a_location_partner,
    a_payload,
    a_receipt,
    a_recipient,
    a_service_token,
    a_session,
    a_user,
    an_account,
    an_approval,
    an_entry,
    an_invitation,
    an_override,
    committed,
    forget,
)
from tests.harness import Client, TestDatabase
from tests.oracle import database_is_consistent

from .serving import Wire, serving, statements_logged


@dataclass(frozen=True)
class World:
    """Two accounts. `here` and `beside` are locations of the first, `away` is one of the second; each has every
    kind of row, and `ids` holds the id of one row of each type that has ids, by location.

    The listed customer may see `here` alone; the others are named for what was granted to them. All payloads were
    released to the partner, and the unanswered one of `beside` to the other partner of the account as well. The scoped
    lead has access to the first account, and the ungranted lead to none.
    """

    account: str
    away_account: str
    here: str
    beside: str
    away: str
    customer: str
    listed: str
    none_listed: str
    ungranted: str
    away_customer: str
    partner: str
    other_partner: str
    scoped_lead: str
    ungranted_lead: str
    auditor: str
    suspended: str
    ids: dict[str, dict[str, str]]

    def __repr__(self) -> str:
        return "world"


@pytest.fixture(scope="module")
async def world(database: TestDatabase) -> AsyncIterator[World]:
    """Rows of every kind, gone when the module's tests have run."""
    made = await a_world(database)
    yield made
    people = [made.customer, made.listed, made.none_listed, made.ungranted, made.away_customer, made.partner]
    people += [made.other_partner, made.scoped_lead, made.ungranted_lead, made.auditor]
    await forget(database, [made.account, made.away_account], [*people, made.suspended])


async def a_world(database: TestDatabase) -> World:
    """Insert rows of every kind."""
    async with committed(database) as connection:
        account, away_account = await an_account(connection), await an_account(connection, name="Elm Florists")
        here = await a_location(connection, account, name="Dune Opticians - Pier")
        beside = await a_location(connection, account, name="Dune Opticians - Mall")
        away = await a_location(connection, away_account, name="Elm Florists - Market")
        people = {
            "customer": (Role.CUSTOMER, account, None),
            "listed": (Role.CUSTOMER, account, [here]),
            "none_listed": (Role.CUSTOMER, account, []),
            "away_customer": (Role.CUSTOMER, away_account, None),
            "partner": (Role.PARTNER, account, None),
            "other_partner": (Role.PARTNER, account, None),
        }
        users: dict[str, str] = {}
        for name, (role, granted, locations) in people.items():
            users[name] = await a_user(connection, role, granted if role is Role.CUSTOMER else None)
            await a_grant(connection, users[name], granted, locations)
        users["ungranted"] = await a_user(connection, Role.CUSTOMER, account)
        for name in ("scoped_lead", "ungranted_lead"):
            users[name] = await a_user(connection, Role.IMPLEMENTATION_LEAD, all_accounts=False)
        await a_grant(connection, users["scoped_lead"], account)
        users["auditor"] = await a_user(connection, Role.AUDITOR)
        users["suspended"] = await a_user(connection, Role.IMPLEMENTATION_LEAD, status=UserStatus.SUSPENDED)
        ids: dict[str, dict[str, str]] = {}
        for location, user in ((here, "customer"), (beside, "listed"), (away, "away_customer")):
            answered = await a_payload(connection, location, state=PayloadState.ACKNOWLEDGED, sequence=1, live=True)
            await a_recipient(connection, answered, users["partner"], live=True)
            released = await a_payload(connection, location, sequence=2)
            await a_recipient(connection, released, users["partner"])
            if location == beside:
                await a_recipient(connection, released, users["other_partner"])
            override = await an_override(connection, location)
            ids[location] = {
                "Account": away_account if location == away else account,
                "User": users[user],
                "Location": location,
                "OnboardingSession": f"session-{location}",
                "Contact": f"contact-{location}",
                "Device": f"device-{location}",
                "Person": f"person-{location}",
                "Extension": f"extension-{location}",
                "WorkingHours": f"hours-{location}-1",
                "Approval": await an_approval(connection, location),
                "Override": override,
                "Receipt": await a_receipt(connection, answered, users["partner"]),
                "PayloadRecipient": await connection.fetchval(
                    "SELECT id FROM turnup.payload_recipient WHERE payload_id = $1 AND user_id = $2",
                    released,
                    users["partner"],
                ),
                "LocationPartner": await a_location_partner(connection, location, users["partner"]),
                "ProvisioningPayload": released,
                "AnsweredPayload": answered,
                "AuditEntry": await an_entry(connection, location, override_id=override),
                "DeviceModel": "model-yealink-t46s",
                "UserSession": await a_session(connection, users[user]),
                "ServiceToken": await a_service_token(connection, users[user]),
                "Invitation": await an_invitation(connection),
            }
            await connection.execute(
                "UPDATE turnup.location SET live_payload_id = $2 WHERE id = $1", location, answered
            )
    return World(account=account, away_account=away_account, here=here, beside=beside, away=away, ids=ids, **users)


@pytest.fixture(scope="session")
async def wire(settings: Settings, database: TestDatabase) -> AsyncIterator[Wire]:
    """A client whose app's statements are written down, and for whom no operation is too costly."""
    statements: list[str] = []
    with statements_logged(statements):
        async with serving(settings, database, limit_price=10_000_000) as client:
            yield Wire(client, statements)


@pytest.fixture
async def replayed(own_client: Client) -> AsyncIterator[None]:
    """After a test that races or loses its connection on its own database: the audit log explains all rows."""
    yield
    await database_is_consistent(own_client.database)


@pytest.fixture
async def an_empty_account(database: TestDatabase) -> AsyncIterator[str]:
    """An account of this test alone, for the locations it makes."""
    async with committed(database) as connection:
        account = await an_account(connection)
    yield account
    await forget(database, [account])
