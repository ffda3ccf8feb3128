"""Compares the CPU time of canonical JSON (RFC 8785) by this product and by the library rfc8785.

Run as `.venv/bin/python -m bench.canonical [ROUNDS]`. Both write the content documents of demo locations. Then the
app performs edits of one device with each of them, in turns in one process. Prints the two tables of docs/adr/0017:
the smallest CPU time of this process per document and per edit. Exits with an error if the bytes differ.
"""

import asyncio
import secrets
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

import rfc8785

from app.db import demo
from app.db.migrate import migrate
from app.db.seed import location_rows
from app.domain import digest
from app.domain.canonical import canonical
from app.domain.content import LocationContent
from app.domain.content_document import content_document
from app.domain.vocabulary import LocationStatus
from app.operations.demo import load_demo
from app.postgres import embedded
from bench import bulk

BATCH_SECONDS = 0.02
EDITS = 5
"""Edits per batch."""
WRITERS: dict[str, Callable[[Any], bytes]] = {"canonical": canonical, "rfc8785": rfc8785.dumps}


def content_of(number: int, desks: int) -> LocationContent:
    """A complete location with this many devices, people and extensions."""
    branch = next(each for each in demo.BRANCHES if each.desks)
    content = demo.content_of(replace(branch, number=number, account_id=bulk.ACCOUNT, desks=desks))
    macs = (f"805ec1{number % 256:02x}{place:04x}" for place in range(desks))
    return replace(
        content,
        devices=tuple(replace(device, mac_address=mac) for device, mac in zip(content.devices, macs, strict=True)),
    )


def in_greek(content: LocationContent) -> LocationContent:
    """The same content with names that are not ASCII."""
    return replace(content, people=tuple(replace(person, first_name="Ελένη") for person in content.people))


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds per call: the mean of a batch that is long enough for the clock."""
    calls, spent = 0, 0.0
    began = process_time()
    while spent < BATCH_SECONDS:
        work()
        calls += 1
        spent = process_time() - began
    return spent / calls


def compare_documents(rounds: int) -> None:
    """Print the cost of writing a document, and of building it."""
    print("| location | document, bytes | building it, ms | canonical, ms | rfc8785, ms | rfc8785 / canonical |")
    print("|---|---|---|---|---|---|")
    contents = {
        "without desks": content_of(900, 0),
        "4 desks": content_of(900, 4),
        "250 desks": content_of(900, 250),
        "250 desks, names in Greek": in_greek(content_of(900, 250)),
    }
    for name, content in contents.items():
        document = content_document(content)
        if canonical(document) != rfc8785.dumps(document):
            sys.exit(f"{name}: the two writers differ")
        best: defaultdict[str, float] = defaultdict(lambda: float("inf"))
        for _ in range(rounds):
            best["build"] = min(best["build"], cpu_seconds(partial(content_document, content)))
            for writer, write in WRITERS.items():
                best[writer] = min(best[writer], cpu_seconds(partial(write, document)))
        times = " | ".join(f"{seconds * 1000:.3f}" for seconds in best.values())
        ratio = best["rfc8785"] / best["canonical"]
        print(f"| {name} | {len(canonical(document))} | {times} | {ratio:.1f} |", flush=True)


async def compare_edits(rounds: int, home: Path, owner_url: str, app_url: str) -> None:
    """Print the cost of a whole edit in this process, without PostgreSQL's CPU."""
    await migrate(owner_url)
    await load_demo(owner_url, app_url)
    desks = {900: 4, 901: 250}
    await bulk.insert(
        owner_url,
        (
            row
            for number, count in desks.items()
            for row in location_rows(content_of(number, count), LocationStatus.IN_PROGRESS, "user-acme")
        ),
    )
    print("\n| editDevice | canonical, ms | rfc8785, ms | rfc8785 / canonical |\n|---|---|---|---|")
    async with bulk.running(app_url, home) as bench:
        for number, count in desks.items():
            best: defaultdict[str, float] = defaultdict(lambda: float("inf"))
            revision = 1
            for _ in range(rounds):
                for writer, write in WRITERS.items():
                    with patch.object(digest, "canonical", write):
                        began = process_time()
                        for _ in range(EDITS):
                            await edit(bench, f"phone-{number}-1", revision)
                            revision += 1
                        best[writer] = min(best[writer], (process_time() - began) / EDITS)
            ours, theirs = best["canonical"], best["rfc8785"]
            print(f"| {count} desks | {ours * 1000:.1f} | {theirs * 1000:.1f} | {theirs / ours:.2f} |", flush=True)


async def edit(bench: bulk.Bench, device_id: str, revision: int) -> None:
    """Give a device another label."""
    await bench.ask(
        bulk.LEAD, "editDevice", deviceId=device_id, expectedRevision=revision, label=f"Desk {secrets.token_hex(4)}"
    )


if __name__ == "__main__":
    given = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    compare_documents(given)
    with tempfile.TemporaryDirectory(prefix="turnup-bench-") as folder:
        scratch = Path(folder) / "home"
        with embedded.start(scratch) as postgres:
            urls = postgres.cluster.dsn("turnup_owner", "turnup"), postgres.cluster.dsn("turnup_app", "turnup")
            asyncio.run(compare_edits(given, scratch, *urls))
        embedded.erase(scratch)
