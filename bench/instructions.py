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
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.postgres import embedded
from bench import peers
from bench.requests import CASES, ROOT, body_of, called, filled, in_process

KINDS = ("app", "bare")
WARM, COUNTED = 6, 10
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


async def count(account: str, folder: Path) -> None:
    """Inside callgrind: warm up each case, then count it separately."""
    issuer = DevelopmentIssuer.load_or_create(Path(os.environ["TURNUP_HOME"]))
    token = issuer.issue(peers.SUBJECT, lifetime_seconds=43_200, now=time.time(), audience=AUDIENCE)
    for kind in KINDS:
        async with in_process(getattr(peers, kind)) as app:
            for case in CASES:
                if kind == "bare" and case.operation == "Typed":
                    continue
                body = body_of(case, account)
                for _ in range(WARM):
                    await called(app, body, token)
                control("-i", "on")
                control("-z")
                for _ in range(COUNTED):
                    await called(app, body, token)
                control("-d")
                control("-i", "off")
                print(f"| {case.name} | {kind} | {newest_total(folder) / COUNTED / 1e6:.2f} |", flush=True)


def newest_total(folder: Path) -> int:
    """Return the number of instructions in the newest dump; callgrind numbers the dumps."""
    newest = max(folder.glob("*.*"), key=lambda each: int(each.suffix[1:]))
    total = _TOTAL.search(newest.read_text(encoding="utf-8"))
    assert total is not None
    return int(total[1])


def control(*words: str) -> None:
    """Send a command to callgrind, in which this process runs."""
    subprocess.run(["callgrind_control", *words, str(os.getpid())], check=True, capture_output=True)


async def main(home: Path, cluster: embedded.Cluster, locations: int) -> None:
    """Fill the database, then run the counting part inside callgrind."""
    account, _ = await filled(cluster, home, locations)
    folder = home / "callgrind"
    folder.mkdir(exist_ok=True)
    # A deadline of ordinary length would end requests that run fifty times slower.
    slow = {"TURNUP_LIMIT_DEADLINE_SECONDS": "300", "PYTHONHASHSEED": "1"}
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/%p"]
    print("| case | server | million instructions per request |\n|---|---|---|", flush=True)
    inside = await asyncio.create_subprocess_exec(
        *[*command, sys.executable, "-m", "bench.instructions", "--inside", account, str(folder)],
        cwd=ROOT,
        env={**os.environ, **slow},
        stderr=subprocess.PIPE,
    )
    _, said = await inside.communicate()
    if inside.returncode != 0:
        sys.exit(said.decode()[-4_000:])


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
