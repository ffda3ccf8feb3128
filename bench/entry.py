"""Processor time of the server per request that is refused before GraphQL: `python -m bench.entry`.

Each kind of request is sent over one connection to a real server, which counts its own processor time.
"""

import base64
import http.client
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.served import Served, served

MEBIBYTE = 1024 * 1024
LARGE = json.dumps({"query": "{a}", "variables": {"v": [2**63 - 1] * 48_000}}).encode().ljust(MEBIBYTE)
SMALL = b'{"query": "{ viewer { id } }"}'
DOCUMENT = json.dumps({"query": "{" + " ".join(f"a{n}: nothing{n}" for n in range(400)) + "}"}).encode()


def forged(token: str) -> str:
    """Return a token with the same header and payload whose signature is wrong."""
    head, _, signature = token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[0] ^= 1
    return f"{head}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def server_seconds(pid: int) -> float:
    """Return the processor time of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def connected(server: Served) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection to the server."""
    connection = http.client.HTTPConnection(server.origin.removeprefix("http://"), timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def measured(server: Served, name: str, *, body: bytes, token: str | None, times: int) -> None:
    """Print the server's milliseconds per request, and how often each status was answered."""
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    statuses: dict[int, int] = {}
    pid = listening(server)
    with connected(server) as connection:
        began, wall = server_seconds(pid), time.perf_counter()
        for _ in range(times):
            connection.request("POST", "/graphql", body, headers)
            response = connection.getresponse()
            response.read()
            statuses[response.status] = statuses.get(response.status, 0) + 1
        spent, passed = server_seconds(pid) - began, time.perf_counter() - wall
    print(f"{name:44} {spent * 1000 / times:9.3f} ms  {passed * 1000 / times:9.3f} ms  {statuses}", flush=True)


def listening(server: Served) -> int:
    """Return the id of the server's process."""
    for folder in Path("/proc").iterdir():
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"TURNUP_HOME={server.home}".encode() in environment and b"app.cli\0serve" in command:
            return int(folder.name)
    raise LookupError("the server's process was not found")


def main() -> None:
    """Measure each kind of request."""
    with served(TURNUP_GRAPHIQL="false") as server:
        print(f"{'':44} {'CPU':>12}  {'elapsed':>12}")
        junk = forged(server.token("lead@turnup.example"))
        measured(server, "warm-up", body=SMALL, token=server.token("lead@turnup.example"), times=200)
        measured(server, "a mebibyte without a token", body=LARGE, token=None, times=40)
        measured(server, "a mebibyte with a forged token", body=LARGE, token=junk, times=40)
        unknown = server.token("nobody@turnup.example")
        measured(server, "an unknown user's mebibyte", body=LARGE, token=unknown, times=40)
        measured(server, "an unknown user's refused document", body=DOCUMENT, token=unknown, times=400)
        measured(server, "an unknown user's small query", body=SMALL, token=unknown, times=400)
        measured(server, "a small query without a token", body=SMALL, token=None, times=400)
        measured(server, "a forged token, within the bound", body=SMALL, token=junk, times=400)
        measured(server, "(the bound is used up)", body=SMALL, token=junk, times=600)
        measured(server, "a forged token, beyond the bound", body=SMALL, token=junk, times=2000)
        measured(
            server, "a valid new token behind the flood", body=SMALL, token=server.token("lead@turnup.example"), times=1
        )
        measured(server, "a small query without a token, again", body=SMALL, token=None, times=2000)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
