"""Measures known attacks against a server of this checkout, and of an older one: `python -m bench.attacks [NAME ...]`.

Starts `turnup serve` with default settings for each attack, sends the attack with bounded count, size and time over the
loopback interface, and prints a Markdown table: CPU and memory of the server process, and what the server answered.
`--before DIR` measures the same attacks against an older checkout, which has its own `.venv`. docs/security.md explains
the attacks.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import randrange
from typing import Any

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.postgres import embedded
from bench.measuring import RawConnection, Response, cpu_seconds, resident_bytes

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000
MOST_GROWTH = 300 * MEGABYTE
"""An attack on the memory ends when the server has grown by this much."""
MOST_SECONDS = 20.0
"""An attack that goes on as long as the server lets it ends after this time."""
ROUNDS = 5
LEAD, CUSTOMER = "lead@turnup.example", "customer@acme.example"
LOCATIONS = 120
CANARY = b'{"query": "{ viewer { role } }"}'
OTHER_ADDRESS = "127.0.0.2"


@dataclass(frozen=True, slots=True)
class Target:
    """A running server."""

    port: int
    process: int
    home: Path

    def token(self, subject: str) -> str:
        """Return a token for a subject."""
        issuer = DevelopmentIssuer.load_or_create(self.home)
        return issuer.issue(subject, lifetime_seconds=3600, now=time.time(), audience=AUDIENCE)

    def cpu(self) -> float:
        """Return the CPU seconds of the server process so far."""
        return cpu_seconds([self.process])

    def request(self, body: bytes, who: str | None, *, path: str = "/graphql") -> bytes:
        """Return a POST as bytes, without a token if `who` is None."""
        return self.head(len(body), who, path=path) + body

    def head(self, length: int, who: str | None, *, path: str = "/graphql") -> bytes:
        """Return the head of a POST."""
        token = "" if who is None else f"Authorization: Bearer {self.token(who)}\r\n"
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"{token}Content-Length: {length}\r\n\r\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attack did: CPU seconds (per request, where it sends many), growth of memory in bytes, and the answer."""

    answer: str
    cpu: float | None = None
    grown: int | None = None

    def __str__(self) -> str:
        cpu = "" if self.cpu is None else f"{self.cpu * 1000:,.1f} ms, "
        grown = "" if self.grown is None else f"{self.grown / MEGABYTE:+,.0f} MB, "
        return f"{cpu}{grown}{self.answer}"


Attack = Callable[[Target], Awaitable[Outcome]]


def graphql(query: str, **variables: Any) -> bytes:
    """Return a request body."""
    return json.dumps({"query": query, "variables": variables}, ensure_ascii=False).encode()


def summary(response: Response) -> str:
    """Return the status, and the code of the first error or the number of objects returned."""
    try:
        body = json.loads(response.body)
    except ValueError:
        return f"{response.status} {response.body[:40]!r}"
    if body.get("errors"):
        extensions = body["errors"][0].get("extensions", {})
        return " ".join(map(str, [response.status, extensions.get("code"), extensions.get("limit", "")])).rstrip()
    cost = body.get("extensions", {}).get("cost")
    return f"{response.status}, {cost['returned']:,} objects" if cost else str(response.status)


async def once(target: Target, request: bytes, address: str | None = None, seconds: float = 60) -> Response | str:
    """Send a request over a new connection; return the response, or why there is none."""
    try:
        async with asyncio.timeout(seconds):
            connection = await RawConnection.open(target.port, address)
            try:
                return await connection.ask(request)
            finally:
                connection.close()
    except TimeoutError:
        return "no response"
    except (OSError, asyncio.IncompleteReadError):
        return "connection closed"


async def answer_to(target: Target, request: bytes, address: str | None = None, seconds: float = 60) -> str:
    """Send a request over a new connection; return the summary of the response."""
    heard = await once(target, request, address, seconds)
    return heard if isinstance(heard, str) else summary(heard)


async def measured(target: Target, body_of: Callable[[int], bytes], who: str | None) -> Outcome:
    """Send a few variants of one body one after the other; return the median of the server's CPU time."""
    spent: list[float] = []
    answers: Counter[str] = Counter()
    for number in range(ROUNDS):
        request = target.request(body_of(number), who)
        began = target.cpu()
        answers[await answer_to(target, request)] += 1
        spent.append(target.cpu() - began)
    return Outcome("; ".join(answers), cpu=statistics.median(spent))


@contextmanager
def memory_watched(target: Target) -> Iterator[Callable[[], int]]:
    """Yield a function that returns the largest growth of the server's memory since the block began."""
    began = resident_bytes(target.process)
    most = 0

    def growth() -> int:
        nonlocal most
        most = max(most, resident_bytes(target.process) - began)
        return most

    yield growth


RICH = (
    "fragment F on __Type{kind name description fields{name description args{name description type{name kind"
    " ofType{name kind}} defaultValue} type{name kind ofType{name kind ofType{name kind ofType{name fields{name}}}}"
    " fields{name}}} inputFields{name description type{name kind} defaultValue} interfaces{name fields{name}}"
    " enumValues{name description} possibleTypes{name fields{name}}}"
)


async def introspection(target: Target) -> Outcome:
    """The list of types under thirty names in one selection set, while another client asks for /healthz."""
    document = "{__schema{" + " ".join(f"a{n}:types{{...F}}" for n in range(30)) + "}}" + RICH
    waits: list[float] = []
    over = asyncio.Event()

    async def health() -> None:
        request = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n\r\n".encode()
        while not over.is_set():
            began = time.perf_counter()
            await once(target, request)
            waits.append(time.perf_counter() - began)

    watcher = asyncio.create_task(health())
    found = await measured(target, lambda n: graphql(f"{document}#{n}"), CUSTOMER)
    over.set()
    await watcher
    return Outcome(f"{found.answer}; /healthz silent for {max(waits):.1f} s", cpu=found.cpu)


async def page_as_float(target: Target) -> Outcome:
    """A page size of 100.0, which GraphQL coerces to 100."""
    aliases = " ".join(f"a{n}:devices{{extension{{person{{id}}}}}}" for n in range(29))
    nodes = f"nodes{{id {aliases} devices{{id}} people{{id}}}}"
    document = f"query($n:Int!){{locations(first:$n,orderBy:{{field:UPDATED_AT,direction:DESC}}){{{nodes}}}}}"
    return Outcome(await answer_to(target, target.request(graphql(document, n=100.0), LEAD)))


async def unknown_fields(target: Target) -> Outcome:
    """45,000 fields that the input does not have."""
    document = "mutation($i:UpdateLocationInput!){updateLocation(input:$i){replayed}}"
    return await measured(
        target, lambda n: graphql(document, i={f"f{n}{field}": 1 for field in range(45_000)}), CUSTOMER
    )


async def many_contacts(target: Target) -> Outcome:
    """11,000 contacts where 8 are allowed."""
    document = "mutation($i:SetContactsInput!){setContacts(input:$i){problems{code}}}"
    contacts = [{"purpose": "PRIMARY", "fullName": "Ida"}] * 11_000
    body = graphql(document, i={"locationId": "location-2", "expectedRevision": 1, "contacts": contacts})
    return await measured(target, lambda _: body, CUSTOMER)


async def long_filter(target: Target) -> Outcome:
    """A filter by a name of 900 kB that is costly to normalise."""
    document = "query($f:LocationFilter){locations(filter:$f){totalCount}}"
    return await measured(target, lambda n: graphql(document, f={"name": f"{n}" + "e\u0323\u0302" * 180_000}), CUSTOMER)


async def anonymous_values(target: Target) -> Outcome:
    """A body of 40,000 numbers of 22 digits and an escaped surrogate pair without a token."""
    values = ", ".join(["1.2345678901234567e-300"] * 40_000)
    return await measured(
        target,
        lambda n: (
            f'{{"query": "{{viewer{{name}}}}", "variables": {{"v": ["\\ud83d\\ude00", {n}, {values}]}}}}'.encode()
        ),
        None,
    )


async def anonymous_text(target: Target) -> Outcome:
    """A body of 1 MB of escape sequences without a token."""
    return await measured(
        target,
        lambda n: json.dumps({"query": "{viewer{name}}", "variables": {"v": "\u00e9" * 170_000, "n": n}}).encode(),
        None,
    )


async def many_documents(target: Target) -> Outcome:
    """1,200 different documents of one customer, each near the maximum of tokens."""
    fields = (
        "{id name status timezone siteCode account{id name} contacts{id fullName email phone purpose}"
        " devices{id label macAddress serialNumber brand model extension{id number person{id firstName lastName}}}"
        " people{id firstName lastName}}"
    )

    def document(n: int) -> str:
        return "{" + " ".join(f'a{k}n{n}:location(id:"location-1"){fields}' for k in range(16)) + "}"

    return await asked_in_turn(target, (graphql(document(n)) for n in range(1_200)))


async def small_documents(target: Target) -> Outcome:
    """20,000 different small documents of one customer."""
    return await asked_in_turn(target, (graphql(f"{{a{n}:viewer{{name}}}}") for n in range(20_000)))


async def many_comments(target: Target) -> Outcome:
    """1,200 different documents of one customer, each with 7,000 comments."""
    return await asked_in_turn(target, (graphql(f"{{a{n}:viewer{{name}}}}" + "\n#" * 7_000) for n in range(1_200)))


async def many_conditions(target: Target) -> Outcome:
    """One document, which a customer sends with 1,500 sets of values for the variables of its @skip directives."""
    fields = "id name status contacts{id fullName email} devices{id label brand model} people{id firstName lastName}"
    names = [f"c{n}" for n in range(11)]
    variables = " ".join(f"${name}:Boolean!" for name in names)
    locations = " ".join(f'a{name}:location(id:"location-1")@skip(if:${name}){{{fields}}}' for name in names)
    document = f"query({variables}){{{locations}}}"
    sets = ({name: bool(n >> bit & 1) for bit, name in enumerate(names)} for n in range(1_500))
    return await asked_in_turn(target, (graphql(document, **values) for values in sets))


async def asked_in_turn(target: Target, bodies: Iterable[bytes]) -> Outcome:
    """Send bodies as a customer over one connection. Returns the CPU time per request and the largest growth."""
    answers: Counter[str] = Counter()
    connection = await RawConnection.open(target.port)
    grown = 0
    with memory_watched(target) as growth:
        began = target.cpu()
        for body in bodies:
            answers[summary(await connection.ask(target.request(body, CUSTOMER)))] += 1
            grown = max(grown, growth())
        spent = target.cpu() - began
    connection.close()
    common = ", ".join(f"{count} x {answer}" for answer, count in answers.most_common(3))
    return Outcome(common, spent / answers.total(), grown)


async def silent_connections(target: Target) -> Outcome:
    """1,010 connections that send nothing, from one address. A user asks from another address."""
    opened = []
    with suppress(OSError):
        opened = [await RawConnection.open(target.port) for _ in range(1_010)]
    canary = target.request(CANARY, CUSTOMER)
    began = time.perf_counter()
    at_once = await answer_to(target, canary, OTHER_ADDRESS, 10)
    health = await answer_to(target, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", OTHER_ADDRESS, 10)
    later = at_once
    while not later.startswith("200") and time.perf_counter() - began < MOST_SECONDS:
        await asyncio.sleep(1)
        later = await answer_to(target, canary, OTHER_ADDRESS, 10)
    for each in opened:
        each.close()
    after = "" if later == at_once else f", {later} after {time.perf_counter() - began:.0f} s"
    if later == at_once and not later.startswith("200"):
        after = f", also after {MOST_SECONDS:.0f} s"
    return Outcome(f"a user is answered {at_once}{after}; /healthz {health}")


async def flooded(target: Target, piece: bytes, first: bytes = b"") -> Outcome:
    """Send `first` and then `piece` again and again over one connection, and read nothing until the server stops."""
    loop = asyncio.get_running_loop()
    canary = target.request(CANARY, CUSTOMER)
    with socket.create_connection(("127.0.0.1", target.port)) as sender, memory_watched(target) as growth:
        sender.setblocking(False)
        began, sent, why = time.perf_counter(), 0, ""
        spent = target.cpu()
        try:
            await loop.sock_sendall(sender, first)
            while not why:
                async with asyncio.timeout(3):
                    await loop.sock_sendall(sender, piece)
                sent += len(piece)
                if growth() > MOST_GROWTH or time.perf_counter() - began > MOST_SECONDS:
                    why = "still reads when the measurement ends"
        except TimeoutError:
            why = "the server stops reading"
        except OSError:
            why = "connection closed"
        spent = target.cpu() - spent
        grown = growth()
        others = await answer_to(target, canary, OTHER_ADDRESS)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                line = (await loop.sock_recv(sender, 64)).split(b"\r\n")[0].decode("latin-1")
                why += f" ({line})" if line else ""
    return Outcome(f"{sent / MEGABYTE:,.1f} MB sent; {why}; a user is answered {others}", spent, grown)


async def pipelining(target: Target) -> Outcome:
    """One connection sends requests without reading the responses."""
    return await flooded(target, target.request(CANARY, CUSTOMER) * 100)


async def header_fields(target: Target) -> Outcome:
    """One connection sends header fields without end."""
    return await flooded(
        target,
        b"".join(b"x-%d: %b\r\n" % (n, b"y" * 50) for n in range(1_000)),
        b"POST /graphql HTTP/1.1\r\nHost: x\r\n",
    )


async def half_bodies(target: Target, who: str | None) -> Outcome:
    """300 connections send 650 kB of a body of 1 MB, and then nothing."""
    head, half = target.head(1_000_000, who), b" " * 650_000
    opened: list[RawConnection] = []

    async def send() -> None:
        with suppress(OSError, TimeoutError):
            connection = await RawConnection.open(target.port)
            opened.append(connection)
            connection.writer.write(head + half)
            async with asyncio.timeout(10):
                await connection.writer.drain()

    with memory_watched(target) as growth:
        spent = target.cpu()
        sending = asyncio.gather(*(send() for _ in range(300)))
        while not sending.done():
            growth()
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        grown, spent = growth(), target.cpu() - spent
    heard: Counter[str] = Counter()
    for each in opened:
        try:
            async with asyncio.timeout(0.01):
                heard[summary(await each.response())] += 1
        except TimeoutError:
            heard["read, no response yet"] += 1
        except (OSError, asyncio.IncompleteReadError):
            heard["connection closed"] += 1
        each.close()
    return Outcome(", ".join(f"{count} x {what}" for what, count in heard.most_common()), spent / 300, grown)


async def half_bodies_of_a_user(target: Target) -> Outcome:
    """300 half bodies with a valid token."""
    return await half_bodies(target, CUSTOMER)


async def anonymous_half_bodies(target: Target) -> Outcome:
    """300 half bodies without a token."""
    return await half_bodies(target, None)


async def refused_subject(target: Target) -> Outcome:
    """200 requests with a valid token of a subject that no user has, and a body of 49,000 values."""
    body = graphql("{viewer{name}}", v=[[1, 2]] * 16_000)
    request = target.request(body, "nobody@else.example")
    answers: Counter[str] = Counter()
    began = target.cpu()
    for _ in range(200):
        answers[await answer_to(target, request)] += 1
    return Outcome("; ".join(answers), (target.cpu() - began) / 200)


async def trailer_token(target: Target) -> Outcome:
    """A bearer token in a trailer field."""
    chunk = b"%x\r\n%b\r\n0\r\nAuthorization: Bearer %b\r\n\r\n" % (len(CANARY), CANARY, target.token(LEAD).encode())
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Outcome(await answer_to(target, head + chunk))


ATTACKS: Mapping[str, Attack] = {
    "introspection": introspection,
    "page-as-float": page_as_float,
    "unknown-fields": unknown_fields,
    "contacts": many_contacts,
    "filter": long_filter,
    "anonymous-values": anonymous_values,
    "anonymous-text": anonymous_text,
    "refused-subject": refused_subject,
    "documents": many_documents,
    "small-documents": small_documents,
    "comments": many_comments,
    "conditions": many_conditions,
    "silent-connections": silent_connections,
    "pipelining": pipelining,
    "header-fields": header_fields,
    "half-bodies": half_bodies_of_a_user,
    "anonymous-half-bodies": anonymous_half_bodies,
    "trailer": trailer_token,
}


@contextmanager
def home_of(checkout: Path) -> Iterator[Path]:
    """Yield a home with the demo data and plain locations, made by the checkout's own commands."""
    with tempfile.TemporaryDirectory(prefix="turnup-attacks-") as folder:
        home = (Path(folder) / "home").resolve()
        command = [str(checkout / ".venv/bin/python"), "-m", "app.cli", "seed", "--locations", str(LOCATIONS)]
        subprocess.run(command, cwd=checkout, env=environment(home), check=True, stdout=subprocess.DEVNULL)
        yield home
        erase(home)


def erase(home: Path) -> None:
    """Delete a cluster, once its supervisor has ended."""
    for _ in range(300):
        try:
            embedded.erase(home)
        except embedded.EmbeddedPostgresError:
            time.sleep(0.1)
        else:
            return


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment without settings of the product, except for these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TURNUP_", "DATABASE_URL"))}
    return {**inherited, "TURNUP_HOME": str(home), "TURNUP_GRAPHIQL": "false", **more}


def free_port() -> int:
    """Return a port that is free, below those that the system gives to outgoing connections."""
    for port in range(randrange(20_000, 30_000), 32_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


@asynccontextmanager
async def serving(checkout: Path, home: Path) -> AsyncIterator[Target]:
    """Yield a server of the checkout, started for the block."""
    port = free_port()
    log = home / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [str(checkout / ".venv/bin/python"), "-m", "app.cli", "serve"],
            cwd=checkout,
            env=environment(home, PORT=str(port)),
            stdout=output,
            stderr=output,
        )
    try:
        target = Target(port, process.pid, home)
        ready = target.request(CANARY, CUSTOMER)
        for _ in range(1_200):
            if (await answer_to(target, ready)).startswith("200"):
                break
            if process.poll() is not None:
                sys.exit(log.read_text(encoding="utf-8", errors="replace"))
            await asyncio.sleep(0.1)
        yield target
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def main(names: list[str], checkouts: Mapping[str, Path]) -> None:
    """Run the attacks against each checkout and print the table."""
    found: dict[tuple[str, str], Outcome] = {}
    for title, checkout in checkouts.items():
        with home_of(checkout) as home:
            for name in names:
                async with serving(checkout, home) as target:
                    found[name, title] = await ATTACKS[name](target)
                print(f"{title}: {name}: {found[name, title]}", file=sys.stderr, flush=True)
    print(f"| attack | {' | '.join(checkouts)} |\n|---|{'---|' * len(checkouts)}")
    for name in names:
        what = (ATTACKS[name].__doc__ or "").splitlines()[0].rstrip(".")
        print(f"| `{name}`: {what} | {' | '.join(str(found[name, title]) for title in checkouts)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(ATTACKS)}")
    parser.add_argument("--before", type=Path, metavar="DIR", help="an older checkout to measure as well")
    parser.add_argument("--only-before", action="store_true", help="measure only the older checkout")
    given = parser.parse_args()
    if unknown := set(given.names) - set(ATTACKS):
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    places = {"before": given.before.resolve()} if given.before else {}
    asyncio.run(main(given.names or list(ATTACKS), places if given.only_before else {**places, "now": ROOT}))
