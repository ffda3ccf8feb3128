"""No operation returns more objects than its price, however its page sizes are written and however long lists are."""

from collections.abc import AsyncIterator, Callable
from random import Random, randrange
from typing import Any

import pytest
from pydantic import SecretStr

from app.db import tables
from app.domain.vocabulary import LocationStatus
from app.http.refusals import RESPONSE_JSON
from app.settings import Executor, Settings
from tests.builders_db import a_location, committed, insert_all
from tests.harness import CUSTOMER, LEAD, LEAD_2, LISTED_CUSTOMER, PARTNER, Client, own_database
from tests.lanes import scaled

from .serving import serving
from .test_both_executors import IDS, Writer

CROWDED = [f"location-crowded-{number}" for number in range(1, 4)]
MAXIMUM = 50_000
RINGS = "extensions { person { extensions { id } } }"
STEP = """
mutation ($id: ID!) { setCurrentStep(input: {locationId: $id, step: DEVICES}) { location { SELECTED } } }
"""

PAGE_TYPES = ["Int!", "Int! = 7", "Int = 3", "Int"]
SPELLINGS: list[Any] = [
    *(1, 20, 100, 100.0, 1e2, 37.0, 0, -5, 101, 99.5, "100", "", True, False, None, [100], {"a": 100}),
    *(2**31, 2**63 - 1, -(2**31), 1e300, "FIRST"),
]
ABSENT = object()


@pytest.fixture(scope="module")
async def crowded(settings: Settings) -> AsyncIterator[list[Client]]:
    """Locations with as many devices, people and extensions as there can be, where one person has every extension.

    The first client is of the server, the second of one whose executor is graphql-core's.
    """
    async with own_database() as database:
        async with committed(database) as connection:
            for location in CROWDED:
                await a_location(connection, "account-1", id=location, status=LocationStatus.IN_PROGRESS)
                place = {"account_id": "account-1", "location_id": location}
                ringing = {"person_id": f"person-{location}"}
                await insert_all(
                    connection,
                    [
                        *(
                            (tables.device, {"id": f"device-{location}-{number}", **place, "brand": "YEALINK"})
                            for number in range(249)
                        ),
                        *((tables.person, {"id": f"person-{location}-{number}", **place}) for number in range(249)),
                        *(
                            (
                                tables.extension,
                                {
                                    "id": f"extension-{location}-{number}",
                                    **place,
                                    "number": str(2_000 + number),
                                    **ringing,
                                },
                            )
                            for number in range(249)
                        ),
                    ],
                )
        changes = {"database_url": SecretStr(database.app_url), "limit_objects": 10**9}
        async with (
            serving(settings, database, **changes) as client,
            serving(settings, database, **changes, executor=Executor.REFERENCE) as reference,
        ):
            yield [client, reference]


class PagedWriter(Writer):
    """Writes operations whose page sizes are literals or variables, over crowded locations as well."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.pages: dict[str, Any] = {}
        self.definitions = ""

    def paged(self) -> str:
        """An operation with the definitions of its variables."""
        return self.operation().replace("$no: Boolean!)", f"$no: Boolean!{self.definitions})")

    def value(self, name: str, kind: Any) -> str:
        if name == "first" and self.random.random() < 0.8:
            variable = f"n{len(self.pages)}"
            self.definitions += f", ${variable}: {self.random.choice(PAGE_TYPES)}"
            self.pages[variable] = self.random.choice([ABSENT, 100, 100.0, 50, 20, *SPELLINGS])
            return f"${variable}"
        if str(kind) == "[ID!]!" and self.random.random() < 0.5:
            variable = f"n{len(self.pages)}"
            self.definitions += f", ${variable}: [ID!]!"
            self.pages[variable] = self.random.choices([*IDS, *CROWDED], k=self.random.choice([1, 2, 30, 100]))
            return f"${variable}"
        written = super().value(name, kind)
        return (
            f'"{self.random.choice(CROWDED)}"' if written.strip('"') in IDS and self.random.random() < 0.5 else written
        )


async def check(clients: list[Client], seed: int) -> tuple[int, int]:
    """Ask one of the servers for a made-up operation. Returns the price and the objects returned, or zeros."""
    random = Random(seed)
    writer = PagedWriter(random)
    text, who = writer.paged(), random.choice([LEAD, LEAD_2, CUSTOMER, LISTED_CUSTOMER, PARTNER])
    given = {name: value for name, value in writer.pages.items() if value is not ABSENT}
    answer = await random.choice([clients[0], clients[0], *clients]).ask(text, who, yes=True, no=False, **given)
    cost = answer.body.get("extensions", {}).get("cost")
    if cost is None:
        assert set(answer.codes) <= {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX"}, (text, given, answer.body)
        return 0, 0
    assert cost["returned"] <= cost["price"] <= cost["maximum"] == MAXIMUM, (text, given, cost)
    return cost["price"], cost["returned"]


async def test_the_price_is_never_less_than_the_objects_returned(crowded: list[Client]) -> None:
    costs = [await check(crowded, seed) for seed in range(100)]
    assert sum(returned > 0 for _, returned in costs) > 25


@pytest.mark.slow
async def test_the_price_of_ever_new_operations_is_never_less_than_the_objects_returned(
    crowded: list[Client], record_property: Callable[[str, object], None]
) -> None:
    made_up = scaled(600)
    costs = [await check(crowded, randrange(2**32)) for _ in range(made_up)]
    executed = [each for each in costs if each != (0, 0)]
    record_property("tried", f"{made_up:,} operations, {len(executed):,} executed, none returned more than its price")


@pytest.mark.parametrize("page", [100, 100.0])
async def test_a_page_size_costs_the_same_however_it_is_written(crowded: list[Client], page: float) -> None:
    answer = await crowded[0].ask("query ($n: Int!) { locations(first: $n) { nodes { account { id } } } }", n=page)
    assert answer.body["extensions"]["cost"]["price"] == 1 + 100 * 2


async def test_a_page_size_that_cannot_be_read_is_refused_before_anything_is_priced(crowded: list[Client]) -> None:
    for page in (None, "100", True, 99.5, 2**31, [100], {"a": 1}):
        answer = await crowded[0].ask("query ($n: Int!) { locations(first: $n) { nodes { id } } }", n=page)
        assert (answer.codes, answer.body.get("data")) == (["BAD_USER_INPUT"], None), page


async def test_an_operation_reserves_what_it_finds_beyond_its_price(crowded: list[Client]) -> None:
    for client in crowded:
        answer = await client.ask("query ($id: ID!) { location(id: $id) { devices { id } } }", id=CROWDED[0])
        assert answer.body["extensions"]["cost"] == {"price": 251, "returned": 251, "maximum": MAXIMUM}


async def test_an_operation_that_finds_more_than_the_maximum_price_returns_nothing(crowded: list[Client]) -> None:
    for client in crowded:
        answer = await client.ask(
            f"query ($id: ID!) {{ location(id: $id) {{ {RINGS} }} }}",
            headers={"accept": RESPONSE_JSON},
            id=CROWDED[0],
        )
        (error,) = answer.body["errors"]
        assert (answer.status, "data" in answer.body) == (400, False)
        assert (error["extensions"]["code"], error["extensions"]["limit"], error["extensions"]["maximum"]) == (
            "QUERY_TOO_COMPLEX",
            "price",
            MAXIMUM,
        )


async def test_a_mutation_whose_result_is_too_large_has_been_applied(crowded: list[Client]) -> None:
    answer = await crowded[0].ask(STEP.replace("SELECTED", RINGS), CUSTOMER, id=CROWDED[1])
    (error,) = answer.body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["outcome"]) == ("QUERY_TOO_COMPLEX", "APPLIED")
    assert error["path"][0] == "setCurrentStep"
    step = await crowded[0].ask("query ($id: ID!) { location(id: $id) { session { currentStep } } }", id=CROWDED[1])
    assert step.data == {"location": {"session": {"currentStep": "DEVICES"}}}


async def test_what_an_operation_finds_counts_toward_the_budget_before_it_is_returned(
    settings: Settings, crowded: list[Client]
) -> None:
    query = "query ($id: ID!) { location(id: $id) { devices { id } } }"
    database = crowded[0].database
    async with serving(settings, database, database_url=SecretStr(database.app_url), limit_objects=200) as client:
        refused = await client.ask(query, LEAD_2, id=CROWDED[0])
        assert (refused.status, refused.codes) == (429, ["RATE_LIMITED"])
        applied = await client.ask(STEP.replace("SELECTED", "devices { id }"), CUSTOMER, id=CROWDED[0])
        assert (len(applied.data["setCurrentStep"]["location"]["devices"]), applied.codes) == (250, [])
        assert (await client.ask("{ viewer { name } }", CUSTOMER)).codes == ["RATE_LIMITED"]
