"""The limits of documents over HTTP, with a real token and through the real service: each at its edge, and bombs."""

import json
from collections.abc import Callable
from time import process_time
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query

from tests.harness import LEAD, Client, is_within

from .bombs import BOMBS, LOCATION

QUICK = 0.05  # seconds that this process works, which is client and server in one, on a processor that is not slow
ATTEMPTS = 40  # the first one that is quick ends it; a busy machine slows some down


async def post(client: Client, body: Any, who: str = LEAD, **headers: str) -> httpx.Response:
    """Send a body, as it is when it is bytes."""
    return await client.http.post(
        "/graphql",
        content=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={
            "authorization": f"Bearer {client.token(who)}",
            "content-type": "application/json",
            "accept": "application/graphql-response+json",
            **headers,
        },
    )


def outcome(response: httpx.Response) -> tuple[int, str | None]:
    """The status, and the limit or else the code that a refusal names; of a batch, that of its first item."""
    body = response.json()
    first = body[0] if isinstance(body, list) else body
    errors = first.get("errors")
    if not errors or "data" in first:
        return response.status_code, None
    extensions = errors[0]["extensions"]
    return response.status_code, extensions.get("limit", extensions["code"])


# Each limit at its edge


def selections(count: int) -> str:
    spreads, rest = divmod(count - 1, 50)
    return "{viewer{" + "...f " * spreads + "name " * rest + "}} fragment f on Viewer {" + "name " * 49 + "}"


def ring(depth: int) -> str:
    """A device's extension's device's extension, and so on: fields this deep in all."""
    names = [("extension", "device")[level % 2] for level in range(depth - 3)]
    return LOCATION + "devices{" + "".join(f"{name}{{" for name in names) + "id" + "}" * depth


AT_THE_EDGE: dict[str, tuple[int, Callable[[int], str]]] = {
    "characters": (15_000, lambda n: "{viewer{name}}".ljust(n, " ")),
    "tokens": (
        1_000,
        lambda n: LOCATION + "...f " * ((n - 17) // 2) + "id " * ((n - 17) % 2) + "}} fragment f on Location {id}",
    ),
    "nesting": (64, lambda n: "{viewer{" + "...{" * (n - 2) + "name" + "}" * n),
    "depth": (12, ring),
    "introspection_depth": (16, lambda n: "{__schema{types{fields{type{" + "ofType{" * (n - 5) + "name" + "}" * n),
    "selections": (5_000, selections),
    "aliases": (30, lambda n: "{viewer{" + " ".join(f"a{i}: name" for i in range(n)) + "}}"),
    "directives": (50, lambda n: "{viewer{" + "name @skip(if: false) " * (n - 1) + "name @include(if: true)}}"),
    "variables": (
        1_000,
        lambda n: (
            "query($v: LocationStatus! = BLOCKED, $no: Boolean! = false){...f ...f ...f viewer{"
            + "name @skip(if: $no) " * (n - 999)
            + "}} fragment f on Query {locations(filter: {status: ["
            + "$v " * 333
            + "]}){totalCount}}"
        ),
    ),
    "root_fields": (20, lambda n: "{" + "viewer{name} " * n + "}"),
}


@pytest.mark.parametrize("limit", AT_THE_EDGE)
async def test_a_document_at_a_limit_is_answered_and_one_beyond_it_is_refused_with_the_limits_name(
    client: Client, limit: str
) -> None:
    maximum, document = AT_THE_EDGE[limit]
    assert outcome(await post(client, {"query": document(maximum)})) == (200, None)
    refused = await post(client, {"query": document(maximum + 1)})
    assert outcome(refused) == (400, limit)
    (error,) = refused.json()["errors"]
    assert error["extensions"] == {
        "code": "QUERY_TOO_COMPLEX",
        "limit": limit,
        "maximum": maximum,
        "requestId": refused.headers["x-request-id"],
    }


COSTLY = (
    "query ($last: Int!) {locations(first: 100){nodes{"
    + "devices{id} " * 49
    + "account{id} " * 8
    + "}} others: locations(first: $last){nodes{id}}}"
)


async def test_an_operation_at_the_greatest_price_is_answered_and_says_what_it_cost(client: Client) -> None:
    answered = await post(client, {"query": COSTLY, "variables": {"last": 98}})
    assert outcome(answered) == (200, None)
    cost = answered.json()["extensions"]["cost"]
    assert (cost["price"], cost["maximum"]) == (50_000, 50_000)


async def test_an_operation_beyond_the_greatest_price_is_refused_before_anything_is_read(client: Client) -> None:
    refused = await post(client, {"query": COSTLY, "variables": {"last": 99}})
    assert outcome(refused) == (400, "price")
    assert refused.json()["errors"][0]["message"] == (
        "The operation exceeds the price limit of 50000. Select fewer fields or request smaller pages."
    )


@pytest.mark.parametrize(
    ("query", "price"),
    [
        ("{ viewer { name } }", 1),
        ("{ viewer { account { name } } }", 2),
        ("{ locations { totalCount } }", 101),
        ("{ locations { nodes { id } } }", 1 + 20),
        ("{ locations(first: 7) { nodes { account { id } } } }", 1 + 7 * 2),
        ("{ __schema { queryType { name } } }", 2),
        ('mutation { startOnboarding(input: {locationId: "none"}) { problems { code } } }', None),
    ],
)
async def test_an_answer_says_what_it_cost(client: Client, query: str, price: int | None) -> None:
    cost = (await client.ask(query)).body["extensions"]["cost"]
    assert cost["maximum"] == 50_000
    assert cost["price"] == price if price is not None else cost["price"] >= 10


async def test_fields_are_compared_up_to_a_budget_that_no_short_document_drags_out(client: Client) -> None:
    assert outcome(await post(client, {"query": LOCATION + "account{id} " * 63 + "}}"})) == (200, None)
    refused = await post(client, {"query": LOCATION + "account{id} " * 64 + "}}"})
    assert outcome(refused) == (400, "comparisons")
    assert refused.json()["errors"][0]["message"] == (
        "The document selects the same fields too often. Merge the repeated selections."
    )


# Introspection


async def test_the_introspection_that_graphiql_sends_is_answered_with_every_description(client: Client) -> None:
    query = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        one_of=True,
    )
    response = await post(client, {"query": query, "operationName": "IntrospectionQuery"})
    types = {each["name"]: each for each in response.json()["data"]["__schema"]["types"]}
    assert all(each["description"] for name, each in types.items() if not name.startswith("__"))
    assert "extensions" in response.json()


# The request around the document


@pytest.mark.parametrize(
    ("at", "beyond", "refusal"),
    [
        (
            b'{"query": "{viewer{name}}"}'.ljust(2**20),
            b'{"query": "{viewer{name}}"}'.ljust(2**20 + 1),
            (413, "PAYLOAD_TOO_LARGE"),
        ),
        (
            b'{"query": "{viewer{name}}", "variables": {"v": ' + b"[" * 62 + b"]" * 62 + b"}}",
            b'{"query": "{viewer{name}}", "variables": {"v": ' + b"[" * 63 + b"]" * 63 + b"}}",
            (400, "BAD_REQUEST"),
        ),
        (
            b'{"query": "query A {viewer{name}} query B {viewer{name}}", "operationName": "B"}',
            b'{"query": "query A {viewer{name}} query B {viewer{name}}"}',
            (400, "BAD_REQUEST"),
        ),
        (b'{"query": "{viewer{name}}"}', b'[{"query": "{viewer{name}}"}]', (400, "BAD_REQUEST")),
    ],
    ids=["body", "json depth", "operation name", "batching"],
)
async def test_a_request_at_a_limit_is_answered_and_one_beyond_it_is_refused(
    client: Client, at: bytes, beyond: bytes, refusal: tuple[int, str]
) -> None:
    assert outcome(await post(client, at)) == (200, None)
    assert outcome(await post(client, beyond)) == refusal


@pytest.mark.parametrize(
    ("body", "headers", "refusal"),
    [
        (b'{"query": "{viewer{name}}", "query": "{viewer{name}}"}', {}, (400, "BAD_REQUEST")),
        (b'{"query": "{viewer{name}}\xff"}', {}, (400, "BAD_REQUEST")),
        (b'{"query": "{viewer{name}}"}', {"content-type": "text/plain"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        (
            b'{"query": "{viewer{name}}"}',
            {"content-type": "application/json; charset=latin-1"},
            (415, "UNSUPPORTED_MEDIA_TYPE"),
        ),
        (b'{"query": "{viewer{name}}"}', {"accept": "text/html"}, (406, "NOT_ACCEPTABLE")),
    ],
    ids=["a key twice", "not UTF-8", "no JSON", "another charset", "another answer"],
)
async def test_what_is_not_strict_json_in_utf_8_is_refused_before_graphql_sees_it(
    client: Client, body: bytes, headers: dict[str, str], refusal: tuple[int, str]
) -> None:
    assert outcome(await post(client, body, **headers)) == refusal


async def test_five_errors_of_validation_are_told_at_most_and_none_suggests_a_name(client: Client) -> None:
    response = await post(client, {"query": "{viewer{" + " ".join(f"nam{i}" for i in range(9)) + " nam}}"})
    messages = [error["message"] for error in response.json()["errors"]]
    assert messages == [f"Cannot query field 'nam{i}' on type 'Viewer'." for i in range(5)]


async def test_reading_by_get_never_writes(client: Client) -> None:
    response = await client.http.get(
        "/graphql",
        params={"query": 'mutation { startOnboarding(input: {locationId: "location-2"}) { replayed } }'},
        headers={"authorization": f"Bearer {client.token(LEAD)}"},
    )
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    status = await client.ask('{ location(id: "location-2") { status } }')
    assert status.data == {"location": {"status": "NOT_STARTED"}}


# Bombs


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_answered_at_once(client: Client, bomb: str) -> None:
    text, expected = BOMBS[bomb]
    await client.ask("{ viewer { name } }")  # the token is known from here on
    is_quick, attempt = False, 0
    while not is_quick and attempt < ATTEMPTS:
        # Another text each time, or a legal one would be remembered.
        body = {"query": f"{text}#{attempt}" if len(text) < 15_000 else text}
        began = process_time()
        response = await post(client, body)
        is_quick, attempt = is_within(process_time() - began, QUICK), attempt + 1
        assert outcome(response)[1] == expected
    assert is_quick
