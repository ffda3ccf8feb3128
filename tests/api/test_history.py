"""What the audit log shows clients of values: those that were null, that are secret, and that were erased."""

from typing import Any

import pytest

from app.audit.erasure import erase_person, erase_reason
from tests.harness import LEAD, Client

from .serving import Wire, tables_of

CHANGES = """query($filter: AuditLogFilter) { auditLog(first: 100, filter: $filter) { nodes {
  id reason reasonState changes { table rowId field before beforeState after afterState } } } }"""
EDIT = """mutation($label: String, $revision: Int!) {
  editDevice(input: {deviceId: "phone-1", expectedRevision: $revision, label: $label}) { problems { code } } }"""
REMOVE = 'mutation { removePerson(input: {personId: "person-1", expectedRevision: 1}) { location { revision } } }'
AS_OF = '{ location(id: "location-1") { asOf(revision: 1) { digest content erased } } }'
BLOCK = 'mutation { block(input: {locationId: "location-1", reason: "Ask Dana Cole"}) { problems { code } } }'


async def entries(client: Client, **conditions: Any) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = (await client.ask(CHANGES, LEAD, filter=conditions)).data["auditLog"]["nodes"]
    return nodes


async def told(client: Client, table: str, row: str, field: str, **conditions: Any) -> list[tuple[Any, ...]]:
    """(before, its state, after, its state) of a value, from the newest change to the oldest."""
    return [
        (each["before"], each["beforeState"], each["after"], each["afterState"])
        for entry in await entries(client, **conditions)
        for each in entry["changes"]
        if (each["table"], each["rowId"], each["field"]) == (table, row, field)
    ]


async def test_a_value_that_was_null_is_told_from_a_row_that_was_not_there(own_client: Client) -> None:
    for revision, label in enumerate(["Front desk", None, "Back desk"], start=1):
        answer = await own_client.ask(EDIT, LEAD, label=label, revision=revision)
        assert answer.data["editDevice"]["problems"] == []
    assert await told(own_client, "device", "phone-1", "label", accountId="account-1") == [
        (None, "TOLD", "Back desk", "TOLD"),
        ("Front desk", "TOLD", None, "TOLD"),
        ("Reception", "TOLD", "Front desk", "TOLD"),
        (None, "ABSENT", "Reception", "TOLD"),
    ]


async def test_a_secret_is_told_to_be_withheld(own_client: Client) -> None:
    assert await told(own_client, "user", "user-pbx", "subject") == [(None, "ABSENT", None, "WITHHELD")]


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
    assert await told(own_client, "person", "person-1", "first_name", **given) == [
        (None, "ERASED", None, "ABSENT"),
        (None, "ABSENT", None, "ERASED"),
    ]
    assert await told(own_client, "person", "person-1", "voicemail", **given) == [
        (True, "TOLD", None, "ABSENT"),
        (None, "ABSENT", True, "TOLD"),
    ]


async def test_an_erased_reason_is_told_from_one_that_was_not_given(own_client: Client) -> None:
    await own_client.ask(EDIT, LEAD, label="Front desk", revision=1)
    await own_client.ask(BLOCK, LEAD)
    [block] = await entries(own_client, locationId="location-1", action="block")
    [edit] = await entries(own_client, locationId="location-1", action="editDevice")
    assert (block["reason"], block["reasonState"]) == ("Ask Dana Cole", "TOLD")
    assert (edit["reason"], edit["reasonState"]) == (None, "ABSENT")
    await erase_reason(own_client.database.owner_url, block["id"], reason="Request 18")
    [block] = await entries(own_client, locationId="location-1", action="block")
    assert (block["reason"], block["reasonState"]) == (None, "ERASED")


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
