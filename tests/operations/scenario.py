"""A scenario for tests of writes: users with real tokens, locations in any status, and queries of the result.

The definer role puts locations into their status, with the session, approval, payload, claims and override that the
status implies and with correct digests, so that every verb finds the same state as after a real history.
"""

import json
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
from graphql import GraphQLInputObjectType, GraphQLNonNull, GraphQLObjectType, get_named_type

from app.db import tables
from app.db.aggregates import AGGREGATES, AggregateRecord
from app.db.content_rows import to_rows
from app.domain.canonical import canonical
from app.domain.content import Device, LocationContent
from app.domain.content_document import content_document
from app.domain.digest import content_digest, digest_version, document_digest
from app.domain.payload import payload_document
from app.domain.progress import completeness
from app.domain.readiness import readiness
from app.domain.vocabulary import LocationStatus, Role, Section
from graphql_schema.schema import schema
from tests.builders_db import a_grant, a_user, an_account, content_of, fresh, insert, insert_all
from tests.harness import Answer, Client, first_row
from tests.oracle import HELD, IN_OPERATION, phones_in_two_places

S = LocationStatus
SUBMITTED = frozenset({S.PENDING_APPROVAL, S.APPROVED, S.PROVISIONING, S.COMPLETED})
LOCKED = frozenset({S.APPROVED, S.PROVISIONING, S.COMPLETED})
CLOSED = frozenset({S.COMPLETED, S.CANCELLED})
GRAPHQL = schema._schema
MUTATIONS = GRAPHQL.mutation_type.fields if GRAPHQL.mutation_type else {}

PROBLEMS = """problems { __typename code message path
  ... on Locked { status } ... on NotLocked { status } ... on OverrideScope { sections }
  ... on IllegalTransition { from action allowed } ... on StaleReview { currentDigest changedPaths }
  ... on ApprovalOutdated { currentDigest } ... on Conflict { currentRevision }
  ... on NotReady { issues { code severity path message blocks } } ... on InvalidInput { field rule }
  ... on LimitReached { limit } ... on MacInUse { macAddresses } ... on PayloadSuperseded { by }
  ... on PayloadWithdrawn { reason } ... on PayloadNotLive { state } ... on AlreadyAnswered { answer answeredAt }
  ... on IdempotencyInProgress { retryAfterMs } }"""


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer of a mutation: DONE, the code of its problem, or the code of its error."""

    outcome: str
    payload: dict[str, Any] = field(default_factory=dict)
    problem: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    request_id: str = ""

    @property
    def replayed(self) -> bool:
        return bool(self.payload["replayed"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A location created for a test, and the ids of its related objects."""

    id: str
    status: LocationStatus
    content: LocationContent
    digest: str
    request: str | None = None
    approval: str | None = None
    payload: str | None = None
    payload_digest: str = "0" * 64
    recipient: str = "user-of-nobody"
    """The partner of its account, to which its payloads are released."""
    override: str | None = None
    live: str | None = None
    """The live payload."""

    @property
    def device(self) -> str:
        return f"device-{self.id}"

    @property
    def person(self) -> str:
        return f"person-{self.id}"

    @property
    def extension(self) -> str:
        return f"extension-{self.id}"

    @property
    def contact(self) -> str:
        return f"contact-{self.id}"

    @property
    def hours(self) -> str:
        return f"hours-{self.id}-1"

    @property
    def mac(self) -> str:
        return str(self.content.devices[0].mac_address)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationState:
    """The stored state of a location that a verb may change."""

    status: str
    revision: int
    digest: str
    open_sessions: int
    submitted_by: str | None
    approvals: Mapping[str, str]
    payloads: Mapping[str, str]
    receipts: Mapping[str, str]
    live: str | None
    open_overrides: int
    claims: tuple[str, ...]
    entries: int


def a_mac(maker: str = "805ec0") -> str:
    """Return an unused hardware address of Yealink, above those that tests write out."""
    return f"{maker}{next(_MACS):06x}"


_MACS = count(0x800000)


def complete_content(location: str, account: str, *macs: str) -> LocationContent:
    """Return content without issues, with its own hardware address; each further address adds a device."""
    content = content_of(location, account)
    (contact,), (device,) = content.contacts, content.devices
    first, *more = macs or (a_mac(),)
    others = (
        Device(id=f"device-{location}-{place}", brand=device.brand, model=device.model, mac_address=mac)
        for place, mac in enumerate(more, 2)
    )
    return replace(
        content,
        contacts=(replace(contact, phone="+1 212 555 0101", e164="+12125550101"),),
        devices=(replace(device, mac_address=first), *others),
    )


class Scenario:
    """Two accounts, users of every role, and the definer role for setting up locations."""

    lead: str
    lead_2: str
    scoped_lead: str
    """A lead with access to `account` alone; `away_lead` has access to `away` alone."""
    away_lead: str
    auditor: str
    customer: str
    clerk: str
    listed: str
    away_customer: str
    partner: str
    away_partner: str
    account: str
    away: str

    def __init__(self, client: Client, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.client = client
        self.connection = connection
        self.checked: dict[str, str] = {}

    async def open(self) -> None:
        """Create the accounts and the users."""
        db = self.connection
        async with self.arranging():
            self.account, self.away = await an_account(db), await an_account(db, name="Elm Florists")
            self.lead, self.lead_2 = [await a_user(db, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
            self.scoped_lead, self.away_lead = [
                await a_user(db, Role.IMPLEMENTATION_LEAD, all_accounts=False) for _ in range(2)
            ]
            await a_grant(db, self.scoped_lead, self.account)
            await a_grant(db, self.away_lead, self.away)
            self.auditor = await a_user(db, Role.AUDITOR)
            self.customer, self.clerk, self.listed = [await a_user(db, Role.CUSTOMER, self.account) for _ in range(3)]
            self.away_customer = await a_user(db, Role.CUSTOMER, self.away)
            self.partner, self.away_partner = [await a_user(db, Role.PARTNER) for _ in range(2)]
            for user in (self.customer, self.clerk, self.partner):
                await a_grant(db, user, self.account)
            await a_grant(db, self.listed, self.account, [])
            for user in (self.away_customer, self.away_partner):
                await a_grant(db, user, self.away)

    @asynccontextmanager
    async def arranging(self) -> AsyncIterator[None]:
        """Record what is written in the block in the audit log, so that a replay includes it."""
        async with self.connection.transaction():
            await self.connection.execute("SELECT set_config('turnup.system_action', 'ARRANGE', true)")
            yield
            await self.connection.execute("SELECT turnup.audit_seal()")

    @asynccontextmanager
    async def more_partners(self, number: int) -> AsyncIterator[list[str]]:
        """Further partners of the account. Afterwards they have no access: other tests release to all partners."""
        async with self.arranging():
            made = [await a_user(self.connection, Role.PARTNER) for _ in range(number)]
            for partner in made:
                await a_grant(self.connection, partner, self.account)
        yield made
        async with self.arranging():
            await self.connection.execute('DELETE FROM turnup."grant" WHERE user_id = ANY ($1)', made)

    async def grant_listed(self, location: str) -> None:
        """Grant one more location to the customer with listed locations."""
        grant = f"grant-{self.listed}-{self.account}"[:64]
        row = {"grant_id": grant, "account_id": self.account, "location_id": location}
        async with self.arranging():
            await insert(self.connection, tables.grant_location, **row)

    async def a_location(
        self,
        status: LocationStatus,
        *,
        content: LocationContent | None = None,
        macs: Collection[str] = (),
        account: str | None = None,
        name: str | None = None,
        moved: bool = False,
        unanswered: bool = False,
        override_of: str | None = None,
        sections: Collection[Section] = tuple(Section),
        payload: bool = True,
        submitted_by: str | None = None,
        live: bool = False,
        changed: bool = False,
    ) -> Rollout:
        """Create a location in a status, with everything that the status implies.

        With `moved` the content differs from the approved content. With `unanswered` a lead completed the location and
        the payload has no receipt. `override_of` is the lead who has an open override. With `live` a partner
        acknowledged an earlier payload, so that the phones work. With `changed` a completed location was edited and
        approved again, and its payload is generated and not released.
        """
        account = account or self.account
        identifier = name or fresh("location")
        content = content or complete_content(identifier, account, *macs)
        recipient = self.partner if account == self.account else self.away_partner
        made = Rollout(
            id=identifier, status=status, content=content, digest=content_digest(content), recipient=recipient
        )
        async with self.arranging():
            await self._location(made)
            await self._session(made, submitted_by or self.customer)
            made = await self._approval(made, submitted_by or self.customer, moved=moved)
            if payload and not moved:
                made = await self._payload(made, unanswered=unanswered, changed=changed)
            if live or changed:
                earlier = replace(made.content, name="As it was handed off") if changed else made.content
                digest = content_digest(earlier)
                handed_off = await self._document(replace(made, digest=digest), 1, "ACKNOWLEDGED")
                await self._receipt(made, *handed_off)
            if override_of is not None:
                made = replace(made, override=await self.an_override(made, override_of, sections))
            return await self._settle(made)

    async def _location(self, made: Rollout) -> None:
        content = made.content
        complete = completeness(readiness(content))
        (_, row), *children = to_rows(content, lambda kind: fresh(kind.lower()))
        sections = [(tables.section, {**_key(made), "section": each, "complete": complete[each]}) for each in Section]
        await insert_all(self.connection, [(tables.location, {**row, "status": made.status}), *sections, *children])

    async def _session(self, made: Rollout, submitted_by: str) -> None:
        if made.status is S.NOT_STARTED:
            return
        now = datetime.now(UTC)
        row: dict[str, Any] = {"id": f"session-{made.id}", **_key(made)}
        if made.status in SUBMITTED:
            row |= {"submitted_at": now, "submitted_by": submitted_by}
        if made.status in CLOSED:
            row["closed_at"] = now
        await insert(self.connection, tables.onboarding_session, **row)

    async def _approval(self, made: Rollout, requested_by: str, *, moved: bool) -> Rollout:
        if made.status not in SUBMITTED:
            return made
        approved = replace(made.content, name="As it was approved") if moved else made.content
        row = {
            "id": fresh("approval"),
            **_key(made),
            "location_revision": 1,
            "digest": content_digest(approved),
            "content": content_document(approved),
            "requested_by": requested_by,
            "requested_at": datetime.now(UTC) - timedelta(hours=2),
        }
        if made.status is S.PENDING_APPROVAL:
            return replace(made, request=await insert(self.connection, tables.approval, **row, status="PENDING"))
        decision = {"status": "APPROVED", "decided_by": self.lead_2, "decided_at": datetime.now(UTC)}
        return replace(made, approval=await insert(self.connection, tables.approval, **row, **decision))

    async def _payload(self, made: Rollout, *, unanswered: bool, changed: bool) -> Rollout:
        if made.status not in LOCKED:
            return made
        state = {S.APPROVED: "GENERATED", S.PROVISIONING: "RELEASED"}.get(made.status, "ACKNOWLEDGED")
        state = "RELEASED" if unanswered else "GENERATED" if changed else state
        payload, digest = await self._document(made, 2, state)
        if state == "ACKNOWLEDGED":
            await self._receipt(made, payload, digest)
        if unanswered:
            await self._completed_by_hand(made)
        return replace(made, payload=payload, payload_digest=digest)

    async def _completed_by_hand(self, made: Rollout) -> None:
        row = {"verb": "COMPLETE", "reason": "The carrier is on strike.", "changed_by": self.lead}
        times = {"changed_at": datetime.now(UTC)}
        await insert(self.connection, tables.status_change, id=fresh("change"), **_key(made), **row, **times)

    async def an_earlier_payload(self, made: Rollout, state: str) -> tuple[str, str]:
        """Add a payload released before the current one; return its id and its document's digest."""
        async with self.arranging():
            payload, digest = await self._document(made, 1, state)
            if state in {"ACKNOWLEDGED", "REJECTED"}:
                await self._receipt(made, payload, digest, state)
            await self._settle(made)
        return payload, digest

    async def _document(self, made: Rollout, sequence: int, state: str) -> tuple[str, str]:
        now = datetime.now(UTC)
        document = payload_document(
            made.content,
            version="1.0.0",
            account_name="Dune Opticians",
            now=now,
            sequence=sequence,
            generated_by=self.lead,
            location_revision=1,
            supersedes=None,
        )
        digest = document_digest(document)
        row = {
            "id": fresh("payload"),
            **_key(made),
            "sequence": sequence,
            "version": "1.0.0",
            "state": state,
            "document": canonical(document).decode(),
            "document_digest": digest,
            "content_digest": made.digest,
            "location_revision": 1,
            "generated_by": self.lead,
        }
        release = {} if state == "GENERATED" else {"released_by": self.lead, "released_at": now}
        payload = await insert(self.connection, tables.provisioning_payload, **row, **release)
        if release:
            recipient = {"user_id": made.recipient, "purpose": "CARRIER", "required": True}
            key = {"id": fresh("recipient"), **_key(made), "payload_id": payload}
            await insert(self.connection, tables.payload_recipient, **key, **recipient)
        return payload, digest

    async def _receipt(self, made: Rollout, payload: str, digest: str, kind: str = "ACKNOWLEDGED") -> None:
        row = {"payload_id": payload, "kind": kind, "document_digest": digest, "received_by": made.recipient}
        await insert(self.connection, tables.receipt, id=fresh("receipt"), **_key(made), **row)

    async def _settle(self, made: Rollout) -> Rollout:
        """Mark what the location has in operation, and claim the addresses that it holds."""
        for statement in _SETTLE:
            await self.connection.execute(statement, made.id)
        held = await self.connection.fetch(_TO_CLAIM, made.id)
        rows = [{"mac": row["mac"], **_key(made)} for row in held]
        await insert_all(self.connection, [(tables.mac_claim, row) for row in rows])
        live = await self.connection.fetchval("SELECT live_payload_id FROM turnup.location WHERE id = $1", made.id)
        return replace(made, live=live)

    async def an_override(self, made: Rollout, opener: str, sections: Collection[Section] = tuple(Section)) -> str:
        """Open an override for an hour."""
        now = datetime.now(UTC)
        row = {"opened_by": opener, "sections": sorted(sections), "reason": "The phones were swapped on site."}
        times = {"opened_at": now - timedelta(minutes=5), "expires_at": now + timedelta(minutes=60)}
        async with self.arranging():
            return await insert(self.connection, tables.override, id=fresh("override"), **_key(made), **row, **times)

    async def expire(self, override: str) -> None:
        """Move an override's expiry into the past, by the database's clock."""
        async with self.arranging():
            await self.connection.execute(
                "UPDATE turnup.override SET expires_at = clock_timestamp() - interval '1 second' WHERE id = $1",
                override,
            )

    async def without_hours(self, location: Rollout) -> Rollout:
        """Remove the location's working hours directly, so that the content is not ready for any step."""
        async with self.arranging():
            await self.connection.execute("DELETE FROM turnup.working_hours WHERE location_id = $1", location.id)
            await self.connection.execute(
                "UPDATE turnup.section SET complete = false WHERE location_id = $1 AND section = 'WORKING_HOURS'",
                location.id,
            )
            content = (await self.record(location.id)).content
            await self.connection.execute(
                "UPDATE turnup.location SET content_digest = $2 WHERE id = $1", location.id, content_digest(content)
            )
        return replace(location, content=content, digest=content_digest(content))

    async def retire(self, location: Rollout) -> None:
        """Cancel and decommission a location directly, so that its MAC addresses are free for the next test."""
        async with self.arranging():
            await self.connection.execute(
                "UPDATE turnup.location SET status = 'CANCELLED', live_payload_id = NULL WHERE id = $1", location.id
            )
            await self.connection.execute(_DECOMMISSION, location.id, self.lead)
            await self.connection.execute("DELETE FROM turnup.mac_claim WHERE location_id = $1", location.id)
            await self._settle(location)

    async def state_of(self, location: str) -> LocationState:
        """Return the stored state of a location."""
        record = await first_row(self.connection, _STANDING, location)
        held = dict(record)
        for name in ("approvals", "payloads", "receipts"):
            held[name] = held[name] or {}
        held["claims"] = tuple(held["claims"])
        return LocationState(**held)

    async def record(self, location: str) -> AggregateRecord:
        """Return the location's aggregate record."""
        record = await first_row(self.connection, AGGREGATES.sql, [location])
        found: AggregateRecord = AGGREGATES.build(*record)
        return found

    async def digest_of_rows(self, location: str) -> str:
        """Return the digest computed from the location's rows, independent of the stored digest."""
        return content_digest((await self.record(location)).content)

    async def entries(self, location: str) -> list[dict[str, Any]]:
        """Return the sealed audit entries about a location, in order."""
        records = await self.connection.fetch(
            "SELECT id, action, outcome, code, actor_id, actor_role, request_id, client_request_id, reason,"
            " override_id, is_override"
            " FROM turnup.audit_entry WHERE location_id = $1 AND number IS NOT NULL ORDER BY number",
            location,
        )
        return [dict(record) for record in records]

    async def send(self, who: str, mutation: str, /, select: str = "", **given: Any) -> Sent:
        """Run one mutation as a user; `select` is the selection of the payload besides its problems."""
        return sent_of(mutation, await self.client.ask(document(mutation, select), who, input=given))

    async def revisions(self, location: str) -> dict[str, int]:
        """Return the revisions of a location's sections, and of its rows by id."""
        record = await self.record(location)
        return {section.value: stored.revision for section, stored in record.sections.items()} | record.row_revisions

    async def check_invariants(self) -> None:
        """Check that no phone is in operation at two locations, and the digests of the scenario's locations."""
        wrong = await phones_in_two_places(self.connection)
        assert not wrong, "\n".join(wrong)
        await self._check_digests()

    async def _check_digests(self) -> None:
        """Check that the stored digests of the locations written since the last check are those of their rows."""
        rows = await self.connection.fetch(_VERSIONS, [self.account, self.away])
        versions = {row["id"]: row["version"] for row in rows}
        changed = [location for location, version in versions.items() if self.checked.get(location) != version]
        self.checked.update(versions)
        for row in await self.connection.fetch(AGGREGATES.sql, changed):
            record: AggregateRecord = AGGREGATES.build(*row)
            location, content = record.location, record.content
            stored = await self.connection.fetchrow(
                "SELECT content_digest, digest_version FROM turnup.location WHERE id = $1", location.id
            )
            assert tuple(stored or ()) == (content_digest(content), digest_version(content)), location.id


def sent_of(mutation: str, answer: Answer) -> Sent:
    """Return the outcome of a mutation whose document is that of `document`."""
    request_id = answer.headers["x-request-id"]
    if answer.body.get("errors"):
        (error,) = answer.body["errors"]
        assert not (answer.body.get("data") or {}).get(mutation)
        return Sent(error["extensions"]["code"], error=error, request_id=request_id)
    payload = answer.body["data"][mutation]
    if payload["problems"]:
        (problem,) = payload["problems"]
        objects = {name: value for name, value in payload.items() if name not in {"problems", "replayed"}}
        assert not any(objects.values()), "a refusal returns no object"
        return Sent(problem["code"], payload, problem, request_id=request_id)
    return Sent("DONE", payload, request_id=request_id)


def document(mutation: str, select: str = "") -> str:
    """Return a mutation's document, which selects its problems with all their fields."""
    field_type = MUTATIONS[mutation]
    kind = field_type.args["input"].type
    return f"mutation($input: {kind}) {{ {mutation}(input: $input) {{ {select} replayed {PROBLEMS} }} }}"


def input_fields(mutation: str) -> Mapping[str, Any]:
    """Return the fields of a mutation's input, from the schema."""
    kind = get_named_type(MUTATIONS[mutation].args["input"].type)
    assert isinstance(kind, GraphQLInputObjectType)
    fields: Mapping[str, Any] = kind.fields
    return fields


def takes_key_only_if_wanted(mutation: str) -> bool:
    """Return whether the idempotency key of a mutation is optional."""
    return not isinstance(input_fields(mutation)["idempotencyKey"].type, GraphQLNonNull)


def payload_fields(mutation: str) -> Mapping[str, Any]:
    """Return the fields of a mutation's payload, from the schema."""
    kind = get_named_type(MUTATIONS[mutation].type)
    assert isinstance(kind, GraphQLObjectType)
    fields: Mapping[str, Any] = kind.fields
    return fields


def a_key() -> str:
    """Return an unused idempotency key."""
    return secrets.token_hex(12)


def _key(made: Rollout) -> dict[str, str]:
    return {"account_id": made.content.account_id, "location_id": made.id}


_STANDING = """
SELECT l.status, l.revision, l.content_digest AS digest, l.live_payload_id AS live,
       (SELECT count(*) FROM turnup.onboarding_session s WHERE s.location_id = l.id AND closed_at IS NULL)
           AS open_sessions,
       (SELECT submitted_by FROM turnup.onboarding_session s WHERE s.location_id = l.id AND closed_at IS NULL)
           AS submitted_by,
       (SELECT jsonb_object_agg(id, status) FROM turnup.approval a WHERE a.location_id = l.id) AS approvals,
       (SELECT jsonb_object_agg(id, state) FROM turnup.provisioning_payload p WHERE p.location_id = l.id) AS payloads,
       (SELECT jsonb_object_agg(payload_id, kind) FROM turnup.receipt r WHERE r.location_id = l.id) AS receipts,
       (SELECT count(*) FROM turnup.override o WHERE o.location_id = l.id AND ended_at IS NULL) AS open_overrides,
       ARRAY(SELECT mac FROM turnup.mac_claim c WHERE c.location_id = l.id ORDER BY mac) AS claims,
       (SELECT count(*) FROM turnup.audit_entry e WHERE e.location_id = l.id) AS entries
FROM turnup.location l WHERE l.id = $1
"""
_SETTLE = (
    f"""UPDATE turnup.payload_recipient r SET live = s.live
        FROM (SELECT q.id, o.payload_id IS NOT NULL AS live FROM turnup.payload_recipient q LEFT JOIN ({IN_OPERATION}) o
              ON o.payload_id = q.payload_id AND o.user_id = q.user_id WHERE q.location_id = $1) s
        WHERE r.id = s.id AND r.live <> s.live""",
    f"""UPDATE turnup.provisioning_payload p SET live = NOT p.live
        WHERE p.location_id = $1 AND p.live <> (p.id IN (SELECT o.payload_id FROM ({IN_OPERATION}) o))""",
    """UPDATE turnup.location l SET live_payload_id =
           (SELECT p.id FROM turnup.provisioning_payload p WHERE p.location_id = l.id AND p.live
            ORDER BY p.sequence DESC LIMIT 1)
       WHERE l.id = $1""",
)
_TO_CLAIM = f"""SELECT h.mac FROM ({HELD}) h WHERE h.location_id = $1
                EXCEPT SELECT c.mac FROM turnup.mac_claim c WHERE c.location_id = $1"""
_DECOMMISSION = """
UPDATE turnup.payload_recipient SET live = false, decommissioned_at = now(), decommissioned_by = $2
WHERE location_id = $1 AND live
"""
_VERSIONS = "SELECT id, xmin::text AS version FROM turnup.location WHERE account_id = ANY ($1)"


async def as_definer(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Return a connection that bypasses row-level security."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET ROLE turnup_definer")
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    return connection
