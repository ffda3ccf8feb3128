"""A bulkhead bounds the holders of each key, gives turns in order, and loses no place."""

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random

from app.db.bulkheads import Bulkhead, Share


async def turns() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_holders_of_a_key_are_bounded_and_other_keys_do_not_wait() -> None:
    bulkhead = Bulkhead(2)
    await bulkhead.enter({"anna"})
    await bulkhead.enter({"anna"})
    third = asyncio.ensure_future(bulkhead.enter({"anna"}))
    await bulkhead.enter({"ben"})
    await turns()
    assert (third.done(), bulkhead.waiting) == (False, 1)
    bulkhead.leave({"anna"})
    await turns()
    assert (third.done(), bulkhead.waiting) == (True, 0)


async def test_turns_come_in_order_and_nobody_overtakes_one_who_waits_for_several_keys() -> None:
    bulkhead, order = Bulkhead(1), list[str]()

    async def take(name: str, *keys: str) -> None:
        await bulkhead.enter(keys)
        order.append(name)

    await bulkhead.enter({"a"})
    both = asyncio.ensure_future(take("both", "a", "b"))
    await turns()
    assert not bulkhead.try_enter({"b"}), "b is free, and one who waits for a and b comes first"
    later = asyncio.ensure_future(take("later", "b"))
    await turns()
    bulkhead.leave({"a"})
    await turns()
    bulkhead.leave({"a", "b"})
    await asyncio.gather(both, later)
    assert order == ["both", "later"]


async def test_one_who_stops_waiting_gives_the_turn_to_those_behind() -> None:
    bulkhead = Bulkhead(1)
    await bulkhead.enter({"a"})
    both = asyncio.ensure_future(bulkhead.enter({"a", "b"}))
    behind = asyncio.ensure_future(bulkhead.enter({"b"}))
    await turns()
    assert not behind.done()
    both.cancel()
    await turns()
    assert behind.done()


async def test_a_turn_that_comes_at_the_moment_of_a_cancellation_is_given_back() -> None:
    bulkhead = Bulkhead(1)
    await bulkhead.enter({"a"})
    waiting = asyncio.ensure_future(bulkhead.enter({"a"}))
    await turns()
    bulkhead.leave({"a"})  # it is the other's turn, who does not know it yet
    waiting.cancel()
    await turns()
    assert bulkhead.try_enter({"a"})


async def test_a_share_holds_other_keys_only_instead_of_its_own() -> None:
    bulkhead = Bulkhead(1)
    mine, theirs = Share(bulkhead), Share(bulkhead)
    assert mine.try_hold({"a", "b"})
    assert mine.try_hold({"a"}), "it holds the key already"
    assert not theirs.try_hold({"b"})
    assert theirs.try_hold({"c"})
    assert not mine.try_hold({"c"})
    assert theirs.try_hold({"a"}), "a share that did not get its keys holds nothing"


async def test_in_a_crowd_no_key_has_too_many_holders_and_every_place_is_given_back() -> None:
    draw, bulkhead, held = Random(14), Bulkhead(2), Counter[str]()

    async def one() -> None:
        share, keys = Share(bulkhead), draw.sample("abcd", draw.randint(1, 3))
        with suppress(TimeoutError):
            async with asyncio.timeout(draw.choice([0.001, 5])):
                await share.hold(keys)
                held.update(keys)
                try:
                    assert max(held.values()) <= 2
                    await asyncio.sleep(draw.random() / 500)
                finally:
                    held.subtract(keys)
        share.release()

    await asyncio.gather(*(one() for _ in range(300)))
    assert bulkhead.waiting == 0
    assert all(bulkhead.try_enter({key}) and bulkhead.try_enter({key}) for key in "abcd")
