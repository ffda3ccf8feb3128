"""Sessions and service tokens over HTTP: what is refused of what looks like one, and for which requests one counts."""

import base64
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest
from pydantic import SecretStr

from app.admission import Admission, AnonymousBound
from app.auth.claims import TokenType
from app.auth.development import AUDIENCE, ISSUER, DevelopmentIssuer
from app.auth.verifier import Verifier
from app.db.database import Database
from app.db.user_keys import UserKeys
from app.domain import secrets as forms
from app.domain.credential import Credential
from app.domain.secrets import new_secret, new_service_token, secret_sha256, service_token_sha256
from app.http.cookies import SESSION, Cookie
from app.limiting.token_buckets import TokenBuckets
from app.settings import Environment, Settings
from graphql_schema.refused_credentials import MOST_UNSIGNED, RefusedCredentials
from tests.builders_db import a_service_token, a_session, committed, secret_of, service_token_of
from tests.harness import CUSTOMER, LEAD, Client, TestDatabase, own_database

from .serving import serving

VIEWER = "{ viewer { user { id } } }"
HERE = {"x-turnup-csrf": "1"}
COOKIE, SECURE_COOKIE = "turnup_session", "__Host-turnup_session"
METHODS = ["POST", "GET", "HEAD"]
HOUR = timedelta(hours=1)

Fields = Mapping[str, str | bytes]


@pytest.fixture(scope="module")
async def session(database: TestDatabase) -> AsyncIterator[str]:
    """The secret of a session of a customer, open while the module's tests run."""
    async with committed(database) as connection:
        name = await a_session(connection, "user-acme")
    yield secret_of(name)
    async with committed(database) as connection:
        await connection.execute("DELETE FROM turnup.user_session")


@pytest.fixture(scope="module")
async def service_token(database: TestDatabase) -> AsyncIterator[str]:
    """A service token of a partner, valid while the module's tests run."""
    async with committed(database) as connection:
        name = await a_service_token(connection, "user-carrier")
    yield service_token_of(name).text
    async with committed(database) as connection:
        await connection.execute("DELETE FROM turnup.service_token")


def by_cookie(value: str | bytes, **more: str) -> dict[str, str | bytes]:
    """The fields of a request with this session cookie, from a client that is no browser."""
    raw = value.encode() if isinstance(value, str) else value
    return {"cookie": COOKIE.encode() + b"=" + raw, **HERE, **more}


def by_token(value: str | bytes) -> dict[str, str | bytes]:
    """The fields of a request with this bearer token."""
    return {"authorization": b"Bearer " + (value.encode() if isinstance(value, str) else value)}


async def sent(http: httpx.AsyncClient, method: str, fields: Fields, url: str = "/graphql") -> httpx.Response:
    """The answer to a query for the viewer, in the body or in the URL."""
    headers = {name.encode(): value.encode() if isinstance(value, str) else value for name, value in fields.items()}
    if method == "POST":
        headers[b"content-type"] = b"application/json"
        return await http.post(url, content=json.dumps({"query": VIEWER}), headers=headers)
    return await http.request(method, f"{url}{'&' if '?' in url else '?'}query={quote(VIEWER)}", headers=headers)


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    """The status, the code and the message; a HEAD request gets no body."""
    if response.request.method == "HEAD":
        return response.status_code, "", ""
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"], error["message"]


def viewer_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["data"]["viewer"]["user"]["id"])


@asynccontextmanager
async def at(client: Client, origin: str, host: str = "203.0.113.9") -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the same app that uses another origin and has this address."""
    app = client.app
    transport = httpx.ASGITransport(app, client=(host, 1))
    async with httpx.AsyncClient(transport=transport, base_url=origin) as http:
        yield http


# Both sign in


@pytest.mark.parametrize("method", METHODS)
async def test_a_session_signs_its_user_in(client: Client, session: str, method: str) -> None:
    response = await sent(client.http, method, by_cookie(session))
    assert response.status_code == 200
    assert method == "HEAD" or viewer_of(response) == "user-acme"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
async def test_a_service_token_signs_its_user_in(client: Client, service_token: str, method: str, scheme: str) -> None:
    response = await sent(client.http, method, {"authorization": f"{scheme}{service_token} "})
    assert response.status_code == 200
    assert method == "HEAD" or viewer_of(response) == "user-carrier"


async def test_a_session_is_found_among_a_hundred_cookies(client: Client, session: str) -> None:
    cookies = [f"cookie{number}={secrets.token_hex(20)}" for number in range(100)]
    cookies.insert(50, f"{COOKIE}={session}")
    assert viewer_of(await sent(client.http, "POST", {"cookie": "; ".join(cookies), **HERE})) == "user-acme"


async def test_no_cache_of_verified_tokens_is_asked_for_either(
    client: Client, session: str, service_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("the verifier was asked")

    monkeypatch.setattr(Verifier, "cached", asked)
    monkeypatch.setattr(Verifier, "verify", asked)
    for fields in (by_cookie(session), by_token(service_token)) * 2:
        assert (await sent(client.http, "POST", fields)).status_code == 200


@pytest.mark.parametrize("types", [(TokenType.AT_JWT,), (TokenType.AT_JWT, TokenType.JWT)], ids=["at+jwt", "both"])
async def test_an_id_token_signs_nobody_in_whatever_types_the_server_accepts(
    settings: Settings, database: TestDatabase, types: tuple[TokenType, ...]
) -> None:
    issuer, now = DevelopmentIssuer.load_or_create(settings.home), int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": CUSTOMER, "iat": now, "exp": now + 60}
    statuses = []
    async with serving(settings, database, token_types=types) as client:
        for claims in ({"scope": "openid"}, {"nonce": "n", "scope": "openid"}, {"azp": "client", "email": CUSTOMER}):
            header = {"typ": "JWT", "kid": issuer._jwk["kid"]}
            token = jwt.encode({**usual, **claims}, issuer._key, algorithm="EdDSA", headers=header)
            statuses.append((await sent(client.http, "POST", by_token(token))).status_code)
        assert (await client.ask(VIEWER, CUSTOMER)).status == 200
    assert statuses == [200 if TokenType.JWT in types else 401, 401, 401]


def test_a_secret_has_slots_of_its_user_only_when_it_has_signed_in(
    settings: Settings, session: str, service_token: str
) -> None:
    keys = UserKeys()
    verifier = Verifier(issuer="", audience="", keys=DevelopmentIssuer.load_or_create(settings.home).public_keys())
    admission = Admission(verifier, Cookie(SESSION, secure=False), AnonymousBound(10), keys, unasked)
    of_session = [(b"cookie", f"{COOKIE}={session}".encode()), (b"x-turnup-csrf", b"1")]
    of_token = [(b"authorization", f"Bearer {service_token}".encode())]
    assert admission.known_user(of_session) is admission.known_user(of_token) is None
    keys.learn(Credential.of_session(secret_sha256(session) or b""), "user-acme")
    keys.learn(Credential.of_service_token(service_token_sha256(service_token) or b""), "user-acme")
    assert admission.known_user(of_session) == admission.known_user(of_token) == "user-acme"
    for fields in (
        of_session[:1],
        of_session + of_token,
        of_session + of_session[:1],
        of_token * 2,
        [(b"authorization", f"Bearer {service_token[:-1]}".encode())],
        [(b"authorization", b"Bearer a.b.c")],
        [],
    ):
        assert admission.known_user(fields) is None


async def unasked(*_: object) -> None:
    raise AssertionError("sign-in was asked")


# Forgeries

Change = Callable[[str], str | bytes]

CHANGES: dict[str, Change] = {
    "nothing": lambda _: "",
    "one character less": lambda right: right[:-1],
    "without its first character": lambda right: right[1:],
    "one character more": lambda right: right + "A",
    "padded": lambda right: right + "=",
    "twice": lambda right: right * 2,
    "another first character": lambda right: ("A" if right[0] != "A" else "B") + right[1:],
    "another character in the middle": lambda right: right[:30] + ("A" if right[30] != "A" else "B") + right[31:],
    "in upper case": str.upper,
    "in lower case": str.lower,
    "reversed": lambda right: right[::-1],
    "with a letter of another script": lambda right: f"{right[:30]}а{right[31:]}",
    "with an accent": lambda right: f"{right[:30]}é{right[31:]}",
    "with a byte that is no UTF-8": lambda right: right[:30].encode() + b"\xff" + right[31:].encode(),
    "with NUL at its end": lambda right: right + "\0",
    "with NUL within": lambda right: f"{right[:30]}\0{right[31:]}",
    "its digest": lambda right: sha256(right.encode()).hexdigest(),
    "its digest in base64url": lambda right: new_secret(sha256(right.encode()).digest()),
    "in base64": lambda right: base64.b64encode(right.encode()),
    "percent-encoded": lambda right: "".join(f"%{byte:02x}" for byte in right.encode()),
    "in quotes": lambda right: f'"{right}"',
    "as JSON": lambda right: json.dumps({"session": right}),
    "a wildcard": lambda _: "%",
    "a condition of SQL": lambda _: "' OR ''='",
    "null": lambda _: "null",
    "ten thousand characters": lambda right: right + "A" * 10_000,
}

OF_SESSIONS: dict[str, Change] = {
    **CHANGES,
    "one that nobody has": lambda _: new_secret(secrets.token_bytes(32)),
    "all zero": lambda _: new_secret(bytes(32)),
    "a prefix of service tokens before it": lambda right: f"turnup_{right}",
}
OF_SERVICE_TOKENS: dict[str, Change] = {
    **CHANGES,
    "one that nobody has": lambda _: new_service_token(secrets.token_bytes(37)).text,
    "all zero": lambda _: new_service_token(bytes(37)).text,
    "another prefix": lambda right: f"turnup_00000000{right[15:]}",
    "another prefix with its checksum": lambda right: _checked(f"turnup_00000000{right[15:-6]}"),
    "the prefix of another product": lambda right: right.replace("turnup_", "ghp_"),
    "without its prefix": lambda right: right.removeprefix("turnup_"),
    "a wrong checksum": lambda right: right[:-6] + "000000",
    "without its checksum": lambda right: right[:-6],
    "another secret with its checksum": lambda right: _checked(right[:-7] + ("A" if right[-7] != "A" else "E")),
    "only its prefix": lambda right: right[:15],
}


def _checked(unchecked: str) -> str:
    """The text with a right checksum, which anybody can compute."""
    return unchecked + forms._checksum(unchecked)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("change", OF_SESSIONS)
async def test_what_is_no_session_signs_nobody_in(client: Client, session: str, change: str, method: str) -> None:
    response = await sent(client.http, method, by_cookie(OF_SESSIONS[change](session)))
    assert refusal(response)[0] == 401
    assert response.headers["www-authenticate"].startswith('Bearer realm="Turnup"')


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("change", OF_SERVICE_TOKENS)
async def test_what_is_no_service_token_signs_nobody_in(
    client: Client, service_token: str, change: str, method: str
) -> None:
    response = await sent(client.http, method, by_token(OF_SERVICE_TOKENS[change](service_token)))
    assert refusal(response)[0] == 401
    assert response.headers["www-authenticate"].startswith('Bearer realm="Turnup"')


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "place",
    [
        lambda token: ("/graphql", {"cookie": f"{COOKIE}={token}", **HERE}),
        lambda token: ("/graphql", {"cookie": f"{SECURE_COOKIE}={token}", **HERE}),
        lambda token: ("/graphql", {"cookie": f"authorization=Bearer {token}", **HERE}),
        lambda token: (f"/graphql?access_token={token}", {}),
        lambda token: (f"/graphql?authorization=Bearer+{token}", {}),
        lambda token: (f"/graphql?token={token}", HERE),
        lambda token: ("/graphql", {"authorization": token}),
        lambda token: ("/graphql", {"authorization": f"Token {token}"}),
        lambda token: ("/graphql", {"authorization": f"Basic {base64.b64encode(f':{token}'.encode()).decode()}"}),
        lambda token: ("/graphql", {"authorization": f"Bearer {token}, Bearer {token}"}),
        lambda token: ("/graphql", {"authorization": f"Bearer\t{token}"}),
        lambda token: ("/graphql", {"proxy-authorization": f"Bearer {token}"}),
        lambda token: ("/graphql", {"x-api-key": token}),
        lambda token: ("/graphql", {"x-turnup-token": token, **HERE}),
    ],
    ids=range(14),
)
async def test_a_service_token_counts_in_the_authorization_header_alone(
    client: Client, service_token: str, place: Callable[[str], tuple[str, Fields]], method: str
) -> None:
    url, fields = place(service_token)
    assert refusal(await sent(client.http, method, fields, url))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        lambda token: {"query": VIEWER, "access_token": token},
        lambda token: {"query": VIEWER, "authorization": f"Bearer {token}"},
        lambda token: {"query": VIEWER, "extensions": {"authorization": f"Bearer {token}", "token": token}},
        lambda token: {"query": VIEWER, "variables": {"authorization": f"Bearer {token}"}},
    ],
    ids=range(4),
)
async def test_a_service_token_in_the_body_is_not_read(
    client: Client, service_token: str, body: Callable[[str], Any]
) -> None:
    response = await client.http.post("/graphql", json=body(service_token))
    assert refusal(response)[:2] == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "fields",
    [
        lambda secret: {"authorization": f"Bearer {secret}", **HERE},
        lambda secret: {"authorization": f"Cookie {COOKIE}={secret}", **HERE},
        lambda secret: {"authorization": f"{COOKIE}={secret}", **HERE},
        lambda secret: {"x-session": secret, **HERE},
        lambda secret: {"cookie2": f"{COOKIE}={secret}", **HERE},
        lambda secret: {"set-cookie": f"{COOKIE}={secret}", **HERE},
        lambda secret: {"cookie": f"session={secret}", **HERE},
        lambda secret: {"cookie": secret, **HERE},
    ],
    ids=range(8),
)
async def test_a_session_counts_in_its_cookie_alone(
    client: Client, session: str, fields: Callable[[str], Fields], method: str
) -> None:
    assert refusal(await sent(client.http, method, fields(session)))[0] == 401


async def test_an_access_token_is_no_session(client: Client) -> None:
    assert refusal(await sent(client.http, "POST", by_cookie(client.token(LEAD))))[0] == 401


async def test_the_secret_of_another_user_shows_nobody_elses_rights(client: Client, session: str) -> None:
    headers = by_cookie(session, **{"x-user-id": "user-lead"})
    assert refusal(await sent(client.http, "POST", headers))[:2] == (403, "FORBIDDEN")


# Those that count no longer


PAST: dict[str, dict[str, Any]] = {
    "ended": {"ended_at": datetime.now(UTC) - HOUR, "end_reason": "SIGNED_OUT"},
    "idle for too long": {"last_used_at": datetime.now(UTC) - 9 * HOUR, "idle_until": datetime.now(UTC) - HOUR},
    "expired": {"created_at": datetime.now(UTC) - 25 * HOUR, "expires_at": datetime.now(UTC) - HOUR},
}


@pytest.mark.parametrize("state", PAST)
@pytest.mark.parametrize("method", METHODS)
async def test_a_session_of_the_past_signs_nobody_in(
    client: Client, database: TestDatabase, session: str, state: str, method: str
) -> None:
    del session  # whose end removes the sessions of this module
    old = {"created_at": datetime.now(UTC) - 25 * HOUR, "last_used_at": datetime.now(UTC) - 10 * HOUR}
    async with committed(database) as connection:
        name = await a_session(connection, "user-acme", **{**old, **PAST[state]})
    response = await sent(client.http, method, by_cookie(secret_of(name)))
    status, _, message = refusal(response)
    assert (status, message) == (401, "" if method == "HEAD" else "The session has ended. Sign in again.")


@pytest.mark.parametrize(
    "state",
    [{"revoked_at": datetime.now(UTC) - HOUR}, {"expires_at": datetime.now(UTC) - HOUR}],
    ids=["revoked", "old"],
)
@pytest.mark.parametrize("method", METHODS)
async def test_a_service_token_of_the_past_signs_nobody_in(
    client: Client, database: TestDatabase, service_token: str, state: dict[str, Any], method: str
) -> None:
    del service_token  # whose end removes the tokens of this module
    async with committed(database) as connection:
        name = await a_service_token(
            connection, "user-carrier", **{"created_at": datetime.now(UTC) - 2 * HOUR, **state}
        )
    response = await sent(client.http, method, by_token(service_token_of(name).text))
    said = "The service token has expired or was revoked, or its user is not active."
    assert refusal(response)[::2] == (401, "" if method == "HEAD" else said)


async def test_the_end_of_a_credential_counts_from_the_next_request(settings: Settings) -> None:
    async with own_database() as own, serving(settings, own, database_url=SecretStr(own.app_url)) as client:
        async with committed(own) as connection:
            opened = await a_session(connection, "user-acme"), await a_session(connection, "user-acme")
            made = await a_service_token(connection, "user-acme"), await a_service_token(connection, "user-acme")
        requests = [by_cookie(secret_of(each)) for each in opened] + [
            by_token(service_token_of(each).text) for each in made
        ]
        for fields in requests * 2:
            assert viewer_of(await sent(client.http, "POST", fields)) == "user-acme"
        async with committed(own) as connection:
            await connection.execute(
                "UPDATE turnup.user_session SET ended_at = now(), end_reason = 'REVOKED' WHERE id = $1", opened[0]
            )
            await connection.execute("UPDATE turnup.service_token SET revoked_at = now() WHERE id = $1", made[0])
        statuses = [(await sent(client.http, "POST", fields)).status_code for fields in requests]
        assert statuses == [401, 200, 401, 200]
        suspend = 'mutation { suspendUser(input: {userId: "user-acme"}) { problems { code } } }'
        assert (await client.ask(suspend, LEAD)).data["suspendUser"]["problems"] == []
        assert {(await sent(client.http, "POST", fields)).status_code for fields in requests} == {401}


# Which pages a session counts for

PAGES = {
    "a client that names no page": {},
    "another site": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "origin": "https://evil.example"},
    "another site without CORS": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    "a subdomain of the same site": {"sec-fetch-site": "same-site", "origin": "https://app.turnup.example"},
    "a navigation from another site": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    "an address that somebody typed": {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
    "an image": {"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"},
    "a form": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "content-type": "text/plain"},
    "an old browser": {"origin": "https://evil.example", "referer": "https://evil.example/"},
    "an old browser of this origin": {"origin": "http://127.0.0.1:8000", "referer": "http://127.0.0.1:8000/graphiql"},
    "a page that sends what it may not": {"sec-fetch-site": "cross-site", "x-turnup-csrf": "1"},
    "a header with another value": {"x-turnup-csrf": "yes"},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("page", PAGES)
async def test_a_session_counts_for_no_request_of_another_page(
    client: Client, session: str, page: str, method: str
) -> None:
    response = await sent(client.http, method, {"cookie": f"{COOKIE}={session}", **PAGES[page]})
    status, code, message = refusal(response)
    assert status == 401
    assert method == "HEAD" or (code, "X-Turnup-CSRF: 1" in message) == ("UNAUTHENTICATED", True)


@pytest.mark.parametrize("method", METHODS)
async def test_a_session_counts_for_the_pages_of_this_origin(client: Client, session: str, method: str) -> None:
    fields = {"cookie": f"{COOKIE}={session}", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    assert (await sent(client.http, method, fields)).status_code == 200


@pytest.mark.parametrize("path", ["/graphql", "/healthz", "/nowhere"])
@pytest.mark.parametrize("asked", ["x-turnup-csrf", "authorization, x-turnup-csrf", "cookie", "X-Turnup-CSRF"])
async def test_no_preflight_allows_what_makes_a_session_count(client: Client, asked: str, path: str) -> None:
    headers = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    response = await client.http.options(path, headers={**headers, "access-control-request-headers": asked})
    assert response.status_code == 400
    assert asked.lower().split(", ")[-1] not in response.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in response.headers
    allowed = await client.http.options(path, headers={**headers, "access-control-request-headers": "authorization"})
    assert allowed.status_code == 200
    assert "access-control-allow-credentials" not in allowed.headers


@pytest.mark.parametrize("method", METHODS)
async def test_no_answer_lets_another_origin_read_with_credentials(client: Client, session: str, method: str) -> None:
    origin = {"origin": "http://localhost:3000"}
    answers = [
        await sent(client.http, method, by_cookie(session, **origin)),
        await sent(client.http, method, {**origin, "cookie": f"{COOKIE}={session}"}),
        await sent(client.http, method, origin),
        await sent(client.http, "PUT", origin),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 401, 405]
    assert not any("access-control-allow-credentials" in answer.headers for answer in answers)
    assert all({"Accept", "Authorization", "Cookie"} <= set(each.headers["vary"].split(", ")) for each in answers[:3])
    executed = "no-store" if method == "POST" else "private, no-cache"
    assert [answer.headers["cache-control"] for answer in answers] == [executed, *["no-store"] * 3]


# One credential at a time, and one cookie


@pytest.mark.parametrize("method", METHODS)
async def test_a_cookie_and_an_authorization_header_are_never_sent_together(
    client: Client, session: str, service_token: str, method: str
) -> None:
    tokens = [client.token(LEAD), service_token, "garbage", ""]
    for cookie, token in [*((session, each) for each in tokens), ("garbage", tokens[0]), ("", tokens[1])]:
        response = await sent(client.http, method, {**by_cookie(cookie), "authorization": f"Bearer {token}"})
        status, code, message = refusal(response)
        assert status == 400
        assert method == "HEAD" or (code, "Authorization" in message, COOKIE in message) == ("BAD_REQUEST", True, True)
        assert response.headers["www-authenticate"] == 'Bearer realm="Turnup", error="invalid_request"'


async def test_a_token_is_sent_beside_cookies_of_others(client: Client) -> None:
    for cookie in ("theme=dark", f"{SECURE_COOKIE}=value; x=y", f"my_{COOKIE}=1", COOKIE.upper() + "=1"):
        assert viewer_of(await sent(client.http, "POST", {"cookie": cookie, **by_token(client.token(CUSTOMER))}))


@pytest.mark.parametrize("number", [2, 100])
async def test_a_session_cookie_that_is_sent_more_than_once_is_refused(
    client: Client, session: str, number: int
) -> None:
    cookies = "; ".join([f"{COOKIE}={session}"] * number)
    assert refusal(await sent(client.http, "POST", {"cookie": cookies, **HERE}))[:2] == (400, "BAD_REQUEST")
    fields = [("cookie", f"{COOKIE}={session}")] * number + [*HERE.items(), ("content-type", "application/json")]
    response = await client.http.post("/graphql", content=json.dumps({"query": VIEWER}), headers=fields)
    assert refusal(response)[:2] == (400, "BAD_REQUEST")


# Over which connections a session counts


async def test_in_production_a_session_counts_over_https_alone(
    settings: Settings, database: TestDatabase, session: str
) -> None:
    fields = {"cookie": f"{SECURE_COOKIE}={session}", **HERE}
    async with serving(settings, database, env=Environment.PRODUCTION) as client:
        async with at(client, "https://turnup.example") as http:
            assert viewer_of(await sent(http, "POST", fields)) == "user-acme"
            assert (await sent(http, "POST", by_cookie(session))).status_code == 401
        for origin in ("http://turnup.example", "http://127.0.0.1:8000"):
            async with at(client, origin) as http:
                status, _, message = refusal(await sent(http, "POST", fields))
                assert (status, message) == (401, f"The cookie {SECURE_COOKIE} counts over HTTPS only.")


async def test_behind_a_proxy_the_scheme_is_the_one_that_a_trusted_proxy_names(
    settings: Settings, database: TestDatabase, session: str
) -> None:
    fields = {"cookie": f"{SECURE_COOKIE}={session}", **HERE}
    proxied = {"env": Environment.PRODUCTION, "trusted_proxies": (ip_network("10.0.0.0/8"),)}
    async with serving(settings, database, **proxied) as client:
        statuses = {}
        for peer in ("10.0.0.7", "203.0.113.9"):
            for scheme in ("https", "http", "http, https", "https, http", ""):
                async with at(client, "http://turnup.example", peer) as http:
                    response = await sent(http, "POST", {**fields, "x-forwarded-proto": scheme})
                    statuses[peer, scheme] = response.status_code
    assert {key for key, status in statuses.items() if status == 200} == {
        ("10.0.0.7", "https"),
        ("10.0.0.7", "http, https"),
    }
    assert set(statuses.values()) == {200, 401}


async def test_in_development_a_session_counts_on_this_machine_alone(client: Client, session: str) -> None:
    for origin in ("http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", "http://app.localhost"):
        async with at(client, origin) as http:
            assert viewer_of(await sent(http, "POST", by_cookie(session))) == "user-acme"
    for origin in ("http://192.168.1.7:8000", "http://turnup.example", "http://localhost.turnup.example"):
        async with at(client, origin) as http:
            assert refusal(await sent(http, "POST", by_cookie(session)))[0] == 401


# Secrets that nobody has are bounded before they cost a sign-in


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of new bounds and memories, which a test moves."""
    now = [1000.0]
    for kind in (TokenBuckets, RefusedCredentials):
        defaults = kind.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "clock", lambda: now[0])
    return now


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[Credential]:
    """The credentials that sign-in decides about."""
    seen: list[Credential] = []
    sign_in = Database._sign_in

    async def noted(self: Database, connection: Any, credential: Credential, *arguments: Any) -> Any:
        seen.append(credential)
        return await sign_in(self, connection, credential, *arguments)

    monkeypatch.setattr(Database, "_sign_in", noted)
    return seen


def unknown_session() -> Fields:
    return by_cookie(new_secret(secrets.token_bytes(32)))


def unknown_service_token() -> Fields:
    return by_token(new_service_token(secrets.token_bytes(37)).text)


@pytest.mark.parametrize("unknown", [unknown_session, unknown_service_token])
async def test_secrets_that_nobody_has_are_counted_before_they_are_looked_up(
    clock: list[float],
    settings: Settings,
    database: TestDatabase,
    session: str,
    service_token: str,
    looked_up: list[Credential],
    unknown: Callable[[], Fields],
) -> None:
    del clock
    async with serving(settings, database, limit_anonymous=20) as client:
        for fields in (by_cookie(session), by_token(service_token)):
            assert (await sent(client.http, "POST", fields)).status_code == 200
        looked_up.clear()
        heard = [refusal(await sent(client.http, "POST", unknown()))[:2] for _ in range(30)]
        assert heard == [(401, "UNAUTHENTICATED")] * 18 + [(429, "RATE_LIMITED")] * 12
        assert len(looked_up) == 18
        for fields in [by_cookie(session), by_token(service_token)] * 30:
            assert (await sent(client.http, "POST", fields)).status_code == 200
        async with at(client, "http://127.0.0.1:8000", "203.0.113.77") as elsewhere:
            assert refusal(await sent(elsewhere, "POST", unknown()))[0] == 401


async def test_a_secret_that_is_repeated_is_looked_up_once_and_keeps_nobody_from_signing_in(
    clock: list[float], settings: Settings, database: TestDatabase, session: str, looked_up: list[Credential]
) -> None:
    async with serving(settings, database, limit_anonymous=20) as client:
        unknown = unknown_session()
        heard = [(await sent(client.http, "POST", unknown)).status_code for _ in range(50)]
        assert heard == [401] * 21 + [429] * 29
        assert len(looked_up) == 1
        assert (await sent(client.http, "POST", by_cookie(session))).status_code == 200
        clock[0] += 2
        assert (await sent(client.http, "POST", unknown)).status_code == 401
        assert len(looked_up) == 4  # those of the session: before its body was read, and by its own transaction


@pytest.mark.parametrize("unknown", [unknown_session, unknown_service_token])
async def test_the_body_of_a_secret_that_nobody_has_is_not_read(client: Client, unknown: Callable[[], Fields]) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {name: value if isinstance(value, str) else value.decode() for name, value in unknown().items()}
    headers["content-type"] = "application/json"
    response = await client.http.post("/graphql", content=body(), headers=headers)
    assert refusal(response)[:2] == (401, "UNAUTHENTICATED")


async def test_a_known_secret_is_signed_in_once_per_request_and_an_ended_one_is_unknown_again(
    clock: list[float], settings: Settings, looked_up: list[Credential]
) -> None:
    async with own_database() as own, serving(settings, own, database_url=SecretStr(own.app_url)) as client:
        async with committed(own) as connection:
            name = await a_session(connection, "user-acme")
        for _ in range(2 * MOST_UNSIGNED):
            assert (await sent(client.http, "POST", by_cookie(secret_of(name)))).status_code == 200
        assert len(looked_up) == 1 + 2 * MOST_UNSIGNED
        async with committed(own) as connection:
            await connection.execute("UPDATE turnup.user_session SET ended_at = now(), end_reason = 'REVOKED'")
        looked_up.clear()
        for _ in range(3):
            clock[0] += 2
            assert (await sent(client.http, "POST", by_cookie(secret_of(name)))).status_code == 401
        assert len(looked_up) == 3


async def test_while_the_database_fails_a_secret_is_not_taken_for_one_that_signs_in(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(Database, "_sign_in", broken)
    for unknown in (unknown_session(), unknown_service_token()):
        assert refusal(await sent(client.http, "POST", unknown))[:2] == (500, "INTERNAL")


async def test_nothing_that_was_refused_is_logged(
    client: Client, session: str, service_token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.WARNING, "httpx"):  # the client logs its URLs
        for fields in (
            {"cookie": f"{COOKIE}={session}"},
            {**by_cookie(session), **by_token(service_token)},
            by_cookie(session + "A"),
            by_token(service_token + "A"),
            by_cookie(service_token),
            {},
        ):
            response = await sent(client.http, "GET", fields, f"/graphql?token={service_token}")
            assert response.status_code in {400, 401}
            assert session not in response.text
            assert service_token not in response.text
    assert session not in caplog.text
    assert service_token[:-6] not in caplog.text
