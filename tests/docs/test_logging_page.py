"""The page about logging: its catalogue, what log services read, and the log of one approved onboarding."""

import ast
import hashlib
import json
import logging
import os
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
import structlog

from app.domain.events import EVENTS, UNLOGGED
from app.operations.event_log import emit
from app.telemetry.logging import FIRST_KEYS, SERVICE, start_logging
from tests.api.test_story import (
    ACKNOWLEDGE,
    APPROVE,
    EDIT,
    GENERATE,
    POLL,
    REVIEW,
    SUBMIT,
    TRIGGER,
    as_rfc_8785,
)
from tests.contract.served import Served, served
from tests.harness import CUSTOMER, LEAD, LEAD_2, PARTNER
from tests.needs import needs

from .pages import ROOT, comparable, page, shell_blocks, table

PAGE = "docs/logging.md"
ROLLBAR = ROOT / "docs/examples/rollbar.py"
EXAMPLE = "One approved onboarding"
MARKS = (
    "Marked-Label-7741", "00:15:5d:7a:b1:c9", "00155d7ab1c9", "Marked-Name-7741", "marked7741@acme.example",
    "+14155557741", "Marked comment 7741", "marked-key-7741", "marked-id-7741",
)  # fmt: skip
HOSTILE = 'seen\r\n{"level":"critical"}\x1b[2J\x07\x85\u2028\u2029\u202e'
_OF_ONE_RUN = re.compile(r'"(?:(request_id)":"[0-9a-f]{32}|(instance)":"[^"]+:\d+)"')


def block(heading: str, language: str) -> str:
    """The first block of a language under a heading of any level."""
    under = re.split(rf"^#+ {re.escape(heading)}\n", page(PAGE), maxsplit=1, flags=re.M)[1]
    return under.partition(f"```{language}\n")[2].partition("```")[0]


def test_the_page_has_the_catalogue_of_events() -> None:
    audited = {event.name: ", ".join(f"`{each}`" for each in event.actions) for event in EVENTS}
    assert [[each.replace("`", "") for each in row] for row in table(page(PAGE), "Events")] == [
        [
            event.name,
            event.level,
            audited[event.name].replace("`", "") or f"none: {event.unaudited}".replace("`", ""),
            event.says.replace("`", ""),
        ]
        for event in EVENTS
    ]


def test_the_page_says_which_actions_have_no_event() -> None:
    without = page(PAGE).partition("\nThese actions of the audit log have no event:\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| (.+) \|$", without, re.M) == list(UNLOGGED.items())


def test_the_page_explains_every_field() -> None:
    fields = set(re.findall(r"`(\w+)`", page(PAGE).partition("\n## Fields\n")[2].partition("\n## Events\n")[0]))
    example = [json.loads(line) for line in block(EXAMPLE, "json").splitlines()]
    assert {*FIRST_KEYS, *(name for line in example for name in line)} <= fields
    assert {name for event in EVENTS for name in re.findall(r"`(\w+)`", event.says) if name.islower()} <= fields


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    """Lines of JSON: of an event, of an error and of a warning."""
    root, stream = logging.getLogger(), StringIO()
    before = root.handlers[:], root.level
    start_logging(development=False, stream=stream)
    emit(EVENTS[0], user_id="user-lead")
    try:
        raise LookupError("unexpected")  # noqa: TRY301 - the exception that is logged
    except LookupError:
        logging.getLogger("turnup.http").exception("request failed", extra={"request_id": "request-1"})
    logging.getLogger("library").warning("worn out")
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_cloudwatch_reads_the_times(lines: list[dict[str, Any]]) -> None:
    agent = json.loads(block("CloudWatch", "json"))
    (source,) = agent["logs"]["logs_collected"]["files"]["collect_list"]
    assert source["timezone"] == "UTC"
    for line in lines:
        read = datetime.strptime(line["timestamp"][:19], source["timestamp_format"]).replace(tzinfo=UTC)
        assert abs((datetime.fromisoformat(line["timestamp"]) - read).total_seconds()) < 1


def test_datadog_finds_its_reserved_attributes(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        assert {"timestamp", "level", "service", "message"} <= line.keys()
        assert f"service: {line['service']}" in block("Datadog", "yaml")


def test_loki_finds_the_fields_that_become_labels(lines: list[dict[str, Any]]) -> None:
    configuration = block("Loki", "text")
    expressions = dict(re.findall(r'(\w+) = "(\w+)"', configuration.partition("stage.timestamp")[0]))
    labels = re.findall(r'(\w+) = ""', configuration)
    assert labels
    assert set(labels) <= expressions.keys()
    for line in lines:
        assert set(expressions.values()) <= line.keys()


def test_rollbar_gets_the_errors_and_the_log_passes_through(lines: list[dict[str, Any]]) -> None:
    strange = (
        b'no JSON\n[]\n7\n{"level":"error"}\n{"level":[]}\n{"level":"error","timestamp":"x"}\n\xff\xfe\n\n'
        + b"[" * 9_999
    )
    sent = b"".join(f"{json.dumps(line)}\n".encode() for line in lines) + strange
    with rollbar() as (url, received):
        ended = copied(sent, url)
    (item,) = received
    assert (ended.returncode, ended.stdout, item["access_token"]) == (0, sent, "t")
    assert (item["data"]["level"], item["data"]["body"]) == ("error", {"message": {"body": "request failed"}})
    assert item["data"]["title"] == "builtins.LookupError in docs/test_logging_page.py lines"
    assert item["data"]["custom"]["request_id"] == "request-1"
    assert item["data"]["custom"]["exception"][0]["type"] == "builtins.LookupError"
    assert ended.stderr.count(b"a line is not one of TURNUP_LOG_FORMAT=json") == 1


ENTRY, EXECUTOR = "/opt/turnup/app/http/endpoint.py:20 answer", "/opt/turnup/app/execution/executor.py:300 _resolve"
QUERY = "/opt/turnup/graphql_schema/queries.py:80 _accounts"
OTHER_QUERY = "/opt/turnup/graphql_schema/queries.py:120 _locations"
STATEMENT, LIBRARY = "/opt/turnup/app/db/database.py:9 fetch", "/x/site-packages/asyncpg/connection.py:7 fetch"
STACK = [ENTRY, EXECUTOR, QUERY, STATEMENT, LIBRARY, "asyncpg/protocol/protocol.pyx:161 prepare"]
UNDEFINED = "asyncpg.exceptions.UndefinedColumnError"


def item(stack: list[str], error: str = UNDEFINED, message: str = "resolver failed", **facts: str) -> dict[str, Any]:
    """What Rollbar gets for the line of an exception."""
    line = an_error(message, exception=[{"type": error, "stack": stack}], **facts)
    made: dict[str, Any] = runpy.run_path(str(ROLLBAR))["item_of"](line)
    return made


def test_one_bug_is_one_item_of_rollbar_in_all_releases_and_folders() -> None:
    released = [frame.replace("/opt/turnup", "/srv/2").replace(":", ":1") for frame in STACK]
    other_way = [EXECUTOR, *STACK[1:]]
    prints = [item(stack)["fingerprint"] for stack in (STACK, released, other_way)]
    prints.append(item(STACK, field="accounts")["fingerprint"])
    assert len(set(prints)) == 1
    assert len(prints[0]) == 40
    by_statement = [item(stack, statement="page account") for stack in (STACK, [ENTRY])]
    assert len({each["fingerprint"] for each in by_statement}) == 1


def test_different_bugs_are_different_items_of_rollbar() -> None:
    others = [
        item([OTHER_QUERY if frame == QUERY else frame for frame in STACK]),
        item(STACK, error="asyncpg.exceptions.UndefinedTableError"),
        item(STACK, message="request failed"),
        item(STACK, statement="page account"),
        item(STACK, statement="page location"),
        item([EXECUTOR, LIBRARY], field="accounts"),
        item([EXECUTOR, LIBRARY], field="locations"),
        item([EXECUTOR, "/opt/turnup/app/execution/completion.py:4 complete"], field="locations"),
        item([LIBRARY]),
        item([]),
    ]
    assert len({each["fingerprint"] for each in (item(STACK), *others)}) == 1 + len(others)


def test_an_item_of_rollbar_is_named_after_the_exception_and_its_place() -> None:
    assert item(STACK)["title"] == f"{UNDEFINED} in graphql_schema/queries.py _accounts"
    assert item(STACK, statement="page account")["title"] == f"{UNDEFINED} in page account"
    assert item([EXECUTOR, LIBRARY], field="accounts")["title"] == f"{UNDEFINED} in accounts"
    outage = runpy.run_path(str(ROLLBAR))["item_of"](an_error("Redis cannot be reached"))
    assert outage["title"] == "Redis cannot be reached"


@pytest.mark.parametrize("missing", ["ROLLBAR_TOKEN", "ROLLBAR_URL"])
def test_the_sending_to_rollbar_does_not_start_without_its_settings(missing: str) -> None:
    ended = copied(b"", "http://127.0.0.1:1/", settings={missing: ""})
    assert (ended.returncode, ended.stderr) == (1, f"rollbar: {missing} must be set\n".encode())


def test_the_sending_to_rollbar_does_not_start_with_an_older_python() -> None:
    older = f"import runpy, sys; sys.version_info = (3, 10, 12); runpy.run_path({str(ROLLBAR)!r}, run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", older], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "rollbar: Python 3.11 or later is needed\n")


def test_the_unit_of_rollbar_follows_the_log_also_after_its_rotation(tmp_path: Path) -> None:
    logged = "/var/log/turnup/turnup.log"
    (unit,) = re.findall(r"^ExecStart=/bin/sh -c '(.+)'$", page(PAGE), re.M)
    assert f"StandardError=append:{logged}" in page(PAGE)
    log = tmp_path / "turnup.log"
    log.write_bytes(an_error("before the start"))
    with rollbar() as (url, received):
        environment = {**os.environ, "ROLLBAR_TOKEN": "t", "ROLLBAR_URL": url}
        command = unit.replace(logged, shlex.quote(str(log))).replace(".venv/bin/python", shlex.quote(sys.executable))
        running = subprocess.Popen(["/bin/sh", "-c", command], cwd=ROOT, env=environment, start_new_session=True)
        try:
            arrived = sent_until_received(log, "first", received)
            os.truncate(log, 0)  # as copytruncate does
            arrived += sent_until_received(log, "second", received)
        finally:
            os.killpg(running.pid, signal.SIGTERM)  # as systemd does, to all processes of the unit
            running.wait(30)
    assert set(arrived) == {"first", "second"}


def sent_until_received(log: Path, message: str, received: list[dict[str, Any]]) -> list[str]:
    """Append the line of an error again and again until Rollbar has it. Returns the messages that Rollbar has."""
    deadline = time.monotonic() + 60
    while True:
        with log.open("ab") as file:
            file.write(an_error(message))
        time.sleep(0.1)
        messages = [each["data"]["body"]["message"]["body"] for each in list(received)]
        if message in messages:
            return messages
        assert time.monotonic() < deadline, messages


def test_an_answer_that_is_no_http_does_not_end_the_sending_to_rollbar() -> None:
    with rollbar(garbled=1) as (url, received):
        ended = copied(an_error("first") + an_error("second"), url)
    assert [each["data"]["body"]["message"]["body"] for each in received] == ["first", "second"]
    assert ended.stderr.count(b"an item was not sent: BadStatusLine") == 1


def test_a_full_disk_stops_neither_the_reading_nor_the_sending_to_rollbar() -> None:
    with rollbar() as (url, received), Path("/dev/full").open("wb") as full:
        ended = copied(an_error("first") * 2_000 + an_error("last"), url, stdout=full)
    assert ended.returncode == 0
    assert received[0]["data"]["body"] == {"message": {"body": "first"}}
    assert ended.stderr.count(b"a line was not written") == 1


def test_a_rollbar_that_does_not_answer_delays_neither_the_log_nor_its_end_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sent = an_error("lost") * 3_000
        began = time.monotonic()
        ended = copied(sent, f"http://127.0.0.1:{silent.getsockname()[1]}/")
    assert (ended.returncode, ended.stdout) == (0, sent)
    assert time.monotonic() - began < 3 + 10, "its own limit, and what a busy machine adds"
    assert b"an item was dropped" in ended.stderr


def test_the_line_after_a_torn_one_begins_a_new_line() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    output = runpy.run_path(str(ROLLBAR))["Output"](writing)
    with pytest.raises(OSError, match="temporarily unavailable"):
        output.write(b"x" * 1_000_000 + b"\n")
    torn = os.read(reading, 1_000_000)
    output.write(b"whole\n")
    assert os.read(reading, 100) == b"\nwhole\n"
    assert set(torn) == set(b"x")
    os.close(reading)
    os.close(writing)


@contextmanager
def rollbar(garbled: int = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a server that takes items, and what it got. Its first `garbled` answers are no HTTP."""
    received: list[dict[str, Any]] = []

    class Rollbar(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            if len(received) <= garbled:
                self.wfile.write(b"garbled\r\n\r\n")
                return
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Rollbar) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/1/item/", received
        server.shutdown()


def copied(
    sent: bytes, url: str, stdout: IO[bytes] | int = subprocess.PIPE, settings: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[bytes]:
    """The ended example, to which these lines were sent."""
    return subprocess.run(
        [sys.executable, str(ROLLBAR)],
        input=sent,
        env={**os.environ, "ROLLBAR_TOKEN": "t", "ROLLBAR_URL": url, **settings},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


def an_error(message: str, **facts: object) -> bytes:
    """A line of the log."""
    fields = {"timestamp": "2026-11-30T08:00:00Z", "level": "error", "version": "1.2.3", "message": message, **facts}
    return f"{json.dumps(fields)}\n".encode()


def test_the_page_lists_the_message_of_every_error() -> None:
    listed = " ".join(row[0] for row in table(page(PAGE), "Other lines"))
    parts = {part.strip() for message in error_messages() for part in re.split(r"%\S*", message)} - {"", "s", ":"}
    assert len(parts) > 15
    assert {part for part in parts if part not in listed} == set()


def error_messages() -> Iterator[str]:
    """The messages that the code logs at the levels ERROR and CRITICAL."""
    for folder in ("app", "graphql_schema", "resolvers", "permissions"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Attribute(
                            value=ast.Name(id="log" | "logger"), attr="error" | "exception" | "critical"
                        ),
                        args=[message, *_],
                    ):
                        constants = [each.value for each in ast.walk(message) if isinstance(each, ast.Constant)]
                        yield from (each for each in constants if isinstance(each, str))


READ = [command for command, _ in shell_blocks(page(PAGE).partition("\n## Read the log\n")[2].partition("\n## ")[0])]


@pytest.mark.slow
def test_the_commands_that_read_the_log_print_what_the_page_says(tmp_path: Path) -> None:
    needs("jq")
    request = "3084a36f40e7bb14941ac727497c3cb7"
    answered = {"level": "info", "message": "request.answered"}
    lines: list[dict[str, Any]] = [
        {"level": "info", "message": "server.configured", "settings": {"port": 1}},
        {**answered, "request_id": "1", "duration_ms": 5.5, "route": "/graphql", "user_id": "user-acme"},
        {**answered, "request_id": "2", "duration_ms": 12.5, "root_fields": ["me", "accounts"], "user_id": "user-lead"},
        {**answered, "request_id": request, "duration_ms": 7, "root_fields": ["me"], "codes": ["INTERNAL"]},
        {"level": "error", "message": "resolver failed", "request_id": request},
        {**answered, "request_id": "3", "duration_ms": 1, "root_fields": ["me"], "codes": ["INTERNAL"]},
        {**answered, "request_id": "4", "duration_ms": 1, "root_fields": ["me"], "user_id": "user-lead"},
        {"level": "info", "message": "server.configured", "settings": {"port": 2}},
    ]
    log = tmp_path / "log"
    log.write_text("Started Turnup on port 8001.\n" + "".join(f"{json.dumps(line)}\n" for line in lines))
    journalctl = tmp_path / "journalctl"
    journalctl.write_text(f"#!/bin/sh\ncat {log}\n")
    journalctl.chmod(0o755)
    errors, of_request, slowest, failed, users, settings = (shown(command, tmp_path) for command in READ)
    assert [json.loads(line)["message"] for line in errors] == ["resolver failed"]
    assert [json.loads(line)["message"] for line in of_request] == ["request.answered", "resolver failed"]
    assert slowest[:3] == ["12.5\tme,accounts\t2", f"7\tme\t{request}", "5.5\t/graphql\t1"]
    assert [line.split() for line in failed] == [["2", "me"]]
    assert [line.split() for line in users] == [["2", "user-lead"], ["1", "user-acme"]]
    assert json.loads("".join(settings)) == {"port": 2}


def shown(command: str, folder: Path) -> list[str]:
    """What a command prints, with the programs of a folder."""
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert not ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.xdist_group("logging-page")
def test_the_log_of_one_approved_onboarding_is_the_one_of_the_page_and_has_nothing_personal() -> None:
    with served(TURNUP_GRAPHIQL="false", TURNUP_LOG_FORMAT="json", TURNUP_LOG_LEVEL="DEBUG") as server:
        tokens = [server.token(who) for who in (CUSTOMER, LEAD, PARTNER)]
        _onboarding(server)
        begun = len(_printed(server))
        _marked_requests(server)
        text = (server.home / "serve.log").read_text(encoding="utf-8")
        lines = _printed(server)
    assert all({*FIRST_KEYS} <= line.keys() for line in lines)
    assert {line["service"] for line in lines} == {SERVICE}
    events = [line for line in text.splitlines() if '"logger":"turnup.events"' in line and '"action"' in line]
    onboarding = [line for line in events if json.loads(line).get("location_id") == "location-1"]
    assert _compared("\n".join(onboarding)) == _compared(block(EXAMPLE, "json").rstrip("\n"))
    names = [line["message"] for line in lines[begun:]]
    assert {"person.added", "contacts.set", "change.refused", "permission.denied", "user.created"} <= set(names)
    assert [mark for mark in (*MARKS, *tokens, "Bearer") if mark.lower() in text.lower()] == []
    assert {"server.configured", "tokens.withheld"} <= {line["message"] for line in lines}
    assert all(line.isprintable() for line in text.splitlines())


def _printed(server: Served) -> list[dict[str, Any]]:
    """What the server has printed; each line is an object of JSON."""
    text = (server.home / "serve.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _compared(text: str) -> str:
    return comparable(_OF_ONE_RUN.sub(r'"\1\2":"..."', text))


def _onboarding(server: Served) -> None:
    """One onboarding, from the customer's edit to the partner's acknowledgement."""
    revision = server.ask('{ node(id: "phone-1") { ... on Device { revision } } }', CUSTOMER)["node"]["revision"]
    server.ask(EDIT, CUSTOMER, device="phone-1", revision=revision, label=MARKS[0])
    server.ask(SUBMIT, CUSTOMER)
    digest = server.ask(REVIEW, LEAD)["review"]["digest"]
    server.ask(APPROVE, LEAD, digest=digest)
    server.ask(GENERATE, LEAD)
    server.ask(TRIGGER, LEAD)
    (payload,) = server.ask(POLL, PARTNER)["provisioningPayloads"]["nodes"]
    received = hashlib.sha256(as_rfc_8785(payload["document"])).hexdigest()
    server.ask(ACKNOWLEDGE, PARTNER, id=payload["id"], digest=received)


def _marked_requests(server: Served) -> None:
    """Send marked values wherever a client can put a text, in requests that succeed and in those that are refused."""
    label, mac, _, name, email, phone, comment, key, marked_id = MARKS
    operation = "Rollout"  # a name, which the line of the request has
    place = '"location-2"'
    for mutation, who in (
        (f'addPerson(input: {{locationId: {place}, firstName: "{name}", lastName: "{name}", email: "{email}", '
         f'mobile: "{phone}", idempotencyKey: "{key}"}})', CUSTOMER),
        (f'setContacts(input: {{locationId: {place}, expectedRevision: 1, contacts: [{{purpose: PRIMARY, '
         f'fullName: "{name}", email: "{email}", phone: "{phone}"}}]}})', LEAD),
        (f'addDevice(input: {{locationId: {place}, macAddress: "{mac}", label: "{label}", brand: YEALINK}})', LEAD),
        (f'block(input: {{locationId: "{marked_id}", reason: "{comment}"}})', LEAD),
        (f'requestChanges(input: {{locationId: {place}, comment: "{comment}"}})', LEAD_2),
        (f'createUser(input: {{email: "{email}", name: "{name}", subject: "{name}", role: AUDITOR}})', LEAD),
        (f'block(input: {{locationId: {place}, reason: "{comment}"}})', CUSTOMER),
    ):  # fmt: skip
        _send(server, who, {"query": f"mutation {operation} {{ {mutation} {{ problems {{ code message }} }} }}"})
    _send(server, CUSTOMER, {"query": f'query {operation} {{ nothing(x: "{name}") }}'})
    _send(server, CUSTOMER, {"query": "{ viewer { id } }", "operationName": email, "variables": {"x": email}})
    hostile = {"query": "{ viewer { id } }", "operationName": HOSTILE, "variables": {HOSTILE: HOSTILE}}
    _send(server, CUSTOMER, hostile)
    _send(
        server, CUSTOMER, {"query": f'mutation {{ block(input: {{locationId: {json.dumps(HOSTILE)}, reason: "x"}}) }}'}
    )
    _send(server, "nobody" + email, {"query": "{ viewer { id } }"})
    get = {"query": f'{{ location(id: "{marked_id}") {{ id }} }}', "variables": json.dumps({"x": name})}
    headers = {"authorization": f"Bearer {server.token(LEAD)}", "x-user-id": name}
    httpx.get(f"{server.origin}/graphql", params=get, headers=headers, trust_env=False)
    httpx.get(f"{server.origin}/{email}?{key}", headers={"user-agent": name, "referer": name}, trust_env=False)


def _send(server: Served, who: str, body: dict[str, Any]) -> None:
    headers = {"authorization": f"Bearer {server.token(who)}"}
    httpx.post(f"{server.origin}/graphql", json=body, headers=headers, timeout=30, trust_env=False)
