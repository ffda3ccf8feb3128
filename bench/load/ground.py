"""Makes the database of a run, and reads back what the run has written."""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil

import asyncpg

from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from app.db import demo, tables
from app.db.connecting import as_definer
from app.db.content_rows import TableRow
from app.db.migrate import migrate
from app.db.seed import location_rows, new_id, seed_many
from app.domain.secrets import (
    SECRET_BYTES,
    SERVICE_TOKEN_BYTES,
    NewServiceToken,
    new_secret,
    new_service_token,
    secret_sha256,
)
from app.domain.vocabulary import LocationStatus, Role, SystemAction
from app.operations.demo import load_demo
from bench.bulk import content_of, insert_rows
from bench.load import day, people
from bench.load.book import Effect
from bench.load.day import Arrival, Visit
from bench.load.people import Account, Place, User, World
from bench.measuring import bearer

FINISHED_ACCOUNTS, READERS_PER_ACCOUNT = 10, 4
"""The accounts with most of the locations, and the people of each who browse them."""
LEAST_LOCATIONS = 100
"""A finished account has at least as many locations; there are fewer accounts if there are few locations."""
FIRST_NUMBER = 20_000
"""Beyond the numbers of the demo data; it is a part of MAC addresses."""
VISITS_PER_PLACE = 4
SESSION_SECONDS = 43_200

BEGIN_SESSION = "SELECT user_id FROM turnup.begin_session($1, NULL, $2, $3, 'load', $4, $4)"
FINISHED = "SELECT id FROM turnup.account WHERE name LIKE 'Load test %' ORDER BY id"

# The effects in the database, by what the book calls them: ids and numbers.
STORED = {
    people.DEVICE: "SELECT id, revision - 1 FROM turnup.device WHERE location_id = ANY ($1)",
    people.PERSON: "SELECT id, revision - 1 FROM turnup.person WHERE location_id = ANY ($1)",
    people.ADDRESS: """
        SELECT location_id, revision - 1 FROM turnup.section WHERE location_id = ANY ($1) AND section = 'LOCATION'""",
    people.SUBMISSION: "SELECT location_id, count(*) FROM turnup.approval WHERE location_id = ANY ($1) GROUP BY 1",
    people.APPROVAL: """
        SELECT location_id, count(*) FROM turnup.approval
        WHERE location_id = ANY ($1) AND status = 'APPROVED' GROUP BY 1""",
    people.SENT_BACK: """
        SELECT location_id, count(*) FROM turnup.approval
        WHERE location_id = ANY ($1) AND status = 'CHANGES_REQUESTED' GROUP BY 1""",
    people.PAYLOAD: """
        SELECT location_id, count(*) FROM turnup.provisioning_payload WHERE location_id = ANY ($1) GROUP BY 1""",
    people.RELEASE: """
        SELECT location_id, count(*) FROM turnup.provisioning_payload
        WHERE location_id = ANY ($1) AND released_at IS NOT NULL GROUP BY 1""",
    people.RECEIPT: "SELECT payload_id, count(*) FROM turnup.receipt WHERE location_id = ANY ($1) GROUP BY 1",
}
VALUES = {
    people.DEVICE: "SELECT id, label FROM turnup.device WHERE location_id = ANY ($1)",
    people.PERSON: "SELECT id, last_name FROM turnup.person WHERE location_id = ANY ($1)",
    people.ADDRESS: "SELECT id, line2 FROM turnup.location WHERE id = ANY ($1)",
}
ENTRIES = """
SELECT client_request_id, count(*) FROM turnup.audit_entry
WHERE client_request_id IS NOT NULL AND outcome = 'APPLIED' GROUP BY 1
"""


async def filled(owner_url: str, app_url: str, locations: int, visits: Sequence[Arrival]) -> World:
    """Migrate and fill an empty database with this many locations, and sign everybody in.

    What the visits write to is audited from its first row on, so that a replay compares all of it.
    """
    await migrate(owner_url)
    await load_demo(owner_url, app_url)
    tokens = [new_service_token(secrets.token_bytes(SERVICE_TOKEN_BYTES)) for _ in range(day.PARTNERS)]
    counts = Counter(each.visit for each in visits)
    places = Places()
    edited = places.take(ceil((counts[Visit.EDIT] + counts[Visit.CONTEST]) / VISITS_PER_PLACE), spread=True)
    handed_off = places.take(counts[Visit.HAND_OFF], spread=True)
    waves = [places.take(day.WAVE_SIZE, spread=False) for _ in range(counts[Visit.WAVE])]
    made = [*edited, *handed_off, *(place for wave in waves for place in wave)]
    accounts = list({place.account.id: place.account for place in made}.values())
    others = max(LEAST_LOCATIONS, locations - len(made))
    number = min(FINISHED_ACCOUNTS, others // LEAST_LOCATIONS)
    for _ in range(number):
        await seed_many(owner_url, others // number)
    async with as_definer(owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.system_action', $1, true)", SystemAction.SEED_DEMO)
        finished = [row["id"] for row in await connection.fetch(FINISHED)]
        await insert_rows(connection, rows_of(accounts, made, finished, tokens))
        await connection.execute("SELECT turnup.audit_seal()")
    signed_in = await Sessions.begun(app_url)
    for account in accounts:
        account.customers.extend([await signed_in.user(each) for each in customers_of(account.id)])
    readers = [await signed_in.user(each) for account in finished for each in readers_of(account)]
    leads = [await signed_in.user(each) for each in LEADS]
    await signed_in.end()
    return World(
        leads=leads,
        partners=[User(each, bearer(token.text)) for each, token in zip(PARTNERS, tokens, strict=True)],
        customers=[*(each for account in accounts for each in account.customers), *readers],
        finished=finished,
        edited=edited,
        handed_off=handed_off,
        waves=waves,
    )


LEADS = [f"user-load-lead-{number}" for number in range(day.LEADS)]
PARTNERS = [f"user-load-partner-{number}" for number in range(day.PARTNERS)]


def customers_of(account_id: str) -> list[str]:
    """Return the ids of the people of an account that is rolled out."""
    return [f"user-{account_id}-{number}" for number in range(day.CUSTOMERS_PER_ACCOUNT)]


def readers_of(account_id: str) -> list[str]:
    """Return the ids of the people of a finished account."""
    return [f"user-{account_id}-{number}" for number in range(READERS_PER_ACCOUNT)]


class Places:
    """The locations that are rolled out, spread over their accounts, or a group of them in one account."""

    def __init__(self) -> None:
        self._accounts = [Account(f"account-load-{number}", []) for number in range(day.ACCOUNTS)]
        self._taken = 0
        self._groups = 0

    def take(self, number: int, *, spread: bool) -> list[Place]:
        """Return new locations."""
        found = []
        for _ in range(number):
            turn = self._taken if spread else self._groups
            found.append(Place(f"location-{FIRST_NUMBER + self._taken}", self._accounts[turn % len(self._accounts)]))
            self._taken += 1
        self._groups += not spread
        return found


def rows_of(
    accounts: Iterable[Account], places: Iterable[Place], finished: Iterable[str], tokens: Iterable[NewServiceToken]
) -> Iterator[TableRow]:
    """Yield the rows of accounts, users, their access, tokens and locations."""
    for account in accounts:
        yield tables.account, {"id": account.id, "name": f"Rollout {account.id}"}
    for each in LEADS:
        yield user(each, Role.IMPLEMENTATION_LEAD, None)
    for each in PARTNERS:
        yield user(each, Role.PARTNER, None)
    people_of = {account.id: customers_of(account.id) for account in accounts}
    people_of |= {account_id: readers_of(account_id) for account_id in finished}
    for account_id, customers in people_of.items():
        for each in customers:
            yield user(each, Role.CUSTOMER, account_id)
            yield grant(each, account_id)
    for number, account in enumerate(accounts):
        yield grant(PARTNERS[number % len(PARTNERS)], account.id)
    now = datetime.now(UTC)
    for partner, token in zip(PARTNERS, tokens, strict=True):
        yield (
            tables.service_token,
            {
                "id": f"token-{partner}",
                "user_id": partner,
                "name": "Load test",
                "prefix": token.prefix,
                "secret_sha256": token.sha256,
                "actions": demo.TOKEN_ACTIONS,
                "created_by": LEADS[0],
                "created_at": now,
                "expires_at": now + timedelta(days=1),
            },
        )
    for place in places:
        content = content_of(int(place.id.partition("-")[2]))
        content = replace(content, account_id=place.account.id, name=f"Rollout {place.id}")
        yield from location_rows(content, LocationStatus.IN_PROGRESS, LEADS[0])


def user(user_id: str, role: Role, account_id: str | None) -> TableRow:
    """Return the row of a user, whose subject is the address."""
    address = f"{user_id}@load.example"
    values = {"id": user_id, "subject": address, "name": user_id, "email": address, "role": role}
    return tables.user, {**values, "account_id": account_id, "all_accounts": role is Role.IMPLEMENTATION_LEAD}


def grant(user_id: str, account_id: str) -> TableRow:
    """Return the row of an access to all locations of an account."""
    values = {"id": f"grant-{user_id}-{account_id}", "user_id": user_id, "account_id": account_id}
    return tables.grant, {**values, "all_locations": True}


@dataclass(frozen=True, slots=True)
class Sessions:
    """Begins sessions of people, as a browser's sign-in does."""

    connection: asyncpg.Connection

    @classmethod
    async def begun(cls, app_url: str) -> "Sessions":
        """Connect to the database."""
        return cls(await asyncpg.connect(app_url))

    async def user(self, user_id: str) -> User:
        """Return a person with a session."""
        secret = new_secret(secrets.token_bytes(SECRET_BYTES))
        found = await self.connection.fetchval(
            BEGIN_SESSION, new_id("UserSession"), f"{user_id}@load.example", secret_sha256(secret), SESSION_SECONDS
        )
        assert found == user_id
        return User(user_id, {"Cookie": f"turnup_session={secret}", "X-Turnup-CSRF": "1"})

    async def end(self) -> None:
        """Disconnect."""
        await self.connection.close()


@dataclass(frozen=True, slots=True)
class Written:
    """What the database says after a run: effects, applied entries by request, values, and the audit log's verdict."""

    effects: Counter[Effect]
    entries: Counter[str]
    values: dict[Effect, str | None]
    audit: list[str]
    """What is wrong with the audit log, or differs from the tables."""
    verified: str


async def written(owner_url: str, world: World) -> Written:
    """Read back what a run has written, verify the audit log, and replay it."""
    places = [
        place.id for place in (*world.edited, *world.handed_off, *(each for wave in world.waves for each in wave))
    ]
    async with as_definer(owner_url) as connection:
        effects = Counter(
            {
                (what, key): number
                for what, statement in STORED.items()
                for key, number in await connection.fetch(statement, places)
            }
        )
        values = {
            (what, key): value
            for what, statement in VALUES.items()
            for key, value in await connection.fetch(statement, places)
        }
        entries = Counter(dict(await connection.fetch(ENTRIES)))
    async with snapshot(owner_url) as connection:
        verdict = await verify(connection)
    replayed = await replay(owner_url)
    audit = [f"audit verify: {verdict.broken}"] if verdict.broken else []
    audit += [f"audit replay: {each}" for each in replayed.differences]
    verified = f"{verdict.entries:,} entries with {verdict.changes:,} changes verified, {replayed.rows:,} rows rebuilt"
    return Written(effects, entries, values, audit, verified)
