"""What stands around a Strawberry resolver is never stepped over: wrappers put there later, exception handlers."""

# ruff: noqa: ARG002 - permissions, handlers and resolvers have the signatures Strawberry gives them

import functools
from collections.abc import Callable
from typing import Annotated, Any

import pytest
import strawberry
from graphql import ExecutionResult
from strawberry.extensions import FieldExtension

from app.execution import BATCH_RESOLVER, BreadthFirst, BreadthFirstSchema
from app.execution.strawberry_fields import strawberry_field


class Open(strawberry.BasePermission):
    viewer_only = True

    def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> bool:
        return True


@strawberry.type
class Query:
    plain: str = "open"
    guarded: str = strawberry.field(permission_classes=[Open], default="open")
    batched: str = strawberry.field(
        resolver=lambda: "open", metadata={BATCH_RESOLVER: lambda parents, _info: ["open"] * len(parents)}
    )

    @strawberry.field
    def called(self) -> str:
        return "open"

    @strawberry.field
    async def later(self) -> str:
        return "open"


NAMES = ["plain", "guarded", "batched", "called", "later"]


def refuse(source: Any, info: Any, **arguments: Any) -> str:
    raise PermissionError("admins only")


def as_a_wrapper(resolve: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(resolve)
    def refusing(*args: Any, **named: Any) -> Any:
        return refuse(*args, **named)

    return refusing


def with_all_it_says_of_itself(resolve: Callable[..., Any]) -> Callable[..., Any]:
    def refusing(*args: Any, **named: Any) -> Any:
        return refuse(*args, **named)

    refusing.__module__, refusing.__qualname__ = resolve.__module__, resolve.__qualname__
    vars(refusing).update(vars(resolve))
    return refusing


class AsAnObject:
    def __init__(self, resolve: Callable[..., Any]) -> None:
        functools.update_wrapper(self, resolve)
        self.__code__ = resolve.__code__

    def __call__(self, *args: Any, **named: Any) -> Any:
        return refuse(*args, **named)


def from_the_field_beside(_resolve: Callable[..., Any]) -> Callable[..., Any]:
    schema = BreadthFirstSchema(Forbidden)
    assert schema._schema.query_type is not None
    resolve: Callable[..., Any] | None = schema._schema.query_type.fields["forbidden"].resolve
    assert resolve is not None
    return resolve


@strawberry.type
class Forbidden:
    @strawberry.field
    def forbidden(self) -> str:
        raise PermissionError("admins only")


@pytest.mark.parametrize("wrap", [as_a_wrapper, with_all_it_says_of_itself, AsAnObject, from_the_field_beside])
@pytest.mark.parametrize("name", NAMES)
async def test_what_wraps_a_resolver_may_refuse(wrap: Callable[..., Any], name: str) -> None:
    schema = BreadthFirstSchema(Query, breadth_first=BreadthFirst())
    field: Any = schema._schema.query_type.fields[name]  # type: ignore[union-attr]
    field.resolve = wrap(field.resolve)
    result = await schema.execute(f"{{ {name} }}", root_value=Query())
    assert result.data is None
    assert [error.message for error in result.errors or ()] == ["admins only"]


async def test_a_permission_that_only_the_wrapped_resolver_asks_is_still_asked() -> None:
    class Shut(Open):
        message = "shut"

        def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> bool:
            return False

    @strawberry.type
    class Shutters:
        value: str | None = strawberry.field(permission_classes=[Shut], default="open")

    schema = BreadthFirstSchema(Shutters, breadth_first=BreadthFirst())
    field: Any = schema._schema.query_type.fields["value"]  # type: ignore[union-attr]
    resolve = field.resolve

    @functools.wraps(resolve)
    def observed(*args: Any, **named: Any) -> Any:
        return resolve(*args, **named)

    field.resolve = observed
    result = await schema.execute("{ value }", root_value=Shutters())
    assert [error.message for error in result.errors or ()] == ["shut"]


async def test_a_resolver_that_nothing_wraps_is_taken_apart() -> None:
    schema = BreadthFirstSchema(Query, breadth_first=BreadthFirst())
    fields: Any = schema._schema.query_type.fields  # type: ignore[union-attr]
    assert [name for name in NAMES if strawberry_field(fields[name]) is not None] == NAMES
    result = await schema.execute("{ plain guarded batched called later }", root_value=Query())
    assert result.data == dict.fromkeys(NAMES, "open")


class MishapError(Exception):
    pass


@strawberry.type
class Ok:
    x: int


@strawberry.type
class Failed:
    message: str


class Handler(strawberry.ExceptionHandler[MishapError, Failed]):
    def handle(self, exception: MishapError, *, field: Any, info: Any) -> Failed | None:
        return Failed(message=f"handled {exception}") if str(exception) != "declined" else None


class Source:
    def __init__(self, why: str) -> None:
        self.why = why

    @property
    def attribute(self) -> Any:
        raise MishapError(self.why)


@strawberry.type
class Item:
    attribute: Annotated[Ok | Failed, strawberry.union("Outcome")] | None


@strawberry.type
class Items:
    @strawberry.field
    def items(self) -> list[Item]:
        return [Source("one"), Source("declined")]  # type: ignore[list-item]


@pytest.mark.parametrize("engine", [None, BreadthFirst()])
async def test_an_exception_that_an_attribute_raises_is_handled(engine: BreadthFirst | None) -> None:
    schema = BreadthFirstSchema(Items, breadth_first=engine, exception_handlers=[Handler()])
    result: ExecutionResult = await schema.execute("{ items { attribute { ... on Failed { message } } } }")  # type: ignore[assignment]
    assert result.data == {"items": [{"attribute": {"message": "handled one"}}, {"attribute": None}]}
    assert [(error.message, error.path) for error in result.errors or ()] == [("declined", ["items", 1, "attribute"])]


class Doubling(FieldExtension):
    """Changes an argument without taking part in resolving."""

    def map_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {"number": kwargs["number"] * 2}


@strawberry.type
class Doubled:
    @strawberry.field(permission_classes=[Open], extensions=[Doubling()])
    def twice(self, number: int) -> int:
        return number


@pytest.mark.parametrize("engine", [None, BreadthFirst()])
async def test_an_extension_may_change_the_arguments_of_a_field_with_a_permission(engine: BreadthFirst | None) -> None:
    schema = BreadthFirstSchema(Doubled, breadth_first=engine)
    result = await schema.execute("{ twice(number: 21) }", root_value=Doubled())
    assert result.data == {"twice": 42}
