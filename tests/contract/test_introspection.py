"""Introspection over HTTP: what clients send is answered, what it returns is charged, and equal requests run once."""

from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import ExecutionResult, OperationDefinitionNode, parse
from graphql import execute as reference_execute

from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from app.settings import Settings
from graphql_schema.allowance import ObjectAllowance
from graphql_schema.documents import Documents
from graphql_schema.execution import Execution, execute
from graphql_schema.introspection import MOST_BYTES_PER_ANSWER, KeptAnswers
from graphql_schema.one_of import mark_one_of
from graphql_schema.requests import Request, prepare
from graphql_schema.schema import schema
from graphql_schema.trusted_documents import ANY_TEXT, TrustedDocuments
from tests.api.serving import serving
from tests.execution.introspections import an_introspection
from tests.harness import CUSTOMER, LEAD, PARTNER, Client, TestDatabase, at_noon, by_token

from .introspection_tools import LATEST, STANDARD, TOOLS

WITH_DEPRECATED = "query ($all: Boolean! = false) { __schema { types { fields(includeDeprecated: $all) { name } } } }"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("who", [LEAD, CUSTOMER, PARTNER])
async def test_the_introspection_of_a_tool_is_answered(client: Client, tool: str, who: str) -> None:
    document = parse(TOOLS[tool])
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    for name in [each.name.value if each.name else None for each in operations]:
        response = await client.http.post(
            "/graphql",
            json={"query": TOOLS[tool], "operationName": name},
            headers={"authorization": f"Bearer {client.recent_token(who)}"},
        )
        body = response.json()
        assert "errors" not in body
        mark_one_of(schema._schema)  # Strawberry replaces a resolver of all schemas when a test builds another one
        expected = reference_execute(schema._schema, document, operation_name=name)
        assert isinstance(expected, ExecutionResult)
        assert body["data"] == expected.data


async def test_introspection_and_data_are_answered_together(client: Client) -> None:
    answer = await client.ask('{ type: __type(name: "Query") { kind } viewer { role __typename } }')
    assert answer.data == {
        "type": {"kind": "OBJECT"},
        "viewer": {"role": "IMPLEMENTATION_LEAD", "__typename": "Viewer"},
    }
    assert answer.body["extensions"]["cost"]["returned"] == 2


async def test_the_price_of_generated_introspection_is_at_least_what_it_returns(client: Client) -> None:
    answered = 0
    for seed in range(60):
        generated = an_introspection(Random(seed), list(schema._schema.type_map))
        answer = await client.ask(generated.text, **generated.variables)
        if answer.body.get("data") is None:
            assert set(answer.codes) <= {"GRAPHQL_VALIDATION_FAILED", "QUERY_TOO_COMPLEX"}
            continue
        answered += 1
        assert "errors" not in answer.body
        cost = answer.body["extensions"]["cost"]
        assert cost["price"] >= cost["returned"]
    assert answered >= 20


async def test_introspection_is_charged_its_price_whenever_it_is_sent(
    settings: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_noon(monkeypatch)
    async with serving(settings, database, limit_objects=100_000) as client:

        async def left() -> int:
            states = (await client.ask("{ rateLimits { budget remaining } }")).data["rateLimits"]
            return int(next(each["remaining"] for each in states if each["budget"] == "OBJECTS"))

        before = await left()
        own = before - await left()
        for _ in range(2):  # the second answer is a kept one
            before = await left()
            price = (await client.ask(LATEST)).body["extensions"]["cost"]["price"]
            assert before - await left() == own + price


async def test_introspection_needs_a_token_even_if_its_answer_is_kept(client: Client) -> None:
    assert (await client.ask(STANDARD)).status == 200
    assert (await client.ask(STANDARD, None)).codes == ["UNAUTHENTICATED"]


async def test_everybody_gets_the_same_bytes(client: Client) -> None:
    first, second = [await client.ask(LATEST, who) for who in (LEAD, CUSTOMER)]
    assert first.raw == second.raw


async def test_a_kept_answer_is_only_for_equal_variables(client: Client) -> None:
    assert (await client.ask(WITH_DEPRECATED, all=True)).codes == []
    assert (await client.ask(WITH_DEPRECATED, all=1)).codes == ["BAD_USER_INPUT"]
    assert (await client.ask(WITH_DEPRECATED, all=None)).codes == ["BAD_USER_INPUT"]


class Served:
    """Executes requests as the service does, and counts how many of them the executor ran."""

    def __init__(self) -> None:
        rules = PriceRules()
        self.runs = 0
        self._kept = KeptAnswers()
        documents = Documents(schema._schema, limits=DocumentLimits(), prices=rules)
        self._prepare = partial(prepare, documents=documents, prices=rules, trusted=TrustedDocuments(ANY_TEXT))

    def _run(self, *arguments: Any, **options: Any) -> Any:
        self.runs += 1
        return reference_execute(schema._schema, *arguments, **options)

    async def ask(self, query: str, operation_name: str | None = None, **variables: Any) -> Execution:
        request = Request(
            credential=by_token(""),
            request_id="",
            query=query,
            operation_name=operation_name,
            variables=variables,
            read_only=False,
            writing=lambda: None,
            abandoned=lambda _facts: None,
        )
        prepared = self._prepare(request)
        nobody: Any = None
        allowance = ObjectAllowance(nobody, price=prepared.price, maximum=prepared.price, has_written=False)
        context: Any = SimpleNamespace(viewer=nobody, holds_secret=False)
        return await execute(self._run, prepared, context, allowance=allowance, kept_answers=self._kept)


async def test_equal_introspection_runs_once() -> None:
    served = Served()
    answers = [await served.ask(STANDARD) for _ in range(3)]
    assert served.runs == 1
    assert len({(each.returned, each.price) for each in answers}) == 1


async def test_other_variables_and_other_operations_run_for_themselves() -> None:
    served = Served()
    two = "query A { __schema { types { name } } } query B { __schema { directives { name } } }"
    for _ in range(2):
        await served.ask(two, "A")
        await served.ask(two, "B")
        await served.ask(WITH_DEPRECATED)
        await served.ask(WITH_DEPRECATED, all=False)
        await served.ask(WITH_DEPRECATED, all=True, undeclared=1)
        await served.ask(WITH_DEPRECATED, all=True, undeclared=2)
    assert served.runs == 4  # a variable that has its default value is equal to an omitted one


async def test_an_operation_that_reads_data_is_never_kept() -> None:
    served = Served()
    for _ in range(2):
        await served.ask("{ __schema { queryType { name } } viewer { name } }")
    assert served.runs == 2


def test_a_large_answer_is_not_kept() -> None:
    kept = KeptAnswers()
    small, large = ("{ a }", None, b""), ("{ b }", None, b"")
    kept.keep(small, {"a": "x" * (MOST_BYTES_PER_ANSWER // 2)}, 0)
    kept.keep(large, {"a": "x" * MOST_BYTES_PER_ANSWER}, 0)
    assert kept.get(small) is not None
    assert kept.get(large) is None
