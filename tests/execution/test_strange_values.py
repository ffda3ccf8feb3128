"""Values that are not what they seem: lists of classes of their own, mappings with attributes, objects that raise."""

import asyncio
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from graphql import ExecutionResult, build_schema, execute, parse

from app.execution import BATCH_RESOLVER, BreadthFirst

SDL = """
    scalar JSON
    enum Mood { GOOD BAD }
    type Query {
      people: [Person] person: Person x: Int data: JSON items: [Int] keys: String get: String values: [[Int]]
      mood: Mood
    }
    type Person { name: String tags: [String] friends: [Person!] friend: Person mood: Mood x: Int }
"""
SCHEMA = build_schema(SDL)


def both(text: str, root: Any, schema: Any = SCHEMA) -> tuple[ExecutionResult, ExecutionResult]:
    """What the breadth-first executor and graphql-core answer."""

    async def answer(executor: Callable[..., Any]) -> ExecutionResult:
        result = executor(schema, parse(text), root)
        return await result if asyncio.iscoroutine(result) else result  # type: ignore[no-any-return]

    async def answers() -> tuple[ExecutionResult, ExecutionResult]:
        return await answer(BreadthFirst().execute), await answer(execute)

    return asyncio.run(answers())


class Lazy(list[Any]):
    """Has its items when it is iterated, as collections of an ORM do."""

    def __init__(self, *items: Any) -> None:
        super().__init__()
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


class Visible(list[str]):
    """Shows what may be seen."""

    def __iter__(self) -> Iterator[str]:
        return (item for item in super().__iter__() if not item.startswith("secret"))


class Uncounted(list[Any]):
    def __len__(self) -> int:
        raise ValueError("not counted")


class Sealed(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        raise ValueError("sealed")


class Pair(tuple[Any, ...]):
    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(("only",))


@pytest.mark.parametrize("tags", [Lazy("a1", "a2"), Visible(["secret", "a1"]), Uncounted(["a1"]), Pair(["a", "b"])])
def test_the_items_of_a_list_are_those_it_gives_and_nobody_elses(tags: Any) -> None:
    people = [{"name": "a", "tags": tags}, {"name": "b", "tags": ["b1", "b2", "b3"]}]
    ours, reference = both("{ people { name tags } }", {"people": people})
    assert ours == reference
    assert ours.data["people"][1]["tags"] == ["b1", "b2", "b3"]  # type: ignore[index]


def test_the_objects_of_a_lazy_list_stay_with_their_owner() -> None:
    people = [{"name": name, "friends": Lazy({"name": name.upper()})} for name in "ab"]
    ours, reference = both("{ people { name friends { name } } }", {"people": Lazy(*people)})
    assert ours == reference


def test_a_batch_may_answer_with_a_lazy_list() -> None:
    schema = build_schema("type Query { people: [Person] } type Person { name: String }")
    schema.type_map["Person"].fields["name"].extensions = {  # type: ignore[attr-defined]
        BATCH_RESOLVER: lambda parents, _info: Lazy(*[parent["n"] for parent in parents])
    }
    result = BreadthFirst().execute(schema, parse("{ people { name } }"), {"people": [{"n": "a"}, {"n": "b"}]})
    assert result.data == {"people": [{"name": "a"}, {"name": "b"}]}


class Row(Mapping[str, Any]):
    """A mapping whose attributes say something else."""

    name = "attribute"
    mood = "BAD"
    x = 1

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Named(dict[str, Any]):
    name = "attribute"
    mood = "BAD"
    x = 1


class Promising(Row):
    typed_attributes = {"name": {str}, "mood": {str}, "x": {int}}  # noqa: RUF012 - as a marker it is


class Plain:
    name = "attribute"
    mood = "BAD"
    x = 1


class Proxy:
    """Passes for what stands behind it."""

    name = "of the proxy"
    mood = "BAD"
    x = 1

    def __init__(self, behind: Any) -> None:
        self._behind = behind

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._behind)

    def get(self, key: str) -> Any:
        return self._behind.get(key)


KEYS: dict[str, Any] = {"name": "key", "mood": "GOOD", "x": 2}


@pytest.mark.parametrize(
    "people",
    [
        [Row(**KEYS), Row(x=3)],
        [Named(KEYS), Named()],
        [Promising(**KEYS)],
        [MappingProxyType(KEYS), UserDict(KEYS)],
        [KEYS, Named(KEYS), Plain(), Row(**KEYS), SimpleNamespace(**KEYS)],
        [Plain(), Plain()],
        [Proxy(KEYS), Proxy(Plain())],
        [Row(name=lambda _info: "called", x=1)],
    ],
)
def test_the_keys_of_a_mapping_are_read_and_the_attributes_of_other_objects(people: list[Any]) -> None:
    ours, reference = both("{ people { name mood x __typename } }", {"people": people})
    assert ours == reference


@pytest.mark.parametrize("root", [UserDict(data={"a": 1}, x=5), MappingProxyType({"keys": "k", "get": "g", "x": 5})])
def test_a_key_may_have_the_name_of_a_mapping_s_attribute(root: Any) -> None:
    ours, reference = both("{ data keys get x }", root)
    assert ours == reference


class RaisesWhenAskedForAStream:
    @property
    def __aiter__(self) -> Any:
        raise ValueError("no stream")


class RaisesWhenAwaited:
    @property
    def __await__(self) -> Any:
        raise ValueError("not awaited")


class RaisesWhenAskedWhatItIs:
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise ValueError("nothing")


class RaisesWhatever:
    def __getattribute__(self, name: str) -> Any:
        raise ValueError("whatever")

    def __call__(self) -> None: ...


class Half:
    """Says that it can be awaited, and cannot."""

    __await__ = None


class CannotTell(Exception):  # noqa: N818 - an exception without a message, not an error
    def __str__(self) -> str:
        raise ValueError("no message")


HOSTILE = [
    RaisesWhenAskedForAStream,
    RaisesWhenAwaited,
    RaisesWhenAskedWhatItIs,
    RaisesWhatever,
    Sealed,
    Uncounted,
]


@pytest.mark.parametrize("class_", HOSTILE)
@pytest.mark.parametrize("text", ["{ x items }", "{ x person { tags x } }", "{ x mood }", "{ x person { name x } }"])
@pytest.mark.parametrize("resolved", [False, True])
def test_a_value_that_raises_is_the_error_of_its_field_alone(class_: type, text: str, resolved: bool) -> None:
    schema = build_schema(SDL)
    root = {"x": 1, "items": class_(), "mood": class_(), "person": {"name": class_(), "tags": class_(), "x": 1}}
    if resolved:
        for type_, names in (("Query", ["items", "mood"]), ("Person", ["tags", "name"])):
            for name in names:
                field: Any = schema.type_map[type_].fields[name]  # type: ignore[attr-defined]
                field.resolve = lambda parent, info: parent[info.field_name]
    ours, reference = both(text, root, schema)
    assert ours == reference


@pytest.mark.parametrize("class_", [*HOSTILE, Half, CannotTell])
@pytest.mark.parametrize("text", ["{ x person { x } }", "{ x people { x } }", "{ x values }"])
async def test_whatever_the_value_the_answer_is_a_result(class_: type, text: str) -> None:
    value = class_()
    root = {"x": 1, "person": value, "people": [value, {"x": 1}, value], "values": [[value], [1]]}
    result: Any = BreadthFirst().execute(SCHEMA, parse(text), root)
    result = await result if asyncio.iscoroutine(result) else result
    assert result.data["x"] == 1
    assert all(error.path and error.locations for error in result.errors or ())


async def test_awaitables_of_classes_of_their_own_are_awaited_together() -> None:
    class Awaitable:
        __hash__ = None  # type: ignore[assignment]

        def __await__(self) -> Any:
            return asyncio.sleep(0, 1).__await__()

    root = {"items": [Awaitable(), Half(), Awaitable()], "x": 1}
    result = await BreadthFirst().execute(SCHEMA, parse("{ items x }"), root)
    assert result.data == {"items": [1, None, 1], "x": 1}
    assert [error.path for error in result.errors] == [["items", 1]]


@pytest.mark.parametrize("later", [False, True])
def test_an_error_far_down_is_an_error_of_the_answer(later: bool) -> None:
    schema = build_schema("type Query { q: Query x: Int }")
    fields: Any = schema.query_type.fields  # type: ignore[union-attr]
    fields["q"].resolve = (lambda *_: asyncio.sleep(0, {})) if later else (lambda *_: {})
    fields["x"].resolve = lambda *_: 1 / 0
    depth = 40
    pieces = [f"fragment F{n} on Query {{ {'q { ' * depth} ...F{n + 1} {'} ' * depth} }}" for n in range(20)]
    ours, _ = both("{ ...F0 } " + " ".join(pieces) + " fragment F20 on Query { x }", {}, schema)
    [error] = ours.errors or []
    assert error.path
    assert error.locations


@pytest.mark.parametrize("later", [False, True])
def test_a_mutation_tells_what_failed_before_a_field_took_the_data_away(later: bool) -> None:
    schema = build_schema("type Query { x: Int } type Mutation { a: Int b: Int! c: Int }")
    fields: Any = schema.mutation_type.fields  # type: ignore[union-attr]
    done: list[str] = []

    def fail(_root: Any, info: Any) -> Any:
        done.append(info.field_name)
        raise ValueError(info.field_name)

    async def fail_later(root: Any, info: Any) -> Any:
        fail(root, info)

    for field in fields.values():
        field.resolve = fail_later if later else fail
    ours, reference = both("mutation { a x: a b c }", {}, schema)
    assert ours == reference
    assert [error.path for error in ours.errors or ()] == [["a"], ["x"], ["b"]]
    assert done == ["a", "a", "b"] * 2


async def test_an_observer_that_fails_is_an_error_and_no_exception() -> None:
    def observer(*_: Any) -> Any:
        raise RuntimeError("not traced")

    schema = build_schema("type Query { a: Int b: Int }")
    fields: Any = schema.query_type.fields  # type: ignore[union-attr]
    fields["a"].resolve = lambda *_: 1
    result = BreadthFirst(observer=observer).execute(schema, parse("{ a b }"), {"b": 2})
    assert result.data == {"a": None, "b": 2}
    assert [error.message for error in result.errors] == ["not traced"]
