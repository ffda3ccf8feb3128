"""Serves a compressed working day to one server process, and checks the pass marks: `make load`.

Makes its own database with 20,000 locations, and starts its own server, both of which end with it. Prints the tables of
docs/performance.md as Markdown, its progress to standard error, and exits with 1 when a pass mark is missed.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

import uvloop

from app.postgres import embedded
from bench.edge import free_port
from bench.load import day
from bench.load.client import Network, Sample
from bench.load.day import Arrival
from bench.load.ground import filled, written
from bench.load.people import Load
from bench.load.report import Hour, Run, Used, counted, markdown, marks
from bench.measuring import Server, cpu_seconds, proportional_bytes, resident_bytes, with_descendants
from bench.requests import ROOT

SHORT_HOUR_SECONDS, SHORT_LOCATIONS = 2.0, 4_000
MOST_SECONDS = 600.0
"""The time after which a run fails, whatever the machine is busy with."""
BEFORE_SECONDS = 0.5
"""The seconds from the last preparation to the start of the day."""
STARTED = time.monotonic()


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes whose use is measured: the server's, and PostgreSQL's."""

    server: Server
    postmaster: int

    def used(self) -> Used:
        """Return what has been used so far."""
        postgres = with_descendants(self.postmaster)
        return Used(
            server=self.server.cpu(),
            postgres=cpu_seconds(postgres),
            clients=time.process_time(),
            server_bytes=sum(map(resident_bytes, with_descendants(self.server.pid))),
            postgres_bytes=sum(map(proportional_bytes, postgres)),
        )


async def run_day(load: Load, visits: Sequence[Arrival], processes: Processes, hour_seconds: float) -> list[Hour]:
    """Begin each visit at its time, whatever became of the others. Return the hours, and the time after the last one.

    Ends when all visits have ended.
    """
    loop = asyncio.get_running_loop()
    began = loop.time() + BEFORE_SECONDS
    used: list[Used] = []

    async def watch() -> None:
        for hour in range(len(day.SHARES) + 1):
            await asyncio.sleep(max(0.0, began + hour * hour_seconds - loop.time()))
            used.append(processes.used())
            said(f"hour {hour} of {len(day.SHARES)}, {len(load.network.samples):,} requests answered")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        for arrival in visits:
            await asyncio.sleep(max(0.0, began + arrival.at - loop.time()))
            tasks.create_task(load.visit(arrival, began))
    used.append(processes.used())
    samples: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in load.network.samples:
        samples[min(int((sample.at - began) // hour_seconds), len(day.SHARES))].append(sample)
    return [
        Hour(share, hour_seconds, samples[hour], used[hour], used[hour + 1])
        for hour, share in enumerate((*day.SHARES, day.AFTER))
    ]


async def main(options: argparse.Namespace, home: Path, cluster: embedded.Cluster) -> bool:
    """Fill the database, serve the day, print the tables, and return whether all pass marks are met."""
    owner_url, app_url = cluster.dsn("turnup_owner", "turnup"), cluster.dsn("turnup_app", "turnup")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TURNUP_LIMIT_")}
    environment |= {"TURNUP_HOME": str(home), "DATABASE_URL": app_url, "PYTHONPATH": str(ROOT)}
    random = Random(options.seed)
    visits = day.schedule(random, options.hour_seconds)
    said(f"filling {options.locations:,} locations for {len(visits):,} visits")
    world = await filled(owner_url, app_url, options.locations, visits)
    port = options.port or free_port()
    command = [sys.executable, "-m", "bench.peers", "app", str(port), "1"]
    server = Server("turnup", port, command, environment)
    load = Load(world, Network(port), random)
    try:
        await server.ready()
        postmaster = int((cluster.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        hours = await run_day(load, visits, Processes(server, postmaster), options.hour_seconds)
    finally:
        load.network.close()
        server.stop()
    said("reading back what was written")
    found = await written(owner_url, world)
    run = Run(
        hours=hours,
        lost=load.book.findings(found.effects, found.entries, found.values),
        audit=found.audit,
        refused_items=load.refused_items,
        stale=load.stale,
        acknowledged=load.book.acknowledged.total(),
    )
    cores = os.cpu_count() or 1
    print(
        f"{options.locations:,} locations, seed {options.seed}, an hour in {options.hour_seconds:g} s, "
        f"{day.peak_rate():.0f} requests/s planned at the peak, Python {sys.version.split()[0]}, {cores} cores. "
        f"Visits that ended early, of {len(visits):,}: {counted(load.left) or 'none'}.\n"
    )
    print(markdown(run, cores, found.verified), flush=True)
    return all(each.met for each in marks(run))


def said(text: str) -> None:
    """Print what is going on, and the seconds since the start, beside the tables."""
    print(f"{time.monotonic() - STARTED:4.0f} s: {text}", file=sys.stderr, flush=True)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--short", action="store_true", help="shorter hours and fewer locations: a minute in all")
    parser.add_argument("--hour-seconds", type=float, metavar="S", help="length of an hour; the rates stay the same")
    parser.add_argument("--locations", type=int, metavar="N", help=f"number of locations ({day.LOCATIONS})")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32), help="repeats a schedule")
    parser.add_argument("--port", type=int, help="the server's port (a free one)")
    found = parser.parse_args(arguments)
    found.hour_seconds = found.hour_seconds or (SHORT_HOUR_SECONDS if found.short else day.HOUR_SECONDS)
    found.locations = found.locations or (SHORT_LOCATIONS if found.short else day.LOCATIONS)
    if found.hour_seconds > day.HOUR_SECONDS:
        parser.error(f"an hour takes at most {day.HOUR_SECONDS:g} s")
    return found


if __name__ == "__main__":
    given = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that what was started ends, too
    with tempfile.TemporaryDirectory(prefix="turnup-load-") as folder:
        scenario = (Path(folder) / "home").resolve()
        try:
            with embedded.start(scenario) as postgres:
                met = uvloop.run(asyncio.wait_for(main(given, scenario, postgres.cluster), MOST_SECONDS))
        finally:
            embedded.erase(scenario)
    sys.exit(not met)
