"""What `turnup serve` prints as lines of JSON, and that no request depends on whether they can be written."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from app.settings import LogLevel, Settings
from app.telemetry.logging import FIRST_KEYS
from tests.harness import own_database

from .turnup import command_line, descendants, environment, eventually, free_port, is_ready, run, serving

REQUESTS = 400
"""Requests of which the lines, at the level DEBUG, are more than a pipe takes."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for one embedded PostgreSQL that all servers of the module use."""
    return tmp_path_factory.mktemp("output") / "home"


def parsed(printed: str) -> list[dict[str, Any]]:
    """The lines, each of which is an object of JSON with the fields of all lines."""
    lines = [json.loads(line) for line in printed.splitlines()]
    assert all({*FIRST_KEYS} <= line.keys() for line in lines)
    return lines


def test_why_a_server_does_not_start_is_told_in_lines_of_json() -> None:
    ended = run("serve", TURNUP_ENV="production")
    lines = parsed(ended.stderr)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert {line["level"] for line in lines} == {"error"}
    assert "TURNUP_ISSUER is missing" in [line["message"] for line in lines]


def test_a_production_server_whose_log_format_does_not_exist_says_so_in_json() -> None:
    ended = run("serve", TURNUP_ENV="production", TURNUP_LOG_FORMAT="xml")
    lines = parsed(ended.stderr)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert any(line["message"].startswith("TURNUP_LOG_FORMAT: ") for line in lines)


async def test_a_command_prints_for_people_and_logs_its_event_where_a_server_logs_json(tmp_path: Path) -> None:
    async with own_database() as database:
        variables = {"TURNUP_OWNER_DATABASE_URL": database.owner_url, "TURNUP_HOME": str(tmp_path / "home")}
        suspended = run("user", "suspend", "user-acme", TURNUP_LOG_FORMAT="json", **variables)
        reinstated = run("user", "reinstate", "user-acme", TURNUP_LOG_FORMAT="text", **variables)
        silent = run("user", "suspend", "user-acme", TURNUP_LOG_FORMAT="JSON", TURNUP_LOG_LEVEL="error", **variables)
    (line,) = parsed(suspended.stderr)
    assert suspended.stdout == "suspended\n"
    assert (line["message"], line["action"], line["object_id"]) == ("user.suspended", "USER_SUSPENDED", "user-acme")
    assert "user_id" not in line
    assert (reinstated.returncode, reinstated.stderr) == (0, "")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "suspended\n", "")


@pytest.mark.parametrize("named", ["JSON", " json "])
def test_choices_about_the_log_are_named_in_any_case(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNUP_LOG_FORMAT", named)
    monkeypatch.setenv("TURNUP_LOG_LEVEL", "Warning ")
    settings = Settings()
    assert (settings.logs_json, settings.log_level) == (True, LogLevel.WARNING)


def test_a_choice_that_does_not_exist_is_refused() -> None:
    ended = run("schema", TURNUP_LOG_FORMAT="xml", TURNUP_LOG_LEVEL="loud")
    assert ended.returncode != 0
    assert {"TURNUP_LOG_FORMAT", "TURNUP_LOG_LEVEL"} <= set(re.findall(r"TURNUP_LOG_[A-Z]+", ended.stderr))


@pytest.mark.slow
@pytest.mark.xdist_group("output-of-a-server")
def test_workers_and_the_end_of_one_of_them_are_lines_of_json_without_tokens(home: Path) -> None:
    with serving(home, TURNUP_LOG_FORMAT="json", TURNUP_WORKERS="2") as server:
        started = [each for each in parsed(server.printed) if each["message"].startswith("Started server process")]
        os.kill(int(started[0]["message"].split("[")[1].rstrip("]")), signal.SIGKILL)
        eventually(lambda: "ended with exit status -9" in server.printed, within=60)
        server.end(signal.SIGTERM, within=60)
    lines = parsed(server.printed)
    messages = [line["message"] for line in lines]
    assert {"server.configured", "tokens.withheld"} <= set(messages)
    (configured,) = [line["settings"] for line in lines if line["message"] == "server.configured"]
    assert (configured["TURNUP_WORKERS"], configured["TURNUP_LOG_FORMAT"]) == (2, "json")
    assert "eyJ" not in server.printed
    assert "turnup_" not in server.printed.replace("turnup_owner", "").replace("turnup_app", "")


@pytest.mark.slow
@pytest.mark.xdist_group("output-of-a-server")
@pytest.mark.parametrize("kind", ["json", "text"])
def test_a_server_prints_no_value_of_a_variable_of_opentelemetry(home: Path, kind: str) -> None:
    secret = "4f1c9a77secretkey"
    wrong = {
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key: {secret}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": secret,
        "OTEL_RESOURCE_ATTRIBUTES": secret,
    }
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}  # nothing listens on the port for discarding
    with serving(home, TURNUP_LOG_FORMAT=kind, **endpoint, **wrong) as server:
        server.end(signal.SIGTERM, within=60)
    assert secret not in server.printed
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES"):
        assert f"warning: {name} is not a list of name=value" in server.printed
    (configured,) = [line for line in server.printed.splitlines() if "server.configured" in line]
    assert configured.count("OTEL_") == 4


@pytest.mark.slow
@pytest.mark.xdist_group("output-of-a-server")
def test_what_a_killed_server_leaves_behind_prints_nothing_but_lines_of_json(home: Path) -> None:
    with serving(home, TURNUP_LOG_FORMAT="json", TURNUP_WORKERS="2") as server:
        started = {pid for pid in descendants(server.process.pid) if "multiprocessing" in command_line(pid)}
        assert len(started) > 2, "two workers, and what Python starts beside them"
        server.end(signal.SIGKILL, within=60)
        eventually(lambda: not any(map(command_line, started)), within=60)
    assert {"Shutting down", "Application shutdown complete."} <= {line["message"] for line in parsed(server.printed)}


@pytest.mark.slow
@pytest.mark.xdist_group("output-of-a-server")
@pytest.mark.parametrize("kind", ["full", "pipe", "closed"])
def test_no_request_fails_or_waits_because_lines_cannot_be_written(home: Path, kind: str) -> None:
    """The disk is full, the reader of the pipe does not read and then goes, or there is no standard error."""
    port = free_port()
    program = [sys.executable, "-m", "app.cli", "serve"]
    if kind == "closed":
        program = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *program]
    reading, error = os.pipe() if kind == "pipe" else (-1, os.open("/dev/full", os.O_WRONLY))
    variables = {"TURNUP_HOME": str(home), "PORT": str(port), "TURNUP_LOG_FORMAT": "json", "TURNUP_LOG_LEVEL": "DEBUG"}
    process = subprocess.Popen(
        program, env=environment(**variables), cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=error,
    )  # fmt: skip
    os.close(error)
    try:
        eventually(lambda: is_ready(port) or process.poll() is not None, within=120)
        assert process.poll() is None
        dropped = [dropped_after_requests(port)]
        if kind == "pipe":
            os.close(reading)
        dropped.append(dropped_after_requests(port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
    if kind != "closed":
        assert 0 < dropped[0] < dropped[1] - REQUESTS / 2


def dropped_after_requests(port: int) -> float:
    """Send requests, all of which must be answered. Returns the number of lines that were dropped."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        for _ in range(REQUESTS):
            assert _got(connection, "/healthz")[0] == 200
        _, metrics = _got(connection, "/metrics")
    return float(metrics.split('turnup_telemetry_dropped_total{signal="logs"} ')[1].split()[0])


def _got(connection: HTTPConnection, path: str) -> tuple[int, str]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read().decode()
