"""The example poller of the docs is killed at many moments: each payload is received once, and every change noticed.

A partner's engineer copies docs/examples/poller.py, so it runs here as it is, against a server in a process of its own.
"""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus
from tests.cli.turnup import environment
from tests.operations.scenario import a_key, as_definer

from .ground import Ground
from .servers import stem_of

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
SHOWN = """{ provisioningPayloads(first: 100) {
  nodes { id state live supersededBy { id } statusChange { action reason } receipts { answer } updatedAt } } }"""
ACKNOWLEDGED = """
SELECT p.id, (SELECT count(*) FROM turnup.receipt r WHERE r.payload_id = p.id) AS receipts,
       (SELECT count(*) FROM turnup.audit_entry e JOIN turnup.field_change c ON c.entry_id = e.id
        WHERE c.table_name = 'receipt' AND c.field = 'payload_id' AND c.after = to_jsonb(p.id)) AS recorded
FROM turnup.provisioning_payload p WHERE p.id = ANY ($1)
"""

# Whether another connection waits for this one.
_WAITED_FOR = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))"


@dataclass
class Poller:
    """The example poller with its folder. `documents` has the time of each document that it put into operation."""

    folder: Path
    stem: "subprocess.Popen[str]"
    kills: int = 0
    documents: dict[str, int] = field(default_factory=dict)

    def runs(self, step: int = 0) -> bool:
        """Run it until it is killed at a step, or to its end. Returns whether it reached its end."""
        assert self.stem.stdin is not None
        assert self.stem.stdout is not None
        self.stem.stdin.write(f"{step}\n")
        self.stem.stdin.flush()
        done = self.stem.stdout.readline() == "done\n"
        self.kills += not done
        for file in self.folder.glob("*.document.json"):
            seen = self.documents.setdefault(file.name.partition(".")[0], file.stat().st_mtime_ns)
            assert seen == file.stat().st_mtime_ns, "a document is put into operation once"
        return done

    def status(self, payload: str) -> Any:
        return json.loads((self.folder / f"{payload}.status.json").read_text())


@contextmanager
def a_poller(folder: Path, url: str, token: str) -> Iterator[Poller]:
    """The example poller of a partner whose token is in a file."""
    folder.mkdir()
    (folder / "token").write_text(token)
    variables = {"TURNUP_URL": url, "TURNUP_TOKEN_COMMAND": f"cat '{folder / 'token'}'", "POLLER_FOLDER": str(folder)}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("poller_stem.py"))],
        env=environment(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as stem:
        yield Poller(folder, stem)


@pytest.fixture
async def fresh_ground(ground: Ground) -> Ground:
    """The ground with accounts and people of its own, so that the partner has no payloads of other tests."""
    made = Ground(ground.client, ground.connection)
    await made.open()
    return made


@asynccontextmanager
async def polling(ground: Ground, tmp_path: Path) -> AsyncIterator[Poller]:
    """The poller of the ground's partner, and the ground's people, with one server."""
    home = tmp_path / "home"
    home.mkdir()
    with stem_of(home) as servers:
        async with servers.serving(ground):
            url, token = f"{ground.client.http.base_url}/graphql", ground.client.token(ground.partner)
            with a_poller(tmp_path / "folder", url, token) as poller:
                yield poller


async def checked(ground: Ground, poller: Poller) -> None:
    """Check that the poller has what the server shows to the partner."""
    answer = await ground.client.ask(SHOWN, ground.partner)
    for node in answer.data["provisioningPayloads"]["nodes"]:
        status = poller.status(node["id"])
        assert {name: status[name] for name in node} == node
        if node["receipts"]:
            assert node["id"] in poller.documents
    rows = await ground.connection.fetch(ACKNOWLEDGED, list(poller.documents))
    assert {row["id"] for row in rows} == set(poller.documents)
    assert all(row["receipts"] <= 1 and row["recorded"] == row["receipts"] for row in rows)


async def done(ground: Ground, who: str, mutation: str, **given: Any) -> None:
    sent = await ground.send(who, mutation, **given)
    assert sent.outcome == "DONE", sent


async def releases(ground: Ground, _poller: Poller) -> None:
    """Payloads are released: more than the poller receives between two kills."""
    for _ in range(3):
        await ground.a_location(S.PROVISIONING)


async def withdraws(ground: Ground, _poller: Poller) -> None:
    """A payload is withdrawn before the poller sees it."""
    location = await ground.a_location(S.PROVISIONING)
    await done(ground, ground.lead, "cancel", locationId=location.id, reason="The lease fell through")


async def reopens(ground: Ground, poller: Poller) -> None:
    """A location that the partner runs is reopened."""
    location = await ground.a_location(S.PROVISIONING)
    assert poller.runs()
    assert location.payload in poller.documents
    await done(ground, ground.lead, "reopen", locationId=location.id, reason="They move to the second floor")


async def supersedes(ground: Ground, _poller: Poller) -> None:
    """The content of a released payload changes under an override, and another payload is released."""
    location = await ground.a_location(S.PROVISIONING, override_of=ground.lead)
    await done(
        ground, ground.lead, "editDevice", deviceId=location.device, expectedRevision=1, label="The second floor"
    )
    digest = await ground.digest_of_rows(location.id)
    await done(ground, ground.lead_2, "approve", locationId=location.id, expectedDigest=digest)
    for mutation in ("generatePayload", "triggerProvisioning"):
        await done(ground, ground.lead, mutation, locationId=location.id, idempotencyKey=a_key())


async def commits_late(ground: Ground, poller: Poller) -> None:
    """A change becomes visible after the poller has seen a later one: only the overlap finds it."""
    early = await ground.a_location(S.PROVISIONING)
    assert poller.runs()
    holder = await as_definer(ground.client.database.owner_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM turnup.provisioning_payload WHERE id = $1 FOR UPDATE", early.payload)
        reason = {"locationId": early.id, "reason": "They move to the second floor"}
        reopening = asyncio.create_task(done(ground, ground.lead, "reopen", **reason))
        while not await holder.fetchval(_WAITED_FOR):
            assert not reopening.done()
            await asyncio.sleep(0.01)
        later = await ground.a_location(S.PROVISIONING)
        assert poller.runs()
    await reopening
    await holder.close()
    changed = "SELECT updated_at FROM turnup.provisioning_payload WHERE id = $1"
    seen = datetime.fromisoformat(poller.status(str(later.payload))["updatedAt"])
    assert await ground.connection.fetchval(changed, early.payload) < seen


async def withdraws_what_was_received(ground: Ground, poller: Poller) -> None:
    """A payload is withdrawn after the poller put it into operation and before it acknowledged it."""
    location = await ground.a_location(S.PROVISIONING)
    for step in count(1):
        assert not poller.runs(step)
        if location.payload in poller.documents:
            break
    await done(ground, ground.lead, "cancel", locationId=location.id, reason="The lease fell through")
    assert poller.runs()
    assert location.payload is not None
    assert poller.status(location.payload)["state"] == "WITHDRAWN"
    assert poller.status(location.payload)["receipts"] == []


EVENTS = (releases, withdraws, reopens, supersedes, commits_late)


async def storm(ground: Ground, poller: Poller, *, share: float) -> None:
    """Let each event happen, and kill the poller before this share of its lines, until it has run to its end."""
    for event in EVENTS:
        await event(ground, poller)
        step = 1
        while not poller.runs(step):
            while random.random() >= share:
                step += 1
            step += 1
        await checked(ground, poller)
    await withdraws_what_was_received(ground, poller)
    await checked(ground, poller)
    await ground.check_invariants()


async def test_a_poller_that_is_killed_receives_each_payload_once_and_notices_every_change(
    fresh_ground: Ground, tmp_path: Path
) -> None:
    async with polling(fresh_ground, tmp_path) as poller:
        await storm(fresh_ground, poller, share=0.15)
        assert poller.kills >= 50


@pytest.mark.slow
async def test_a_poller_that_is_killed_before_half_of_its_lines_receives_each_payload_once(
    fresh_ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with polling(fresh_ground, tmp_path) as poller:
        await storm(fresh_ground, poller, share=0.5)
        assert poller.kills >= 200
        record_property("tried", f"{poller.kills:,} kills, {len(poller.documents)} payloads put into operation")
