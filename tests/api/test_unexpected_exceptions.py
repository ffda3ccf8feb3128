"""Wherever an exception that the code does not expect ends, the server counts it once, also without error tracking."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.auth.development import DevelopmentIssuer
from app.db.failures import DatabaseUnavailable
from app.main import EXPECTED, create_app
from app.operations import gauges, housekeeping
from app.settings import Settings
from app.telemetry import Telemetry
from app.telemetry.errors import start_error_tracking
from app.telemetry.metrics import start_metrics
from app.telemetry.tracing import start_tracing
from app.version import VERSION
from graphql_schema import incidents
from tests.harness import CUSTOMER, LEAD, Client, TestDatabase, own_database

DENIED = "{ auditLog(first: 1) { totalCount } }"


@dataclass
class Counting:
    """A server, and what it has counted."""

    client: Client
    telemetry: Telemetry

    def counted(self) -> dict[str, int]:
        """The number of unexpected exceptions by logger."""
        name = "turnup_unexpected_exceptions_total{"
        lines = [line for line in self.telemetry.metrics.render().decode().splitlines() if line.startswith(name)]
        numbers = {line.split('"')[1]: int(float(line.rpartition(" ")[2])) for line in lines}
        return {logger: number for logger, number in numbers.items() if number}

    async def until_counted(self, logger: str) -> None:
        """Wait until one was counted."""
        async with asyncio.timeout(30):
            while logger not in self.counted():  # noqa: ASYNC110 - a metric knows no events
                await asyncio.sleep(0.01)

    async def change(self, statement: str) -> None:
        """Change the database, as its owner could by hand."""
        connection = await asyncpg.connect(self.client.database.owner_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture
async def unserved() -> AsyncIterator[TestDatabase]:
    """A database of its own."""
    async with own_database() as made:
        yield made


@asynccontextmanager
async def counting(settings: Settings, database: TestDatabase) -> AsyncIterator[Counting]:
    """A server without error tracking."""
    metrics = start_metrics(VERSION)
    errors = start_error_tracking(
        None,
        service_version=VERSION,
        environment="development",
        expected=EXPECTED,
        counted=metrics.unexpected_exception,
    )
    telemetry = Telemetry(tracing=start_tracing(VERSION), metrics=metrics, errors=errors)
    app = create_app(settings.model_copy(update={"database_url": SecretStr(database.app_url)}), telemetry)
    try:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
        ):
            yield Counting(Client(http, DevelopmentIssuer.load_or_create(settings.home), database), telemetry)
    finally:
        errors.close()


@pytest.fixture
async def server(settings: Settings, unserved: TestDatabase) -> AsyncIterator[Counting]:
    """A server that has counted nothing."""
    async with counting(settings, unserved) as started:
        yield started


async def test_a_column_that_was_renamed_counts_once_per_request_that_meets_it(server: Counting) -> None:
    await server.change("ALTER TABLE turnup.device_model RENAME COLUMN lines TO rows")
    for number in (1, 2):
        assert (await server.client.ask("{ deviceModels { nodes { lines } } }", LEAD)).codes == ["INTERNAL"]
        assert server.counted() == {"turnup.graphql": number}


async def test_an_incident_that_the_audit_log_cannot_count_counts(server: Counting) -> None:
    await server.change(
        """SET ROLE turnup_definer;
           DO $$ BEGIN EXECUTE (SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM turnup_app', oid::regprocedure)
             FROM pg_proc WHERE proname = 'audit_count' AND pronamespace = 'turnup'::regnamespace); END $$"""
    )
    assert (await server.client.ask(DENIED, CUSTOMER)).codes == ["FORBIDDEN"]
    await server.until_counted("turnup.graphql")


@pytest.mark.parametrize("limit", ["MOST_COUNTS", "COUNT_SECONDS"])
async def test_an_incident_that_waits_too_long_to_be_counted_counts(
    server: Counting, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(incidents, limit, 0)
    assert (await server.client.ask(DENIED, CUSTOMER)).codes == ["FORBIDDEN"]
    await server.until_counted("turnup.graphql")


@pytest.mark.parametrize("failing", ["app.admission.Admission.admit", "app.http.health.SharedChecks.__call__"])
async def test_a_bug_outside_of_graphql_counts(server: Counting, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    async def fails(*_arguments: object) -> None:
        raise LookupError

    monkeypatch.setattr(failing, fails)
    statuses = {
        (await server.client.ask("{ viewer { id } }")).status,
        (await server.client.http.get("/readyz")).status_code,
    }
    assert 500 in statuses
    assert server.counted() == {"turnup.http": 1}


async def test_a_background_task_that_fails_counts(server: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_arguments: object) -> None:
        raise LookupError

    monkeypatch.setattr(housekeeping, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr("app.audit.settle", fails)
    running = asyncio.create_task(housekeeping.run_housekeeping(None))  # type: ignore[arg-type] # - it fails before
    await server.until_counted("turnup.housekeeping")
    running.cancel()


async def test_a_measurement_that_fails_counts(server: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_arguments: object) -> None:
        raise LookupError

    monkeypatch.setattr(gauges, "measure_gauges", fails)
    monkeypatch.setattr(gauges, "read_gauges", fails)
    running = asyncio.create_task(gauges.run_gauges(None, lambda _: None, first_seconds=0.01))  # type: ignore[arg-type] # - it fails before
    await server.until_counted("turnup.gauges")
    running.cancel()


async def test_a_background_task_that_a_bug_ends_counts_while_the_server_runs(
    settings: Settings, unserved: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_arguments: object) -> None:
        raise LookupError

    monkeypatch.setattr("app.main.run_gauges", fails)
    async with counting(settings, unserved) as server:
        await server.until_counted("turnup.server")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_bug_in_a_thread_and_one_that_a_library_logs_count(server: Counting) -> None:
    def fails() -> None:
        raise LookupError

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    assert server.counted() == {"turnup.output": 1}
    logging.getLogger("uvicorn.error").error("failed", exc_info=LookupError())
    assert server.counted() == {"turnup.output": 1, "other": 1}


@pytest.mark.parametrize("error", [DatabaseUnavailable, TimeoutError])
async def test_an_outage_is_no_unexpected_exception(server: Counting, error: Callable[[], Any]) -> None:
    logging.getLogger("turnup.housekeeping").error("failed", exc_info=error())
    assert server.counted() == {}
