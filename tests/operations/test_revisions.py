"""Two writers: whoever comes second is told, nobody is overwritten unseen; what PostgreSQL gives up is tried again."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import Index, UniqueConstraint

from app.db.tables import approval, extension, onboarding_session, override, provisioning_payload, receipt
from app.domain.vocabulary import LocationStatus
from app.operations.persistence import SECTION_OF_TABLE
from tests.harness import TestDatabase, first_row
from tests.lanes import scaled

from .edits import EDITS
from .scenario import Rollout, Scenario, Sent, a_key

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
# The constraints that concurrent changes can violate, and the problem of each.
NAMED = {
    "uq_approval_pending": "CONFLICT",
    "uq_onboarding_session_open": "CONFLICT",
    "uq_provisioning_payload_location_id_sequence": "CONFLICT",
    "uq_receipt_payload_id_received_by": "CONFLICT",
    "uq_override_open": "OVERRIDE_SCOPE",
    "uq_contact_location_id_position": "CONFLICT",
    "uq_extension_device_id": "CONFLICT",
    "fk_extension_device_location_id": "CONFLICT",
    "fk_extension_person_location_id": "CONFLICT",
    "uq_call_flow_option_location_id_position": "CONFLICT",
}
REVISED = sorted(mutation for mutation in EDITS if mutation not in {"setCurrentStep", "addDevice", "addPerson"})


async def race(scenario: Scenario, location: Rollout, revision: int) -> None:
    """Two people write to one device from the same revision."""
    sent = await asyncio.gather(
        *(
            scenario.send(who, "editDevice", "device { label revision }", **given)
            for who in (scenario.customer, scenario.clerk)
            for given in [{"deviceId": location.device, "expectedRevision": revision, "label": f"{who} {revision}"}]
        )
    )
    assert sorted(each.outcome for each in sent) == ["CONFLICT", "DONE"]
    (won,) = [each for each in sent if each.outcome == "DONE"]
    (lost,) = [each for each in sent if each.outcome == "CONFLICT"]
    assert (lost.problem["currentRevision"], lost.problem["path"]) == (revision + 1, ["expectedRevision"])
    stored = await first_row(
        scenario.connection, "SELECT label, revision FROM turnup.device WHERE id = $1", location.device
    )
    assert dict(stored) == won.payload["device"]


@pytest.mark.parametrize("rounds", [60, pytest.param(scaled(100), marks=pytest.mark.slow)])
async def test_of_two_concurrent_writers_to_an_object_one_gets_a_conflict(scenario: Scenario, rounds: int) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    for revision in range(1, rounds + 1):
        await race(scenario, location, revision)


@pytest.mark.parametrize("mutation", REVISED)
async def test_an_edit_from_an_older_revision_conflicts_and_writes_nothing(scenario: Scenario, mutation: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    before = await scenario.state_of(location.id)
    for stale in (0, 2, -1, 2**31 - 1):
        given = {**EDITS[mutation](location), "expectedRevision": stale}
        sent = await scenario.send(scenario.customer, mutation, **given)
        assert (sent.outcome, sent.problem["currentRevision"]) == ("CONFLICT", 1)
    assert await scenario.state_of(location.id) == before


async def test_two_clerks_on_two_devices_do_not_conflict(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS, macs=["805ec0f00001", "805ec0f00002"])
    for revision in range(1, 6):
        sent = await asyncio.gather(
            *(
                scenario.send(who, "editDevice", deviceId=device, expectedRevision=revision, label=f"Desk {revision}")
                for who, device in ((scenario.customer, location.device), (scenario.clerk, f"{location.device}-2"))
            )
        )
        assert [each.outcome for each in sent] == ["DONE", "DONE"]
    assert (await scenario.revisions(location.id))["DEVICES"] == 11
    assert (await scenario.state_of(location.id)).revision == 11


@pytest.mark.parametrize("mutation", ["setContacts", "setExtensions", "setWorkingHours", "setCallFlow"])
async def test_two_clerks_on_one_list_conflict(scenario: Scenario, mutation: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    sent = await asyncio.gather(
        *(scenario.send(who, mutation, **EDITS[mutation](location)) for who in (scenario.customer, scenario.clerk))
    )
    assert sorted(each.outcome for each in sent) == ["CONFLICT", "DONE"]


async def test_lists_of_different_sections_do_not_conflict(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    lists = ("setContacts", "setExtensions", "setWorkingHours", "setCallFlow", "setPhoneSystem", "updateLocation")
    sent = await asyncio.gather(*(scenario.send(scenario.customer, each, **EDITS[each](location)) for each in lists))
    assert [each.outcome for each in sent] == ["DONE"] * len(lists)
    assert (await scenario.state_of(location.id)).revision == 1 + len(lists)


async def test_a_childs_change_moves_its_sections_and_its_locations_revision(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    before = await scenario.revisions(location.id)
    await scenario.send(scenario.customer, "editPerson", personId=location.person, expectedRevision=1, lastName="Moved")
    after = await scenario.revisions(location.id)
    assert {name: number for name, number in after.items() if before[name] != number} == {
        "PEOPLE": 2,
        location.person: 2,
    }
    assert (await scenario.state_of(location.id)).revision == 2


async def test_removing_a_device_leaves_its_extension_and_counts_both_sections(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    await scenario.send(scenario.customer, "removeDevice", deviceId=location.device, expectedRevision=1)
    after = await scenario.revisions(location.id)
    assert (after["DEVICES"], after["EXTENSIONS"], after[location.extension]) == (2, 2, 2)
    assert location.device not in after


async def test_what_a_constraint_refuses_is_a_problem_and_no_bug(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    """Rows that no unit of work writes, so that the constraints refuse them."""
    draft = await scenario.a_location(S.IN_PROGRESS)
    pending = await scenario.a_location(S.PENDING_APPROVAL)
    async with scenario.arranging():
        await scenario.connection.execute(
            "UPDATE turnup.approval SET location_id = $1 WHERE location_id = $2", draft.id, pending.id
        )
    sent = await scenario.send(scenario.customer, "submitOnboarding", locationId=draft.id)
    assert (sent.outcome, sent.problem["currentRevision"]) == ("CONFLICT", 1)
    released = await scenario.a_location(S.PROVISIONING)
    answer = {"documentDigest": released.payload_digest, "idempotencyKey": a_key()}
    row = ("receipt", f"NEW.payload_id = '{released.payload}'")
    how = "ERRCODE = 'unique_violation', CONSTRAINT = 'uq_receipt_payload_id_received_by'"
    async with refusing(own_database, *row, when="at the statement", event="INSERT", how=how):
        sent = await scenario.send(scenario.partner, "acknowledgePayload", payloadId=released.payload, **answer)
    assert sent.outcome == "CONFLICT"
    assert (await scenario.state_of(released.id)).status == S.PROVISIONING


DEFERRED = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"


@asynccontextmanager
async def refusing(
    database: TestDatabase,
    table: str,
    condition: str,
    *,
    when: str,
    event: str = "UPDATE",
    times: int = 1000,
    how: str = "ERRCODE = 'deadlock_detected'",
) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """PostgreSQL refuses the next transactions that write such a row; yields how to count them.

    It does so "at the statement"; "at the end", when deferred constraints are checked; or "at the commit" and not
    before, by a check that comes up as others are made. A sequence counts, for no rollback takes its numbers back.
    """
    name = f"turnup.refusing_{secrets.token_hex(6)}"
    row = f"{event} ON turnup.{table}"
    triggers = {
        "at the statement": [
            f"TRIGGER refusing BEFORE {row} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {name}()"
        ],
        "at the end": [
            f"CONSTRAINT TRIGGER refusing AFTER {row} {DEFERRED} WHEN ({condition}) EXECUTE FUNCTION {name}()"
        ],
        "at the commit": [
            f"CONSTRAINT TRIGGER refusing AFTER {row} {DEFERRED} WHEN ({condition}) EXECUTE FUNCTION {name}_later()",
            f"CONSTRAINT TRIGGER refusing AFTER INSERT ON {name}_again {DEFERRED} EXECUTE FUNCTION {name}()",
        ],
    }
    owner = await asyncpg.connect(database.owner_url)
    for statement in (
        f"CREATE SEQUENCE {name}_count",
        f"CREATE TABLE {name}_again (row text)",
        f"GRANT ALL ON {name}_count, {name}_again TO PUBLIC",
        f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('{name}_count') <= {times} THEN RAISE EXCEPTION 'refused' USING {how}; END IF;
            RETURN NEW; END $$""",
        f"""CREATE FUNCTION {name}_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            SET CONSTRAINTS ALL DEFERRED; INSERT INTO {name}_again VALUES (''); RETURN NULL; END $$""",
        *(f"CREATE {trigger}" for trigger in triggers[when]),
    ):
        await owner.execute(statement)

    async def made() -> int:
        row = await first_row(owner, f"SELECT last_value, is_called FROM {name}_count")
        return int(row["last_value"]) if row["is_called"] else 0

    try:
        yield made
    finally:
        for statement in (
            f"DROP TRIGGER refusing ON turnup.{table}",
            f"DROP TABLE {name}_again",
            f"DROP FUNCTION {name}, {name}_later",
            f"DROP SEQUENCE {name}_count",
        ):
            await owner.execute(statement)
        await owner.close()


@pytest.mark.parametrize("when", ["at the statement", "at the end"])
@pytest.mark.parametrize("code", ["deadlock_detected", "serialization_failure"])
@pytest.mark.parametrize(("times", "tries", "outcome"), [(1, 2, "DONE"), (2, 3, "DONE"), (3, 3, "OVERLOADED")])
async def test_a_transaction_aborted_before_commit_is_attempted_at_most_three_times(
    scenario: Scenario, own_database: TestDatabase, when: str, code: str, times: int, tries: int, outcome: str
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    before = await scenario.state_of(location.id)
    row = ("device", f"OLD.id = '{location.device}'")
    async with refusing(own_database, *row, when=when, how=f"ERRCODE = '{code}'", times=times) as made:
        sent: Sent = await scenario.send(
            scenario.customer, "editDevice", deviceId=location.device, expectedRevision=1, label="At last"
        )
        assert (sent.outcome, await made()) == (outcome, tries)
    after = await scenario.state_of(location.id)
    if outcome == "DONE":
        assert (after.revision, after.entries) == (before.revision + 1, before.entries + 1)
    else:
        assert (after, sent.error["extensions"]["outcome"]) == (before, "NONE")


@pytest.mark.parametrize("name", sorted(NAMED))
async def test_what_a_deferred_constraint_refuses_is_told_by_its_name_and_written_nowhere(
    scenario: Scenario, own_database: TestDatabase, name: str
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    before = await scenario.state_of(location.id)
    how = f"ERRCODE = 'unique_violation', CONSTRAINT = '{name}'"
    async with refusing(own_database, "device", f"OLD.id = '{location.device}'", when="at the end", how=how) as made:
        sent = await scenario.send(scenario.customer, "editDevice", **EDITS["editDevice"](location))
        assert (sent.outcome, await made()) == (NAMED[name], 1)
    assert await scenario.state_of(location.id) == before


@pytest.mark.parametrize(
    "how", ["ERRCODE = 'check_violation', CONSTRAINT = 'ck_nobody_named'", "ERRCODE = 'AU001'", "ERRCODE = 'AU002'"]
)
async def test_what_only_a_bug_of_ours_can_violate_is_internal_and_leaves_nothing(
    scenario: Scenario, own_database: TestDatabase, how: str
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    before = await scenario.state_of(location.id)
    async with refusing(own_database, "device", f"OLD.id = '{location.device}'", when="at the end", how=how) as made:
        sent = await scenario.send(scenario.customer, "editDevice", **EDITS["editDevice"](location))
        assert (sent.outcome, sent.error["extensions"]["outcome"], await made()) == ("INTERNAL", "NONE", 1)
    assert await scenario.state_of(location.id) == before


def test_every_constraint_that_a_writer_beside_the_frame_could_break_is_named() -> None:
    unique = {
        str(each.name)
        for table in (*SECTION_OF_TABLE, approval, onboarding_session, override, provisioning_payload, receipt)
        for each in (*table.constraints, *table.indexes)
        if (isinstance(each, UniqueConstraint) or (isinstance(each, Index) and each.unique))
        and "id" not in each.columns
    }
    held_by_extensions = {str(each.name) for each in extension.foreign_key_constraints if each.deferrable}
    assert set(NAMED) == unique | held_by_extensions


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("ERRCODE = 'deadlock_detected'", "OVERLOADED"),
        ("ERRCODE = 'serialization_failure'", "OVERLOADED"),
        ("ERRCODE = 'query_canceled'", "TIMEOUT"),
        ("ERRCODE = 'AU002'", "INTERNAL"),
    ],
)
@pytest.mark.parametrize("kind", ["edit", "bulk", "administration"])
async def test_a_transaction_refused_at_commit_is_reported_as_not_applied_and_not_retried(
    scenario: Scenario, own_database: TestDatabase, kind: str, how: str, outcome: str
) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    name = f"Elm {secrets.token_hex(4)}"
    mutation, given, table, condition, event = {
        "edit": ("editDevice", EDITS["editDevice"](location), "device", f"OLD.id = '{location.device}'", "UPDATE"),
        "bulk": (
            "bulkUpdateStatus",
            {"status": "BLOCKED", "reason": "A flood", "locationIds": [location.id], "idempotencyKey": a_key()},
            "location",
            f"OLD.id = '{location.id}'",
            "UPDATE",
        ),
        "administration": ("createAccount", {"name": name}, "account", f"NEW.name = '{name}'", "INSERT"),
    }[kind]
    before = await scenario.state_of(location.id)
    async with refusing(own_database, table, condition, event=event, when="at the commit", how=how) as made:
        sent = await scenario.send(scenario.lead, mutation, **given)
        assert (sent.outcome, sent.error["extensions"]["outcome"], await made()) == (outcome, "NONE", 1)
    accounts = await scenario.connection.fetchval("SELECT count(*) FROM turnup.account WHERE name = $1", name)
    assert (await scenario.state_of(location.id), accounts) == (before, 0)
    assert (await scenario.send(scenario.lead, mutation, **given)).outcome == "DONE"
