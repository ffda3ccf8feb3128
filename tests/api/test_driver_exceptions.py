"""Whatever the database reports or the driver raises, clients get the code that tells them what to do next."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from asyncpg import exceptions
from pydantic import SecretStr

from app.db.failures import translation
from app.main import CHECKS
from app.settings import Settings
from graphql_schema.errors import is_bug
from tests.harness import CUSTOMER, LEAD, Client, run_as_owner

from .serving import serving

EDIT = """mutation { setCurrentStep(input: {locationId: "location-3", step: PEOPLE}) { problems { code } } }"""
STEP = """{ location(id: "location-3") { session { currentStep } } }"""

REPORTS = """
CREATE OR REPLACE FUNCTION turnup.reports() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the report of this test' USING ERRCODE = '{state}'; END $$
"""
AT_THE_STATEMENT = """
CREATE TRIGGER reports BEFORE UPDATE ON turnup.onboarding_session FOR EACH ROW EXECUTE FUNCTION turnup.reports()
"""
AT_THE_COMMIT = """
CREATE CONSTRAINT TRIGGER reports AFTER UPDATE ON turnup.onboarding_session DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION turnup.reports()
"""


@pytest.mark.parametrize("trigger", [AT_THE_STATEMENT, AT_THE_COMMIT], ids=["at the statement", "at its end"])
@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("53100", "UNAVAILABLE"),  # the disk is full
        ("53200", "UNAVAILABLE"),  # out of memory
        ("53400", "UNAVAILABLE"),  # a limit of the configuration
        ("58030", "UNAVAILABLE"),  # input and output failed
        ("25006", "UNAVAILABLE"),  # the server is read-only
        ("57P03", "UNAVAILABLE"),  # the server starts
        ("54001", "QUERY_TOO_COMPLEX"),  # the statement is too complex
        ("40001", "OVERLOADED"),  # three attempts lost a conflict
        ("55P03", "OVERLOADED"),  # a lock was not free
        ("57014", "TIMEOUT"),  # the statement took too long
        ("XX000", "INTERNAL"),  # a bug of PostgreSQL
    ],
)
async def test_a_write_that_the_database_could_not_carry_out_is_named_and_has_no_effect(
    own_client: Client, state: str, code: str, trigger: str
) -> None:
    before = await own_client.ask(STEP)
    owner = await asyncpg.connect(own_client.database.owner_url)
    try:
        await owner.execute(REPORTS.format(state=state))
        await owner.execute(trigger)
        answer = await own_client.ask(EDIT, LEAD)
    finally:
        await owner.close()
    (error,) = answer.body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["outcome"]) == (code, "NONE")
    assert "report of this test" not in str(answer.body)
    assert (await own_client.ask(STEP)).data == before.data


@asynccontextmanager
async def read_only(client: Client) -> AsyncIterator[None]:
    """The database is read-only for connections that are made during the block."""
    name = client.database.app_url.partition("?")[0].rpartition("/")[2]
    owner = await asyncpg.connect(client.database.owner_url)
    await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        yield
    finally:
        await owner.execute("SET default_transaction_read_only = off")
        await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await owner.close()


async def gauges_of_checks(client: Client) -> dict[str, float]:
    """What the metrics say about each check of `/readyz`."""
    found = (await client.http.get("/readyz")).json()
    lines = (await client.http.get("/metrics")).text.splitlines()
    values = dict(line.split(" ", 1) for line in lines if not line.startswith("#"))
    return {check: float(values[CHECKS[check]]) for check in found if check not in {"status", "errors"}}


async def test_a_server_whose_database_is_read_only_is_not_ready_and_serves_reads_until_it_accepts_writes_again(
    own_client: Client, settings: Settings
) -> None:
    url = SecretStr(own_client.database.app_url)

    async def seen(client: Client) -> list[object]:
        ready = await client.http.get("/readyz")
        read, written = await client.ask(STEP), await client.ask(EDIT, LEAD)
        errors = [error["extensions"] for error in written.body.get("errors", ())]
        return [ready.status_code, ready.json()["writes"], read.status, [(e["code"], e["outcome"]) for e in errors]]

    async with read_only(own_client), serving(settings, own_client.database, database_url=url) as client:
        assert await seen(client) == [503, False, 200, [("UNAVAILABLE", "NONE")]]
        assert await gauges_of_checks(client) == {"database": 1, "migrations": 1, "writes": 0}
        owner = await asyncpg.connect(own_client.database.owner_url)
        await owner.execute("SET default_transaction_read_only = off")
        await owner.execute(f"ALTER DATABASE {url.get_secret_value().partition('?')[0].rpartition('/')[2]} RESET ALL")
        await owner.close()
        assert (await client.http.get("/readyz")).status_code in {200, 503}
        assert await seen(client) == [200, True, 200, []]


def about_operation(kind: type[BaseException]) -> bool:
    """Whether the driver's exception says how the server or the connection is, and not what was wrong with a query."""
    state = getattr(kind, "sqlstate", None) or ""
    if state:
        return state[:2] in {"08", "40", "53", "54", "57", "58"} or state in {"25006", "25P03", "25P04", "55P03"}
    # A ValueError is about a value or an option that this code gave to the driver.
    return issubclass(kind, exceptions.InternalClientError | exceptions.InterfaceError) and not issubclass(
        kind, ValueError
    )


OPERATION = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and about_operation(kind)]


@pytest.mark.parametrize("kind", OPERATION, ids=lambda kind: kind.__name__)
def test_no_exception_of_the_driver_about_the_server_or_the_connection_counts_as_a_bug(
    kind: type[Exception],
) -> None:
    known = translation(kind("the driver's own words"))
    assert known is not None
    assert not is_bug(known())


def test_the_driver_has_many_such_exceptions() -> None:
    assert len(OPERATION) > 30


def test_a_refused_certificate_does_not_count_as_a_bug() -> None:
    known = translation(ssl.SSLCertVerificationError("certificate has expired"))
    assert known is not None
    assert not is_bug(known())


# How a database is closed to new connections, and opened again.
CLOSED = {
    "to the role": ("REVOKE CONNECT ON DATABASE {} FROM turnup_app", "GRANT CONNECT ON DATABASE {} TO turnup_app"),
    "to all": ("ALTER DATABASE {} ALLOW_CONNECTIONS false", "ALTER DATABASE {} ALLOW_CONNECTIONS true"),
}

END_ALL_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""


@pytest.mark.parametrize("closed", CLOSED)
async def test_a_server_whose_database_is_closed_to_new_connections_is_not_ready_and_names_the_database(
    own_client: Client, settings: Settings, closed: str
) -> None:
    url = SecretStr(own_client.database.app_url)
    name = url.get_secret_value().partition("?")[0].rpartition("/")[2]
    close, reopen = (each.format(name) for each in CLOSED[closed])
    async with serving(settings, own_client.database, database_url=url) as client:
        app = await asyncpg.connect(url.get_secret_value())
        await run_as_owner(close)
        try:
            await app.execute(END_ALL_OTHERS)
            answers = [await client.ask(EDIT, who) for who in (CUSTOMER, LEAD)]
            ready = await client.http.get("/readyz")
        finally:
            await app.close()
            await run_as_owner(reopen)
        errors = [error["extensions"] for each in answers for error in each.body["errors"]]
        assert [(error["code"], error["outcome"]) for error in errors] == [("UNAVAILABLE", "NONE")] * 2
        assert ready.status_code == 503
        assert (await client.ask(EDIT, LEAD)).codes == []
        assert (await client.http.get("/readyz")).status_code == 200


async def test_a_check_that_ends_in_an_unexpected_error_shows_the_database_as_down_until_one_succeeds(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(_connection: Any) -> dict[str, bool]:
        raise asyncpg.DataCorruptedError("invalid page")

    async with serving(settings, client.database) as served:

        async def seen() -> tuple[int, bool, bool]:
            ready = await served.http.get("/readyz")
            shown = (await served.http.get("/metrics")).text.splitlines()
            return ready.status_code, "turnup_database_up 1.0" in shown, "turnup_database_up 0.0" in shown

        assert await seen() == (200, True, False)
        with monkeypatch.context() as damage:
            damage.setattr("app.main._state_of", damaged)
            assert await seen() == (500, False, True)
        assert await seen() == (200, True, False)
