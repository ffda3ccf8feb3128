"""Operations made up at random: the breadth-first executor gives what graphql-core gives."""

import asyncio
import inspect
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from graphql import ExecutionResult, OperationType, execute, parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.execution import BreadthFirst, BreadthFirstSchema

from .agreement import assert_agrees
from .awkward import World, awkward_schema
from .operations import NO_PROPAGATION, an_operation
from .strawberry_world import Viewer, library

SCHEMAS = [awkward_schema(variant) for variant in range(6)]
REFERENCE = library(None)
OURS = library(BreadthFirst())
MANY = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@given(st.randoms(use_true_random=False), st.integers(0, 2**32), st.booleans())
@settings(max_examples=500, **MANY)
def test_the_executors_agree_on_an_awkward_schema(
    runner: asyncio.Runner, random: Random, seed: int, calm: bool
) -> None:
    compare(runner, random, seed, calm)


@pytest.mark.slow
@given(st.randoms(use_true_random=False), st.integers(0, 2**32), st.booleans())
@settings(max_examples=10_000, **MANY)
def test_the_executors_agree_ten_thousand_times(runner: asyncio.Runner, random: Random, seed: int, calm: bool) -> None:
    compare(runner, random, seed, calm)


def compare(runner: asyncio.Runner, random: Random, seed: int, calm: bool) -> None:
    schema = random.choice(SCHEMAS)
    kind = OperationType.MUTATION if random.random() < 0.15 else OperationType.QUERY
    operation = an_operation(random, schema, kind)
    document = parse(operation.text % "")
    engine = BreadthFirst(batches_in_turn=random.random() < 0.5)

    def run(executor: Any, document: Any) -> ExecutionResult:
        world = World(schema, seed, calm)

        async def awaited() -> ExecutionResult:
            result = executor(schema, document, world.root, world, operation.variables)
            return await result if inspect.isawaitable(result) else result

        return runner.run(awaited())

    assert engine.plan(schema, document).declined is None
    reference = run(execute, document)
    possible = run(execute, parse(operation.text % NO_PROPAGATION))
    assert_agrees(run(engine.execute, document), reference, possible)
    assert_agrees(run(engine.execute, document), reference, possible)


@given(st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=300, **MANY)
def test_the_executors_agree_on_a_strawberry_schema(runner: asyncio.Runner, random: Random, staff: bool) -> None:
    compare_library(runner, random, staff)


@pytest.mark.slow
@given(st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=5_000, **MANY)
def test_the_executors_agree_on_a_strawberry_schema_five_thousand_times(
    runner: asyncio.Runner, random: Random, staff: bool
) -> None:
    compare_library(runner, random, staff)


def compare_library(runner: asyncio.Runner, random: Random, staff: bool) -> None:
    kind = OperationType.MUTATION if random.random() < 0.15 else OperationType.QUERY
    operation = an_operation(random, OURS._schema, kind)

    def run(schema: BreadthFirstSchema, text: str) -> ExecutionResult:
        async def awaited() -> ExecutionResult:
            result = schema._get_execute_function()(
                schema._schema,
                parse(text),
                2.5,
                Viewer(staff),
                operation.variables,
                executor_class=schema.execution_context_class,
                operation_extensions=None,
            )
            return await result if inspect.isawaitable(result) else result

        return runner.run(awaited())

    reference = run(REFERENCE, operation.text % "")
    possible = run(REFERENCE, operation.text % NO_PROPAGATION)
    assert_agrees(run(OURS, operation.text % ""), reference, possible)
