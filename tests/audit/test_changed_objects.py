"""What the owner puts in the place of triggers, policies, functions and grants hides nothing from the commands."""

import asyncpg

from app.audit.objects import changed_objects
from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from tests.audit.tampering import BLIND, OBJECTS
from tests.audit.test_chain import ROOT
from tests.audit.trail import definer
from tests.harness import TestDatabase as Databases
from tests.harness import Turnup


async def test_every_change_of_an_object_is_named_as_the_page_says(empty: Databases) -> None:
    owner = await asyncpg.connect(empty.owner_url)
    rows = []
    try:
        for sort, acts in OBJECTS.items():
            found = 0
            for statements in acts:
                undone = owner.transaction()
                await undone.start()
                for statement in statements:
                    await owner.execute(statement)
                found += bool(await changed_objects(owner))
                await undone.rollback()
            rows.append(f"| {sort} | {len(acts)} | {found} |")
            assert found == len(acts), sort
    finally:
        await owner.close()
    said = (ROOT / "docs" / "audit.md").read_text()
    assert [row for row in rows if row not in said] == []


async def blinded(place: Databases) -> None:
    """Replace the function that hashes values, and change a subject without an entry."""
    owner = await asyncpg.connect(place.owner_url)
    async with owner.transaction():
        await owner.execute("GRANT CREATE ON SCHEMA turnup TO turnup_definer")
        await owner.execute("SET LOCAL ROLE turnup_definer")
        await owner.execute(BLIND)
        await owner.execute("RESET ROLE")
        await owner.execute("REVOKE CREATE ON SCHEMA turnup FROM turnup_definer")
    await owner.close()
    async with definer(place.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("""UPDATE turnup."user" SET subject = 'mallory' WHERE id = 'user-lead-2'""")


async def test_a_replaced_function_does_not_hide_a_changed_subject(copy: Databases, turnup: Turnup) -> None:
    await blinded(copy)
    changed = [str(each) for each in (await replay(copy.owner_url)).differences]
    assert changed == ["user user-lead-2: the audit log has other values of subject"]
    replayed = await turnup(copy, "audit", "replay")
    assert replayed.status == 1
    assert changed[0] in replayed.out
    verified = await turnup(copy, "audit", "verify")
    assert verified.status == 1
    assert "function turnup.audit_salted(bytea, text): body was changed" in verified.out.splitlines()
    assert verified.error == "turnup: 1 objects of the database are not as the migrations make them"


async def test_objects_found_first_by_the_owner_s_search_path_mislead_no_command(copy: Databases) -> None:
    owner = await asyncpg.connect(copy.owner_url)
    await owner.execute("CREATE SCHEMA evil")
    await owner.execute("GRANT USAGE ON SCHEMA evil TO PUBLIC")
    await owner.execute("CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE sql RETURN true")
    await owner.execute("CREATE OPERATOR evil.= (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text)")
    await owner.execute("CREATE FUNCTION evil.to_jsonb(turnup.device) RETURNS jsonb LANGUAGE sql RETURN '{}'::jsonb")
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f"ALTER DATABASE {name} SET search_path = evil, pg_catalog")
    await owner.close()
    async with definer(copy.owner_url) as connection:
        await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
        await connection.execute("UPDATE turnup.device SET label = 'x' WHERE id OPERATOR(pg_catalog.=) 'phone-1'")
    assert [str(each) for each in (await replay(copy.owner_url)).differences] == [
        "device phone-1: the audit log has other values of label"
    ]
    async with snapshot(copy.owner_url) as reading:
        assert (await verify(reading)).broken is None
    owner = await asyncpg.connect(copy.owner_url)
    assert [str(each) for each in await changed_objects(owner) or ()] == ["setting search_path of the database: added"]
    await owner.close()


async def test_a_database_of_another_revision_is_verified_and_said_not_to_be_compared(
    copy: Databases, turnup: Turnup
) -> None:
    owner = await asyncpg.connect(copy.owner_url)
    await owner.execute("UPDATE turnup.alembic_version SET version_num = '9999'")
    await owner.close()
    verified = await turnup(copy, "audit", "verify")
    assert verified.status == 0
    assert "functions and grants not compared: the database is at revision 9999" in verified.out
