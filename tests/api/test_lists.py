"""Lists over HTTP: filters, orders, and keyset pages walked from end to end."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from app.db import tables
from app.domain.vocabulary import ApprovalStatus, LocationStatus, PayloadState, ReceiptKind, Role
from tests.builders_db import (
    NOON,
    a_location,
    a_payload,
    a_receipt,
    a_recipient,
    a_user,
    an_account,
    an_approval,
    an_entry,
    an_override,
    committed,
    forget,
    insert,
)
from tests.harness import Client
from tests.harness import TestDatabase as WorkerDatabase

PAGE = """
query Page($first: Int!, $after: String, $filter: LocationFilter,
           $order: LocationOrder! = {field: NAME, direction: ASC}) {
  locations(first: $first, after: $after, filter: $filter, orderBy: $order) {
    nodes { id }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount totalCountIsCapped
  }
}
"""


@pytest.fixture(scope="module")
async def shelf(database: WorkerDatabase) -> AsyncIterator[str]:
    """An account with 23 locations of three names and three times of change, so that ties are everywhere."""
    async with committed(database) as connection:
        account = await an_account(connection)
        for number in range(23):
            await insert(
                connection,
                tables.location,
                id=f"location-{account}-{number * 7 % 23:02}",
                account_id=account,
                name=("Elm", "Ash", "Oak")[number % 3],
                updated_at=NOON + timedelta(microseconds=number % 2),
                status=list(LocationStatus)[number % 8],
            )
    yield account
    await forget(database, [account])


async def walked(client: Client, first: int, **variables: Any) -> list[dict[str, Any]]:
    """Every page of a list, each taken behind the last row of the one before."""
    pages: list[dict[str, Any]] = []
    after = None
    while after is not None or not pages:
        page = (await client.ask(PAGE, first=first, after=after, **variables)).data["locations"]
        pages.append(page)
        after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
    return pages


async def sorted_by_database(database: WorkerDatabase, account: str, order: str) -> list[str]:
    async with committed(database) as connection:
        rows = await connection.fetch(f"SELECT id FROM turnup.location WHERE account_id = $1 ORDER BY {order}", account)
    return [row["id"] for row in rows]


@pytest.mark.parametrize("first", [1, 2, 5, 22, 23, 24, 100])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize(("field", "column"), [("NAME", "name"), ("UPDATED_AT", "updated_at")])
async def test_pages_walked_to_the_end_hold_every_row_once_and_in_order(
    client: Client, database: WorkerDatabase, shelf: str, first: int, field: str, column: str, direction: str
) -> None:
    order = {"field": field, "direction": direction}
    pages = await walked(client, first, filter={"accountId": shelf}, order=order)
    seen = [node["id"] for page in pages for node in page["nodes"]]
    assert seen == await sorted_by_database(database, shelf, f"{column} {direction}, id {direction}")


async def test_each_page_says_where_it_stands(client: Client, shelf: str) -> None:
    pages = await walked(client, 10, filter={"accountId": shelf})
    said = [(len(page["nodes"]), page["pageInfo"], page["totalCount"], page["totalCountIsCapped"]) for page in pages]
    assert said == [
        (
            size,
            {
                "hasNextPage": follows,
                "hasPreviousPage": precedes,
                "startCursor": page["edges"][0]["cursor"],
                "endCursor": page["edges"][-1]["cursor"],
            },
            23,
            False,
        )
        for page, size, precedes, follows in zip(
            pages, (10, 10, 3), (False, True, True), (True, True, False), strict=True
        )
    ]


async def test_edges_are_the_nodes(client: Client, shelf: str) -> None:
    (page,) = await walked(client, 100, filter={"accountId": shelf})
    assert [edge["node"] for edge in page["edges"]] == page["nodes"]


async def test_every_cursor_of_a_page_continues_right_behind_its_row(client: Client, shelf: str) -> None:
    (page,) = await walked(client, 100, filter={"accountId": shelf})
    behind = [
        await client.ask(PAGE, first=100, after=edge["cursor"], filter={"accountId": shelf}) for edge in page["edges"]
    ]
    assert [answer.data["locations"]["nodes"] for answer in behind] == [page["nodes"][n + 1 :] for n in range(23)]


async def test_a_list_of_nothing_is_an_empty_page(client: Client) -> None:
    answer = await client.ask(PAGE, first=20, filter={"accountId": "account-of-nobody"})
    assert answer.data == {
        "locations": {
            "nodes": [],
            "edges": [],
            "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
            "totalCount": 0,
            "totalCountIsCapped": False,
        }
    }


async def test_a_row_written_behind_the_cursor_appears_and_one_before_it_does_not(
    client: Client, database: WorkerDatabase, an_empty_account: str
) -> None:
    async with committed(database) as connection:
        for name in ("B", "D"):
            await a_location(connection, an_empty_account, name=name)
    given = {"filter": {"accountId": an_empty_account}}
    first = (await client.ask(PAGE, first=1, **given)).data["locations"]
    async with committed(database) as connection:
        for name in ("A", "C"):
            await a_location(connection, an_empty_account, name=name, id=f"location-{name}-{an_empty_account}")
    second = (await client.ask(PAGE, first=2, after=first["pageInfo"]["endCursor"], **given)).data["locations"]
    assert second["nodes"][0] == {"id": f"location-C-{an_empty_account}"}


@pytest.mark.parametrize(
    ("fragment", "found"),
    [
        ("100%", "100% Pure"),
        ("%", "100% Pure"),
        ("_", "A_B"),
        ("\\", "C\\D"),
        ("\\D", "C\\D"),
        ("'; DROP", "'; DROP TABLE x"),
        ("école", "École"),
        ("ÉCOLE", "École"),
        ("E\u0301cole", "École"),
        ("日本", "日本 🏥"),
        ("🏥", "日本 🏥"),
    ],
)
async def test_a_name_is_found_by_any_text_in_it_whatever_its_characters(
    client: Client, database: WorkerDatabase, an_empty_account: str, fragment: str, found: str
) -> None:
    async with committed(database) as connection:
        for name in ("100% Pure", "A_B", "C\\D", "'; DROP TABLE x", "École", "日本 🏥", "Plain"):
            number = await connection.fetchval(
                "SELECT count(*) FROM turnup.location WHERE account_id = $1", an_empty_account
            )
            key = f"location-{an_empty_account}-{number}"
            await insert(connection, tables.location, id=key, account_id=an_empty_account, name=name)
    answer = await client.ask(
        "query($filter: LocationFilter) { locations(filter: $filter) { nodes { name } } }",
        filter={"accountId": an_empty_account, "name": fragment},
    )
    assert answer.data == {"locations": {"nodes": [{"name": found}]}}


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("2024-01-10T12:00:00Z", True),
        ("2024-01-10T12:00:00.000001Z", False),
        ("2024-01-10T13:00:00+01:00", True),
        ("2024-01-10T06:59:59.999999-05:00", True),
    ],
)
async def test_updated_since_counts_instants_to_the_microsecond_whatever_the_offset(
    client: Client, database: WorkerDatabase, an_empty_account: str, since: str, found: bool
) -> None:
    async with committed(database) as connection:
        await a_location(connection, an_empty_account)
    answer = await client.ask(PAGE, first=1, filter={"accountId": an_empty_account, "updatedSince": since})
    assert answer.data["locations"]["totalCount"] == int(found)


@pytest.fixture(scope="module")
async def history(database: WorkerDatabase) -> AsyncIterator[tuple[str, str]]:
    """A location with 7 requests for approval, 6 payloads in all states, and 9 audit entries; and a partner of it."""
    async with committed(database) as connection:
        account = await an_account(connection)
        location = await a_location(connection, account)
        partner = await a_user(connection, Role.PARTNER)
        await insert(
            connection, tables.grant, id=f"grant-{partner}", user_id=partner, account_id=account, all_locations=True
        )
        statuses = [*(each for each in ApprovalStatus if each is not ApprovalStatus.PENDING), ApprovalStatus.PENDING]
        for number, status in enumerate([*statuses, ApprovalStatus.VOIDED, ApprovalStatus.VOIDED]):
            await an_approval(
                connection,
                location,
                id=f"approval-{location}-{number}",
                status=status,
                requested_at=NOON + timedelta(minutes=number // 2),
            )
        for number, state in enumerate(PayloadState, 1):
            payload = await a_payload(
                connection, location, id=f"payload-{location}-{number}", state=state, sequence=number, generated_at=NOON
            )
            if state is not PayloadState.GENERATED:
                await a_recipient(connection, payload, partner)
            if state.value in ReceiptKind.__members__:
                await a_receipt(connection, payload, partner, kind=ReceiptKind(state))
        for number in range(9):
            await an_entry(
                connection,
                location,
                id=f"entry-{location}-{number}",
                action=("editDevice", "approve", "submitOnboarding")[number % 3],
                request_id=f"request-{number}",
                client_request_id=f"of-client-{number // 3}" if number < 6 else None,
                actor_id="user-lead" if number else None,
                override_id="override-9" if number in {5, 7} else None,
                is_override={5: True, 2: True, 7: None, 3: None}.get(number, False),  # 7 and 3 are older than the mark
                occurred_at=NOON + timedelta(seconds=number // 4),
            )
    yield location, partner
    await forget(database, [account], [partner])


LISTS = {
    "approvals": ("ApprovalFilter", "approval", [6, 5, 4, 3, 2, 1, 0]),
    "provisioningPayloads": ("ProvisioningPayloadFilter", "payload", [1, 2, 3, 4, 5, 6]),
    "auditLog": ("AuditLogFilter", "entry", [8, 7, 6, 5, 4, 3, 2, 1, 0]),
}
# The list's own order first, as without `orderBy`; the other one is its reverse.
ORDERS = {
    "approvals": ["REQUESTED_AT, direction: DESC", "REQUESTED_AT, direction: ASC"],
    "provisioningPayloads": ["GENERATED_AT, direction: ASC", "GENERATED_AT, direction: DESC"],
    "auditLog": ["OCCURRED_AT, direction: DESC", "OCCURRED_AT, direction: ASC"],
}


@pytest.mark.parametrize("first", [1, 2, 4, 100])
@pytest.mark.parametrize("way", ["own", "same", "reverse"])
@pytest.mark.parametrize("field", LISTS)
async def test_other_lists_too_hold_every_row_once_and_in_order(
    client: Client, history: tuple[str, str], field: str, way: str, first: int
) -> None:
    kind, prefix, order = LISTS[field]
    order = order[::-1] if way == "reverse" else order
    order_by = "" if way == "own" else f", orderBy: {{field: {ORDERS[field][way == 'reverse']}}}"
    query = f"""query($first: Int!, $after: String, $filter: {kind}) {{
      page: {field}(first: $first, after: $after, filter: $filter{order_by}) {{
        nodes {{ id }} totalCount pageInfo {{ endCursor hasNextPage hasPreviousPage }} }} }}"""
    seen: list[str] = []
    after, more = None, True
    while more:
        given: dict[str, Any] = {"first": first, "after": after, "filter": {"locationId": history[0]}}
        page = (await client.ask(query, **given)).data["page"]
        assert (page["totalCount"], page["pageInfo"]["hasPreviousPage"]) == (len(order), after is not None)
        seen += [node["id"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == [f"{prefix}-{history[0]}-{number}" for number in order]


@pytest.mark.parametrize(
    ("field", "conditions", "numbers"),
    [
        ("approvals", {"reviewStatus": ["PENDING"]}, [4]),
        ("approvals", {"reviewStatus": ["VOIDED", "WITHDRAWN", "VOIDED"]}, [6, 5, 3, 2]),
        ("approvals", {"reviewStatus": []}, []),
        ("approvals", {"requestedBefore": "2024-01-10T12:01:00Z"}, [1, 0]),
        ("approvals", {"requestedBefore": "2024-01-10T13:01:00.000001+01:00"}, [3, 2, 1, 0]),
        ("approvals", {"requestedBefore": "2024-01-10T12:00:00Z"}, []),
        ("approvals", {"accountId": "account-1"}, []),
        ("provisioningPayloads", {"awaitingReceipt": True}, [2]),
        ("provisioningPayloads", {"awaitingReceipt": False}, [1, 3, 4, 5, 6]),
        ("provisioningPayloads", {"awaitingReceipt": None}, [1, 2, 3, 4, 5, 6]),
        ("provisioningPayloads", {"state": ["REJECTED", "GENERATED"]}, [1, 4]),
        ("provisioningPayloads", {"state": ["REJECTED"], "awaitingReceipt": True}, []),
        ("auditLog", {"action": "APPROVE"}, [7, 4, 1]),
        ("auditLog", {"requestId": "request-3"}, [3]),
        ("auditLog", {"clientRequestId": "of-client-1"}, [5, 4, 3]),
        ("auditLog", {"clientRequestId": "of-client-1", "requestId": "request-4"}, [4]),
        ("auditLog", {"clientRequestId": "request-3"}, []),
        ("auditLog", {"actorId": "user-lead", "action": "EDIT_DEVICE"}, [6, 3]),
        ("auditLog", {"overrideId": "override-9"}, [7, 5]),
        ("auditLog", {"isOverride": True}, [7, 5, 2]),
        ("auditLog", {"isOverride": False}, [8, 6, 4, 3, 1, 0]),
        ("auditLog", {"isOverride": True, "overrideId": "override-9", "action": "SUBMIT_ONBOARDING"}, [5]),
        ("auditLog", {"since": "2024-01-10T12:00:01Z"}, [8, 7, 6, 5, 4]),
        ("auditLog", {"until": "2024-01-10T12:00:01Z"}, [3, 2, 1, 0]),
        ("auditLog", {"since": "2024-01-10T12:00:01Z", "until": "2024-01-10T12:00:02Z"}, [7, 6, 5, 4]),
        ("auditLog", {"since": "2024-01-10T13:00:01.000001+01:00"}, [8]),
        ("auditLog", {"since": "2024-01-10T12:00:01Z", "until": "2024-01-10T12:00:01Z"}, []),
        ("auditLog", {"since": "2024-01-10T12:00:01Z", "isOverride": True, "actorId": "user-lead"}, [7, 5]),
        ("auditLog", {"accountId": "account-1"}, []),
        ("auditLog", {"action": "ERASE"}, []),
    ],
    ids=str,
)
async def test_filters_of_the_other_lists(
    client: Client, history: tuple[str, str], field: str, conditions: dict[str, Any], numbers: list[int]
) -> None:
    kind, prefix, _ = LISTS[field]
    query = f"query($filter: {kind}) {{ page: {field}(filter: $filter) {{ nodes {{ id }} totalCount }} }}"
    answer = await client.ask(query, filter={"locationId": history[0], **conditions})
    nodes = [{"id": f"{prefix}-{history[0]}-{number}"} for number in numbers]
    assert answer.data == {"page": {"nodes": nodes, "totalCount": len(nodes)}}


async def test_a_time_and_a_cursor_go_together(client: Client, history: tuple[str, str]) -> None:
    query = """query($after: String, $filter: AuditLogFilter) { auditLog(first: 2, after: $after, filter: $filter) {
      nodes { id } pageInfo { endCursor hasNextPage } } }"""
    given = {"locationId": history[0], "since": "2024-01-10T12:00:01Z", "until": "2024-01-10T12:00:02Z"}
    first = (await client.ask(query, filter=given)).data["auditLog"]
    cursor = first["pageInfo"]["endCursor"]
    second = (await client.ask(query, after=cursor, filter=given)).data["auditLog"]
    assert [node["id"] for node in (*first["nodes"], *second["nodes"])] == [
        f"entry-{history[0]}-{number}" for number in (7, 6, 5, 4)
    ]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    elsewhen = {**given, "since": "2024-01-10T12:00:00Z"}
    assert (await client.ask(query, after=cursor, filter=elsewhen)).codes == ["BAD_USER_INPUT"]


async def test_a_partner_polls_for_released_payloads_and_never_meets_unreleased_ones(
    client: Client, history: tuple[str, str]
) -> None:
    location, partner = history
    answer = await client.ask(
        """{ all: provisioningPayloads { nodes { id state } totalCount }
        polled: provisioningPayloads(filter: {awaitingReceipt: true}) { nodes { id document } } }""",
        partner,
    )
    released = [(number, state) for number, state in enumerate(PayloadState, 1) if state is not PayloadState.GENERATED]
    assert answer.data == {
        "all": {
            "nodes": [{"id": f"payload-{location}-{number}", "state": state.value} for number, state in released],
            "totalCount": 5,
        },
        "polled": {
            "nodes": [{"id": f"payload-{location}-2", "document": {"locationId": location, "version": "1.0.0"}}]
        },
    }


async def test_a_partner_does_not_learn_of_the_unreleased_payload_that_replaces_a_released_one(
    client: Client, database: WorkerDatabase, history: tuple[str, str]
) -> None:
    location, partner = history
    async with committed(database) as connection:
        await connection.execute(
            "UPDATE turnup.provisioning_payload SET superseded_by = $2 WHERE id = $1",
            f"payload-{location}-5",
            f"payload-{location}-1",
        )
    answer = await client.ask(
        "query($id: ID!) { provisioningPayload(id: $id) { supersededBy { id } } }", partner, id=f"payload-{location}-5"
    )
    assert answer.data == {"provisioningPayload": {"supersededBy": None}}


@pytest.mark.parametrize(("count", "more"), [(0, False), (100, False), (101, True), (102, True)])
async def test_a_history_in_a_location_is_cut_to_its_newest_hundred_and_says_whether_there_are_more(
    client: Client, database: WorkerDatabase, an_empty_account: str, count: int, more: bool
) -> None:
    async with committed(database) as connection:
        location = await a_location(connection, an_empty_account)
        beside = await a_location(connection, an_empty_account)
        for number in range(count):
            at = NOON + timedelta(seconds=number)
            await an_approval(
                connection,
                location,
                id=f"approval-{location}-{number}",
                status=ApprovalStatus.VOIDED,
                requested_at=at,
            )
            await an_override(connection, location, id=f"override-{location}-{number}", opened_at=at)
            await a_payload(
                connection,
                location,
                id=f"payload-{location}-{number}",
                sequence=number + 1,
                state=PayloadState.REJECTED,
            )
            await an_entry(connection, location, id=f"entry-{location}-{number}", occurred_at=at)
    histories = {"Approvals": "approval", "Overrides": "override", "Payloads": "payload", "AuditLog": "entry"}
    fields = " ".join(f"{name[0].lower()}{name[1:]} {{ id }} hasMore{name}" for name in histories)
    query = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Location {{ {fields} }} }} }}"
    answer = await client.ask(query, ids=[beside, location])
    numbers = range(count - 1, max(count - 101, -1), -1)
    expected: dict[str, Any] = {}
    for name, prefix in histories.items():
        expected[f"{name[0].lower()}{name[1:]}"] = [{"id": f"{prefix}-{location}-{number}"} for number in numbers]
        expected[f"hasMore{name}"] = more
    assert answer.data["nodes"][1] == expected
    assert set(map(str, answer.data["nodes"][0].values())) == {"[]", "False"}
