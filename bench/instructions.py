"""Counts instructions per request, compared with bare Python: `.venv/bin/python -m bench.instructions`.

callgrind (Debian's valgrind) counts in process, without the kernel and without other processes, so that two runs of the
same code agree to a few percent. The remaining difference depends on how many bytes the driver reads at a time under
valgrind, mostly for the nested page.
"""

import argparse
import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from uvicorn import Config
from uvicorn.server import ServerState

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.http.connections import ConnectionLimits, Connections
from app.http.protocol import CONNECTIONS, HttpConnection
from app.http.slots import SLOTS, RequestSlots
from app.postgres import embedded
from bench import peers
from bench.measuring import bearer, post
from bench.requests import CASES, ROOT, body_of, called, filled, in_process

KINDS = ("app", "bare")
WARM, COUNTED = 6, 10
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


async def count(account: str, folder: Path) -> None:
    """Inside callgrind: warm up each case, then count it separately."""
    issuer = DevelopmentIssuer.load_or_create(Path(os.environ["TURNUP_HOME"]))
    token = issuer.issue(peers.SUBJECT, lifetime_seconds=43_200, now=time.time(), audience=AUDIENCE)
    await count_refusals(token, folder)
    for kind in KINDS:
        async with in_process(getattr(peers, kind)) as app:
            for case in CASES:
                if kind == "bare" and case.operation == "Typed":
                    continue
                body = body_of(case, account)
                for _ in range(WARM):
                    await called(app, body, bearer(token))
                with counted(folder) as millions:
                    for _ in range(COUNTED):
                        await called(app, body, bearer(token))
                print(f"| {case.name} | {kind} | {millions[0] / COUNTED:.2f} |", flush=True)


async def count_refusals(token: str, folder: Path) -> None:
    """Count a request that gets no slot, from its bytes to those of the refusal."""
    slots = RequestSlots(1)
    slots.work([]).begin()
    config = Config(peers.app, interface="asgi3")
    config.loaded_app = None
    state = {CONNECTIONS: Connections(ConnectionLimits()), SLOTS: slots}
    connection = HttpConnection(config, ServerState(), state, asyncio.get_running_loop())
    with socket.socket() as unconnected:
        connection.connection_made(Unsent({"socket": unconnected}))
    request = post(body_of(CASES[2], "account"), bearer(token))
    for _ in range(WARM):
        connection.data_received(request)
    with counted(folder) as millions:
        for _ in range(COUNTED):
            connection.data_received(request)
    print(f"| no free slot | app | {millions[0] / COUNTED:.2f} |", flush=True)
    connection.connection_lost(None)


class Unsent(asyncio.Transport):
    """A transport to nobody."""

    def write(self, data: object) -> None:
        """Forget what is sent."""

    def is_closing(self) -> bool:
        """Return that more can be sent."""
        return False


@contextmanager
def counted(folder: Path) -> Iterator[list[float]]:
    """Yield a list that contains the million instructions of the block after its end."""
    found: list[float] = []
    control("-i", "on")
    control("-z")
    yield found
    control("-d")
    control("-i", "off")
    found.append(newest_total(folder) / 1e6)


def newest_total(folder: Path) -> int:
    """Return the number of instructions in the newest dump; callgrind numbers the dumps."""
    newest = max(folder.glob("*.*"), key=lambda each: int(each.suffix[1:]))
    total = _TOTAL.search(newest.read_text(encoding="utf-8"))
    assert total is not None
    return int(total[1])


def control(*words: str) -> None:
    """Send a command to callgrind, in which this process runs."""
    subprocess.run(["callgrind_control", *words, str(os.getpid())], check=True, capture_output=True)


HEAD = "| case | server | million instructions per request |\n|---|---|---|"


async def count_in_callgrind(module: str, account: str, home: Path, *, head: str = HEAD) -> None:
    """Run the counting part of a module (`--inside`) in callgrind; exit with what it says if it fails.

    `head` is that of the table, whose rows the module prints.
    """
    folder = home / "callgrind"
    folder.mkdir(exist_ok=True)
    # A deadline of ordinary length would end requests that run fifty times slower.
    slow = {"TURNUP_LIMIT_DEADLINE_SECONDS": "300", "PYTHONHASHSEED": "1"}
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/%p"]
    print(head, flush=True)
    inside = await asyncio.create_subprocess_exec(
        *[*command, sys.executable, "-m", module, "--inside", account, str(folder)],
        cwd=ROOT,
        env={**os.environ, **slow},
        stderr=subprocess.PIPE,
    )
    _, said = await inside.communicate()
    if inside.returncode != 0:
        sys.exit(said.decode()[-4_000:])


async def main(home: Path, cluster: embedded.Cluster, locations: int) -> None:
    """Fill the database, then count."""
    account, _ = await filled(cluster, home, locations)
    await count_in_callgrind("bench.instructions", account, home)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--locations", type=int, default=2_000, metavar="N", help="how many to fill in (2000)")
    parser.add_argument("--inside", nargs=2, metavar=("ACCOUNT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        uvloop.run(count(given.inside[0], Path(given.inside[1])))
    elif shutil.which("valgrind") is None:
        sys.exit("NOT COUNTED: this needs valgrind (apt-get install valgrind).")
    else:
        with tempfile.TemporaryDirectory(prefix="turnup-bench-") as scratch:
            scenario = (Path(scratch) / "home").resolve()
            with embedded.start(scenario) as postgres:
                uvloop.run(main(scenario, postgres.cluster, given.locations))
            embedded.erase(scenario)
