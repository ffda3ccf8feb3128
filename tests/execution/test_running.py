"""While it runs: being cancelled, being watched, mishaps among many, and values left for the encoder."""

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
import strawberry
from graphql import ExecutionResult, GraphQLSchema, build_schema, execute, parse
from strawberry.permission import BasePermission

from app.execution import BATCH_RESOLVER, BreadthFirst, BreadthFirstSchema, Native, by_class

MANY = 1000
E = StrEnum("E", "A")


async def answer(engine: BreadthFirst, schema: GraphQLSchema, text: str, *args: Any) -> ExecutionResult:
    result = engine.execute(schema, parse(text), *args)
    answered: ExecutionResult = await result if asyncio.iscoroutine(result) else result
    return answered


class Waiting:
    """A schema whose resolvers wait until they are cancelled, counting those that began and those that ended."""

    def __init__(self, **batches: bool) -> None:
        self.begun = self.ended = 0
        self.schema = build_schema(
            "type Query { items: [Item!] a: Int b: Int } type Item { one: Int two: Int many: [Int] }"
        )
        for type_, fields in (("Query", ("a", "b")), ("Item", ("one", "two"))):
            for name in fields:
                field: Any = self.schema.type_map[type_].fields[name]  # type: ignore[attr-defined]
                field.resolve = self.wait
                if batches.get(name):
                    field.extensions = {BATCH_RESOLVER: self.wait}
        items: Any = self.schema.query_type.fields["items"]  # type: ignore[union-attr]
        items.resolve = lambda *_: [{"many": lambda _info: [self.wait()]} for _ in range(3)]

    async def wait(self, *_: Any) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.ended += 1


@pytest.mark.parametrize(
    ("text", "batches", "begun"),
    [
        ("{ a }", {}, 1),
        ("{ a b }", {}, 2),
        ("{ items { one } }", {}, 3),
        ("{ items { one two } a }", {}, 1),
        ("{ items { one two } }", {"one": True}, 4),
        ("{ items { one two } }", {"one": True, "two": True}, 2),
        ("{ items { many } }", {}, 3),
    ],
)
@pytest.mark.parametrize("in_turn", [False, True])
@pytest.mark.asyncio(loop_scope="function")  # in a loop of its own, where no server's housekeeping comes and goes
async def test_cancelling_a_request_ends_all_that_was_begun(
    text: str, batches: dict[str, bool], begun: int, in_turn: bool
) -> None:
    waiting = Waiting(**batches)
    task = asyncio.create_task(answer(BreadthFirst(sequential_batches=in_turn), waiting.schema, text))
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waiting.begun == waiting.ended == (1 if in_turn and len(batches) == 2 else begun)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    gc.collect()  # a coroutine never awaited would fail the test here


@pytest.mark.parametrize("batches", [{}, {"one": True, "two": True}])
async def test_a_request_cancelled_before_it_waits_leaves_nothing_unawaited(batches: dict[str, bool]) -> None:
    waiting = Waiting(**batches)
    task = asyncio.ensure_future(BreadthFirst().execute(waiting.schema, parse("{ a b }")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert waiting.begun == 0
    del task
    gc.collect()


async def test_a_resolver_that_cancels_itself_cancels_the_request() -> None:
    async def cancelled(*_: Any) -> None:
        raise asyncio.CancelledError

    waiting = Waiting()
    field: Any = waiting.schema.query_type.fields["b"]  # type: ignore[union-attr]
    field.resolve = cancelled
    with pytest.raises(asyncio.CancelledError):
        await answer(BreadthFirst(), waiting.schema, "{ b }")


def crowd(**resolvers: Any) -> GraphQLSchema:
    """A thousand items, with these resolvers."""
    schema = build_schema(
        "type Query { items: [Item] } type Item { n: Int! name: String! friend: Item friends: [Item!]! }"
    )
    item: Any = schema.type_map["Item"]
    for name, resolver in resolvers.items():
        item.fields[name].resolve = resolver
    return schema


CROWD = {"items": [{"n": number, "name": f"name {number}"} for number in range(MANY)]}


@pytest.mark.parametrize("later", [False, True])
async def test_one_that_fails_among_many_spoils_itself_only(later: bool) -> None:
    def resolve(item: Any, _info: Any) -> str:
        if item["n"] == 500:
            raise ValueError("five hundred")
        return str(item["name"])

    async def resolve_later(item: Any, info: Any) -> str:
        await asyncio.sleep(0)
        return resolve(item, info)

    result = await answer(
        BreadthFirst(), crowd(name=resolve_later if later else resolve), "{ items { n name } }", CROWD
    )
    items: Any = result.data["items"]  # type: ignore[index]
    assert [number for number, item in enumerate(items) if item is None] == [500]
    assert items[499] == {"n": 499, "name": "name 499"}
    assert [(error.message, error.path) for error in result.errors or ()] == [("five hundred", ["items", 500, "name"])]


@pytest.mark.parametrize(
    "bad", [None, ValueError("bad"), 2**31, "x", object(), [1], float("nan"), lambda _info: 1 / 0, E.A]
)
async def test_a_bad_value_among_many_gives_what_graphql_core_gives(bad: Any) -> None:
    root = {"items": [*CROWD["items"][:20], {"n": bad, "name": "odd"}, *CROWD["items"][:3]]}
    schema = crowd()
    result = await answer(BreadthFirst(), schema, "{ items { n name } }", root)
    reference: Any = execute(schema, parse("{ items { n name } }"), root)
    assert result == reference
    assert len(result.data["items"]) == 24  # type: ignore[index]


async def test_an_item_that_is_an_exception_fails_alone_wherever_it_stands() -> None:
    error = KeyError("bad")
    error.n, error.name = 1, "looks like an item"  # type: ignore[attr-defined]
    result = await answer(BreadthFirst(), crowd(), "{ items { n name } }", {"items": [CROWD["items"][0], error]})
    assert result.data == {"items": [{"n": 0, "name": "name 0"}, None]}
    assert [failure.path for failure in result.errors or ()] == [["items", 1]]


async def test_two_levels_of_failures_are_placed_apart() -> None:
    def friends(item: Any, _info: Any) -> list[Any]:
        return [{"n": item["n"] * 10}, {"n": None if item["n"] == 1 else 5}]

    result = await answer(
        BreadthFirst(), crowd(friends=friends), "{ items { n friends { n } } }", {"items": CROWD["items"][:3]}
    )
    fine = [{"n": number, "friends": [{"n": number * 10}, {"n": 5}]} for number in (0, 2)]
    assert result.data == {"items": [fine[0], None, fine[1]]}
    assert [error.path for error in result.errors or ()] == [["items", 1, "friends", 1, "n"]]


async def test_a_result_is_let_go_with_its_rows() -> None:
    class Item:
        n = 1
        name = "x"

    items = [Item() for _ in range(3)]
    alive = [weakref.ref(item) for item in items]
    gc.collect()
    gc.disable()
    try:
        result = await answer(BreadthFirst(), crowd(), "{ items { n friend { n } } }", {"items": items})
        del items, result
        assert [reference() for reference in alive] == [None] * 3
    finally:
        gc.enable()


current: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("current", default=())


class Spans:
    """An observer as a tracer would be: what is opened inside is a child of what is open."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        token = current.set((*current.get(), name))
        self.seen.append(("open", current.get()))
        try:
            yield
        except Exception as error:
            self.seen.append(("failed", name, str(error)))
            raise
        finally:
            self.seen.append(("close", current.get()))
            current.reset(token)

    def __call__(self, path: tuple[str, ...], parent_type: str, field_name: str, count: int) -> Any:
        return self.span(f"{'.'.join(path)} {parent_type}.{field_name} x{count}")


async def test_an_observer_sees_each_resolved_field_and_level_once() -> None:
    spans = Spans()
    seen: list[Any] = []

    async def friends(parents: list[Any], info: Any) -> list[Any]:
        seen.append(current.get())
        await asyncio.sleep(0)
        seen.append(current.get())
        return [[{"n": 1}, {"n": 2}] for _ in parents]

    async def name(item: Any, _info: Any) -> str:
        await asyncio.sleep(0)
        return f"{item['n']} {current.get()}"

    schema = crowd(name=name)
    item: Any = schema.type_map["Item"]
    item.fields["friends"].extensions = {BATCH_RESOLVER: friends}
    with spans.span("request"):
        text = "{ items { n f: friends { n } name } }"
        result = await answer(BreadthFirst(observer=spans), schema, text, {"items": CROWD["items"][:3]})
        assert current.get() == ("request",)
    batch, each = "items.f Item.friends x3", "items.name Item.name x3"
    assert seen == [("request", batch)] * 2
    assert [entry for entry in spans.seen if entry[0] == "open"][1:] == [
        ("open", ("request", batch)),
        ("open", ("request", each)),
    ]
    assert len([entry for entry in spans.seen if entry[0] == "close"]) == 3
    assert result.data["items"][1]["n"] == 1  # type: ignore[index]


async def test_an_observer_that_returns_nothing_changes_nothing() -> None:
    calls: list[Any] = []
    schema = crowd(name=lambda item, _info: item["name"])
    engine = BreadthFirst(observer=lambda *args: calls.append(args))
    result = await answer(engine, schema, "{ items { name } }", {"items": CROWD["items"][:2]})
    assert result.errors is None
    assert calls == [(("items", "name"), "Item", "name", 2)]


async def test_an_observer_sees_a_batch_fail() -> None:
    spans = Spans()
    schema = crowd()
    item: Any = schema.type_map["Item"]
    item.fields["friend"].extensions = {BATCH_RESOLVER: lambda *_: 1 / 0}
    result = await answer(
        BreadthFirst(observer=spans), schema, "{ items { friend { n } } }", {"items": CROWD["items"][:2]}
    )
    assert ("failed", "items.friend Item.friend x2", "division by zero") in spans.seen
    assert len(result.errors or ()) == 2


@strawberry.enum
class Status(StrEnum):
    NEW = "N"
    OLD = "O"


@strawberry.type
class Row:
    id: strawberry.ID
    key: UUID
    at: datetime | None
    day: date
    status: Status
    days: list[date]


class Values:
    id = UUID(int=7)
    key = UUID(int=8)
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    day = date(2026, 1, 2)
    status = "N"
    days = (date(2026, 1, 3),)


@strawberry.type
class Query:
    @strawberry.field
    def row(self) -> Row:
        return Values()  # type: ignore[return-value]


ROW = "{ row { id key at day status days } }"


def test_dates_and_identifiers_become_text() -> None:
    result = BreadthFirstSchema(Query, breadth_first=BreadthFirst()).execute_sync(ROW)
    assert result.data == {
        "row": {
            "id": str(UUID(int=7)),
            "key": str(UUID(int=8)),
            "at": "2026-01-02T03:04:05+00:00",
            "day": "2026-01-02",
            "status": "NEW",
            "days": ["2026-01-03"],
        }
    }


def test_native_classes_are_left_for_the_encoder() -> None:
    native = {"DateTime": Native([datetime]), "Date": Native([date]), "ID": Native([UUID])}
    result = BreadthFirstSchema(Query, breadth_first=BreadthFirst(native=native)).execute_sync(ROW)
    row: Any = result.data["row"]  # type: ignore[index]
    assert (row["id"], row["at"], row["day"], row["days"]) == (Values.id, Values.at, Values.day, list(Values.days))
    assert (row["key"], row["status"]) == (str(UUID(int=8)), "NEW")


class Counted(BasePermission):
    """A permission that counts how often it is asked."""

    viewer_only = True
    message = "no"

    def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> bool:
        info.context.append(source)
        return info.root_value is True


class CountedEach(Counted):
    viewer_only = False


@pytest.mark.parametrize(("permission", "asked"), [(Counted, [None]), (CountedEach, [0, 1, 2, 3, 4])])
@pytest.mark.parametrize("kind", ["attribute", "method", "coroutine"])
@pytest.mark.parametrize("allowed", [True, False])
async def test_a_permission_of_the_viewer_is_asked_once_and_others_for_each_parent(
    permission: Any, asked: list[Any], kind: str, allowed: bool
) -> None:
    def method(root: strawberry.Parent[Any], suffix: str = "") -> str | None:
        return f"{root.value}{suffix}"

    async def coroutine(root: strawberry.Parent[Any], suffix: str = "") -> str | None:
        return f"{root.value}{suffix}"

    resolvers: dict[str, Any] = {"attribute": None, "method": method, "coroutine": coroutine}
    resolver = resolvers[kind]

    @strawberry.type
    class Item:
        value: str | None = strawberry.field(resolver=resolver, permission_classes=[permission])

    class Source(int):
        value = "v"

    @strawberry.type
    class Root:
        @strawberry.field
        def items(self) -> list[Item]:
            return [Source(number) for number in range(5)]  # type: ignore[misc]

    schema = BreadthFirstSchema(Root, breadth_first=BreadthFirst())
    text = "{ items { value } }" if kind == "attribute" else '{ items { value(suffix: "!") } }'
    log: list[Any] = []
    result = await schema.execute(text, context_value=log, root_value=allowed)
    assert log == asked
    expected = ("v" if kind == "attribute" else "v!") if allowed else None
    assert result.data == {"items": [{"value": expected}] * 5}
    assert [(error.message, error.path) for error in result.errors or ()] == (
        [] if allowed else [("no", ["items", number, "value"]) for number in range(5)]
    )


async def test_a_type_that_depends_on_the_class_is_asked_for_once_a_class() -> None:
    asked: list[Any] = []

    class Cat:
        name = "cat"

    class Dog:
        name = "dog"

    @by_class
    def resolve_type(value: Any, _info: Any, _type: Any) -> str:
        asked.append(type(value))
        return type(value).__name__

    schema = build_schema("""
        interface Pet { name: String } type Cat implements Pet { name: String } type Dog implements Pet { name: String }
        type Query { pets: [Pet] }
    """)
    pet: Any = schema.type_map["Pet"]
    pet.resolve_type = resolve_type
    result = await answer(
        BreadthFirst(), schema, "{ pets { name __typename } }", {"pets": [Cat(), Dog(), Cat(), Dog(), Dog()]}
    )
    assert sorted(map(repr, asked)) == [repr(Cat), repr(Dog)]
    assert [found["__typename"] for found in result.data["pets"]] == ["Cat", "Dog", "Cat", "Dog", "Dog"]  # type: ignore[index]


@pytest.mark.parametrize("in_turn", [False, True])
async def test_attributes_to_be_awaited_are_not_read_before_the_slow_fields_beside_them_are_done(in_turn: bool) -> None:
    read: list[str] = []

    class Named:
        @property
        def name(self) -> Any:
            read.append("name")
            return asyncio.sleep(0, "n")

    schema = build_schema("type Query { a: A slow: Int } type A { name: String }")
    fields: Any = schema.query_type.fields  # type: ignore[union-attr]
    fields["a"].resolve = lambda *_: Named()

    async def slow(*_: Any) -> None:
        await asyncio.Event().wait()

    fields["slow"].resolve = slow
    running = asyncio.ensure_future(answer(BreadthFirst(sequential_batches=in_turn), schema, "{ a { name } slow }"))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert read == []


@pytest.mark.parametrize("says", [True, False, 1])
async def test_a_type_that_judges_by_class_is_asked_once_for_a_class_whatever_it_says(says: Any) -> None:
    asked: list[Any] = []

    @by_class
    def is_type_of(value: Any, _info: Any) -> Any:
        asked.append(value)
        return says

    schema = build_schema("type Query { rows: [[A]] } type A { name: String }")
    schema.type_map["A"].is_type_of = is_type_of  # type: ignore[attr-defined]
    fields: Any = schema.query_type.fields  # type: ignore[union-attr]
    fields["rows"].resolve = lambda *_: [[{"name": "a"}, {"name": "b"}], [{"name": "c"}]]
    result = await answer(BreadthFirst(), schema, "{ rows { name } }")
    assert (len(asked), bool(result.errors)) == (1, not says)
