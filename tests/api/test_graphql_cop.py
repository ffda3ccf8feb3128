"""The checks of graphql-cop 1.15, a scanner for GraphQL servers, with what a server in production answers to each.

https://github.com/dolevf/graphql-cop, commit 2b7e086. The scanner reports what it finds to be allowed.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.settings import Environment, Settings
from tests.harness import LEAD, Client, TestDatabase

from .serving import serving

CIRCULAR = "query cop { __schema { types {" + " fields { type {" * 4 + " name" + " } }" * 4 + " } } }"


@pytest.fixture(scope="module")
async def production(settings: Settings, database: TestDatabase) -> AsyncIterator[Client]:
    """A client of a server with the defaults of production."""
    async with serving(settings, database, env=Environment.PRODUCTION) as client:
        yield client


async def post(client: Client, query: str) -> httpx.Response:
    """Send a document as the scanner does, as a lead, who may do the most."""
    return await client.http.post("/graphql", json={"query": query, "operationName": "cop"}, headers=signed_in(client))


async def get(client: Client, **parameters: str) -> httpx.Response:
    return await client.http.get("/graphql", params=parameters, headers=signed_in(client))


def signed_in(client: Client) -> dict[str, str]:
    return {"authorization": f"Bearer {client.recent_token(LEAD)}"}


def errors(response: httpx.Response) -> list[Any]:
    """The errors of a refusal; fails the test if there are data."""
    body = response.json()
    assert "data" not in body
    return list(body["errors"])


def refusal(response: httpx.Response) -> tuple[int, str]:
    """The status and the code of a response with one error."""
    (error,) = errors(response)
    return response.status_code, error["extensions"]["code"]


async def test_a_hundred_and_one_aliases_are_too_many(production: Client) -> None:
    aliases = " ".join(f"alias{number}: __typename" for number in range(101))
    (error,) = errors(await post(production, f"query cop {{ {aliases} }}"))
    assert (error["extensions"]["code"], error["extensions"]["limit"]) == ("QUERY_TOO_COMPLEX", "aliases")


async def test_five_hundred_times_the_same_field_are_too_many(production: Client) -> None:
    (error,) = errors(await post(production, f"query cop {{ {'__typename ' * 500} }}"))
    assert (error["extensions"]["code"], error["extensions"]["limit"]) == ("QUERY_TOO_COMPLEX", "root_fields")


@pytest.mark.parametrize("directives", [10, 50])
async def test_of_unknown_directives_the_first_five_are_reported(production: Client, directives: int) -> None:
    """The scanner reports a server with an error for each of its ten."""
    found = errors(await post(production, f"query cop {{ __typename {'@aa' * directives} }}"))
    assert [each["message"] for each in found] == ["Unknown directive '@aa'."] * 5


async def test_fifty_one_directives_are_too_many(production: Client) -> None:
    (error,) = errors(await post(production, f"query cop {{ __typename {'@aa' * 51} }}"))
    assert (error["extensions"]["code"], error["extensions"]["limit"]) == ("QUERY_TOO_COMPLEX", "directives")


async def test_nothing_of_a_batch_is_executed(production: Client) -> None:
    batch = [{"query": "query cop { __typename }"}] * 10
    response = await production.http.post("/graphql", json=batch, headers=signed_in(production))
    assert response.status_code == 400
    assert "BAD_REQUEST" in response.text
    assert '"data"' not in response.text


async def test_introspection_that_comes_back_to_its_types_is_refused(production: Client) -> None:
    response = await post(production, CIRCULAR)
    assert refusal(response) == (200, "GRAPHQL_VALIDATION_FAILED")
    assert "Maximum introspection depth exceeded" in response.text


async def test_introspection_is_for_users_and_not_for_others(production: Client) -> None:
    """The schema is public, so that tools of clients work; nobody without a token reaches a resolver."""
    query = "query cop { __schema { types { name fields { name } } } }"
    assert (await post(production, query)).json()["data"]["__schema"]["types"]
    anonymous = await production.http.post("/graphql", json={"query": query})
    assert refusal(anonymous) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("query", ["query cop { __schema { directive } }", "query cop { viewr { name } }"])
async def test_production_suggests_no_names(production: Client, query: str) -> None:
    response = await post(production, query)
    assert refusal(response) == (200, "GRAPHQL_VALIDATION_FAILED")
    assert "Did you mean" not in response.text


async def test_get_executes_no_mutation(production: Client) -> None:
    assert refusal(await get(production, query="mutation cop { __typename }")) == (405, "METHOD_NOT_ALLOWED")


async def test_get_executes_queries_of_signed_in_users_alone(production: Client) -> None:
    """The specification allows it. A page of another origin cannot send the token, and its requests have no session."""
    query = "query cop { __typename }"
    assert (await get(production, query=query)).json()["data"] == {"__typename": "Query"}
    assert refusal(await production.http.get("/graphql", params={"query": query})) == (401, "UNAUTHENTICATED")


async def test_a_form_of_another_page_sends_no_operation(production: Client) -> None:
    form = {"query": "query cop { __typename }"}
    response = await production.http.post("/graphql", data=form, headers=signed_in(production))
    assert refusal(response) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("path", ["/", "/graphiql", "/playground", "/console", "/graphql"])
async def test_production_shows_no_page_for_queries(production: Client, path: str) -> None:
    response = await production.http.get(path, headers={"accept": "text/html", **signed_in(production)})
    assert response.status_code in {404, 406}
    assert "graphiql" not in response.text.lower()


async def test_an_answer_has_no_trace_of_its_execution(production: Client) -> None:
    answered = (await post(production, "query cop { __typename }")).json()
    assert answered["extensions"].keys() == {"cost"}
    (error,) = errors(await post(production, "query cop { abc }"))
    assert error["extensions"].keys() == {"code", "requestId"}


async def test_a_document_that_is_none_is_answered_with_a_code_and_no_exception(production: Client) -> None:
    response = await post(production, "qwerty cop { abc }")
    assert refusal(response) == (200, "GRAPHQL_PARSE_FAILED")
    (error,) = errors(response)
    assert error["extensions"].keys() == {"code", "requestId"}
