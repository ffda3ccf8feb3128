"""Counts bytes and instructions with and without compression and entity tags: `.venv/bin/python -m bench.caching`.

callgrind counts in process, without the kernel. All kinds of requests are counted in one run for the same answers, so
that the ratios are meaningful. Prints Markdown, which docs/performance.md explains.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import orjson
import uvloop

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.http.caching import entity_tag
from app.http.refusals import PLAIN_JSON
from app.postgres import embedded
from bench import peers
from bench.instructions import count_in_callgrind, counted
from bench.measuring import bearer
from bench.requests import CASES, body_of, exchanged, filled, in_process

WARM, COUNTED = 20, 20
MEASURED = (CASES[0], CASES[3], CASES[2])


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request; `known` is whether its client has the answer already."""

    name: str
    method: str = "GET"
    fields: Mapping[str, str] = field(default_factory=dict)
    known: bool = False


KINDS = (
    Kind("POST, as it is", "POST"),
    Kind("POST, gzip", "POST", {"Accept-Encoding": "gzip"}),
    Kind("POST, zstd", "POST", {"Accept-Encoding": "gzip, zstd"}),
    Kind("GET with a tag, as it is"),
    Kind("GET with a tag, zstd", fields={"Accept-Encoding": "gzip, zstd"}),
    Kind("GET, 304", fields={"Accept-Encoding": "gzip, zstd"}, known=True),
)


async def count(account: str, folder: Path) -> None:
    """Inside callgrind: warm up each kind of request, then count it separately."""
    issuer = DevelopmentIssuer.load_or_create(Path(os.environ["TURNUP_HOME"]))
    token = issuer.issue(peers.SUBJECT, lifetime_seconds=43_200, now=time.time(), audience=AUDIENCE)
    async with in_process(peers.app) as app:
        for case in MEASURED:
            body, first, sent = body_of(case, account), 0.0, b""
            _, answer = await exchanged(app, "POST", b"", body, bearer(token))
            tag = entity_tag(PLAIN_JSON.encode(), orjson.dumps(orjson.loads(answer)["data"]))
            for kind in KINDS:
                query = b"" if kind.method == "POST" else in_url(body)
                fields = {**bearer(token), **kind.fields, **({"If-None-Match": tag} if kind.known else {})}
                asked = (kind.method, query, b"" if query else body, fields)
                for _ in range(WARM):
                    status, sent = await exchanged(app, *asked)
                    assert status == (304 if kind.known else 200), sent
                with counted(folder) as millions:
                    for _ in range(COUNTED):
                        _, sent = await exchanged(app, *asked)
                each = millions[0] / COUNTED
                first = first or each
                print(f"| {case.name} | {kind.name} | {len(sent):,} | {each:.2f} | {each / first:.3f} |", flush=True)


def in_url(body: bytes) -> bytes:
    """Return the query string of the same request by GET."""
    parameters = orjson.loads(body)
    return urlencode({**parameters, "variables": orjson.dumps(parameters["variables"])}).encode()


async def main(home: Path, cluster: embedded.Cluster, locations: int) -> None:
    """Fill the database, then count."""
    account, _ = await filled(cluster, home, locations)
    head = "| answer | request | bytes of the body | million instructions | to POST as it is |\n|---|---|---|---|---|"
    await count_in_callgrind("bench.caching", account, home, head=head)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.caching", description=__doc__)
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
