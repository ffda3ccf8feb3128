"""An operation finds as many objects as it is allowed, and reserves them before it goes on."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from graphql import ExecutionResult, GraphQLSchema, build_schema, execute, get_variable_values, parse

from app.execution import BATCH_RESOLVER, BreadthFirst
from app.execution.variables import GivenVariables


class TooMany(Exception):  # noqa: N818 - named after the problem
    """More objects than allowed."""


class Ended(Exception):  # noqa: N818 - named after the event
    """A resolver ends the operation."""


class Purse:
    """Permits so many objects, and notes what was reserved."""

    def __init__(self, most: int, *, waits: bool = False, refuses: bool = False) -> None:
        self.maximum = most
        self.waits = waits
        self.refuses = refuses
        self.reserved = 0
        self.reservations: list[int] = []

    def check(self, objects: int) -> None:
        if objects > self.maximum:
            raise TooMany

    def reserve(self, objects: int) -> Awaitable[None] | None:
        self.reserved = objects
        self.reservations.append(objects)
        return self._later() if self.waits else None

    async def _later(self) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise TooMany


class Groves:
    """A schema in which each tree has ten trees below it, and a count of the calls of its batch resolvers."""

    def __init__(self) -> None:
        self.calls = 0
        self.schema = build_schema(
            "type Query { trees: [Tree!]! tree: Tree stop: [Tree!] }"
            " type Mutation { plant: Tree } type Tree { id: Int trees: [Tree!]! twins: [Tree!] stop: [Tree!] }"
        )
        for type_ in ("Query", "Tree"):
            fields: Any = self.schema.type_map[type_].fields  # type: ignore[attr-defined]
            fields["trees"].extensions = {BATCH_RESOLVER: self.below}
            fields["stop"].extensions = {BATCH_RESOLVER: self.stop}
        fields = self.schema.type_map["Mutation"].fields  # type: ignore[attr-defined]
        fields["plant"].resolve = lambda *_: {"id": 1, "twins": [{"id": 2}] * 50}

    async def below(self, parents: Sequence[Any], _info: Any) -> list[Any]:
        self.calls += 1
        return [[{"id": number} for number in range(10)] for _ in parents]

    async def stop(self, _parents: Sequence[Any], _info: Any) -> list[Any]:
        raise Ended


async def run(purse: Purse, schema: GraphQLSchema, text: str, *, in_turn: bool = True) -> ExecutionResult:
    engine = BreadthFirst(allowance=lambda _context: purse, ending=(TooMany, Ended), sequential_batches=in_turn)
    result = engine.execute(schema, parse(text))
    answered: ExecutionResult = await result if asyncio.iscoroutine(result) else result
    return answered


def causes(result: ExecutionResult) -> list[type]:
    return [type(error.original_error) for error in result.errors or ()]


@pytest.mark.parametrize("in_turn", [False, True])
async def test_an_operation_within_its_allowance_reserves_what_each_wave_finds(in_turn: bool) -> None:
    purse = Purse(1_110)
    result = await run(purse, Groves().schema, "{ trees { trees { trees { id } } } }", in_turn=in_turn)
    assert (result.errors, result.objects) == (None, 1_110)  # type: ignore[attr-defined]
    assert purse.reservations == [10, 110, 1_110]


@pytest.mark.parametrize("in_turn", [False, True])
async def test_an_operation_ends_at_the_first_list_beyond_its_allowance(in_turn: bool) -> None:
    groves = Groves()
    result = await run(Purse(100), groves.schema, "{ trees { trees { trees { trees { id } } } } }", in_turn=in_turn)
    assert (result.data, causes(result), groves.calls) == (None, [TooMany], 2)


async def test_lists_of_one_wave_are_not_asked_for_once_the_allowance_is_used_up() -> None:
    groves = Groves()
    text = "{ trees { a: trees { id } b: trees { id } c: trees { id } } }"
    result = await run(Purse(200), groves.schema, text)
    assert (causes(result), groves.calls) == ([TooMany], 3)


@pytest.mark.parametrize("in_turn", [False, True])
async def test_an_exception_that_ends_an_operation_is_no_error_of_its_field(in_turn: bool) -> None:
    result = await run(
        Purse(100), Groves().schema, "{ tree { id } trees { stop { id } } stop { id } }", in_turn=in_turn
    )
    assert result.errors is not None
    (error,) = result.errors
    assert (result.data, type(error.original_error), error.path) == (None, Ended, None)


async def test_a_reservation_that_is_refused_ends_the_operation() -> None:
    groves = Groves()
    result = await run(Purse(1_000, waits=True, refuses=True), groves.schema, "{ trees { trees { id } } }")
    assert (result.data, causes(result), groves.calls) == (None, [TooMany], 1)


async def test_what_a_mutation_returns_itself_is_reserved_and_needs_no_permission() -> None:
    purse = Purse(5)
    result = await run(purse, Groves().schema, "mutation { plant { twins { id } } }")
    assert (result.errors, purse.reservations) == (None, [1, 51])


async def test_the_error_of_a_mutation_has_a_path_below_its_field() -> None:
    result = await run(Purse(5), Groves().schema, "mutation { plant { trees { id } } }")
    assert result.errors is not None
    (error,) = result.errors
    assert (type(error.original_error), error.path) == (TooMany, ["plant", "trees"])


def test_coerced_variables_are_not_coerced_again() -> None:
    schema = build_schema("type Query { twice(n: Int): Int }")
    schema.query_type.fields["twice"].resolve = lambda _root, _info, n: 2 * n  # type: ignore[union-attr]
    document = parse("query ($n: Int) { twice(n: $n) }")
    definitions = document.definitions[0].variable_definitions  # type: ignore[attr-defined]
    coerced = get_variable_values(schema, definitions, {"n": 4.0})
    assert not isinstance(coerced, list)
    for run_with in (BreadthFirst().execute, execute):
        result: Any = run_with(schema, document, variable_values=GivenVariables({"n": 4.0}, coerced))
        assert result.data == {"twice": 8}
    given = GivenVariables({"n": "not coerced again"}, coerced)
    assert BreadthFirst().execute(schema, document, variable_values=given).data == {"twice": 8}


async def test_the_result_of_a_mutation_needs_no_permission_after_another_one_has_used_the_allowance_up() -> None:
    purse = Purse(11)
    text = "mutation { a: plant { trees { id } } b: plant { id } }"
    result = await run(purse, Groves().schema, text)
    assert (result.errors, purse.reservations) == (None, [1, 11, 12])


async def test_an_error_below_the_second_mutation_has_a_path_below_its_field() -> None:
    result = await run(Purse(11), Groves().schema, "mutation { a: plant { trees { id } } b: plant { trees { id } } }")
    assert [(type(error.original_error), error.path) for error in result.errors or ()] == [(TooMany, ["b", "trees"])]
