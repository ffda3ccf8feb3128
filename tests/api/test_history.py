"""What the audit log shows clients of values: those that were null, that are secret, and that were erased."""

from typing import Any

import pytest

from app.audit.erasure import erase_person, erase_reason
from tests.harness import AUDITOR, LEAD, Client

from .serving import Wire, tables_of

PAGE = """{ nodes { table rowId field before beforeState after afterState }
  totalCount pageInfo { hasNextPage endCursor } }"""
CHANGES = f"""query($filter: AuditLogFilter) {{ auditLog(first: 100, filter: $filter) {{ nodes {{
  id statedReason statedReasonState changes(first: 100) {PAGE} }} }} }}"""
MORE = f"""query($id: ID!, $after: String) {{ node(id: $id) {{ ... on AuditEntry {{
  changes(first: 100, after: $after) {PAGE} }} }} }}"""
EDIT = """mutation($label: String, $revision: Int!) {
  editDevice(input: {deviceId: "phone-1", expectedRevision: $revision, label: $label}) { problems { code } } }"""
REMOVE = 'mutation { removePerson(input: {personId: "person-1", expectedRevision: 1}) { location { revision } } }'
AS_OF = '{ location(id: "location-1") { asOf(revision: 1) { digest content erased } } }'
BLOCK = 'mutation { block(input: {locationId: "location-1", reason: "Ask Dana Cole"}) { problems { code } } }'


async def entries(client: Client, **conditions: Any) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = (await client.ask(CHANGES, LEAD, filter=conditions)).data["auditLog"]["nodes"]
    return nodes


async def changes_of(client: Client, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """All changes of an entry, whose first page was read."""
    page = entry["changes"]
    found: list[dict[str, Any]] = page["nodes"]
    while page["pageInfo"]["hasNextPage"]:
        after = page["pageInfo"]["endCursor"]
        page = (await client.ask(MORE, LEAD, id=entry["id"], after=after)).data["node"]["changes"]
        found += page["nodes"]
    assert len(found) == page["totalCount"]
    return found


async def told(client: Client, table: str, row: str, field: str, **conditions: Any) -> list[tuple[Any, ...]]:
    """(before, its state, after, its state) of a value, from the newest change to the oldest."""
    return [
        (each["before"], each["beforeState"], each["after"], each["afterState"])
        for entry in await entries(client, **conditions)
        for each in await changes_of(client, entry)
        if (each["table"], each["rowId"], each["field"]) == (table, row, field)
    ]


async def test_a_value_that_was_null_is_told_from_a_row_that_was_not_there(own_client: Client) -> None:
    for revision, label in enumerate(["Front desk", None, "Back desk"], start=1):
        answer = await own_client.ask(EDIT, LEAD, label=label, revision=revision)
        assert answer.data["editDevice"]["problems"] == []
    assert await told(own_client, "DEVICE", "phone-1", "label", accountId="account-1") == [
        (None, "PRESENT", "Back desk", "PRESENT"),
        ("Front desk", "PRESENT", None, "PRESENT"),
        ("Reception", "PRESENT", "Front desk", "PRESENT"),
        (None, "ABSENT", "Reception", "PRESENT"),
    ]


async def test_a_secret_is_told_to_be_redacted(own_client: Client) -> None:
    assert await told(own_client, "USER", "user-pbx", "subject") == [(None, "ABSENT", None, "REDACTED")]


async def test_an_erased_value_is_told_from_a_null_one_and_the_content_as_of_then_names_it(own_client: Client) -> None:
    before = (await own_client.ask(AS_OF, LEAD)).data["location"]["asOf"]
    assert before["content"]["people"]["person-1"]["firstName"] == "Dana"
    await own_client.ask(REMOVE, LEAD)
    await erase_person(own_client.database.owner_url, "person-1", reason="Request 17")
    after = (await own_client.ask(AS_OF, LEAD)).data["location"]["asOf"]
    erased = {"firstName": None, "lastName": None, "email": None}
    assert after == {
        "digest": None,
        "content": {
            **before["content"],
            "people": {"person-1": {**before["content"]["people"]["person-1"], **erased}},
        },
        "erased": ["/people/person-1/email", "/people/person-1/firstName", "/people/person-1/lastName"],
    }
    given = {"accountId": "account-1"}
    assert await told(own_client, "PERSON", "person-1", "first_name", **given) == [
        (None, "ERASED", None, "ABSENT"),
        (None, "ABSENT", None, "ERASED"),
    ]
    assert await told(own_client, "PERSON", "person-1", "voicemail", **given) == [
        (True, "PRESENT", None, "ABSENT"),
        (None, "ABSENT", True, "PRESENT"),
    ]


@pytest.mark.parametrize("who", [LEAD, AUDITOR])
async def test_an_erasure_names_what_was_erased(own_client: Client, who: str) -> None:
    await own_client.ask(BLOCK, LEAD)
    await own_client.ask(REMOVE, LEAD)
    [block] = await entries(own_client, locationId="location-1", action="BLOCK")
    await erase_reason(own_client.database.owner_url, block["id"], reason="Request 18")
    await erase_person(own_client.database.owner_url, "person-1", reason="Request 17")
    erasures = (await own_client.ask(CHANGES, who, filter={"action": "ERASE"})).data["auditLog"]["nodes"]
    found = [
        (each["table"], each["field"], each["beforeState"], each["afterState"])
        for entry in reversed(erasures)
        for each in entry["changes"]["nodes"]
    ]
    assert found[0] == ("AUDIT_ENTRY", "reason", "ERASED", "ABSENT")
    assert {each[0] for each in found} == {"AUDIT_ENTRY", "FIELD_CHANGE", "STATUS_CHANGE"}


async def test_an_erased_reason_is_told_from_one_that_was_not_given(own_client: Client) -> None:
    await own_client.ask(EDIT, LEAD, label="Front desk", revision=1)
    await own_client.ask(BLOCK, LEAD)
    [block] = await entries(own_client, locationId="location-1", action="BLOCK")
    [edit] = await entries(own_client, locationId="location-1", action="EDIT_DEVICE")
    assert (block["statedReason"], block["statedReasonState"]) == ("Ask Dana Cole", "PRESENT")
    assert (edit["statedReason"], edit["statedReasonState"]) == (None, "ABSENT")
    await erase_reason(own_client.database.owner_url, block["id"], reason="Request 18")
    [block] = await entries(own_client, locationId="location-1", action="BLOCK")
    assert (block["statedReason"], block["statedReasonState"]) == (None, "ERASED")


@pytest.mark.parametrize("first", [1, 5])
async def test_the_past_of_a_page_is_read_in_one_statement_for_each_revision(wire: Wire, first: int) -> None:
    query = """query($first: Int!) { locations(first: $first, filter: {accountId: "account-1"}) {
      nodes { a: asOf(revision: 1) { digest } b: asOf(revision: 1) { content } c: asOf(revision: 99) { digest } } } }"""
    async with wire.recorded() as seen:
        answer = await wire.client.ask(query, LEAD, first=first)
    nodes = answer.body["data"]["locations"]["nodes"]
    assert [(bool(node["a"]), bool(node["b"]), node["c"]) for node in nodes] == [(True, True, None)] * first
    assert answer.codes == ["NOT_FOUND"] * first
    assert (tables_of(seen), len([each for each in seen if "lives" in each])) == (["location"], 2)


async def test_the_past_has_a_price(client: Client) -> None:
    answer = await client.ask(AS_OF, LEAD)
    assert answer.body["extensions"]["cost"]["price"] == 101
