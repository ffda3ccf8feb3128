"""A person who asked for it is gone from history, and the chain stays whole."""

import json
from typing import Any

import pytest
from harness import LEAD
from harness import TestDatabase as Databases
from trail import definer, run

from app.db import demo, tables
from app.db.audit.erasure import Erased, NotErased, erase_person, erase_reason
from app.db.audit.history import as_of
from app.db.audit.replay import replay
from app.db.audit.verify import snapshot, verify
from app.db.database import Database
from app.domain.content_document import content_document
from app.domain.digest import content_digest

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
            document = a_document(number)
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
        await connection.execute("UPDATE turnup.location SET live_payload_id = 'payload-3' WHERE id = $1", LOCATION)


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
        # Once the last payloads that hold the person are out of use, they can go too.
        await connection.execute("UPDATE turnup.location SET live_payload_id = NULL WHERE id = $1", LOCATION)
        await connection.execute(
            "UPDATE turnup.provisioning_payload SET state = 'WITHDRAWN' WHERE location_id = $1", LOCATION
        )
    assert await erase_person(copy.owner_url, PERSON, reason="Request 17") == Erased(2, 2, ())
    text = await everything(copy)
    assert [name for name in NAMES if name in text] == []
    assert "Alice Johnson" in text


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
    assert {row["field"] for row in kept} == {"content", "document"}
    assert {row["before"] for row in kept} == {None}


async def test_what_an_approval_remembers_of_others_stays(copy: Databases) -> None:
    await approved_and_provisioned(copy)
    await removed(copy)
    await erase_person(copy.owner_url, PERSON, reason="Request 17")
    async with definer(copy.owner_url) as connection:
        content: Any = json.loads(
            await connection.fetchval("SELECT content FROM turnup.approval WHERE id = 'approval-1'")
        )
    expected = content_document(demo.example())
    person = content["people"].pop(PERSON)
    assert person == {
        "firstName": None,
        "lastName": None,
        "email": None,
        "mobile": None,
        "mobileE164": None,
        "voicemail": True,
    }
    del expected["people"][PERSON]  # type: ignore[union-attr, operator, index]
    assert content == json.loads(json.dumps(expected))


async def test_content_as_of_before_says_what_is_erased(copy: Databases) -> None:
    await removed(copy)
    await erase_person(copy.owner_url, PERSON, reason="Request 17")
    opened = await Database.open(copy.app_url, size=1)
    async with opened.snapshot(LEAD, timeout_ms=5_000) as reading:
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


async def test_an_erased_user_is_suspended_and_nameless_now_and_in_history(copy: Databases) -> None:
    await erase_person(copy.owner_url, USER, reason="Request 19")
    async with definer(copy.owner_url) as connection:
        user = await connection.fetchrow('SELECT * FROM turnup."user" WHERE id = $1', USER)
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
    with pytest.raises(NotErased, match="the id of no person"):
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


async def test_the_app_s_connections_cannot_pretend_to_erase(copy: Databases) -> None:
    opened = await Database.open(copy.app_url, size=1)
    with pytest.raises(Exception, match="permission denied"):
        async with opened.writing(LEAD, timeout_ms=5_000) as tx:
            await run(tx, "SELECT turnup.audit_erase('user', 'user-acme', 'x')")
    await opened.close()
