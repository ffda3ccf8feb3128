"""Claims under concurrency: in every order, no phone is in operation at two locations."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus
from tests.lanes import scaled

from .hand_off import Account, Payload, an_account_with
from .scenario import Rollout, Scenario, Sent, a_key, a_mac

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
ROUNDS = [20, pytest.param(scaled(200), marks=pytest.mark.slow)]


@pytest.fixture(scope="package")
async def here(scenario: Scenario) -> Account:
    """An account with two partners."""
    return await an_account_with(scenario, 2)


@pytest.fixture(scope="package")
async def there(scenario: Scenario) -> Account:
    """Another account."""
    return await an_account_with(scenario, 1)


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_decommissioning_raced_against_a_submission_of_the_address_elsewhere(
    here: Account, there: Account, rounds: int
) -> None:
    outcomes: Counter[str] = Counter()
    location, payload = await here.running()
    await here.back("reopen", location)
    for _ in range(rounds):
        rival = await there.rival(location.mac)
        confirmed, submitted = await asyncio.gather(here.decommission(here.partners[0], payload), there.submit(rival))
        assert confirmed.outcome == "DONE"
        assert submitted.outcome in {"DONE", "NOT_READY", "MAC_IN_USE"}
        assert await there.claims(rival) == ({location.mac} if submitted.outcome == "DONE" else set())
        assert await here.claims(location) == set()
        outcomes[submitted.outcome] += 1
        location, payload = await here.running()
        await here.back("reopen", location)
    assert outcomes.total() == rounds


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_receipt_raced_against_a_decommissioning_leaves_the_phone_at_one_place(
    here: Account, rounds: int
) -> None:
    """A lead took the partner to run; the partner answers while the lead confirms that nothing runs any more."""
    first, second = here.partners
    outcomes: Counter[str] = Counter()
    for _ in range(rounds):
        location = await here.a_location()
        await here.set_partners(location, {first: True, second: True})
        payload = await here.released(location)
        assert (await here.waive(first, payload)).outcome == "DONE"
        received, confirmed = await asyncio.gather(
            here.acknowledge(first, payload),
            here.decommission(here.scenario.lead, payload, onBehalfOf={"userId": first}),
        )
        assert confirmed.outcome == "DONE"
        assert received.outcome in {"DONE", "PAYLOAD_NOT_LIVE"}
        outcomes[received.outcome] += 1
        await here.back("cancel", location)
        assert await here.claims(location) == set()
    assert outcomes.total() == rounds


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_of_two_locations_whose_receipts_are_raced_for_one_phone_one_runs_it(
    here: Account, there: Account, rounds: int
) -> None:
    """Late receipts of payloads whose address both locations gave up: neither holds it, and one gets it."""
    winners: Counter[int] = Counter()
    for _ in range(rounds):
        mac = a_mac()
        pairs = [await given_up(here, mac), await given_up(here, mac)]
        sent = await asyncio.gather(*(here.acknowledge(here.partners[1], payload) for _, payload in pairs))
        assert sorted(each.outcome for each in sent) == ["DONE", "MAC_IN_USE"]
        holding = [mac in await here.claims(location) for location, _ in pairs]
        assert holding == [each.outcome == "DONE" for each in sent]
        winners[holding.index(True)] += 1
    assert winners.total() == rounds


async def given_up(account: Account, mac: str) -> tuple[Rollout, Payload]:
    """A completed location that no longer holds the address in its payload, which an optional partner can answer."""
    first, second = account.partners
    location = await account.a_location(macs=[mac])
    await account.set_partners(location, {first: True, second: False})
    payload = await account.released(location)
    assert (await account.acknowledge(first, payload)).outcome == "DONE"
    assert (await account.decommission(first, payload)).outcome == "DONE"
    await account.override(location)
    assert (await account.edit(location, a_mac())).outcome == "DONE"
    assert mac not in await account.claims(location)
    return location, payload


class Walk:
    """Two locations of two accounts that share two phones, and everything that people may do to them, at random.

    A call may be refused. After each one, no phone is in operation at two locations.
    """

    def __init__(self, seeded: random.Random, accounts: tuple[Account, Account], macs: list[str]) -> None:
        self.seeded = seeded
        self.accounts = accounts
        self.macs = macs
        self.locations: list[Rollout] = []
        self.payloads: list[list[Payload]] = [[], []]
        self.done: Counter[str] = Counter()

    async def start(self) -> None:
        """Make the locations; each has one of the phones in its content."""
        for account, mac in zip(self.accounts, self.macs, strict=True):
            self.locations.append(await account.a_location(S.IN_PROGRESS, macs=[mac]))

    async def step(self) -> str:
        """Do one thing to one of the locations; returns what, and the outcome."""
        place = self.seeded.randrange(2)
        (name,) = self.seeded.choices(list(STEPS), [WEIGHTS.get(each, 1) for each in STEPS])
        sent = await STEPS[name](self, place)
        if sent is None:
            return f"{name}: nothing to do"
        if sent.outcome == "DONE":
            self.done[name] += 1
        assert sent.outcome not in {"INTERNAL", "UNAVAILABLE"}, (name, sent)
        return f"{name} at {place}: {sent.outcome}"

    async def release(self, place: int) -> Sent | None:
        account, location = self.accounts[place], self.locations[place]
        select = "payload { id documentDigest }"
        sent = await account.lead("generatePayload", select, locationId=location.id, idempotencyKey=a_key())
        if sent.outcome == "DONE":
            given = {"locationId": location.id, "idempotencyKey": a_key()}
            sent = await account.lead("triggerProvisioning", select, **given)
        if sent.outcome == "DONE":
            made = Payload(sent.payload["payload"]["id"], sent.payload["payload"]["documentDigest"])
            self.payloads[place] = [each for each in self.payloads[place] if each != made] + [made]
        return sent

    async def of_payload(self, place: int, what: str) -> Sent | None:
        """Somebody answers, waives or decommissions one of the last payloads."""
        if not self.payloads[place]:
            return None
        account, payload = self.accounts[place], self.seeded.choice(self.payloads[place][-3:])
        who = self.seeded.choice(account.partners)
        if what == "decommission":
            who = self.seeded.choice([*account.partners, account.scenario.lead])
        sent: Sent = await getattr(account, what)(who, payload)
        return sent

    async def edit(self, place: int) -> Sent | None:
        return await self.accounts[place].edit(self.locations[place], self.seeded.choice([*self.macs, a_mac()]))

    async def replace(self, place: int) -> Sent | None:
        phone = {"macAddress": self.seeded.choice([*self.macs, a_mac()]), "reason": "The phone at reception broke."}
        return await self.accounts[place].lead("replaceDevice", deviceId=self.locations[place].device, **phone)

    async def set_partners(self, place: int) -> Sent | None:
        account = self.accounts[place]
        chosen = self.seeded.sample(account.partners, self.seeded.randint(0, len(account.partners)))
        return await account.set_partners(self.locations[place], {each: self.seeded.random() < 0.6 for each in chosen})


def _verb(mutation: str) -> Callable[[Walk, int], Awaitable[Sent | None]]:
    async def step(walk: Walk, place: int) -> Sent | None:
        account, location = walk.accounts[place], walk.locations[place]
        given: dict[str, Any] = {} if mutation == "unblock" else {"reason": "A change order came in."}
        if mutation == "completeProvisioning":
            given["idempotencyKey"] = a_key()
        return await account.lead(mutation, locationId=location.id, **given)

    return step


def _bulk(status: str) -> Callable[[Walk, int], Awaitable[Sent | None]]:
    async def step(walk: Walk, _place: int) -> Sent | None:
        ids = [each.id for each in walk.locations]
        given = {"locationIds": ids, "status": status, "reason": "A change order came in.", "idempotencyKey": a_key()}
        if status == "PENDING_APPROVAL":
            del given["reason"]
        return await walk.accounts[0].lead("bulkUpdateStatus", "results { outcome }", **given)

    return step


async def _hand_off(walk: Walk, place: int) -> Sent | None:
    """All that leads to a released payload, from any status, so that walks do not linger in drafts."""
    account, location = walk.accounts[place], walk.locations[place]
    status = (await account.scenario.state_of(location.id)).status
    if status == S.CANCELLED:
        await account.back("reopen", location)
    if status == S.BLOCKED:
        await account.lead("unblock", locationId=location.id)
    await account.submit(location)
    await account.approve(location)
    return await walk.release(place)


STEPS: dict[str, Callable[[Walk, int], Awaitable[Sent | None]]] = {
    "submit": lambda walk, place: walk.accounts[place].submit(walk.locations[place]),
    "approve": lambda walk, place: walk.accounts[place].approve(walk.locations[place]),
    "override": lambda walk, place: walk.accounts[place].override(walk.locations[place]),
    "edit": Walk.edit,
    "replace": Walk.replace,
    "release": Walk.release,
    "hand off": _hand_off,
    "set partners": Walk.set_partners,
    "acknowledge": lambda walk, place: walk.of_payload(place, "acknowledge"),
    "reject": lambda walk, place: walk.of_payload(place, "reject"),
    "waive": lambda walk, place: walk.of_payload(place, "waive"),
    "decommission": lambda walk, place: walk.of_payload(place, "decommission"),
    **{mutation: _verb(mutation) for mutation in ("reopen", "cancel", "block", "unblock", "completeProvisioning")},
    **{f"bulk {status}": _bulk(status) for status in ("PENDING_APPROVAL", "IN_PROGRESS", "BLOCKED", "CANCELLED")},
}
WEIGHTS = {
    "hand off": 6,
    "acknowledge": 6,
    "edit": 4,
    "override": 3,
    "decommission": 2,
    "reopen": 2,
    "replace": 2,
    "completeProvisioning": 2,
}
WALKS = [3, pytest.param(scaled(12), marks=pytest.mark.slow)]
LENGTH = 80
NEEDED = ("hand off", "acknowledge", "edit", "decommission")
"""What is done at least once, in further walks if it did not happen by chance."""


@pytest.mark.parametrize("walks", WALKS)
async def test_no_order_of_calls_brings_a_phone_into_operation_at_two_locations(
    scenario: Scenario, here: Account, there: Account, walks: int
) -> None:
    seed = random.randrange(2**32)
    done: Counter[str] = Counter()
    for number in range(5 * walks):
        if number >= walks and all(done[name] for name in NEEDED):
            break
        walk = Walk(random.Random(seed + number), (here, there), [a_mac(), a_mac()])
        await walk.start()
        trail = []
        for _ in range(LENGTH):
            trail.append(await walk.step())
            try:
                await scenario.check_invariants()
            except AssertionError as wrong:
                raise AssertionError(f"seed {seed + number}, after {trail}") from wrong
        done += walk.done
        for account, location in zip(walk.accounts, walk.locations, strict=True):
            await finished(account, location)
    assert all(done[name] for name in NEEDED), done


async def finished(account: Account, location: Rollout) -> None:
    """Decommission and cancel a location through the API, whatever became of it."""
    rows = await account.scenario.connection.fetch(
        "SELECT id FROM turnup.provisioning_payload WHERE location_id = $1 AND live", location.id
    )
    for row in rows:
        assert (await account.decommission(account.scenario.lead, Payload(row["id"], ""))).outcome == "DONE"
    await account.back("reopen", location)
    await account.back("cancel", location)
    assert await account.claims(location) == set()
