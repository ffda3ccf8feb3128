"""Answers to queries by GET have a tag, and are sent again only when their data has changed for who asks."""

import gzip

import httpx
import pytest

from app.auth.development import DevelopmentIssuer
from app.domain.payload import VERSIONS
from app.domain.vocabulary import Budget, Role
from app.http.content_coding import zstd
from app.main import create_app
from app.settings import Settings
from tests.builders_db import a_user, committed, forget
from tests.harness import CUSTOMER, LEAD, LEAD_2, PARTNER, Client, TestDatabase

from .serving import over_http, serving
from .test_request_lines import Lines, counts, lines  # noqa: F401 - a fixture

NAMES = "{ viewer { name } locations(first: 5) { nodes { id name } } }"
ROLE = "{ viewer { role } }"
TYPES = "{ __schema { types { name description } } }"
VARY = "Accept, Accept-Encoding, Authorization, Cookie"
CHANGED = 'UPDATE turnup."user"'


async def got(client: Client, query: str, who: str = LEAD, /, *, method: str = "GET", **fields: str) -> httpx.Response:
    """Return the response to a query by GET, with these header fields; `_` takes the place of `-`."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    signed_in = {"authorization": f"Bearer {client.recent_token(who)}"}
    return await client.http.request(method, "/graphql", params={"query": query}, headers={**signed_in, **headers})


async def test_a_query_by_get_may_be_kept_by_the_client_that_asks_each_time(client: Client) -> None:
    first = await got(client, NAMES)
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"].startswith(VARY)
    again = await got(client, NAMES, if_none_match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


async def test_a_304_repeats_the_fields_of_the_200_without_those_of_a_body(client: Client) -> None:
    first = await got(client, NAMES, origin="http://localhost:3000")
    again = await got(client, NAMES, origin="http://localhost:3000", if_none_match=first.headers["etag"])
    own = {"x-request-id", "x-trace-id"}
    body = {"content-type", "content-length", "content-encoding"}
    assert {name: value for name, value in again.headers.items() if name not in own} == {
        name: value for name, value in first.headers.items() if name not in own | body
    }
    assert {"etag", "cache-control", "vary", "access-control-allow-origin"} <= set(again.headers)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


async def test_no_other_answer_of_graphql_may_be_kept(client: Client) -> None:
    posted = await client.ask(NAMES)
    answers = [
        await got(client, "{ viewer { name } auditLog { totalCount } }", PARTNER),  # a field failed
        await got(client, "{ none }"),
        await got(client, "mutation { __typename }"),
        await got(client, NAMES, authorization="Bearer none"),
        await got(client, NAMES, accept="text/html"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 405, 401, 406]
    for headers in (posted.headers, *[answer.headers for answer in answers]):
        assert "etag" not in headers
        assert headers["cache-control"] == "no-store"
        assert headers["vary"].startswith(VARY)
    for query in ("{ viewer { name } auditLog { totalCount } }", "{ none }"):
        assert (await got(client, query, PARTNER, if_none_match="*")).status_code == 200


async def test_a_post_is_always_answered_in_full(client: Client) -> None:
    tag = (await got(client, NAMES)).headers["etag"]
    for condition in (tag, "*"):
        assert (await client.ask(NAMES, headers={"if-none-match": condition})).data


async def test_answers_that_differ_in_extensions_alone_have_one_tag(settings: Settings, database: TestDatabase) -> None:
    async with (
        serving(settings, database, limit_price=40_000) as other,
        serving(settings, database, limit_price=50_000) as client,
    ):
        first, second = await got(client, NAMES), await got(other, NAMES)
    assert first.json()["data"] == second.json()["data"]
    assert first.json()["extensions"] != second.json()["extensions"]
    assert first.headers["etag"] == second.headers["etag"]


async def test_a_tag_is_of_the_data_and_not_of_the_coding(client: Client) -> None:
    tags = {(await got(client, TYPES, accept_encoding=each)).headers["etag"] for each in ("gzip", "zstd", "identity")}
    (tag,) = tags
    assert (await got(client, TYPES, accept_encoding="gzip", if_none_match=tag)).status_code == 304


async def test_head_has_the_fields_of_get(client: Client) -> None:
    for accept in ("gzip", "zstd", "identity"):
        asked = [await got(client, TYPES, method=method, accept_encoding=accept) for method in ("GET", "HEAD")]
        fields = [{**each.headers, "x-request-id": ""} for each in asked]
        assert fields[0] == fields[1]
        assert asked[1].content == b""
        unchanged = await got(client, TYPES, method="HEAD", if_none_match=asked[0].headers["etag"])
        assert (unchanged.status_code, unchanged.headers["etag"]) == (304, asked[0].headers["etag"])


async def test_another_user_gets_an_answer_of_their_own_for_the_same_address(client: Client) -> None:
    tag = (await got(client, NAMES, LEAD)).headers["etag"]
    for who in (LEAD_2, CUSTOMER, PARTNER):
        other = await got(client, NAMES, who, if_none_match=tag)
        assert other.status_code == 200
        assert other.json()["data"] == (await client.ask(NAMES, who)).body["data"]
    assert (await got(client, NAMES, if_none_match=tag, authorization="Bearer none")).status_code == 401


async def test_who_has_lost_a_right_does_not_get_304(client: Client) -> None:
    async with committed(client.database) as connection:
        user = await a_user(connection, Role.IMPLEMENTATION_LEAD)
    tags = {query: (await got(client, query, user)).headers["etag"] for query in (ROLE, NAMES)}
    async with committed(client.database) as connection:
        await connection.execute(f"{CHANGED} SET role = 'AUDITOR', all_accounts = false WHERE id = $1", user)
    after = {query: await got(client, query, user, if_none_match=tag) for query, tag in tags.items()}
    assert after[ROLE].json()["data"] == {"viewer": {"role": "AUDITOR"}}
    assert after[NAMES].json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    async with committed(client.database) as connection:
        await connection.execute(f"{CHANGED} SET status = 'SUSPENDED' WHERE id = $1", user)
    refused = await got(client, ROLE, user, if_none_match="*")
    assert (refused.status_code, refused.headers["cache-control"]) == (401, "no-store")
    await forget(client.database, [], [user])


async def test_a_304_is_counted_logged_and_charged_like_the_answer(
    settings: Settings,
    database: TestDatabase,
    lines: Lines,  # noqa: F811 - the fixture
) -> None:
    async with serving(settings, database) as client:
        tag = (await got(client, NAMES)).headers["etag"]
        remaining = await objects_left(client)
        lines.found.clear()
        assert (await got(client, NAMES, if_none_match=tag)).status_code == 304
        line = lines.only
        spent = remaining - await objects_left(client)
        responses = await counts(client, "responses_total")
        requests = await counts(client, "requests_total")
    assert {name: line[name] for name in ("status", "method", "outcome", "role", "root_fields", "returned")} == {
        "status": 304,
        "method": "GET",
        "outcome": "ok",
        "role": "IMPLEMENTATION_LEAD",
        "root_fields": ("viewer", "locations"),
        "returned": 7,
    }
    assert line["statements"] > 0
    assert spent == 7 + len(Budget)
    assert responses["route=/graphql,status=304"] == 1
    assert requests["field=locations,outcome=ok"] == 2


async def test_a_304_is_refused_without_budget(settings: Settings, database: TestDatabase) -> None:
    async with serving(settings, database, limit_objects=20) as client:
        answers = [await got(client, NAMES)]
        tag = answers[0].headers["etag"]
        while answers[-1].status_code != 429:
            answers.append(await got(client, NAMES, if_none_match=tag))
            assert len(answers) < 20
    assert {answer.status_code for answer in answers[1:-1]} <= {304}
    assert answers[-1].headers["cache-control"] == "no-store"


async def objects_left(client: Client) -> int:
    answer = await client.ask("{ rateLimits { budget remaining } }")
    (remaining,) = [each["remaining"] for each in answer.data["rateLimits"] if each["budget"] == "OBJECTS"]
    assert isinstance(remaining, int)
    return remaining


async def test_a_connection_stays_usable_after_304_head_and_compressed_answers(
    settings: Settings, database: TestDatabase
) -> None:
    async with over_http(create_app(settings)) as http:
        served = Client(http, DevelopmentIssuer.load_or_create(settings.home), database)
        full = await got(served, TYPES, accept_encoding="identity")
        for coding in ("gzip", "zstd", "identity"):
            fields = {"accept_encoding": coding}
            answers = [
                await got(served, TYPES, **fields),
                await got(served, TYPES, method="HEAD", **fields),
                await got(served, TYPES, if_none_match=full.headers["etag"], **fields),
                await got(served, TYPES, **fields),
            ]
            assert [each.status_code for each in answers] == [200, 200, 304, 200]
            decoded = zstd.decompress if coding == "zstd" else bytes  # the client decodes gzip itself
            assert [decoded(each.content) for each in (answers[0], answers[3])] == [full.content] * 2
            assert [each.content for each in answers[1:3]] == [b"", b""]
            assert answers[0].headers["content-length"] == answers[1].headers["content-length"]
            assert answers[0].headers.get("content-encoding", "identity") == coding


@pytest.mark.parametrize("version", VERSIONS)
async def test_any_cache_may_keep_the_schemas_of_payloads(client: Client, version: str) -> None:
    path = f"/schemas/provisioning-payload-{version}.json"
    first = await client.http.get(path, headers={"accept-encoding": "zstd"})
    again = await client.http.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (first.headers["content-encoding"], again.status_code, again.content) == ("zstd", 304, b"")
    for response in (first, again):
        assert response.headers["cache-control"] == "public, max-age=300, must-revalidate"
        assert response.headers["vary"] == "Accept-Encoding, Origin"
    metrics = await client.http.get("/metrics", headers={"if-none-match": "*"})
    assert (metrics.status_code, metrics.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "identity, gzip"])
async def test_a_compressed_request_is_refused_in_words_with_what_is_accepted(client: Client, coding: str) -> None:
    body = gzip.compress(b'{"query": "{ viewer { name } }"}')
    headers = {"authorization": f"Bearer {client.recent_token(LEAD)}", "content-type": "application/json"}
    response = await client.http.post("/graphql", content=body, headers={**headers, "content-encoding": coding})
    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert error["message"] == "The body must not be compressed: omit Content-Encoding."
    assert response.headers["accept-encoding"] == "identity"
