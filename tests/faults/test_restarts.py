"""Servers behind nginx are restarted as docs/deployment.md says, under load: no request is lost, and no write."""

import asyncio
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from app.auth.keys import trusting
from app.serving import StopTimes
from tests.cli.turnup import descendants, environment, eventually, free_port
from tests.harness import TestDatabase
from tests.monitoring.rules import CONFIGURATION
from tests.operations.scenario import as_definer
from tests.tls.authority import Authority

from .behind_nginx import (
    Instance,
    Load,
    block,
    instances,
    nginx,
    play_restart,
    replaced,
    sent,
    settings_of_page,
    under_load,
)

REQUESTS = 5_000
BETWEEN = 100
"""Requests before, between and after restarts, so that connections are in use and idle again."""

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="sockets are filtered by Linux")


def variables(database: TestDatabase, home: Path, **more: str) -> dict[str, str]:
    return environment(DATABASE_URL=database.app_url, TURNUP_HOME=str(home), **{**settings_of_page(), **more})


async def missing(database: TestDatabase, load: Load) -> set[str]:
    """Return the names of accounts of which the creation was acknowledged, and which are not there."""
    connection = await as_definer(database.owner_url)
    try:
        rows = await connection.fetch("SELECT name FROM turnup.account WHERE name LIKE 'Restart %'")
    finally:
        await connection.close()
    return load.written - {row["name"] for row in rows}


def told_to_stop(server: Instance, pid: int) -> Callable[[], bool]:
    """Send SIGTERM to a worker. Returns a function that says whether it was replaced by one that serves."""
    started = server.log.read_text().count("Application startup complete")
    os.kill(pid, signal.SIGTERM)
    return lambda: server.log.read_text().count("Application startup complete") > started


def workers_of(server: Instance) -> list[int]:
    assert server.process is not None
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(server.process.pid)}
    return [pid for pid, line in lines.items() if b"spawn_main" in line]


@needs_linux
@pytest.mark.slow
@pytest.mark.usefixtures("replayed")
async def test_restarts_in_turn_lose_no_request(
    own_database: TestDatabase, home: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    one = variables(own_database, home)
    several = {**one, "TURNUP_WORKERS": "2"}

    async def restart(load: Load) -> None:
        await sent(load, BETWEEN)
        await asyncio.to_thread(play_restart, tmp_path, running)
        while load.sent < REQUESTS:
            await sent(load, BETWEEN)

    with instances(tmp_path, one, several) as running, nginx(tmp_path, [each.port for each in running]) as port:
        load = await under_load(port, home, restart)
    record_property("tried", f"{load.sent} requests during restarts in turn, {load.lost.total()} lost")
    assert load.sent >= REQUESTS
    assert not load.lost
    assert not await missing(own_database, load)


@needs_linux
@pytest.mark.slow
@pytest.mark.usefixtures("replayed")
async def test_workers_of_one_server_that_are_told_to_stop_in_turn_lose_no_request(
    own_database: TestDatabase, home: Path, tmp_path: Path
) -> None:
    several = variables(own_database, home, TURNUP_WORKERS="2")

    with instances(tmp_path, several) as (server,), nginx(tmp_path, [server.port]) as port:
        eventually(lambda: server.log.read_text().count("Application startup complete") == 2, within=120)
        first = set(workers_of(server))

        async def restart_workers(load: Load) -> None:
            for pid in first:
                await sent(load, BETWEEN)
                replaced = told_to_stop(server, pid)
                await asyncio.to_thread(eventually, replaced, within=120)
            await sent(load, BETWEEN)

        load = await under_load(port, home, restart_workers)
        assert not first & set(workers_of(server))
    assert not load.lost
    assert not await missing(own_database, load)


@needs_linux
@pytest.mark.slow
@pytest.mark.usefixtures("replayed")
async def test_a_signal_to_all_servers_at_once_and_without_delay_loses_requests_but_no_acknowledged_write(
    own_database: TestDatabase, home: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    bare = variables(own_database, home, TURNUP_STOP_DELAY_SECONDS="0")

    def restart() -> None:
        for each in running:
            assert each.process is not None
            each.process.send_signal(signal.SIGTERM)
        for each in running:
            each.stop()
            each.start()
        for each in running:
            each.wait()

    async def act(load: Load) -> None:
        await sent(load, BETWEEN)
        await asyncio.to_thread(restart)
        await sent(load, BETWEEN)

    with instances(tmp_path, bare, bare) as running, nginx(tmp_path, [each.port for each in running]) as port:
        load = await under_load(port, home, act)
    figures = ", ".join(f"{count} by {why}" for why, count in sorted(load.lost.items()))
    record_property(
        "tried", f"{load.sent} requests during a bare SIGTERM to all servers, {load.lost.total()} lost: {figures}"
    )
    assert load.lost["502"]
    assert set(load.lost) == {"502"}
    assert not await missing(own_database, load)


@pytest.mark.slow
def test_the_log_of_nginx_has_no_query_strings(tmp_path: Path) -> None:
    with nginx(tmp_path, [free_port()]) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/auth/callback?code=s3cret&state=s3cret", trust_env=False)
    assert answer.status_code == 502
    log = (tmp_path / "turnup.log").read_text()
    assert '"GET /auth/callback" 502' in log
    assert "s3cret" not in log


def seconds(text: str, directive: str) -> float:
    """Return the time that a directive of nginx or systemd sets."""
    (found,) = re.findall(rf"^ *{directive}[ =](\d+)s?;?$", text, re.MULTILINE)
    return float(found)


@contextmanager
def scraped() -> Iterator[int]:
    """A stub of an instance, which answers with its port, the path and the Authorization header. Yields its port."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = f"{server.server_port} {self.path} {self.headers['Authorization']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_prometheus_reads_the_metrics_of_each_instance_through_nginx_and_others_do_not(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "private")
    certificate = authority.certificate("127.0.0.1")
    site = block("nginx", "$turnup_instance")
    site = replaced(site, r"allow 10\.0\.0\.20;", "allow 127.0.0.1;")
    site = replaced(site, r"ssl_certificate .*;", f"ssl_certificate {certificate.certificate};")
    site = replaced(site, r"ssl_certificate_key .*;", f"ssl_certificate_key {certificate.key};")
    targets = ports_of_targets()
    with ExitStack() as stack:
        instances_there = [stack.enter_context(scraped()) for _ in targets]
        own = [free_port() for _ in targets]
        ports = dict(zip((*targets, "8001", "8002"), (*own, *instances_there), strict=True))
        site = re.sub(r"\b[89]00\d\b", lambda found: str(ports[found[0]]), site)
        stack.enter_context(nginx(tmp_path, instances_there, certificate=certificate, more=site))
        tls = trusting(authority.ca_file)
        for port, instance in zip(own, instances_there, strict=True):
            with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=tls, trust_env=False) as client:
                answer = client.get("/metrics", headers={"Authorization": "Bearer secret"})
                assert answer.text == f"{instance} /metrics Bearer secret"
                assert client.get("/graphql").status_code == 404
            stranger = httpx.HTTPTransport(verify=tls, local_address="127.0.0.2")
            with httpx.Client(base_url=f"https://127.0.0.1:{port}", transport=stranger) as client:
                assert client.get("/metrics", headers={"Authorization": "Bearer secret"}).status_code == 403


def ports_of_targets() -> list[str]:
    """The ports of the targets in the configuration of Prometheus."""
    (line,) = re.findall(r"- targets: (.*)", CONFIGURATION.read_text().partition("\nscrape_configs:\n")[2])
    return [target.rpartition(":")[2] for target in json.loads(line)]


def test_prometheus_is_told_the_ports_that_nginx_has_for_the_instances() -> None:
    site = block("nginx", "$turnup_instance")
    mapped = dict(re.findall(r"^ +(\d+) (127\.0\.0\.1:\d+);$", site, re.MULTILINE))
    assert list(mapped) == ports_of_targets() == re.findall(r"listen (\d+) ssl;", site)
    assert list(mapped.values()) == re.findall(r"^ +server (\S+) ", block("nginx", "upstream turnup {"), re.MULTILINE)
    assert "\n    scheme: https\n" in CONFIGURATION.read_text()
    assert "\nTURNUP_METRICS_TOKEN=" in block("sh", "TURNUP_ENV=production")


def test_the_times_of_the_page_fit_each_other() -> None:
    site, settings = block("nginx", "upstream turnup {"), settings_of_page()
    delay, deadline = float(settings["TURNUP_STOP_DELAY_SECONDS"]), float(settings["TURNUP_LIMIT_DEADLINE_SECONDS"])
    assert seconds(site, "keepalive_timeout") < delay
    assert seconds(site, "proxy_read_timeout") > deadline + 1
    assert seconds(site, "proxy_next_upstream_timeout") < seconds(site, "proxy_read_timeout")
    unit = block("ini", "ExecStart=/opt/turnup/.venv/bin/turnup serve")
    assert seconds(unit, "TimeoutStopSec") > StopTimes(delay=delay, drain=deadline + 1).most
    assert "\nKillSignal=SIGTERM\n" in unit


def test_the_configuration_of_the_page_repeats_no_mutation() -> None:
    assert re.findall(r"proxy_next_upstream (.*);", block("nginx", "upstream turnup {")) == ["error timeout"]
