"""Every DateTime in an answer is RFC 3339 in UTC with six digits after the second, whichever executor answers."""

import re
from collections.abc import Iterator
from typing import Any

from graphql import GraphQLObjectType, get_named_type, is_required_argument
from pydantic import SecretStr

from app.settings import Executor, Settings
from graphql_schema.schema import schema
from tests.harness import LEAD, TestDatabase, own_database

from .serving import serving

FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
DEPTH = 2


def times(kind: GraphQLObjectType, depth: int) -> str:
    """A selection of all times of a type, and of the objects below it."""
    parts = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if any(is_required_argument(each) for each in field.args.values()):
            continue
        if inner.name == "DateTime":
            parts.append(name)
        elif isinstance(inner, GraphQLObjectType) and depth and name not in {"edges", "account", "sourceAccount"}:
            page = "(first: 3)" if "first" in field.args else ""
            parts.append(f"{name}{page} {times(inner, depth - 1)}")
    return f"{{ {' '.join(parts)} }}"


def found(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The times in an answer, by the name of their field."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from found(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from found(each, name)
    elif isinstance(value, str) and name != "__typename":
        yield name, value


def asked() -> list[str]:
    """A query of the times below each root field that lists objects."""
    query: Any = schema._schema.query_type
    roots = [(name, get_named_type(field.type)) for name, field in query.fields.items() if "first" in field.args]
    return [f"{{ {name}(first: 5) {times(kind, DEPTH)} }}" for name, kind in roots]


async def test_every_time_in_an_answer_is_in_utc_with_six_digits(settings: Settings, database: TestDatabase) -> None:
    answers: dict[Executor, list[Any]] = {}
    for executor in Executor:
        async with serving(settings, database, executor=executor, limit_objects=10**6) as client:
            answers[executor] = [
                (await client.ask(each, LEAD)).data for each in [*asked(), "{ rateLimits { resetsAt } }"]
            ]
    seen = list(found(answers[Executor.BREADTH_FIRST]))
    assert [(name, text) for name, text in seen if not FORM.fullmatch(text)] == []
    assert {text.endswith(".000000Z") for _, text in seen} == {True, False}
    assert len({name for name, _ in seen}) > 10
    own, reference = ([each for each in found(answers[kind]) if each[0] != "resetsAt"] for kind in Executor)
    assert own == reference


async def test_times_in_the_audit_log_are_those_of_the_objects(settings: Settings) -> None:
    create = """mutation { createLocation(input: {accountId: "account-1", name: "Late"}) {
                  location { id createdAt } } }"""
    asked = """query ($id: ID!) { auditLog(filter: {locationId: $id}) { nodes {
                 changes(first: 100) { nodes { rowId field before after } } } } }"""
    for executor in Executor:
        async with own_database() as own:
            changes = {"executor": executor, "database_url": SecretStr(own.app_url)}
            async with serving(settings, own, **changes) as client:
                made = (await client.ask(create, LEAD)).data["createLocation"]["location"]
                data = (await client.ask(asked, LEAD, id=made["id"])).data
        written = [each for entry in data["auditLog"]["nodes"] for each in entry["changes"]["nodes"]]
        times = [each[side] for each in written for side in ("before", "after") if each["field"].endswith("_at")]
        assert [each for each in times if each is not None and not FORM.fullmatch(each)] == []
        created = [each["after"] for each in written if (each["rowId"], each["field"]) == (made["id"], "created_at")]
        assert created == [made["createdAt"]]
