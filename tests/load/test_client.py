"""Latencies count from the scheduled time, so that a stalled server, client or earlier request is not flattered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from bench.load.client import NO_ANSWER, Network, Reply, reply_of
from bench.load.documents import HOME, SUBMIT
from bench.load.people import SUBMISSION, LeftError, Load, User, Visitor, World
from bench.measuring import post
from bench.overload import part

BODY = b'{"data": {"statusCounts": [], "submitOnboarding": {"problems": []}}}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
REQUEST = post(b"{}", {})
GAP = 0.01


class FakeServer:
    """Answers every request, but none while it is stalled; closes the connection instead if it is broken."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.broken = False
        self.received = asyncio.Semaphore(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            self.received.release()
            await self.open.wait()
            if self.broken:
                break
            writer.write(ANSWER)
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[FakeServer, Network]]:
    fake = FakeServer()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    network = Network(server.sockets[0].getsockname()[1])
    try:
        yield fake, network
    finally:
        network.close()
        server.close()


def load_on(network: Network) -> Load:
    nobody = World(leads=(), partners=(), customers=(), finished=(), edited=(), handed_off=(), waves=())
    return Load(nobody, network, Random(1))


async def test_a_stall_counts_for_every_request_that_arrived_during_it() -> None:
    loop = asyncio.get_running_loop()
    async with serving() as (fake, network):
        fake.open.clear()
        began = loop.time()
        times = [began + GAP * number for number in range(20)]
        asking = [asyncio.create_task(network.ask("any", "statusCounts", REQUEST, at)) for at in times]
        for _ in times:
            await fake.received.acquire()
        opened = loop.time()
        fake.open.set()
        await asyncio.gather(*asking)
    assert len(network.samples) == 20
    assert [each for each in network.samples if each.seconds < opened - each.at] == []
    assert part([each.seconds for each in network.samples], 0.5) >= 1_000 * (opened - times[10])


async def test_a_request_that_waits_for_the_answer_to_an_earlier_one_counts_from_its_own_time() -> None:
    loop = asyncio.get_running_loop()
    async with serving() as (fake, network):
        fake.open.clear()
        visitor = Visitor(load_on(network), User("user-1", {}), loop.time())
        first = asyncio.create_task(visitor.fetch(HOME))
        await fake.received.acquire()
        await asyncio.sleep(0.4)  # longer than any pause of a person
        fake.open.set()
        await first
        due = visitor.at
        sent = loop.time()
        await visitor.fetch(HOME)
    assert due < sent
    assert network.samples[1].at == due
    assert network.samples[1].seconds > sent - due


async def test_a_request_is_not_sent_before_its_time() -> None:
    loop = asyncio.get_running_loop()
    async with serving() as (_, network):
        at = loop.time() + 5 * GAP
        await network.ask("any", "statusCounts", REQUEST, at)
        assert loop.time() >= at
    assert 0 < network.samples[0].seconds < 5


async def test_a_write_without_an_answer_is_uncertain_and_its_visit_ends() -> None:
    async with serving() as (fake, network):
        fake.broken = True
        load = load_on(network)
        visitor = Visitor(load, User("user-1", {}), 0)
        reply = await visitor.write(SUBMIT, {}, [(SUBMISSION, "location-1")])
        assert reply.code == NO_ANSWER
        with pytest.raises(LeftError):
            await visitor.fetch(HOME)
    assert load.book.acknowledged.total() == 0
    assert load.book.uncertain == {(SUBMISSION, "location-1"): 1}
    assert [each.code for each in network.samples] == [NO_ANSWER, NO_ANSWER]


def test_an_error_that_says_that_nothing_was_written_leaves_nothing_uncertain() -> None:
    head = b"http/1.1 200 ok\r\n"
    refused = b'{"data": null, "errors": [{"extensions": {"code": "OVERLOADED", "outcome": "NONE"}}]}'
    unknown = b'{"data": null, "errors": [{"extensions": {"code": "UNAVAILABLE", "outcome": "UNKNOWN"}}]}'
    assert reply_of(head, refused, "approve") == Reply(None, "OVERLOADED", may_be_written=False)
    assert reply_of(head, unknown, "approve") == Reply(None, "UNAVAILABLE", may_be_written=True)
