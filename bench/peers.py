"""The servers that bench.requests compares, each an ASGI app behind the same uvicorn.

The bare servers show the limit for hand-written Python, or for PostgreSQL alone, with the same answers. They use the
same role, policies, sign-in and REPEATABLE READ transaction, without GraphQL, tokens or limits.
"""

import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from os import environ
from typing import Any

import asyncpg
import orjson
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.claims import Claims
from app.auth.verifier import Verifier
from app.db import database
from app.domain.credential import CredentialKind
from app.http.protocol import HttpConnection
from app.main import from_environment

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
SUBJECT = "lead@turnup.example"
SIGNED_IN = (CredentialKind.ACCESS_TOKEN.value, SUBJECT, None, b"", 15_000)
"""The arguments of `database.SIGN_IN`."""

NESTED = """query Nested($first: Int!, $account: ID!) {
  locations(first: $first, filter: {accountId: $account}) {
    nodes {
      id name status address { city } timezone
      account { id name }
      contacts { id purpose fullName email phone }
      devices { id brand model macAddress label extension { id number person { id firstName email } } }
      workingHours { weekday opens closes }
    }
  }
}"""
FLAT = """query Flat($first: Int!, $account: ID!) {
  locations(first: $first, filter: {accountId: $account}) { nodes { id name status timezone revision updatedAt } }
}"""
TYPED = (
    NESTED.replace("query Nested", "query Typed")
    .replace("{ id", "{ __typename id")
    .replace("{ city", "{ __typename city")
    .replace("{ weekday", "{ __typename weekday")
    .replace("{\n    nodes {", "{ __typename\n    nodes { __typename")
)

Answer = Callable[[Any, str, dict[str, Any]], Awaitable[bytes]]


def app() -> ASGIApp:
    """The product as it is served. TURNUP_EXECUTOR selects the executor."""
    return from_environment()


def app_without_tokens() -> ASGIApp:
    """The product without tokens: every request is the lead's."""
    claims = Claims(SUBJECT, 2**33)

    def cached(self: Verifier, authorization: str) -> Claims | None:  # noqa: ARG001 - a method of Verifier
        return claims

    Verifier.cached = cached  # type: ignore[method-assign] # - the bench skips verification
    return from_environment()


def bare() -> ASGIApp:
    """Seven statements with the driver, hand-written dictionaries, orjson."""
    return _Bare(_by_hand)


def built() -> ASGIApp:
    """One statement in which PostgreSQL builds the JSON."""
    return _Bare(_by_postgres)


class _Bare:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._pool: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        chunks, more = [], True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        asked = orjson.loads(b"".join(chunks))
        async with self._pool.acquire() as connection:
            await connection.execute(BEGIN)
            await connection.fetchrow(database.SIGN_IN, *SIGNED_IN)
            body = await self._answer(connection, asked["operationName"], asked["variables"])
            await connection.execute("COMMIT")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._pool = await asyncpg.create_pool(
            environ["DATABASE_URL"],
            min_size=1,
            max_size=int(environ.get("TURNUP_POOL_SIZE", "10")),
            statement_cache_size=512,
            max_cached_statement_lifetime=0,
            init=lambda connection: database._prepare(connection),  # noqa: PLW0108 - bench.requests puts a logger there
            reset=database._nothing_to_reset,
            server_settings={"timezone": "UTC"},
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})


FLAT_PAGE = """SELECT id, name, status, timezone, revision, updated_at FROM turnup.location
WHERE account_id = $1 ORDER BY name, id LIMIT $2"""
PAGE = """SELECT id, account_id, name, status, city, timezone FROM turnup.location
WHERE account_id = $1 ORDER BY name, id LIMIT $2"""
ACCOUNTS = "SELECT id, name FROM turnup.account WHERE id = ANY($1::text[])"
CONTACTS = """SELECT location_id, id, purpose, name, email, phone FROM turnup.contact
WHERE location_id = ANY($1::text[]) ORDER BY position"""
DEVICES = """SELECT location_id, id, brand, model, mac_address, label FROM turnup.device
WHERE location_id = ANY($1::text[]) ORDER BY id"""
HOURS = """SELECT location_id, weekday, opens, closes FROM turnup.working_hours
WHERE location_id = ANY($1::text[]) ORDER BY weekday, opens, id"""
EXTENSIONS = "SELECT device_id, id, number, person_id FROM turnup.extension WHERE device_id = ANY($1::text[])"
PEOPLE = "SELECT id, first_name, email FROM turnup.person WHERE id = ANY($1::text[])"


async def _by_hand(connection: Any, operation: str, variables: dict[str, Any]) -> bytes:
    fetch, account, first = connection.fetch, variables["account"], variables["first"]
    if operation == "Flat":
        nodes = [
            {"id": i, "name": name, "status": status, "timezone": zone, "revision": revision, "updatedAt": updated}
            for i, name, status, zone, revision, updated in await fetch(FLAT_PAGE, account, first)
        ]
        return orjson.dumps({"data": {"locations": {"nodes": nodes}}})
    page = await fetch(PAGE, account, first)
    ids = [row[0] for row in page]
    accounts = {
        i: {"id": i, "name": name} for i, name in await fetch(ACCOUNTS, list(dict.fromkeys(row[1] for row in page)))
    }
    contacts, devices, hours = defaultdict(list), defaultdict(list), defaultdict(list)
    for location, i, purpose, name, email, phone in await fetch(CONTACTS, ids):
        contacts[location].append({"id": i, "purpose": purpose, "fullName": name, "email": email, "phone": phone})
    found = await fetch(DEVICES, ids)
    for location, weekday, opens, closes in await fetch(HOURS, ids):
        hours[location].append({"weekday": weekday, "opens": opens, "closes": closes})
    extensions = await fetch(EXTENSIONS, [row[1] for row in found])
    wanted = list(dict.fromkeys(row[3] for row in extensions if row[3] is not None))
    people = {i: {"id": i, "firstName": first, "email": email} for i, first, email in await fetch(PEOPLE, wanted)}
    rings = {
        device: {"id": i, "number": number, "person": people.get(person)} for device, i, number, person in extensions
    }
    for location, i, brand, model, mac, label in found:
        mac = mac and ":".join((mac[:2], mac[2:4], mac[4:6], mac[6:8], mac[8:10], mac[10:])).upper()  # noqa: PLW2901 - normalises the row in place
        devices[location].append(
            {"id": i, "brand": brand, "model": model, "macAddress": mac, "label": label, "extension": rings.get(i)}
        )
    nodes = [
        {
            "id": i,
            "name": name,
            "status": status,
            "address": {"city": city},
            "timezone": zone,
            "account": accounts[account],
            "contacts": contacts[i],
            "devices": devices[i],
            "workingHours": hours[i],
        }
        for i, account, name, status, city, zone in page
    ]
    return orjson.dumps({"data": {"locations": {"nodes": nodes}}})


BUILT_FLAT = """SELECT json_build_object('data', json_build_object('locations', json_build_object('nodes',
  coalesce(json_agg(json_build_object('id', id, 'name', name, 'status', status, 'timezone', timezone,
  'revision', revision, 'updatedAt', updated_at) ORDER BY name, id), '[]'::json))))::text
FROM (SELECT * FROM turnup.location WHERE account_id = $1 ORDER BY name, id LIMIT $2) l"""
BUILT_NESTED = """SELECT json_build_object('data', json_build_object('locations', json_build_object('nodes',
  coalesce(json_agg(json_build_object(
    'id', l.id, 'name', l.name, 'status', l.status, 'address', json_build_object('city', l.city),
    'timezone', l.timezone,
    'account', (SELECT json_build_object('id', a.id, 'name', a.name) FROM turnup.account a WHERE a.id = l.account_id),
    'contacts', (SELECT coalesce(json_agg(json_build_object('id', c.id, 'purpose', c.purpose, 'fullName', c.name,
        'email', c.email, 'phone', c.phone) ORDER BY c.position), '[]'::json)
      FROM turnup.contact c WHERE c.location_id = l.id),
    'devices', (SELECT coalesce(json_agg(json_build_object('id', d.id, 'brand', d.brand, 'model', d.model,
        'macAddress', upper(regexp_replace(d.mac_address, '(..)(?!$)', '\\1:', 'g')), 'label', d.label,
        'extension', (SELECT json_build_object('id', e.id, 'number', e.number, 'person',
            (SELECT json_build_object('id', p.id, 'firstName', p.first_name, 'email', p.email)
             FROM turnup.person p WHERE p.id = e.person_id)) FROM turnup.extension e WHERE e.device_id = d.id))
        ORDER BY d.id), '[]'::json) FROM turnup.device d WHERE d.location_id = l.id),
    'workingHours', (SELECT coalesce(json_agg(json_build_object('weekday', w.weekday, 'opens', w.opens,
        'closes', w.closes) ORDER BY w.weekday, w.opens, w.id), '[]'::json)
      FROM turnup.working_hours w WHERE w.location_id = l.id)
  ) ORDER BY l.name, l.id), '[]'::json))))::text
FROM (SELECT * FROM turnup.location WHERE account_id = $1 ORDER BY name, id LIMIT $2) l"""


async def _by_postgres(connection: Any, operation: str, variables: dict[str, Any]) -> bytes:
    statement = BUILT_FLAT if operation == "Flat" else BUILT_NESTED
    text: str = await connection.fetchval(statement, variables["account"], variables["first"])
    return text.encode()


if __name__ == "__main__":
    _, kind, port, workers = sys.argv
    uvicorn.run(
        f"bench.peers:{kind}",
        factory=True,
        port=int(port),
        workers=int(workers),
        log_config=None,
        access_log=False,
        server_header=False,
        http=HttpConnection,
        ws="none",
        timeout_worker_healthcheck=60,  # all servers import at once; uvicorn would replace workers after 5 s
    )
