"""Wherever an exception is unexpected, it arrives at the error tracker, with what it takes to find the request."""

import asyncio
import logging
import runpy
import threading
from collections.abc import Iterator
from io import StringIO
from typing import Any

import asyncpg
import pytest
import structlog
from starlette.types import Message

from app.cli import main
from app.db import queries
from app.db.database import Database
from app.db.failures import DatabaseUnavailable
from app.db.loaders import OneLoader
from app.limiting.limiter import Limiter
from app.main import EXPECTED, create_app
from app.operations import housekeeping
from app.serving import StartReport
from app.settings import Settings
from app.telemetry import Telemetry
from app.telemetry.errors import ErrorTracking, start_error_tracking
from app.telemetry.logging import start_logging
from app.telemetry.metrics import start_metrics
from app.telemetry.tracing import start_tracing
from graphql_schema.incidents import IncidentRecorder
from tests.harness import CUSTOMER, LEAD, Client
from tests.telemetry.tracker import ErrorServer, an_error_server

SECRET = "hunter2"
DEVICES = "query Rollout { locations(first: 3) { nodes { devices { extension { id } } } } }"


class Bug(Exception):  # noqa: N818 - what it is
    """An exception with something that must not leave."""

    def __init__(self) -> None:
        super().__init__(SECRET)


async def fails(*_arguments: Any, **_named: Any) -> Any:
    secret = SECRET
    raise Bug from ValueError(secret)


@pytest.fixture
def tracker() -> Iterator[ErrorServer]:
    """The server of the error tracker."""
    with an_error_server() as server:
        yield server
        assert SECRET.encode() not in server.received


@pytest.fixture
def tracking(tracker: ErrorServer) -> Iterator[ErrorTracking]:
    """Error tracking as a server starts it."""
    started = start_error_tracking(tracker.dsn, service_version="1.2.3", environment="production", expected=EXPECTED)
    yield started
    started.close()


async def only(tracker: ErrorServer) -> dict[str, Any]:
    """The first event."""
    return (await asyncio.to_thread(tracker.wait, 1))[0]


def types(event: dict[str, Any]) -> list[str]:
    """The types of the exceptions of an event, outermost last."""
    return [each["type"] for each in event["exception"]["values"]]


@pytest.mark.usefixtures("tracking")
async def test_a_bug_in_a_resolver_arrives_with_operation_user_and_request(
    client: Client, tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "page_of", fails)
    answer = await client.ask(
        "query Secret { other: locations { totalCount } viewer { name } }", LEAD, headers={"x-request-id": "mine"}
    )
    event = await only(tracker)
    assert types(event) == ["ValueError", "Bug"]
    user = await client.ask("{ viewer { user { id } role } }", LEAD)
    assert event["user"] == {"id": user.data["viewer"]["user"]["id"]}
    assert event["transaction"] == "query locations,viewer"
    assert event["tags"] == {
        "request_id": answer.headers["x-request-id"],
        "role": user.data["viewer"]["role"],
        "operation_type": "query",
        "root_fields": "locations,viewer",
        "field": "locations",
    }


async def test_the_line_of_a_bug_names_the_field_and_nothing_that_the_client_wrote(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queries, "page_of", fails)
    answer = await client.ask("query ErikaMustermann { erikaMustermann: locations { erika: totalCount } }")
    assert answer.codes == ["INTERNAL"]
    (record,) = [each for each in caplog.records if each.name == "turnup.graphql"]
    assert vars(record)["field"] == "locations"
    told = {name: value for name, value in vars(record).items() if not name.startswith("exc_")}
    assert "erika" not in str(told).lower()


@pytest.mark.usefixtures("tracking")
async def test_a_bug_in_a_loader_is_one_issue_however_many_objects_and_queries_meet_it(
    client: Client, tracker: ErrorServer, tracking: ErrorTracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OneLoader, "each", fails)
    await client.ask(DEVICES, LEAD)
    await client.ask("{ locations(first: 1) { nodes { devices { extension { id } } } } }", CUSTOMER)
    await asyncio.to_thread(tracking.shutdown)
    assert len(tracker.events) >= 2
    assert len({tuple(event["fingerprint"]) for event in tracker.events}) == 1


@pytest.mark.usefixtures("tracking")
async def test_a_wrong_statement_arrives_with_its_sqlstate(
    client: Client, tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wrong(reading: Any, *_arguments: Any) -> Any:
        return await reading._turns.transaction._connection.fetch(f"SELECT missing, '{SECRET}' FROM turnup.location")

    monkeypatch.setattr(queries, "page_of", wrong)
    await client.ask("{ locations { totalCount } }")
    event = await only(tracker)
    assert types(event) == ["UndefinedColumnError"]
    assert (event["exception"]["values"][0]["value"], event["tags"]["code"]) == ("42703", "42703")


EDIT_DEVICE = """mutation {
  editDevice(input: {deviceId: "phone-1", expectedRevision: 1, label: "Till"}) { problems { code } } }"""
EDIT_PERSON = """mutation {
  editPerson(input: {personId: "person-1", expectedRevision: 1, firstName: "Ada"}) { problems { code } } }"""
DEVICES_OF_ONE = '{ location(id: "location-1") { devices { id } } }'
PEOPLE_OF_ONE = '{ location(id: "location-1") { people { id } } }'


@pytest.mark.parametrize(
    ("broken", "requests"),
    [
        ("SELECT ON turnup.device, turnup.person", [DEVICES_OF_ONE, PEOPLE_OF_ONE]),
        ("UPDATE ON turnup.device, turnup.person", [EDIT_DEVICE, EDIT_PERSON]),
    ],
    ids=["reads", "writes"],
)
@pytest.mark.usefixtures("tracking")
async def test_each_table_that_is_broken_is_an_issue_of_its_own(
    own_client: Client, tracker: ErrorServer, tracking: ErrorTracking, broken: str, requests: list[str]
) -> None:
    await revoke(own_client, broken)
    for each in (*requests, *requests):
        answer = await own_client.ask(each, LEAD)
        assert answer.codes == ["INTERNAL"], answer.body
    await asyncio.to_thread(tracking.shutdown)
    assert [event["tags"]["code"] for event in tracker.events] == ["42501"] * 4
    fingerprints = [tuple(event["fingerprint"]) for event in tracker.events]
    assert fingerprints[:2] == fingerprints[2:]
    assert len(set(fingerprints)) == 2, fingerprints


async def test_each_table_that_is_broken_is_an_item_of_rollbar_of_its_own(
    own_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await revoke(own_client, "SELECT ON turnup.device, turnup.person")
    for each in (DEVICES_OF_ONE, PEOPLE_OF_ONE, DEVICES_OF_ONE, PEOPLE_OF_ONE):
        assert (await own_client.ask(each, LEAD)).codes == ["INTERNAL"]
    item_of = runpy.run_path("docs/examples/rollbar.py")["item_of"]
    items = [item_of(line_of(record)) for record in caplog.records if record.levelno >= logging.ERROR]
    error = "asyncpg.exceptions.InsufficientPrivilegeError"
    titles = [f"{error} in many device by location_id", f"{error} in many person by location_id"]
    assert [item["title"] for item in items] == [*titles, *titles]
    assert len({item["fingerprint"] for item in items}) == 2


def line_of(record: logging.LogRecord) -> bytes:
    """The line of a record, in production."""
    stream = StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        start_logging(development=False, stream=stream).handle(record)
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        structlog.reset_defaults()
    return stream.getvalue().encode()


async def revoke(client: Client, rights: str) -> None:
    """Take rights from the server, as a mistake in a migration could."""
    connection = await asyncpg.connect(client.database.owner_url)
    try:
        await connection.execute(f"REVOKE {rights} FROM turnup_app")
    finally:
        await connection.close()


@pytest.mark.usefixtures("tracking")
async def test_a_bug_before_the_user_is_known_arrives_with_the_operation(
    client: Client, tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "_sign_in", fails)
    answer = await client.ask("{ locations { totalCount } }")
    event = await only(tracker)
    assert "user" not in event
    assert (event["transaction"], event["tags"]["request_id"]) == ("query locations", answer.headers["x-request-id"])


@pytest.mark.usefixtures("tracking")
async def test_an_outage_is_no_bug(
    client: Client, tracker: ErrorServer, tracking: ErrorTracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_arguments: Any, **_named: Any) -> Any:
        raise DatabaseUnavailable

    monkeypatch.setattr(Database, "_sign_in", gone)
    answer = await client.ask("{ locations { totalCount } }")
    assert answer.codes == ["UNAVAILABLE"]
    await asyncio.to_thread(tracking.shutdown)
    assert tracker.events == []


@pytest.mark.usefixtures("tracking")
async def test_a_bug_outside_of_graphql_arrives_with_the_route(
    client: Client, tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admission.Admission.admit", fails)
    await client.ask("{ viewer { id } }")
    event = await only(tracker)
    assert (types(event), event["transaction"]) == (["ValueError", "Bug"], "/graphql")


@pytest.mark.usefixtures("tracking")
async def test_a_bug_after_the_response_arrives(
    client: Client, tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operation is charged for what it returned, and the audit log counts incidents."""
    monkeypatch.setattr(Limiter, "correct", fails)
    await client.ask("{ locations { totalCount } }")
    await only(tracker)


@pytest.mark.usefixtures("tracking")
async def test_a_bug_while_an_incident_is_counted_arrives(
    client: Client, tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IncidentRecorder, "_count_one", fails)
    answer = await client.ask("{ auditLog(first: 1) { totalCount } }", CUSTOMER)
    assert answer.codes == ["FORBIDDEN"]
    assert (await only(tracker))["logger"] == "turnup.graphql"


@pytest.mark.usefixtures("tracking")
async def test_a_bug_in_housekeeping_arrives_and_the_next_run_goes_on(
    tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr("app.audit.settle", fails)
    running = asyncio.create_task(housekeeping.run_housekeeping(None))  # type: ignore[arg-type] # - it fails before
    await asyncio.to_thread(tracker.wait, 2)
    assert not running.done()
    running.cancel()


@pytest.mark.usefixtures("tracking")
async def test_a_bug_in_a_task_that_nobody_awaits_arrives(tracker: ErrorServer) -> None:
    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    del task
    assert (await only(tracker))["logger"] == "asyncio"


@pytest.mark.usefixtures("tracking")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_a_thread_arrives_with_the_line_that_every_thread_has(
    tracker: ErrorServer, caplog: pytest.LogCaptureFixture
) -> None:
    def act(error: BaseException) -> None:
        raise error

    for error in (SystemExit(), Bug()):
        thread = threading.Thread(target=act, args=(error,))
        thread.start()
        thread.join()
    assert types(tracker.wait(1)[0]) == ["Bug"]
    found = [(record.levelname, record.getMessage()) for record in caplog.records if record.exc_info]
    assert found == [("CRITICAL", "an exception was not caught")]


# The start and the end of a server, and commands


def watching(tracking: ErrorTracking) -> Telemetry:
    """The telemetry of a server with this error tracking."""
    return Telemetry(tracing=start_tracing("1.2.3"), metrics=start_metrics("1.2.3"), errors=tracking)


async def lived(app: Any) -> str | None:
    """Start an application and end it; returns why one of the two failed."""
    report, sent = StartReport(app), asyncio.Queue[Message]()
    received = asyncio.Queue[Message]()
    received.put_nowait({"type": "lifespan.startup"})
    received.put_nowait({"type": "lifespan.shutdown"})
    try:
        await report({"type": "lifespan", "state": {}}, received.get, sent.put)
    except Exception:  # noqa: BLE001 - whatever the application raises
        return report.failure
    return None


async def test_a_bug_at_the_start_arrives_although_telemetry_ended(
    settings: Settings, tracker: ErrorServer, tracking: ErrorTracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.main.check_app_role", fails)
    assert await lived(create_app(settings, watching(tracking))) == "the server did not start: Bug"
    assert types(await only(tracker)) == ["ValueError", "Bug"]


async def test_a_bug_at_the_end_arrives_although_telemetry_ended(
    settings: Settings, tracker: ErrorServer, tracking: ErrorTracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limiter, "close", fails)
    await lived(create_app(settings, watching(tracking)))
    assert types(await only(tracker)) == ["ValueError", "Bug"]


def test_a_bug_in_a_command_arrives_with_the_command(tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise Bug

    monkeypatch.setenv("SENTRY_DSN", tracker.dsn)
    monkeypatch.setattr("app.cli.printed", broken)
    handlers = logging.getLogger().handlers[:]
    with pytest.raises(SystemExit):
        main(["schema"])
    (event,) = tracker.events
    assert (types(event), event["tags"]) == (["Bug"], {"command": "schema"})
    assert logging.getLogger().handlers == handlers


def test_a_command_that_says_what_is_wrong_reports_nothing(
    tracker: ErrorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTRY_DSN", tracker.dsn)
    monkeypatch.setenv("TURNUP_OWNER_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(SystemExit):
        main(["migrate"])
    assert tracker.requests == 0
