"""What people and partners do in a visit: requests at scheduled times, each a pause after the one before it.

A request that needs an answer that has not arrived yet is late. The wait counts as part of its time, which is measured
from when it was scheduled.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count
from random import Random
from typing import Any

import orjson

from bench.load import day, documents
from bench.load.book import Book, Effect
from bench.load.client import Network, Reply
from bench.load.day import Arrival, Visit
from bench.load.documents import POLLER, Operation
from bench.measuring import post

MOST_REPEATS = 3
"""How often an edit is repeated after a conflict."""

SUBMISSION, APPROVAL, SENT_BACK = "submission", "approval", "request for changes"
PAYLOAD, RELEASE, RECEIPT = "payload", "release", "receipt"
DEVICE, PERSON, ADDRESS = "edit of a device", "edit of a person", "edit of an address"


class Became(StrEnum):
    """What became of an edit that was sent with an old revision."""

    REFUSED = "refused"
    APPLIED = "applied"
    UNKNOWN = "not answered"
    """It was answered with an error, or not at all, for another reason than its revision."""


class LeftError(Exception):
    """A visit ends early, because an answer that it needs did not arrive or was refused."""


@dataclass(frozen=True, slots=True)
class User:
    """A person or a partner: the id, and the header fields that sign in."""

    id: str
    signed_in: Mapping[str, str]


@dataclass(slots=True)
class Account:
    """A customer's account, its people, and the partner that receives its payloads."""

    id: str
    customers: list[User]


@dataclass(frozen=True, slots=True)
class Place:
    """A location that is rolled out, and its account."""

    id: str
    account: Account


@dataclass(frozen=True, slots=True)
class World:
    """The users, and the locations that the visits of a schedule need."""

    leads: Sequence[User]
    partners: Sequence[User]
    customers: Sequence[User]
    finished: Sequence[str]
    """The accounts with most of the locations, which people only read."""
    edited: Sequence[Place]
    handed_off: Sequence[Place]
    waves: Sequence[Sequence[Place]]


@dataclass(slots=True)
class Load:
    """All visits of a run: whom they ask, what they wrote, and how many ended early by the kind of visit."""

    world: World
    network: Network
    random: Random
    book: Book = field(default_factory=Book)
    left: Counter[str] = field(default_factory=Counter)
    stale: Counter[Became] = field(default_factory=Counter)
    """What became of the edits that were sent with an old revision on purpose."""
    refused_items: Counter[str] = field(default_factory=Counter)
    """The items that bulk mutations refused, by code."""
    answering: set[str] = field(default_factory=set)
    """Payloads that their partner has answered or is answering."""
    bookmarks: dict[str, str] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    def new_id(self) -> str:
        """Return an id that no other request has."""
        return f"load-{next(self._numbers)}"

    async def visit(self, arrival: Arrival, began: float) -> None:
        """Do what an arrival is for; `began` is the start of the day on the event loop's clock."""
        try:
            await VISITS[arrival.visit](self, arrival.number, began + arrival.at)
        except LeftError:
            self.left[arrival.visit] += 1


@dataclass(slots=True)
class Visitor:
    """One user during a visit. `at` is the scheduled time of the next request."""

    load: Load
    user: User
    at: float

    def pause(self) -> None:
        """Schedule the next request."""
        self.at += self.load.random.uniform(0.5, 1.5) * day.PAUSE

    async def fetch(self, operation: Operation, **variables: Any) -> Any:
        """Send a query, pause, and return the answer, which later requests need. Raises LeftError if it fails."""
        reply = await self._send(operation, operation.kind, variables, self.load.new_id())
        if reply.code is not None:
            raise LeftError
        return reply.data

    async def read(self, operation: Operation, **variables: Any) -> None:
        """Send a query whose answer is only shown, and pause."""
        await self._send(operation, operation.kind, variables, self.load.new_id())

    async def write(
        self, operation: Operation, given: Mapping[str, Any], effects: Iterable[Effect], *, key: str | None = None
    ) -> Reply:
        """Send a mutation that has these effects if it is applied, note which it had, and pause.

        The idempotency key is sent as the id of the request, too, so that the audit log has it.
        """
        book, call, expected = self.load.book, key or self.load.new_id(), list(effects)
        reply = await self._send(operation, operation.kind, {"input": {**given, "idempotencyKey": call}}, call)
        if reply.may_be_written:
            book.unanswered(call, expected)
        elif reply.code or reply.problem:
            book.applied(call, ())
        else:
            book.applied(call, applied(reply.data, expected))
            self.load.refused_items.update(refused_items(reply.data))
        return reply

    async def dry_run(self, operation: Operation, given: Mapping[str, Any]) -> None:
        """Send the dry run of a bulk mutation, which must have no effect, and pause. Raises LeftError if it fails."""
        request_id = self.load.new_id()
        variables = {"input": {**given, "dryRun": True, "idempotencyKey": request_id}}
        reply = await self._send(operation, documents.DRY_RUN, variables, request_id)
        self.load.book.applied(request_id, ())
        if reply.code or reply.problem:
            raise LeftError

    async def _send(self, operation: Operation, kind: str, variables: Mapping[str, Any], request_id: str) -> Reply:
        body = orjson.dumps({"query": operation.text, "variables": variables})
        request = post(body, {**self.user.signed_in, "X-Request-Id": request_id})
        reply = await self.load.network.ask(kind, operation.root, request, self.at)
        self.pause()
        return reply


def applied(data: Mapping[str, Any], effects: Iterable[Effect]) -> list[Effect]:
    """Return the effects that a mutation without problems had: of a bulk mutation, those of the applied items."""
    results = data.get("results")
    if results is None:
        return list(effects)
    ids = {each["locationId"] for each in results if each["outcome"] == "APPLIED"}
    return [effect for effect in effects if effect[1] in ids]


def refused_items(data: Mapping[str, Any]) -> list[str]:
    """Return the codes of the items that a bulk mutation refused."""
    return [each["problem"]["code"] for each in data.get("results", ()) if each["outcome"] == "REFUSED"]


async def together(*steps: Awaitable[Any]) -> list[Any]:
    """Return the results of steps that happen at the same time, after all have ended. Raises LeftError if one did."""
    found = await asyncio.gather(*steps, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found


def done(reply: Reply) -> Any:
    """Return the data of an applied mutation. Raises LeftError otherwise."""
    if reply.code or reply.problem:
        raise LeftError
    return reply.data


async def browse(load: Load, number: int, at: float) -> None:
    """A customer opens the product, reads some pages of the list, searches, and opens locations."""
    visitor = Visitor(load, load.random.choice(load.world.customers), at)
    second = replace(visitor)  # a browser sends the requests of a page together
    _, page = await together(visitor.read(documents.HOME), second.fetch(documents.PAGE))
    nodes = list(page["nodes"])
    if page["pageInfo"]["hasNextPage"]:
        page = await visitor.fetch(documents.PAGE, after=page["pageInfo"]["endCursor"])
        nodes += page["nodes"]
    await visitor.read(documents.LOCATION, id=load.random.choice(nodes)["id"])
    await visitor.read(documents.NESTED, first=20, account=nodes[0]["account"]["id"])
    word = f"{number % 100:02}"
    await visitor.read(documents.SEARCH, filter={"name": word, "status": ["IN_PROGRESS", "PENDING_APPROVAL"]})
    for _ in range(2):
        await visitor.read(documents.LOCATION, id=load.random.choice(nodes)["id"])


async def edit(load: Load, number: int, at: float) -> None:
    """A customer opens a location, changes some values, and looks at what is missing."""
    place = load.world.edited[number % len(load.world.edited)]
    visitor = Visitor(load, load.random.choice(place.account.customers), at)
    form = Form(place.id)
    form.show(await visitor.fetch(documents.LOCATION, id=place.id))
    rows = [load.random.choice(form.of(kind)) for kind in (DEVICE, PERSON, ADDRESS)]
    for _ in range(day.EDITS_PER_VISIT):
        row = load.random.choice(rows)
        await change(visitor, form, row, stale=form.revisions[row] > 1 and load.random.random() < day.STALE)
    await visitor.read(documents.READINESS, id=place.id)


async def contest(load: Load, number: int, at: float) -> None:
    """Two customers open a location at the same time, and change the same device at the same times."""
    place = load.world.edited[number % len(load.world.edited)]
    visitors = [Visitor(load, user, at) for user in load.random.sample(place.account.customers, 2)]
    forms = [Form(place.id), Form(place.id)]
    found = await together(*(each.fetch(documents.LOCATION, id=place.id) for each in visitors))
    for form, location in zip(forms, found, strict=True):
        form.show(location)
    for _ in range(2):
        visitors[0].at = visitors[1].at = max(each.at for each in visitors)
        both = zip(visitors, forms, strict=True)
        await together(*(change(visitor, form, form.of(DEVICE)[0]) for visitor, form in both))


@dataclass(slots=True)
class Form:
    """What a client shows of a location: the revisions that it has read, by what an edit of it is called."""

    location: str
    revisions: dict[Effect, int] = field(default_factory=dict)

    def show(self, location: Mapping[str, Any]) -> None:
        """Take the revisions of a location that was read."""
        self.revisions |= {(DEVICE, each["id"]): each["revision"] for each in location["devices"]}
        self.revisions |= {(PERSON, each["id"]): each["revision"] for each in location["people"]}
        self.revisions[ADDRESS, self.location] = address_revision(location)

    def of(self, kind: str) -> list[Effect]:
        """Return the edits of a kind that are possible."""
        return sorted(row for row in self.revisions if row[0] == kind)


def address_revision(location: Mapping[str, Any]) -> int:
    """Return the revision of the section with the address."""
    return next(int(each["revision"]) for each in location["sections"] if each["section"] == "LOCATION")


async def change(visitor: Visitor, form: Form, row: Effect, *, stale: bool = False) -> None:
    """Change a row; read it again after a conflict, and repeat the change. Raises LeftError if that fails.

    With `stale` the first attempt has the revision before the one that was read.
    """
    for attempt in range(MOST_REPEATS + 1):
        expected = form.revisions[row] - (stale and attempt == 0)
        value = visitor.load.new_id()
        operation, given = edit_of(row, value)
        reply = await visitor.write(operation, {**given, "expectedRevision": expected}, [row])
        if stale and attempt == 0:
            visitor.load.stale[became(reply)] += 1
        if reply.problem != "CONFLICT":
            form.revisions[row] = revision_of(row, done(reply))
            visitor.load.book.edited(row, expected, form.revisions[row], value)
            return
        form.show(await visitor.fetch(documents.LOCATION, id=form.location))
    raise LeftError


def became(reply: Reply) -> Became:
    """Return what became of an edit, by its answer."""
    if reply.code is not None:
        return Became.UNKNOWN
    return Became.APPLIED if reply.problem is None else Became.REFUSED


def edit_of(row: Effect, value: str) -> tuple[Operation, dict[str, Any]]:
    """Return the mutation that writes a value into a row, and its input without the revision."""
    kind, key = row
    if kind == DEVICE:
        return documents.EDIT_DEVICE, {"deviceId": key, "label": value}
    if kind == PERSON:
        return documents.EDIT_PERSON, {"personId": key, "lastName": value}
    return documents.UPDATE_LOCATION, {"locationId": key, "address": {"line2": value}}


def revision_of(row: Effect, data: Mapping[str, Any]) -> int:
    """Return the revision of a row in the answer to its edit."""
    if row[0] == ADDRESS:
        return address_revision(data["location"])
    changed: Mapping[str, Any] = data["device" if row[0] == DEVICE else "person"]
    return int(changed["revision"])


async def hand_off(load: Load, number: int, at: float) -> None:
    """A customer submits a location; leads review it, send it back or approve it, and release it to the partner."""
    place = load.world.handed_off[number]
    customer = Visitor(load, load.random.choice(place.account.customers), at)
    await customer.read(documents.READINESS, id=place.id)
    done(await customer.write(documents.SUBMIT, located(place), [(SUBMISSION, place.id)]))
    lead = Visitor(load, load.random.choice(load.world.leads), customer.at + day.REVIEW_DELAY)
    await lead.read(documents.QUEUE)
    if load.random.random() < day.CHANGES_REQUESTED:
        await lead.read(documents.REVIEW, id=place.id)
        asked = {**located(place), "comment": "Please check the labels of the phones."}
        done(await lead.write(documents.REQUEST_CHANGES, asked, [(SENT_BACK, place.id)]))
        customer.at = lead.at
        await change_a_device(customer, place)
        done(await customer.write(documents.SUBMIT, located(place), [(SUBMISSION, place.id)]))
        lead.at = customer.at + day.REVIEW_DELAY
    await approve(load, lead, customer, place)
    done(await lead.write(documents.GENERATE, located(place), [(PAYLOAD, place.id)]))
    done(await lead.write(documents.RELEASE, located(place), [(RELEASE, place.id)]))


async def approve(load: Load, lead: Visitor, customer: Visitor, place: Place) -> None:
    """Approve what was reviewed; review again if it was edited meanwhile."""
    edited = load.random.random() < day.EDITED_IN_REVIEW
    digest = (await lead.fetch(documents.REVIEW, id=place.id))["digest"]
    if edited:
        customer.at = lead.at
        await change_a_device(customer, place)
        lead.at = max(lead.at, customer.at)
    decided = {**located(place), "expectedDigest": digest, "comment": "Checked."}
    reply = await lead.write(documents.APPROVE, decided, [(APPROVAL, place.id)])
    if reply.problem == "STALE_REVIEW":
        decided["expectedDigest"] = (await lead.fetch(documents.REVIEW, id=place.id))["digest"]
        reply = await lead.write(documents.APPROVE, decided, [(APPROVAL, place.id)])
    done(reply)


async def change_a_device(customer: Visitor, place: Place) -> None:
    """Read a location and change one of its devices."""
    form = Form(place.id)
    form.show(await customer.fetch(documents.LOCATION, id=place.id))
    await change(customer, form, form.of(DEVICE)[0])


def located(place: Place) -> dict[str, Any]:
    """Return the input of a mutation of a location."""
    return {"locationId": place.id}


async def look(load: Load, number: int, at: float) -> None:
    """A lead opens the product, reads lists across all accounts, searches, and looks at a location and its history."""
    world, random = load.world, load.random
    visitor = Visitor(load, random.choice(world.leads), at)
    second = replace(visitor)
    _, page = await together(
        visitor.read(documents.HOME), second.fetch(documents.PAGE, filter={"status": ["IN_PROGRESS"]})
    )
    more = {"filter": {"status": ["IN_PROGRESS"]}, "after": page["pageInfo"]["endCursor"]}
    await visitor.read(documents.PAGE, **more)
    await visitor.read(documents.NESTED, first=50, account=random.choice(world.finished))
    await visitor.read(documents.SEARCH, filter={"name": f"{number % 1_000:04}"})
    place = random.choice(world.edited)
    await visitor.read(documents.LOCATION, id=place.id)
    await visitor.read(documents.HISTORY, id=place.id)


async def wave(load: Load, number: int, at: float) -> None:
    """Leads submit, approve, generate and release many locations by bulk mutations, each after its dry run."""
    places = load.world.waves[number]
    ids = [place.id for place in places]
    submitter, approver = (Visitor(load, user, at) for user in load.random.sample(load.world.leads, 2))
    await submitter.read(documents.PAGE, filter={"accountId": places[0].account.id, "status": ["IN_PROGRESS"]})
    submitted = {"locationIds": ids, "status": "PENDING_APPROVAL"}
    await bulk(submitter, documents.BULK_STATUS, submitted, SUBMISSION, ids)
    approver.at = submitter.at + day.REVIEW_DELAY
    waiting = {"accountId": places[0].account.id, "status": ["PENDING_APPROVAL"]}
    page = await approver.fetch(documents.PAGE, filter=waiting)
    digests = {each["id"]: each["contentDigest"] for each in page["nodes"]}
    items = [{"locationId": each, "expectedDigest": digests[each]} for each in ids if each in digests]
    await bulk(approver, documents.BULK_APPROVE, {"items": items}, APPROVAL, ids)
    submitter.at = approver.at
    await bulk(submitter, documents.BULK_GENERATE, {"locationIds": ids}, PAYLOAD, ids)
    released = {"locationIds": ids, "status": "PROVISIONING"}
    await bulk(submitter, documents.BULK_STATUS, released, RELEASE, ids)


async def bulk(visitor: Visitor, operation: Operation, given: Mapping[str, Any], what: str, ids: Iterable[str]) -> None:
    """Send a bulk mutation as a dry run, and then for its effects."""
    await visitor.dry_run(operation, given)
    done(await visitor.write(operation, given, [(what, each) for each in ids]))


async def poll(load: Load, number: int, at: float) -> None:
    """A partner acknowledges what awaits its receipt, and reads what changed, as docs/examples/poller.py does."""
    partner = load.world.partners[number % len(load.world.partners)]
    visitor = Visitor(load, partner, at)
    for payload in await pages(visitor, documents.AWAITING, {"awaitingReceipt": True}):
        if payload["id"] not in load.answering:
            load.answering.add(payload["id"])
            await acknowledge(visitor, payload)
    latest = load.bookmarks.get(partner.id)
    since = latest and earlier(latest)
    for payload in await pages(visitor, documents.CHANGES, {"updatedSince": since}):
        load.bookmarks[partner.id] = max(payload["updatedAt"], load.bookmarks.get(partner.id, ""))


async def pages(visitor: Visitor, operation: Operation, conditions: Mapping[str, Any]) -> list[Any]:
    """Return the payloads of all pages."""
    found, page = [], {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        answer = await visitor.fetch(operation, filter=conditions, after=page["endCursor"])
        found += answer["nodes"]
        page = answer["pageInfo"]
    return found


async def acknowledge(visitor: Visitor, payload: Mapping[str, Any]) -> None:
    """Verify a document and acknowledge it. A later poll does it again if this fails."""
    given = {"payloadId": payload["id"], "documentDigest": POLLER.digest(payload["document"])}
    key = f"acknowledgePayload-{payload['id']}"
    reply = await visitor.write(documents.ACKNOWLEDGE, given, [(RECEIPT, payload["id"])], key=key)
    if reply.code or reply.problem:
        visitor.load.answering.discard(payload["id"])


def earlier(moment: str) -> str:
    """Return the time from which a partner asks again for changes."""
    return (datetime.fromisoformat(moment) - timedelta(seconds=day.POLL_OVERLAP)).isoformat()


VISITS: Mapping[Visit, Callable[[Load, int, float], Awaitable[None]]] = {
    Visit.BROWSE: browse,
    Visit.EDIT: edit,
    Visit.CONTEST: contest,
    Visit.HAND_OFF: hand_off,
    Visit.LOOK: look,
    Visit.WAVE: wave,
    Visit.POLL: poll,
}
