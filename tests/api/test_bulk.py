"""Bulk mutations: the same rules as the single ones, many locations in one transaction, repeated safely."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from app.db.seed import seed_many
from app.settings import Settings
from tests.harness import CUSTOMER, LEAD, LEAD_2, Client

from .serving import Wire, serving, statements_logged

ITEM = "index locationId outcome problem { code } location { status }"
SUMMARY = "summary { applied unchanged refused } dryRun replayed problems { code message path }"
RESULTS = f"results {{ {ITEM} payload {{ state }} }} {SUMMARY}"
UPDATE = f"""
mutation Update($ids: [ID!]!, $status: LocationStatus!, $key: String!, $reason: String,
                $policy: BulkPolicy! = PER_ITEM, $dry: Boolean! = false) {{
  bulkUpdateStatus(input: {{locationIds: $ids, status: $status, reason: $reason, idempotencyKey: $key,
                            policy: $policy, dryRun: $dry}}) {{ {RESULTS} }}
}}
"""
APPROVE = f"""
mutation Approve($items: [BulkApproveItemInput!]!, $key: String!) {{
  bulkApprove(input: {{items: $items, idempotencyKey: $key}}) {{ results {{ {ITEM} }} {SUMMARY} }}
}}
"""
GENERATE = f"""
mutation Generate($ids: [ID!]!, $key: String!) {{
  bulkGeneratePayloads(input: {{locationIds: $ids, idempotencyKey: $key}}) {{ {RESULTS} }}
}}
"""
STATUSES = "{ locations(first: 100) { nodes { id status revision } } }"
ENTRIES = "{ auditLog(first: 100) { totalCount } }"


async def state_of(client: Client) -> tuple[object, object]:
    """Every location's status and revision, and the number of audit entries."""
    places, entries = await client.ask(STATUSES), await client.ask(ENTRIES)
    return places.data["locations"]["nodes"], entries.data["auditLog"]


async def block(client: Client, ids: list[str], key: str, **more: Any) -> dict[str, Any]:
    answer = await client.ask(UPDATE, LEAD, ids=ids, status="BLOCKED", reason="No cabling yet", key=key, **more)
    result: dict[str, Any] = answer.data["bulkUpdateStatus"]
    return result


async def test_each_item_is_judged_by_the_rules_of_the_single_mutation_in_the_order_of_the_input(
    own_client: Client,
) -> None:
    done = await block(own_client, ["location-7", "location-6", "location-99", "location-8", "location-1"], "mixed")
    seen = [
        (item["index"], item["locationId"], item["outcome"], (item["problem"] or {}).get("code"))
        for item in done["results"]
    ]
    assert seen == [
        (0, "location-7", "APPLIED", None),
        (1, "location-6", "REFUSED", "ILLEGAL_TRANSITION"),
        (2, "location-99", "REFUSED", "NOT_FOUND"),
        (3, "location-8", "UNCHANGED", None),
        (4, "location-1", "APPLIED", None),
    ]
    assert done["summary"] == {"applied": 2, "unchanged": 1, "refused": 2}
    assert [item["location"] and item["location"]["status"] for item in done["results"]] == [
        "BLOCKED",
        "COMPLETED",
        None,
        "BLOCKED",
        "BLOCKED",
    ]


async def test_all_or_nothing_does_nothing_when_one_item_is_refused(own_client: Client) -> None:
    before, _ = await state_of(own_client)
    done = await block(own_client, ["location-7", "location-6"], "whole", policy="ALL_OR_NOTHING")
    assert [item["outcome"] for item in done["results"]] == ["UNCHANGED", "REFUSED"]
    after, _ = await state_of(own_client)
    assert after == before


async def test_a_dry_run_tells_exactly_what_the_real_one_then_does_and_leaves_no_trace(own_client: Client) -> None:
    ids = ["location-7", "location-6", "location-2"]
    before = await state_of(own_client)
    predicted = await block(own_client, ids, "rehearsed", dry=True)
    assert await state_of(own_client) == before
    real = await block(own_client, ids, "rehearsed")
    outcomes = [(item["locationId"], item["outcome"], item["problem"]) for item in real["results"]]
    assert outcomes == [(item["locationId"], item["outcome"], item["problem"]) for item in predicted["results"]]
    assert (real["replayed"], predicted["dryRun"], real["dryRun"]) == (False, True, False)


async def test_the_same_key_again_tells_what_was_done_and_does_nothing(own_client: Client) -> None:
    ids = ["location-7", "location-6"]
    first = await block(own_client, ids, "again")
    before = await state_of(own_client)
    again = await block(own_client, ids, "again")
    assert again == {**first, "replayed": True}
    assert await state_of(own_client) == before


async def test_an_item_that_is_not_ready_is_told_with_its_issues_the_first_time_and_when_the_call_is_repeated(
    own_client: Client,
) -> None:
    issues = "problem { code ... on NotReady { issues { code severity path message fix blocks } } }"
    query = UPDATE.replace("problem { code }", issues)
    await own_client.ask('mutation { startOnboarding(input: {locationId: "location-2"}) { problems { code } } }', LEAD)
    sent: dict[str, Any] = {"ids": ["location-2", "location-7"], "status": "PENDING_APPROVAL", "key": "unready"}
    first = (await own_client.ask(query, LEAD, **sent)).data["bulkUpdateStatus"]
    again = (await own_client.ask(query, LEAD, **sent)).data["bulkUpdateStatus"]
    assert [item["outcome"] for item in first["results"]] == ["REFUSED", "APPLIED"]
    assert any("SUBMIT" in issue["blocks"] for issue in first["results"][0]["problem"]["issues"])
    for done in (first, again):
        for issue in done["results"][0]["problem"]["issues"]:
            issue["blocks"].sort()  # a set of gates
    assert again == {**first, "replayed": True}


async def test_a_customer_runs_nothing_in_bulk(own_client: Client) -> None:
    answer = await own_client.ask(UPDATE, CUSTOMER, ids=["location-1"], status="CANCELLED", reason="x", key="k")
    assert (answer.body["data"], answer.codes) == ({"bulkUpdateStatus": None}, ["FORBIDDEN"])


@pytest.mark.parametrize(
    ("ids", "code"),
    [([], "INVALID_INPUT"), (["location-1", "location-1"], "INVALID_INPUT"), (["x"] * 101, "LIMIT_REACHED")],
)
async def test_too_many_items_none_or_one_twice_are_refused_whole(client: Client, ids: list[str], code: str) -> None:
    done = await block(client, ids, "whole-call")
    assert (done["results"], [each["code"] for each in done["problems"]]) == ([], [code])


@pytest.mark.parametrize(
    ("mutation", "named_in", "most"), [("bulkGeneratePayloads", "locationIds", 50), ("bulkApprove", "items", 100)]
)
async def test_the_refusal_of_a_whole_call_is_at_the_list_of_the_input(
    client: Client, mutation: str, named_in: str, most: int
) -> None:
    document = f"""mutation Bulk($input: {mutation[0].upper()}{mutation[1:]}Input!) {{ {mutation}(input: $input) {{
      problems {{ path message ... on InvalidInput {{ field }} }} }} }}"""
    item: Any = {"locationId": "location-1", "expectedDigest": "0"} if named_in == "items" else "location-1"
    for given in ([], [item] * 2, [item] * (most + 1)):
        answer = await client.ask(document, LEAD, input={named_in: given, "idempotencyKey": f"{mutation}-{len(given)}"})
        (problem,) = answer.data[mutation]["problems"]
        assert problem["path"] == [named_in]
        assert named_in in problem["message"]
        assert problem.get("field", named_in) == named_in


async def test_a_status_that_no_bulk_leads_to_is_refused_whole(client: Client) -> None:
    answer = await client.ask(UPDATE, LEAD, ids=["location-1"], status="COMPLETED", key="no-way")
    assert [each["code"] for each in answer.data["bulkUpdateStatus"]["problems"]] == ["INVALID_INPUT"]


async def test_contents_are_approved_as_reviewed_and_handed_on_in_bulk(own_client: Client) -> None:
    digests = {}
    for location in ("location-3", "location-11"):
        review = await own_client.ask("query R($id: ID!) { review(locationId: $id) { digest } }", LEAD_2, id=location)
        digests[location] = review.data["review"]["digest"]
    items = [
        {"locationId": "location-3", "expectedDigest": digests["location-3"]},
        {"locationId": "location-11", "expectedDigest": "0" * 64},
    ]
    approved = (await own_client.ask(APPROVE, LEAD_2, items=items, key="approve")).data["bulkApprove"]
    codes = [item["problem"] and item["problem"]["code"] for item in approved["results"]]
    assert codes == [None, "STALE_REVIEW"]
    generated = await own_client.ask(GENERATE, LEAD, ids=["location-3", "location-4", "location-11"], key="make")
    results = generated.data["bulkGeneratePayloads"]["results"]
    assert [(item["outcome"], item["payload"]) for item in results] == [
        ("APPLIED", {"state": "GENERATED"}),
        ("APPLIED", {"state": "GENERATED"}),
        ("REFUSED", None),
    ]
    released = await own_client.ask(UPDATE, LEAD, ids=["location-3", "location-4"], status="PROVISIONING", key="go")
    assert released.data["bulkUpdateStatus"]["summary"] == {"applied": 2, "unchanged": 0, "refused": 0}


async def test_operators_see_what_became_of_items_and_how_long_a_location_waited_for_its_approval(
    own_client: Client,
) -> None:
    ids = ["location-7", "location-6", "location-8"]
    await block(own_client, ids, "watched", dry=True)
    for _ in range(2):
        await block(own_client, ids, "watched")
    query = (
        'query R { review(locationId: "location-3") { digest } location(id: "location-3") { session { submittedAt } } }'
    )
    review = (await own_client.ask(query, LEAD_2)).data
    items = [{"locationId": "location-3", "expectedDigest": review["review"]["digest"]}]
    approved = await own_client.ask(APPROVE, LEAD_2, items=items, key="approve")
    assert approved.data["bulkApprove"]["summary"] == {"applied": 1, "unchanged": 0, "refused": 0}
    waited = datetime.now(UTC) - datetime.fromisoformat(review["location"]["session"]["submittedAt"])
    seen = await samples(own_client)
    blocked = {
        outcome: seen[f'turnup_bulk_items_total{{mutation="bulkUpdateStatus",outcome="{outcome}"}}']
        for outcome in ("APPLIED", "ILLEGAL_TRANSITION", "UNCHANGED", "REPLAYED")
    }
    assert blocked == {"APPLIED": 1, "ILLEGAL_TRANSITION": 1, "UNCHANGED": 1, "REPLAYED": 3}
    assert seen['turnup_bulk_items_total{mutation="bulkApprove",outcome="APPLIED"}'] == 1
    assert seen['turnup_bulk_size_sum{mutation="bulkApprove"}'] == 1
    assert seen['turnup_bulk_size_count{mutation="bulkUpdateStatus"}'] == 2
    assert seen['turnup_bulk_size_sum{mutation="bulkUpdateStatus"}'] == 6
    assert seen['turnup_bulk_duration_seconds_count{mutation="bulkUpdateStatus"}'] == 2
    assert seen['turnup_approvals_total{outcome="APPLIED"}'] == 1
    assert seen["turnup_approval_processing_seconds_count"] == 1
    assert seen["turnup_approval_processing_seconds_sum"] == pytest.approx(waited.total_seconds(), abs=60)


async def test_operators_see_each_bulk_call_by_its_outcome_as_a_whole(own_client: Client) -> None:
    calls = {
        "APPLIED": ["location-7", "location-6", "location-8"],
        "REFUSED": ["location-6"],
        "UNCHANGED": ["location-7"],
        "INVALID_INPUT": ["location-7", "location-7"],
    }
    for outcome, ids in calls.items():
        await block(own_client, ids, outcome)
        await block(own_client, ids, f"dry-{outcome}", dry=True)
    await block(own_client, calls["APPLIED"], "APPLIED")
    await own_client.ask(UPDATE, LEAD, ids=["location-7"], status="BLOCKED", key="k" * 1_000)  # no key is so long
    name = re.compile(r'turnup_bulk_calls_total{mutation="bulkUpdateStatus",outcome="(\w+)"}')
    counted = {found[1]: value for each, value in (await samples(own_client)).items() if (found := name.match(each))}
    expected = {**dict.fromkeys(calls, 1), "INVALID_INPUT": 2, "REPLAYED": 1}
    assert {outcome: value for outcome, value in counted.items() if value} == expected


async def samples(client: Client) -> dict[str, float]:
    """What operators read at this moment."""
    lines = (await client.http.get("/metrics")).text.splitlines()
    return {name: float(value) for name, _, value in (each.rpartition(" ") for each in lines if each[0] != "#")}


async def test_two_locations_with_one_mac_do_not_both_get_it(own_client: Client) -> None:
    edit = """
    mutation Edit($id: ID!, $mac: String) {
      editDevice(input: {deviceId: $id, expectedRevision: 1, macAddress: $mac}) { problems { code } }
    }
    """
    for device in ("phone-1", "phone-7-1"):
        await own_client.ask(edit, LEAD, id=device, mac="80:5E:C0:AA:BB:CC")
    submit = await own_client.ask(UPDATE, LEAD, ids=["location-7", "location-1"], status="PENDING_APPROVAL", key="both")
    results = submit.data["bulkUpdateStatus"]["results"]
    assert [(item["outcome"], item["problem"]) for item in results] == [
        ("REFUSED", {"code": "MAC_IN_USE"}),
        ("APPLIED", None),
    ]


# What plain locations for load tests lack to be submitted.
COMPLETE = (
    """INSERT INTO turnup.phone_system (account_id, location_id, main_number, main_number_e164, extension_length)
       SELECT account_id, id, '+1 212 555 0199', '+12125550199', 4 FROM turnup.location WHERE name LIKE 'Load test%'""",
    """INSERT INTO turnup.call_flow (account_id, location_id, kind)
       SELECT account_id, id, 'DIRECT' FROM turnup.location WHERE name LIKE 'Load test%'""",
    """INSERT INTO turnup.call_flow_option (id, account_id, location_id, position, trigger, target, extension_id)
       SELECT replace(id, 'location', 'option'), account_id, id, 0, 'DIRECT', 'EXTENSION',
              replace(id, 'location', 'extension') || '-1'
       FROM turnup.location WHERE name LIKE 'Load test%'""",
)


async def ready_locations(owner_url: str, count: int) -> list[str]:
    """So many locations that can be submitted."""
    await seed_many(owner_url, count)
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            await connection.execute("SELECT set_config('turnup.unaudited', 'on', true)")
            for statement in COMPLETE:
                await connection.execute(statement)
            rows = await connection.fetch("SELECT id FROM turnup.location WHERE name LIKE 'Load test%' ORDER BY id")
    finally:
        await connection.close()
    return [row["id"] for row in rows]


async def test_what_an_item_claims_and_changes_stands_in_that_locations_own_entry(own_client: Client) -> None:
    ids = await ready_locations(own_client.database.owner_url, 3)
    answer = await own_client.ask(UPDATE, LEAD, ids=ids, status="PENDING_APPROVAL", key="own-entries")
    assert answer.data["bulkUpdateStatus"]["summary"]["applied"] == 3
    connection = await asyncpg.connect(own_client.database.owner_url)
    try:
        await connection.execute("SET ROLE turnup_definer")
        rows = await connection.fetch(
            """SELECT e.location_id AS entry, c.location_id AS change, c.table_name, count(DISTINCT c.row_id)
               FROM turnup.audit_entry e JOIN turnup.field_change c ON c.entry_id = e.id
               WHERE e.action = 'bulkUpdateStatus' GROUP BY 1, 2, 3"""
        )
    finally:
        await connection.close()
    changed = {"location": 1, "status_change": 1, "approval": 1, "mac_claim": 6}
    assert {tuple(row) for row in rows} == {(each, each, table, n) for each in ids for table, n in changed.items()}


async def requested_digests(owner_url: str) -> dict[str, str]:
    """The digest that is to be approved, by location."""
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE turnup_definer")
            rows = await connection.fetch("SELECT location_id, digest FROM turnup.approval")
            return {row["location_id"]: row["digest"] for row in rows}
    finally:
        await connection.close()


async def test_the_number_of_statements_does_not_grow_with_the_items(settings: Settings, own_client: Client) -> None:
    owner_url = own_client.database.owner_url
    ids = await ready_locations(owner_url, 111)
    batches = (ids[:1], ids[1:11], ids[11:])
    seen: list[str] = []
    with statements_logged(seen):
        async with serving(settings, own_client.database, database_url=_url(own_client)) as client:
            wire = Wire(client, seen)

            async def statements(query: str, who: str, applied: int, **given: Any) -> int:
                async with wire.recorded() as recorded:
                    answer = await client.ask(query, who, key=f"grow-{len(seen)}", **given)
                (done,) = answer.data.values()
                assert done["summary"]["applied"] == applied, done
                return len(recorded)

            async def submit(batch: list[str]) -> int:
                return await statements(UPDATE, LEAD, len(batch), ids=batch, status="PENDING_APPROVAL")

            async def approve(batch: list[str]) -> int:
                digests = await requested_digests(owner_url)
                items = [{"locationId": each, "expectedDigest": digests[each]} for each in batch]
                return await statements(APPROVE, LEAD_2, len(batch), items=items)

            async def generate(batch: list[str]) -> int:
                return await statements(GENERATE, LEAD, len(batch[:50]), ids=batch[:50])

            for step in (submit, approve, generate):
                counts = [await step(batch) for batch in batches]
                assert counts == [counts[0]] * 3, step.__name__


def _url(client: Client) -> SecretStr:
    return SecretStr(client.database.app_url)


@pytest.mark.usefixtures("replayed")
async def test_bulk_against_bulk_with_reversed_lists_never_surfaces_a_deadlock(
    settings: Settings, own_client: Client
) -> None:
    ids = ["location-1", "location-2", "location-7", "location-12"]
    limits = {"limit_bulk_calls": 1_000, "limit_bulk_items": 10_000}
    async with serving(settings, own_client.database, database_url=_url(own_client), **limits) as client:
        for number in range(100):
            status, back = ("BLOCKED", "IN_PROGRESS") if number % 2 == 0 else ("IN_PROGRESS", "BLOCKED")
            asked = [
                client.ask(UPDATE, LEAD, ids=ids, status=status, reason="Race", key=f"forth-{number}"),
                client.ask(UPDATE, LEAD_2, ids=ids[::-1], status=back, reason="Race", key=f"back-{number}"),
            ]
            for answer in await asyncio.gather(*asked):
                assert answer.data["bulkUpdateStatus"]["problems"] == []
