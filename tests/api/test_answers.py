"""Every answer of every path and method: its form, its request id, what browsers may read of it."""

import gzip
import json
import logging
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from app.auth.development import DevelopmentIssuer
from app.http.refusals import TRANSPORT_STATUS
from app.main import create_app
from app.settings import Settings
from graphql_schema.errors import INTERNAL_MESSAGE
from tests.harness import LEAD, Client, at_noon
from tests.harness import TestDatabase as WorkerDatabase

from .serving import over_http

LISTED, FOREIGN = "http://localhost:3000", "https://evil.example"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
NO_PATHS = (
    "/",
    "/nowhere",
    "//graphql",
    "/graphql//",
    "/Graphql",
    "/graphql/x",
    "/healthz/",
    "/metrics/",
    "/%00",
    "/graphiql/assets/",
)
QUERY = "{ viewer { name } }"
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("POST", {"json": {"query": QUERY}}),
    ("GET", {"params": {"query": QUERY}}),
    ("GET", {"params": {"query": "mutation { __typename }"}}),
    ("PUT", {}),
]


@pytest.fixture(scope="module")
def app(settings: Settings) -> Starlette:
    """The app with routes that fail."""

    async def crash(_request: Request) -> PlainTextResponse:
        raise RuntimeError("password=hunter2")

    async def crash_midway(_request: Request) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("password=hunter2")

        return StreamingResponse(chunks())

    async def teapot(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("I am a teapot" * 100, 418, {"ETag": '"x"', "X-Kept": "yes"})

    app = create_app(settings)
    app.router.routes += [Route("/crash", crash), Route("/midway", crash_midway), Route("/teapot", teapot)]
    return app


async def client_seen(request: Request) -> PlainTextResponse:
    """Answer with the client's address and the scheme that the app sees."""
    assert request.client is not None
    return PlainTextResponse(f"{request.client.host} {request.url.scheme}")


def with_proxies(settings: Settings, *networks: str) -> Starlette:
    app = create_app(settings.model_copy(update={"trusted_proxies": tuple(map(ip_network, networks)) or None}))
    app.router.routes.append(Route("/client", client_seen))
    return app


FORWARDED = {"x-forwarded-for": "198.51.100.1, 203.0.113.7", "x-forwarded-proto": "https"}


@pytest.mark.parametrize(
    ("networks", "seen"),
    [
        ((), "127.0.0.1 http"),
        (("10.0.0.0/8",), "127.0.0.1 http"),
        (("127.0.0.1",), "203.0.113.7 https"),
        (("10.0.0.0/8", "127.0.0.0/8"), "203.0.113.7 https"),
        (("127.0.0.1", "203.0.113.7"), "198.51.100.1 https"),
    ],
)
async def test_a_proxy_is_believed_only_if_it_is_listed(
    settings: Settings, networks: tuple[str, ...], seen: str
) -> None:
    async with over_http(with_proxies(settings, *networks)) as http:
        assert (await http.get("/client", headers=FORWARDED)).text == seen


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"x-forwarded-for": "203.0.113.7"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-for": "garbage"},
        {"forwarded": "for=127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"origin": LISTED},
    ],
)
async def test_the_development_tokens_stay_on_this_machine(
    settings: Settings, trusted: tuple[str, ...], headers: dict[str, str]
) -> None:
    async with over_http(with_proxies(settings, *trusted)) as http:
        allowed = await http.get("/graphiql/config.json")
        refused = await http.get("/graphiql/config.json", headers=headers)
    assert allowed.json()["people"]
    has_the_form(refused)
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
    assert "eyJ" not in refused.text


@pytest.fixture(scope="module")
async def served(app: Starlette, settings: Settings, database: WorkerDatabase) -> AsyncIterator[Client]:
    """A client of the app in a real server."""
    async with over_http(app) as http:
        yield Client(http, DevelopmentIssuer.load_or_create(settings.home), database)


def paths_of(app: Starlette) -> Iterator[str]:
    for route in app.routes:
        assert isinstance(route, Route)
        if not route.path.startswith(("/crash", "/midway", "/teapot")):
            yield route.path.replace("{name}", "none.js")


def has_the_form(response: httpx.Response) -> None:
    """Fail unless an answer has a request id and nosniff, and a refusal a code, in JSON."""
    request_id = response.headers.get_list("x-request-id")
    assert (len(request_id), response.headers.get_list("x-content-type-options")) == (1, ["nosniff"])
    assert not response.is_redirect
    if response.request.method == "HEAD":
        assert response.content == b""
        if response.status_code >= 400:
            assert response.headers["content-type"].startswith("application/json")
        return
    if response.status_code < 400:
        return
    (error,) = response.json()["errors"]
    assert error["extensions"]["requestId"] == request_id[0]
    assert TRANSPORT_STATUS[error["extensions"]["code"]] == response.status_code
    assert error["message"].endswith(".")
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["cache-control"] == "no-store"
    if response.status_code == 405:
        assert response.headers["allow"]


@pytest.mark.parametrize("origin", [None, LISTED, FOREIGN])
@pytest.mark.parametrize("method", METHODS)
async def test_every_path_answers_every_method_in_one_form(
    served: Client, app: Starlette, method: str, origin: str | None
) -> None:
    headers = {} if origin is None else {"origin": origin}
    for path in (*paths_of(app), *NO_PATHS):
        response = await served.http.request(method, path, headers=headers)
        has_the_form(response)
        readable = response.headers.get("access-control-allow-origin")
        assert readable == (LISTED if origin == LISTED else None), path
        if readable:
            assert (
                response.headers["access-control-expose-headers"]
                == "X-Request-Id, X-Trace-Id, Retry-After, Turnup-Token-Expires, ETag"
            )


@pytest.mark.parametrize("method", ["BREW", "PROPFIND", "CONNECT"])
async def test_a_method_that_no_path_has_is_refused_in_the_same_form(app: Starlette, method: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http:
        for path in (*paths_of(app), *NO_PATHS):
            response = await http.request(method, path)
            has_the_form(response)
            assert response.status_code in {400, 404, 405}


@pytest.mark.parametrize("path", NO_PATHS)
async def test_a_path_that_is_not_there_is_not_found(served: Client, path: str) -> None:
    response = await served.http.post(path, json={"query": QUERY})
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("headers", [{}, {"x-forwarded-proto": "https"}, {"host": "api.example"}])
async def test_the_api_answers_with_a_slash_at_the_end_as_without(served: Client, headers: dict[str, str]) -> None:
    token = {"authorization": f"Bearer {served.token(LEAD)}", **headers}
    answers = [
        await served.http.request(method, path, headers=token, **arguments)
        for path in ("/graphql", "/graphql/")
        for method, arguments in REQUESTS
    ]
    ids = [each.headers["x-request-id"].encode() for each in answers]
    seen = [(a.status_code, a.content.replace(own, b""), shown(a)) for a, own in zip(answers, ids, strict=True)]
    assert [status for status, *_ in seen] == [200, 200, 405, 405] * 2
    assert seen[:4] == seen[4:]


def shown(response: httpx.Response) -> dict[str, str]:
    """The header fields that do not depend on the time of the request."""
    return {name: value for name, value in response.headers.items() if name not in {"date", "x-request-id"}}


@pytest.mark.parametrize(
    ("path", "parameters", "signed_in", "accept"),
    [
        ("/graphql", {"query": QUERY}, True, "application/json"),
        ("/graphql", {"query": QUERY}, True, "application/graphql-response+json"),
        ("/graphql/", {"query": QUERY}, True, "*/*"),
        ("/graphql", {"query": QUERY}, False, "*/*"),
        ("/graphql", {"query": "mutation { __typename }"}, True, "*/*"),
        ("/graphql", {"query": "{ nothing }"}, True, "application/graphql-response+json"),
        ("/graphql", {}, True, "*/*"),
        ("/graphql", {"query": QUERY}, True, "text/html"),
        ("/healthz", {}, False, "*/*"),
        ("/readyz", {}, False, "*/*"),
        ("/schemas/provisioning-payload-1.0.0.json", {}, False, "*/*"),
        ("/nowhere", {}, False, "*/*"),
        ("/graphiql/config.json", {}, False, "*/*"),
        ("/graphiql/assets/none.js", {}, False, "*/*"),
        ("/crash", {}, False, "*/*"),
        ("/teapot", {}, False, "*/*"),
    ],
)
async def test_head_answers_like_get_without_a_body(
    served: Client, path: str, parameters: dict[str, str], signed_in: bool, accept: str
) -> None:
    headers = {"accept": accept, "origin": LISTED}
    if signed_in:
        headers["authorization"] = f"Bearer {served.recent_token(LEAD)}"
    got, head = [
        await served.http.request(method, path, params=parameters, headers=headers) for method in ("GET", "HEAD")
    ]
    if "config.json" in path:  # tokens differ in their length
        del got.headers["content-length"], head.headers["content-length"]
    assert (head.status_code, shown(head), head.content) == (got.status_code, shown(got), b"")


async def test_a_failure_says_internal_and_the_request_id_and_nothing_else(
    served: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = await served.http.get("/crash", headers={"origin": LISTED})
    extensions = {"code": "INTERNAL", "requestId": response.headers["x-request-id"]}
    errors = [{"message": INTERNAL_MESSAGE, "extensions": extensions}]
    assert (response.status_code, response.json()) == (500, {"errors": errors})
    assert response.headers["access-control-allow-origin"] == LISTED
    assert [(each.name, each.getMessage()) for each in caplog.records] == [("turnup.http", "request failed")]
    assert caplog.records[0].exc_info


async def test_a_failure_in_the_middle_of_a_response_cuts_it_off(served: Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await served.http.get("/midway")


async def test_a_refusal_that_a_library_wrote_as_text_becomes_json_and_keeps_its_header_fields(served: Client) -> None:
    response = await served.http.get("/teapot")
    assert (response.status_code, response.headers["x-kept"], "etag" in response.headers) == (418, "yes", False)
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert error["message"].startswith("I am a teapot")
    assert len(error["message"]) <= 201


async def preflight(http: httpx.AsyncClient, **changes: str) -> httpx.Response:
    asked = {"origin": LISTED, "access-control-request-method": "POST", **changes}
    return await http.options("/graphql", headers=asked)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": FOREIGN},
        {"origin": "null"},
        {"access-control-request-method": "DELETE"},
        {"access-control-request-headers": "x-turnup-csrf"},
        {"access-control-request-headers": "authorization, cookie"},
        {"access-control-request-headers": "apollographql-client-name"},
        {"access-control-request-private-network": "true"},
    ],
    ids="-".join,
)
async def test_a_refused_preflight_has_a_code_and_the_reason(served: Client, changes: dict[str, str]) -> None:
    response = await preflight(served.http, **changes)
    has_the_form(response)
    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (400, "BAD_REQUEST")
    assert error["message"].startswith("Disallowed CORS ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_preflight_of_a_method_of_the_api_is_allowed(served: Client, method: str) -> None:
    response = await preflight(served.http, **{"access-control-request-method": method})
    assert response.status_code == 200
    has_the_form(response)


@pytest.mark.parametrize(
    "fields",
    [
        "authorization,content-type",
        "traceparent, tracestate, x-request-id",
        "x-user-id,x-user-role",
        "accept,content-encoding",
        "Authorization, X-Request-ID",
    ],
)
async def test_a_page_may_send_the_fields_that_the_server_reads(served: Client, fields: str) -> None:
    response = await preflight(served.http, **{"access-control-request-headers": fields})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, LISTED)


async def test_browsers_keep_a_preflight_for_two_hours_by_what_it_asked(served: Client) -> None:
    response = await preflight(served.http)
    varying = set(response.headers["vary"].lower().split(", "))
    assert response.headers["access-control-max-age"] == "7200"
    assert varying >= {"origin", "access-control-request-method", "access-control-request-headers"}


async def test_a_page_may_send_the_fields_that_the_operator_adds(settings: Settings) -> None:
    added = {"cors_headers": ("apollographql-client-name", "apollographql-client-version")}
    asked = {"access-control-request-headers": "authorization, apollographql-client-name, Apollographql-Client-Version"}
    async with over_http(create_app(settings.model_copy(update=added))) as http:
        assert (await preflight(http, **asked)).status_code == 200
        assert (await preflight(http, **{"access-control-request-headers": "x-other"})).status_code == 400


async def test_a_page_can_read_why_and_until_when_it_was_refused(
    settings: Settings, database: WorkerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_noon(monkeypatch)
    async with over_http(create_app(settings.model_copy(update={"limit_objects": 20}))) as http:
        client = Client(http, DevelopmentIssuer.load_or_create(settings.home), database)
        await client.ask("{ locations { nodes { id } } }")
        refused = await client.ask("{ locations { nodes { id } } }", headers={"origin": LISTED})
        assert refused.status == 429
        assert refused.codes == ["RATE_LIMITED"]
        assert refused.headers["retry-after"]
        assert refused.headers["access-control-allow-origin"] == LISTED
        unknown = await client.ask(QUERY, None, headers={"origin": LISTED})
        assert (unknown.status, unknown.headers["access-control-allow-origin"]) == (401, LISTED)
        assert "X-Request-Id" in unknown.headers["access-control-expose-headers"]


@pytest.mark.parametrize("range_", ["bytes=x", "bytes=99999999-", "bytes=0-0,0-0,0-0", "lines=1-2"])
async def test_a_range_is_ignored(served: Client, range_: str) -> None:
    response = await served.http.get("/graphiql/assets/none.js", headers={"range": range_})
    assert response.status_code == 404
    has_the_form(response)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "identity, gzip", ""])
async def test_a_compressed_body_is_refused_as_such(served: Client, coding: str) -> None:
    response = await served.http.post(
        "/graphql",
        content=gzip.compress(BODY.encode()),
        headers={"content-type": "application/json", "content-encoding": coding},
    )
    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert "Content-Encoding" in error["message"]


async def test_a_body_may_say_that_it_is_not_compressed(served: Client) -> None:
    answer = await served.ask(QUERY, headers={"content-encoding": "Identity"})
    assert answer.status == 200


BOM = "\ufeff"
BODY = json.dumps({"query": QUERY})


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ((BOM + BODY).encode(), "BOM"),
        (BOM.encode(), "BOM"),
        *((BODY.encode(encoding), "UTF-") for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")),
    ],
)
async def test_a_body_in_another_form_of_unicode_is_refused_by_its_name(
    served: Client, body: bytes, named: str
) -> None:
    response = await served.http.post(
        "/graphql",
        content=body,
        headers={"content-type": "application/json", "authorization": f"Bearer {served.token(LEAD)}"},
    )
    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (400, "BAD_REQUEST")
    assert named in error["message"]
