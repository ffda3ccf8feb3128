"""`turnup serve` as a new user starts it: from nothing to answers, and to an end that leaves nothing behind."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import cli
from app.postgres import embedded
from app.settings import Settings

from .turnup import (
    CHECKOUT,
    Server,
    command_line,
    descendants,
    environment,
    eventually,
    free_port,
    postgres_of,
    postmaster_of,
    run,
    secrets_of,
    serving,
)

pytestmark = [
    pytest.mark.xdist_group("serving"),
    pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="tells the processes apart by Linux's /proc"),
]

LOCATIONS = "{ locations(first: 100) { nodes { id name } } }"
START = 'mutation { startOnboarding(input: {locationId: "location-12"}) { location { status } } }'
STATUS = '{ location(id: "location-12") { status } }'
CARRIER = "partner@carrier.example"
RELEASED = '{ location(id: "location-5") { status } }'


@dataclass(frozen=True)
class Seen:
    """What was seen of a server until its end: what it answered, how it ended, and what it left behind."""

    answer: Any
    exit_status: int
    had_postgres: bool
    left: set[int]
    printed: str


@pytest.fixture(scope="module")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A TURNUP_HOME that is not there yet."""
    home = tmp_path_factory.mktemp("new-user") / "home"
    yield home
    eventually(lambda: not postgres_of(home), within=30)
    embedded.erase(home)


@pytest.fixture(scope="module")
def killed(new_home: Path) -> Seen:
    """The first server of a home: it was asked and written to, and killed."""
    with serving(new_home) as server:
        answer = {**server.ask(LOCATIONS), **server.ask(START)}
        had_postgres = bool(postgres_of(new_home))
        status = server.end(signal.SIGKILL, within=30)
    eventually(lambda: not postgres_of(new_home), within=30)
    return Seen(answer, status, had_postgres, set(), server.printed)


@pytest.fixture(scope="module")
def stopped(killed: Seen, new_home: Path) -> Seen:
    """The second server of a home, whose first was killed: it was asked, and told to stop."""
    with serving(new_home) as server:
        answer, had_postgres = server.ask(STATUS), bool(postgres_of(new_home))
        status = server.end(signal.SIGTERM, within=30)
        return Seen(answer, status, had_postgres, postgres_of(new_home), server.printed)


@pytest.fixture(scope="module")
def home(stopped: Seen, new_home: Path) -> Path:
    """A TURNUP_HOME that a server has used before."""
    return new_home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    """A server that only answers, for all tests that only ask."""
    with serving(home) as server:
        yield server
        server.end(signal.SIGTERM, within=30)


def test_the_first_start_in_an_empty_place_ends_in_answers(killed: Seen) -> None:
    assert len(killed.answer["locations"]["nodes"]) == 12


def test_a_server_that_is_told_to_stop_leaves_in_order_and_takes_postgres_along(stopped: Seen) -> None:
    assert stopped.had_postgres
    assert (stopped.exit_status, stopped.left) == (0, set())
    assert "Traceback" not in stopped.printed


def test_a_killed_server_leaves_no_postgres_and_loses_no_data(killed: Seen, stopped: Seen) -> None:
    assert killed.had_postgres
    assert (killed.exit_status, killed.left) == (-signal.SIGKILL, set())
    assert killed.answer["startOnboarding"] == {"location": {"status": "IN_PROGRESS"}}
    assert stopped.answer == {"location": {"status": "IN_PROGRESS"}}


def test_every_answer_of_a_server_has_one_line_and_no_other(server: Server) -> None:
    url = f"http://127.0.0.1:{server.port}"
    answers = [
        httpx.post(
            f"{url}/graphql", json={"query": LOCATIONS}, headers={"authorization": f"Bearer {server.token('lead')}"}
        ),
        httpx.post(f"{url}/graphql", json={"query": LOCATIONS}),
        httpx.get(f"{url}/nowhere?secret=hunter2"),
        httpx.options(f"{url}/graphql", headers={"origin": url, "access-control-request-method": "POST"}),
        httpx.get(f"{url}/graphql", headers={"x-a": "b" * 40_000}),
        httpx.get(f"{url}/healthz"),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 200, 431, 200]
    *others, health = [answer.headers["x-request-id"] for answer in answers]
    eventually(lambda: all(f"request_id={each}" in server.printed.replace("'", "") for each in others), within=10)
    lines = [line for line in server.printed.splitlines() if "request.answered" in line]
    assert [sum(each in line for line in lines) for each in (*others, health)] == [1] * len(others) + [0]
    assert not re.search(r"hunter2|uvicorn.access|GET /|POST /", server.printed)


@pytest.mark.slow
def test_an_interrupt_at_the_keyboard_ends_a_server_in_order(home: Path) -> None:
    with serving(home) as server:
        server.end(signal.SIGINT, within=30)
        assert not postgres_of(home)
        assert "Traceback" not in server.printed


@pytest.mark.slow
def test_two_servers_share_a_home_and_the_second_outlives_the_first(home: Path) -> None:
    with serving(home) as first, serving(home) as second:
        before = postgres_of(home)
        assert len([pid for pid in before if " -D " in command_line(pid)]) == 1
        first.end(signal.SIGTERM, within=30)
        assert len(second.ask(LOCATIONS)["locations"]["nodes"]) == 12
        second.end(signal.SIGTERM, within=30)


@pytest.mark.slow
def test_several_workers_answer_and_end_together(home: Path) -> None:
    with serving(home, TURNUP_WORKERS="2") as server:
        everyone = descendants(server.process.pid)
        for asked in range(1, 21):
            assert len(server.ask(LOCATIONS)["locations"]["nodes"]) == 12
            eventually(lambda: requests_counted(server) == asked, within=5)  # noqa: B023 - called before it changes
        text = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text
        assert 'turnup_errors_total{code="INTERNAL",field="approve"} 0.0\n' in text
        assert text.count("# TYPE turnup_errors_total counter") == 1
        assert server.end(signal.SIGTERM, within=30) == 0
    eventually(lambda: not [pid for pid in everyone if command_line(pid)], within=30)
    assert not postgres_of(home)


@pytest.mark.slow
def test_a_second_signal_ends_the_delay_of_all_workers(home: Path) -> None:
    with serving(home, TURNUP_WORKERS="2", TURNUP_STOP_DELAY_SECONDS="300") as server:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not server.ready(), within=30)
        assert server.process.poll() is None
        assert server.end(signal.SIGTERM, within=60) == 0


@pytest.mark.slow
def test_with_reload_a_change_of_the_code_is_served_without_a_new_start(home: Path, tmp_path: Path) -> None:
    for package in cli.PACKAGES:
        shutil.copytree(cli.ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    version = tmp_path / "app" / "version.py"
    with serving(home, "--reload", PYTHONPATH=str(tmp_path)) as server:
        before = postgres_of(home)
        version.write_text('VERSION = "9.8.7"\n')
        eventually(lambda: serves_version(server, "9.8.7"), within=60)
        assert len(server.ask(LOCATIONS)["locations"]["nodes"]) == 12
        assert postgres_of(home) >= {pid for pid in before if " -D " in command_line(pid)} != set()
        server.end(signal.SIGTERM, within=30)
    assert not postgres_of(home)


def serves_version(server: Server, version: str) -> bool:
    """Whether the metrics name this version; a server between two processes does not answer."""
    with suppress(httpx.TransportError):
        return f'service_version="{version}"' in httpx.get(f"http://127.0.0.1:{server.port}/metrics", timeout=5).text
    return False


def requests_counted(server: Server) -> float:
    """How many requests all workers together have answered, as the one says that happens to be scraped."""
    lines = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{DURATION}_count"))


DURATION = "turnup_request_duration_seconds"


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_each_restart_of_a_killed_postgresql_is_counted_whichever_worker_is_scraped(home: Path, workers: str) -> None:
    with serving(home, TURNUP_WORKERS=workers) as server:
        eventually(lambda: server.printed.count("Application startup complete") == int(workers), within=60)
        assert restarts_counted(server) == 0
        for restarts in (1, 2):
            os.kill(postmaster_of(home), signal.SIGKILL)
            eventually(lambda: restarts_counted(server) == restarts, within=30)  # noqa: B023 - called before it changes
            assert {restarts_counted(server) for _ in range(10)} == {restarts}
        eventually(server.ready, within=30)
        assert len(server.ask(LOCATIONS)["locations"]["nodes"]) == 12
        server.end(signal.SIGTERM, within=30)


def restarts_counted(server: Server) -> float:
    """How often PostgreSQL was started again, as the worker says that happens to be scraped."""
    lines = httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False).text.splitlines()
    (value,) = (line.rpartition(" ")[2] for line in lines if line.startswith("turnup_embedded_restarts_total"))
    return float(value)


@pytest.mark.slow
def test_the_gauges_are_those_of_all_workers_that_live_whichever_is_scraped(home: Path) -> None:
    with serving(home, TURNUP_WORKERS="2", TURNUP_POOL_SIZE="3") as server:
        eventually(lambda: gauges(server).get("turnup_pool_size") == 6, within=60)
        assert {gauges(server)["turnup_pool_size"] for _ in range(10)} == {6}
        started = gauges(server)["turnup_process_start_time_seconds"]
        eventually(lambda: "turnup_approvals_waiting" in gauges(server), within=60)
        found = gauges(server)
        assert found["turnup_gauges_age_seconds"] < 130
        assert [found[f"turnup_{name}_up"] for name in ("database", "key_set", "limiter")] == [1, 1, 1]
        assert found["turnup_migrations_current"] == 1
        assert found["turnup_process_resident_memory_bytes"] > 2 * 30_000_000
        assert "turnup_audit_verification_ok" not in found
        files = home.parent.glob("turnup-metrics-*/gauge_livesum_*.db")
        os.kill(max(int(file.stem.rpartition("_")[2]) for file in files), signal.SIGKILL)
        eventually(lambda: gauges(server)["turnup_process_start_time_seconds"] > started, within=60)
        eventually(lambda: gauges(server)["turnup_pool_size"] == 6, within=60)
        server.end(signal.SIGTERM, within=30)


def gauges(server: Server) -> dict[str, float]:
    """The metrics without labels, as the worker says that happens to be scraped; none while it is replaced."""
    with suppress(httpx.TransportError):
        text = httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False).text
        lines = (line.split() for line in text.splitlines() if line.startswith("turnup_") and "{" not in line)
        return {name: float(value) for name, value in lines}
    return defaultdict(float)


@pytest.mark.slow
def test_a_killed_server_leaves_no_workers(home: Path) -> None:
    with serving(home, TURNUP_WORKERS="2") as server:
        everyone = descendants(server.process.pid)
        server.end(signal.SIGKILL, within=30)
    # A worker that is still importing notices when it is done.
    eventually(lambda: not [pid for pid in everyone if command_line(pid)], within=30)
    eventually(lambda: not postgres_of(home), within=30)


def test_no_secret_is_printed_or_put_into_a_command_line(home: Path, server: Server) -> None:
    shown = [server.printed, *map(command_line, descendants(server.process.pid) | postgres_of(home))]
    assert any("postgres" in line for line in shown)
    assert not [secret for secret in secrets_of(home) if any(secret in line for line in shown)]


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        ("POST /graphql HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket", b"UNSUPPORTED_MEDIA_TYPE"),
        ("POST /graphql HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c", b"UNSUPPORTED_MEDIA_TYPE"),
        ("CONNECT /graphql HTTP/1.1", b"BAD_REQUEST"),
    ],
    ids=["websocket", "h2c", "connect"],
)
@pytest.mark.parametrize("pause", [0, 0.2], ids=["at once", "later"])
def test_the_body_of_a_request_for_another_protocol_is_never_run_as_a_request(
    server: Server, head: str, answer: bytes, pause: float
) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        fields = "Host: 127.0.0.1\r\nConnection: close"
        connection.sendall(f"{head}\r\n{fields}\r\nContent-Length: {len(smuggled)}\r\n\r\n".encode())
        time.sleep(pause)
        with suppress(ConnectionError):
            connection.sendall(smuggled)
        answered = b"".join(received(connection))
    assert answered.count(b"HTTP/1.1 ") == 1
    assert answered.startswith(b"HTTP/1.1 4")
    assert b"connection: close" in answered.lower()
    assert answer in answered


def received(connection: socket.socket) -> Iterator[bytes]:
    """What comes until the other side closes, or resets for what it did not want to read."""
    with suppress(ConnectionError):
        while chunk := connection.recv(65_536):
            yield chunk


def test_the_greeting_names_the_address(server: Server) -> None:
    assert f"GraphQL  http://127.0.0.1:{server.port}/graphql" in server.printed.splitlines()


@pytest.mark.parametrize(
    ("label", "role"),
    [
        ("lead", "IMPLEMENTATION_LEAD"),
        ("lead2", "IMPLEMENTATION_LEAD"),
        ("lead3", "IMPLEMENTATION_LEAD"),
        ("customer", "CUSTOMER"),
        ("partner", "PARTNER"),
        ("auditor", "AUDITOR"),
    ],
)
def test_the_greeting_holds_a_token_for_each_role(server: Server, label: str, role: str) -> None:
    assert server.ask("{ viewer { role } }", label) == {"viewer": {"role": role}}


def test_a_token_from_the_command_line_is_believed_by_the_server(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TURNUP_HOME", str(home))
    cli.main(["token", "lead2@turnup.example"])
    token = capsys.readouterr().out.strip()
    answer = httpx.post(
        f"http://127.0.0.1:{server.port}/graphql",
        json={"query": "{ viewer { email } }"},
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
    )
    assert answer.json()["data"] == {"viewer": {"email": "lead2@turnup.example"}}


def test_the_example_poller_answers_a_payload_of_the_demo_with_the_service_token_that_the_server_printed(
    home: Path, server: Server, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "app.cli", "token", "--service", CARRIER]
    printed = run(*command[3:], TURNUP_HOME=str(home))
    assert (printed.stdout, printed.stderr) == (f"{server.token('partner')}\n", "")
    assert server.token("partner").startswith("turnup_")
    assert server.ask(RELEASED) == {"location": {"status": "PROVISIONING"}}
    poller = subprocess.Popen(
        [sys.executable, str(CHECKOUT / "docs" / "examples" / "poller.py")],
        env=environment(
            TURNUP_HOME=str(home),
            TURNUP_URL=f"http://127.0.0.1:{server.port}/graphql",
            TURNUP_TOKEN_COMMAND=shlex.join(command),
            POLLER_FOLDER=str(tmp_path),
        ),
    )
    try:
        eventually((tmp_path / "bookmark.json").exists, within=60)
    finally:
        poller.kill()
        poller.wait(10)
    assert len(list(tmp_path.glob("*.document.json"))) == 1
    assert server.ask(RELEASED) == {"location": {"status": "COMPLETED"}}


def test_another_home_has_other_service_tokens_and_only_partners_of_the_demo_have_one(tmp_path: Path) -> None:
    one, again, other, pbx = (
        run("token", "--service", who, TURNUP_HOME=str(tmp_path / home)).stdout
        for home, who in (("one", CARRIER), ("one", CARRIER), ("other", CARRIER), ("one", "partner@pbx.example"))
    )
    assert one == again
    assert len({one, other, pbx}) == 3
    nobody = run("token", "--service", "lead@turnup.example", TURNUP_HOME=str(tmp_path / "one"))
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert nobody.stderr.startswith("turnup: lead@turnup.example is no partner of the demo data")


def test_no_service_tokens_follow_from_a_home_where_another_issuer_signs(tmp_path: Path) -> None:
    assert cli.demo_service_tokens(Settings(home=tmp_path / "home", jwks_url="https://issuer.example/keys")) == {}
    assert not (tmp_path / "home").exists()


def test_a_token_for_a_stranger_comes_with_a_warning_from_the_database_of_the_running_server(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TURNUP_HOME", str(home))
    postmaster = postmaster_of(home)
    for who in ("lead@turnup.example", "stranger@example.com"):
        cli.main(["token", who])
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert printed.err.startswith("turnup: no user has the subject stranger@example.com")
    assert printed.err.count("\n") == 1
    assert postmaster_of(home) == postmaster


@pytest.mark.slow
def test_the_demo_data_is_brought_back_beside_a_running_server(home: Path, server: Server) -> None:
    server.ask(START)
    assert run("seed", "--reset", TURNUP_HOME=str(home)).stdout == "Loaded the demo data.\n"
    assert server.ask(STATUS) == {"location": {"status": "NOT_STARTED"}}


def test_a_port_in_use_is_told_in_one_line_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        monkeypatch.setenv("TURNUP_HOME", str(tmp_path / "home"))
        with pytest.raises(SystemExit) as ended:
            cli.main(["serve"])
    assert (
        ended.value.code
        == f"turnup: PORT: cannot listen on 127.0.0.1:{port}: Address already in use; set PORT to another port"
    )
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_an_address_of_another_machine_is_told_in_one_line(tmp_path: Path) -> None:
    found = run("serve", HOST="192.0.2.1", PORT=str(free_port()), TURNUP_HOME=str(tmp_path / "home"))
    assert found.returncode == 1
    assert found.stderr.startswith("turnup: HOST: cannot listen on 192.0.2.1:")
    assert found.stderr.count("\n") == 1
