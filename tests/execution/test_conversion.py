"""Conversions worked out beforehand give what Strawberry's own function gives."""

# ruff: noqa: ARG002 - the field's arguments are all there is to it

from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import pytest
import strawberry
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.relay import GlobalID
from strawberry.scalars import JSON
from strawberry.types.arguments import convert_arguments

from app.execution.conversion import Conversions

T = TypeVar("T")


@strawberry.enum
class Size(Enum):
    SMALL = 1
    LARGE = 2


@strawberry.input
class Inner:
    size: Size
    sizes: list[Size] | None = None
    count: int = 7
    note: strawberry.Maybe[str | None]
    label: strawberry.Maybe[str]


@strawberry.input
class Pair(Generic[T]):
    first: T
    second: T | None = strawberry.UNSET


@strawberry.input
class Tree:
    name: str | None
    below: list[Annotated["Tree", strawberry.lazy(__name__)]] | None = None


@strawberry.input(one_of=True)
class Choice:
    inner: strawberry.Maybe[Inner]
    counts: strawberry.Maybe[list[int]]
    yes: strawberry.Maybe[bool]


@strawberry.type
class Query:
    @strawberry.field
    def all(
        self,
        inner: Inner | None = None,
        inners: list[Inner | None] | None = None,
        grid: list[list[int | None]] | None = None,
        pair: Pair[Inner] | None = None,
        tree: Tree | None = None,
        choices: list[Choice] | None = None,
        json: JSON | None = None,
        at: GlobalID | None = None,
        maybe: strawberry.Maybe[int | None] = None,
        surely: strawberry.Maybe[int] = None,
        renamed_one: Annotated[int | None, strawberry.argument(name="other")] = strawberry.UNSET,
    ) -> str:
        return ""


schema = strawberry.Schema(Query)
[FIELD] = [each for each in schema.get_type_by_name("Query").fields if each.name == "all"]  # type: ignore[union-attr]
CONVERTER = schema.schema_converter
ARGUMENTS = FIELD.arguments

GIVEN: list[dict[str, Any]] = [
    {},
    {"inner": None, "inners": None, "grid": None, "pair": None, "tree": None, "json": None, "maybe": None},
    {"inner": {"size": Size.LARGE}},
    {"inner": {"size": Size.SMALL, "sizes": [Size.SMALL, Size.LARGE], "count": 0, "note": None, "label": "l"}},
    {"inners": [None, {"size": Size.LARGE, "note": "n"}, None]},
    {"grid": [[1, None], []]},
    {"pair": {"first": {"size": Size.SMALL}, "second": {"size": Size.LARGE}}},
    {"pair": {"first": {"size": Size.SMALL}, "second": None}},
    {"tree": {"name": None, "below": [{"name": "a", "below": [{"name": "b"}]}, {"name": "c", "below": []}]}},
    {"choices": [{"inner": {"size": Size.SMALL, "note": "n"}}, {"counts": [1, 2]}, {"yes": False}]},
    {"json": {"a": [1, {"b": None}]}, "at": "UXVlcnk6MQ=="},
    {"maybe": 3, "surely": 4, "other": 5},
    {"grid": strawberry.UNSET, "inner": strawberry.UNSET},
]


def ours(given: dict[str, Any]) -> dict[str, Any]:
    convert = Conversions(CONVERTER.config, CONVERTER.scalar_registry).of_arguments(ARGUMENTS)
    return convert(given, None)


def theirs(given: dict[str, Any]) -> dict[str, Any]:
    return convert_arguments(given, ARGUMENTS, CONVERTER.scalar_registry, CONVERTER.config)


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: ",".join(given) or "none")
def test_arguments_are_converted_as_strawberry_does(given: dict[str, Any]) -> None:
    found, expected = ours(given), theirs(given)
    assert found == expected
    assert [type(each) for each in found.values()] == [type(each) for each in expected.values()]


def test_a_list_that_all_requests_share_is_copied() -> None:
    shared = {"grid": [[1]]}
    ours(shared)["grid"][0].append(2)
    assert shared == {"grid": [[1]]}


def test_null_for_what_may_only_be_absent_is_refused_as_strawberry_does() -> None:
    sentences = []
    for convert in (ours, theirs):
        with pytest.raises(StrawberryInputCoercionError) as refused:
            convert({"surely": None})
        sentences.append(str(refused.value))
    assert sentences[0] == sentences[1]


def test_an_id_that_cannot_be_decoded_is_refused_as_strawberry_does() -> None:
    sentences = []
    for convert in (ours, theirs):
        with pytest.raises(Exception, match="GlobalID") as refused:
            convert({"at": "!"})
        sentences.append(str(refused.value))
    assert sentences[0] == sentences[1]
