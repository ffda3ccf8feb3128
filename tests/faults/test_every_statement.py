"""The connection dies at every statement of every mutation: all of it is done or nothing, and the key tells which.

Three deaths: the client's end closes once a statement was answered; it closes while a statement is under way, so
that nobody knows whether a COMMIT arrived; or PostgreSQL ends the session. The statements of an undisturbed run are
counted first, so that a mutation that gains one has one point more.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any

import asyncpg
import pytest

from app.db.database import SIGN_IN, SIGN_IN_TO_WRITE, WRITING, Database
from tests.operations.scenario import MUTATIONS, Sent

from .cases import CASES, Sending
from .every import EVERY
from .ground import Ground, Image, connection_lost

pytestmark = pytest.mark.usefixtures("replayed")

ITEMS = 2


@unique
class Death(StrEnum):
    """How a connection ends."""

    ANSWERED = "closed after the answer"
    UNDER_WAY = "closed while it ran"
    BY_POSTGRES = "ended by PostgreSQL"


@dataclass
class Wire:
    """The statements of the writing transactions, and the one at which the connection dies, counted from 1."""

    app_url: str
    at: int = 0
    death: Death = Death.ANSWERED
    statements: list[str] = field(default_factory=list)
    sign_ins: int = 0
    """The sign-ins of all transactions, those that read included."""
    died: int = 0
    """The PostgreSQL process whose client died; 0 while nobody has."""


class Mortal:
    """A connection that dies as its wire says."""

    def __init__(self, connection: Any, wire: Wire) -> None:
        self._connection = connection
        self._wire = wire
        self._writes = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, sql: str, *values: Any) -> Any:
        return await self._run(self._connection.execute, sql, *values)

    async def fetch(self, sql: str, *values: Any) -> Any:
        return await self._run(self._connection.fetch, sql, *values)

    async def fetchrow(self, sql: str, *values: Any) -> Any:
        return await self._run(self._connection.fetchrow, sql, *values)

    async def _run(self, run: Any, sql: str, *values: Any) -> Any:
        self._writes = self._writes or sql == WRITING[0]
        self._wire.sign_ins += sql in {SIGN_IN, SIGN_IN_TO_WRITE}
        if not self._writes:
            return await run(sql, *values)
        self._wire.statements.append(sql)
        if len(self._wire.statements) != self._wire.at:
            return await run(sql, *values)
        pid = self._wire.died = self._connection.get_server_pid()
        if self._wire.death is Death.UNDER_WAY:
            return await self._cut_short(run(sql, *values))
        answer = await run(sql, *values)
        if self._wire.death is Death.ANSWERED:
            self._connection.terminate()
        else:
            killer = await asyncpg.connect(self._wire.app_url)
            await killer.execute("SELECT pg_terminate_backend($1, 5000)".replace("$1", str(pid)))
            await killer.close()
        return answer

    async def _cut_short(self, running: Any) -> Any:
        statement = asyncio.ensure_future(running)
        await asyncio.sleep(0)
        self._connection.terminate()
        return await statement


@contextmanager
def tapped(wire: Wire) -> Iterator[Wire]:
    """Record every connection that is taken from a pool in the block.

    The server's housekeeping can release such a connection later, so from here on the release accepts both kinds.
    """
    acquire = Database.acquire

    async def acquire_mortal(self: Database) -> Any:
        return Mortal(await acquire(self), wire)

    Database.acquire, Database.release = acquire_mortal, _release  # type: ignore[method-assign]
    try:
        yield wire
    finally:
        Database.acquire = acquire  # type: ignore[method-assign]


_RELEASE = Database.release


async def _release(self: Database, connection: Any) -> None:
    await _RELEASE(self, connection._connection if isinstance(connection, Mortal) else connection)


@dataclass(frozen=True)
class Undisturbed:
    """What a call does when nothing goes wrong."""

    statements: list[str]
    left: list[dict[str, Any]]


async def undisturbed(ground: Ground, case: str) -> Undisturbed:
    sending = await EVERY[case](ground, ITEMS)
    with tapped(Wire(ground.client.database.app_url)) as wire:
        sent = await ground.send_it(sending)
    assert (sent.outcome, sent.replayed) == ("DONE", False), sent
    assert wire.statements[-1] == "COMMIT"
    assert wire.sign_ins == 1 + bool(sending.select), "once for the write, and once for the rows of the answer"
    return Undisturbed(wire.statements, await ground.left(sending))


async def cut_off(ground: Ground, sending: Sending, at: int, death: Death) -> Sent:
    """The answer to a call whose connection died, once PostgreSQL has noticed."""
    with tapped(Wire(ground.client.database.app_url, at, death)) as wire:
        sent = await ground.send_it(sending)
    assert wire.died, f"only {len(wire.statements)} statements"
    await ground.gone(wire.died)
    return sent


def noticing(normal: Undisturbed, point: int, death: Death) -> str:
    """The statement that finds its connection dead."""
    return normal.statements[point - 1 if death is Death.UNDER_WAY else point]


async def nothing_is_done(
    ground: Ground, sending: Sending, normal: Undisturbed, point: int, death: Death, before: Image
) -> None:
    """A call whose connection dies before COMMIT is sent leaves every table as it was, and its caller is told so.

    That COMMIT found the connection dead does not tell a caller that it did not arrive.
    """
    sent = await cut_off(ground, sending, point, death)
    assert await ground.image() == before, f"{death} at {normal.statements[point - 1]}"
    last = noticing(normal, point, death)
    if "SAVEPOINT" not in last:
        assert connection_lost(sent) == ("UNKNOWN" if last == "COMMIT" else "NONE"), f"{death} at {last}"


async def is_done_once(ground: Ground, sending: Sending, normal: Undisturbed) -> None:
    """Sent again until it is applied, and once more: one effect, as if nothing had gone wrong, and one answer."""
    applied = await ground.send_it(sending)
    again = await ground.send_it(sending)
    assert (applied.outcome, again.outcome, again.replayed) == ("DONE", "DONE", True), (applied, again)
    assert again.payload == {**applied.payload, "replayed": True}
    assert await ground.entries_made(sending) == sending.entered
    assert await ground.left(sending) == normal.left


@pytest.mark.parametrize("case", CASES)
async def test_what_dies_before_its_commit_has_done_nothing_and_with_it_everything_or_nothing(
    ground: Ground, case: str
) -> None:
    normal = await undisturbed(ground, case)
    commit = len(normal.statements)
    sending = await CASES[case](ground, ITEMS)
    before = await ground.image()
    for point in range(1, commit):
        await nothing_is_done(ground, sending, normal, point, list(Death)[point % len(Death)], before)
    sent = await cut_off(ground, sending, commit, Death.UNDER_WAY)
    assert connection_lost(sent) == "UNKNOWN"
    assert await ground.is_kept(sending) == (await ground.image() != before)
    await is_done_once(ground, sending, normal)


def test_every_mutation_of_the_schema_is_walked_through() -> None:
    assert set(EVERY) == set(MUTATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("death", Death)
@pytest.mark.parametrize("case", EVERY)
async def test_each_death_at_each_statement_before_the_commit_leaves_nothing(
    ground: Ground, case: str, death: Death
) -> None:
    normal = await undisturbed(ground, case)
    sending = await EVERY[case](ground, ITEMS)
    before = await ground.image()
    for point in range(1, len(normal.statements)):
        await nothing_is_done(ground, sending, normal, point, death, before)


@pytest.mark.parametrize("death", [Death.ANSWERED, Death.BY_POSTGRES])
@pytest.mark.parametrize("case", ["addDevice", "bulkUpdateStatus"])
async def test_a_connection_that_dies_after_its_commit_was_answered_takes_nothing_away(
    ground: Ground, case: str, death: Death
) -> None:
    normal = await undisturbed(ground, case)
    sending = await CASES[case](ground, ITEMS)
    sent = await cut_off(ground, sending, len(normal.statements), death)
    assert (sent.outcome, sent.replayed, await ground.is_kept(sending)) == ("DONE", False, True)
    await is_done_once(ground, sending, normal)


@pytest.mark.parametrize("death", Death)
async def test_a_connection_that_is_lost_at_a_savepoint_is_told_like_any_other(ground: Ground, death: Death) -> None:
    normal = await undisturbed(ground, "submitOnboarding")
    sending = await CASES["submitOnboarding"](ground, ITEMS)
    points = [point for point in range(1, len(normal.statements)) if "SAVEPOINT" in noticing(normal, point, death)]
    assert len(points) == 2
    for point in points:
        assert connection_lost(await cut_off(ground, sending, point, death)) == "NONE"


@pytest.mark.slow
@pytest.mark.parametrize("death", Death)
@pytest.mark.parametrize("case", EVERY)
async def test_the_same_key_again_has_one_effect_wherever_the_call_died(
    ground: Ground, case: str, death: Death
) -> None:
    normal = await undisturbed(ground, case)
    for point in range(1, len(normal.statements) + 1):
        sending = await EVERY[case](ground, ITEMS)
        await cut_off(ground, sending, point, death)
        assert await ground.is_kept(sending) == bool(await ground.entries_made(sending))
        await is_done_once(ground, sending, normal)
