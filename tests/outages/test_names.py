"""A resolver that does not answer: lookups of names stay in threads that cannot be cancelled."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import pytest

from app.serving import StopTimes
from tests.cli.turnup import environment, free_port
from tests.needs import unavailable

from .processes import Started
from .servers import DEADLINE_SECONDS, START_SECONDS, STOP_DELAY_SECONDS, Served, Surroundings
from .traffic import HEALTH, Traffic, summary, traffic_to

pytestmark = pytest.mark.slow

RESOLVER = "127.0.0.77"
# The resolver of the C library gives up after a minute.
RESOLVED = f"nameserver {RESOLVER}\noptions timeout:30 attempts:2\n"
SLACK_SECONDS = 1.5


@pytest.fixture
def silent_resolver(tmp_path: Path) -> Iterator[list[str]]:
    """The beginning of a command line that runs a command with a resolver that does not answer."""
    file = tmp_path / "resolv.conf"
    file.write_text(RESOLVED)
    private = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(file)]
    if shutil.which("unshare") is None or subprocess.run([*private, "true"], check=False).returncode:
        unavailable("a mount namespace", "this user may not make one")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind((RESOLVER, 53))
        yield private


async def test_a_resolver_that_does_not_answer_holds_up_no_request_and_not_the_end_of_the_server(
    surroundings: Surroundings, silent_resolver: list[str], tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "server.log"
    names = {
        "TURNUP_JWKS_URL": "https://login.example/keys",
        "TURNUP_REDIS_URL": "rediss://redis.example",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318",
        "SENTRY_DSN": "https://key@sentry.example/1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [*silent_resolver, sys.executable, "-m", "app.cli", "serve"],
            env=environment(TURNUP_HOME=str(tmp_path), **(surroundings.variables(port) | names)),
            stdout=output,
            stderr=output,
        )
    served = Served(Started(process.pid, log), port)
    try:
        await served.until("/readyz", 200, START_SECONDS)
        async with traffic_to(served.url) as traffic:
            await answers(traffic)
        process.send_signal(SIGTERM)
        process.wait(StopTimes(delay=STOP_DELAY_SECONDS, drain=DEADLINE_SECONDS + 1).most + SLACK_SECONDS)
    finally:
        process.kill()
        process.wait()


async def answers(traffic: Traffic) -> None:
    """Wait for answers of all kinds to requests whose token cannot be verified."""
    while not traffic.answered or traffic.answered[-1].began < traffic.answered[0].began + 2 * DEADLINE_SECONDS:
        await traffic.once("healthz")
    found = traffic.answered
    assert max(each.seconds for each in found) < DEADLINE_SECONDS + 1 + SLACK_SECONDS, summary(found)
    assert {each.code for each in found if each.kind in {*HEALTH, "metrics", "config"}} == {None}
    assert {each.code for each in found if each.kind in {"read", "edit", "stranger"}} == {"UNAVAILABLE"}
    assert not traffic.lost
