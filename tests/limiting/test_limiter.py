"""Budgets are exact at their boundary under parallel calls, in memory and on a real Redis that processes share."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.limiting import limiter as limiting
from app.limiting import stores
from app.limiting.limiter import Limiter, LimiterUnavailable
from app.limiting.stores import MemoryStore, RedisStore, Store
from app.telemetry.tracing import start_tracing
from tests.outages.proxy import FaultProxy, Mode
from tests.telemetry.span_types import type_of
from tests.telemetry.telemetry_builders import an_operation

from .redis_server import RedisServer

HAMMER = Path(__file__).parent / "hammer.py"
ROOT = Path(__file__).resolve().parents[2]
EDITS, OBJECTS, CALLS, ITEMS = "EDITS", "OBJECTS", "BULK_CALLS", "BULK_ITEMS"
NOON = 1_800_000_000.0
STORES = ["memory", pytest.param("redis", marks=pytest.mark.xdist_group("redis"))]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis may take a minute to answer, on a machine that does something else."""
    monkeypatch.setattr(stores, "COMMAND_SECONDS", 60)
    monkeypatch.setattr(stores, "QUEUE_SECONDS", 60)


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, patient: None) -> AsyncIterator[Store]:
    memory = request.param == "memory"
    made = MemoryStore() if memory else RedisStore(request.getfixturevalue("redis_server").url)
    yield made
    await made.close()


def a_limiter(store: Store, now: float = NOON, **limits: int) -> Limiter:
    """A limiter whose clock stands still."""
    return Limiter(limits, store, failed=lambda: None, clock=lambda: now)


async def left(limiter: Limiter, user_id: str = "anna") -> dict[str, int]:
    return {each.name: each.remaining for each in await limiter.states(user_id)}


async def test_200_parallel_calls_are_allowed_exactly_as_often_as_the_budget_says(store: Store) -> None:
    limiter = a_limiter(store, EDITS=137)
    taken = await asyncio.gather(*(limiter.take("anna", {EDITS: 1}) for _ in range(200)))
    assert [each.refused for each in taken].count(None) == 137
    assert [each.refused for each in taken].count(EDITS) == 63
    assert await left(limiter) == {EDITS: 0}


async def test_parallel_calls_of_many_sizes_leave_no_room_for_one_that_was_refused(store: Store) -> None:
    limiter = a_limiter(store, OBJECTS=1_000)
    sizes = [1 + (7 * n) % 50 for n in range(200)]
    taken = await asyncio.gather(*(limiter.take("anna", {OBJECTS: size}) for size in sizes))
    spent = sum(size for size, each in zip(sizes, taken, strict=True) if each.refused is None)
    refused = [size for size, each in zip(sizes, taken, strict=True) if each.refused is not None]
    assert spent <= 1_000
    assert spent + min(refused) > 1_000
    assert await left(limiter) == {OBJECTS: 1_000 - spent}


async def test_a_call_takes_from_all_its_budgets_or_from_none(store: Store) -> None:
    limiter = a_limiter(store, BULK_CALLS=10, BULK_ITEMS=100)
    assert (await limiter.take("anna", {CALLS: 1, ITEMS: 70})).refused is None
    assert (await limiter.take("anna", {CALLS: 1, ITEMS: 31})).refused == ITEMS
    assert await left(limiter) == {CALLS: 9, ITEMS: 30}


async def test_users_do_not_spend_from_each_other(store: Store) -> None:
    limiter = a_limiter(store, EDITS=1)
    assert (await limiter.take("anna", {EDITS: 1})).refused is None
    assert (await limiter.take("ben", {EDITS: 1})).refused is None
    assert (await limiter.take("anna", {EDITS: 1})).refused == EDITS


async def test_what_was_reserved_too_much_goes_back_to_the_minute_it_came_from(store: Store) -> None:
    limiter = a_limiter(store, OBJECTS=100)
    taken = await limiter.take("anna", {OBJECTS: 90})
    await limiter.correct("anna", taken.window, OBJECTS, -60)
    assert await left(limiter) == {OBJECTS: 70}
    later = a_limiter(store, NOON + 60, OBJECTS=100)
    await limiter.correct("anna", taken.window, OBJECTS, -30)
    assert await left(later) == {OBJECTS: 100}


async def test_what_was_reserved_too_little_is_counted_even_beyond_the_limit(store: Store) -> None:
    limiter = a_limiter(store, OBJECTS=100)
    taken = await limiter.take("anna", {OBJECTS: 90})
    await limiter.correct("anna", taken.window, OBJECTS, 60)
    assert await left(limiter) == {OBJECTS: 0}
    assert (await limiter.take("anna", {OBJECTS: 1})).refused == OBJECTS


@pytest.mark.parametrize("second", [0.0, 17.25, 59.0, 59.9996])
async def test_a_refused_call_that_waits_as_long_as_it_was_told_succeeds(store: Store, second: float) -> None:
    limiter = a_limiter(store, NOON + second, EDITS=1)
    await limiter.take("anna", {EDITS: 1})
    refused = await limiter.take("anna", {EDITS: 1})
    assert refused.refused == EDITS
    assert 0 < refused.retry_after_ms <= 60_000
    waited = a_limiter(store, NOON + second + refused.retry_after_ms / 1000, EDITS=1)
    assert (await waited.take("anna", {EDITS: 1})).refused is None


async def test_waiting_in_real_time_is_long_enough(store: Store) -> None:
    limiter = Limiter({EDITS: 1}, store, failed=lambda: None, window_seconds=1)
    await limiter.take("anna", {EDITS: 1})
    while (refused := await limiter.take("anna", {EDITS: 1})).refused is None:
        pass  # the second ended in between
    await asyncio.sleep(refused.retry_after_ms / 1000)
    assert (await limiter.take("anna", {EDITS: 1})).refused is None


async def test_a_call_larger_than_the_whole_budget_costs_all_of_it(store: Store) -> None:
    limiter = a_limiter(store, BULK_ITEMS=100)
    assert (await limiter.take("anna", {ITEMS: 600})).refused is None
    assert await left(limiter) == {ITEMS: 0}


async def test_states_say_when_the_minute_ends(store: Store) -> None:
    (state,) = await a_limiter(store, NOON + 17.25, EDITS=5).states("anna")
    assert (state.name, state.limit, state.remaining) == (EDITS, 5, 5)
    assert state.resets_at.timestamp() == NOON + 60


@pytest.mark.xdist_group("redis")
def test_two_processes_on_redis_allow_exactly_what_the_budget_says(redis_server: RedisServer) -> None:
    begin = str(time.time() + 3)
    command = [sys.executable, str(HAMMER), redis_server.url, "137", "100", begin]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    allowed = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(allowed) == 137


@pytest.mark.xdist_group("redis")
async def test_counts_in_redis_do_not_stay_for_ever(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    limiter = a_limiter(store, EDITS=5)
    taken = await limiter.take("anna", {EDITS: 1})
    await limiter.correct("ben", taken.window, EDITS, -1)
    lives = [await store._client.ttl(key) for key in await store._client.keys()]
    await store.close()
    assert len(lives) == 2
    assert all(0 < seconds <= 120 for seconds in lives)


@pytest.mark.xdist_group("redis")
async def test_each_call_of_redis_is_a_span_without_the_names_of_users(redis_server: RedisServer) -> None:
    spans = InMemorySpanExporter()
    tracing = start_tracing("1.2.3", exporters=[spans])
    store = RedisStore(redis_server.url, tracing.observer)
    limiter = a_limiter(store, EDITS=5)
    with an_operation(tracing, "query"):
        taken = await limiter.take("anna", {EDITS: 1})
        await limiter.correct("anna", taken.window, EDITS, -1)
        await limiter.states("anna")
    await store.close()
    found = spans.get_finished_spans()
    assert [span.name for span in found] == ["EVALSHA take", "MULTI", "MGET", "query"]
    assert all(type_of(span) is not None for span in found)
    assert [(span.attributes or {}).get("db.system.name") for span in found] == ["redis", "redis", "redis", None]
    assert not any("anna" in span.to_json() for span in found)


@pytest.mark.xdist_group("redis")
async def test_a_redis_that_went_away_is_told_each_time_and_asked_again_once_it_is_back(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[None] = []
    store = RedisStore(redis_server.url)
    limiter = Limiter({EDITS: 1}, store, failed=lambda: failures.append(None), clock=lambda: NOON)
    assert (await limiter.take("anna", {EDITS: 1})).refused is None
    assert limiter.is_up
    redis_server.stop()
    for _ in range(3):
        with pytest.raises(LimiterUnavailable):
            await limiter.take("anna", {EDITS: 1})
    assert len(failures) == 3
    assert not limiter.is_up
    redis_server.start()
    monkeypatch.setattr(limiting, "PAUSE_SECONDS", 0)
    limiter._closed_until = 0
    assert (await limiter.take("anna", {EDITS: 1})).refused is None
    assert limiter.is_up
    await store.close()


@pytest.mark.usefixtures("patient")
@pytest.mark.xdist_group("redis")
async def test_the_log_has_a_line_when_redis_goes_one_per_minute_and_one_when_it_comes_back(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = RedisStore(redis_server.url)
    limiter = a_limiter(store, EDITS=100)

    async def fail(times: int) -> None:
        for _ in range(times):
            with pytest.raises(LimiterUnavailable):
                await limiter.take("anna", {EDITS: 1})

    redis_server.stop()
    await fail(3)
    limiter._logged_at -= limiting.REPEAT_SECONDS
    await fail(3)
    redis_server.start()
    limiter._closed_until = 0
    for _ in range(2):
        await limiter.take("anna", {EDITS: 1})
    await store.close()
    lines = [
        (record.levelname, record.getMessage().partition(":")[0], vars(record)["count"]) for record in caplog.records
    ]
    assert lines == [
        ("ERROR", "Redis cannot be reached", 1),
        ("ERROR", "Redis still cannot be reached", 3),
        ("WARNING", "Redis can be reached again", 2),
    ]


@pytest.mark.usefixtures("patient")
@pytest.mark.xdist_group("redis")
async def test_a_limiter_without_requests_finds_out_that_redis_is_back(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    limiter = a_limiter(store, EDITS=1)
    redis_server.stop()
    with pytest.raises(LimiterUnavailable):
        await limiter.take("anna", {EDITS: 1})
    limiter._closed_until = 0
    await limiter.look_again()
    assert not limiter.is_up
    redis_server.start()
    limiter._closed_until = 0
    await limiter.look_again()
    assert limiter.is_up
    assert await left(limiter) == {EDITS: 1}
    await store.close()


@pytest.mark.usefixtures("patient")
@pytest.mark.xdist_group("redis")
async def test_pooled_connections_that_redis_closed_are_no_failure(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    limiter = a_limiter(store, EDITS=100)
    await asyncio.gather(*(limiter.take("anna", {EDITS: 1}) for _ in range(20)))
    redis_server.stop()
    redis_server.start()
    taken = await asyncio.gather(*(limiter.take("anna", {EDITS: 1}) for _ in range(20)))
    await store.close()
    assert all(each.refused is None for each in taken)


async def test_a_redis_that_never_answers_is_given_up_soon() -> None:
    over = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    store = RedisStore(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    began = time.monotonic()
    with pytest.raises(LimiterUnavailable):
        await a_limiter(store, EDITS=1).take("anna", {EDITS: 1})
    assert time.monotonic() - began < 4
    over.set()
    await store.close()
    server.close()


@pytest.mark.xdist_group("redis")
async def test_a_crowd_that_waits_for_a_silent_redis_waits_together_and_then_one_call_at_a_time(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultProxy(redis_server.path) as proxy:
        store = RedisStore(proxy.url(redis_server.url))
        limiter = a_limiter(store, EDITS=1_000)
        assert (await limiter.take("anna", {EDITS: 1})).refused is None
        proxy.set(Mode.BLACK_HOLE)
        began = time.monotonic()
        refused = await asyncio.gather(*(limiter.take("anna", {EDITS: 1}) for _ in range(200)), return_exceptions=True)
        # A dozen turns, had each waited for its own timeout.
        assert time.monotonic() - began < 2 * stores.COMMAND_SECONDS
        assert {type(each) for each in refused} == {LimiterUnavailable}

        monkeypatch.setattr(limiting, "PAUSE_SECONDS", 60)
        limiter._closed_until = 0  # the pause is over
        began = time.monotonic()
        asked = asyncio.create_task(limiter.take("anna", {EDITS: 1}))
        await asyncio.sleep(0)
        for _ in range(100):
            with pytest.raises(LimiterUnavailable):
                await limiter.take("anna", {EDITS: 1})
        assert not asked.done(), "only one call waits for what a silent server says"
        proxy.set(Mode.PASS)
        assert (await asked).refused is None
        assert (await limiter.take("anna", {EDITS: 1})).refused is None
        await store.close()


# A connection whose opening is cancelled in its last step belongs to nobody: the collector closes it, and warns.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*StreamWriter:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("patient")
@pytest.mark.xdist_group("redis")
async def test_a_call_that_is_cancelled_leaves_no_answer_to_the_next_and_no_connection_in_use(
    redis_server: RedisServer,
) -> None:
    with FaultProxy(redis_server.path) as proxy:
        store = RedisStore(proxy.url(redis_server.url))
        limiter = a_limiter(store, EDITS=100_000)
        for turn in range(40):
            proxy.set(Mode.SWALLOW)
            calls = [asyncio.create_task(limiter.take("anna", {EDITS: 1})) for _ in range(20)]
            calls += [asyncio.create_task(limiter.states("anna")) for _ in range(5)]  # type: ignore[arg-type] # - mixed
            await asyncio.sleep(turn * 0.001)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            proxy.set(Mode.PASS)
            # A reply to a cancelled call would be a number where a list is expected, or the reverse.
            await asyncio.gather(*(limiter.take("ben", {EDITS: 1}) for _ in range(3)), limiter.states("ben"))
        assert await left(limiter, "ben") == {EDITS: 100_000 - 120}
        assert not store._client.connection_pool._in_use_connections
        await store.close()


async def test_memory_forgets_a_count_once_its_seconds_are_over() -> None:
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for key in ("a", "b"):
        await store.add(key, 1, 120)
        now[0] += 50
    await store.add("a", 1, 120)  # counted on, not kept longer
    assert await store.used(["a", "b"]) == [2, 1]
    now[0] = 120.0
    assert await store.used(["a", "b"]) == [0, 1]
    now[0] = 170.0
    await store.add("c", 1, 120)
    assert list(store._counts) == ["c"]
