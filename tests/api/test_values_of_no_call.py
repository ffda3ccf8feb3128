"""Values that no call can have: null where it means nothing, malformed ids, NUL, and malformed times.

The schema is walked, so that a field that is added is walked through as well.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    is_required_argument,
)

from app.operations.registry import MUTATIONS as DECLARED
from app.settings import Executor, Settings
from graphql_schema.schema import schema
from permissions.matrix import MATRIX, NEEDS_ALL_ACCOUNTS
from tests.harness import (
    AUDITOR,
    CUSTOMER,
    LEAD,
    PARTNER,
    SCOPED_LEAD,
    Answer,
    Client,
    TestDatabase,
    at_noon,
    least_fields,
)

from .serving import serving

Path = tuple[str, ...]
NUL = "a\0b"
BAD_ID = ["", NUL, "x" * 65, "no id", "\u0661", "'; DROP TABLE turnup.location; --"]
BAD_DATE = [
    "2026-W49-1",
    "2026-334",
    "20261130",
    "2026-11",
    "2026-02-30",
    "0000-01-01",
    "30.11.2026",
    "",
    "2026-11-30Z",
]
BAD_TIME = [
    "9",
    "09",
    "9:00",
    "0900",
    "09:00,5",
    "09:00:00.5",
    "24:00",
    "25:00",
    "09:60",
    "09:00Z",
    "09:00+01:00",
    "T09:00",
    "",
]
BAD_DATE_TIME = [
    "2026-11-30", "2026-11-30T09", "2026-11-30T09:00Z", "2026-11-30T09:00:00", "2026-11-30T09:00:00,5Z",
    "2026-11-30T24:00:00Z", "2026-11-30t09:00:00Z", "2026-11-30T09:00:00z", "2026-11-30 09:00:00Z",
    "20261130T090000Z", "2026-W49-1T09:00:00Z", "2026-334T09:00:00Z", "2026-02-30T09:00:00Z",
    "2026-11-30T09:00:00+01", "2026-11-30T09:00:00+0100", "2026-11-30T09:00:00+01:00:30", "2026-11-30T09:00:00+24:00",
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z",
    "now", "",
]  # fmt: skip
BAD = {"ID": BAD_ID, "String": [NUL], "Date": BAD_DATE, "Time": BAD_TIME, "DateTime": BAD_DATE_TIME}
CANNOT_BE_NULL = "cannot be null"

MUTATIONS: dict[str, GraphQLField] = schema._schema.mutation_type.fields  # type: ignore[union-attr]
QUERIES: dict[str, GraphQLField] = schema._schema.query_type.fields  # type: ignore[union-attr]
PEOPLE = (LEAD, SCOPED_LEAD, CUSTOMER, PARTNER, AUDITOR)
CALLS_AT_ONCE = 8


@dataclass(frozen=True)
class Place:
    """A place in the input of a mutation, or among the arguments of a query."""

    path: Path
    type: Any
    description: str

    @property
    def bad(self) -> Iterator[Any]:
        """The values of the right type that no call can have there."""
        if CANNOT_BE_NULL in self.description:
            yield None
        yield from BAD.get(getattr(nullable(self.type), "name", ""), ())


def nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def places(type_: Any, above: Path, description: str = "") -> Iterator[Place]:
    """Every place in the values of a type, at any depth and in lists."""
    yield Place(above, type_, description)
    inner = nullable(type_)
    if isinstance(inner, GraphQLList):
        yield from places(inner.of_type, (*above, "0"))
    elif isinstance(inner, GraphQLInputObjectType):
        for name, field in inner.fields.items():
            yield from places(field.type, (*above, name), field.description or "")


def good(type_: Any) -> Any:
    """A value that is right by its type, with what is required and no more."""
    inner = nullable(type_)
    if isinstance(inner, GraphQLList):
        return [good(inner.of_type)]
    if isinstance(inner, GraphQLInputObjectType):
        return {name: good(each.type) for name, each in least_fields(inner).items()}
    if isinstance(inner, GraphQLEnumType):
        return "BLOCKED" if "BLOCKED" in inner.values else next(iter(inner.values))
    given = {"Int": 1, "Boolean": False, "Date": "2026-11-30", "Time": "09:00", "DateTime": "2026-11-30T09:00:00Z"}
    return given.get(inner.name, "none")


def holding(type_: Any, path: Path, value: Any) -> Any:
    """A good value of a type with another value at a place in it."""
    inner = nullable(type_)
    if not path:
        return value
    if isinstance(inner, GraphQLList):
        return [holding(inner.of_type, path[1:], value)]
    around = {} if inner.is_one_of else good(inner)
    return {**around, path[0]: holding(inner.fields[path[0]].type, path[1:], value)}


def literal(type_: Any, value: Any) -> str:
    inner = nullable(type_)
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(literal(inner.of_type, each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {literal(inner.fields[name].type, each)}' for name, each in value.items())}}}"
    return str(value) if isinstance(inner, GraphQLEnumType) else json.dumps(value)


def may(who: str, name: str) -> bool:
    """Whether the role of a user includes a mutation."""
    action = DECLARED[name].action
    role = {LEAD: "IMPLEMENTATION_LEAD", SCOPED_LEAD: "IMPLEMENTATION_LEAD"}.get(who, ROLES.get(who))
    return role in MATRIX[action] and not (who == SCOPED_LEAD and action in NEEDS_ALL_ACCOUNTS)


ROLES = {CUSTOMER: "CUSTOMER", PARTNER: "PARTNER", AUDITOR: "AUDITOR"}


async def sent(client: Client, who: str, name: str, inputs: Sequence[Any], *, literally: bool) -> Answer:
    """Send one mutation several times in a request."""
    kind = MUTATIONS[name].args["input"].type
    calls = enumerate(inputs)
    if literally:
        fields = (
            f"m{number}: {name}(input: {literal(kind, each)}) {{ problems {{ code path }} }}" for number, each in calls
        )
        return await client.ask(f"mutation {{ {' '.join(fields)} }}", who)
    fields = (f"m{number}: {name}(input: $i{number}) {{ problems {{ code path }} }}" for number, _ in calls)
    declared = " ".join(f"$i{number}: {kind}" for number in range(len(inputs)))
    variables = {f"i{number}": each for number, each in enumerate(inputs)}
    return await client.ask(f"mutation({declared}) {{ {' '.join(fields)} }}", who, **variables)


async def left(client: Client, who: str, budget: str) -> int:
    answer = await client.ask("{ rateLimits { budget remaining } }", who)
    (found,) = [each["remaining"] for each in answer.data["rateLimits"] if each["budget"] == budget]
    return int(found)


@pytest.mark.parametrize("executor", Executor)
@pytest.mark.parametrize("literally", [False, True], ids=["variables", "literals"])
async def test_a_value_that_no_call_can_have_is_a_problem_with_its_path_after_the_role_and_in_the_budget(
    settings: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, executor: Executor, literally: bool
) -> None:
    at_noon(monkeypatch)
    walked = 0
    async with serving(settings, database, executor=executor) as client:
        for name, field in sorted(MUTATIONS.items()):
            kind = field.args["input"].type
            cases = [(each.path, holding(kind, each.path, bad)) for each in places(kind, ()) for bad in each.bad]
            for who in PEOPLE:
                allowed = may(who, name)
                before = await left(client, who, DECLARED[name].budget)
                for start in range(0, len(cases), CALLS_AT_ONCE):
                    chunk = cases[start : start + CALLS_AT_ONCE]
                    answer = await sent(client, who, name, [given for _, given in chunk], literally=literally)
                    told = [answer.body["data"][f"m{number}"] for number in range(len(chunk))]
                    if allowed:
                        assert "errors" not in answer.body, (name, who, answer.body)
                        assert [each["problems"] for each in told] == [
                            [{"code": "INVALID_INPUT", "path": list(path)}] for path, _ in chunk
                        ], (name, who)
                    else:
                        assert set(answer.codes) == {"FORBIDDEN"}, (name, who, answer.body)
                        assert told == [None] * len(chunk)
                    walked += len(chunk)
                spent = before - await left(client, who, DECLARED[name].budget)
                assert spent == (len(cases) if allowed else 0), (name, who)
    assert walked > 3_000


@pytest.mark.parametrize("executor", Executor)
async def test_a_value_that_no_argument_of_a_query_can_have_is_bad_user_input_at_its_field(
    settings: Settings, database: TestDatabase, executor: Executor
) -> None:
    walked = 0
    async with serving(settings, database, executor=executor) as client:
        for name, field in sorted(QUERIES.items()):
            required = {each: good(given.type) for each, given in field.args.items() if is_required_argument(given)}
            for argument, given in field.args.items():
                for place in places(given.type, ()):
                    for bad in place.bad:
                        arguments = {**required, argument: holding(given.type, place.path, bad)}
                        answer = await client.ask(document_of(name, arguments), LEAD)
                        (error,) = answer.body["errors"]
                        expected = next((step for step in reversed(place.path) if not step.isdigit()), argument)
                        told = error["extensions"]["code"], error["extensions"].get("field")
                        assert told == NAMES_OTHERS.get(name, ("BAD_USER_INPUT", expected)), (arguments, error)
                        walked += 1
    assert walked > 100


# A list of ids answers for each of them: null in its place, and one error for all that are missing.
NAMES_OTHERS = {"nodes": ("NOT_FOUND", None)}


def document_of(name: str, arguments: dict[str, Any]) -> str:
    given = ", ".join(f"{each}: {literal(QUERIES[name].args[each].type, value)}" for each, value in arguments.items())
    return f"{{ {name}({given}) {{ __typename }} }}"
