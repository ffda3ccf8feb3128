"""Operations made up at random: the breadth-first executor gives what graphql-core gives."""

import asyncio
import gc
import inspect
import warnings
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    OverlappingFieldsCanBeMergedRule,
    execute,
    parse,
    validate,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.execution import BreadthFirst, BreadthFirstSchema, Executed
from graphql_schema.returned import Returned
from tests.lanes import scaled

from .agreement import assert_agrees
from .awkward import World, awkward_schema
from .operations import NO_PROPAGATION, PROPAGATION, an_operation
from .strawberry_world import Viewer, library

SCHEMAS = [awkward_schema(variant) for variant in range(6)]
REFERENCE = library(None)
OURS = library(BreadthFirst())
MANY: dict[str, Any] = {"suppress_health_check": list(HealthCheck), "database": None}


# graphql-core drops what it was waiting for when a value it cannot use stops it
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


AWKWARD, LIBRARY = scaled(2_000), scaled(1_000)
"""How many operations the slow lane makes up."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner
    gc.collect()


@given(st.randoms(use_true_random=False), st.integers(0, 2**32), st.booleans())
@settings(max_examples=200, derandomize=True, **MANY)
def test_the_executors_agree_on_an_awkward_schema(
    runner: asyncio.Runner, random: Random, seed: int, calm: bool
) -> None:
    compare(runner, random, seed, calm)


@given(st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=120, derandomize=True, **MANY)
def test_the_executors_agree_on_a_strawberry_schema(runner: asyncio.Runner, random: Random, staff: bool) -> None:
    compare_library(runner, random, staff)


@pytest.mark.slow
@given(st.randoms(use_true_random=False), st.integers(0, 2**32), st.booleans())
@settings(max_examples=AWKWARD, **MANY)
def test_the_executors_agree_on_ever_new_operations_of_an_awkward_schema(
    runner: asyncio.Runner, random: Random, seed: int, calm: bool
) -> None:
    compare(runner, random, seed, calm)


@pytest.mark.slow
@given(st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=LIBRARY, **MANY)
def test_the_executors_agree_on_ever_new_operations_of_a_strawberry_schema(
    runner: asyncio.Runner, random: Random, staff: bool
) -> None:
    compare_library(runner, random, staff)


def test_nothing_a_resolver_returned_is_left_unawaited(runner: asyncio.Runner) -> None:
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in range(150):
            random = Random(seed)
            schema = random.choice(SCHEMAS)
            operation = an_operation(random, schema)
            world = World(schema, seed, False)
            run(runner, BreadthFirst().execute, schema, parse(operation.text % PROPAGATION), world, operation.variables)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def run(
    runner: asyncio.Runner, executor: Any, schema: GraphQLSchema, document: DocumentNode, world: World, variables: Any
) -> ExecutionResult:
    async def awaited() -> ExecutionResult:
        result = executor(schema, document, world.root, world, variables)
        answered: ExecutionResult = await result if inspect.isawaitable(result) else result
        return answered

    return runner.run(awaited())


def compare(runner: asyncio.Runner, random: Random, seed: int, calm: bool) -> None:
    schema = random.choice(SCHEMAS)
    kind = OperationType.MUTATION if random.random() < 0.15 else OperationType.QUERY
    operation = an_operation(random, schema, kind)
    document = parse(operation.text % PROPAGATION)
    unpropagated = parse(operation.text % NO_PROPAGATION)
    engine = BreadthFirst(sequential_batches=random.random() < 0.5)
    assert engine.plan(schema, document).declined is None
    reference, possible, ours, ours_again = (
        run(runner, executor, schema, text, World(schema, seed, calm), operation.variables)
        for executor, text in (
            (execute, document),
            (execute, unpropagated),
            (engine.execute, document),
            (engine.execute, document),
        )
    )
    assert_agrees(ours, reference, possible, serial=kind is OperationType.MUTATION)
    assert_counted(ours, schema, document)
    assert_agrees(ours_again, reference, possible, serial=kind is OperationType.MUTATION)


def compare_library(runner: asyncio.Runner, random: Random, staff: bool) -> None:
    kind = OperationType.MUTATION if random.random() < 0.15 else OperationType.QUERY
    operation = an_operation(random, OURS._schema, kind)

    def answer(schema: BreadthFirstSchema, text: str) -> ExecutionResult:
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
            answered: ExecutionResult = await result if inspect.isawaitable(result) else result
            return answered

        return runner.run(awaited())

    reference = answer(REFERENCE, operation.text % PROPAGATION)
    possible = answer(REFERENCE, operation.text % NO_PROPAGATION)
    ours = answer(OURS, operation.text % PROPAGATION)
    assert_agrees(ours, reference, possible, serial=kind is OperationType.MUTATION)
    assert_counted(ours, OURS._schema, parse(operation.text % PROPAGATION))


def assert_counted(result: ExecutionResult, schema: GraphQLSchema, document: DocumentNode) -> None:
    """What the levels held is what can be counted in the data, if no key is an object's here and a leaf's there."""
    if validate(schema, document, [OverlappingFieldsCanBeMergedRule]):
        return
    if isinstance(result, Executed) and result.objects is not None:
        operation = next(each for each in document.definitions if isinstance(each, OperationDefinitionNode))
        assert result.objects == Returned(document, operation).count(result.data)
