"""Processor time of the server per request that is refused before GraphQL: `python -m bench.entry`.

Each kind of request is sent over one connection to a real server, which counts its own processor time.
"""

import base64
import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.served import Served, served

MEBIBYTE = 1024 * 1024
LARGE = (
    json.dumps({"query": "{a}", "variables": {f"v{n}": 1 / (n + 7) for n in range(31_000)}}).encode().ljust(MEBIBYTE)
)
SMALL = b'{"query": "{ viewer { name } }"}'
DOCUMENT = json.dumps({"query": "{" + " ".join(f"a{n}: nothing{n}" for n in range(400)) + "}"}).encode()


def forged(token: str, number: int = 0) -> str:
    """Return a token with the same header and payload and one of many wrong signatures."""
    head, _, signature = token.rpartition(".")
    wrong = int.from_bytes(base64.urlsafe_b64decode(signature + "==")) ^ (number + 1)
    return f"{head}.{base64.urlsafe_b64encode(wrong.to_bytes(64)).rstrip(b'=').decode()}"


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


def measured(server: Served, name: str, body: bytes, *tokens: str | None) -> None:
    """Send a request per token; print the server's milliseconds per request and how often each status was answered."""
    pid = listening(server)
    heads = [
        {"content-type": "application/json", **({"authorization": f"Bearer {each}"} if each else {})} for each in tokens
    ]
    statuses: Counter[int] = Counter()
    with connected(server) as connection:
        began, wall = server_seconds(pid), time.perf_counter()
        for headers in heads:
            connection.request("POST", "/graphql", body, headers)
            response = connection.getresponse()
            response.read()
            statuses[response.status] += 1
        spent, passed = server_seconds(pid) - began, time.perf_counter() - wall
    milliseconds = 1000 / len(heads)
    print(f"{name:44} {spent * milliseconds:9.3f} ms  {passed * milliseconds:9.3f} ms  {dict(statuses)}", flush=True)


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
        lead, unknown = server.token("lead@turnup.example"), server.token("nobody@turnup.example")
        junk = [forged(unknown, number) for number in range(4000)]
        measured(server, "(warm-up)", SMALL, *[lead] * 200)
        measured(server, "a mebibyte without a token", LARGE, *[None] * 40)
        measured(server, "a mebibyte with a forged token", LARGE, *junk[:40])
        measured(server, "an unknown user's mebibyte", LARGE, *[unknown] * 40)
        measured(server, "an unknown user's refused document", DOCUMENT, *[unknown] * 400)
        measured(server, "an unknown user's small query", SMALL, *[unknown] * 400)
        measured(server, "a small query without a token", SMALL, *[None] * 400)
        measured(server, "one forged token, repeated", SMALL, *junk[:1] * 100)
        measured(server, "forged tokens, within the bound", SMALL, *junk[100:500])
        measured(server, "(the bound is used up)", SMALL, *junk[500:1000])
        measured(server, "forged tokens, beyond the bound", SMALL, *junk[1000:3000])
        measured(server, "a new token of a known user, after the flood", SMALL, server.token("lead@turnup.example"))
        measured(server, "without a token, beyond the bound", SMALL, *[None] * 2000)


if __name__ == "__main__":
    main()
