"""Operations made up from the product's own schema: both executors answer real people the same over the demo data."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from random import Random, randrange
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

from app.settings import Executor, Settings
from graphql_schema.schema import schema
from tests.harness import CUSTOMER, LEAD, LISTED_CUSTOMER, PARTNER, Client, TestDatabase
from tests.lanes import scaled

from .serving import serving

SCHEMA = schema._schema
ROOTS = {"rateLimits"}  # what is left of a budget differs from one moment to the next
IDS = ["location-1", "location-2", "location-9", "account-1", "phone-1", "user-acme", "location-99", "no such id"]
SCALARS = {"Int": "2", "Float": "1.5", "Boolean": "true", "DateTime": '"2026-01-01T00:00:00+00:00"'}


class Writer:
    """Writes one valid operation: whatever has arguments, or stands in a fragment, has an alias of its own."""

    def __init__(self, random: Random, ids: Sequence[str] = IDS) -> None:
        self.random = random
        self.ids = ids
        self.aliases = 0
        self.budget = 36

    def operation(self) -> str:
        body = self.selections(SCHEMA.query_type, 0)
        return f"query Made($yes: Boolean!, $no: Boolean!) {{ __typename @include(if: $yes) @skip(if: $no) {body[1:]}"

    def selections(self, type_: Any, depth: int, *, aliased: bool = False) -> str:
        if is_abstract_type(type_):
            kinds = self.random.sample(SCHEMA.get_possible_types(type_), 2)
            parts = [f"... on {each.name} {self.selections(each, depth + 1, aliased=True)}" for each in kinds]
            return "{ __typename " + " ".join(parts) + " }"
        names = [name for name in type_.fields if name not in ROOTS]
        if depth > 3 or self.budget < 0:
            leaves = [name for name in names if is_leaf_type(get_named_type(type_.fields[name].type))]
            names = leaves or ["__typename"]
        chosen = self.random.sample(names, min(len(names), self.random.randint(1, 5)))
        if "nodes" in names and "nodes" not in chosen:
            chosen.append("nodes")
        return "{ " + " ".join(self.field(type_, name, depth, aliased=aliased) for name in chosen) + " }"

    def field(self, type_: Any, name: str, depth: int, *, aliased: bool) -> str:
        if name == "__typename":
            return name
        self.budget -= 1
        field: GraphQLField = type_.fields[name]
        named: GraphQLNamedType = get_named_type(field.type)
        given = [
            f"{argument}: {self.value(argument, kind.type)}"
            for argument, kind in field.args.items()
            if is_required_argument(kind) or (argument != "after" and self.random.random() < 0.5)
        ]
        alias = ""
        if field.args or aliased or self.random.random() < 0.2:
            self.aliases += 1
            alias = f"a{self.aliases}: "
        condition = self.random.choice([*[""] * 7, " @include(if: $yes)", " @skip(if: $no)", " @skip(if: $yes)"])
        arguments = f"({', '.join(given)})" if given else ""
        below = "" if is_leaf_type(named) else " " + self.selections(named, depth + 1, aliased=aliased)
        return f"{alias}{name}{arguments}{condition}{below}"

    def value(self, name: str, kind: Any) -> str:
        if is_non_null_type(kind):
            return self.value(name, kind.of_type)
        if is_list_type(kind):
            return f"[{', '.join(self.value(name, kind.of_type) for _ in range(self.random.choice([1, 1, 2, 5])))}]"
        if isinstance(kind, GraphQLEnumType):
            return str(self.random.choice(list(kind.values)))
        if isinstance(kind, GraphQLInputObjectType):
            wanted = {
                each: field
                for each, field in kind.fields.items()
                if is_required_input_field(field) or self.random.random() < 0.3
            }
            return "{" + ", ".join(f"{each}: {self.value(each, field.type)}" for each, field in wanted.items()) + "}"
        if kind.name == "ID":
            return f'"{self.random.choice(self.ids)}"'
        return SCALARS.get(kind.name, '"Acme"')


@pytest.fixture(scope="module")
async def servers(settings: Settings, database: TestDatabase) -> AsyncIterator[list[Client]]:
    """One that answers breadth first, one with graphql-core's own executor."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(serving(settings, database, executor=executor))
            for executor in (Executor.BREADTH_FIRST, Executor.REFERENCE)
        ]


async def agree(servers: list[Client], seed: int) -> dict[str, Any]:
    """Ask both; returns what they answered alike."""
    random = Random(seed)
    text, who = Writer(random).operation(), random.choice([LEAD, LEAD, CUSTOMER, LISTED_CUSTOMER, PARTNER])
    ours, reference = [(await each.ask(text, who, yes=True, no=False)).body for each in servers]
    for body in (ours, reference):
        for error in body.get("errors", ()):
            del error["extensions"]["requestId"]
        body["errors"] = sorted(map(json.dumps, body.get("errors", ())))
    assert json.dumps(ours) == json.dumps(reference), text
    return ours


@pytest.mark.parametrize("part", range(3))
async def test_both_executors_answer_made_up_operations_of_the_product_alike(servers: list[Client], part: int) -> None:
    answers = [await agree(servers, seed) for seed in range(part * 40, part * 40 + 40)]
    assert sum(bool(each.get("data")) for each in answers) > 30


@pytest.mark.slow
async def test_both_executors_answer_ever_new_made_up_operations_of_the_product_alike(
    servers: list[Client], record_property: Callable[[str, object], None]
) -> None:
    made_up = scaled(1_000)
    for _ in range(made_up):
        await agree(servers, randrange(2**32))
    record_property("tried", f"{made_up:,} operations of the product's schema, answered alike")
