"""An alert passes Prometheus and Alertmanager, as deploy/prometheus configures them, and arrives at its receiver."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.cli.turnup import free_port
from tests.docs.pages import page
from tests.needs import needs

from .prometheus import a_prometheus
from .rules import CONFIGURATION

pytestmark = pytest.mark.slow

ROUTES = CONFIGURATION.with_name("alertmanager.yml")
ARRIVES_SECONDS = 60.0
COMMANDS = re.findall(r"^ +(amtool .*)$", page("docs/operations.md"), re.MULTILINE)


class Receivers:
    """What the receivers of both severities got, as the last part of the path and the name of the alert."""

    def __init__(self) -> None:
        self.got: set[tuple[str, str]] = set()
        receivers = self

        class Receive(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                name = self.path.rpartition("/")[2]
                receivers.got |= {(name, alert["labels"]["alertname"]) for alert in body["alerts"]}
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Receive)

    async def until(self, receiver: str, alert: str) -> None:
        """Wait until a receiver got an alert."""
        deadline = time.monotonic() + ARRIVES_SECONDS
        while (receiver, alert) not in self.got:
            assert time.monotonic() < deadline, self.got
            await asyncio.sleep(0.2)


@contextmanager
def receiving() -> Iterator[Receivers]:
    """Yield receivers that listen until the block ends."""
    receivers = Receivers()
    thread = Thread(target=receivers.server.serve_forever)
    thread.start()
    try:
        yield receivers
    finally:
        receivers.server.shutdown()
        receivers.server.server_close()
        thread.join()


@contextmanager
def an_alertmanager(folder: Path, receivers: Receivers) -> Iterator[str]:
    """Run an Alertmanager with the routes of the product, its receivers replaced, and yield its address."""
    port = receivers.server.server_port
    routes, replaced = re.subn(
        r"https://(on-call|chat)\.example\.com/alerts", rf"http://127.0.0.1:{port}/\1", ROUTES.read_text()
    )
    assert replaced == 2
    (folder / ROUTES.name).write_text(re.sub(r"group_wait: \w+", "group_wait: 1s", routes))
    address = f"127.0.0.1:{free_port()}"
    command = [
        needs("alertmanager"),
        f"--config.file={folder / ROUTES.name}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield address
        finally:
            process.terminate()
            process.wait(30)


async def answers(address: str) -> None:
    """Wait until Alertmanager is ready."""
    async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False, verify=False) as http:
        deadline = time.monotonic() + ARRIVES_SECONDS
        while True:
            try:
                if (await http.get("/-/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                assert time.monotonic() < deadline, "Alertmanager is not ready"
            await asyncio.sleep(0.1)


def amtool(command: str, **replaced: str) -> None:
    """Run a command of the page, which must succeed."""
    for shown, here in replaced.items():
        command = command.replace(shown, here)
    program = Path(needs("alertmanager")).with_name("amtool")
    subprocess.run([program, *command.split()[1:]], check=True, capture_output=True, timeout=60)


async def test_alerts_of_both_severities_arrive_at_their_receivers(tmp_path: Path) -> None:
    """The steps of docs/operations.md: a server that does not answer, and an alert by hand."""
    check, by_hand = COMMANDS
    nobody = f"127.0.0.1:{free_port()}"
    with receiving() as receivers, an_alertmanager(tmp_path, receivers) as address:
        amtool(check, **{"/etc/prometheus/alertmanager.yml": str(ROUTES)})
        await answers(address)
        amtool(by_hand, **{"127.0.0.1:9093": address})
        async with a_prometheus(tmp_path, [nobody], "a-token-of-nobody", alertmanager=address):
            await receivers.until("on-call", "TurnupServerDown")
        await receivers.until("chat", "Trial")
        assert {each for each in receivers.got if each[1] in {"TurnupServerDown", "Trial"}} == {
            ("on-call", "TurnupServerDown"),
            ("chat", "Trial"),
        }
