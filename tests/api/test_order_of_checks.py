"""The order of the checks of a request: of several faults, the one that is checked first is answered."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.settings import Settings
from tests.harness import CUSTOMER, Client, TestDatabase, at_noon

from .serving import serving

MAXIMUM_BODY = 4096
INACTIVE = "The token does not belong to an active user."
TOO_DEEP = "{ nothing" + " { nothing" * 20 + " }" * 21
TOO_DEAR = """query ($id: ID!) {
  node(id: $id) { id } locations(first: 100) { nodes { devices { extension { id } } people { id } } } nothing }"""
CHEAP = "{ viewer { name } }"


@dataclass(frozen=True)
class Sent:
    """A request; `subject` None sends no token."""

    subject: str | None
    method: str = "POST"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def a_body(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


# Each fault together with the answer to it: status, code, and part of the message. The faults are in the order of the
# checks; a request has a fault of its own and those after it, as far as they can exist together.
FAULTS: dict[str, tuple[int, str, str]] = {
    "accept": (406, "NOT_ACCEPTABLE", ""),
    "method": (405, "METHOD_NOT_ALLOWED", ""),
    "content type": (415, "UNSUPPORTED_MEDIA_TYPE", ""),
    "token": (401, "UNAUTHENTICATED", "nor a session cookie"),
    "remembered refusal": (401, "UNAUTHENTICATED", INACTIVE),
    "body size": (413, "PAYLOAD_TOO_LARGE", ""),
    "json": (400, "BAD_REQUEST", ""),
    "syntax": (400, "GRAPHQL_PARSE_FAILED", ""),
    "document limits": (400, "QUERY_TOO_COMPLEX", "depth"),
    "validation": (400, "GRAPHQL_VALIDATION_FAILED", "nothing"),
    "variables": (400, "BAD_USER_INPUT", ""),
    "price": (400, "QUERY_TOO_COMPLEX", "price"),
    "user": (401, "UNAUTHENTICATED", INACTIVE),
    "identity headers": (403, "FORBIDDEN", ""),
    "budget": (429, "RATE_LIMITED", "OBJECTS"),
}
NAMES = list(FAULTS)


def from_fault(name: str) -> Sent:
    """A request with this fault and those after it."""
    place = NAMES.index(name)

    def has(fault: str) -> bool:
        return place <= NAMES.index(fault)

    bodies = {
        "body size": b"{" * (MAXIMUM_BODY + 1),
        "json": a_body(TOO_DEEP[:-1])[:-1],
        "syntax": a_body(TOO_DEEP[:-1]),
        "document limits": a_body(TOO_DEEP),
        "validation": a_body(TOO_DEAR, id={}),
        "variables": a_body(TOO_DEAR.replace(" nothing }", " }"), id={}),
        "price": a_body(TOO_DEAR.replace(" nothing }", " }"), id="location-1"),
    }
    subject: str | None = f"{name.replace(' ', '-')}@nobody.example" if has("user") else CUSTOMER
    headers = {
        "accept": "text/html" if has("accept") else "application/graphql-response+json",
        "content-type": "text/plain" if has("content type") else "application/json",
        **({"x-user-id": "user-lead"} if has("identity headers") else {}),
    }
    return Sent(
        subject=None if has("token") else subject,
        method="PUT" if has("method") else "POST",
        body=next((body for fault, body in bodies.items() if has(fault)), a_body(CHEAP)),
        headers=headers,
    )


@pytest.fixture(scope="module")
async def client(settings: Settings, database: TestDatabase) -> AsyncIterator[Client]:
    """A client of a server with a small maximum body, on which the customer has no budget left."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        at_noon(monkeypatch)
        changes = {"limit_body_bytes": MAXIMUM_BODY, "limit_price": 1000, "limit_objects": 1000}
        async with serving(settings, database, **changes) as made:
            while (await made.ask(CHEAP, CUSTOMER)).status == 200:
                await made.ask("{ locations(first: 100) { nodes { id } } }", CUSTOMER)
            yield made


async def answered(client: Client, sent: Sent) -> tuple[int, str, str]:
    token = {} if sent.subject is None else {"authorization": f"Bearer {client.token(sent.subject)}"}
    response = await client.http.request(sent.method, "/graphql", content=sent.body, headers={**sent.headers, **token})
    error = response.json()["errors"][0]
    return response.status_code, error["extensions"]["code"], error["message"] + json.dumps(error["extensions"])


@pytest.mark.parametrize("name", NAMES)
async def test_of_several_faults_the_first_in_the_order_of_the_checks_is_answered(client: Client, name: str) -> None:
    sent = from_fault(name)
    if name == "remembered refusal":
        assert sent.subject is not None
        await answered(client, replace(from_fault("user"), subject=sent.subject))
    status, code, said = await answered(client, sent)
    expected_status, expected_code, part = FAULTS[name]
    assert (status, code, part in said) == (expected_status, expected_code, True), said


async def test_a_request_without_faults_is_answered(client: Client) -> None:
    assert (await client.ask(CHEAP)).data == {"viewer": {"name": "Lena Ortiz"}}
