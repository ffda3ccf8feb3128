"""Plans: kept for the documents that come again, bounded against those that do not, declined where unsupported."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import cycle, islice
from random import Random
from typing import Any

import pytest
import strawberry
from graphql import (
    DocumentNode,
    ExecutionHooks,
    ExecutionResult,
    Executor,
    GraphQLDeferDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    build_schema,
    execute,
    parse,
    specified_directives,
)
from graphql.execution.executor import SELECTIONS_NESTED_TOO_DEEPLY
from graphql.pyutils import AbortController
from hypothesis import given
from hypothesis import strategies as st
from strawberry.extensions import MaskErrors, SchemaExtension
from strawberry.schema.config import StrawberryConfig

from app.execution import BreadthFirst, BreadthFirstSchema, Plan
from app.execution.cache import ScanResistantCache
from app.execution.executor import MOST_PLAN_BYTES
from app.execution.planning import plan_shape

SCHEMA = build_schema("""
    type Query { x: Int q: Query list: [Query] }
    type Mutation { x: Int }
    type Subscription { x: Int }
""")


def test_a_document_is_planned_once() -> None:
    engine = BreadthFirst()
    document = parse("query A { x } query B { x }")
    assert engine.plan(SCHEMA, document, "A") is engine.plan(SCHEMA, document, "A")
    assert engine.plan(SCHEMA, document, "A") is not engine.plan(SCHEMA, document, "B")
    assert engine.plan(SCHEMA, document, "A") is not engine.plan(SCHEMA, parse("query A { x }"), "A")


def test_a_plan_runs_any_number_of_times_with_values_of_its_own() -> None:
    engine = BreadthFirst()
    plan = engine.plan(SCHEMA, parse("query ($c: Boolean!) { x q @include(if: $c) { x } }"))
    for number in range(40):
        expected = {"x": number, "q": {"x": -number}} if number % 2 else {"x": number}
        result = engine.run(plan, {"x": number, "q": {"x": -number}}, None, {"c": bool(number % 2)})
        assert result == ExecutionResult(expected, None)


def test_a_flood_of_documents_leaves_the_plans_in_use() -> None:
    engine = BreadthFirst(plans=32)
    used = [parse(f"{{ x{number}: x }}") for number in range(10)]
    plans = [engine.plan(SCHEMA, document) for document in used for _ in range(2)][::2]
    for number in range(1_000):
        engine.plan(SCHEMA, parse(f"{{ flood{number}: x }}"))
    assert [engine.plan(SCHEMA, document) for document in used] == plans
    assert len(engine._plans) <= 32


def switched(engine: BreadthFirst, switches: int) -> Callable[[int], None]:
    """Runs an operation with so many switches, set by the bits of a number, and checks what it selects."""
    names = [f"c{number}" for number in range(switches)]
    variables = " ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"{name}: x @skip(if: ${name})" for name in names)
    plan = engine.plan(SCHEMA, parse(f"query ({variables}) {{ {fields} }}"))

    def run(number: int) -> None:
        values = {name: bool(number >> place & 1) for place, name in enumerate(names)}
        result = engine.run(plan, {"x": 1}, None, values)
        assert list(result.data) == [name for name in names if not values[name]]  # type: ignore[union-attr, arg-type]

    return run


def test_the_shapes_of_a_document_are_bounded() -> None:
    engine = BreadthFirst()
    run = switched(engine, 11)
    for number in range(1_200):
        run(number)
    (plan,) = plans_of(engine)
    assert len(plan.shapes) <= 1_024
    assert plan.bytes <= engine._plans.weight <= MOST_PLAN_BYTES


def plans_of(engine: BreadthFirst) -> list[Plan]:
    return [entry.value for queue in (engine._plans._small, engine._plans._main) for entry in queue.values()]


@pytest.mark.parametrize("sets", [2, 3, 4, 17, 100, 512])
def test_sets_of_values_that_take_turns_are_planned_once(sets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def noted(*args: Any) -> Any:
        made.append(args)
        return plan_shape(*args)

    monkeypatch.setattr("app.execution.planning.plan_shape", noted)
    run = switched(BreadthFirst(), 9)
    for _ in range(3):
        for number in range(sets):
            run(number)
    assert len(made) == sets


def test_a_document_with_ever_new_values_leaves_the_shapes_in_use() -> None:
    engine = BreadthFirst()
    used, flood = switched(engine, 4), switched(engine, 11)
    for _ in range(3):
        for number in range(16):
            used(number)
    shapes = [list(plan.shapes._small.values()) for plan in plans_of(engine)]
    for number in range(2**11):
        flood(number)
    assert [each.value for each in plans_of(engine)[0].shapes._small.values()] == [each.value for each in shapes[0]]


def ask(cache: ScanResistantCache[str, str], key: str) -> bool:
    """Ask for a key as a user of the cache does; whether it was found."""
    found = cache.get(key) is not None
    if not found:
        cache.put(key, key)
    return found


def a_round(cache: ScanResistantCache[str, str], name: str, count: int) -> int:
    """Ask for so many keys in turn; how many were found."""
    return sum([ask(cache, f"{name} {number}") for number in range(count)])


@pytest.mark.parametrize("count", [1, 32, 33, 100, 200, 256])
def test_what_takes_turns_is_found_from_the_second_round_on(count: int) -> None:
    cache: ScanResistantCache[str, str] = ScanResistantCache(256)
    assert [a_round(cache, "used", count) for _ in range(4)] == [0, count, count, count]


def test_what_is_heavy_leaves_room_for_less() -> None:
    cache = weighed(100)
    for key in range(1, 50):
        cache.put(key, [30])
        cache.get(key)
        assert len(cache) <= 3


def weighed(most_weight: int) -> ScanResistantCache[int, list[int]]:
    """A cache of lists that weigh the sum of their items, so that they can grow."""
    return ScanResistantCache(256, weigh=sum, most_weight=most_weight)


def test_what_is_heavier_than_the_cache_is_not_kept_and_evicts_nothing() -> None:
    cache = weighed(100)
    cache.put(1, [60])
    cache.put(2, [101])
    assert (cache.get(1), cache.get(2), cache.weight) == ([60], None, 60)


def test_what_grows_is_weighed_again_and_makes_room() -> None:
    cache = weighed(100)
    for key in range(4):
        cache.put(key, [25])
    grown = cache.get(3)
    assert grown is not None
    grown.append(50)
    cache.reweigh(3)
    assert [cache.get(key) for key in range(4)] == [None, None, [25], [25, 50]]
    grown.append(26)
    cache.reweigh(3)
    assert (cache.get(3), cache.weight) == (None, 25)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("weight", [1, 50, 125, 250, 251, 999])
def test_a_flood_of_any_weight_leaves_what_is_in_use(weight: int, times: int) -> None:
    cache: ScanResistantCache[int, list[int]] = ScanResistantCache(256, sum, 1_000, heaviest=250)
    used = cycle(range(50))
    for _ in range(10):
        for key in range(50):
            if cache.get(key) is None:
                cache.put(key, [10])
    for number in range(1_000, 3_000):
        for _ in range(times):
            if cache.get(number) is None:
                cache.put(number, [weight])
        for key in islice(used, 1 if times == 1 else 50):
            assert cache.get(key) is not None
        assert cache.weight <= 1_000


def test_the_weight_of_a_value_is_taken_once_however_many_are_kept() -> None:
    asked: list[int] = []

    def weigh(value: int) -> int:
        asked.append(value)
        return 1

    cache: ScanResistantCache[int, int] = ScanResistantCache(1_000, weigh, 100)
    for key in range(5_000):
        cache.put(key, key)
    assert asked == list(range(5_000))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60))), st.integers(1, 8))
def test_the_weight_is_the_sum_of_what_is_kept_and_never_exceeds_the_maximum(
    steps: list[tuple[int, int]], size: int
) -> None:
    cache: ScanResistantCache[int, list[int]] = ScanResistantCache(size, weigh=sum, most_weight=100)
    for key, weight in steps:
        value = cache.get(key)
        if value is None:
            cache.put(key, [weight])
        else:
            value.append(weight)
            cache.reweigh(key)
        kept = [entry.value for queue in (cache._small, cache._main) for entry in queue.values()]
        assert cache.weight == sum(map(sum, kept)) <= 100
        assert len(cache) == len(kept) <= size


def test_what_takes_turns_replaces_what_was_in_use_before() -> None:
    cache: ScanResistantCache[str, str] = ScanResistantCache(256)
    for _ in range(10):
        a_round(cache, "before", 256)
    assert [a_round(cache, "now", 200) for _ in range(4)][2:] == [200, 200]


@pytest.mark.parametrize("times", [1, 2])
def test_a_flood_leaves_what_was_asked_for_often(times: int) -> None:
    cache: ScanResistantCache[str, str] = ScanResistantCache(256)
    for _ in range(10):
        a_round(cache, "used", 100)
    for number in range(1_000 if times == 1 else 300):
        for _ in range(times):
            ask(cache, f"flood {number}")
    assert a_round(cache, "used", 100) == 100


def test_what_comes_back_now_and_then_amid_a_flood_comes_to_be_kept() -> None:
    cache: ScanResistantCache[str, str] = ScanResistantCache(256)
    random = Random(1)
    found = []
    for number in range(6_000):
        if random.random() < 0.2:
            found.append(ask(cache, f"used {random.randrange(100)}"))
        else:
            ask(cache, f"flood {number}")
    assert sum(found[-500:]) > 450


@given(st.lists(st.integers(0, 40)), st.integers(1, 20))
def test_the_cache_never_outgrows_its_size_nor_gives_another_value(keys: list[int], size: int) -> None:
    cache: ScanResistantCache[int, str] = ScanResistantCache(size)
    for key in keys:
        value = cache.get(key)
        assert value in {None, str(key)}
        if value is None:
            cache.put(key, str(key))
        assert len(cache) <= size


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("subscription { x }", "subscription"),
        ("{ x ... @defer { x } }", "directive"),
        ("{ list @stream { x } }", "directive"),
        ("query @experimental_disableErrorPropagation { x }", "directive"),
        ("{ ...F } fragment F on Query { q { ...F } }", "fragment cycle"),
        ("fragment F on Query { x }", "no operation"),
        ("query A { x } query B { x }", "no operation"),
    ],
)
def test_what_is_not_supported_is_declined_as_a_whole(text: str, reason: str) -> None:
    assert BreadthFirst().plan(SCHEMA, parse(text)).declined == reason


def test_a_schema_with_incremental_delivery_is_left_to_graphql_core() -> None:
    schema = build_schema("type Query { x: Int }")
    schema.directives = (*specified_directives, GraphQLDeferDirective)
    given: list[Any] = []
    engine = BreadthFirst()
    engine.execute(schema, parse("{ x }"), {"x": 1}, fallback=lambda *args, **options: given.append((args, options)))
    assert len(given) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"field_resolver": lambda *_: 1},
        {"type_resolver": lambda *_: "Query"},
        {"middleware": [lambda next_, *args: next_(*args)]},
        {"executor_class": type("Mine", (Executor,), {})},
        {"abort_signal": AbortController().signal},
        {"hooks": ExecutionHooks()},
        {"is_awaitable": lambda _value: False},
    ],
)
def test_options_that_reach_into_execution_are_left_to_graphql_core(options: dict[str, Any]) -> None:
    given: list[Any] = []

    def fallback(*args: Any, **options: Any) -> None:
        given.append((args, options))

    document = parse("{ x }")
    BreadthFirst().execute(SCHEMA, document, "root", "context", {"v": 1}, "Name", fallback=fallback, **options)
    resolvers = (options.pop("field_resolver", None), options.pop("type_resolver", None))
    assert given == [((SCHEMA, document, "root", "context", {"v": 1}, "Name", *resolvers), options)]


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, *_: Any) -> int:
        return 7


def test_arguments_may_be_given_by_position_as_to_graphql_core() -> None:
    after = [None, None, None, 1, False, None]
    arguments: list[Any] = [parse("query ($a: Int, $b: Int) { x }"), {"x": 1}, None, {"a": "1", "b": "2"}, None, *after]
    assert BreadthFirst().execute(SCHEMA, *arguments) == execute(SCHEMA, *arguments)
    declined: list[Any] = [parse("{ x }"), {"x": 1}, None, None, None, Unhashable(), None, None, 1]
    assert BreadthFirst().execute(SCHEMA, *declined) == execute(SCHEMA, *declined)
    assert BreadthFirst().execute(SCHEMA, *declined).data == {"x": 7}


@pytest.mark.parametrize(
    ("more", "options"), [(range(20), {}), ([None, 5], {"max_coercion_errors": 5})], ids=["too many", "twice"]
)
def test_arguments_given_too_often_are_refused(more: list[Any], options: dict[str, Any]) -> None:
    for executor in (execute, BreadthFirst().execute):
        with pytest.raises(TypeError):
            executor(SCHEMA, parse("{ x }"), None, None, None, None, None, None, *more, **options)


def test_names_of_the_document_cannot_reach_the_generated_code() -> None:
    schema = build_schema(
        "type Query { class: Int None: Int append: Int rows: Int build_slowly: Int v0: Int parent: Int }"
    )
    names = ["class", "None", "append", "rows", "build_slowly", "v0", "parent"]
    text = "{ " + " ".join(f"{name} {name}{name}: {name}" for name in names) + " __import__: v0 }"
    root = {name: number for number, name in enumerate(names)}
    expected = execute(schema, parse(text), root)
    assert BreadthFirst().execute(schema, parse(text), root) == expected
    assert BreadthFirst().execute(schema, parse(text), type("Root", (), root)()) == expected


def test_a_deep_document_does_not_deepen_the_stack() -> None:
    root: dict[str, Any] = {"x": 1}
    root["q"] = root
    depth = 150
    result = BreadthFirst().execute(SCHEMA, parse("{ q " * depth + "{ x }" + " }" * depth), root)
    assert result.errors is None


def test_selections_that_nest_too_deep_are_the_error_of_graphql_core() -> None:
    document = parse("{ x }")
    selections = document.definitions[0].selection_set  # type: ignore[attr-defined]
    for _ in range(20_000):  # a parser would exceed the recursion limit first
        selections = SelectionSetNode(selections=(InlineFragmentNode(directives=(), selection_set=selections),))
    operation = OperationDefinitionNode(operation=OperationType.QUERY, selection_set=selections)
    result = BreadthFirst().execute(SCHEMA, DocumentNode(definitions=(operation,)), {"x": 1})
    assert [error.message for error in result.errors] == [SELECTIONS_NESTED_TOO_DEEPLY]


@strawberry.type
class Item:
    name: str
    other: "Item | None"


@strawberry.type
class Query:
    @strawberry.field
    def text(self, info: strawberry.Info) -> str:
        return f"{info.context} {info.root_value} {info.variable_values} {info.operation.name.value}"  # type: ignore[union-attr]

    @strawberry.field
    async def later(self) -> int:
        await asyncio.sleep(0)
        return 1

    @strawberry.field
    def broken(self) -> int | None:
        raise ValueError("secret")

    @strawberry.field
    def extension(self, info: strawberry.Info) -> str:
        return str(info.input_extensions)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[int]:
        for number in range(3):
            yield number


def schema(**options: Any) -> BreadthFirstSchema:
    """A small schema under this executor."""
    return BreadthFirstSchema(Query, subscription=Subscription, breadth_first=BreadthFirst(), **options)


async def test_strawberry_passes_its_context_through() -> None:
    text = "query Q($v: Boolean!) { text ... @include(if: $v) { later } extension }"
    result = await schema().execute(
        text, {"v": True}, context_value="context", root_value="root", operation_extensions={"e": 1}
    )
    assert result.errors is None
    assert result.data == {"text": "context root {'v': True} Q", "later": 1, "extension": "{'e': 1}"}


def test_strawberry_executes_at_once_what_waits_for_nothing() -> None:
    result = schema().execute_sync("query Q { text }", context_value=1, root_value=2)
    assert result.data == {"text": "1 2 {} Q"}


async def test_strawberry_says_so_when_it_cannot_execute_at_once() -> None:
    result = schema().execute_sync("{ later }")
    await asyncio.sleep(0)  # lets the request it cancelled end
    assert "failed to complete synchronously" in str(result.errors)


async def test_strawberrys_extensions_see_the_result() -> None:
    result = await schema(extensions=[MaskErrors]).execute("{ broken later }")
    assert result.data == {"broken": None, "later": 1}
    assert [error.message for error in result.errors or ()] == ["Unexpected error."]


async def test_an_extension_that_resolves_fields_is_obeyed() -> None:
    class Doubling(SchemaExtension):
        def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
            value = _next(root, info, *args, **kwargs)
            return f"{value}{value}" if info.field_name == "extension" else value

    result = await schema(extensions=[Doubling]).execute("{ extension }")
    assert result.data == {"extension": "NoneNone"}


async def test_subscriptions_are_strawberrys() -> None:
    stream: Any = await schema().subscribe("subscription { ticks }")
    assert [result.data["ticks"] async for result in stream] == [0, 1, 2]


async def test_a_default_resolver_of_ones_own_reads_every_plain_field() -> None:
    @strawberry.type
    class Root:
        @strawberry.field
        def item(self) -> Item:
            return {"name": "a", "other": {"name": "b", "other": None}}  # type: ignore[return-value]

    config = StrawberryConfig(default_resolver=lambda source, name: source[name])
    made = BreadthFirstSchema(Root, breadth_first=BreadthFirst(), config=config)
    result = await made.execute("{ item { name other { name } } }")
    assert result.data == {"item": {"name": "a", "other": {"name": "b"}}}


async def test_without_an_executor_the_schema_is_strawberrys_own() -> None:
    assert BreadthFirstSchema(Query)._get_execute_function() is execute
