"""Trusted documents over HTTP: what each mode answers to texts and hashes, who may still send text, and that a load of
other documents while requests run loses none of them.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.auth.development import DevelopmentIssuer
from app.main import create_app
from app.manifest_files import RELOAD
from app.settings import Executor, Settings, TrustedDocumentsPolicy
from graphql_schema.manifests import texts_of
from tests.builders_db import a_session, committed, secret_of
from tests.harness import CUSTOMER, LEAD, Client, TestDatabase, at_noon

from .serving import serving
from .test_request_lines import LOGGER, Lines, samples

OFF, PREFER, ONLY = TrustedDocumentsPolicy
MANIFESTS = Path(__file__).parents[1] / "manifests"
FILES = tuple(MANIFESTS / name for name in ("graphql-codegen.json", "relay-compiler.json", "apollo.json"))
RESPONSE_JSON = "application/graphql-response+json"

Json = dict[str, Any]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


TEXTS = {re.split("[ ({]+", text)[1]: text for file in FILES for text in texts_of(file.read_bytes()).values()}
VIEWER = TEXTS["Viewer"]
OTHER = "query Other { viewer { role } }"
HASH, OTHER_HASH = sha256(VIEWER), sha256(OTHER)


def apollo(document_hash: object, **more: object) -> Json:
    """The extensions with which Apollo Client and urql name a document."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": document_hash, **more}}}


def trusting(mode: TrustedDocumentsPolicy, *files: Path, **changes: Any) -> Json:
    """The settings of a server with this mode, and GraphiQL."""
    return {
        "trusted_documents": mode,
        "trusted_documents_files": files or FILES,
        "graphiql": True,
        **changes,
    }


@pytest.fixture(scope="module")
async def servers(settings: Settings, database: TestDatabase) -> AsyncIterator[Mapping[str, Client]]:
    """A server per mode."""
    async with AsyncExitStack() as stack:
        yield {
            mode: await stack.enter_async_context(serving(settings, database, **trusting(mode)))
            for mode in TrustedDocumentsPolicy
        }


async def sent(client: Client, body: Json, who: str = LEAD, method: str = "POST", accept: str = "") -> httpx.Response:
    """The response to the parameters, in a body or in a URL."""
    headers = {"authorization": f"Bearer {client.recent_token(who)}", "accept": accept or RESPONSE_JSON}
    if method == "POST":
        return await client.http.post("/graphql", json=body, headers=headers)
    parameters = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    return await client.http.get("/graphql", params=parameters, headers=headers)


RUNS = (200, None)
NOT_FOUND, NOT_SUPPORTED = (400, "PERSISTED_QUERY_NOT_FOUND"), (400, "PERSISTED_QUERY_NOT_SUPPORTED")
NOT_TRUSTED, MALFORMED = (403, "DOCUMENT_NOT_TRUSTED"), (400, "BAD_REQUEST")

# What is sent, and what the modes off, prefer and only answer.
CLAIMS: Mapping[str, tuple[Json, tuple[int, str | None], tuple[int, str | None], tuple[int, str | None]]] = {
    "the text of a trusted document": ({"query": VIEWER}, RUNS, RUNS, RUNS),
    "another text": ({"query": OTHER}, RUNS, RUNS, NOT_TRUSTED),
    "the hash in documentId": ({"documentId": f"sha256:{HASH}"}, NOT_SUPPORTED, RUNS, RUNS),
    "the hash without its prefix": ({"documentId": HASH}, NOT_SUPPORTED, RUNS, RUNS),
    "the hash of Apollo and urql": (apollo(HASH), NOT_SUPPORTED, RUNS, RUNS),
    "that of graphql-codegen": (apollo(f"sha256:{HASH}"), NOT_SUPPORTED, RUNS, RUNS),
    "both, and the same": ({"documentId": HASH, **apollo(HASH)}, NOT_SUPPORTED, RUNS, RUNS),
    "an unknown documentId": ({"documentId": f"sha256:{OTHER_HASH}"}, NOT_SUPPORTED, NOT_FOUND, NOT_FOUND),
    "an unknown hash": (apollo(OTHER_HASH), NOT_SUPPORTED, NOT_FOUND, NOT_FOUND),
    "a null query beside an unknown hash": ({"query": None, **apollo(OTHER_HASH)}, NOT_SUPPORTED, NOT_FOUND, NOT_FOUND),
    "a trusted text with its hash": ({"query": VIEWER, **apollo(HASH)}, RUNS, RUNS, RUNS),
    "another text with its hash, as urql repeats it": (
        {"query": OTHER, **apollo(OTHER_HASH, miss=True)}, RUNS, RUNS, NOT_TRUSTED,
    ),
    "a text with the hash of another": ({"query": OTHER, **apollo(HASH)}, MALFORMED, MALFORMED, MALFORMED),
    "a text with the documentId of another": (
        {"query": VIEWER, "documentId": f"sha256:{OTHER_HASH}"}, MALFORMED, MALFORMED, MALFORMED,
    ),
    "two hashes": ({"documentId": HASH, **apollo(OTHER_HASH)}, MALFORMED, MALFORMED, MALFORMED),
    "an MD5": ({"documentId": hashlib.md5(b"").hexdigest()}, MALFORMED, MALFORMED, MALFORMED),
    "upper case": ({"documentId": f"sha256:{HASH.upper()}"}, MALFORMED, MALFORMED, MALFORMED),
    "an empty hash": (apollo(""), MALFORMED, MALFORMED, MALFORMED),
    "no hash": ({"extensions": {"persistedQuery": {"version": 1}}}, MALFORMED, MALFORMED, MALFORMED),
    "version 2": (apollo(HASH, version=2), MALFORMED, MALFORMED, MALFORMED),
    "neither a text nor a hash": ({"operationName": "Viewer"}, MALFORMED, MALFORMED, MALFORMED),
}  # fmt: skip


def outcome(response: httpx.Response) -> tuple[int, str | None]:
    """The status and the code of the error, if any."""
    errors = response.json().get("errors", [])
    return response.status_code, errors[0]["extensions"]["code"] if errors else None


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("mode", TrustedDocumentsPolicy)
@pytest.mark.parametrize("claim", CLAIMS)
async def test_a_request_is_answered_as_its_mode_says(
    servers: Mapping[str, Client], claim: str, mode: TrustedDocumentsPolicy, method: str
) -> None:
    body, *expected = CLAIMS[claim]
    if method == "GET":
        body = {name: value for name, value in body.items() if value is not None}
    answers = dict(zip(TrustedDocumentsPolicy, expected, strict=True))
    assert outcome(await sent(servers[mode], body, method=method)) == answers[mode]


@pytest.mark.parametrize("accept", [RESPONSE_JSON, "application/json", "*/*"])
@pytest.mark.parametrize(
    ("mode", "code", "message"),
    [
        (PREFER, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"),
        (ONLY, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"),
        (OFF, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported"),
    ],
)
async def test_every_client_recognises_that_it_must_send_the_text(
    servers: Mapping[str, Client], accept: str, mode: TrustedDocumentsPolicy, code: str, message: str
) -> None:
    response = await sent(servers[mode], apollo(OTHER_HASH), accept=accept)
    body = response.json()
    (error,) = body["errors"]
    assert body.keys() == {"errors"}  # Apollo Client takes a body with other keys for no GraphQL response
    assert (error["message"], error["extensions"]["code"]) == (message, code)  # urql compares messages
    assert response.status_code == 400  # Relay's network layers repeat a request after 400 and above alone
    assert response.headers["content-type"].startswith("application/")  # urql takes text/* for a failure
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", TEXTS)
async def test_every_document_of_the_three_manifests_is_known(servers: Mapping[str, Client], name: str) -> None:
    variables = {"LocationList": {"first": 2}, "LocationDetail": {"id": "location-1"}, "StartOnboarding": {"id": "x"}}
    body = {"documentId": sha256(TEXTS[name]), "variables": variables.get(name, {})}
    answer = (await sent(servers[ONLY], body)).json()
    assert answer["data"], answer


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"documentId": "sha256:1"}, "`documentId` must be a SHA-256"),
        ({"documentId": 7}, "`documentId` must be a SHA-256"),
        (apollo(None), "`extensions.persistedQuery.sha256Hash` must be a SHA-256"),
        ({"extensions": {"persistedQuery": []}}, "`extensions.persistedQuery` must be an object"),
        (apollo(HASH, version="1"), "`extensions.persistedQuery.version` must be 1"),
        ({"query": OTHER, "documentId": HASH}, "`documentId` is not the SHA-256 of `query`"),
        ({"query": OTHER, **apollo(HASH)}, "`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`"),
    ],
)
async def test_the_refusal_of_a_malformed_hash_names_the_field(
    servers: Mapping[str, Client], body: Json, named: str
) -> None:
    response = await sent(servers[PREFER], body)
    assert outcome(response) == MALFORMED
    assert response.json()["errors"][0]["message"].startswith(named)


async def test_a_get_by_hash_runs_no_mutation(servers: Mapping[str, Client]) -> None:
    body = {"documentId": sha256(TEXTS["StartOnboarding"]), "variables": {"id": "location-12"}}
    assert outcome(await sent(servers[ONLY], body, method="GET")) == (405, "METHOD_NOT_ALLOWED")


async def test_a_hash_needs_a_credential_like_any_request(servers: Mapping[str, Client]) -> None:
    for body in ({"documentId": HASH}, {"documentId": OTHER_HASH}):
        response = await servers[ONLY].http.post("/graphql", json=body)
        assert outcome(response) == (401, "UNAUTHENTICATED")


async def test_only_trusts_introspection_no_more_than_other_text(servers: Mapping[str, Client]) -> None:
    assert outcome(await sent(servers[ONLY], {"query": "{ __schema { queryType { name } } }"})) == NOT_TRUSTED


async def test_a_text_is_trusted_as_it_is_written(servers: Mapping[str, Client]) -> None:
    assert outcome(await sent(servers[ONLY], {"query": VIEWER + " "})) == NOT_TRUSTED


async def test_a_refused_text_is_not_even_parsed(servers: Mapping[str, Client]) -> None:
    assert outcome(await sent(servers[ONLY], {"query": "{ ) not a document"})) == NOT_TRUSTED


TWO = "query First { viewer { name } } query Second { viewer { role } }"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest with a document of two operations."""
    path = tmp_path / "trusted.json"
    path.write_text(of(TWO))
    return path


def of(*texts: str) -> str:
    """A manifest of these documents."""
    return json.dumps({sha256(each): each for each in texts})


def replace(manifest: Path, content: str | bytes | None) -> None:
    """Write another manifest, or remove it."""
    manifest.unlink()
    if content is not None:
        manifest.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture
async def own(settings: Settings, database: TestDatabase, manifest: Path) -> AsyncIterator[Client]:
    """A server of its own with that manifest, and the mode `only`."""
    async with serving(settings, database, **trusting(ONLY, manifest)) as client:
        yield client


async def test_operation_name_chooses_from_a_trusted_document_with_several(own: Client) -> None:
    first = await sent(own, {"documentId": sha256(TWO), "operationName": "First"})
    second = await sent(own, {"documentId": sha256(TWO), "operationName": "Second"}, method="GET")
    assert (first.json()["data"]["viewer"].keys(), second.json()["data"]["viewer"].keys()) == ({"name"}, {"role"})
    for name in ({}, {"operationName": "Third"}):
        assert outcome(await sent(own, {"documentId": sha256(TWO), **name})) == MALFORMED


@pytest.fixture
async def sessions(database: TestDatabase) -> AsyncIterator[Mapping[str, str]]:
    """The secrets of a session of a lead and of a customer."""
    async with committed(database) as connection:
        names = {user: await a_session(connection, user) for user in ("user-lead", "user-acme")}
    yield {user: secret_of(name) for user, name in names.items()}
    async with committed(database) as connection:
        await connection.execute("DELETE FROM turnup.user_session")


async def from_page(
    client: Client, secret: str, site: str = "same-origin", query: str = OTHER
) -> tuple[int, str | None]:
    """The outcome of a text that a page sends with the cookie of a session."""
    headers = {"cookie": f"turnup_session={secret}", "sec-fetch-site": site, "accept": RESPONSE_JSON}
    return outcome(await client.http.post("/graphql", json={"query": query}, headers=headers))


async def test_leads_alone_may_send_text_from_graphiql(
    servers: Mapping[str, Client], sessions: Mapping[str, str]
) -> None:
    assert await from_page(servers[ONLY], sessions["user-lead"]) == RUNS
    assert await from_page(servers[ONLY], sessions["user-lead"], query="{ __schema { queryType { name } } }") == RUNS
    assert await from_page(servers[ONLY], sessions["user-acme"]) == NOT_TRUSTED
    assert await from_page(servers[ONLY], sessions["user-acme"], query=VIEWER) == RUNS


async def test_a_page_of_another_origin_may_not_send_text(
    servers: Mapping[str, Client], sessions: Mapping[str, str]
) -> None:
    assert await from_page(servers[ONLY], sessions["user-lead"], "cross-site") == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("switched_off", [{"trusted_documents_graphiql": False}, {"graphiql": False}])
async def test_text_from_graphiql_can_be_switched_off(
    settings: Settings, database: TestDatabase, sessions: Mapping[str, str], switched_off: Json
) -> None:
    async with serving(settings, database, **trusting(ONLY, **switched_off)) as client:
        assert await from_page(client, sessions["user-lead"]) == NOT_TRUSTED
        assert await from_page(client, sessions["user-lead"], query=VIEWER) == RUNS


async def test_trusted_documents_have_the_price_and_the_budget_of_their_text(
    settings: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_noon(monkeypatch)
    text = TEXTS["LocationList"]
    bodies: list[Json] = [{"query": text}, {"documentId": sha256(text)}]
    async with serving(settings, database, **trusting(PREFER, limit_price=60, limit_objects=200)) as client:
        for body in bodies:
            refused = (await sent(client, {**body, "variables": {"first": 100}})).json()["errors"][0]["extensions"]
            assert (refused["code"], refused["limit"]) == ("QUERY_TOO_COMPLEX", "price")
        costs = [(await sent(client, {**body, "variables": {"first": 2}})).json()["extensions"] for body in bodies]
        assert costs[0] == costs[1]
        codes = [outcome(await sent(client, {**bodies[1], "variables": {"first": 40}}))[1] for _ in range(30)]
        assert "RATE_LIMITED" in codes


async def test_the_reference_executor_runs_trusted_documents_as_well(
    settings: Settings, database: TestDatabase
) -> None:
    async with serving(settings, database, **trusting(ONLY, executor=Executor.REFERENCE)) as client:
        assert outcome(await sent(client, {"documentId": HASH})) == RUNS


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The lines of requests."""
    logger, lines = logging.getLogger(LOGGER), Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(level)


async def test_the_line_of_a_request_says_whether_its_document_is_trusted(
    servers: Mapping[str, Client], lines: Lines
) -> None:
    for body in ({"documentId": HASH}, {"query": OTHER}, apollo(OTHER_HASH)):
        await sent(servers[PREFER], body)
    await sent(servers[OFF], {"query": VIEWER})
    shown = [[each.get(name) for name in ("trusted", "operation_name", "document_hash")] for each in lines.found]
    assert shown == [
        [True, "Viewer", HASH],
        [False, "Other", OTHER_HASH],
        [None, None, OTHER_HASH],
        [None, "Viewer", HASH],
    ]


async def test_requests_of_trusted_documents_are_counted_by_the_names_of_their_operations(own: Client) -> None:
    for body in (
        {"documentId": sha256(TWO), "operationName": "First"},
        {"documentId": sha256(TWO), "operationName": "Third"},
        {"documentId": HASH},
    ):
        await sent(own, body)
    found = {name: value for name, value in (await samples(own)).items() if "trusted" in name or "PERSISTED" in name}
    assert found == {
        'turnup_trusted_requests_total{operation="First",outcome="ok"}': 1,
        'turnup_trusted_document_loads_total{outcome="loaded"}': 1,
        'turnup_errors_total{code="PERSISTED_QUERY_NOT_FOUND",field="none"}': 1,
        "turnup_trusted_documents": 1,
    }


async def test_a_client_adds_no_document(servers: Mapping[str, Client]) -> None:
    for _ in range(3):
        assert outcome(await sent(servers[PREFER], {"query": OTHER, **apollo(OTHER_HASH)})) == RUNS
    assert outcome(await sent(servers[PREFER], apollo(OTHER_HASH))) == NOT_FOUND


@dataclass
class Reloading:
    """A server whose documents are loaded again by a call, as a signal does it."""

    client: Client
    reload: Any


@pytest.fixture
async def reloading(settings: Settings, database: TestDatabase, manifest: Path) -> AsyncIterator[Reloading]:
    app = create_app(settings.model_copy(update=trusting(ONLY, manifest)))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app) as state,
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http,
    ):
        assert state is not None
        yield Reloading(Client(http, DevelopmentIssuer.load_or_create(settings.home), database), state[RELOAD])


async def test_other_documents_are_known_after_a_load_and_removed_ones_are_not(
    reloading: Reloading, manifest: Path
) -> None:
    client = reloading.client
    assert outcome(await sent(client, {"documentId": HASH})) == NOT_FOUND
    replace(manifest, of(VIEWER))
    await reloading.reload()
    assert outcome(await sent(client, {"documentId": HASH})) == RUNS
    assert outcome(await sent(client, {"documentId": sha256(TWO), "operationName": "First"})) == NOT_FOUND


async def test_loads_while_requests_run_lose_none(reloading: Reloading, manifest: Path) -> None:
    replace(manifest, of(VIEWER))
    await reloading.reload()
    loads = 0

    async def load_often() -> None:
        nonlocal loads
        while True:
            replace(manifest, of(VIEWER, *[f"query Q{loads}_{n} {{ viewer {{ name }} }}" for n in range(5)]))
            await reloading.reload()
            loads += 1

    loading = asyncio.create_task(load_often())
    found = set()
    while loads < 10:
        sending = [sent(reloading.client, {"documentId": HASH}) for _ in range(10)]
        found |= {outcome(each) for each in await asyncio.gather(*sending)}
    loading.cancel()
    assert found == {RUNS}


BAD: Mapping[str, tuple[str | bytes | None, str]] = {
    "a file that was removed": (None, "it cannot be read: No such file or directory"),
    "half a file": ('{"', "it is not JSON in UTF-8"),
    "other bytes": (b"\xff\xfe", "it is not JSON in UTF-8"),
    "brackets without end": ("[" * 100_000, "it is not JSON in UTF-8"),
    "an array": ("[]", "it is not a JSON object"),
    "an empty manifest": ("{}", "it contains no operation"),
    "other values": (json.dumps({HASH: 1}), "it does not map hashes to texts"),
    "an unpaired surrogate": (json.dumps({HASH: "\ud800"}), "an unpaired surrogate"),
    "a hash of another text": (json.dumps({OTHER_HASH: VIEWER}), "operation Viewer is not the SHA-256 of its text"),
    "an invalid document": (
        of("query Wrong { viewer { nmae } }"),
        "operation Wrong is refused: Cannot query field",
    ),
    "a syntax error": (of("query Wrong {"), "operation Wrong is refused: Syntax"),
    "a document that costs too much": (
        of(
            "query Dear { locations(first: 100) { nodes { auditLog(first: 100) { nodes { id } } "
            "payloads(first: 100) { nodes { id } } devices { location { auditLog(first: 100) { nodes { id } } } } } } }"
        ),
        "operation Dear is refused",
    ),
    "too many documents": (
        of(*[f"query Q{n} {{ viewer {{ name }} }}" for n in range(1_001)]),
        "there are 1,001 documents, more than 1,000",
    ),
    "too large a file": (b" " * (16 * 1024 * 1024 + 1), "larger than 16,777,216 bytes"),
    "another version of Apollo's": (
        json.dumps({"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}),
        "it is not version 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("found", BAD)
async def test_a_bad_manifest_keeps_the_documents_and_is_logged_and_counted(
    reloading: Reloading, manifest: Path, found: str, caplog: pytest.LogCaptureFixture
) -> None:
    content, problem = BAD[found]
    replace(manifest, content)
    await reloading.reload()
    (line,) = [each for each in caplog.records if each.levelname == "ERROR"]
    message = line.getMessage()
    assert problem in message
    assert str(manifest) in message or "documents, more than" in message
    assert outcome(await sent(reloading.client, {"documentId": sha256(TWO), "operationName": "First"})) == RUNS
    assert (await samples(reloading.client))['turnup_trusted_document_loads_total{outcome="failed"}'] == 1


async def test_a_manifest_that_is_no_file_blocks_nothing(reloading: Reloading, manifest: Path) -> None:
    replace(manifest, None)
    os.mkfifo(manifest)
    async with asyncio.timeout(30):
        await reloading.reload()
    assert (await samples(reloading.client))['turnup_trusted_document_loads_total{outcome="failed"}'] == 1


async def test_a_customer_runs_trusted_documents_with_the_rights_of_a_customer(servers: Mapping[str, Client]) -> None:
    body = {"documentId": sha256(TEXTS["LocationList"]), "variables": {"first": 50}}
    by_hash = (await sent(servers[ONLY], body, CUSTOMER)).json()["data"]
    by_text = (await sent(servers[OFF], {"query": TEXTS["LocationList"], "variables": {"first": 50}}, CUSTOMER)).json()
    assert by_hash == by_text["data"]
