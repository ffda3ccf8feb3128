"""What a class promises of its attributes is taken on trust, and nothing beyond it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

import pytest
import strawberry
from graphql import ExecutionResult

from app.execution import BATCH_RESOLVER, TYPED, BreadthFirst, BreadthFirstSchema, Native


class Kind(StrEnum):
    PLAIN = "plain"
    ODD = "odd"


class Row:
    def __init__(self, **values: Any) -> None:
        vars(self).update(
            {"name": "n", "nick": None, "seen": MOMENT, "last_seen": None, "count": 1, "kind": "plain"} | values
        )


class Promising(Row):
    typed_attributes: ClassVar = {
        "name": {str},
        "nick": {str, type(None)},
        "seen": {datetime},
        "last_seen": {datetime, type(None)},
        "count": {int},
        "kind": {str},
    }


class Hasty(Row):
    """Says nothing of None, and of nothing else either."""

    typed_attributes: ClassVar = {"name": {str, type(None)}}


MOMENT = datetime(2026, 11, 24, microsecond=1, tzinfo=UTC)
WHOLE_SECOND = datetime(2026, 11, 24, tzinfo=UTC)


@strawberry.type
class Item:
    name: str
    nick: str | None
    seen: datetime
    last_seen: datetime | None
    count: int
    kind: strawberry.enum(Kind)  # type: ignore[valid-type]
    first: str = strawberry.field(
        resolver=lambda: "one by one", metadata={BATCH_RESOLVER: lambda parents, _info: ["at once"] * len(parents)}
    )


def answer(rows: list[Any], text: str = "{ items { name nick seen count kind first } }") -> ExecutionResult:
    @strawberry.type
    class Query:
        @strawberry.field
        def items(self) -> list[Item | None]:
            return rows

    executor = BreadthFirst(native={"DateTime": Native({datetime}, unless_false="microsecond")})
    return BreadthFirstSchema(Query, breadth_first=executor).execute_sync(text)  # type: ignore[return-value]


def test_the_marker_is_the_attribute_that_rows_carry() -> None:
    assert hasattr(Promising, TYPED)


def test_promising_objects_answer_as_others_do() -> None:
    given: list[dict[str, Any]] = [{}, {"nick": "k"}, {"kind": Kind.ODD}]
    kept, tested = answer([Promising(**each) for each in given]), answer([Row(**each) for each in given])
    assert (kept.data, kept.errors) == (tested.data, None)
    assert kept.data is not None
    assert kept.data["items"][2] == {
        "name": "n",
        "nick": None,
        "seen": MOMENT,
        "count": 1,
        "kind": "ODD",
        "first": "at once",
    }


@pytest.mark.parametrize("row", [Row, Promising])
def test_a_native_value_whose_attribute_is_false_is_coerced(row: type[Row]) -> None:
    rows = [row(), row(seen=WHOLE_SECOND), row(last_seen=MOMENT), row(last_seen=WHOLE_SECOND)]
    result = answer(rows, "{ items { seen lastSeen } }")
    assert result.data is not None
    text = WHOLE_SECOND.isoformat()
    assert [(each["seen"], each["lastSeen"]) for each in result.data["items"]] == [
        (MOMENT, None),
        (text, None),
        (MOMENT, MOMENT),
        (MOMENT, text),
    ]


def test_what_is_promised_is_not_tested() -> None:
    odd = object()
    result = answer([Promising(name=odd)])
    assert result.data is not None
    assert result.data["items"][0]["name"] is odd


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 2**31}, "Int cannot represent non 32-bit signed integer value"),
        ({"kind": "unheard of"}, "Enum 'Kind' cannot represent value"),
    ],
)
def test_numbers_and_members_are_tested_whatever_is_promised(values: dict[str, Any], message: str) -> None:
    result = answer([Promising(), Promising(**values), Promising()])
    assert result.data is not None
    assert [each is None for each in result.data["items"]] == [False, True, False]
    [error] = result.errors or []
    assert message in error.message
    assert error.path == ["items", 1, next(iter(values))]


def test_a_promise_that_may_be_null_does_not_let_null_into_a_field_that_may_not() -> None:
    result = answer([Hasty(), Hasty(name=None)], "{ items { name } }")
    assert result.data == {"items": [{"name": "n"}, None]}
    assert [error.path for error in result.errors or ()] == [["items", 1, "name"]]


def test_an_attribute_that_raises_is_the_error_of_its_object_alone() -> None:
    class Failing(Promising):
        def __getattribute__(self, name: str) -> Any:
            if name == "name" and vars(self)["count"] == 2:
                raise LookupError("gone")
            return super().__getattribute__(name)

    result = answer([Failing(), Failing(count=2)], "{ items { name } }")
    assert result.data == {"items": [{"name": "n"}, None]}
    assert [(error.message, error.path) for error in result.errors or ()] == [("gone", ["items", 1, "name"])]


def test_objects_of_several_classes_are_tested() -> None:
    result = answer([Promising(name="p"), Hasty(name=None)], "{ items { name } }")
    assert result.data == {"items": [{"name": "p"}, None]}


def test_an_attribute_that_happens_to_have_the_marker_s_name_promises_nothing() -> None:
    @strawberry.type
    class Label:
        name: str = "n"
        typed_attributes: str = "t"

    @strawberry.type
    class Query:
        label: Label = strawberry.field(resolver=Label)

    result = BreadthFirstSchema(Query, breadth_first=BreadthFirst()).execute_sync("{ label { name typedAttributes } }")
    assert (result.data, result.errors) == ({"label": {"name": "n", "typedAttributes": "t"}}, None)
