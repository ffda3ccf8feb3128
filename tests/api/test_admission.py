"""What happens before a body is read: the token, remembered refusals, the bound of anonymous requests."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from starlette.types import Message

from app.auth.development import DevelopmentIssuer
from app.auth.verifier import Verifier
from app.db.database import Database
from app.domain.credential import Credential
from app.http.addresses import counted_address
from app.limiting.token_buckets import TokenBuckets
from app.settings import Settings
from graphql_schema.refused_credentials import MOST_RECORDED, MOST_UNSIGNED, RefusedCredentials
from tests.harness import CUSTOMER, LEAD, Client, TestDatabase, by_token, early_in_a_minute, own_database

from .conftest import World
from .serving import serving

INACTIVE = "The token does not belong to an active user."
VIEWER = "{ viewer { name } }"


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    """The clock of new bounds and memories."""
    seconds = Seconds()
    for kind in (TokenBuckets, RefusedCredentials):
        defaults = kind.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "clock", seconds)
    return seconds


@asynccontextmanager
async def bounded(settings: Settings, database: TestDatabase, amount: int) -> AsyncIterator[Client]:
    async with serving(settings, database, limit_anonymous=amount) as client:
        yield client


@asynccontextmanager
async def at(client: Client, host: str | None) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the same app with another address."""
    app = client.app
    transport = httpx.ASGITransport(app, client=(host, 1) if host else None)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield http


async def asked(http: httpx.AsyncClient, token: str | None = None, query: str = VIEWER) -> tuple[int, str | None]:
    """The status and the code of the first error."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    response = await http.post("/graphql", json={"query": query}, headers=headers)
    errors = response.json().get("errors")
    return response.status_code, errors[0]["extensions"]["code"] if errors else None


async def unread(client: Client, *, method: str = "POST", **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """The answer to a request whose body must not be read: status, error, headers."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    fields = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": "/graphql",
        "query_string": b"query=%FF%00&query=",
        "root_path": "",
        "client": ("10.9.8.7", 1),
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
    }
    await client.app(scope, receive, send)
    said = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    (error,) = json.loads(sent[1]["body"])["errors"]
    return sent[0]["status"], error, said


def forged(token: str) -> str:
    """The token with another signature in the same form."""
    head, _, signature = token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[5] ^= 1
    return f"{head}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures are checked."""
    seen: list[str] = []
    check = Verifier._check_signature

    def noted(self: Verifier, token: str, key: Any) -> None:
        seen.append(token)
        check(self, token, key)

    monkeypatch.setattr(Verifier, "_check_signature", noted)
    return seen


# The token comes before the body


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("authorization", [None, "Bearer garbage", "forged", "expired"])
async def test_without_a_valid_token_neither_body_nor_url_is_read(
    client: Client, settings: Settings, method: str, authorization: str | None
) -> None:
    issuer = DevelopmentIssuer.load_or_create(settings.home)
    values = {
        "forged": f"Bearer {forged(client.token(LEAD))}",
        "expired": f"Bearer {issuer.issue(LEAD, lifetime_seconds=60, now=time.time() - 3600)}",
    }
    given = {} if authorization is None else {"authorization": values.get(authorization, authorization)}
    status, error, headers = await unread(client, method=method, content_length="1000000", **given)
    assert (status, error["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert headers["www-authenticate"].startswith("Bearer")


async def test_a_blank_after_the_token_is_ignored(client: Client) -> None:
    for blank in (" ", "\t", " \t "):
        answer = await client.ask(VIEWER, None, headers={"authorization": f"Bearer {client.token(LEAD)}{blank}"})
        assert answer.data == {"viewer": {"name": "Lena Ortiz"}}


async def test_two_authorization_fields_are_refused_even_when_they_are_the_same(client: Client) -> None:
    token = f"Bearer {client.token(LEAD)}"
    fields = [("authorization", token), ("authorization", token), ("content-type", "application/json")]
    response = await client.http.post("/graphql", content=json.dumps({"query": VIEWER}), headers=fields)
    assert response.status_code == 401


# Refused subjects are remembered


async def suspend(client: Client, verb: str = "suspendUser") -> None:
    change = f'mutation {{ {verb}(input: {{userId: "user-acme"}}) {{ problems {{ code }} }} }}'
    assert (await client.ask(change, LEAD)).data[verb]["problems"] == []


@pytest.fixture
async def signed_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The subjects that sign-in decides about."""
    seen: list[str] = []
    sign_in = Database._sign_in

    async def noted(self: Database, connection: Any, credential: Credential, timeout_ms: int, *statement: str) -> Any:
        seen.append(credential.subject)
        return await sign_in(self, connection, credential, timeout_ms, *statement)

    monkeypatch.setattr(Database, "_sign_in", noted)
    return seen


async def test_a_subject_that_sign_in_refused_is_refused_unread_for_two_seconds(
    clock: Seconds, settings: Settings, database: TestDatabase, signed_in: list[str]
) -> None:
    async with serving(settings, database) as client:
        for subject in ("nobody@one.example", "nobody@two.example"):
            by_sign_in = (await client.ask(VIEWER, subject)).without_id
            token = f"Bearer {client.token(subject)}"  # a new token of the same subject
            clock.now += 1.9
            status, error, headers = await unread(client, authorization=token)
            assert error["extensions"]["requestId"] == headers.pop("x-request-id")
            error["extensions"]["requestId"] = ""
            assert (status, [error]) == (by_sign_in.status, by_sign_in.body["errors"])
            assert {**by_sign_in.headers, "vary": headers["vary"]} == headers
            assert (error["message"], signed_in) == (INACTIVE, [subject])
            clock.now += 0.2
            assert (await client.ask(VIEWER, subject)).codes == ["UNAUTHENTICATED"]
            assert signed_in == [subject, subject]
            signed_in.clear()


async def test_a_user_who_is_reinstated_here_works_at_once_and_elsewhere_after_two_seconds(
    clock: Seconds, settings: Settings
) -> None:
    async with (
        own_database() as own,
        serving(settings, own, database_url=SecretStr(own.app_url)) as client,
        serving(settings, own, database_url=SecretStr(own.app_url)) as other,
    ):
        await suspend(client)
        for each in (client, other):
            assert (await each.ask(VIEWER, CUSTOMER)).status == 401
        await suspend(client, "reinstateUser")
        assert (await client.ask(VIEWER, CUSTOMER)).status == 200
        assert (await other.ask(VIEWER, CUSTOMER)).status == 401
        clock.now += 2
        assert (await other.ask(VIEWER, CUSTOMER)).status == 200


async def test_a_busy_user_is_signed_in_once_per_request(
    clock: Seconds, settings: Settings, database: TestDatabase, signed_in: list[str]
) -> None:
    async with serving(settings, database) as client:
        assert (await client.ask(VIEWER, CUSTOMER)).status == 200
        clock.now += 1.9
        answers = await asyncio.gather(*(client.ask(VIEWER, CUSTOMER) for _ in range(5 * MOST_UNSIGNED)))
        assert {answer.status for answer in answers} == {200}
        assert len(signed_in) == 1 + 5 * MOST_UNSIGNED


async def test_a_sign_in_before_the_body_that_fails_leaves_the_request_to_its_own(
    clock: Seconds, settings: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(settings, database) as client:
        for _ in range(MOST_UNSIGNED - 1):
            assert (await client.ask("{ nothing }", CUSTOMER)).status == 200
        with monkeypatch.context() as failing:
            failing.setattr(Database, "_sign_in", broken)
            assert (await client.ask("{ nothing }", CUSTOMER)).codes == ["GRAPHQL_VALIDATION_FAILED"]
        assert (await client.ask(VIEWER, CUSTOMER)).status == 200


async def broken(*_arguments: Any) -> Any:
    raise RuntimeError


async def test_a_user_who_was_created_is_let_in_at_once(own_client: Client) -> None:
    assert (await own_client.ask(VIEWER, "new@new.example")).status == 401
    create = (
        'mutation { createUser(input: {name: "New", email: "new@new.example", role: PARTNER}) { problems { code } } }'
    )
    assert (await own_client.ask(create)).data["createUser"]["problems"] == []
    assert (await own_client.ask(VIEWER, "new@new.example")).status == 200


async def test_a_user_who_may_sign_in_is_never_remembered(
    clock: Seconds, settings: Settings, database: TestDatabase
) -> None:
    async with serving(settings, database) as client:
        for query in (VIEWER, "{ nothing }", "{", '{ node(id: "?") { id } }', "{ auditLog { totalCount } }"):
            for _ in range(2 * MOST_UNSIGNED):
                assert (await client.ask(query, CUSTOMER)).status != 401
        forged_identity = await client.ask(VIEWER, CUSTOMER, headers={"x-user-id": "user-lead"})
        assert forged_identity.status == 403
        assert (await client.ask(VIEWER, CUSTOMER)).status == 200


@pytest.mark.parametrize("body", [b"{", json.dumps({"query": "{ nothing }"}).encode()])
async def test_an_inactive_user_cannot_have_documents_refused_without_end(
    clock: Seconds, settings: Settings, database: TestDatabase, world: World, signed_in: list[str], body: bytes
) -> None:
    async with serving(settings, database) as client:
        subject = await subject_of(database, world.suspended)
        headers = {"authorization": f"Bearer {client.token(subject)}", "content-type": "application/json"}
        statuses = [
            (await client.http.post("/graphql", content=body, headers=headers)).status_code
            for _ in range(MOST_UNSIGNED + 5)
        ]
    assert [status == 401 for status in statuses] == [False] * (MOST_UNSIGNED - 1) + [True] * 6
    assert signed_in == [subject]


async def subject_of(database: TestDatabase, user_id: str) -> str:
    connection = await asyncpg.connect(database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        return str(await connection.fetchval('SELECT subject FROM turnup."user" WHERE id = $1', user_id))
    finally:
        await connection.close()


async def test_a_flood_of_a_suspended_user_writes_the_audit_log_a_bounded_number_of_times(
    clock: Seconds, settings: Settings
) -> None:
    async with own_database() as own, serving(settings, own, database_url=SecretStr(own.app_url)) as client:
        await suspend(client)
        connection = await asyncpg.connect(own.owner_url)
        try:
            await early_in_a_minute(connection)
            for _ in range(50):
                assert (await client.ask(VIEWER, CUSTOMER)).status == 401
            await connection.execute("SET ROLE turnup_definer")
            count = await connection.fetchval("SELECT sum(count)::int FROM turnup.audit_incident")
        finally:
            await connection.close()
        metrics = (await client.http.get("/metrics")).text
    assert count == 1 + MOST_RECORDED
    assert 'turnup_security_events_total{kind="suspended_user"} 50.0' in metrics
    assert 'turnup_errors_total{code="UNAUTHENTICATED",field="none"} 50.0' in metrics


def test_the_memory_of_refused_credentials_is_bounded_and_loses_the_oldest() -> None:
    clock = Seconds()
    memory = RefusedCredentials(seconds=2, most_credentials=3, clock=clock)
    sent = [by_token(subject) for subject in "abcd"]
    for credential in sent:
        memory.remember(credential, [])
    assert [memory.recall(credential) is not None for credential in sent] == [False, True, True, True]
    for number in range(100):
        memory.admit(by_token(str(number)))
    assert (len(memory._refused), len(memory._signed_in)) == (3, 3)
    clock.now += 2
    assert [memory.recall(credential) for credential in sent[1:]] == [None] * 3
    assert not memory._refused


# Anonymous requests are bounded


@pytest.mark.parametrize("token", [None, "garbage", "a.b.c", "unknown key"])
async def test_anonymous_requests_beyond_the_bound_are_refused_with_429(
    clock: Seconds, settings: Settings, database: TestDatabase, token: str | None
) -> None:
    async with bounded(settings, database, 30) as client, at(client, "192.0.2.1") as http:
        if token == "unknown key":
            header = base64.urlsafe_b64encode(b'{"typ":"at+jwt","alg":"EdDSA","kid":"unknown"}').rstrip(b"=").decode()
            token = ".".join([header, *client.token(LEAD).split(".")[1:]])
        heard = [await asked(http, token) for _ in range(35)]
        assert heard == [(401, "UNAUTHENTICATED")] * 30 + [(429, "RATE_LIMITED")] * 5
        response = await http.get("/graphql", headers={"authorization": "Bearer x"})
        assert (response.status_code, response.headers["retry-after"]) == (429, "2")
        assert response.json()["errors"] == [
            {
                "message": "Rate limit exceeded: 30 requests without a valid token per client address per minute. "
                "Retry after 2,000 ms.",
                "extensions": {
                    "code": "RATE_LIMITED",
                    "limit": 30,
                    "retryAfterMs": 2000,
                    "requestId": response.headers["x-request-id"],
                },
            }
        ]
        async with at(client, "192.0.2.2") as elsewhere:
            assert await asked(elsewhere, token) == (401, "UNAUTHENTICATED")
        clock.now += 2
        assert [await asked(http, token) for _ in range(2)] == [(401, "UNAUTHENTICATED"), (429, "RATE_LIMITED")]


async def test_every_path_counts_but_health_checks(clock: Seconds, settings: Settings, database: TestDatabase) -> None:
    paths = [
        "/nowhere",
        "/healthz/",
        "/readyz//",
        "/graphql//",
        "/metrics",
        "/schemas/provisioning-payload-1.0.0.json",
        "/graphiql",
        "/graphql",
    ]
    async with bounded(settings, database, len(paths)) as client, at(client, "192.0.2.1") as http:
        for path in ("/healthz", "/readyz"):
            assert [(await http.get(path)).status_code for _ in range(10)] == [200] * 10
        first = [(await http.get(path)).status_code for path in paths]
        assert 429 not in first
        refused = [await http.get(path) for path in paths]
        assert [each.status_code for each in refused] == [429] * len(paths)
        codes = [each.json()["errors"][0]["extensions"]["code"] for each in refused]
        assert codes == ["RATE_LIMITED"] * len(paths)
        assert all(each.headers["x-request-id"] for each in refused)
        assert (await http.get("/healthz")).status_code == (await http.get("/readyz")).status_code == 200


async def test_no_signature_is_checked_beyond_the_bound(
    clock: Seconds, settings: Settings, database: TestDatabase, checks: list[str]
) -> None:
    async with bounded(settings, database, 20) as client, at(client, "192.0.2.1") as http:
        junk = [forged(client.token(f"{number}@junk.example")) for number in range(60)]
        heard = [await asked(http, token) for token in junk]
        assert heard == [(401, "UNAUTHENTICATED")] * 20 + [(429, "RATE_LIMITED")] * 40
        assert checks == junk[:20]


async def test_a_flood_refuses_no_user_behind_the_same_address(
    clock: Seconds, settings: Settings, database: TestDatabase, checks: list[str]
) -> None:
    async with bounded(settings, database, 20) as client, at(client, "192.0.2.1") as http:
        verified = client.token(LEAD)
        assert await asked(http, verified) == (200, None)
        for _ in range(30):
            await asked(http)
        assert await asked(http, client.token(CUSTOMER)) == (200, None)  # first sign-in, behind anonymous requests
        for number in range(30):
            await asked(http, forged(client.token(f"{number}@junk.example")))
        assert [await asked(http, verified) for _ in range(50)] == [(200, None)] * 50
        assert await asked(http, client.token(LEAD)) == (200, None)  # a new token of a known user
        assert await asked(http, client.token("north@acme.example")) == (429, "RATE_LIMITED")
        async with at(client, "192.0.2.2") as elsewhere:
            assert await asked(elsewhere, client.token("north@acme.example")) == (200, None)


async def test_one_forged_token_that_is_repeated_costs_one_check_and_keeps_nobody_out(
    clock: Seconds, settings: Settings, database: TestDatabase, checks: list[str]
) -> None:
    async with bounded(settings, database, 20) as client, at(client, "192.0.2.1") as http:
        junk = forged(client.token(LEAD))
        heard = [await asked(http, junk) for _ in range(50)]
        assert heard == [(401, "UNAUTHENTICATED")] * 21 + [(429, "RATE_LIMITED")] * 29
        assert checks == [junk]
        assert await asked(http, client.token(LEAD)) == (200, None)


async def test_forged_tokens_of_a_known_user_are_bounded_too(
    clock: Seconds, settings: Settings, database: TestDatabase, checks: list[str]
) -> None:
    async with bounded(settings, database, 20) as client, at(client, "192.0.2.1") as http:
        assert await asked(http, client.token(LEAD)) == (200, None)
        checks.clear()
        for _ in range(200):
            await asked(http, forged(client.token(LEAD)))
        assert len(checks) == 20 + 60
        async with at(client, "192.0.2.2") as elsewhere:
            assert await asked(elsewhere, client.token(LEAD)) == (200, None)


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", ""),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        (None, ""),
        ("unknown", ""),
        ("testclient", ""),
    ],
)
def test_an_address_is_counted_as_an_ipv4_address_or_an_ipv6_network(host: str | None, counted: str) -> None:
    assert counted_address(host) == counted


async def test_clients_without_an_address_share_one_bound(
    clock: Seconds, settings: Settings, database: TestDatabase
) -> None:
    async with bounded(settings, database, 3) as client:
        heard: list[tuple[int, str | None]] = []
        for host in (None, "unknown", None, ""):
            async with at(client, host) as http:
                heard.append(await asked(http))
    assert [status for status, _ in heard] == [401, 401, 401, 429]
