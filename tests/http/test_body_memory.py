"""The memory of bodies: counted while a request runs, bounded in total and per user, given back in every case."""

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.http.body import PayloadTooLarge, read_body
from app.http.body_memory import UNCOUNTED_BYTES, BodyMemory
from app.http.refusals import TransportRefused

KIB = 1024
LARGEST = 100 * KIB


def a_memory() -> BodyMemory:
    return BodyMemory(LARGEST, total=300 * KIB, per_user=150 * KIB)


def arriving(*messages: Message) -> "list[Message]":
    return list(messages)


async def read(memory: BodyMemory, subject: str, messages: "list[Message]") -> int:
    """Read a body and return how many bytes the memory counts while its request runs."""

    async def receive() -> Message:
        return messages.pop(0)

    with memory.of(subject) as held:
        await read_body(receive, LARGEST, (), held.add)
        return memory.held


def chunk(kib: int, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": b" " * (kib * KIB), "more_body": more}


async def test_a_body_is_counted_beyond_its_first_bytes_until_its_request_ends() -> None:
    memory = a_memory()
    assert await read(memory, "a", arriving(chunk(20, more=True), chunk(20))) == 40 * KIB - UNCOUNTED_BYTES
    assert memory.held == 0


async def test_an_ordinary_body_is_read_when_nothing_more_is_counted() -> None:
    memory = a_memory()
    memory.take("a", 150 * KIB)
    memory.take("b", 150 * KIB)
    assert await read(memory, "a", arriving(chunk(16))) == 300 * KIB
    for subject, own_share in (("a", True), ("c", False)):
        with pytest.raises(TransportRefused) as refusal:
            await read(memory, subject, arriving(chunk(16, more=True), chunk(1)))
        assert (refusal.value.code, refusal.value.own_share) == ("OVERLOADED", own_share)
    assert memory.held == 300 * KIB


async def test_one_user_cannot_take_the_memory_of_all() -> None:
    memory = a_memory()
    memory.take("a", 100 * KIB)
    with pytest.raises(TransportRefused):
        await read(memory, "a", arriving(chunk(100)))
    assert await read(memory, "b", arriving(chunk(100))) == 184 * KIB


async def test_a_body_of_the_maximum_size_fits_whatever_the_maximum_is() -> None:
    memory = BodyMemory(LARGEST, total=1, per_user=1)
    assert await read(memory, "a", arriving(chunk(100))) == 84 * KIB


@pytest.mark.parametrize(
    ("messages", "raised"),
    [
        (arriving(chunk(50, more=True), {"type": "http.disconnect"}), ClientDisconnect),
        (arriving(chunk(50, more=True), chunk(51)), PayloadTooLarge),
    ],
)
async def test_what_was_counted_is_given_back_when_reading_fails(
    messages: list[Message], raised: type[Exception]
) -> None:
    memory = a_memory()
    with pytest.raises(raised):
        await read(memory, "a", list(messages))
    assert memory.held == 0
