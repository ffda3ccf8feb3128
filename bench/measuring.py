"""Tools of the benchmarks: CPU time and memory of other processes, small HTTP clients, a server process."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KIB = 1024
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def cpu_seconds(processes: Iterable[int]) -> float:
    """Return the CPU time of these processes so far, with Linux's precision of nanoseconds."""
    total = 0.0
    for process in processes:
        with suppress(OSError):  # the process has ended
            total += time.clock_gettime((~process << 3) | 2)
    return total


def resident_bytes(process: int) -> int:
    """Return the resident memory of a process in bytes; 0 after its end."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * _KIB
    return 0


def proportional_bytes(process: int) -> int:
    """Return the memory of a process in bytes, with its part of what it shares; 0 after its end or if it is hidden."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KIB
    return 0


def with_descendants(process: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [process]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


class HttpConnection:
    """A keep-alive connection that does minimal work per request, because the client shares the machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "HttpConnection":
        """Connect to this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=4 * 1024 * 1024))

    async def ask(self, request: bytes) -> bytes:
        """Send a request; return the body of a 200 response, exit on any other response."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"{head.decode()}{body[:2000].decode()}")
        return body

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


@dataclass(frozen=True, slots=True)
class Response:
    """A response as received; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RawConnection:
    """A connection over which a client sends any bytes and reads whole responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, address: str | None = None) -> "RawConnection":
        """Connect to this machine; an `address` is another loopback address to connect from, such as 127.0.0.2."""
        local = None if address is None else (address, 0)
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=16 * 1024 * 1024, local_addr=local))

    async def ask(self, request: bytes) -> Response:
        """Send a request and return its response; raises ConnectionError or IncompleteReadError if there is none."""
        self.writer.write(request)
        return await self.response()

    async def response(self) -> Response:
        """Read the next response, without the interim ones (100 Continue)."""
        first, *lines = await self._head()
        while first.split(" ", 2)[1] == "100":
            first, *lines = await self._head()
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "chunked" in headers.get("transfer-encoding", ""):
            body = await self._chunks()
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Response(int(first.split(" ", 2)[1]), headers, body)

    async def _head(self) -> list[str]:
        return (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")

    async def _chunks(self) -> bytes:
        found = b""
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            found += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readuntil(b"\r\n")
        return found

    def close(self) -> None:
        """Close the connection at once."""
        self.writer.transport.abort()


def bearer(token: str) -> Mapping[str, str]:
    """Return the header fields that sign a request in with a token."""
    return {"Authorization": f"Bearer {token}"}


def post(body: bytes, signed_in: Mapping[str, str]) -> bytes:
    """Return a request to /graphql as bytes; `signed_in` are the header fields that sign it in."""
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in signed_in.items())
        + f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Server:
    """A server in its own processes, until it is stopped. Its output is in TURNUP_HOME."""

    def __init__(self, name: str, port: int, command: list[str], env: Mapping[str, str]):
        self.name = name
        self.port = port
        log = Path(env["TURNUP_HOME"]) / f"{port}.log"
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, cwd=env["TURNUP_HOME"], env=env, stdout=output, stderr=output)

    async def ready(self) -> None:
        """Wait until the server listens; exit with its log if it does not."""
        for _ in range(1_800):
            if self._process.poll() is not None:
                break
            try:
                (await HttpConnection.open(self.port)).close()
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return
        sys.exit(f"{self.name} did not start:\n{self._log.read_text(encoding='utf-8')}")

    @property
    def pid(self) -> int:
        """The id of the first process."""
        return self._process.pid

    def cpu(self) -> float:
        """Return the CPU seconds so far, including workers."""
        return cpu_seconds(with_descendants(self._process.pid))

    def stop(self) -> None:
        """Stop the server."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


async def sink(port: int) -> Any:
    """A trace collector that accepts everything and stores nothing."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    return await asyncio.start_server(take, "127.0.0.1", port, limit=4 * 1024 * 1024)
