"""The examples of the API reference are run in their order against the demo data, and answer what the page shows."""

import re
from typing import Any

import pytest

from app.domain.vocabulary import Budget, Role
from app.operations.registry import MUTATIONS
from graphql_schema.reference.audiences import audiences
from graphql_schema.reference.examples import Example, examples, laid_out, resolved
from graphql_schema.schema import schema
from permissions.matrix import MATRIX
from tests.harness import Client, at_noon

# What differs from run to run: times, ids that the server made, and digests of documents that contain both.
MADE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|(?<=_)[0-9A-Z]{26}|\b[0-9a-f]{64}\b")


def of_role(role: Role) -> list[Example]:
    return [each for each in examples() if each.user.role is role]


def without_what_was_made(value: Any) -> Any:
    """The value with a mark in place of each text that differs from run to run."""
    if isinstance(value, dict):
        return {key: without_what_was_made(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_what_was_made(each) for each in value]
    return MADE.sub("made", value) if isinstance(value, str) else value


@pytest.fixture
def usual_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budgets of a server without settings, in a minute that does not end; for clients made afterwards."""
    for each in Budget:
        monkeypatch.delenv(f"TURNUP_LIMIT_{each}", raising=False)
    at_noon(monkeypatch)


@pytest.mark.parametrize("role", Role)
@pytest.mark.usefixtures("usual_budgets")
async def test_the_examples_of_a_role_answer_what_the_reference_shows(role: Role, own_client: Client) -> None:
    answers: dict[str, Any] = {}
    for each in of_role(role):
        answer = await own_client.ask(each.operation, each.user.email, **resolved(each.variables, answers))
        answers[each.name] = answer.data
    shown = {each.name: {"variables": each.variables, "data": each.data} for each in of_role(role)}
    now = {each.name: {"variables": each.variables, "data": answers[each.name]} for each in of_role(role)}
    assert without_what_was_made(now) == without_what_was_made(shown), f"{role.lower()}.json should be {laid_out(now)}"


@pytest.mark.parametrize("role", Role)
def test_every_query_that_a_role_can_send_has_an_example_for_it(role: Role) -> None:
    seen = audiences(schema._schema).of_field
    sent = {field for each in of_role(role) for field in each.root_fields}
    assert {name for name, roles in seen.items() if name.startswith("Query.") and role in roles} - sent == set()


@pytest.mark.parametrize("role", Role)
def test_a_role_has_an_example_of_a_mutation_for_each_budget_that_its_mutations_use(role: Role) -> None:
    budgets = {each.budget for each in MUTATIONS.values() if role in MATRIX[each.action]}
    used = {
        MUTATIONS[field.removeprefix("Mutation.")].budget
        for each in of_role(role)
        for field in each.root_fields
        if field.startswith("Mutation.")
    }
    assert budgets - used == set()
