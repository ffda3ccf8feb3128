"""Compares the CPU time of the reference executor and the breadth-first executor, in one process with rows in memory.

Run as `.venv/bin/python -m bench.execution`. Both executors use the same Strawberry schema and the same loaders. The
rounds are interleaved, and the report shows the minimum of each executor.
"""

import asyncio
import gc
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
import strawberry
from aiodataloader import DataLoader
from graphql import parse

from app.execution import BATCH_RESOLVER, BreadthFirst, BreadthFirstSchema, Native

LOCATIONS = 50


class LocationRow(msgspec.Struct, frozen=True):
    id: str
    account_id: str
    name: str
    status: str
    city: str | None
    revision: int
    updated_at: datetime


class ContactRow(msgspec.Struct, frozen=True):
    id: str
    location_id: str
    name: str
    email: str
    phone: str | None


class DeviceRow(msgspec.Struct, frozen=True):
    id: str
    location_id: str
    person_id: str
    extension_id: str
    mac: str
    model: str
    label: str | None


class PersonRow(msgspec.Struct, frozen=True):
    id: str
    name: str
    email: str | None


class ExtensionRow(msgspec.Struct, frozen=True):
    id: str
    number: str
    voicemail: bool


class HourRow(msgspec.Struct, frozen=True):
    location_id: str
    weekday: int
    opens: str
    closes: str


class AccountRow(msgspec.Struct, frozen=True):
    id: str
    name: str


def rows() -> dict[str, list[Any]]:
    """Return rows: per location two contacts, seven hours, and six devices with a person and an extension each."""
    table: dict[str, list[Any]] = defaultdict(list)
    table["accounts"] = [AccountRow(f"a{number}", f"Account {number}") for number in range(5)]
    for i in range(LOCATIONS):
        location = LocationRow(
            f"l{i}", f"a{i % 5}", f"Site {i}", "IN_REVIEW", None, i, datetime(2026, 1, 1, tzinfo=UTC)
        )
        table["locations"].append(location)
        table["contacts"] += [ContactRow(f"c{i}-{j}", location.id, f"N{j}", f"n{j}@x.example", None) for j in range(2)]
        table["hours"] += [HourRow(location.id, day, "08:00", "17:00") for day in range(7)]
        for j in range(6):
            key = f"{i}-{j}"
            table["devices"].append(
                DeviceRow(f"d{key}", location.id, f"p{key}", f"e{key}", "00:11:22:33:44:55", "T54W", None)
            )
            table["people"].append(PersonRow(f"p{key}", f"Person {key}", f"p{key}@x.example"))
            table["extensions"].append(ExtensionRow(f"e{key}", str(1000 + j), True))
    return table


class Loaders:
    """The loaders of one request: an aiodataloader per relation, and dictionaries for whole levels."""

    def __init__(self, groups: dict[str, dict[str, Any]]) -> None:
        self.groups = groups
        self._loaders: dict[str, DataLoader[str, Any]] = {}

    def loader(self, name: str) -> DataLoader[str, Any]:
        if name not in self._loaders:

            async def load(keys: list[str]) -> list[Any]:
                return [self.groups[name].get(key) for key in keys]

            self._loaders[name] = DataLoader(load)
        return self._loaders[name]


def relation(name: str, key: str) -> Any:
    """Return a field that looks up rows of a group by a key of the parent."""

    async def one(root: Any, info: strawberry.Info) -> Any:
        return await info.context.loader(name).load(getattr(root, key))

    async def batch(parents: list[Any], info: strawberry.Info) -> list[Any]:
        group = info.context.groups[name]
        return [group.get(getattr(parent, key)) for parent in parents]

    return strawberry.field(resolver=one, metadata={BATCH_RESOLVER: batch})


@strawberry.enum
class Status(StrEnum):
    DRAFT = "DRAFT"
    IN_REVIEW = "IN_REVIEW"
    APPROVED = "APPROVED"


@strawberry.type
class Account:
    id: strawberry.ID
    name: str


@strawberry.type
class Contact:
    id: strawberry.ID
    name: str
    email: str
    phone: str | None


@strawberry.type
class Person:
    id: strawberry.ID
    name: str
    email: str | None


@strawberry.type
class Extension:
    id: strawberry.ID
    number: str
    voicemail: bool


@strawberry.type
class Device:
    id: strawberry.ID
    mac: str
    model: str
    label: str | None
    person: Person | None = relation("people", "person_id")
    extension: Extension | None = relation("extensions", "extension_id")


@strawberry.type
class Hours:
    weekday: int
    opens: str
    closes: str


@strawberry.type
class Location:
    id: strawberry.ID
    name: str
    status: Status
    city: str | None
    revision: int
    updated_at: datetime
    account: Account = relation("accounts", "account_id")
    contacts: list[Contact] = relation("contacts", "id")
    devices: list[Device] = relation("devices", "id")
    working_hours: list[Hours] = relation("hours", "id")


@strawberry.type
class Query:
    @strawberry.field
    async def locations(self, info: strawberry.Info, first: int = 20) -> list[Location]:
        page: list[Location] = info.context.groups["locations"][:first]
        return page


NESTED = """
query Page($first: Int!) {
  locations(first: $first) {
    id name status city revision updatedAt
    account { id name }
    contacts { id name email phone }
    devices { id mac model label person { id name email } extension { id number voicemail } }
    workingHours { weekday opens closes }
  }
}
"""
FLAT = "query Page($first: Int!) { locations(first: $first) { id name status city revision updatedAt } }"


def grouped() -> dict[str, Any]:
    """Return the rows grouped by the key that relations look up."""
    table = rows()
    groups: dict[str, Any] = {"locations": table["locations"]}
    for name in ("accounts", "people", "extensions"):
        groups[name] = {row.id: row for row in table[name]}
    for name in ("contacts", "devices", "hours"):
        groups[name] = defaultdict(list)
        for row in table[name]:
            groups[name][row.location_id].append(row)
    return groups


async def measure(text: str, first: int, rounds: int) -> dict[str, float]:
    """Return the minimum CPU milliseconds of each executor."""
    groups = grouped()
    engine = BreadthFirst()
    sequential = BreadthFirst(sequential_batches=True, native={"DateTime": Native({datetime})})
    schema = BreadthFirstSchema(Query)
    document = parse(text)
    variables = {"first": first}
    own = schema._get_execute_function()
    kinds: dict[str, Callable[[], Any]] = {
        "reference": lambda: own(
            schema._schema,
            document,
            context_value=Loaders(groups),
            variable_values=variables,
            executor_class=schema.execution_context_class,
        ),
        "breadth first": lambda: engine.execute(
            schema._schema,
            document,
            context_value=Loaders(groups),
            variable_values=variables,
            executor_class=schema.execution_context_class,
        ),
        "breadth first, prepared, sequential": lambda: sequential.run(
            sequential.plan(schema._schema, document), None, Loaders(groups), variables
        ),
    }
    results = {kind: await run() for kind, run in kinds.items()}
    texts = {json.dumps(result.data, default=datetime.isoformat) for result in results.values()}
    if len(texts) != 1 or any(result.errors for result in results.values()):
        sys.exit("the executors disagree")
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(rounds):
        for kind, run in kinds.items():
            times = 1 if kind == "reference" else 10
            gc.collect()
            started = time.process_time()
            for _ in range(times):
                await run()
            best[kind] = min(best[kind], (time.process_time() - started) / times * 1000)
    return best


def main() -> None:
    """Print milliseconds and ratios."""
    for name, text, first in (("nested page of 50", NESTED, 50), ("one nested", NESTED, 1), ("flat 50", FLAT, 50)):
        best = asyncio.run(measure(text, first, rounds=15))
        print(name)
        for kind, milliseconds in best.items():
            print(f"  {kind:34} {milliseconds:8.3f} ms  1/{best['reference'] / milliseconds:.1f}")


if __name__ == "__main__":
    main()
