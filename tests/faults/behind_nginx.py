"""Servers behind Debian's nginx as docs/deployment.md describes them, restarted under the load of keep-alive clients.

    .venv/bin/python -m tests.faults.behind_nginx --help

measures how many requests are lost when the servers of a checkout are restarted in turn.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from app.auth.development import AUDIENCE, DevelopmentIssuer
from tests.cli.turnup import CHECKOUT, START_LIMIT, environment, eventually, free_port, is_ready
from tests.docs.pages import page
from tests.needs import needs
from tests.tls.authority import Certificate

PAGE = "docs/deployment.md"
LOCATIONS = "{ locations(first: 5) { nodes { id status } } }"
ACCOUNT = "mutation ($name: String!) { createAccount(input: {name: $name}) { account { name } problems { code } } }"
LEADS = ("lead@turnup.example", "lead2@turnup.example")
CLIENTS = 8
PAUSE_SECONDS = 0.02
"""Between two requests of a client, so that the servers are not overloaded."""
ANSWER_SECONDS = 60.0
"""A client that gets nothing for this long has lost its request."""


def block(language: str, containing: str, text: str = "") -> str:
    """Return the only fenced block of the page, or of another text, in a language that has a text in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text or page(PAGE), re.MULTILINE | re.DOTALL)
    (found,) = [each for each in blocks if containing in each]
    return str(found)


def settings_of_page() -> dict[str, str]:
    """Return the settings of the page that concern stopping; the others belong to a production that is not here."""
    lines = block("sh", "TURNUP_ENV=production").splitlines()
    given = dict(line.split("=", 1) for line in lines)
    kept = ("TURNUP_STOP_DELAY_SECONDS", "TURNUP_LIMIT_DEADLINE_SECONDS", "TURNUP_TRUSTED_PROXIES")
    return {name: given[name] for name in kept}


@dataclass
class Instance:
    """A server on a port of its own."""

    port: int
    variables: dict[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"],
                env={**self.variables, "PORT": str(self.port)},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self, *, within: float = 60) -> int:
        """Send SIGTERM and wait for the end. Returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)

    def wait(self) -> None:
        """Wait until it is ready."""
        eventually(self.ready, within=START_LIMIT)

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2_000:]
        return is_ready(self.port)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)


@contextmanager
def instances(folder: Path, *variables: dict[str, str]) -> Iterator[list[Instance]]:
    """Run one server per set of variables; they start together, and are ready when the block begins."""
    started = [Instance(free_port(), each, folder / f"server-{n}.log") for n, each in enumerate(variables)]
    try:
        for each in started:
            each.start()
            each.wait()  # in turn: the first may have to migrate
        yield started
    finally:
        for each in started:
            each.kill()


@contextmanager
def nginx(
    folder: Path,
    ports: list[int],
    text: str = "",
    *,
    port: int | None = None,
    certificate: Certificate | None = None,
    more: str = "",
) -> Iterator[int]:
    """Run nginx with the configuration of the page, or of another text, in front of servers; `more` is added to it.

    Yields its port, which is without TLS unless there is a certificate.
    """
    port = port or free_port()
    site = block("nginx", "upstream turnup {", text)
    servers = re.findall(r"^ +server 127\.0\.0\.1:800\d(.*);\n", site, re.MULTILINE)
    assert len(set(servers)) == 1
    lines = "".join(f"    server 127.0.0.1:{each}{servers[0]};\n" for each in ports)
    site = replaced(site, r"(?:^ +server 127\.0\.0\.1:.*\n)+", lines)
    site = replaced(
        site, r"^ +listen 443 ssl http2;\n", f"    listen 127.0.0.1:{port}{' ssl http2' if certificate else ''};\n"
    )
    site = replaced(site, r"^( +access_log) /var/log/nginx/", rf"\1 {folder}/")
    shown = f"    ssl_certificate {certificate.certificate};\n" if certificate else ""
    key = f"    ssl_certificate_key {certificate.key};\n" if certificate else ""
    site = replaced(site, r"^ +ssl_certificate .*\n", shown)
    site = replaced(site, r"^ +ssl_certificate_key .*\n", key)
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}worker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.log warn;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{temporary}{site}{more}}}\n"
    )
    command = [needs("nginx"), "-p", str(folder), "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf"]
    with subprocess.Popen([*command, "-g", "daemon off;"], stdin=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: listens(port) or process.poll() is not None, within=30)
            assert process.poll() is None, (folder / "nginx.log").read_text()
            yield port
        finally:
            process.terminate()


def replaced(text: str, pattern: str, by: str) -> str:
    """Replace a part of the page's configuration that a test cannot use, which must be there once."""
    changed, count = re.subn(pattern, by, text, flags=re.MULTILINE)
    assert count == 1, pattern
    return changed


def listens(port: int) -> bool:
    """Whether something accepts connections on a port."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


def play_restart(folder: Path, running: list[Instance]) -> None:
    """Run the page's steps of a restart. `systemctl` is this process: it has no service manager."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    orders, replies = tools / "orders", tools / "replies"
    for fifo in (orders, replies):
        if not fifo.exists():
            os.mkfifo(fifo)
    systemctl = tools / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" > {orders}\nread reply < {replies}\n[ "$reply" = done ]\n')
    systemctl.chmod(0o755)
    by_name = {f"turnup@{each.port}": each for each in running}
    steps = replaced(block("sh", "systemctl restart"), "8001 8002", " ".join(str(each.port) for each in running))
    path = f"{tools}:{os.environ['PATH']}"

    def manage() -> None:
        for _ in running:
            verb, name = orders.read_text().split()
            assert verb == "restart"
            reply = "done" if by_name[name].stop() == 0 else "failed"
            by_name[name].start()
            replies.write_text(f"{reply}\n")

    manager = threading.Thread(target=manage, daemon=True)
    manager.start()
    subprocess.run(["bash", "-e", "-c", steps], env={**os.environ, "PATH": path}, check=True, timeout=300)
    manager.join(30)


@dataclass
class Load:
    """What clients sent through nginx and what became of it."""

    answered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    written: set[str] = field(default_factory=set)
    """The names of accounts of which the creation was acknowledged."""

    @property
    def sent(self) -> int:
        return self.answered + self.lost.total()


class KeepAliveClient:
    """A client that sends one request after another on one connection, as long as the server keeps it."""

    def __init__(self, port: int, token: str, load: Load, number: int, tls: ssl.SSLContext | None) -> None:
        self._port, self._token, self._load, self._number, self._tls = port, token, load, number, tls
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._sent = 0

    async def run(self, ended: Callable[[], bool]) -> None:
        """Send queries and mutations in turn until the end."""
        while not ended():
            self._sent += 1
            name = f"Restart {self._number}-{self._sent} {os.urandom(4).hex()}"
            writes = self._sent % 2 == 0
            call = {"query": ACCOUNT, "variables": {"name": name}} if writes else {"query": LOCATIONS}
            try:
                outcome = await asyncio.wait_for(self._ask(json.dumps(call).encode()), ANSWER_SECONDS)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self._close()
                outcome = type(error).__name__
            if outcome:
                self._load.lost[outcome] += 1
            else:
                self._load.answered += 1
            if writes and not outcome:
                self._load.written.add(name)
            await asyncio.sleep(PAUSE_SECONDS)
        self._close()

    async def _ask(self, body: bytes) -> str:
        """Send a request; returns why it is lost, or nothing."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._tls)
        reader, writer = self._streams
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: api.example.com\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"^content-length: (\d+)\r$", answer, re.MULTILINE)
        assert length is not None, answer
        content = await reader.readexactly(int(length[1]))
        if "connection: close" in answer:
            self._close()
        status = answer.split()[1]
        if status != "200":
            return status
        parsed = json.loads(content)
        return f"{parsed['errors']}" if parsed.get("errors") else ""

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def under_load(
    port: int, home: Path, act: Callable[[Load], Awaitable[None]], *, tls: ssl.SSLContext | None = None
) -> Load:
    """Send requests through a proxy while something happens to the servers."""
    issuer = DevelopmentIssuer.load_or_create(home)
    tokens = [issuer.issue(each, lifetime_seconds=3600, now=time.time(), audience=AUDIENCE) for each in LEADS]
    load, ended = Load(), asyncio.Event()
    clients = [KeepAliveClient(port, tokens[n % len(tokens)], load, n, tls) for n in range(CLIENTS)]
    tasks = [asyncio.create_task(each.run(ended.is_set)) for each in clients]
    try:
        await act(load)
    finally:
        ended.set()
        await asyncio.gather(*tasks)
    return load


async def sent(load: Load, count: int) -> None:
    """Wait until this many requests more were sent."""
    target = load.sent + count
    while load.sent < target:  # noqa: ASYNC110 - counted by clients
        await asyncio.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description="Restart servers behind nginx under load, and count lost requests.")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="the code of the servers")
    parser.add_argument("--nginx", type=Path, default=CHECKOUT / PAGE, metavar="PAGE", help="has the configuration")
    parser.add_argument("--delay", default=settings_of_page()["TURNUP_STOP_DELAY_SECONDS"], metavar="SECONDS")
    parser.add_argument("--restarts", type=int, default=5, metavar="N", help="how often both servers are restarted")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="turnup-restarts-") as name:
        folder = Path(name)
        budgets = {f"TURNUP_LIMIT_{each}": "1000000000" for each in ("ANONYMOUS", "OBJECTS", "EDITS")}
        variables = {
            **environment(TURNUP_HOME=str(folder / "home"), **budgets),
            **settings_of_page(),
            "TURNUP_STOP_DELAY_SECONDS": options.delay,
            "PYTHONPATH": str(options.checkout.resolve()),
        }

        async def restart(load: Load) -> None:
            for _ in range(options.restarts):
                await sent(load, 200)
                before = load.sent, load.lost.total()
                await asyncio.to_thread(play_restart, folder, running)
                lost = load.lost.total() - before[1]
                sys.stdout.write(f"restart of both: {load.sent - before[0]} sent, {lost} lost\n")
                sys.stdout.flush()
            await sent(load, 200)

        with (
            instances(folder, variables, variables) as running,
            nginx(folder, [each.port for each in running], options.nginx.read_text()) as port,
        ):
            load = asyncio.run(under_load(port, folder / "home", restart))
            sys.stdout.write(f"{load.sent} sent, {load.lost.total()} lost: {dict(load.lost)}\n")
            for each in running:
                with suppress(subprocess.TimeoutExpired):
                    each.stop()


if __name__ == "__main__":
    main()
