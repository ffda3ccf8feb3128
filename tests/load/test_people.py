"""The visits of the load test behave as clients should, and send as many requests as the model of the day counts."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from statistics import mean
from typing import Any

import orjson
import pytest

from bench.load import day, documents
from bench.load.client import NO_ANSWER, Reply
from bench.load.day import PEOPLE, Arrival, Visit
from bench.load.people import (
    APPROVAL,
    DEVICE,
    RECEIPT,
    Account,
    Became,
    Form,
    LeftError,
    Load,
    Place,
    User,
    Visitor,
    World,
    bulk,
    change,
)

OTHERS = [{"id": f"location-{number}", "contentDigest": "digest"} for number in range(50)]
PAYLOAD = {"id": "payload-1", "document": {}, "updatedAt": "2027-03-01T08:30:00.000000Z"}


@dataclass
class FakeNetwork:
    """Answers like a server with one location, whose revisions are kept and whose submissions are not."""

    revisions: Counter[str] = field(default_factory=lambda: Counter({"phone-1": 1, "person-1": 1, "LOCATION": 1}))
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    instead: dict[str, list[Reply]] = field(default_factory=dict)
    """Other answers to the next requests, by root field."""
    payloads: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, kind: str, root: str, request: bytes, _at: float) -> Reply:
        body = orjson.loads(request.partition(b"\r\n\r\n")[2])
        given = body["variables"].get("input", body["variables"])
        self.sent.append((kind, given))
        await asyncio.sleep(0)
        if self.instead.get(root):
            return self.instead[root].pop(0)
        if root in {"editDevice", "editPerson", "updateLocation"}:
            return self.edited(given)
        return Reply(self.data(root, given))

    def edited(self, given: dict[str, Any]) -> Reply:
        key = given.get("deviceId") or given.get("personId") or "LOCATION"
        if given["expectedRevision"] != self.revisions[key]:
            return Reply({"problems": [{"code": "CONFLICT"}]})
        self.revisions[key] += 1
        row = {"id": key, "revision": self.revisions[key]}
        return Reply({"device": row, "person": row, "location": self.location(), "problems": []})

    def location(self) -> dict[str, Any]:
        return {
            "devices": [{"id": "phone-1", "revision": self.revisions["phone-1"]}],
            "people": [{"id": "person-1", "revision": self.revisions["person-1"]}],
            "sections": [{"section": "LOCATION", "revision": self.revisions["LOCATION"]}],
        }

    def data(self, root: str, given: dict[str, Any]) -> Any:
        page = {"hasNextPage": True, "endCursor": "cursor"}
        ids = given.get("locationIds") or [each["locationId"] for each in given.get("items", ())]
        results = [{"locationId": each, "outcome": "APPLIED"} for each in ids]
        return {
            "location": self.location(),
            "review": {"digest": "digest"},
            "locations": {"nodes": [{**each, "account": {"id": "account-1"}} for each in OTHERS], "pageInfo": page},
            "provisioningPayloads": {"nodes": self.payloads, "pageInfo": {"hasNextPage": False, "endCursor": None}},
        }.get(root, {"problems": [], **({"results": results} if results else {})})


@pytest.fixture
def network() -> FakeNetwork:
    return FakeNetwork()


@pytest.fixture
def load(network: FakeNetwork) -> Load:
    users = [User(f"user-{number}", {}) for number in range(3)]
    account = Account("account-1", users)
    places = [Place(each["id"], account) for each in OTHERS]
    world = World(
        leads=users,
        partners=users[:1],
        customers=users,
        finished=["account-2"],
        edited=places,
        handed_off=places * 10,
        waves=[places[: day.WAVE_SIZE]] * 500,
    )
    return Load(world, network, Random(1))  # type: ignore[arg-type] # - a stub of the network


def the_visitor(load: Load) -> Visitor:
    return Visitor(load, load.world.customers[0], 0.0)


def form_of(network: FakeNetwork) -> Form:
    form = Form("location-1")
    form.show(network.location())
    return form


@pytest.mark.parametrize("visit", PEOPLE)
async def test_a_visit_sends_as_many_requests_as_the_model_says(load: Load, network: FakeNetwork, visit: Visit) -> None:
    counts = []
    for number in range(400):
        before = len(network.sent)
        await load.visit(Arrival(0.0, visit, number), 0.0)
        counts.append(len(network.sent) - before)
    assert load.left == Counter()
    assert mean(counts) == pytest.approx(PEOPLE[visit].requests, rel=0.1)


async def test_a_poll_without_news_is_two_requests(load: Load, network: FakeNetwork) -> None:
    await load.visit(Arrival(0.0, Visit.POLL, 0), 0.0)
    assert [kind for kind, _ in network.sent] == [documents.AWAITING.kind, documents.CHANGES.kind]


async def test_after_a_conflict_the_edit_is_repeated_with_the_revision_that_was_read_again(
    load: Load, network: FakeNetwork
) -> None:
    form = form_of(network)
    network.revisions["phone-1"] = 5  # somebody else has edited
    await change(the_visitor(load), form, (DEVICE, "phone-1"))
    expected = [given["expectedRevision"] for kind, given in network.sent if kind == documents.EDIT]
    assert expected == [1, 5]
    assert load.book.acknowledged == {(DEVICE, "phone-1"): 1}


async def test_a_stale_edit_has_the_revision_before_the_one_that_was_read(load: Load, network: FakeNetwork) -> None:
    network.revisions["phone-1"] = 3
    await change(the_visitor(load), form_of(network), (DEVICE, "phone-1"), stale=True)
    expected = [given["expectedRevision"] for kind, given in network.sent if kind == documents.EDIT]
    assert expected == [2, 3]
    assert load.stale == {Became.REFUSED: 1}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Reply(None, "OVERLOADED"), Became.UNKNOWN),
        (Reply(None, NO_ANSWER, may_be_written=True), Became.UNKNOWN),
        (Reply({"device": {"id": "phone-1", "revision": 4}, "problems": []}), Became.APPLIED),
    ],
    ids=["overloaded", "no answer", "applied"],
)
async def test_what_became_of_a_stale_edit_is_its_answer(
    load: Load, network: FakeNetwork, answer: Reply, expected: Became
) -> None:
    network.revisions["phone-1"] = 3
    network.instead["editDevice"] = [answer]
    with suppress(LeftError):
        await change(the_visitor(load), form_of(network), (DEVICE, "phone-1"), stale=True)
    assert load.stale == {expected: 1}


async def test_two_customers_on_one_location_conflict(load: Load, network: FakeNetwork) -> None:
    await load.visit(Arrival(0.0, Visit.CONTEST, 0), 0.0)
    assert sum(kind == documents.EDIT for kind, _ in network.sent) == 6  # four edits, of which two are repeated
    assert load.book.acknowledged == {(DEVICE, "phone-1"): 4}


async def test_only_the_applied_items_of_a_bulk_mutation_count(load: Load, network: FakeNetwork) -> None:
    results = [
        {"locationId": "location-1", "outcome": "APPLIED", "problem": None},
        {"locationId": "location-2", "outcome": "REFUSED", "problem": {"code": "NOT_READY"}},
    ]
    answer = Reply({"results": results, "problems": []})
    network.instead["bulkApprove"] = [answer, answer]
    await bulk(the_visitor(load), documents.BULK_APPROVE, {"items": []}, APPROVAL, ["location-1", "location-2"])
    assert [given.get("dryRun", False) for _, given in network.sent] == [True, False]
    assert load.book.acknowledged == {(APPROVAL, "location-1"): 1}
    assert load.refused_items == {"NOT_READY": 1}
    assert load.book.findings({(APPROVAL, "location-1"): 1}, {"load-1": 1}, {}) == []
    assert load.book.findings({(APPROVAL, "location-1"): 1}, {"load-0": 1, "load-1": 1}, {}) != [], "the dry run wrote"


async def test_a_visit_ends_when_a_request_that_it_needs_fails(load: Load, network: FakeNetwork) -> None:
    network.instead["submitOnboarding"] = [Reply(None, "OVERLOADED")]
    await load.visit(Arrival(0.0, Visit.HAND_OFF, 0), 0.0)
    assert [kind for kind, _ in network.sent] == [documents.READINESS.kind, documents.SUBMIT.kind]
    assert load.left == {Visit.HAND_OFF: 1}


async def test_a_visit_goes_on_when_a_request_fails_that_it_only_shows(load: Load, network: FakeNetwork) -> None:
    network.instead["statusCounts"] = [Reply(None, "OVERLOADED")]
    await load.visit(Arrival(0.0, Visit.BROWSE, 0), 0.0)
    assert len(network.sent) == PEOPLE[Visit.BROWSE].requests
    assert load.left == Counter()


async def test_a_partner_acknowledges_each_payload_once_and_again_only_without_an_answer(
    load: Load, network: FakeNetwork
) -> None:
    network.payloads = [PAYLOAD]
    network.instead["acknowledgePayload"] = [Reply(None, NO_ANSWER, may_be_written=True)]
    for number in range(3):
        await load.visit(Arrival(0.0, Visit.POLL, number), 0.0)
    keys = [given["idempotencyKey"] for kind, given in network.sent if kind == documents.ACKNOWLEDGE.kind]
    assert keys == ["acknowledgePayload-payload-1"] * 2
    assert load.book.acknowledged == {(RECEIPT, "payload-1"): 1}
    assert load.book.findings({(RECEIPT, "payload-1"): 1}, {keys[0]: 1}, {}) == []


async def test_a_partner_asks_for_changes_from_before_the_last_one(load: Load, network: FakeNetwork) -> None:
    network.payloads = [PAYLOAD]
    await load.visit(Arrival(0.0, Visit.POLL, 0), 0.0)
    await load.visit(Arrival(0.0, Visit.POLL, 1), 0.0)
    since = [given["filter"]["updatedSince"] for kind, given in network.sent if kind == documents.CHANGES.kind]
    assert since[0] is None
    assert since[1] < PAYLOAD["updatedAt"]


async def test_an_edit_that_never_stops_conflicting_ends_the_visit(load: Load, network: FakeNetwork) -> None:
    network.instead["editDevice"] = [Reply({"problems": [{"code": "CONFLICT"}]})] * 10
    with pytest.raises(LeftError):
        await change(the_visitor(load), form_of(network), (DEVICE, "phone-1"))
    assert load.book.acknowledged.total() == 0
