"""What is refused, with which code and status, naming the field; and what a failure of ours says: nothing."""

import base64
import json
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from app.auth.development import DevelopmentIssuer
from app.settings import Settings
from tests.harness import CUSTOMER, LEAD, PARTNER, Answer, Client

from .conftest import World

JSON = {"content-type": "application/json"}


async def posted(client: Client, body: Any, *, who: str | None = LEAD, **headers: str) -> Answer:
    """The answer to a body as it is, or as JSON when it is no bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"authorization": f"Bearer {client.token(who)}"} if who else {}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.http.post("/graphql", content=content, headers={**JSON, **sent, **given})
    return Answer(response.status_code, response.json(), response.headers, response.content)


async def got(client: Client, who: str = LEAD, **parameters: str) -> Answer:
    response = await client.http.get(
        f"/graphql?{urlencode(parameters)}", headers={"authorization": f"Bearer {client.token(who)}"}
    )
    return Answer(response.status_code, response.json(), response.headers, response.content)


def said(answer: Answer) -> tuple[int, list[str]]:
    """Status and codes; every error has to carry the response's request id."""
    ids = {error["extensions"]["requestId"] for error in answer.body.get("errors", [])}
    assert ids <= {answer.headers["x-request-id"]}
    return answer.status, answer.codes


MALFORMED_IDS = {
    "too long": "location-" + "x" * 56,
    "slash": "location/1",
    "empty": "",
    "NUL": "location-1\0",
    "line break": "location-1\n",
    "space": " location-1",
    "unicode": "lοcation-1",
    "emoji": "location-\U0001f3e5",
    "full-width": "location-１",
}


@pytest.mark.parametrize("wanted", MALFORMED_IDS.values(), ids=MALFORMED_IDS)
@pytest.mark.parametrize("field", ["node", "account", "location", "onboardingSession", "provisioningPayload"])
async def test_a_malformed_id_is_refused_by_name(client: Client, field: str, wanted: str) -> None:
    answer = await client.ask(f"query($id: ID!) {{ {field}(id: $id) {{ __typename }} }}", id=wanted)
    assert (said(answer), answer.body["data"]) == ((200, ["BAD_USER_INPUT"]), {field: None})
    assert answer.body["errors"][0]["extensions"]["field"] == "id"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ('{ locations(filter: {accountId: "a/b"}) { totalCount } }', "accountId"),
        ('{ locations(filter: {name: "a\\u0000b"}) { totalCount } }', "name"),
        ('{ locations(filter: {name: "a\\u202eb"}) { totalCount } }', "name"),
        (f'{{ locations(filter: {{name: "{"n" * 121}"}}) {{ totalCount }} }}', "name"),
        ('{ locations(filter: {updatedSince: "2024-01-01T00:00:00"}) { totalCount } }', "updatedSince"),
        ('{ auditLog(filter: {since: "2024-01-01T00:00:00"}) { totalCount } }', "since"),
        ('{ auditLog(filter: {until: "2024-01-01T00:00:00"}) { totalCount } }', "until"),
        ('{ locations(filter: {updatedSince: "0001-01-01T00:00:00+14:00"}) { totalCount } }', "updatedSince"),
        ('{ locations(filter: {updatedSince: "9999-12-31T23:59:59-14:00"}) { totalCount } }', "updatedSince"),
        ('{ approvals(filter: {locationId: ""}) { totalCount } }', "locationId"),
        ('{ provisioningPayloads(filter: {locationId: "é"}) { totalCount } }', "locationId"),
        ('{ provisioningPayloads(filter: {updatedSince: "2024-01-01T00:00:00"}) { totalCount } }', "updatedSince"),
        ('{ auditLog(filter: {accountId: "a b"}) { totalCount } }', "accountId"),
        ('{ auditLog(filter: {locationId: "a b"}) { totalCount } }', "locationId"),
        ('{ auditLog(filter: {actorId: "a b"}) { totalCount } }', "actorId"),
        ('{ auditLog(filter: {requestId: "a b"}) { totalCount } }', "requestId"),
        ('{ auditLog(filter: {clientRequestId: "a b"}) { totalCount } }', "clientRequestId"),
        ('{ auditLog(filter: {overrideId: "a b"}) { totalCount } }', "overrideId"),
        ('{ auditLog(filter: {clientRequestId: "a\\u0000"}) { totalCount } }', "clientRequestId"),
        ('{ readiness(locationId: "a b") { code } }', "locationId"),
        ('{ review(locationId: "a b") { digest } }', "locationId"),
        ("{ locations(first: 0) { totalCount } }", "first"),
        ("{ locations(first: -1) { totalCount } }", "first"),
        ("{ locations(first: 101) { totalCount } }", "first"),
        ("{ accounts(first: 2147483647) { totalCount } }", "first"),
        ("{ deviceModels(first: -2147483648) { totalCount } }", "first"),
        ('{ auditLog(after: "?") { totalCount } }', "after"),
    ],
)
async def test_a_value_that_cannot_be_read_is_refused_by_name(client: Client, query: str, field: str) -> None:
    answer = await client.ask(query)
    assert said(answer) == (200, ["BAD_USER_INPUT"])
    assert answer.body["errors"][0]["extensions"]["field"] == field


LOCATIONS = """
query($after: String, $order: LocationOrder! = {field: NAME, direction: ASC}, $filter: LocationFilter) {
  locations(first: 3, after: $after, orderBy: $order, filter: $filter) { nodes { id } pageInfo { endCursor } } }
"""


BY_UPDATE = {"field": "UPDATED_AT", "direction": "ASC"}


def a_cursor(*place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()


CURSORS = {
    "empty": "",
    "garbage": "garbage",
    "not ASCII": "ключ",
    "not base64": "%%%%",
    "no JSON": base64.urlsafe_b64encode(b"{not json").decode(),
    "a number": a_cursor(),
    "another list": a_cursor("account.name ASC", "", ["Acme", "account-1"]),
    "another order": a_cursor("location.updated ASC", "", ["2024-01-01T00:00:00Z", "location-1"]),
    "other filters": a_cursor("location.name ASC", "0011223344556677", ["Acme", "location-1"]),
    "too few values": a_cursor("location.name ASC", "", ["Acme"]),
    "too many values": a_cursor("location.name ASC", "", ["Acme", "location-1", "x"]),
    "wrong types": a_cursor("location.name ASC", "", [1, 2]),
    "nulls": a_cursor("location.name ASC", "", [None, None]),
    "NUL": a_cursor("location.name ASC", "", ["a\0", "location-1"]),
    "half a character": base64.urlsafe_b64encode(b'["location.name ASC","",["\\ud800","location-1"]]').decode(),
    "deep": base64.urlsafe_b64encode(b"[" * 1500).decode(),
    "deep values": base64.urlsafe_b64encode(b'["location.name ASC","",' + b"[" * 1200).decode(),
    "long": "A" * 5000,
    "more members": a_cursor("location.name ASC", "", ["Acme", "location-1"], "more"),
}


@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS)
async def test_a_cursor_that_is_not_of_this_list_is_refused(client: Client, cursor: str) -> None:
    answer = await client.ask(LOCATIONS, after=cursor)
    assert (said(answer), answer.body["errors"][0]["extensions"]["field"]) == ((200, ["BAD_USER_INPUT"]), "after")


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-01-01T00:00:00", "yesterday", 5, None, "infinity"],
)
async def test_a_cursor_with_a_moment_that_is_none_is_refused(client: Client, moment: Any) -> None:
    answer = await client.ask(LOCATIONS, after=a_cursor("location.updated ASC", "", [moment, "a"]), order=BY_UPDATE)
    assert (said(answer), answer.body["errors"][0]["extensions"]["field"]) == ((200, ["BAD_USER_INPUT"]), "after")


async def test_a_cursor_of_one_order_or_filter_is_refused_under_another(client: Client) -> None:
    cursor = (await client.ask(LOCATIONS)).data["locations"]["pageInfo"]["endCursor"]
    changed: list[dict[str, Any]] = [
        {"order": BY_UPDATE},
        {"order": {"field": "NAME", "direction": "DESC"}},
        {"filter": {"status": ["APPROVED"]}},
        {"filter": {"name": "a"}},
        {"filter": {"accountId": "account-1"}},
    ]
    assert [said(await client.ask(LOCATIONS, after=cursor, **each)) for each in changed] == [
        (200, ["BAD_USER_INPUT"])
    ] * 5


async def test_the_same_filters_written_otherwise_take_the_same_cursor(client: Client) -> None:
    one = {"status": ["APPROVED", "PROVISIONING", "COMPLETED", "BLOCKED"], "updatedSince": "2020-01-01T00:00:00Z"}
    other = {"updatedSince": "2020-01-01T01:00:00+01:00", "status": [*reversed(one["status"]), "BLOCKED"], "name": " "}
    first = (await client.ask(LOCATIONS, filter=one)).data["locations"]
    second = (await client.ask(LOCATIONS, filter=other, after=first["pageInfo"]["endCursor"])).data["locations"]
    at_once = await client.ask(LOCATIONS.replace("first: 3", "first: 6"), filter=one)
    assert len(first["nodes"]) == 3
    assert len(second["nodes"]) >= 2
    assert [*first["nodes"], *second["nodes"]] == at_once.data["locations"]["nodes"]


VARIABLES: list[tuple[str, dict[str, Any]]] = [
    ("query($id: ID!) { location(id: $id) { id } }", {}),
    ("query($id: ID!) { location(id: $id) { id } }", {"id": None}),
    ("query($id: ID!) { location(id: $id) { id } }", {"id": ["location-1"]}),
    ("query($id: ID!) { location(id: $id) { id } }", {"id": {"x": 1}}),
    ("query($n: Int!) { locations(first: $n) { totalCount } }", {"n": "20"}),
    ("query($n: Int!) { locations(first: $n) { totalCount } }", {"n": 1.5}),
    ("query($n: Int!) { locations(first: $n) { totalCount } }", {"n": 2**31}),
    ("query($n: Int = 5) { locations(first: $n) { totalCount } }", {"n": None}),
    ("query($o: LocationOrder = {field: NAME, direction: ASC}) { locations(orderBy: $o) { totalCount } }", {"o": None}),
    ("query($o: LocationOrder!) { locations(orderBy: $o) { totalCount } }", {"o": {"field": None, "direction": "ASC"}}),
    ("query($o: LocationOrder!) { locations(orderBy: $o) { totalCount } }", {"o": {"field": "NAME"}}),
    ("query($o: LocationOrder!) { locations(orderBy: $o) { totalCount } }", {"o": "NAME"}),
    ("query($f: LocationFilter) { locations(filter: $f) { totalCount } }", {"f": {"status": ["LOST"]}}),
    ("query($f: LocationFilter) { locations(filter: $f) { totalCount } }", {"f": {"status": [None]}}),
    ("query($f: LocationFilter) { locations(filter: $f) { totalCount } }", {"f": {"unknown": 1}}),
    ("query($f: LocationFilter) { locations(filter: $f) { totalCount } }", {"f": {"updatedSince": "yesterday"}}),
    ("query($f: LocationFilter) { locations(filter: $f) { totalCount } }", {"f": {"updatedSince": 5}}),
    ("query($f: LocationFilter) { locations(filter: $f) { totalCount } }", {"f": "all"}),
    ("query($b: DeviceBrand) { deviceModels(brand: $b) { totalCount } }", {"b": "yealink"}),
]


@pytest.mark.parametrize(
    ("query", "variables"), VARIABLES, ids=[str(each[1])[:40] + str(n) for n, each in enumerate(VARIABLES)]
)
async def test_a_variable_that_does_not_fit_its_type_is_the_clients_mistake(
    client: Client, query: str, variables: dict[str, Any]
) -> None:
    answer = await client.ask(query, **variables)
    assert (answer.status, set(answer.codes)) == (200, {"BAD_USER_INPUT"})


DOCUMENTS = [
    ("{ locations(filter: {status: [LOST]}) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ locations(orderBy: {field: SIZE, direction: ASC}) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ locations(orderBy: {field: NAME, direction: null}) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ locations(first: null) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ locations(first: 3000000000) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ viewer { name ", "GRAPHQL_PARSE_FAILED"),
    ("", "GRAPHQL_PARSE_FAILED"),
    ('query { node(id: "\\uD800") { id } }', "GRAPHQL_PARSE_FAILED"),
    ("fragment A on Query { viewer { name } }", "GRAPHQL_VALIDATION_FAILED"),
    ("subscription { __typename }", "GRAPHQL_VALIDATION_FAILED"),
    ("query A { viewer { name } } query B { viewer { name } }", "BAD_REQUEST"),
    ("{ " + "".join(f"a{n}: viewer {{ name }} " for n in range(31)) + "}", "QUERY_TOO_COMPLEX"),
    ("{ " + "viewer { name } " * 21 + "}", "QUERY_TOO_COMPLEX"),
    ("{ locations { nodes { " + "devices { location { " * 5 + "id" + " } }" * 5 + " } } }", "QUERY_TOO_COMPLEX"),
    (
        "{ locations(first: 100) { nodes { devices { location { devices { location { devices { id } } } } } } } }",
        "QUERY_TOO_COMPLEX",
    ),
    ("{ viewer { " + "name " * 1000 + "} }", "QUERY_TOO_COMPLEX"),
    ("#" * 15_001, "QUERY_TOO_COMPLEX"),
    (
        "{ ...F0 } "
        + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
        + " fragment F40 on Query { viewer { name } }",
        "QUERY_TOO_COMPLEX",
    ),
]


@pytest.mark.parametrize(("document", "code"), DOCUMENTS, ids=[f"{code}-{n}" for n, (_, code) in enumerate(DOCUMENTS)])
@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_a_document_that_cannot_be_run_is_refused_as_a_whole(
    client: Client, document: str, code: str, accept: str
) -> None:
    began = time.process_time()
    answer = await posted(client, {"query": document}, accept=accept)
    assert (set(answer.codes), "data" in answer.body) == ({code}, False)
    assert answer.status == (200 if accept == "application/json" and code != "BAD_REQUEST" else 400)
    assert time.process_time() - began < 1


async def test_at_most_five_mistakes_of_a_document_are_listed(client: Client) -> None:
    answer = await client.ask("{ a b c d e f g }")
    assert answer.codes == ["GRAPHQL_VALIDATION_FAILED"] * 5


BODIES = {
    "no JSON": (b"query { viewer }", 400, "BAD_REQUEST"),
    "nothing": (b"", 400, "BAD_REQUEST"),
    "no query": (b"{}", 400, "BAD_REQUEST"),
    "query is a number": (b'{"query": 5}', 400, "BAD_REQUEST"),
    "variables are a list": (b'{"query": "{ viewer { name } }", "variables": []}', 400, "BAD_REQUEST"),
    "variables are a text": (b'{"query": "{ viewer { name } }", "variables": "{}"}', 400, "BAD_REQUEST"),
    "the name is a number": (b'{"query": "{ viewer { name } }", "operationName": 1}', 400, "BAD_REQUEST"),
    "the name is unknown": (b'{"query": "query A { viewer { name } }", "operationName": "B"}', 400, "BAD_REQUEST"),
    "a key twice": (b'{"query": "{ a }", "query": "{ viewer { name } }"}', 400, "BAD_REQUEST"),
    "half a character": (b'{"query": "{ viewer { name } }", "variables": {"id": "\\ud800"}}', 400, "BAD_REQUEST"),
    "not UTF-8": (b'{"query": "\xff"}', 400, "BAD_REQUEST"),
    "a byte order mark": (b'\xef\xbb\xbf{"query": "{ viewer { name } }"}', 400, "BAD_REQUEST"),
    "NaN": (b'{"query": "{ viewer { name } }", "variables": {"n": NaN}}', 400, "BAD_REQUEST"),
    "deep": (b'{"query": "{ a }", "variables": ' + b'{"a":' * 70 + b"1" + b"}" * 71, 400, "BAD_REQUEST"),
    "a megabyte and a byte": (b'{"query": "{ viewer { name } }"}' + b" " * 1024 * 1024, 413, "PAYLOAD_TOO_LARGE"),
}


@pytest.mark.parametrize(("body", "status", "code"), BODIES.values(), ids=BODIES)
async def test_a_body_that_is_no_request_is_refused(client: Client, body: bytes, status: int, code: str) -> None:
    assert said(await posted(client, body)) == (status, [code])


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "application/json; charset=latin-1",
        "application/graphql",
    ],
)
async def test_only_json_bodies_are_read(client: Client, kind: str) -> None:
    answer = await posted(client, {"query": "{ viewer { name } }"}, content_type=kind)
    assert said(answer) == (415, ["UNSUPPORTED_MEDIA_TYPE"])


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/graphql-response+json", "application/graphql-response+json"),
        ("application/graphql-response+json, application/json", "application/graphql-response+json"),
        ("application/graphql-response+json;q=0.5, application/json;q=0.9", "application/json"),
        ("application/json;q=0.5, application/graphql-response+json;q=0.9", "application/graphql-response+json"),
        ("application/json;q=0, application/*", "application/graphql-response+json"),
        ("text/html, application/*;q=0.1", "application/json"),
        ("APPLICATION/JSON; Q=0.3", "application/json"),
    ],
)
async def test_the_answers_type_is_what_the_client_accepts_best(client: Client, accept: str, kind: str) -> None:
    answer = await posted(client, {"query": "{ viewer { name } }"}, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "image/*"])
async def test_who_accepts_no_json_gets_no_answer(client: Client, accept: str) -> None:
    assert said(await posted(client, {"query": "{ viewer { name } }"}, accept=accept)) == (406, ["NOT_ACCEPTABLE"])


async def test_get_answers_queries(client: Client) -> None:
    answer = await got(
        client,
        CUSTOMER,
        query="query A($id: ID!) { location(id: $id) { name } } query B { viewer { name } }",
        operationName="A",
        variables='{"id": "location-2"}',
    )
    assert answer.data == {"location": {"name": "Acme Medical - North Clinic"}}


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"query": "mutation { __typename }"}, 405, "METHOD_NOT_ALLOWED"),
        (
            {"query": "query A { viewer { name } } mutation B { __typename }", "operationName": "B"},
            405,
            "METHOD_NOT_ALLOWED",
        ),
        ({}, 400, "BAD_REQUEST"),
        ({"query": "{ viewer { name } }", "variables": "{"}, 400, "BAD_REQUEST"),
        ({"query": "{ viewer { name } }", "variables": "[]"}, 400, "BAD_REQUEST"),
        ({"query": "{ viewer { name } }", "variables": '{"a": "\\ud800"}'}, 400, "BAD_REQUEST"),
    ],
)
async def test_get_never_writes_and_reads_strictly(
    client: Client, parameters: dict[str, str], status: int, code: str
) -> None:
    assert said(await got(client, **parameters)) == (status, [code])


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(client: Client, method: str) -> None:
    response = await client.http.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_tokens_that_prove_nothing_are_refused_with_a_challenge(client: Client, settings: Settings) -> None:
    issuer, now = DevelopmentIssuer.load_or_create(settings.home), time.time()
    head, _, signature = client.token(LEAD).rpartition(".")
    tokens = [
        None,
        "Bearer garbage",
        "Basic dXNlcjpwYXNz",
        f"Bearer {issuer.issue(LEAD, lifetime_seconds=60, now=now - 3600)}",
        f"Bearer {issuer.issue(LEAD, lifetime_seconds=60, now=now, audience='another')}",
        f"Bearer {issuer.issue(LEAD, lifetime_seconds=60, now=now + 3600)}",
        f"Bearer {head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        f"Bearer {client.token('nobody@else.example')}",
    ]
    heard = []
    for token in tokens:
        headers = {**JSON, **({"authorization": token} if token else {})}
        response = await client.http.post("/graphql", json={"query": "{ viewer { name } }"}, headers=headers)
        code = response.json()["errors"][0]["extensions"]["code"]
        heard.append((response.status_code, code, response.headers["www-authenticate"].split()[0]))
    assert heard == [(401, "UNAUTHENTICATED", "Bearer")] * len(tokens)


@pytest.mark.parametrize(
    ("headers", "said_status"),
    [
        ({"x-user-id": "user-acme"}, 200),
        ({"x-user-role": "CUSTOMER"}, 200),
        ({"x-user-id": "user-acme", "x-user-role": "CUSTOMER"}, 200),
        ({"x-user-id": "user-lead"}, 403),
        ({"x-user-role": "IMPLEMENTATION_LEAD"}, 403),
        ({"x-user-id": "user-acme", "x-user-role": "IMPLEMENTATION_LEAD"}, 403),
        ({"x-user-id": ""}, 403),
        ({"x-user-role": "customer"}, 403),
    ],
)
async def test_identity_headers_of_an_older_front_end_must_agree_with_the_token(
    client: Client, headers: dict[str, str], said_status: int
) -> None:
    answer = await client.ask("{ viewer { name } }", CUSTOMER, headers=headers)
    assert said(answer) == (said_status, [] if said_status == 200 else ["FORBIDDEN"])


@pytest.mark.parametrize("sent", ["req-1_A", "x" * 64, "x" * 65, "a b", "é"])
async def test_a_request_has_an_id_of_the_servers_whatever_id_the_client_sends(client: Client, sent: str) -> None:
    headers = {"x-request-id": sent.encode()}
    answers = [await client.ask("{ nothing }", headers=headers) for _ in range(2)]  # type: ignore[arg-type]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert ids == [answer.body["errors"][0]["extensions"]["requestId"] for answer in answers]
    assert len({*ids, sent}) == 3


@pytest.mark.parametrize(
    ("sent", "recorded"),
    [
        (["0123456789abcdef0123456789abcdef"], "0123456789abcdef0123456789abcdef"),
        (["x" * 64], "x" * 64),
        (["x" * 65], None),
        (["a", "a"], None),
        (["a, b"], None),
        ([], None),
    ],
)
async def test_an_entry_is_found_by_the_servers_id_and_has_the_clients_beside_it(
    own_client: Client, sent: list[str], recorded: str | None
) -> None:
    headers = [("authorization", f"Bearer {own_client.recent_token(LEAD)}"), *(("x-request-id", each) for each in sent)]
    model = """mutation { addDeviceModel(input: {brand: OTHER, name: "C530 IP", lines: 1}) { problems { code } } }"""
    made = await own_client.http.post("/graphql", json={"query": model}, headers=headers)
    ours = made.headers["x-request-id"]
    entries = "query Q($filter: AuditLogFilter) { auditLog(filter: $filter) { nodes { requestId clientRequestId } } }"
    found = await own_client.ask(entries, filter={"requestId": ours})
    assert found.data["auditLog"]["nodes"] == [{"requestId": ours, "clientRequestId": recorded}]
    for each in sent:
        confused = await own_client.ask(entries, filter={"requestId": each.replace(", ", "-")[:64]})
        assert confused.data["auditLog"]["nodes"] == []
        by_client = await own_client.ask(entries, filter={"clientRequestId": each.replace(", ", "-")[:64]})
        assert [node["requestId"] for node in by_client.data["auditLog"]["nodes"]] == ([ours] if recorded else [])


async def test_every_answer_has_a_request_id_of_its_own(client: Client) -> None:
    paths = ("/graphql", "/healthz", "/readyz", "/nowhere", "/graphiql")
    ids = {(await client.http.get(path)).headers["x-request-id"] for path in paths}
    assert len(ids) == len(paths)


async def test_a_refused_role_is_told_at_the_field_and_the_others_go_on(client: Client) -> None:
    answer = await client.ask(
        "{ mine: locations { totalCount } log: auditLog { totalCount } viewer { role } }",
        PARTNER,
    )
    refused = {
        "message": "Your role does not allow this action.",
        "extensions": {"code": "FORBIDDEN", "requestId": answer.headers["x-request-id"]},
    }
    assert (answer.status, answer.body["data"], answer.body["errors"]) == (
        200,
        {"mine": None, "log": None, "viewer": {"role": "PARTNER"}},
        [
            {"locations": [{"line": 1, "column": 3}], "path": ["mine"], **refused},
            {"locations": [{"line": 1, "column": 34}], "path": ["log"], **refused},
        ],
    )


async def preflight(client: Client, origin: str, **headers: str) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "POST", **headers}
    return await client.http.options("/graphql", headers=asked)


async def test_a_listed_origin_may_call_with_token_and_json(client: Client) -> None:
    response = await preflight(
        client, "http://localhost:3000", **{"access-control-request-headers": "authorization,content-type,x-request-id"}
    )
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, "http://localhost:3000")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost:3001", "http://localhost:3000.evil.example", "null"]
)
async def test_a_foreign_origin_may_not_call(client: Client, origin: str) -> None:
    response = await preflight(client, origin)
    assert (response.status_code, "access-control-allow-origin" in response.headers) == (400, False)


async def test_a_foreign_origin_cannot_read_an_answer(client: Client) -> None:
    foreign, listed = [
        (await client.ask("{ viewer { name } }", headers={"origin": origin})).headers.get("access-control-allow-origin")
        for origin in ("https://evil.example", "http://localhost:3000")
    ]
    assert (foreign, listed) == (None, "http://localhost:3000")


async def test_a_listed_origin_can_read_the_request_id(client: Client) -> None:
    answer = await client.ask("{ viewer { name } }", headers={"origin": "http://localhost:3000"})
    assert (
        answer.headers["access-control-expose-headers"]
        == "X-Request-Id, X-Trace-Id, Retry-After, Turnup-Token-Expires, ETag"
    )


async def test_a_deep_walk_around_a_location_stays_where_it_began(client: Client, world: World) -> None:
    answer = await client.ask(
        """query($id: ID!) { location(id: $id) {
        devices { location { people { location { extensions { location { contacts { location { id } } } } } } } } }
        }""",
        world.listed,
        id=world.here,
    )
    end = {"contacts": [{"location": {"id": world.here}}]}
    assert answer.data == {
        "location": {"devices": [{"location": {"people": [{"location": {"extensions": [{"location": end}]}}]}}]}
    }
