"""Generated operations of five people: nobody sees a value of another tenant, no bug, no work above the price."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random, randrange
from typing import Any

import pytest
from graphql import is_non_null_type
from pydantic import SecretStr

from app.settings import Settings
from tests.builders_db import committed
from tests.harness import LEAD, Client, own_database
from tests.harness import TestDatabase as Databases
from tests.hostile.case import SCHEMA, GoodValues, mutations
from tests.lanes import scaled

from .conftest import World, a_world
from .serving import serving
from .test_both_executors import Writer

# Every text of these columns has a canary of its owner: a location, an account, or the leads. Devices can be moved
# within their account, so their texts belong to it.
CANARIES: Mapping[str, tuple[str, ...]] = {
    "location": ("line2", "city"),
    "contact": ("name",),
    "person": ("first_name", "last_name"),
    "extension": ("label",),
    "approval": ("comment",),
}
OF_THE_ACCOUNT: Mapping[str, tuple[str, ...]] = {"device": ("label", "serial_number"), "account": ("name",)}
OF_THE_LEADS: Mapping[str, tuple[str, ...]] = {"override": ("reason", "ticket"), "audit_entry": ("reason",)}
CANARY = re.compile(r"canary-(\w+)")

# The canaries that must not be in an answer to each person. The partner's payloads contain the locations' content.
FOREIGN: Mapping[str, frozenset[str]] = {
    "lead": frozenset(),
    "customer": frozenset({"away", "account_away", "leads"}),
    "listed": frozenset({"beside", "away", "account_away", "leads"}),
    "away_customer": frozenset({"here", "beside", "account_here", "leads"}),
    "partner": frozenset({"away", "account_away", "leads"}),
}
PAGE_SIZES = ("1", "2", "2.0", "20e-1", "3", "1e2", "100", "100.0")
BAD_PAGE_SIZES = ("101", "0", "-0", "1.5", '"2"', "null", "true", "1e999")


@dataclass
class People:
    """A server with two accounts whose texts are canaries."""

    client: Client
    world: World

    def subject(self, person: str) -> str:
        """Return the subject of a person's tokens."""
        return LEAD if person == "lead" else str(getattr(self.world, person))

    async def asked(self, seed: int) -> set[str]:
        """Ask one generated operation as one of the five; return its codes of errors, and whether it was executed."""
        random = Random(seed)
        person = random.choice(list(FOREIGN))
        body = Generated(random, self.world).body()
        headers = {"authorization": f"Bearer {self.client.recent_token(self.subject(person))}"}
        headers["content-type"] = "application/json"
        response = await self.client.http.post("/graphql", content=body, headers=headers)
        answer = response.json()
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert "INTERNAL" not in codes, f"{seed} as {person}: {body.decode()}\n{answer}"
        assert not FOREIGN[person] & set(CANARY.findall(response.text)), f"{seed} as {person}: {body.decode()}"
        cost = answer.get("extensions", {}).get("cost")
        if cost:
            assert cost["price"] >= cost["returned"], f"{seed} as {person}: {cost} {body.decode()}"
        return {*codes, "executed"} if "data" in answer else codes


class Generated(Writer):
    """Writes an operation whose arguments are partly variables, each in a random spelling."""

    def __init__(self, random: Random, world: World) -> None:
        ids = [each for named in world.ids.values() for each in named.values()]
        super().__init__(random, [*ids, world.account, world.away_account, "no such id"])
        self.values = GoodValues(random, ids=tuple(self.ids), texts=("Front desk", "Acme", "+1 212 555 0100"))
        self.declared = {"yes": "Boolean!", "no": "Boolean!"}
        self.given = {"yes": "true", "no": "false"}

    def body(self) -> bytes:
        """Return the JSON of a request."""
        kind, text = self.mutation() if self.random.random() < 0.2 else ("query", self.selections(SCHEMA.query_type, 0))
        declared = ", ".join(f"${name}: {type_}" for name, type_ in self.declared.items())
        query = json.dumps(f"{kind} Made({declared}) {{ __typename @include(if: $yes) @skip(if: $no) {text[1:]}")
        variables = ", ".join(f'"{name}": {value}' for name, value in self.given.items())
        return f'{{"query": {query}, "variables": {{{variables}}}}}'.encode()

    def mutation(self) -> tuple[str, str]:
        """Return a mutation of the content of locations."""
        name, definition = self.random.choice(list(mutations().items()))
        self.declared["input"] = str(definition.args["input"].type)
        self.given["input"] = json.dumps(self.values.value(definition.args["input"].type))
        return "mutation", f"{{ {name}(input: $input) {self.selections(definition.type, 1)} }}"

    def value(self, name: str, kind: Any) -> str:
        plain = kind.of_type if is_non_null_type(kind) else kind
        if self.random.random() < 0.6:
            return super().value(name, plain)
        variable = f"v{len(self.declared)}"
        self.declared[variable] = str(kind)
        is_number = plain is SCHEMA.type_map["Int"]
        spelled = (
            self.random.choice([*PAGE_SIZES * 4, *BAD_PAGE_SIZES])
            if is_number
            else json.dumps(self.values.value(kind, name))
        )
        if spelled != "null" or self.random.random() < 0.5:
            self.given[variable] = spelled
        return f"${variable}"


async def with_canaries(database: Databases, world: World) -> None:
    """Replace the texts of both accounts by canaries."""
    places = {"here": world.here, "beside": world.beside, "away": world.away}
    async with committed(database) as connection:
        for owner, location in places.items():
            account = "account_away" if owner == "away" else "account_here"
            for owned, by in ((CANARIES, owner), (OF_THE_ACCOUNT, account), (OF_THE_LEADS, "leads")):
                for table, columns in owned.items():
                    values = ", ".join(f"{column} = 'canary-{by}'" for column in columns)
                    key = "id" if table == "location" else "location_id"
                    where = f"{key} = $1"
                    if table == "account":
                        where = "id = (SELECT account_id FROM turnup.location WHERE id = $1)"
                    await connection.execute(f'UPDATE turnup."{table}" SET {values} WHERE {where}', location)
        # The entries are not sealed in a chain: leave the next numbers to the mutations.
        await connection.execute("UPDATE turnup.audit_entry SET number = number + 1000000")


@pytest.fixture(scope="module")
async def people(home: Path) -> AsyncIterator[People]:
    async with own_database() as database:
        world = await a_world(database)
        await with_canaries(database, world)
        settings = Settings(database_url=SecretStr(database.app_url), home=home)
        async with serving(settings, database) as client:
            yield People(client, world)


async def test_the_people_see_their_own_canaries(people: People) -> None:
    """Canaries that nobody sees would prove nothing."""
    query = """{ locations(first: 100) { nodes { address { city } devices { label } approvals { comment } } }
                 auditLog(first: 100) { nodes { statedReason override { reason } } }
                 provisioningPayloads { nodes { sourceAccount { name } } } }"""
    seen = {
        person: set(CANARY.findall((await people.client.ask(query, people.subject(person))).raw.decode()))
        for person in FOREIGN
    }
    assert seen == {
        "lead": {"here", "beside", "away", "account_here", "account_away", "leads"},
        "customer": {"here", "beside", "account_here"},
        "listed": {"here", "account_here"},
        "away_customer": {"away", "account_away"},
        "partner": {"account_here"},
    }


async def test_five_people_see_no_foreign_value_and_no_bug(people: People) -> None:
    for seed in range(150):
        await people.asked(seed)


@pytest.mark.slow
async def test_five_people_see_no_foreign_value_and_no_bug_in_ever_new_operations(
    people: People, record_property: Callable[[str, object], None]
) -> None:
    count = scaled(5_000)
    codes: Counter[str] = Counter()
    for _ in range(count):
        codes.update(await people.asked(randrange(2**32)))
    assert codes["executed"] > count / 2
    record_property(
        "tried", f"{count:,} operations of five people, {codes['executed']:,} executed: 0 INTERNAL, 0 foreign canaries"
    )
