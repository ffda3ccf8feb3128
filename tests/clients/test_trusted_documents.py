"""Clients name documents by the hashes of their own manifests, and send texts where the server does not know a hash."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest

from tests.contract.served import Served

from .programs import reported

Session = Callable[[str], Any]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

NOT_SUPPORTED = "POST hash: PERSISTED_QUERY_NOT_SUPPORTED"
NOT_FOUND = "POST hash: PERSISTED_QUERY_NOT_FOUND"

# The requests for a query, a mutation, a query that is in no manifest, and the first query again.
WITHOUT: Mapping[str, list[list[str]]] = {
    "apollo": [[NOT_SUPPORTED, "POST hash and text: 200"]] * 4,
    "relay": [[NOT_SUPPORTED, "POST text: 200"]] * 4,
    "urql": [
        ["GET hash: PERSISTED_QUERY_NOT_SUPPORTED", "GET text: 200"],
        ["POST text: 200"],
        ["GET text: 200"],
        ["GET text: 200"],
    ],
}
BY_HASH = {
    "apollo": ["POST hash: 200", "POST hash: 200", "POST hash: 200"],
    "relay": ["POST hash: 200", "POST hash: 200", "POST hash: 200"],
    "urql": ["GET hash: 200", "POST hash: 200", "GET hash: 200"],
}
UNKNOWN = {
    "apollo": [NOT_FOUND, "POST hash and text"],
    "relay": [NOT_FOUND, "POST text"],
    "urql": ["GET hash: PERSISTED_QUERY_NOT_FOUND", "GET hash and text"],
}

each_client = pytest.mark.parametrize("client", ["apollo", "relay", "urql"])


@pytest.fixture(scope="module")
def session(servers: Mapping[str, Served]) -> Session:
    """Runs the session of a client with a server of each mode, once for all tests, and returns what it reports."""
    modes = [f"{mode}={server.origin}/graphql" for mode, server in servers.items()]
    return cache(lambda client: reported(servers["off"], f"{client}Trusted", *modes))


@each_client
def test_a_client_falls_back_to_texts_if_the_server_has_no_trusted_documents(session: Session, client: str) -> None:
    off = session(client)["off"]
    assert off == {"requests": WITHOUT[client], "codes": ["off", "off"], "role": "IMPLEMENTATION_LEAD"}


@each_client
def test_a_client_falls_back_to_the_text_of_one_document_that_the_server_does_not_know(
    session: Session, client: str
) -> None:
    prefer = session(client)["prefer"]
    query, edit, unlisted, again = prefer["requests"]
    assert [*query, *edit, *again] == BY_HASH[client]
    hashed, text = UNKNOWN[client]
    assert unlisted == [hashed, f"{text}: 200"]
    assert (prefer["codes"], prefer["role"]) == (["prefer", "prefer"], "IMPLEMENTATION_LEAD")


@each_client
def test_a_client_works_with_a_server_that_runs_its_manifest_and_nothing_else(session: Session, client: str) -> None:
    only = session(client)["only"]
    query, edit, unlisted, again = only["requests"]
    assert [*query, *edit, *again] == BY_HASH[client]
    hashed, text = UNKNOWN[client]
    assert unlisted == [hashed, f"{text}: DOCUMENT_NOT_TRUSTED"]
    assert (only["codes"], only["role"]) == (["only", "only"], None)
