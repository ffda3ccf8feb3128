"""A person who asked for it is gone from history, and the chain stays whole."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import Table

from app.audit.erasure import Erased, NotErased, erase_person, erase_reason
from app.audit.history import as_of
from app.audit.replay import _scratch, replay
from app.audit.verify import snapshot, verify
from app.db import demo, tables
from app.db.content_columns import CELLS
from app.db.database import Database
from app.domain.content_document import content_document
from app.domain.digest import content_digest
from app.operations.housekeeping import erase_what_is_due
from tests.harness import LEAD, by_token, first_row
from tests.harness import TestDatabase as Databases
from tests.oracle import audit_log_is_complete

from .trail import definer, enter, run

PERSON, CONTACT, LOCATION, USER = "person-1", "contact-1", "location-1", "user-acme"
NAMES = {"Dana", "Cole", "dana@acme.example"}


async def everything(place: Databases) -> str:
    """Every text in the database, as one."""
    async with definer(place.owner_url) as connection:
        rows = [
            row["text"]
            for table in tables.metadata.sorted_tables
            for row in await connection.fetch(f'SELECT t::text AS text FROM turnup."{table.name}" t')
        ]
    return "\n".join(rows)


async def approved_and_provisioned(place: Databases) -> None:
    """Location 1 with an approval, a payload that was superseded, one that was rejected, and the live one."""
    content = demo.example()
    async with definer(place.owner_url, system="ARRANGE") as connection:
        await connection.execute(
            """INSERT INTO turnup.approval (id, account_id, location_id, location_revision, digest, content,
                                            requested_by, status, decided_by, decided_at)
               VALUES ('approval-1', 'account-1', $1, 1, $2, $3::text::jsonb, 'user-acme', 'APPROVED', 'user-lead',
                       now())""",
            LOCATION,
            content_digest(content),
            json.dumps(content_document(content)),
        )
        for number, state in enumerate(("SUPERSEDED", "REJECTED", "ACKNOWLEDGED", "GENERATED"), start=1):
            await a_payload(connection, number, state, a_document(number))
        await made_live(connection, 3)


def a_document(number: int) -> str:
    """A payload's document as it is stored."""
    return json.dumps(
        {
            "sequence": number,
            "users": [{"id": PERSON, "firstName": "Dana", "lastName": "Cole"}],
            "contacts": {"primary": {"name": "Alice Johnson"}},
        },
        ensure_ascii=False,
    )


ERASED = '{"erased": true}'
ALICE = {"name": "Alice Johnson", "email": "alice@example.com", "phone": "+1-555-0101"}


def a_contact_s_document(number: int, contact: dict[str, str] | None) -> str:
    """A payload's document with one contact or none, and a label that some contact is called by."""
    return json.dumps({"sequence": number, "contacts": {"primary": contact}, "devices": [{"label": "Reception"}]})


async def a_payload(connection: Any, number: int, state: str, document: str) -> None:
    """A payload of location 1 that was made now."""
    await connection.execute(
        """INSERT INTO turnup.provisioning_payload
               (id, account_id, location_id, sequence, version, state, document, document_digest,
                content_digest, location_revision, generated_by, released_by, released_at)
           VALUES ('payload-' || $2, 'account-1', $1, $2::text::int, '1.0.0', $3, $4, 'digest', 'digest', 1,
                   'user-lead', 'user-lead', now())""",
        LOCATION,
        str(number),
        state,
        document,
    )


async def an_approval(connection: Any, status: str) -> None:
    """A request for approval of location 1."""
    await connection.execute(
        """INSERT INTO turnup.approval (id, account_id, location_id, location_revision, digest, content, requested_by,
                                        status)
           VALUES ('approval-1', 'account-1', $1, 1, 'digest', '{}', 'user-acme', $2)""",
        LOCATION,
        status,
    )


async def made_live(connection: Any, number: int) -> None:
    """Make a payload the only live one, as a receipt does."""
    await connection.execute(
        "UPDATE turnup.location SET live_payload_id = $2 WHERE id = $1", LOCATION, f"payload-{number}"
    )
    await connection.execute(
        "UPDATE turnup.provisioning_payload SET live = (id = $2) WHERE location_id = $1", LOCATION, f"payload-{number}"
    )


async def a_recipient(connection: Any, number: int, user: str) -> None:
    """A recipient that runs with a payload."""
    await connection.execute(
        """INSERT INTO turnup.payload_recipient
               (id, account_id, location_id, payload_id, user_id, purpose, required, live)
           VALUES ('recipient-' || $2, 'account-1', $1, 'payload-' || $2, $3, 'OTHER', true, true)""",
        LOCATION,
        str(number),
        user,
    )


async def decommissioned(connection: Any, number: int, reason: str | None = None) -> None:
    """What the confirmation of the only recipient of a payload does to the rows."""
    await connection.execute(
        """UPDATE turnup.payload_recipient
           SET live = false, decommissioned_at = now(), decommissioned_by = user_id, decommission_reason = $2
           WHERE payload_id = $1""",
        f"payload-{number}",
        reason,
    )
    await connection.execute("UPDATE turnup.provisioning_payload SET live = false WHERE id = $1", f"payload-{number}")


async def a_contact_removed(place: Databases, contact: str) -> None:
    """The contact is gone from its location."""
    async with definer(place.owner_url, system="ARRANGE") as connection:
        await connection.execute("DELETE FROM turnup.contact WHERE id = $1", contact)


async def documents(place: Databases) -> dict[str, str]:
    """The documents of location 1 by payload."""
    async with definer(place.owner_url) as connection:
        rows = await connection.fetch(
            "SELECT id, document FROM turnup.provisioning_payload WHERE location_id = $1", LOCATION
        )
    return {row["id"]: row["document"] for row in rows}


async def kept_keys(place: Databases) -> set[str]:
    """The idempotency keys that are kept."""
    async with definer(place.owner_url) as connection:
        return {row["key"] for row in await connection.fetch("SELECT key FROM turnup.idempotency_key")}


async def told(place: Databases, *statements: str) -> None:
    """An entry of location 1 with a reason, and what it changed."""
    async with definer(place.owner_url) as connection:
        await connection.execute(
            """SELECT turnup.audit_open('entry_told', 'account-1', 'x', 'location-1', '', 'Dana is ill', NULL,
                                        'APPLIED', NULL)"""
        )
        for statement in statements:
            await connection.execute(statement)
        await connection.execute("SELECT turnup.audit_seal()")


async def told_and_erased(place: Databases, *statements: str) -> None:
    """Such an entry, whose reason is erased."""
    await told(place, *statements)
    await erase_reason(place.owner_url, "entry_told", reason="Request 21")


async def is_whole(place: Databases) -> bool:
    """Whether the chain verifies and the audit log explains the tables."""
    async with snapshot(place.owner_url) as connection:
        verdict = await verify(connection)
    return verdict.broken is None and (await replay(place.owner_url)).differences == ()


async def removed(place: Databases) -> None:
    """Location 1 without its person, as the location's own rules would have it."""
    async with definer(place.owner_url, system="ARRANGE") as connection:
        await connection.execute("UPDATE turnup.extension SET person_id = NULL WHERE person_id = $1", PERSON)
        await connection.execute("DELETE FROM turnup.person WHERE id = $1", PERSON)
        await connection.execute("UPDATE turnup.location SET revision = 2 WHERE id = $1", LOCATION)


async def test_a_removed_person_is_gone_from_everything_but_payloads_in_use(copy: Databases) -> None:
    await approved_and_provisioned(copy)
    await removed(copy)
    erased = await erase_person(copy.owner_url, PERSON, reason="Request 17")
    assert erased.documents == 2
    assert erased.kept == ("payload-3", "payload-4")
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        found = await connection.fetch(
            "SELECT document, document_digest FROM turnup.provisioning_payload WHERE location_id = $1 ORDER BY id",
            LOCATION,
        )
        assert [row["document"] == '{"erased": true}' for row in found] == [True, True, False, False]
        assert {row["document_digest"] for row in found} == {"digest"}
        # Once the last payloads that hold the person are out of use, they go too.
        await connection.execute("UPDATE turnup.location SET live_payload_id = NULL WHERE id = $1", LOCATION)
        await connection.execute(
            "UPDATE turnup.provisioning_payload SET state = 'WITHDRAWN', live = false WHERE location_id = $1", LOCATION
        )
    assert await erase_person(copy.owner_url, PERSON, reason="Request 17") == Erased(2, 2, ())
    text = await everything(copy)
    assert [name for name in NAMES if name in text] == []
    assert "Alice Johnson" in text


async def test_recipients_find_an_erased_document_by_the_time_of_its_change(copy: Databases) -> None:
    await approved_and_provisioned(copy)
    await removed(copy)
    query = "SELECT id, updated_at FROM turnup.provisioning_payload WHERE location_id = $1"
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        before = {row["id"]: row["updated_at"] for row in await connection.fetch(query, LOCATION)}
        await erase_person(copy.owner_url, PERSON, reason="Request 17")
        after = {row["id"]: row["updated_at"] for row in await connection.fetch(query, LOCATION)}
    assert {payload for payload, at in after.items() if at > before[payload]} == {"payload-1", "payload-2"}


async def test_the_chain_stays_whole_and_replay_compares_the_rest(copy: Databases) -> None:
    await approved_and_provisioned(copy)
    await removed(copy)
    erased = await erase_person(copy.owner_url, PERSON, reason="Request 17")
    async with snapshot(copy.owner_url) as connection:
        verdict = await verify(connection)
        kept = await connection.fetch(
            """SELECT field, before, after FROM turnup.field_change c JOIN turnup.audit_entry e ON e.id = c.entry_id
               WHERE e.action = 'ERASE' AND c.table_name NOT IN ('field_change', 'audit_entry')"""
        )
    assert verdict.broken is None
    assert verdict.erased >= erased.values
    assert (await replay(copy.owner_url)).differences == ()
    assert {row["field"] for row in kept} == {"content", "document", "updated_at"}
    assert {row["before"] for row in kept} == {None}


async def test_what_an_approval_remembers_of_others_stays(copy: Databases) -> None:
    await approved_and_provisioned(copy)
    await removed(copy)
    await erase_person(copy.owner_url, PERSON, reason="Request 17")
    async with definer(copy.owner_url) as connection:
        content: Any = json.loads(
            await connection.fetchval("SELECT content FROM turnup.approval WHERE id = 'approval-1'")
        )
    expected: Any = content_document(demo.example())
    person = content["people"].pop(PERSON)
    assert person == {
        "firstName": None,
        "lastName": None,
        "email": None,
        "mobile": None,
        "mobileE164": None,
        "voicemail": True,
    }
    del expected["people"][PERSON]
    assert content == json.loads(json.dumps(expected))


async def test_content_as_of_before_says_what_is_erased(copy: Databases) -> None:
    await removed(copy)
    await erase_person(copy.owner_url, PERSON, reason="Request 17")
    opened = await Database.open(copy.app_url, size=1)
    async with opened.snapshot(by_token(LEAD), timeout_ms=5_000) as reading:
        before, after = [(await as_of(reading, [LOCATION], revision))[LOCATION] for revision in (1, 2)]
    await opened.close()
    assert before.erased == tuple(f"/people/{PERSON}/{field}" for field in ("email", "firstName", "lastName"))
    [person] = before.content.people
    assert (person.id, person.first_name, person.voicemail) == (PERSON, None, True)
    assert before.content.devices == demo.example().devices
    assert (after.erased, after.content.people) == ((), ())


async def test_a_removed_contact_is_erased_likewise(copy: Databases) -> None:
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await connection.execute("DELETE FROM turnup.contact WHERE id = $1", CONTACT)
    assert (await erase_person(copy.owner_url, CONTACT, reason="Request 18")).values == 6
    assert "alice@example.com" not in await everything(copy)


@pytest.mark.parametrize(("table", "row"), [(tables.person, PERSON), (tables.contact, CONTACT)])
async def test_every_text_about_somebody_is_erased(copy: Databases, table: Table, row: str) -> None:
    columns = [each.column for each in CELLS[table] if each.field.kind is str and each.column != "id"]
    texts = ", ".join(f"{column} = 'Their {column}.'" for column in columns)
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await connection.execute(f"UPDATE turnup.{table.name} SET {texts} WHERE id = $1", row)
        await connection.execute("UPDATE turnup.extension SET person_id = NULL WHERE person_id = $1", row)
        await connection.execute(f"DELETE FROM turnup.{table.name} WHERE id = $1", row)
    told = await everything(copy)
    assert [column for column in columns if f"Their {column}." not in told] == []
    await erase_person(copy.owner_url, row, reason="Request 19")
    told = await everything(copy)
    assert [column for column in columns if f"Their {column}." in told] == []


async def test_a_document_in_use_loses_a_contact_once_it_is_out_of_use(copy: Databases) -> None:
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 1, "ACKNOWLEDGED", a_contact_s_document(1, ALICE))
        await made_live(connection, 1)
    await a_contact_removed(copy, CONTACT)
    assert await erase_person(copy.owner_url, CONTACT, reason="Request 18") == Erased(6, 0, ("payload-1",))
    opened = await Database.open(copy.app_url, size=1)
    assert await erase_what_is_due(opened) == 0
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 2, "ACKNOWLEDGED", a_contact_s_document(2, None))
        await made_live(connection, 2)
    assert [await erase_what_is_due(opened) for _round in range(2)] == [1, 0]
    await opened.close()
    assert await documents(copy) == {"payload-1": ERASED, "payload-2": a_contact_s_document(2, None)}
    text = await everything(copy)
    assert [value for value in (ALICE["email"], ALICE["phone"]) if value in text] == []
    assert await is_whole(copy)


async def test_a_document_stays_as_long_as_one_recipient_runs_with_it(copy: Databases) -> None:
    # One partner runs with the first payload, another with the second, which the location became live with.
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        for number, user in ((1, "user-carrier"), (2, "user-pbx")):
            await a_payload(connection, number, "ACKNOWLEDGED", a_contact_s_document(number, ALICE))
            await a_recipient(connection, number, user)
        await made_live(connection, 2)
        await connection.execute("UPDATE turnup.provisioning_payload SET live = true WHERE id = 'payload-1'")
    await a_contact_removed(copy, CONTACT)
    erased = await erase_person(copy.owner_url, CONTACT, reason="Request 18")
    assert erased.kept == ("payload-1", "payload-2")
    opened = await Database.open(copy.app_url, size=1)
    assert await erase_what_is_due(opened) == 0
    for number in (1, 2):
        async with definer(copy.owner_url, system="ARRANGE") as connection:
            await decommissioned(connection, number)
        assert [await erase_what_is_due(opened) for _round in range(2)] == [1, 0]
    await opened.close()
    assert await documents(copy) == {"payload-1": ERASED, "payload-2": ERASED}
    assert ALICE["email"] not in await everything(copy)
    assert await is_whole(copy)


async def test_erasing_again_reaches_what_was_in_use_before(copy: Databases) -> None:
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 1, "RELEASED", a_contact_s_document(1, ALICE))
    await a_contact_removed(copy, CONTACT)
    assert (await erase_person(copy.owner_url, CONTACT, reason="Request 18")).kept == ("payload-1",)
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await connection.execute("UPDATE turnup.provisioning_payload SET state = 'SUPERSEDED' WHERE id = 'payload-1'")
    assert await erase_person(copy.owner_url, CONTACT, reason="Request 18") == Erased(1, 1, ())
    assert await documents(copy) == {"payload-1": ERASED}
    assert await is_whole(copy)


@pytest.mark.parametrize("name", ["Bob", "Reception"])
async def test_documents_from_while_a_contact_was_there_are_blanked_and_no_others(copy: Databases, name: str) -> None:
    bob: dict[str, str] = {"name": name}
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 1, "SUPERSEDED", a_contact_s_document(1, None))
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await connection.execute(
            """INSERT INTO turnup.contact (id, account_id, location_id, position, purpose, name)
               VALUES ('contact-bob', 'account-1', $1, 7, 'EMERGENCY', $2)""",
            LOCATION,
            name,
        )
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 2, "SUPERSEDED", a_contact_s_document(2, bob))
    await a_contact_removed(copy, "contact-bob")
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 3, "WITHDRAWN", a_contact_s_document(3, None))
    assert (await erase_person(copy.owner_url, "contact-bob", reason="Request 18")).documents == 1
    assert await documents(copy) == {
        "payload-1": a_contact_s_document(1, None),
        "payload-2": ERASED,
        "payload-3": a_contact_s_document(3, None),
    }


async def test_a_document_that_the_trail_has_no_beginning_of_is_taken_to_hold_the_contact(copy: Databases) -> None:
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await a_payload(connection, 1, "SUPERSEDED", a_contact_s_document(1, ALICE))
    await a_contact_removed(copy, CONTACT)
    assert (await erase_person(copy.owner_url, CONTACT, reason="Request 18")).documents == 1
    assert await documents(copy) == {"payload-1": ERASED}


async def test_an_entry_of_the_app_s_does_not_cover_what_housekeeping_erases(copy: Databases) -> None:
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 1, "RELEASED", a_contact_s_document(1, ALICE))
    await a_contact_removed(copy, CONTACT)
    await erase_person(copy.owner_url, CONTACT, reason="Request 18")
    opened = await Database.open(copy.app_url, size=1)

    async def superseded_and_erased() -> None:
        async with opened.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            await enter(tx, "account-1", LOCATION)
            await run(tx, "UPDATE turnup.provisioning_payload SET state = 'SUPERSEDED' WHERE id = 'payload-1'")
            assert await run(tx, "SELECT turnup.audit_erase_due(20)") == [(1,)]

    with pytest.raises(Exception, match="was not sealed"):
        await superseded_and_erased()
    await opened.close()


async def test_answers_kept_for_repeated_calls_are_forgotten_where_they_name_the_location(copy: Databases) -> None:
    answers = {
        "single": {"location": LOCATION, "contact": CONTACT},
        "bulk": {
            "items": [{"id": "location-2"}, {"id": LOCATION, "refusal": {"facts": {"issues": ["not an e-mail"]}}}]
        },
        "elsewhere": {"location": "location-10"},
    }
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        for key, outcome in answers.items():
            await connection.execute(
                """INSERT INTO turnup.idempotency_key (user_id, key, mutation, fingerprint, outcome)
                   VALUES ('user-lead', $1, 'x', '', $2)""",
                key,
                json.dumps(outcome),
            )
        await connection.execute(
            """INSERT INTO turnup.idempotency_key (user_id, key, mutation, fingerprint, outcome)
               VALUES ('user-acme', 'mine', 'x', '', '{}')"""
        )
    await a_contact_removed(copy, CONTACT)
    await erase_person(copy.owner_url, CONTACT, reason="Request 18")
    assert await kept_keys(copy) == {"elsewhere", "mine"}
    await erase_person(copy.owner_url, USER, reason="Request 19")
    assert await kept_keys(copy) == {"elsewhere"}


async def test_a_replay_that_was_kept_is_dropped(copy: Databases) -> None:
    await a_contact_removed(copy, CONTACT)
    for erasing in (erase_person(copy.owner_url, CONTACT, reason="Request 18"), told_and_erased(copy)):
        await replay(copy.owner_url, keep=True)
        await erasing
        async with definer(copy.owner_url) as connection:
            assert await connection.fetchval("SELECT to_regnamespace('turnup_replay')") is None


async def test_a_replay_that_runs_meanwhile_keeps_nothing(copy: Databases) -> None:
    await a_contact_removed(copy, CONTACT)
    async with _scratch(copy.owner_url, keep=True):
        erasing = asyncio.create_task(erase_person(copy.owner_url, CONTACT, reason="Request 18"))
        await asyncio.sleep(0.5)
        assert not erasing.done()
    await erasing
    async with definer(copy.owner_url) as connection:
        assert await connection.fetchval("SELECT to_regnamespace('turnup_replay')") is None
    await audit_log_is_complete(copy)


async def test_an_erased_user_is_suspended_and_nameless_now_and_in_history(copy: Databases) -> None:
    await erase_person(copy.owner_url, USER, reason="Request 19")
    async with definer(copy.owner_url) as connection:
        user = await first_row(connection, 'SELECT * FROM turnup."user" WHERE id = $1', USER)
    assert (user["name"], user["email"], user["subject"], user["status"]) == (
        "", "user-acme@erased.invalid", "erased:user-acme", "SUSPENDED",
    )  # fmt: skip
    assert "customer@acme.example" not in await everything(copy)
    async with snapshot(copy.owner_url) as connection:
        assert (await verify(connection)).broken is None
    assert (await replay(copy.owner_url)).differences == ()


async def test_who_is_still_there_is_not_erased(copy: Databases) -> None:
    with pytest.raises(NotErased, match="remove it from its location first"):
        await erase_person(copy.owner_url, PERSON, reason="Request 20")
    with pytest.raises(NotErased, match="knows no person"):
        await erase_person(copy.owner_url, "person-nobody", reason="Request 20")
    with pytest.raises(NotErased, match="not the id of a person"):
        await erase_person(copy.owner_url, "phone-1", reason="Request 20")
    with pytest.raises(NotErased, match="holds no reason"):
        await erase_reason(copy.owner_url, "entry_nobody", reason="Request 20")


async def test_the_reason_of_an_entry_can_be_erased(copy: Databases) -> None:
    async with definer(copy.owner_url) as connection:
        await connection.execute(
            "SELECT turnup.audit_open('entry_told', 'account-1', 'x', NULL, '', 'Dana is ill', NULL, 'APPLIED', NULL)"
        )
        await connection.execute("SELECT turnup.audit_seal()")
    await erase_reason(copy.owner_url, "entry_told", reason="Request 21")
    assert "Dana is ill" not in await everything(copy)
    async with snapshot(copy.owner_url) as connection:
        verdict = await verify(connection)
    assert (verdict.broken, verdict.erased) == (None, 1)


async def test_a_reason_is_erased_in_the_rows_that_the_entry_wrote_it_into(copy: Databases) -> None:
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 1, "RELEASED", a_contact_s_document(1, None))
        await an_approval(connection, "PENDING")
    await told_and_erased(
        copy,
        """UPDATE turnup.provisioning_payload SET state = 'WITHDRAWN', withdrawn_reason = 'Dana is ill'
           WHERE id = 'payload-1'""",
        """UPDATE turnup.approval SET status = 'CHANGES_REQUESTED', comment = 'Dana is ill', decided_by = 'user-lead',
                                      decided_at = now() WHERE id = 'approval-1'""",
        """INSERT INTO turnup.override (id, account_id, location_id, opened_by, sections, reason, expires_at)
           VALUES ('override-1', 'account-1', 'location-1', 'user-lead', '{PEOPLE}', 'Dana is ill',
                   now() + interval '1 hour')""",
    )
    assert "Dana is ill" not in await everything(copy)
    async with definer(copy.owner_url) as connection:
        told = await first_row(
            connection,
            """SELECT o.reason, a.comment, p.withdrawn_reason, p.state
               FROM turnup.override o, turnup.approval a, turnup.provisioning_payload p
               WHERE (o.id, a.id, p.id) = ('override-1', 'approval-1', 'payload-1')""",
        )
    assert tuple(told) == ("ERASED", "ERASED", "ERASED", "WITHDRAWN")
    assert await is_whole(copy)
    with pytest.raises(NotErased, match="holds no reason"):
        await erase_reason(copy.owner_url, "entry_told", reason="Request 21")


async def test_a_reason_is_erased_for_everybody_to_whom_it_was_shown(copy: Databases) -> None:
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 1, "ACKNOWLEDGED", a_contact_s_document(1, None))
        for user in ("user-carrier", "user-pbx"):
            await connection.execute(
                """INSERT INTO turnup.payload_recipient
                       (id, account_id, location_id, payload_id, user_id, purpose, required)
                   VALUES ('recipient-' || $1, 'account-1', 'location-1', 'payload-1', $1, 'OTHER', true)""",
                user,
            )
    await told_and_erased(
        copy,
        """INSERT INTO turnup.status_change
               (id, account_id, location_id, verb, reason, reason_for_customer, reason_for_partner, changed_by)
           VALUES ('change-1', 'account-1', 'location-1', 'CANCEL', 'Dana is ill', 'Dana is ill.', 'Dana is ill!',
                   'user-lead')""",
        """UPDATE turnup.payload_recipient
           SET waived_at = now(), waived_by = 'user-lead', waived_reason = 'Dana is ill', decommissioned_at = now(),
               decommissioned_by = 'user-lead', decommission_reason = 'Dana is ill'
           WHERE payload_id = 'payload-1'""",
    )
    assert "Dana is ill" not in await everything(copy)
    async with definer(copy.owner_url) as connection:
        change = await first_row(
            connection, "SELECT verb, reason, reason_for_customer, reason_for_partner FROM turnup.status_change"
            " WHERE id = 'change-1'"
        )  # fmt: skip
        waivers = await connection.fetch(
            "SELECT waived_reason, decommission_reason FROM turnup.payload_recipient WHERE payload_id = 'payload-1'"
        )
    assert tuple(change) == ("CANCEL", "ERASED", "ERASED", "ERASED")
    assert [tuple(row) for row in waivers] == [("ERASED", "ERASED")] * 2
    assert await is_whole(copy)


async def test_the_messages_of_a_rejection_are_erased_and_its_paths_and_codes_stay(copy: Databases) -> None:
    async with definer(copy.owner_url, system="ARRANGE") as connection:
        await a_payload(connection, 1, "REJECTED", a_contact_s_document(1, None))
        await a_recipient(connection, 1, "user-carrier")
        await connection.execute("SELECT set_config('turnup.system_action', '', true)")
        await connection.execute(
            """SELECT turnup.audit_open('entry_told', 'account-1', 'rejectPayload', 'location-1', '', NULL, NULL,
                                        'APPLIED', NULL)"""
        )
        await connection.execute(
            """INSERT INTO turnup.receipt
                   (id, account_id, location_id, payload_id, kind, document_digest, received_by, reasons)
               VALUES ('receipt-1', 'account-1', 'location-1', 'payload-1', 'REJECTED', 'digest', 'user-carrier',
                       '[{"path": "/users/0", "code": "X1", "message": "Dana is ill"},
                         {"path": "/users/1", "code": "X2", "message": "Dana is ill"}]')"""
        )
    await erase_reason(copy.owner_url, "entry_told", reason="Request 21")
    assert "Dana is ill" not in await everything(copy)
    async with definer(copy.owner_url) as connection:
        reasons = json.loads(await connection.fetchval("SELECT reasons FROM turnup.receipt WHERE id = 'receipt-1'"))
    assert reasons == [
        {"path": "/users/0", "code": "X1", "message": "ERASED"},
        {"path": "/users/1", "code": "X2", "message": "ERASED"},
    ]
    assert await is_whole(copy)
    with pytest.raises(NotErased, match="holds no reason"):
        await erase_reason(copy.owner_url, "entry_told", reason="Request 21")


async def test_copies_are_erased_where_the_reason_was_before_them(copy: Databases) -> None:
    await told(
        copy,
        """INSERT INTO turnup.override (id, account_id, location_id, opened_by, sections, reason, expires_at)
           VALUES ('override-1', 'account-1', 'location-1', 'user-lead', '{PEOPLE}', 'Dana is ill',
                   now() + interval '1 hour')""",
    )
    async with definer(copy.owner_url) as connection:
        await connection.execute("UPDATE turnup.audit_entry SET reason = NULL, reason_salt = NULL")
    await erase_reason(copy.owner_url, "entry_told", reason="Request 21")
    assert "Dana is ill" not in await everything(copy)


async def test_the_app_s_connections_cannot_pretend_to_erase(copy: Databases) -> None:
    opened = await Database.open(copy.app_url, size=1)
    with pytest.raises(Exception, match="permission denied"):
        async with opened.writing(by_token(LEAD), timeout_ms=5_000) as tx:
            await run(tx, "SELECT turnup.audit_erase('user', 'user-acme', 'x')")
    await opened.close()
