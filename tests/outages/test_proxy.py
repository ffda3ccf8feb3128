"""The fault proxy does what its modes say."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from .proxy import LOCALHOST, FaultProxy, Mode, unanswered

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """A proxy in front of a server that answers with what it receives."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, LOCALHOST, 0)
    with FaultProxy((LOCALHOST, server.sockets[0].getsockname()[1])) as made:
        yield made
    server.close()


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    """A connection; yields a function that sends and returns the answer. An answer of b"" is the end."""
    reader, writer = await asyncio.open_connection(LOCALHOST, proxy.port)

    async def ask(data: bytes) -> bytes:
        writer.write(data)
        return await asyncio.wait_for(reader.read(1024), 10)

    try:
        yield ask
    finally:
        writer.close()


async def is_silent(answer: "asyncio.Task[bytes]") -> bool:
    """Whether nothing arrives for a moment; the wait goes on."""
    done, _ = await asyncio.wait([answer], timeout=0.2)
    return not done


async def test_what_is_sent_into_a_black_hole_arrives_when_the_network_is_back(proxy: FaultProxy) -> None:
    async with connected(proxy) as ask:
        assert await ask(b"before") == b"before"
        proxy.set(Mode.BLACK_HOLE)
        during = asyncio.ensure_future(ask(b"during"))
        assert await is_silent(during)
        async with connected(proxy) as new:
            late = asyncio.ensure_future(new(b"new"))
            assert await is_silent(late)
            proxy.set(Mode.PASS)
            assert (await during, await late) == (b"during", b"new")


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.REFUSE])
async def test_established_connections_are_reset_and_new_ones_fail(proxy: FaultProxy, mode: Mode) -> None:
    async with connected(proxy) as ask:
        assert await ask(b"before") == b"before"
        proxy.set(mode)
        with pytest.raises(ConnectionError):
            await ask(b"after")
        with pytest.raises(ConnectionError):
            async with connected(proxy) as new:
                await new(b"new")
        proxy.set(Mode.PASS)
        async with connected(proxy) as again:
            assert await again(b"again") == b"again"


async def test_latency_delays_the_request_and_the_reply(proxy: FaultProxy) -> None:
    proxy.set(Mode.LATENCY, latency_seconds=0.1)
    began = time.monotonic()
    async with connected(proxy) as ask:
        assert await ask(b"late") == b"late"
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(("mode", "lost"), [(Mode.CUT, True), (Mode.RESET, True), (Mode.SWALLOW, False)])
async def test_only_the_connection_that_sends_the_marker_is_trapped(proxy: FaultProxy, mode: Mode, lost: bool) -> None:
    async with connected(proxy) as trapped, connected(proxy) as other:
        proxy.trap(b"COMMIT", mode)
        assert await trapped(b"BEGIN") == b"BEGIN"
        answer = asyncio.ensure_future(trapped(b"COMMIT"))
        if lost:
            with pytest.raises(ConnectionError):
                await answer
        else:
            assert await is_silent(answer)
        assert (await other(b"BEGIN"), proxy.sprung) == (b"BEGIN", 1)
        proxy.set(Mode.PASS)
        assert lost or await answer == b"COMMIT"


async def test_a_port_that_does_not_answer_keeps_connections_waiting() -> None:
    with unanswered() as port, pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.open_connection(LOCALHOST, port), 0.3)
