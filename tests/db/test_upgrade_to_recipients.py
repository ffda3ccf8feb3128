"""A database from before recipients, migrated: who received what, which payloads are live, and who keeps an address."""

import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.audit.replay import replay
from app.db.database import Database
from app.db.migrate import MIGRATIONS, known, migrate, newest_revision
from app.operations.housekeeping import erase_what_is_due
from tests.cli.turnup import run
from tests.harness import LEAD, LEAD_2, PARTNER, Client, TestDatabase, own_database, served
from tests.operations.scenario import document
from tests.oracle import audit_log_is_complete

from .older import BEFORE_RECIPIENTS as BEFORE

SECOND, THIRD = "second@carrier.example", "third@carrier.example"
ALL = {"allRecipients": True}
CLAIMING = {"PENDING_APPROVAL", "APPROVED", "PROVISIONING", "COMPLETED"}
# Of two locations whose live payloads name one address, the one that was handed off first comes first.
LIVE_TWICE = {
    "00:04:F2:00:00:14": ("changed under an override", "same phone as under an override"),
    "00:04:F2:00:00:17": ("reopened and changed", "same phone as reopened"),
    "00:04:F2:00:00:1A": ("reopened and cancelled", "same phone as cancelled"),
}
ONLY_SUBMITTED = {"00:04:F2:00:00:1E": ("runs a phone", "submitted with a phone that runs")}

# By location, of each payload that was released: the recipients that are asked, those that are not, and those that run
# with it. `carrier` is Carrier One, of all accounts here; `third` is suspended, `former` has no access any more.
ASKED, NOT_ASKED, RUNS = "asked", "not asked", "runs"
RECIPIENTS: dict[str, list[dict[str, set[str]]]] = {
    "released": [{ASKED: {"carrier", "second"}, NOT_ASKED: {"third"}}],
    "rejected": [{ASKED: {"carrier"}, NOT_ASKED: {"second", "third"}}],
    "withdrawn": [{NOT_ASKED: {"carrier", "second", "third"}}],
    "superseded": [
        {NOT_ASKED: {"carrier", "second", "third"}},
        {ASKED: {"carrier", "second"}, NOT_ASKED: {"third"}},
    ],
    "completed by hand": [
        {ASKED: {"carrier", "second"}, NOT_ASKED: {"third"}, RUNS: {"carrier", "second", "third"}},
    ],
    "completed by hand, reopened": [
        {NOT_ASKED: {"carrier", "second", "third"}, RUNS: {"carrier", "second", "third"}},
    ],
    "completed by hand, no partner": [{}],
    "acknowledged by two": [
        {ASKED: {"carrier"}, NOT_ASKED: {"second", "third"}, RUNS: {"carrier"}},
        {ASKED: {"second"}, NOT_ASKED: {"carrier", "third"}, RUNS: {"second"}},
    ],
    "acknowledged, next one released": [
        {ASKED: {"carrier"}, NOT_ASKED: {"second", "third"}, RUNS: {"carrier"}},
        {ASKED: {"carrier", "second"}, NOT_ASKED: {"third"}},
    ],
    "acknowledged by a suspended partner": [
        {ASKED: {"third"}, NOT_ASKED: {"carrier", "second"}, RUNS: {"third"}},
    ],
    "acknowledged by a former partner": [
        {ASKED: {"former"}, NOT_ASKED: {"carrier", "second", "third"}, RUNS: {"former"}},
    ],
    "answered by two": [{ASKED: {"carrier"}, NOT_ASKED: {"second", "third"}, RUNS: {"carrier"}}],
    "reopened and cancelled": [{ASKED: {"carrier"}, NOT_ASKED: {"second", "third"}, RUNS: {"carrier"}}],
    "loaded unaudited": [{ASKED: {"carrier"}, RUNS: {"carrier"}}],
}


@pytest.fixture(scope="module")
async def upgrade(bare_database: TestDatabase) -> subprocess.CompletedProcess[str]:
    """The command that migrated the database. Nobody connects to it afterwards, so that it can be copied."""
    await BEFORE.restore(bare_database.owner_url)
    return run("migrate", TURNUP_OWNER_DATABASE_URL=bare_database.owner_url)


@pytest.fixture(scope="module")
async def template(bare_database: TestDatabase, upgrade: object) -> str:
    """The name of the migrated database."""
    assert upgrade
    return bare_database.owner_url.partition("?")[0].rpartition("/")[2]


@pytest.fixture(scope="module")
async def upgraded(template: str) -> AsyncIterator[TestDatabase]:
    """A copy of the migrated database that no test changes."""
    async with own_database(template) as own:
        yield own


@pytest.fixture(scope="module")
async def definer(upgraded: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it that sees every row."""
    connection = await asyncpg.connect(upgraded.owner_url)
    await connection.execute("SET ROLE turnup_definer")
    yield connection
    await connection.close()


@pytest.fixture
async def client(template: str, home: Path) -> AsyncIterator[Client]:
    """A client of the app on a copy for this test alone. At the end the audit log explains all rows."""
    async with own_database(template) as own:
        async with served(own, home) as found:
            yield found
        await audit_log_is_complete(own)


def place(title: str) -> str:
    """The id of the location to which this happened."""
    found = BEFORE.location(title)
    assert found is not None
    return found


async def do(client: Client, mutation: str, who: str, /, select: str = "", **given: Any) -> Any:
    """Run a mutation; return its payload."""
    return (await client.ask(document(mutation, select), who, input=given)).data[mutation]


async def payloads_of(client: Client, title: str, who: str = LEAD) -> list[Any]:
    """The payloads of a location, in order."""
    query = """query($id: ID!) { location(id: $id) { status payloads {
        id sequence state live documentDigest receipts { id answer receivedBy { id } } } } }"""
    found = (await client.ask(query, who, id=place(title))).data["location"]["payloads"]
    return sorted(found, key=lambda each: each["sequence"])


async def test_the_command_prints_a_line_for_each_address_at_two_locations(
    upgrade: subprocess.CompletedProcess[str],
) -> None:
    assert (upgrade.returncode, upgrade.stderr) == (0, "")
    expected = [
        f"{code} {mac}: location {place(older)} keeps the address, location {place(younger)} has it too"
        for code, pairs in (("MAC_LIVE_TWICE", LIVE_TWICE), ("MAC_IN_USE", ONLY_SUBMITTED))
        for mac, (older, younger) in pairs.items()
    ]
    printed = upgrade.stdout.splitlines()
    assert [line for line in printed if line.startswith("MAC_")] == expected
    missing = [each.revision for each in known(MIGRATIONS) if each.revision >= "0010"]
    assert [line[:12] for line in printed if "applied" in line] == [f"{revision} applied" for revision in missing]


async def test_released_payloads_have_the_partners_of_the_account_and_those_that_answered(
    definer: asyncpg.Connection,
) -> None:
    users = {**{name: user for user, name in BEFORE.made["users"].items()}, "user-carrier": "carrier"}
    for title, expected in RECIPIENTS.items():
        rows = await definer.fetch(
            "SELECT p.sequence, p.state, r.user_id, r.required, r.live, r.waived_at, r.waived_by"
            " FROM turnup.provisioning_payload p LEFT JOIN turnup.payload_recipient r ON r.payload_id = p.id"
            " WHERE p.location_id = $1 ORDER BY p.sequence",
            place(title),
        )
        found: dict[int, dict[str, set[str]]] = {row["sequence"]: defaultdict(set) for row in rows}
        for row in rows:
            if row["user_id"] is not None:
                kind = ASKED if row["required"] else NOT_ASKED
                found[row["sequence"]][kind].add(users[row["user_id"]])
                if row["live"]:
                    found[row["sequence"]][RUNS].add(users[row["user_id"]])
                # Nobody waits for the receipts of the others once a payload is acknowledged, and no lead decided so.
                waived = row["state"] == "ACKNOWLEDGED" and not row["required"]
                assert ((row["waived_at"] is not None), row["waived_by"]) == (waived, None)
        assert list(found.values()) == expected, title


async def test_payloads_that_were_not_released_have_no_recipients(definer: asyncpg.Connection) -> None:
    found = await definer.fetch(
        "SELECT p.released_at IS NULL AS kept, count(r.id) AS recipients FROM turnup.provisioning_payload p"
        " LEFT JOIN turnup.payload_recipient r ON r.payload_id = p.id WHERE p.state = 'GENERATED' GROUP BY 1"
    )
    assert [tuple(row) for row in found] == [(True, 0)]


async def test_a_location_claims_its_submitted_content_and_its_live_payloads_and_the_older_hand_off_keeps_an_address(
    definer: asyncpg.Connection,
) -> None:
    wanted, held = defaultdict(set), defaultdict(set)
    for row in await definer.fetch(
        """SELECT l.id, l.status, l.live_payload_id, d.mac_address
           FROM turnup.location l JOIN turnup.device d ON d.location_id = l.id WHERE d.mac_address IS NOT NULL"""
    ):
        if row["status"] in CLAIMING:
            wanted[row["id"]].add(row["mac_address"])
    for row in await definer.fetch(
        """SELECT p.location_id, lower(replace(d ->> 'macAddress', ':', '')) AS mac FROM turnup.provisioning_payload p
           CROSS JOIN LATERAL jsonb_array_elements(p.document::jsonb -> 'devices') AS d WHERE p.live"""
    ):
        wanted[row["location_id"]].add(row["mac"])
    for row in await definer.fetch("SELECT location_id, mac FROM turnup.mac_claim"):
        held[row["location_id"]].add(row["mac"])
    missing = {
        (":".join(mac[at : at + 2] for at in range(0, 12, 2)).upper(), BEFORE.title(location))
        for location in wanted
        for mac in wanted[location] - held[location]
    }
    assert missing == {(mac, younger) for mac, (_, younger) in {**LIVE_TWICE, **ONLY_SUBMITTED}.items()}
    assert [location for location in held if held[location] - wanted[location]] == []


async def test_of_payloads_that_were_completed_by_hand_the_last_is_live_even_without_recipients(
    definer: asyncpg.Connection,
) -> None:
    for title in ("completed by hand", "completed by hand, reopened", "completed by hand, no partner"):
        found = await definer.fetch("SELECT live FROM turnup.provisioning_payload WHERE location_id = $1", place(title))
        assert [row["live"] for row in found] == [True], title


async def test_no_payload_changed_later_than_its_time_says(definer: asyncpg.Connection) -> None:
    wrong = await definer.fetch(
        """SELECT p.id, p.updated_at, max(e.occurred_at) AS changed FROM turnup.provisioning_payload p
           JOIN turnup.field_change c ON c.table_name = 'provisioning_payload' AND c.row_id = p.id
           JOIN turnup.audit_entry e ON e.id = c.entry_id
           WHERE c.field IN ('id', 'state', 'released_at', 'superseded_by') AND e.action NOT IN ('MIGRATE', 'ERASE')
           GROUP BY p.id HAVING max(e.occurred_at) > p.updated_at + interval '1 second'"""
    )
    assert [dict(row) for row in wrong] == []


async def test_the_audit_log_has_what_the_migration_changed_and_an_unaudited_account_is_still_skipped(
    upgraded: TestDatabase, definer: asyncpg.Connection
) -> None:
    loaded = BEFORE.made["loaded"]
    await audit_log_is_complete(upgraded)
    assert (await replay(upgraded.owner_url)).skipped == (loaded,)
    chains = await definer.fetch("SELECT DISTINCT chain FROM turnup.audit_entry WHERE action = 'MIGRATE' ORDER BY 1")
    assert [row["chain"] for row in chains] == ["account-1", "account-2", "account-3", loaded, "system"]
    assert await definer.fetchval("SELECT count(*) FROM turnup.audit_entry WHERE number IS NULL") == 0


async def test_migrating_again_changes_nothing_and_prints_the_revision(
    upgraded: TestDatabase, definer: asyncpg.Connection
) -> None:
    count = "SELECT count(*) FROM turnup.field_change"
    before = await definer.fetchval(count)
    again = run("migrate", TURNUP_OWNER_DATABASE_URL=upgraded.owner_url)
    newest = newest_revision()
    here = f"the database is at revision {newest}; the newest of this version is {newest}\n"
    assert (again.returncode, again.stdout, again.stderr) == (0, here, "")
    assert await definer.fetchval(count) == before


async def test_the_migration_leaves_no_working_tables_and_no_rights(definer: asyncpg.Connection) -> None:
    strange = await definer.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'turnup'::regnamespace AND relkind = 'r'"
        " AND relowner <> 'turnup_owner'::regrole"
    )
    assert [row["relname"] for row in strange] == []
    assert not await definer.fetchval("SELECT has_schema_privilege('turnup_definer', 'turnup', 'CREATE')")


async def test_documents_of_any_size_are_migrated_in_parts(upgraded: TestDatabase) -> None:
    async with own_database("template1") as own:
        await BEFORE.restore(own.owner_url)
        owner = await asyncpg.connect(own.owner_url)
        async with owner.transaction():
            await owner.execute("SET LOCAL ROLE turnup_definer")
            await owner.execute("SELECT set_config('turnup.unaudited', 'on', true)")
            await owner.execute(
                """UPDATE turnup.provisioning_payload
                   SET document = (document::jsonb || jsonb_build_object('filler', repeat('x', 3000000)))::text
                   WHERE document LIKE '{%"devices"%'"""
            )
        await migrate(own.owner_url)
        await owner.execute("SET ROLE turnup_definer")
        counts = [[tuple(row) for row in await owner.fetch(query)] for query in (RECIPIENT_ROWS, CLAIM_ROWS)]
        entries = await owner.fetchval("SELECT count(*) FROM turnup.audit_entry WHERE action = 'MIGRATE'")
        await owner.close()
    assert entries > 10  # one per account and part
    definer = await asyncpg.connect(upgraded.owner_url)
    await definer.execute("SET ROLE turnup_definer")
    expected = [[tuple(row) for row in await definer.fetch(query)] for query in (RECIPIENT_ROWS, CLAIM_ROWS)]
    await definer.close()
    assert counts == expected


RECIPIENT_ROWS = "SELECT payload_id, user_id, required, live FROM turnup.payload_recipient ORDER BY 1, 2"
CLAIM_ROWS = "SELECT mac, location_id FROM turnup.mac_claim ORDER BY 1"


async def test_a_partner_repeats_its_answer_and_gets_its_own_receipt(client: Client) -> None:
    (payload,) = await payloads_of(client, "answered by two")
    (receipt,) = payload["receipts"]
    given = {"payloadId": payload["id"], "documentDigest": payload["documentDigest"]}
    select = "payload { state } receipt { id }"
    first = await do(client, "acknowledgePayload", PARTNER, select, **given, idempotencyKey="in-flight-first")
    assert first == {
        "payload": {"state": "ACKNOWLEDGED"},
        "receipt": {"id": receipt["id"]},
        "replayed": True,
        "problems": [],
    }
    # The other partner was given the receipt of the first. Now it gets its own.
    second = await do(client, "acknowledgePayload", SECOND, select, **given, idempotencyKey="in-flight-second")
    assert (second["problems"], second["replayed"]) == ([], False)
    assert second["receipt"]["id"] != receipt["id"]
    (payload,) = await payloads_of(client, "answered by two")
    assert len(payload["receipts"]) == 2
    assert payload["live"]


async def test_other_calls_under_way_are_answered_as_they_were(client: Client) -> None:
    (rejected,) = await payloads_of(client, "rejected")
    reasons = [{"path": "/users/0", "code": "UNKNOWN_PERSON", "message": "Ida Frost 1 is not known here."}]
    calls = {
        "rejectPayload": (PARTNER, {"payloadId": rejected["id"], "reasons": reasons, "idempotencyKey": "reject-1"}),
        "block": (
            LEAD,
            {
                "locationId": place("withdrawn"),
                "reason": "Ida Frost 2 has asked to wait.",
                "idempotencyKey": "block-1",
            },
        ),
        "reopen": (
            LEAD,
            {
                "locationId": place("completed by hand, reopened"),
                "reason": "The site moves.",
                "idempotencyKey": "reopen-1",
            },
        ),
    }
    for mutation, (who, given) in calls.items():
        answer = await do(client, mutation, who, **given)
        assert (answer["problems"], answer["replayed"]) == ([], True), mutation


async def test_a_payload_released_before_waits_for_all_active_partners(client: Client) -> None:
    (payload,) = await payloads_of(client, "released")
    given = {"payloadId": payload["id"], "documentDigest": payload["documentDigest"]}
    assert await awaited(client, SECOND) >= {payload["id"]}
    for who, state in ((PARTNER, "RELEASED"), (SECOND, "ACKNOWLEDGED")):
        answer = await do(
            client, "acknowledgePayload", who, "payload { state live }", **given, idempotencyKey=f"after-{who}"
        )
        assert answer["payload"] == {"state": state, "live": True}
    assert payload["id"] not in await awaited(client, LEAD)


async def test_nobody_is_asked_for_old_receipts(client: Client) -> None:
    waiting = {"released", "superseded", "acknowledged, next one released", "completed by hand"}
    rows = (await client.ask(AWAITED, LEAD)).data["provisioningPayloads"]["nodes"]
    titles = {BEFORE.title(each["locationId"]) for each in rows}
    assert titles == {*waiting, "location-5"}


async def test_an_earlier_payload_can_no_longer_be_acknowledged_once_a_later_one_was_released(client: Client) -> None:
    first, _ = await payloads_of(client, "acknowledged, next one released")
    given = {"payloadId": first["id"], "documentDigest": first["documentDigest"], "idempotencyKey": "late"}
    answer = await do(client, "acknowledgePayload", SECOND, **given)
    assert [each["code"] for each in answer["problems"]] == ["PAYLOAD_SUPERSEDED"]


@pytest.mark.parametrize("mac", LIVE_TWICE)
async def test_after_the_younger_location_is_decommissioned_the_older_is_handed_off_again(
    client: Client, mac: str
) -> None:
    older, younger = LIVE_TWICE[mac]
    for title in (older, younger):
        assert "MAC_LIVE_TWICE" in await findings(client, title)
    (payload,) = await payloads_of(client, younger)
    reason = "The phone is at the other site."
    answer = await do(client, "confirmDecommission", LEAD, payloadId=payload["id"], onBehalfOf=ALL, reason=reason)
    assert answer["problems"] == []
    for title in (older, younger):
        assert "MAC_LIVE_TWICE" not in await findings(client, title)
    await hand_off_again(client, older)


@pytest.mark.parametrize("mac", LIVE_TWICE)
async def test_the_older_location_is_handed_off_again_while_both_are_live_and_the_younger_takes_over_when_it_ends(
    client: Client, mac: str
) -> None:
    older, younger = LIVE_TWICE[mac]
    await hand_off_again(client, older)
    for payload in await payloads_of(client, older):
        if payload["live"]:
            ended = await do(
                client,
                "confirmDecommission",
                LEAD,
                payloadId=payload["id"],
                onBehalfOf=ALL,
                reason="The site is closed.",
            )
            assert ended["problems"] == []
    assert "MAC_LIVE_TWICE" not in await findings(client, younger)


@pytest.mark.parametrize("title", ["completed by hand, no partner", "completed by hand, reopened"])
async def test_a_lead_ends_what_was_completed_by_hand(client: Client, title: str) -> None:
    (payload,) = await payloads_of(client, title)
    assert payload["live"]
    answer = await do(
        client, "confirmDecommission", LEAD, payloadId=payload["id"], onBehalfOf=ALL, reason="The site is closed."
    )
    assert answer["problems"] == []
    assert [each["live"] for each in await payloads_of(client, title)] == [False]


async def test_what_is_due_for_erasure_stays_until_its_last_recipient_runs_with_it_no_more(client: Client) -> None:
    first, second = await payloads_of(client, "erased")
    pool = await Database.open(client.database.app_url, size=1)
    try:
        assert (first["live"], second["live"]) == (True, True)
        assert await erase_what_is_due(pool) == 0
        answer = await do(client, "confirmDecommission", SECOND, payloadId=second["id"])
        assert answer["problems"] == []
        assert await erase_what_is_due(pool) == 1
    finally:
        await pool.close()
    # The document of the first payload was erased before; the partner still says when it runs with it no more.
    answer = await do(client, "confirmDecommission", PARTNER, payloadId=first["id"])
    assert answer["problems"] == []
    assert [each["live"] for each in await payloads_of(client, "erased")] == [False, False]


AWAITED = """query {
    provisioningPayloads(first: 50, filter: {awaitingReceipt: true}) { nodes { id locationId } } }"""


async def awaited(client: Client, who: str) -> set[str]:
    """The payloads whose receipts are awaited, for this user."""
    return {each["id"] for each in (await client.ask(AWAITED, who)).data["provisioningPayloads"]["nodes"]}


async def findings(client: Client, title: str) -> set[str]:
    """The codes of a location's findings."""
    query = "query($id: ID!) { location(id: $id) { readiness { code } } }"
    return {each["code"] for each in (await client.ask(query, LEAD, id=place(title))).data["location"]["readiness"]}


async def hand_off_again(client: Client, title: str) -> None:
    """Take a location along the path until all required recipients acknowledged a new payload."""
    query = "query($id: ID!) { location(id: $id) { status contentDigest } }"

    async def now() -> Any:
        return (await client.ask(query, LEAD, id=place(title))).data["location"]

    named = {"locationId": place(title)}
    if (await now())["status"] == "CANCELLED":
        assert (await do(client, "reopen", LEAD, **named, reason="The site opens again."))["problems"] == []
    if (await now())["status"] == "IN_PROGRESS":
        assert (await do(client, "submitOnboarding", LEAD, **named))["problems"] == []
    digest = (await now())["contentDigest"]
    assert (await do(client, "approve", LEAD_2, **named, expectedDigest=digest))["problems"] == []
    for mutation in ("generatePayload", "triggerProvisioning"):
        assert (await do(client, mutation, LEAD, **named, idempotencyKey=f"again-{mutation}"))["problems"] == []
    payload = (await payloads_of(client, title))[-1]
    given = {"payloadId": payload["id"], "documentDigest": payload["documentDigest"], "idempotencyKey": "again"}
    for who in (PARTNER, SECOND):
        assert (await do(client, "acknowledgePayload", who, **given))["problems"] == []
    assert (await now())["status"] == "COMPLETED"
