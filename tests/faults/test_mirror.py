"""The example that mirrors locations misses no change, however the writes of eight writers overlap.

A client's engineer copies docs/examples/mirror.py, so it runs here as it is, against a server in a process of its own.
"""

import asyncio
import json
import runpy
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus
from tests.lanes import scaled
from tests.operations.scenario import Rollout, a_key, as_definer

from .ground import Ground
from .servers import stem_of

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
MIRROR = Path(__file__).parents[2] / "docs" / "examples" / "mirror.py"
DEADLINE_SECONDS = 3.0
"""The time limit of a request of the server under test."""
OPEN_SECONDS = 2.7
"""How long the transactions of one writer stay open: nearly as long as the limit allows."""
LOCK_SECONDS = 1.0
"""How long the server's own transactions wait for a lock: less than it waits at most."""
OVERLAP_SECONDS = DEADLINE_SECONDS + 1.0
WRITING_SECONDS = 20.0
_STATED = "SELECT id, revision FROM turnup.location WHERE account_id = $1"
_WAITED_FOR = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))"


@dataclass
class Mirror:
    """The example, with the file of its copy."""

    module: dict[str, Any]
    file: Path
    polls: int = 0

    async def poll(self) -> None:
        await asyncio.to_thread(self.module["poll"])
        self.polls += 1

    async def follow(self, ends: asyncio.Event) -> None:
        """Poll until the end, and once more after it."""
        while not ends.is_set():
            await self.poll()
            await asyncio.sleep(0.1)
        await self.poll()

    def content(self) -> dict[str, Any]:
        with sqlite3.connect(self.file) as copy:
            rows = copy.execute("SELECT id, content FROM location").fetchall()
        return {id_: json.loads(content) for id_, content in rows}


class Writers:
    """Eight writers, each with a location of its own, which write until an end."""

    def __init__(self, ground: Ground, until: float) -> None:
        self.ground = ground
        self.until = until
        self.writes = 0

    async def every(self) -> None:
        """Prepare the locations, one after another, and let all writers write together."""
        make = self.ground.a_location
        edited = [await make(S.IN_PROGRESS) for _ in range(2)]
        submitted, reviewed = await make(S.IN_PROGRESS), await make(S.IN_PROGRESS)
        handed_off = [await make(S.APPROVED, payload=False) for _ in range(2)]
        held = await make(S.IN_PROGRESS)
        released = [await make(S.PROVISIONING) for _ in range(int(WRITING_SECONDS / LOCK_SECONDS))]
        await asyncio.gather(
            *(self._repeat(self._edit, each) for each in edited),
            self._repeat(self._submit_and_withdraw, submitted),
            self._repeat(self._submit_and_send_back, reviewed),
            *(self._repeat(self._hand_off_and_reopen, each) for each in handed_off),
            self._hold_open(held),
            self._wait_for_locks(released),
        )

    async def _repeat(self, write: Callable[[Rollout], Awaitable[None]], location: Rollout) -> None:
        while time.monotonic() < self.until:
            await write(location)

    async def _done(self, who: str, mutation: str, **given: Any) -> None:
        """Write, and again if the server waited too long for a lock."""
        sent = await self.ground.send(who, mutation, **given)
        while sent.outcome == "OVERLOADED":
            await asyncio.sleep(0.1)
            sent = await self.ground.send(who, mutation, **given)
        assert sent.outcome == "DONE", sent
        self.writes += 1

    async def _asked(self, who: str, query: str) -> Any:
        return (await self.ground.client.ask(query, who)).data

    async def _edit(self, location: Rollout) -> None:
        found = await self._asked(self.ground.lead, f'{{ location(id: "{location.id}") {{ devices {{ revision }} }} }}')
        revision = found["location"]["devices"][0]["revision"]
        given = {"deviceId": location.device, "expectedRevision": revision, "label": f"Desk {revision}"}
        await self._done(self.ground.customer, "editDevice", **given)

    async def _submit_and_withdraw(self, location: Rollout) -> None:
        await self._done(self.ground.customer, "submitOnboarding", locationId=location.id)
        await self._done(self.ground.customer, "withdrawSubmission", locationId=location.id)

    async def _submit_and_send_back(self, location: Rollout) -> None:
        await self._done(self.ground.customer, "submitOnboarding", locationId=location.id)
        await self._done(self.ground.lead, "requestChanges", locationId=location.id, comment="Which floor?")

    async def _hand_off_and_reopen(self, location: Rollout) -> None:
        ground, place = self.ground, {"locationId": location.id}
        await self._done(ground.lead, "generatePayload", **place, idempotencyKey=a_key())
        await self._done(ground.lead, "triggerProvisioning", **place, idempotencyKey=a_key())
        query = f'provisioningPayloads(filter: {{locationId: "{location.id}", awaitingReceipt: true}})'
        found = await self._asked(ground.partner, f"{{ {query} {{ nodes {{ id documentDigest }} }} }}")
        (payload,) = found["provisioningPayloads"]["nodes"]
        answer = {"payloadId": payload["id"], "documentDigest": payload["documentDigest"]}
        await self._done(ground.partner, "acknowledgePayload", **answer, idempotencyKey=a_key())
        await self._done(ground.lead, "reopen", **place, reason="They move to the second floor")
        await self._edit(location)
        await self._done(ground.customer, "submitOnboarding", **place)
        review = await self._asked(ground.lead_2, f'{{ review(locationId: "{location.id}") {{ digest }} }}')
        await self._done(ground.lead_2, "approve", **place, expectedDigest=review["review"]["digest"])

    async def _hold_open(self, location: Rollout) -> None:
        """Write in transactions that commit long after the time of the change."""
        holder = await as_definer(self.ground.client.database.owner_url)
        while time.monotonic() < self.until:
            began, transaction = time.monotonic(), holder.transaction()
            await transaction.start()
            await holder.execute("SELECT set_config('turnup.system_action', 'ARRANGE', true)")
            await holder.execute(
                "UPDATE turnup.location SET revision = revision + 1, updated_at = clock_timestamp() WHERE id = $1",
                location.id,
            )
            await asyncio.sleep(OPEN_SECONDS)
            await holder.execute("SELECT turnup.audit_seal()")
            if time.monotonic() - began > DEADLINE_SECONDS:  # the server too ends what takes longer
                await transaction.rollback()
                continue
            await transaction.commit()
            self.writes += 1
        await holder.close()

    async def _wait_for_locks(self, locations: list[Rollout]) -> None:
        """Let the server's own transactions wait for a lock after they have read the time."""
        holder = await as_definer(self.ground.client.database.owner_url)
        for location in locations:
            async with holder.transaction():
                await holder.execute(
                    "SELECT FROM turnup.provisioning_payload WHERE id = $1 FOR UPDATE", location.payload
                )
                given = {"locationId": location.id, "reason": "They move to the second floor"}
                reopening = asyncio.create_task(self._done(self.ground.lead, "cancel", **given))
                while not await holder.fetchval(_WAITED_FOR):
                    assert not reopening.done()
                    await asyncio.sleep(0.01)
                await asyncio.sleep(LOCK_SECONDS)
            await reopening
            if time.monotonic() > self.until:
                break
        await holder.close()


def a_mirror(ground: Ground, file: Path, *, overlap: float) -> Mirror:
    """The example for a lead with access to the account of the writers."""
    token = file.with_suffix(".token")
    token.write_text(ground.client.token(ground.scoped_lead))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TURNUP_URL", f"{ground.client.http.base_url}/graphql")
        patched.setenv("TURNUP_TOKEN_COMMAND", f"cat '{token}'")
        patched.setenv("MIRROR_FILE", str(file))
        patched.setenv("MIRROR_OVERLAP_SECONDS", str(overlap))
        return Mirror(runpy.run_path(str(MIRROR)), file)


@asynccontextmanager
async def a_server(ground: Ground, tmp_path: Path) -> AsyncIterator[Ground]:
    """A server with a short time limit, for accounts and people of its own."""
    made = Ground(ground.client, ground.connection)
    await made.open()
    home = tmp_path / "home"
    home.mkdir()
    with stem_of(home, TURNUP_LIMIT_DEADLINE_SECONDS=str(DEADLINE_SECONDS)) as servers:
        async with servers.serving(made):
            yield made


async def truth(ground: Ground, folder: Path) -> dict[str, Any]:
    """What a mirror has that reads everything, once nothing is written any more."""
    everything = a_mirror(ground, folder / "everything.db", overlap=0)
    await everything.poll()
    found = everything.content()
    stored = {row["id"]: row["revision"] for row in await ground.connection.fetch(_STATED, ground.account)}
    assert {id_: content["revision"] for id_, content in found.items()} == stored
    return found


@pytest.mark.slow
async def test_a_mirror_that_overlaps_by_the_longest_transaction_misses_no_change_of_eight_writers(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with a_server(ground, tmp_path) as here:
        mirror = a_mirror(here, tmp_path / "mirror.db", overlap=OVERLAP_SECONDS)
        hasty = a_mirror(here, tmp_path / "hasty.db", overlap=0)
        writers = Writers(here, time.monotonic() + scaled(1) * WRITING_SECONDS)
        ends = asyncio.Event()
        following = asyncio.gather(mirror.follow(ends), hasty.follow(ends))
        try:
            await writers.every()
        finally:
            ends.set()
            await following
        stored = await truth(here, tmp_path)
    assert mirror.content() == stored
    missed = [id_ for id_, content in hasty.content().items() if content != stored[id_]]
    assert missed, "without the overlap nothing was missed, so this run proves nothing"
    figures = f"{writers.writes:,} writes to {len(stored)} locations, {mirror.polls:,} polls, none missed"
    record_property("tried", f"{figures}; {len(missed)} locations stale without the overlap")


async def test_a_mirror_finds_a_change_that_becomes_visible_after_a_later_one(ground: Ground, tmp_path: Path) -> None:
    async with a_server(ground, tmp_path) as here:
        early, later = await here.a_location(S.PROVISIONING), await here.a_location(S.IN_PROGRESS)
        mirror = a_mirror(here, tmp_path / "mirror.db", overlap=OVERLAP_SECONDS)
        await mirror.poll()
        holder = await as_definer(here.client.database.owner_url)
        async with holder.transaction():
            await holder.execute("SELECT FROM turnup.provisioning_payload WHERE id = $1 FOR UPDATE", early.payload)
            given = {"locationId": early.id, "reason": "They move to the second floor"}
            cancelling = asyncio.create_task(here.send(here.lead, "cancel", **given))
            while not await holder.fetchval(_WAITED_FOR):
                assert not cancelling.done(), await cancelling
                await asyncio.sleep(0.01)
            assert (await here.send(here.customer, "submitOnboarding", locationId=later.id)).outcome == "DONE"
            await mirror.poll()
        assert (await cancelling).outcome == "DONE"
        await holder.close()
        seen = mirror.content()
        assert (seen[early.id]["status"], seen[later.id]["status"]) == ("PROVISIONING", "PENDING_APPROVAL")
        await mirror.poll()
        stored = await truth(here, tmp_path)
    assert stored[early.id]["updatedAt"] < seen[later.id]["updatedAt"]
    assert mirror.content() == stored
