"""Two writers: whoever comes second is told, nobody is overwritten unseen; what PostgreSQL gives up is tried again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from harness import TestDatabase

from app.domain.vocabulary import LocationStatus

from .edits import EDITS
from .house import House, Rollout, Sent, a_key

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
REVISED = sorted(mutation for mutation in EDITS if mutation not in {"setCurrentStep", "addDevice", "addPerson"})


async def race(house: House, location: Rollout, revision: int) -> None:
    """Two people write to one device from the same revision."""
    sent = await asyncio.gather(
        *(
            house.send(who, "editDevice", "device { label revision }", **given)
            for who in (house.customer, house.clerk)
            for given in [{"deviceId": location.device, "expectedRevision": revision, "label": f"{who} {revision}"}]
        )
    )
    assert sorted(each.outcome for each in sent) == ["CONFLICT", "DONE"]
    (won,) = [each for each in sent if each.outcome == "DONE"]
    (lost,) = [each for each in sent if each.outcome == "CONFLICT"]
    assert (lost.problem["currentRevision"], lost.problem["path"]) == (revision + 1, ["expectedRevision"])
    stored = await house.connection.fetchrow("SELECT label, revision FROM turnup.device WHERE id = $1", location.device)
    assert dict(stored) == won.payload["device"]


@pytest.mark.parametrize("rounds", [60, pytest.param(300, marks=pytest.mark.slow)])
async def test_of_two_writers_to_one_object_one_is_told_of_the_other(house: House, rounds: int) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    for revision in range(1, rounds + 1):
        await race(house, location, revision)


@pytest.mark.parametrize("mutation", REVISED)
async def test_an_edit_from_an_older_revision_conflicts_and_writes_nothing(house: House, mutation: str) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    before = await house.standing(location.id)
    for stale in (0, 2, -1, 2**31 - 1):
        given = {**EDITS[mutation](location), "expectedRevision": stale}
        sent = await house.send(house.customer, mutation, **given)
        assert (sent.outcome, sent.problem["currentRevision"]) == ("CONFLICT", 1)
    assert await house.standing(location.id) == before


async def test_two_clerks_on_two_devices_do_not_conflict(house: House) -> None:
    location = await house.a_location(S.IN_PROGRESS, macs=["805ec0f00001", "805ec0f00002"])
    for revision in range(1, 6):
        sent = await asyncio.gather(
            *(
                house.send(who, "editDevice", deviceId=device, expectedRevision=revision, label=f"Desk {revision}")
                for who, device in ((house.customer, location.device), (house.clerk, f"{location.device}-2"))
            )
        )
        assert [each.outcome for each in sent] == ["DONE", "DONE"]
    assert (await house.revisions(location.id))["DEVICES"] == 11
    assert (await house.standing(location.id)).revision == 11


@pytest.mark.parametrize("mutation", ["setContacts", "setExtensions", "setWorkingHours", "setCallFlow"])
async def test_two_clerks_on_one_list_conflict(house: House, mutation: str) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    sent = await asyncio.gather(
        *(house.send(who, mutation, **EDITS[mutation](location)) for who in (house.customer, house.clerk))
    )
    assert sorted(each.outcome for each in sent) == ["CONFLICT", "DONE"]


async def test_lists_of_different_sections_do_not_conflict(house: House) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    lists = ("setContacts", "setExtensions", "setWorkingHours", "setCallFlow", "setPhoneSystem", "updateLocation")
    sent = await asyncio.gather(*(house.send(house.customer, each, **EDITS[each](location)) for each in lists))
    assert [each.outcome for each in sent] == ["DONE"] * len(lists)
    assert (await house.standing(location.id)).revision == 1 + len(lists)


async def test_a_childs_change_moves_its_sections_and_its_locations_revision(house: House) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    before = await house.revisions(location.id)
    await house.send(house.customer, "editPerson", personId=location.person, expectedRevision=1, lastName="Moved")
    after = await house.revisions(location.id)
    assert {name: number for name, number in after.items() if before[name] != number} == {
        "PEOPLE": 2,
        location.person: 2,
    }
    assert (await house.standing(location.id)).revision == 2


async def test_removing_a_device_leaves_its_extension_and_counts_both_sections(house: House) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    await house.send(house.customer, "removeDevice", deviceId=location.device, expectedRevision=1)
    after = await house.revisions(location.id)
    assert (after["DEVICES"], after["EXTENSIONS"], after[location.extension]) == (2, 2, 2)
    assert location.device not in after


async def test_what_a_constraint_refuses_is_a_problem_and_no_bug(house: House) -> None:
    """Rows that no frame would write, so that the rule of last resort speaks."""
    draft = await house.a_location(S.IN_PROGRESS)
    pending = await house.a_location(S.PENDING_APPROVAL)
    async with house.arranging():
        await house.connection.execute(
            "UPDATE turnup.approval SET location_id = $1 WHERE location_id = $2", draft.id, pending.id
        )
    sent = await house.send(house.customer, "submitOnboarding", locationId=draft.id)
    assert (sent.outcome, sent.problem["currentRevision"]) == ("CONFLICT", 1)
    released = await house.a_location(S.PROVISIONING)
    async with house.arranging():
        await house.connection.execute(
            "INSERT INTO turnup.receipt (id, account_id, location_id, payload_id, kind, document_digest, received_by)"
            " VALUES ($1, $2, $3, $4, 'ACKNOWLEDGED', '', $5)",
            f"receipt-{released.id}",
            house.account,
            released.id,
            released.payload,
            house.partner,
        )
    answer = {"documentDigest": released.payload_digest, "idempotencyKey": a_key()}
    sent = await house.send(house.partner, "acknowledgePayload", payloadId=released.payload, **answer)
    assert sent.outcome == "CONFLICT"
    assert (await house.standing(released.id)).status == S.PROVISIONING


@asynccontextmanager
async def given_up(database: TestDatabase, device: str, *, times: int, when: str) -> AsyncIterator[asyncpg.Connection]:
    """PostgreSQL gives up the next transactions that write a device: at the statement, or only at the COMMIT.

    The sequence counts the attempts, for no rollback takes its numbers back.
    """
    name = f"giving_up_{abs(hash(device))}"
    timing = {
        "statement": f"CREATE TRIGGER {name} BEFORE UPDATE ON turnup.device FOR EACH ROW",
        "commit": f"CREATE CONSTRAINT TRIGGER {name} AFTER UPDATE ON turnup.device DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW",
    }[when]
    owner = await asyncpg.connect(database.owner_url)
    for statement in (
        f"CREATE SEQUENCE turnup.{name} START 1",
        f"GRANT USAGE ON SEQUENCE turnup.{name} TO PUBLIC",
        f"""CREATE FUNCTION turnup.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('turnup.{name}') <= {times} THEN
                RAISE EXCEPTION 'given up' USING ERRCODE = 'deadlock_detected';
            END IF;
            RETURN NEW; END $$""",
        f"{timing} WHEN (OLD.id = '{device}') EXECUTE FUNCTION turnup.{name}()",
    ):
        await owner.execute(statement)
    yield owner
    for statement in (
        f"DROP TRIGGER {name} ON turnup.device",
        f"DROP FUNCTION turnup.{name}",
        f"DROP SEQUENCE turnup.{name}",
    ):
        await owner.execute(statement)
    await owner.close()


async def attempts(owner: asyncpg.Connection, location: Rollout) -> int:
    name = f"giving_up_{abs(hash(location.device))}"
    return int(await owner.fetchval(f"SELECT last_value FROM turnup.{name}"))


@pytest.mark.parametrize(
    ("when", "times", "made", "outcome"),
    [
        ("statement", 1, 2, "DONE"),
        ("statement", 2, 3, "DONE"),
        ("statement", 3, 3, "OVERLOADED"),
        ("commit", 1, 1, "INTERNAL"),
    ],
)
async def test_a_transaction_that_was_given_up_is_made_again_three_times_at_most_and_never_after_its_commit(
    house: House, own_database: TestDatabase, when: str, times: int, made: int, outcome: str
) -> None:
    location = await house.a_location(S.IN_PROGRESS)
    before = await house.standing(location.id)
    async with given_up(own_database, location.device, times=times, when=when) as owner:
        sent: Sent = await house.send(
            house.customer, "editDevice", deviceId=location.device, expectedRevision=1, label="At last"
        )
        assert (sent.outcome, await attempts(owner, location)) == (outcome, made)
    after = await house.standing(location.id)
    if outcome == "DONE":
        assert (after.revision, after.entries) == (before.revision + 1, before.entries + 1)
    else:
        assert after == before
