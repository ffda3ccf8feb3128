"""The page about lists and its example agree with the server: orders, operations, and the overlap."""

import re
import runpy
from pathlib import Path

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, build_schema, get_named_type, parse, validate

from app.session_settings import APP
from app.settings import Settings
from graphql_schema.connections import COUNT_PRICE
from graphql_schema.schema import schema

from .pages import ROOT, page, table

PAGE = page("docs/lists.md")
WORDS = " ".join(PAGE.split())
DEADLINE = Settings.model_fields["limit_deadline_seconds"].default
(IDLE_MS,) = [each.value for each in APP if each.name == "idle_in_transaction_session_timeout"]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    given = {"TURNUP_URL": "http://127.0.0.1:1", "TURNUP_TOKEN_COMMAND": "true", "MIRROR_FILE": str(tmp_path / "copy")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "docs" / "examples" / "mirror.py"))


def test_the_operations_of_the_page_and_of_the_example_are_valid(mirror: dict[str, object]) -> None:
    documents = [str(mirror["QUERY"]), *re.findall(r"```graphql\n(.*?)```", PAGE, re.S)]
    assert len(documents) == 2
    assert [validate(schema._schema, parse(document)) for document in documents] == [[], []]


def test_the_page_has_the_orders_of_every_list_with_their_defaults() -> None:
    built = build_schema(str(schema))
    assert built.query_type
    orders = {name: field.args["orderBy"] for name, field in built.query_type.fields.items() if "orderBy" in field.args}
    rows = {re.findall(r"\w+", lists)[0]: (fields, default) for lists, fields, default in table(PAGE, "Orders")}
    assert rows.keys() == orders.keys()
    for name, (fields, default) in rows.items():
        order = get_named_type(orders[name].type)
        assert isinstance(order, GraphQLInputObjectType)
        members = get_named_type(order.fields["field"].type)
        assert isinstance(members, GraphQLEnumType)
        assert re.findall(r"\w+", fields) == list(members.values)
        field, direction = re.findall(r"\w+", default)
        assert f"orderBy: {order}! = {{ field: {field}, direction: {direction} }}" in str(schema)


def test_the_overlap_is_never_shorter_than_the_longest_transaction(mirror: dict[str, object]) -> None:
    """The time limit of a request, and the time after which PostgreSQL ends the transaction of a silent server."""
    longest = max(60.0, 4 * DEADLINE)
    assert mirror["OVERLAP"].total_seconds() == longest  # type: ignore[attr-defined] # - a timedelta of the example
    most = next(each.le for each in Settings.model_fields["limit_deadline_seconds"].metadata if hasattr(each, "le"))
    for deadline in (0.1, 1.0, 10.0, DEADLINE, 60.0, most):
        assert max(60.0, 4 * deadline) >= deadline + IDLE_MS / 1_000
    assert f"of a request, {DEADLINE:.0f} seconds unless the operator has set `TURNUP_LIMIT_DEADLINE_SECONDS`" in WORDS
    assert f"after another {IDLE_MS // 1_000} seconds (`idle_in_transaction_session_timeout`)" in WORDS
    assert f"Overlap by {longest:.0f} seconds, or by four times the limit if that is longer" in WORDS


def test_the_page_has_the_price_of_a_count() -> None:
    assert f"Each count is priced at {COUNT_PRICE} objects" in WORDS
