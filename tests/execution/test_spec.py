"""Claims of the GraphQL specification, each with an operation of its own, under this executor and graphql-core's."""

import asyncio
import inspect
from typing import Any

import pytest
from graphql import (
    ExecutionResult,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    build_schema,
    execute,
    parse,
)

from app.execution import BreadthFirst

EXECUTORS = [pytest.param(BreadthFirst().execute, id="breadth-first"), pytest.param(execute, id="graphql-core")]
both = pytest.mark.parametrize("executor", EXECUTORS)


async def answer(executor: Any, schema: GraphQLSchema, text: str, *args: Any, **kwargs: Any) -> ExecutionResult:
    result = executor(schema, parse(text), *args, **kwargs)
    answered: ExecutionResult = await result if inspect.isawaitable(result) else result
    return answered


def formatted(result: ExecutionResult) -> Any:
    errors = [(error.message, error.path) for error in result.errors or ()]
    return (result.data, errors) if errors else result.data


class Later:
    """An awaitable that is no coroutine."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


async def later(value: Any) -> Any:
    return await Later(value)


async def streamed(*values: Any) -> Any:
    for value in values:
        yield value


LISTS: dict[str, list[tuple[Any, Any]]] = {
    "[Int]": [
        ([1, None, 2], [1, None, 2]),
        ((1, 2), [1, 2]),
        ({1: 0}.keys(), [1]),
        ((n for n in (1, 2)), [1, 2]),
        (None, None),
        ([], []),
        ([Later(1), Later(2), 3], [1, 2, 3]),
        ([Later(ValueError("bad")), 2], ([None, 2], [("bad", ["list", 0])])),
        ([ValueError("bad"), 2], ([None, 2], [("bad", ["list", 0])])),
        ("text", (None, [("Expected Iterable, but did not find one for field 'Query.list'.", ["list"])])),
    ],
    "[Int!]": [
        ([1, 2], [1, 2]),
        ([1, None], (None, [("Cannot return null for non-nullable field Query.list.", ["list", 1])])),
        ([1, Later(None)], (None, [("Cannot return null for non-nullable field Query.list.", ["list", 1])])),
        ([1, Later(ValueError("bad"))], (None, [("bad", ["list", 1])])),
        ([1, 2**31], (None, [("Int cannot represent non 32-bit signed integer value: 2147483648", ["list", 1])])),
    ],
    "[[Int!]]": [
        ([[1], None, []], [[1], None, []]),
        ([[1, None], [2]], ([None, [2]], [("Cannot return null for non-nullable field Query.list.", ["list", 0, 1])])),
        ([(1, Later(2)), Later([3])], [[1, 2], [3]]),
    ],
}
NO_DATA = [
    ("[Int]!", None, ("Cannot return null for non-nullable field Query.list.", ["list"])),
    ("[Int!]!", [1, None], ("Cannot return null for non-nullable field Query.list.", ["list", 1])),
    ("[[Int!]!]!", [[1, None]], ("Cannot return null for non-nullable field Query.list.", ["list", 0, 1])),
]


@pytest.mark.parametrize(("type_", "number"), [(type_, i) for type_, cases in LISTS.items() for i in range(len(cases))])
async def test_a_list_is_completed_item_by_item(type_: str, number: int) -> None:
    value, expected = LISTS[type_][number]
    schema = build_schema(f"type Query {{ list: {type_} }}")
    data, errors = expected if isinstance(expected, tuple) else (expected, None)
    result = await answer(BreadthFirst().execute, schema, "{ list }", {"list": value})
    assert formatted(result) == (({"list": data}, errors) if errors else {"list": data})


@pytest.mark.parametrize(("type_", "value", "error"), NO_DATA)
@both
async def test_a_list_that_must_not_be_null_takes_its_parent_away(
    executor: Any, type_: str, value: Any, error: Any
) -> None:
    schema = build_schema(f"type Query {{ list: {type_} }}")
    assert formatted(await answer(executor, schema, "{ list }", {"list": value})) == (None, [error])


@both
async def test_an_asynchronous_iterable_is_a_list(executor: Any) -> None:
    schema = build_schema("type Query { list: [Int] }")
    root = {"list": lambda _info: streamed(1, later(2), None)}
    assert formatted(await answer(executor, schema, "{ list }", root)) == {"list": [1, 2, None]}


@both
async def test_an_asynchronous_iterable_that_fails_fails_its_list(executor: Any) -> None:
    async def failing() -> Any:
        yield 1
        raise ValueError("bad")

    schema = build_schema("type Query { list: [Int] other: Int }")
    root = {"list": lambda _info: failing(), "other": 1}
    expected = {"list": None, "other": 1}, [("bad", ["list"])]
    assert formatted(await answer(executor, schema, "{ list other }", root)) == expected


NON_NULL = """
type Query { top: Nest  must: Nest! }
type Nest { sync: String must: String! nest: Nest mustNest: Nest! many: [Nest!] maybe: [Nest] }
"""


@both
async def test_null_moves_up_to_the_nearest_field_that_may_be_null(executor: Any) -> None:
    nested = {"sync": "s", "mustNest": {"mustNest": {"must": None}}}
    root = {"top": {"sync": "a", "nest": nested, "maybe": [{"must": "x"}, {"must": None}], "many": [{"must": None}]}}
    text = "{ top { sync nest { sync mustNest { mustNest { must } } } maybe { must } many { must } } }"
    data, errors = formatted(await answer(executor, build_schema(NON_NULL), text, root))
    assert data == {"top": {"sync": "a", "nest": None, "maybe": [{"must": "x"}, None], "many": None}}
    message = "Cannot return null for non-nullable field Nest.must."
    assert sorted(path for _, path in errors) == [
        ["top", "many", 0, "must"],
        ["top", "maybe", 1, "must"],
        ["top", "nest", "mustNest", "mustNest", "must"],
    ]
    assert {found for found, _ in errors} == {message}


@both
async def test_null_that_reaches_the_root_takes_the_data_away(executor: Any) -> None:
    root = {"top": {"sync": "a"}, "must": later({"mustNest": ValueError("bad")})}
    result = await answer(executor, build_schema(NON_NULL), "{ top { sync } must { mustNest { sync } } }", root)
    assert formatted(result) == (None, [("bad", ["must", "mustNest"])])


ABSTRACT = """
interface Pet { name: String }
interface Loud implements Pet { name: String volume: Int }
type Dog implements Pet & Loud { name: String volume: Int barks: Boolean }
type Cat implements Pet { name: String meows: Boolean }
type Stone { weight: Int }
union Any = Dog | Cat | Stone
type Query { pets: [Pet] things: [Any!] loud: Loud }
"""
PETS = [
    {"__typename": "Dog", "name": "Odie", "volume": 3, "barks": True},
    {"__typename": "Cat", "name": "Garfield", "meows": False},
]


@both
async def test_an_interface_shows_each_object_as_its_own_type(executor: Any) -> None:
    text = """
      { pets { name ... on Dog { barks } ...Meows ... on Loud { volume } __typename } }
      fragment Meows on Cat { meows }
    """
    data = formatted(await answer(executor, build_schema(ABSTRACT), text, {"pets": [*PETS, None, PETS[0]]}))
    dog = {"name": "Odie", "barks": True, "volume": 3, "__typename": "Dog"}
    cat = {"name": "Garfield", "meows": False, "__typename": "Cat"}
    assert data == {"pets": [dog, cat, None, dog]}
    assert [list(pet) for pet in data["pets"] if pet] == [list(dog), list(cat), list(dog)]


@both
async def test_an_object_without_a_type_fails_alone(executor: Any) -> None:
    text = "{ pets { name } things { __typename } }"
    root = {"pets": [{"__typename": "Fish"}, PETS[0], {"__typename": "Stone"}, {}], "things": [PETS[1], {}]}
    data, errors = formatted(await answer(executor, build_schema(ABSTRACT), text, root))
    assert data == {"pets": [None, {"name": "Odie"}, None, None], "things": None}
    assert [path for _, path in errors] == [["pets", 0], ["pets", 2], ["pets", 3], ["things", 1]]
    assert errors[0][0] == "Abstract type 'Pet' was resolved to a type 'Fish' that does not exist inside the schema."
    assert errors[1][0] == "Runtime Object type 'Stone' is not a possible type for 'Pet'."


@both
@pytest.mark.parametrize("wrap", [lambda value: value, later])
async def test_types_tell_their_objects_at_once_or_later(executor: Any, wrap: Any) -> None:
    schema = build_schema(ABSTRACT)
    for name in ("Dog", "Cat", "Stone"):
        type_: Any = schema.type_map[name]
        type_.is_type_of = lambda value, _info, name=name: wrap(value["kind"] == name)
    pets = [{"kind": "Dog", "name": "Odie"}, {"kind": "Cat", "name": "Tom"}]
    result = await answer(executor, schema, "{ pets { name __typename } }", {"pets": pets})
    expected = [{"name": "Odie", "__typename": "Dog"}, {"name": "Tom", "__typename": "Cat"}]
    assert formatted(result) == {"pets": expected}


@both
async def test_an_object_its_type_disowns_fails(executor: Any) -> None:
    schema = build_schema("type Stone { weight: Int } type Query { stones: [Stone] }")
    stone: Any = schema.type_map["Stone"]
    stone.is_type_of = lambda value, _info: value["weight"] < 5
    data, errors = formatted(
        await answer(executor, schema, "{ stones { weight } }", {"stones": [{"weight": 1}, {"weight": 9}]})
    )
    assert data == {"stones": [{"weight": 1}, None]}
    assert errors == [("Expected value of type 'Stone' but got: {'weight': 9}.", ["stones", 1])]


@both
@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("{ a @skip(if: true) b }", "b"),
        ("{ a @include(if: false) b @skip(if: false) }", "b"),
        ("query ($yes: Boolean!) { a @include(if: $yes) b @skip(if: $yes) }", "a"),
        ("query ($no: Boolean = false) { a @include(if: $no) b @skip(if: $no) }", "b"),
        ("query ($yes: Boolean!) { ...F @skip(if: $yes) c } fragment F on Query { a b }", "c"),
        ("query ($yes: Boolean!) { ... @include(if: $yes) { b } a @skip(if: true) c }", "bc"),
        ("{ a @include(if: true) @skip(if: true) b }", "b"),
        ("{ c ... on Query { a c } ...F b } fragment F on Query { b a }", "cab"),
    ],
)
async def test_conditions_leave_fields_out(executor: Any, text: str, keys: str) -> None:
    schema = build_schema("type Query { a: Int b: Int c: Int }")
    result = await answer(executor, schema, text, {"a": 1, "b": 2, "c": 3}, None, {"yes": True})
    assert "".join(result.data or {}) == keys


@both
async def test_a_condition_without_a_value_is_an_error(executor: Any) -> None:
    schema = build_schema("type Query { a: Int q: Query }")
    result = await answer(executor, schema, "query ($c: Boolean) { a q { a @skip(if: $c) } }", {"a": 1, "q": {"a": 2}})
    data, errors = formatted(result)
    assert data == {"a": 1, "q": None}
    assert [path for _, path in errors] == [["q"]]


@both
async def test_the_root_fields_of_a_mutation_run_one_after_the_other(executor: Any) -> None:
    order: list[str] = []

    def act(name: str, pause: int) -> Any:
        async def resolve(_root: Any, _info: Any) -> Any:
            order.append(f"start {name}")
            for _ in range(pause):
                await asyncio.sleep(0)
            order.append(f"end {name}")
            return {"seen": lambda _info: len(order)}

        return resolve

    made = GraphQLObjectType("Made", {"seen": GraphQLField(GraphQLInt)})
    fields = {name: GraphQLField(made, resolve=act(name, pause)) for name, pause in (("a", 3), ("b", 0), ("c", 1))}
    schema = GraphQLSchema(
        GraphQLObjectType("Query", {"x": GraphQLField(GraphQLInt)}), GraphQLObjectType("Mutation", fields)
    )
    result = await answer(executor, schema, "mutation { a { seen } c { seen } b { seen } }")
    assert order == ["start a", "end a", "start c", "end c", "start b", "end b"]
    assert formatted(result) == {"a": {"seen": 2}, "c": {"seen": 4}, "b": {"seen": 6}}


@both
async def test_a_mutation_stops_when_a_field_takes_the_data_away(executor: Any) -> None:
    done: list[str] = []
    schema = build_schema("type Query { x: Int } type Mutation { a: Int must: Int! b: Int }")
    root = {name: lambda _info, name=name: done.append(name) for name in ("a", "must", "b")}
    result = await answer(executor, schema, "mutation { a must b }", root)
    assert done == ["a", "must"]
    assert result.data is None


@both
async def test_variables_are_coerced_before_anything_runs(executor: Any) -> None:
    schema = build_schema("input In { n: Int! m: [Int!] = [7] } type Query { echo(in: In, n: Int = 3): String }")
    root = {"echo": lambda _info, **given: str(sorted(given.items()))}
    text = "query ($in: In, $n: Int) { echo(in: $in, n: $n) }"
    result = await answer(executor, schema, text, root, None, {"in": {"n": 1}})
    assert formatted(result) == {"echo": "[('in', {'n': 1, 'm': [7]}), ('n', 3)]"}
    result = await answer(executor, schema, text, root, None, {"in": {"n": "x"}})
    assert result.data is None
    assert "Variable '$in' has invalid value at .n" in result.errors[0].message  # type: ignore[index]


@both
async def test_a_field_with_a_bad_argument_fails_alone(executor: Any) -> None:
    schema = build_schema("type Query { echo(n: Int!): Int x: Int }")
    data, errors = formatted(await answer(executor, schema, "{ echo(n: true) x }", {"x": 1}))
    assert data == {"echo": None, "x": 1}
    assert errors == [("Argument 'n' has invalid value: Int cannot represent non-integer value: true", ["echo"])]


@both
async def test_a_scalar_of_ones_own_is_coerced_by_its_own_rules(executor: Any) -> None:
    schema = build_schema("scalar Odd type Query { a: Odd b: Odd c: Odd d: [Odd] }")
    odd: Any = schema.type_map["Odd"]

    def coerce(value: int) -> Any:
        if value > 10:
            raise GraphQLError("too large", extensions={"code": "LARGE"})
        return f"odd {value}" if value % 2 else None

    odd.coerce_output_value = coerce
    result = await answer(executor, schema, "{ a b c d }", {"a": 1, "b": 2, "c": 11, "d": [3, 4]})
    data, errors = formatted(result)
    assert data == {"a": "odd 1", "b": None, "c": None, "d": ["odd 3", None]}
    assert [path for _, path in errors] == [["b"], ["c"], ["d", 1]]
    assert [error.extensions for error in result.errors or ()] == [{}, {"code": "LARGE"}, {}]


class LenientEnum(GraphQLEnumType):
    """An enum that has a name for every value and distinguishes True from 1."""

    def coerce_output_value(self, output_value: Any) -> str:
        return "A" if output_value is True else "OTHER"


@both
async def test_an_enum_with_its_own_coercion_is_coerced_by_its_own_rules(executor: Any) -> None:
    enum = LenientEnum("Letter", {"A": 1, "OTHER": 2, "B": 3})
    schema = GraphQLSchema(GraphQLObjectType("Query", {name: GraphQLField(enum) for name in "ab"}))
    result = await answer(executor, schema, "{ a b }", {"a": True, "b": 1})
    assert (result.data, result.errors) == ({"a": "A", "b": "OTHER"}, None)


@both
async def test_fields_of_the_same_response_name_are_merged(executor: Any) -> None:
    schema = build_schema("type Query { q: Query a: Int b: Int c: Int }")
    root: dict[str, Any] = {"a": 1, "b": 2, "c": 3}
    root["q"] = root
    text = "{ q { a } x: q { c } ...F q { q { b } } } fragment F on Query { q { b a q { a } } }"
    result = await answer(executor, schema, text, root)
    assert repr(result.data) == "{'q': {'a': 1, 'b': 2, 'q': {'a': 1, 'b': 2}}, 'x': {'c': 3}}"


@both
@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("query A { x } query B { x }", None, "Must provide operation name if query contains multiple operations."),
        ("query A { x }", "B", "Unknown operation named 'B'."),
        ("fragment F on Query { x }", None, "Must provide an operation."),
        ("mutation { x }", None, "Schema is not configured to execute mutation operation."),
    ],
)
async def test_an_operation_that_cannot_be_found_is_an_error(
    executor: Any, text: str, name: str | None, message: str
) -> None:
    result = await answer(executor, build_schema("type Query { x: Int }"), text, operation_name=name)
    assert (result.data, [error.message for error in result.errors or ()]) == (None, [message])


@both
async def test_the_named_operation_is_the_one_that_runs(executor: Any) -> None:
    schema = build_schema("type Query { x: Int y: Int }")
    result = await answer(executor, schema, "query A { x } query B { y }", {"x": 1, "y": 2}, operation_name="B")
    assert result.data == {"y": 2}


@both
async def test_an_error_knows_where_it_comes_from(executor: Any) -> None:
    class BrokenError(ValueError):
        extensions = {"code": "BROKEN"}  # noqa: RUF012 - read as it stands

    def resolve(_root: Any, _info: Any) -> Any:
        raise BrokenError("broken")

    schema = GraphQLSchema(GraphQLObjectType("Query", {"x": GraphQLField(GraphQLString, resolve=resolve)}))
    errors = (await answer(executor, schema, "{\n  y: x\n}")).errors
    assert errors is not None
    (error,) = errors
    assert (error.message, error.path, error.extensions) == ("broken", ["y"], {"code": "BROKEN"})
    assert [tuple(location) for location in error.locations or ()] == [(2, 3)]
    assert type(error.original_error) is BrokenError
    assert error.original_error.__traceback__ is not None


def test_an_operation_that_waits_for_nothing_runs_without_a_loop() -> None:
    schema = build_schema("type Query { q: Query x: Int }")
    result = BreadthFirst().execute(schema, parse("{ q { x q { x } } }"), {"q": {"x": 1, "q": {"x": 2}}})
    assert result == ExecutionResult({"q": {"x": 1, "q": {"x": 2}}}, None)


@both
async def test_infos_are_those_of_graphql_core(executor: Any) -> None:
    infos: list[Any] = []
    schema = build_schema("type Query { many(n: Int): [Item!] } type Item { name(upper: Boolean): String }")
    item: Any = schema.type_map["Item"]

    def name(source: Any, info: Any, **_: Any) -> str:
        infos.append(info)
        return str(source)

    item.fields["name"].resolve = name
    document = "query Q($v: Int) { many(n: $v) { n: name(upper: true) ...F } } fragment F on Item { __typename }"
    await answer(executor, schema, document, {"many": ["a", "b"]}, "context", {"v": 3})
    first, second = infos
    assert second.path.as_list() == ["many", 1, "n"]
    assert [step.typename for step in (second.path, second.path.prev, second.path.prev.prev)] == ["Item", None, "Query"]
    assert (first.field_name, first.parent_type.name, str(first.return_type)) == ("name", "Item", "String")
    assert [node.alias.value for node in first.field_nodes] == ["n"]
    assert first.variable_values.coerced == {"v": 3}
    assert (first.context, first.root_value, list(first.fragments)) == ("context", {"many": ["a", "b"]}, ["F"])
    assert (first.schema, first.operation.name.value) == (schema, "Q")
    assert first.is_awaitable(later) is False
    assert await first.async_helpers.gather([asyncio.sleep(0, 1), asyncio.sleep(0, 2)]) == [1, 2]


@both
async def test_a_resolver_is_told_its_place_in_lists_within_lists(executor: Any) -> None:
    schema = build_schema("type Query { grid: [[Cell]] one: Cell } type Cell { place: String cells: [Cell] }")
    cell: Any = schema.type_map["Cell"]
    cell.fields["place"].resolve = lambda _source, info: ".".join(map(str, info.path.as_list()))
    grid: list[Any] = [[{"cells": [{}]}, None, {"cells": []}], None, [], [{"cells": [{}, ValueError("bad"), {}]}]]
    result = await answer(
        executor, schema, "{ grid { p: place cells { place } } one { place } }", {"grid": grid, "one": {}}
    )
    assert result.data == {
        "grid": [
            [
                {"p": "grid.0.0.p", "cells": [{"place": "grid.0.0.cells.0.place"}]},
                None,
                {"p": "grid.0.2.p", "cells": []},
            ],
            None,
            [],
            [
                {
                    "p": "grid.3.0.p",
                    "cells": [{"place": "grid.3.0.cells.0.place"}, None, {"place": "grid.3.0.cells.2.place"}],
                }
            ],
        ],
        "one": {"place": "one.place"},
    }
    assert [error.path for error in result.errors or ()] == [["grid", 3, 0, "cells", 1]]


@both
async def test_what_a_resolver_does_to_its_arguments_no_other_sees(executor: Any) -> None:
    schema = build_schema("""
        input In { tags: [String!]! = ["default"] }
        type Query { items: [Item!]! } type Item { use(in: In!, list: [Int!] = [1]): String }
    """)

    def use(_source: Any, _info: Any, **given: Any) -> str:
        given["list"].append(9)
        given["in"]["tags"].append("spoiled")
        return f"{len(given['in']['tags'])}"

    item: Any = schema.type_map["Item"]
    item.fields["use"].resolve = use
    text = '{ items { a: use(in: {tags: ["x"]}, list: [2]) } items { b: use(in: {tags: []}, list: []) } }'
    for _ in range(2):
        result = await answer(executor, schema, text, {"items": [{}, {}]})
        assert result.data == {"items": [{"a": "2", "b": "1"}] * 2}


@both
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
@pytest.mark.parametrize("type_", ["Float", "[Float]"])
async def test_a_number_that_json_cannot_write_is_an_error(executor: Any, value: float, type_: str) -> None:
    schema = build_schema(f"type Query {{ x: {type_} y: Float }}")
    many = type_ != "Float"
    result = await answer(executor, schema, "{ x y }", {"x": [value] if many else value, "y": 1e300})
    assert result.data == {"x": [None] if many else None, "y": 1e300}
    assert [error.path for error in result.errors or ()] == [["x", 0] if many else ["x"]]


@both
async def test_what_an_iterable_gave_before_it_failed_is_still_awaited(executor: Any) -> None:
    ended: list[int] = []

    async def item(number: int) -> int:
        ended.append(number)
        return number

    def failing() -> Any:
        yield item(1)
        yield item(2)
        raise ValueError("bad")

    schema = build_schema("type Query { list: [Int] other: Int }")
    result = await answer(executor, schema, "{ list other }", {"list": lambda _info: failing(), "other": later(3)})
    assert formatted(result) == ({"list": None, "other": 3}, [("bad", ["list"])])
    for _ in range(3):
        await asyncio.sleep(0)
    assert sorted(ended) == [1, 2]
