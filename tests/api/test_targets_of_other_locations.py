"""A call-flow target at another customer's location, which an earlier version stored, is shown to nobody.

It reads like a target that does not exist, and every other edit of the location still works.
"""

import asyncpg
import pytest

from app.audit.replay import replay
from tests.harness import CUSTOMER, LEAD, Client

STRANGE = "extension-7-1"
LOCATION = """location(id: "location-1") { revision contentDigest sections { section revision }
    callFlow { directTargets { id } timeoutTarget { extension { id number person { email } } }
               options { digit target { kind extension { id number } } } }
    readiness { code path } }"""
BOTH = [LEAD, CUSTOMER]
OPTION = """UPDATE turnup.call_flow_option SET extension_id = $2
            WHERE location_id = 'location-1' AND trigger = $1 AND target = 'EXTENSION'"""
DIRECT = """INSERT INTO turnup.call_flow_option (id, account_id, location_id, position, trigger, target, extension_id)
            VALUES ($1, 'account-1', 'location-1', $2, 'DIRECT', 'EXTENSION', $3)"""


@pytest.fixture
async def misled(own_client: Client) -> Client:
    """Targets of location-1 lead to an extension of another account."""
    connection = await asyncpg.connect(own_client.database.owner_url)
    try:
        await connection.execute("ALTER TABLE turnup.call_flow_option DISABLE TRIGGER USER")
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            assert await connection.fetchval("SELECT account_id FROM turnup.extension WHERE id = $1", STRANGE) not in {
                None,
                "account-1",
            }
            await connection.execute(OPTION, "TIMEOUT", STRANGE)
            await connection.execute(OPTION, "DIGIT", STRANGE)
            for place, target in enumerate((STRANGE, "extension-1", "extension-that-is-gone")):
                await connection.execute(DIRECT, f"option-direct-{place}", 90 + place, target)
        await connection.execute("ALTER TABLE turnup.call_flow_option ENABLE TRIGGER USER")
    finally:
        await connection.close()
    return own_client


@pytest.mark.parametrize("who", BOTH)
async def test_another_customers_extension_is_shown_to_nobody(misled: Client, who: str) -> None:
    answer = await misled.ask(f"{{ {LOCATION} }}", who)
    flow = answer.data["location"]["callFlow"]
    assert STRANGE not in str(answer.body)
    assert flow["directTargets"] == [{"id": "extension-1"}]
    assert flow["timeoutTarget"] == {"extension": None}
    assert {"digit": "1", "target": {"kind": "EXTENSION", "extension": None}} in flow["options"]


@pytest.mark.parametrize("who", BOTH)
async def test_it_reads_as_a_target_that_does_not_exist(misled: Client, who: str) -> None:
    found = (await misled.ask(f"{{ {LOCATION} }}", who)).data["location"]["readiness"]
    assert {each["path"] for each in found if each["code"] == "TARGET_DANGLING"} == {
        "/callFlow/directTargets/0",
        "/callFlow/directTargets/2",
        "/callFlow/options/1/0/target",
        "/callFlow/timeoutTarget",
    }


async def test_other_edits_of_the_location_still_work_and_a_new_call_flow_mends_it(misled: Client) -> None:
    renamed = await misled.ask(
        f"""mutation {{ updateLocation(input: {{locationId: "location-1", expectedRevision: 1, name: "Acme"}}) {{
            {LOCATION.replace('(id: "location-1")', "")} problems {{ code }} }} }}""",
        CUSTOMER,
    )
    assert renamed.data["updateLocation"]["problems"] == []
    extensions = """mutation { setExtensions(input: {locationId: "location-1", expectedRevision: 1, extensions: [
        {id: "extension-1", number: "1001"}, {number: "1002"}]}) { problems { code } } }"""
    assert (await misled.ask(extensions, CUSTOMER)).data["setExtensions"]["problems"] == []
    mended = """mutation { setCallFlow(input: {locationId: "location-1", expectedRevision: 1, kind: DIRECT,
        directTargets: ["extension-1"]}) { location { readiness { code } } problems { code } } }"""
    answer = (await misled.ask(mended, CUSTOMER)).data["setCallFlow"]
    assert answer["problems"] == []
    assert "TARGET_DANGLING" not in {each["code"] for each in answer["location"]["readiness"]}
    assert (await replay(misled.database.owner_url)).differences == ()
