"""Batch resolvers: one call for all parents of a level, whatever becomes of each of them."""

# ruff: noqa: ARG002 - permissions and extensions have the signatures Strawberry gives them

import asyncio
from typing import Any

import pytest
import strawberry
from graphql import GraphQLField, GraphQLSchema, build_schema, execute, parse
from graphql.pyutils import Path
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

from app.execution import BATCH_RESOLVER, BreadthFirst, BreadthFirstSchema

SDL = """
type Query { shops: [Shop!]! }
type Shop { id: ID! items(first: Int = 2): [Item!]! owner: Owner best: Item! }
type Item { id: ID! shop: Shop owner: Owner }
type Owner { id: ID! }
"""
SHOPS = [{"id": str(number)} for number in range(5)]


def shops_with(**batches: Any) -> GraphQLSchema:
    """The schema with batch resolvers by `Type_field`; the ordinary resolvers must not be called."""
    schema = build_schema(SDL)
    for name, batch in batches.items():
        type_, field = name.split("_")
        definition: GraphQLField = schema.type_map[type_].fields[field]  # type: ignore[attr-defined]
        definition.extensions = {BATCH_RESOLVER: batch}
        definition.resolve = lambda *_: pytest.fail("called for one object")
    return schema


async def answer(schema: GraphQLSchema, text: str, **options: Any) -> Any:
    result = BreadthFirst(**options).execute(schema, parse(text), {"shops": SHOPS})
    return await result if asyncio.iscoroutine(result) else result


async def test_a_batch_resolver_is_called_once_for_a_level() -> None:
    calls: list[Any] = []

    async def items(parents: list[Any], info: Any, first: int) -> list[Any]:
        calls.append((len(parents), info.path.as_list(), info.field_name, first))
        return [[{"id": f"{parent['id']}-{number}"} for number in range(first)] for parent in parents]

    def owners(parents: list[Any], info: Any) -> list[Any]:
        calls.append((len(parents), info.path.as_list()))
        return [{"id": f"o{parent['id']}"} for parent in parents]

    result = await answer(
        shops_with(Shop_items=items, Item_owner=owners), "{ shops { id all: items(first: 3) { owner { id } id } } }"
    )
    assert calls == [(5, ["shops", "all"], "items", 3), (15, ["shops", "all", "owner"])]
    assert result.data["shops"][4]["all"][2] == {"owner": {"id": "o4-2"}, "id": "4-2"}


async def test_parents_and_answers_stay_in_order() -> None:
    async def owners(parents: list[Any], info: Any) -> Any:
        return tuple({"id": parent["id"] * 2} for parent in parents)

    result = await answer(shops_with(Shop_owner=owners), "{ shops { owner { id } } }")
    assert [shop["owner"]["id"] for shop in result.data["shops"]] == ["00", "11", "22", "33", "44"]


async def test_an_exception_among_the_answers_is_the_error_of_its_parent_alone() -> None:
    def owners(parents: list[Any], info: Any) -> list[Any]:
        return [LookupError("gone") if parent["id"] == "3" else {"id": parent["id"]} for parent in parents]

    result = await answer(shops_with(Shop_owner=owners), "{ shops { owner { id } } }")
    assert [shop["owner"] and shop["owner"]["id"] for shop in result.data["shops"]] == ["0", "1", "2", None, "4"]
    assert [(error.message, error.path) for error in result.errors] == [("gone", ["shops", 3, "owner"])]


@pytest.mark.parametrize("fails_later", [False, True])
async def test_a_batch_that_raises_is_the_error_of_every_parent(fails_later: bool) -> None:
    async def best_later(parents: list[Any], info: Any) -> list[Any]:
        raise LookupError("gone")

    def best(parents: list[Any], info: Any) -> list[Any]:
        raise LookupError("gone")

    schema = shops_with(Shop_owner=best_later if fails_later else best)
    result = await answer(schema, "{ shops { id owner { id } } }")
    assert [shop["owner"] for shop in result.data["shops"]] == [None] * 5
    assert [error.path for error in result.errors] == [["shops", number, "owner"] for number in range(5)]


@pytest.mark.parametrize("wrong", [[], [1] * 6, None, {"id": 1}, "abcde"])
async def test_a_batch_that_does_not_answer_each_parent_fails_them_all(wrong: Any) -> None:
    result = await answer(shops_with(Shop_owner=lambda *_: wrong), "{ shops { owner { id } } }")
    assert len(result.errors) == 5
    assert "must return a list with one result per parent (5)" in result.errors[0].message


async def test_a_null_where_none_may_be_takes_only_its_parents_away() -> None:
    schema = build_schema(SDL.replace("[Shop!]!", "[Shop]!"))
    shop: Any = schema.type_map["Shop"]
    shop.fields["best"].extensions = {
        BATCH_RESOLVER: lambda parents, _info: [None if p["id"] == "1" else {"id": "i"} for p in parents]
    }
    result = await answer(schema, "{ shops { id best { id } } }")
    assert [shop and shop["id"] for shop in result.data["shops"]] == ["0", None, "2", "3", "4"]
    assert [(error.message, error.path) for error in result.errors] == [
        ("Cannot return null for non-nullable field Shop.best.", ["shops", 1, "best"])
    ]


async def test_a_batch_of_scalars_is_coerced() -> None:
    schema = shops_with(Shop_id=lambda parents, _info: [int(parent["id"]) for parent in parents])
    result = await answer(schema, "{ shops { id } }")
    assert result.data == {"shops": [{"id": str(number)} for number in range(5)]}


async def test_batches_of_a_level_overlap_unless_they_are_to_take_turns() -> None:
    def watched(name: str, log: list[str]) -> Any:
        async def batch(parents: list[Any], info: Any, **_: Any) -> list[Any]:
            log.append(f"+{name}")
            await asyncio.sleep(0)
            log.append(f"-{name}")
            return [None if name == "owner" else [] for _ in parents]

        return batch

    for in_turn, expected in (
        (False, ["+items", "+owner", "-items", "-owner"]),
        (True, ["+items", "-items", "+owner", "-owner"]),
    ):
        log: list[str] = []
        schema = shops_with(Shop_items=watched("items", log), Shop_owner=watched("owner", log))
        await answer(schema, "{ shops { items { id } owner { id } } }", sequential_batches=in_turn)
        assert log == expected


async def test_other_executors_use_the_ordinary_resolver() -> None:
    schema = build_schema(SDL)
    shop: Any = schema.type_map["Shop"]
    shop.fields["owner"].extensions = {BATCH_RESOLVER: lambda *_: pytest.fail("called as a batch")}
    shop.fields["owner"].resolve = lambda parent, _info: {"id": parent["id"]}
    result = execute(schema, parse("{ shops { owner { id } } }"), {"shops": SHOPS[:1]})
    assert result.data == {"shops": [{"owner": {"id": "0"}}]}  # type: ignore[union-attr]


class Row:
    """A parent of a Strawberry type."""

    def __init__(self, number: int) -> None:
        self.number = number


class Small(BasePermission):
    message = "too large"

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        info.context.append(("asked", source.number, kwargs))
        return bool(source.number < 2)


class Everyone(BasePermission):
    viewer_only = True
    verdict: Any = True
    message = "nobody"

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        info.context.append(("asked once", source, kwargs, info.path.as_list()))
        return self.verdict


class Nobody(Everyone):
    verdict = False


@strawberry.input
class Wish:
    color: str
    size: strawberry.Maybe[int]


def field(batch: Any, **options: Any) -> Any:
    """A field `value(wish)` with a batch resolver beside one that must not be called."""

    async def one(root: strawberry.Parent[Any], wish: Wish | None = None) -> str | None:
        return pytest.fail(f"called for {root} and {wish}")

    return strawberry.field(resolver=one, metadata={BATCH_RESOLVER: batch}, **options)


def schema_of(definition: Any, **options: Any) -> BreadthFirstSchema:
    """Three rows with this field."""

    @strawberry.type
    class Item:
        number: int
        value: str | None = definition

    @strawberry.type
    class Query:
        @strawberry.field
        def items(self) -> list[Item]:
            return [Row(number) for number in range(4)]  # type: ignore[misc]

    return BreadthFirstSchema(Query, breadth_first=BreadthFirst(), **options)


async def colors(parents: list[Row], info: strawberry.Info, wish: Wish | None = None) -> list[str]:
    info.context.append(("batch", [parent.number for parent in parents], wish, info.python_name))
    return [f"{parent.number} {wish.color if wish else '-'}" for parent in parents]


async def test_a_batch_resolver_of_strawberry_gets_its_info_and_converted_arguments() -> None:
    log: list[Any] = []
    result = await schema_of(field(colors)).execute('{ items { value(wish: {color: "red"}) } }', context_value=log)
    assert result.errors is None
    assert log == [("batch", [0, 1, 2, 3], Wish(color="red", size=None), "value")]
    assert result.data == {"items": [{"value": f"{number} red"} for number in range(4)]}


async def test_a_batch_is_called_with_the_parents_the_permissions_let_through() -> None:
    log: list[Any] = []
    value = field(colors, permission_classes=[Everyone, Small])
    result = await schema_of(value).execute("{ items { value } }", context_value=log)
    assert log == [
        ("asked once", None, {"wish": None}, ["items", "value"]),
        *(("asked", number, {"wish": None, "root": parent}) for number, parent in enumerate(_sources(log))),
        ("batch", [0, 1], None, "value"),
    ]
    assert result.data == {"items": [{"value": "0 -"}, {"value": "1 -"}, {"value": None}, {"value": None}]}
    assert [(error.message, error.path) for error in result.errors or ()] == [
        ("too large", ["items", 2, "value"]),
        ("too large", ["items", 3, "value"]),
    ]


def _sources(log: list[Any]) -> list[Any]:
    return [entry[2]["root"] for entry in log if entry[0] == "asked"]


class Answering(BasePermission):
    """Answers for each parent with what the context holds under its number."""

    message = "refused"

    def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> Any:
        answer = info.context[source.number]
        if isinstance(answer, Exception):
            raise answer
        return answer


class AnsweringLater(Answering):
    async def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> Any:
        await asyncio.sleep(0)
        return Answering.has_permission(self, source, info)


class AnsweringForAll(Answering):
    viewer_only = True

    def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> Any:
        assert source is None
        return Answering.has_permission(self, Row(0), info)


async def plain(parents: list[Row], info: strawberry.Info, wish: Wish | None = None) -> list[str]:
    return [str(parent.number) for parent in parents]


@pytest.mark.parametrize("permission", [Answering, AnsweringLater])
async def test_only_a_true_answer_of_a_permission_lets_a_parent_through(permission: Any) -> None:
    schema = schema_of(field(plain, permission_classes=[permission]))
    result = await schema.execute("{ items { value } }", context_value=[ValueError("cannot tell"), "yes", True, False])
    assert result.data == {"items": [{"value": None}, {"value": None}, {"value": "2"}, {"value": None}]}
    messages = {tuple(error.path or ()): error.message for error in result.errors or ()}
    assert [path[1] for path in messages] == [0, 1, 3]
    assert messages["items", 0, "value"] == "cannot tell"
    assert "instead of a boolean" in messages["items", 1, "value"] or "bool" in messages["items", 1, "value"]
    assert messages["items", 3, "value"] == "refused"


@pytest.mark.parametrize("answer", [ValueError("cannot tell"), "yes", 1, None, False])
async def test_only_a_true_answer_for_the_viewer_lets_the_level_through(answer: Any) -> None:
    schema = schema_of(field(plain, permission_classes=[AnsweringForAll]))
    result = await schema.execute("{ items { value } }", context_value=[answer])
    assert result.data == {"items": [{"value": None}] * 4}
    assert len(result.errors or ()) == 4


@pytest.mark.parametrize("for_all", [False, True])
async def test_an_awaitable_where_a_permission_must_answer_at_once_lets_nobody_through(for_all: bool) -> None:
    async def yes() -> bool:
        return True

    class Promising(BasePermission):
        viewer_only = for_all

        def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> Any:
            return yes()

    def one(root: strawberry.Parent[Any]) -> str | None:
        return pytest.fail(f"called for {root}")

    value = strawberry.field(resolver=one, metadata={BATCH_RESOLVER: plain}, permission_classes=[Promising])
    result = await schema_of(value).execute("{ items { value } }")
    assert result.data == {"items": [{"value": None}] * 4}


async def test_a_batch_refused_to_the_viewer_is_never_called() -> None:
    log: list[Any] = []
    value = field(colors, permission_classes=[Nobody, Small])
    result = await schema_of(value).execute("{ items { number value } }", context_value=log)
    assert [entry[0] for entry in log] == ["asked once"]
    assert result.data == {"items": [{"number": number, "value": None} for number in range(4)]}
    assert [error.message for error in result.errors or ()] == ["nobody"] * 4


async def test_a_permission_that_fails_silently_leaves_null() -> None:
    value = field(colors, extensions=[PermissionExtension([Nobody()], fail_silently=True)])
    result = await schema_of(value).execute("{ items { value } }", context_value=[])
    assert (result.data, result.errors) == ({"items": [{"value": None}] * 4}, None)


async def test_a_field_with_an_extension_of_its_own_is_resolved_as_strawberry_does() -> None:
    class Loud(FieldExtension):
        async def resolve_async(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> str:
            return f"{await next_(source, info, **kwargs)}!"

    async def one(root: strawberry.Parent[Any]) -> str | None:
        return str(root.number)

    value = strawberry.field(
        resolver=one, metadata={BATCH_RESOLVER: lambda *_: pytest.fail("went round the extension")}, extensions=[Loud()]
    )
    result = await schema_of(value).execute("{ items { value } }", context_value=[])
    assert result.data == {"items": [{"value": f"{number}!"} for number in range(4)]}


async def test_arguments_that_cannot_be_converted_fail_each_parent_before_anyone_is_asked() -> None:
    log: list[Any] = []
    schema = schema_of(field(colors, permission_classes=[Everyone]))
    document = parse('{ items { value(wish: {color: "x", size: null}) } }')  # validation would refuse it
    result = schema._get_execute_function()(schema._schema, document, context_value=log)
    assert log == []
    assert result.data == {"items": [{"value": None}] * 4}
    assert {error.message[:30] for error in result.errors} == {"Expected value of type 'int', "}


async def test_the_path_of_a_batch_is_one_of_graphql_core() -> None:
    seen: list[Any] = []

    def no_owners(parents: list[Any], info: Any) -> list[None]:
        seen.append(info.path)
        return [None] * len(parents)

    schema = shops_with(Shop_owner=no_owners)
    await answer(schema, "{ shops { owner { id } } }")
    assert seen == [Path(Path(None, "shops", "Query"), "owner", "Shop")]
