"""Every event of the catalogue, with each of its actions, is provoked by what it says, and its line has all its fields.

The tables below must cover the catalogue, so an event or an action that is added needs what provokes it.
"""

import json
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from app.db.database import Database
from app.db.migrate import newest_revision
from app.domain.events import EVENTS
from app.domain.secrets import SECRET_BYTES, new_secret, secret_sha256
from app.domain.status_machine import TABLE
from app.domain.vocabulary import AuditOutcome, LocationAction
from app.http.sign_in_paths import LOGIN
from app.operations.housekeeping import erase_what_is_due, forget_old_credentials
from app.settings import Settings
from tests.audit.test_erasure import ALICE, CONTACT, a_contact_removed, a_contact_s_document, a_payload, made_live
from tests.audit.trail import definer
from tests.auth.small_provider import providing
from tests.builders_db import a_service_token, a_session, an_invitation, committed, fresh, service_token_of
from tests.cli.turnup import serving as serving_process
from tests.faults.cases import Sending
from tests.faults.conftest import ground, own_database
from tests.faults.every import EVERY
from tests.faults.ground import Ground
from tests.harness import BROWSER_SIGN_IN_VARIABLES, CUSTOMER, LEAD, LEAD_2, Client, TestDatabase, Turnup
from tests.harness import own_database as copy_of
from tests.operations.scenario import MUTATIONS, a_key
from tests.operations.test_verbs import conditions

from .serving import serving
from .test_browser_sign_in import running
from .test_events import EDIT, Logged, logged

__all__ = ["ground", "logged", "own_database"]

Line = dict[str, Any]
Pair = tuple[str, str | None]
"""An event, and an action of the audit log with which it goes; None for an event without an entry."""

PAIRS: frozenset[Pair] = frozenset(
    (event.name, action and str(action)) for event in EVENTS for action in (event.actions or (None,))
)
OF_MUTATIONS = sorted(
    (event.name, action)
    for event in EVENTS
    if event.outcome is AuditOutcome.APPLIED
    for action in event.actions
    if action in MUTATIONS
)
# The statuses towards which a bulk change of status takes a location by these verbs.
TOWARDS = {
    "onboarding.submitted": (LocationAction.SUBMIT_ONBOARDING, "PENDING_APPROVAL"),
    "payload.released": (LocationAction.TRIGGER_PROVISIONING, "PROVISIONING"),
    "location.blocked": (LocationAction.BLOCK, "BLOCKED"),
    "location.unblocked": (LocationAction.UNBLOCK, "IN_PROGRESS"),
    "location.cancelled": (LocationAction.CANCEL, "CANCELLED"),
    "location.reopened": (LocationAction.REOPEN, "IN_PROGRESS"),
}
ENTRIES = """
SELECT actor_id AS user_id, actor_role AS role, account_id, location_id, action, outcome, override_id
FROM turnup.audit_entry WHERE ordinal > $1 AND outcome = 'APPLIED' ORDER BY ordinal
"""
FACTS = ("user_id", "role", "account_id", "location_id", "action", "outcome", "override_id")
PAYLOADS = "SELECT id FROM turnup.provisioning_payload WHERE location_id = $1"
REQUEST = "SELECT id FROM turnup.approval WHERE location_id = $1 ORDER BY requested_at DESC LIMIT 1"
ABOUT_A_PAYLOAD = {name for name, _ in PAIRS if name.startswith("payload.")} | {
    "receipt.waived",
    "location.completed",
    "test_payload.created",
}
OF_APPROVALS = {"onboarding.submitted", "approval.approved"}
OWN_FIELDS = frozenset({"account", "location", "toLocation", "override", "payload"})
"""The kinds of objects for which a line has other fields than `object_id`."""


def lines_of(logged: Logged) -> list[tuple[str, Line]]:
    """The events and the fields of their lines."""
    return [
        (
            each.getMessage(),
            {name: str(value) if isinstance(value, StrEnum) else value for name, value in vars(each).items()},
        )
        for each in logged.records
    ]


@pytest.fixture
async def stage(
    own_client: Client, settings: Settings, turnup: Turnup, tmp_path: Path, logged: Logged
) -> AsyncIterator["Stage"]:
    """A stage of its own for each test."""
    async with copy_of("template1") as bare:
        yield Stage(own_client, settings, turnup, bare, tmp_path, logged)


async def arranged(ground: Ground, event: str, mutation: str) -> Sending:
    """A call that is good for a mutation, and has this event."""
    if mutation != "bulkUpdateStatus":
        return await EVERY[mutation](ground, 2)
    verb, target = TOWARDS[event]
    status = sorted(TABLE[verb].sources)[0]
    location = await ground.a_location(status, **conditions(status, verb))
    given = {"locationIds": [location.id], "status": target, "reason": "No cabling", "idempotencyKey": a_key()}
    return Sending(
        who=ground.lead, mutation=mutation, given=given, touched=(location.id,), select="results { outcome }"
    )


def named(sending: Sending, payload: Mapping[str, Any]) -> dict[str, str]:
    """The ids that the caller got or gave, by the kind of object; first those of the objects that it got."""
    got = {kind: each["id"] for kind, each in payload.items() if isinstance(each, dict) and "id" in each}
    return {**got, **{name.removesuffix("Id"): each for name, each in sending.given.items() if name.endswith("Id")}}


@pytest.mark.parametrize(("event", "mutation"), OF_MUTATIONS)
async def test_a_mutation_has_a_line_per_entry_with_its_facts_and_the_object_that_it_is_about(
    ground: Ground, logged: Logged, event: str, mutation: str
) -> None:
    sending = await arranged(ground, event, mutation)
    since = await ground.last_entry()
    logged.records.clear()
    sent = await ground.send_it(sending)
    assert sent.outcome == "DONE", sent
    lines = [line for name, line in lines_of(logged) if name == event]
    entries = [dict(row) for row in await ground.connection.fetch(ENTRIES, since)]
    assert entries
    assert sorted(map(str, ({name: line.get(name) for name in FACTS} for line in lines))) == sorted(map(str, entries))
    ids = named(sending, sent.payload)
    about = next((each for kind, each in ids.items() if kind not in OWN_FIELDS), None)
    for line in lines:
        at = line.get("location_id")
        payloads = {row["id"] for row in await ground.connection.fetch(PAYLOADS, at)}
        assert line.get("payload_id") in (payloads if event in ABOUT_A_PAYLOAD else {None})
        assert line.get("object_id") == (
            await ground.connection.fetchval(REQUEST, at) if event in OF_APPROVALS else about
        )


@dataclass(frozen=True)
class Stage:
    """What provokes the events that belong to no mutation: a server with the demo data, its users, and an operator."""

    client: Client
    settings: Settings
    turnup: Turnup
    bare: TestDatabase
    """A database without the schema."""
    folder: Path
    logged: Logged

    @property
    def database(self) -> TestDatabase:
        """The database of the server."""
        return self.client.database


Lines = list[tuple[str, Line]]
"""Events, and what their lines have at least."""
Provoke = Callable[[Stage], Awaitable[Lines]]


def applied(event: str, action: str, **more: Any) -> tuple[str, Line]:
    """The line of a change without a user."""
    return event, {"action": action, "outcome": "APPLIED", **more}


async def a_mutation_is_refused(stage: Stage) -> Lines:
    stale = {"expectedDigest": "0" * 64}
    await stage.client.ask(EDIT, CUSTOMER, label="Front desk", revision=10_000)
    for mutation, given in (
        ("approve", {"locationId": "location-3", **stale}),
        ("bulkApprove", {"items": [{"locationId": "location-3", **stale}], "idempotencyKey": a_key()}),
    ):
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        shown = "problems { code }"
        await stage.client.ask(f"mutation($i: {kind}!) {{ {mutation}(input: $i) {{ {shown} }} }}", LEAD_2, i=given)
    customer = {"user_id": "user-acme", "role": "CUSTOMER", "account_id": "account-1", "location_id": "location-1"}
    lead = {"user_id": "user-lead-2", "role": "IMPLEMENTATION_LEAD", "location_id": "location-3"}
    refused = {**lead, "outcome": "REFUSED", "code": "STALE_REVIEW"}
    of_device = {"action": "editDevice", "object_id": "phone-1", "outcome": "REFUSED", "code": "CONFLICT"}
    return [
        ("change.refused", {**customer, **of_device}),
        ("approval.refused", {**refused, "action": "approve"}),
        ("approval.refused", {**refused, "action": "bulkApprove"}),
    ]


async def an_operator_manages_users(stage: Stage) -> Lines:
    of_lead = ("--role", "lead", "--all-accounts", "--email", "ops@example.com")
    user = (await stage.turnup(stage.database, "user", "add", *of_lead)).out.split()[-1]
    async with committed(stage.database) as connection:
        await connection.execute("UPDATE turnup.\"user\" SET made_by = '{user-lead}' WHERE id = $1", user)
    for command in ("suspend", "reinstate", "confirm"):
        assert (await stage.turnup(stage.database, "user", command, user)).status == 0
    return [
        applied("user.created", "USER_ADDED", object_id=user),
        applied("user.suspended", "USER_SUSPENDED", object_id=user),
        applied("user.reinstated", "USER_REINSTATED", object_id=user),
        applied("user.confirmed", "USER_CONFIRMED", object_id=user),
    ]


async def an_operator_invites(stage: Stage) -> Lines:
    origin = pytest.MonkeyPatch()
    for name, value in BROWSER_SIGN_IN_VARIABLES.items():
        origin.setenv(name, value)
    of_lead = ("--role", "lead", "--all-accounts", "--email", "ida@example.com")
    invited = await stage.turnup(stage.database, "user", "invite", *of_lead)
    origin.undo()
    assert invited.status == 0, invited
    async with committed(stage.database) as connection:
        invitation = await connection.fetchval("SELECT id FROM turnup.invitation WHERE email = 'ida@example.com'")
    await stage.turnup(stage.database, "user", "revoke-invitation", invitation)
    return [
        applied("user.invited", "USER_INVITED", object_id=invitation),
        applied("invitation.revoked", "INVITATION_REVOKED", object_id=invitation),
    ]


async def an_invited_person_signs_in_and_a_stranger_does_not(stage: Stage) -> Lines:
    async with providing() as provider, running(stage.settings, stage.database, provider) as place:
        provider.subject = "stranger"
        await place.browser().sign_in()
        provider.subject = fresh("person")
        provider.claims = {"email": "ida@example.com", "email_verified": True}
        secret = new_secret(b"i" * SECRET_BYTES)
        async with committed(stage.database) as connection:
            digest = secret_sha256(secret)
            invitation = await an_invitation(connection, email="ida@example.com", secret_sha256=digest)
        for _ in range(2):
            assert (await place.browser().sign_in(f"{LOGIN}?invitation={secret}")).status_code == 303
        (user,) = await place.rows(f"SELECT accepted_by AS id FROM turnup.invitation WHERE id = '{invitation}'")
        sessions = [each["id"] for each in await place.sessions()]
    partner = {"user_id": user["id"], "role": "PARTNER"}
    return [
        ("sign_in.failed", {"code": "unknown_user"}),
        applied("invitation.accepted", "INVITATION_ACCEPTED", object_id=invitation, **partner),
        *(("session.started", {"object_id": session, **partner}) for session in sessions),
    ]


async def an_operator_loads_a_catalogue(stage: Stage) -> Lines:
    assert (await stage.turnup(stage.database, "catalogue", "load")).status == 0
    return [applied("catalogue.loaded", "CATALOGUE_LOADED")]


async def an_empty_database_is_filled(stage: Stage) -> Lines:
    ended = await stage.turnup(stage.bare, "seed", "--locations", "3")
    assert ended.status == 0, ended
    return [
        applied("database.migrated", "MIGRATE", revision=newest_revision()),
        applied("demo.loaded", "SEED_DEMO"),
        applied("locations.loaded", "LOAD_UNAUDITED", count=3),
    ]


async def users_do_what_they_may_not(stage: Stage) -> Lines:
    await stage.client.ask('{ location(id: "location-1") { overrides { id } } }', CUSTOMER)
    await stage.client.ask("{ viewer { name } }", CUSTOMER, headers={"x-user-id": "user-lead"})
    await stage.client.ask("{ viewer { name } }", "nobody")
    await stage.client.ask('mutation { suspendUser(input: {userId: "user-acme"}) { problems { code } } }', LEAD)
    await stage.client.ask("{ viewer { name } }", CUSTOMER)
    return [
        ("permission.denied", {"user_id": "user-acme", "role": "CUSTOMER", "field": "overrides"}),
        ("identity.forged", {"user_id": "user-acme"}),
        ("unknown_user.refused", {}),
        ("user.suspended", {"user_id": "user-lead", "object_id": "user-acme"}),
        ("suspended_user.refused", {"user_id": "user-acme"}),
    ]


async def a_budget_is_exceeded(stage: Stage) -> Lines:
    async with serving(stage.settings, stage.database, limit_edits=1) as client:
        for _ in range(2):
            await client.ask(EDIT, CUSTOMER, label="x", revision=10_000)
    return [
        ("change.refused", {"user_id": "user-acme"}),
        ("budget.exceeded", {"user_id": "user-acme", "role": "CUSTOMER", "budget": "EDITS"}),
    ]


async def a_token_is_used_that_expires_soon(stage: Stage) -> Lines:
    expires_at = datetime.now(UTC) + timedelta(days=1)
    async with committed(stage.database) as connection:
        token = await a_service_token(connection, "user-carrier", expires_at=expires_at)
    await stage.client.ask("{ viewer { name } }", service_token_of(token).text)
    facts = {"user_id": "user-carrier", "role": "PARTNER", "object_id": token, "expires_at": expires_at.isoformat()}
    return [("token_expiry.noticed", facts)]


async def credentials_ended_long_ago(stage: Stage) -> Lines:
    ago = datetime.now(UTC) - timedelta(days=90)
    times = dict.fromkeys(("created_at", "last_used_at"), ago) | dict.fromkeys(
        ("idle_until", "expires_at"), ago + timedelta(hours=1)
    )
    async with committed(stage.database) as connection:
        for _ in range(2):
            await a_session(connection, "user-acme", **times)
    await keep_house(stage, forget_old_credentials)
    return [applied("credentials.forgotten", "TOKENS_FORGOTTEN", count=2)]


async def keep_house(stage: Stage, task: Callable[[Database], Awaitable[object]]) -> None:
    """Run a periodic task of a server."""
    opened = await Database.open(stage.database.app_url, size=1)
    await task(opened)
    await opened.close()


async def an_operator_erases(stage: Stage) -> Lines:
    """A contact, of whom a payload that is in use has a document; a server erases it later. Then a reason."""
    async with definer(stage.database.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 1, "ACKNOWLEDGED", a_contact_s_document(1, ALICE))
        await made_live(connection, 1)
    await a_contact_removed(stage.database, CONTACT)
    assert (await stage.turnup(stage.database, "audit", "erase", CONTACT, "--reason", "Request 1")).status == 0
    async with definer(stage.database.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 2, "ACKNOWLEDGED", a_contact_s_document(2, None))
        await made_live(connection, 2)
        entry = await connection.fetchval("SELECT id FROM turnup.audit_entry WHERE reason = 'Request 1'")
    await keep_house(stage, erase_what_is_due)
    ended = await stage.turnup(stage.database, "audit", "erase", entry, "--reason", "Request 2")
    assert ended.status == 0, ended
    return [
        applied("data.erased", "ERASE", object_id=CONTACT, count=6),
        applied("documents.erased", "ERASE", count=1),
        applied("data.erased", "ERASE", object_id=entry),
    ]


async def an_operator_verifies_the_audit_log(stage: Stage) -> Lines:
    async with definer(stage.database.owner_url) as connection:
        chains = await connection.fetchval("SELECT count(DISTINCT chain) FROM turnup.audit_entry")
        entries = await connection.fetchval("SELECT count(*) FROM turnup.audit_entry")
    assert (await stage.turnup(stage.database, "audit", "verify")).status == 0
    async with definer(stage.database.owner_url) as connection:
        await connection.execute("UPDATE turnup.audit_entry SET action = 'x' WHERE chain = 'system'")
    assert (await stage.turnup(stage.database, "audit", "verify")).status == 1
    return [
        ("audit.verified", {"levelname": "INFO", "chains": chains, "entries": entries}),
        ("audit.broken", {"levelname": "ERROR"}),
    ]


async def a_server_starts(stage: Stage) -> Lines:
    """A process of its own on an empty database. The lines that it prints are taken over."""
    variables = {"DATABASE_URL": stage.bare.app_url, "TURNUP_OWNER_DATABASE_URL": stage.bare.owner_url}
    with serving_process(stage.folder / "home", TURNUP_LOG_FORMAT="json", **variables) as server:
        server.end(signal.SIGTERM, within=60)
    for line in map(json.loads, server.printed.splitlines()):
        if line["logger"] == "turnup.events":
            stage.logged.emit(logging.makeLogRecord({**line, "msg": line.pop("message")}))
    return [
        applied("database.migrated", "MIGRATE", revision=newest_revision()),
        applied("demo.loaded", "SEED_DEMO"),
        ("server.configured", {"level": "info"}),
        ("tokens.withheld", {"command": "turnup token EMAIL"}),
    ]


PROVOKED: Mapping[Provoke, Sequence[Pair]] = {
    a_mutation_is_refused: [
        ("change.refused", None),
        ("approval.refused", "approve"),
        ("approval.refused", "bulkApprove"),
    ],
    an_operator_manages_users: [
        ("user.created", "USER_ADDED"),
        ("user.suspended", "USER_SUSPENDED"),
        ("user.reinstated", "USER_REINSTATED"),
        ("user.confirmed", "USER_CONFIRMED"),
    ],
    an_operator_invites: [("user.invited", "USER_INVITED"), ("invitation.revoked", "INVITATION_REVOKED")],
    an_invited_person_signs_in_and_a_stranger_does_not: [
        ("invitation.accepted", "INVITATION_ACCEPTED"),
        ("session.started", None),
        ("sign_in.failed", None),
    ],
    an_operator_loads_a_catalogue: [("catalogue.loaded", "CATALOGUE_LOADED")],
    an_empty_database_is_filled: [
        ("database.migrated", "MIGRATE"),
        ("demo.loaded", "SEED_DEMO"),
        ("locations.loaded", "LOAD_UNAUDITED"),
    ],
    users_do_what_they_may_not: [
        ("permission.denied", "ROLE_DENIED"),
        ("identity.forged", "SECURITY_EVENT"),
        ("suspended_user.refused", "SECURITY_EVENT"),
        ("unknown_user.refused", None),
    ],
    a_budget_is_exceeded: [("budget.exceeded", None)],
    a_token_is_used_that_expires_soon: [("token_expiry.noticed", None)],
    credentials_ended_long_ago: [("credentials.forgotten", "TOKENS_FORGOTTEN")],
    an_operator_erases: [("data.erased", "ERASE"), ("documents.erased", "ERASE")],
    an_operator_verifies_the_audit_log: [("audit.verified", None), ("audit.broken", None)],
    a_server_starts: [("server.configured", None), ("tokens.withheld", None)],
}
"""What provokes the other events, and the events and actions that it provokes."""


def test_every_event_of_the_catalogue_is_provoked_with_each_of_its_actions() -> None:
    provoked = [*OF_MUTATIONS, *(pair for pairs in PROVOKED.values() for pair in pairs)]
    assert sorted(map(str, provoked)) == sorted(map(str, PAIRS))


@pytest.mark.parametrize("provoke", PROVOKED, ids=lambda provoke: provoke.__name__)
async def test_what_has_an_event_has_its_line_once_with_its_ids_and_facts(stage: Stage, provoke: Provoke) -> None:
    expected = await provoke(stage)
    lines = lines_of(stage.logged)
    assert {name for name, _ in PROVOKED[provoke]} <= {name for name, _ in expected}
    assert [name for name, _ in lines] == [name for name, _ in expected]
    for (name, line), (_, facts) in zip(lines, expected, strict=True):
        assert {fact: line.get(fact) for fact in facts} == facts, name
