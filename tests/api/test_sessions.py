"""Sessions as their users and leads read them, and requests that are sent with one."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.settings import Executor, Settings
from tests.builders_db import a_service_token, a_session, committed, sent_with, service_token_of
from tests.harness import AUDITOR, CUSTOMER, LEAD, PARTNER, SCOPED_LEAD, Answer, Client, TestDatabase

from .serving import serving

SESSION = "id userAgent createdAt lastActiveAt idleUntil expiresAt endedAt endReason isCurrent user { id }"
LIST = f"""query($user: ID, $first: Int = 20, $after: String, $filter: UserSessionFilter) {{
  sessions(userId: $user, first: $first, after: $after, filter: $filter) {{
    nodes {{ {SESSION} }} totalCount pageInfo {{ hasNextPage endCursor }} }} }}"""
REVOKE = "mutation($id: ID!) { revokeSession(input: {sessionId: $id}) { revokedSessionId problems { code } } }"
EVERYWHERE = "mutation { revokeSessions(input: {}) { replayed problems { code } } }"
USERS = {CUSTOMER: "user-acme", PARTNER: "user-carrier", AUDITOR: "user-auditor", SCOPED_LEAD: "user-lead-acme"}
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


@pytest.fixture(params=[Executor.BREADTH_FIRST, Executor.REFERENCE], ids=str)
async def asked(request: pytest.FixtureRequest, settings: Settings, database: TestDatabase) -> AsyncIterator[Client]:
    """A client of a server with each of the executors. The sessions of a test are gone after it."""
    async with serving(settings, database, executor=request.param) as client:
        yield client
    async with committed(database) as connection:
        await connection.execute("DELETE FROM turnup.user_session")
        await connection.execute("DELETE FROM turnup.service_token")


async def made(client: Client, user: str, number: int = 1, **row: Any) -> list[str]:
    async with committed(client.database) as connection:
        return [
            await a_session(connection, user, **{"created_at": NOW + timedelta(minutes=each), **row})
            for each in range(number)
        ]


async def listed(client: Client, who: str, **variables: Any) -> list[str]:
    return [each["id"] for each in (await client.ask(LIST, who, **variables)).data["sessions"]["nodes"]]


async def by_session(client: Client, session: str, query: str, **variables: Any) -> Answer:
    return await client.ask(query, None, headers=sent_with(session), **variables)


async def test_a_session_is_shown_as_it_is(asked: Client) -> None:
    hour = timedelta(hours=1)
    times: dict[str, Any] = {
        "created_at": NOW,
        "last_used_at": NOW + hour,
        "idle_until": NOW + 9 * hour,
        "expires_at": NOW + 24 * hour,
    }
    end: dict[str, Any] = {"ended_at": NOW + 2 * hour, "end_reason": "SIGNED_OUT"}
    (session,) = await made(asked, "user-acme", user_agent="Mozilla/5.0 (X11)", **times, **end)
    answer = await asked.ask(LIST, CUSTOMER)
    assert answer.data["sessions"]["nodes"] == [
        {
            "id": session,
            "userAgent": "Mozilla/5.0 (X11)",
            "createdAt": "2026-11-30T09:00:00.000000Z",
            "lastActiveAt": "2026-11-30T10:00:00.000000Z",
            "idleUntil": "2026-11-30T18:00:00.000000Z",
            "expiresAt": "2026-12-01T09:00:00.000000Z",
            "endedAt": "2026-11-30T11:00:00.000000Z",
            "endReason": "SIGNED_OUT",
            "isCurrent": False,
            "user": {"id": "user-acme"},
        }
    ]


async def test_sessions_are_paged_through_newest_first(asked: Client) -> None:
    sessions = await made(asked, "user-acme", 5)
    await made(asked, "user-carrier")
    seen, after = [], None
    for further in (True, True, False):
        page = (await asked.ask(LIST, CUSTOMER, first=2, after=after)).data["sessions"]
        assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (5, further)
        seen += [each["id"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == sessions[::-1]


async def test_a_session_that_was_ended_or_expired_is_not_open(asked: Client) -> None:
    past, now = NOW - timedelta(days=2), datetime.now(UTC)
    later = now + timedelta(hours=1)
    rows: dict[str, dict[str, Any]] = {
        "open": {"idle_until": later, "expires_at": later},
        "idle": {"idle_until": past, "expires_at": later},
        "expired": {"idle_until": later, "expires_at": past},
        "ended": {"idle_until": later, "expires_at": later, "ended_at": past, "end_reason": "REVOKED"},
    }
    sessions = {name: (await made(asked, "user-acme", **row))[0] for name, row in rows.items()}
    assert await listed(asked, CUSTOMER, filter={"isOpen": True}) == [sessions.pop("open")]
    assert set(await listed(asked, CUSTOMER, filter={"isOpen": False})) == set(sessions.values())


@pytest.mark.parametrize("who", USERS)
async def test_only_a_lead_of_all_accounts_sees_the_sessions_of_others(asked: Client, who: str) -> None:
    (own,), (other,) = await made(asked, USERS[who]), await made(asked, "user-birch")
    for user in (None, USERS[who]):
        assert await listed(asked, who, user=user) == [own]
    there, nobody = [await asked.ask(LIST, who, user=user) for user in ("user-birch", "user-nobody")]
    assert (
        there.data
        == nobody.data
        == {"sessions": {"nodes": [], "totalCount": 0, "pageInfo": {"hasNextPage": False, "endCursor": None}}}
    )
    assert (await asked.ask("query($id: ID!) { node(id: $id) { id } }", who, id=other)).codes == ["NOT_FOUND"]
    assert await listed(asked, LEAD) == []
    assert await listed(asked, LEAD, user="user-birch") == [other]
    assert (await asked.ask("query($id: ID!) { node(id: $id) { id } }", LEAD, id=other)).data["node"] == {"id": other}


async def test_a_request_by_session_says_which_one_it_is(asked: Client) -> None:
    first, second = await made(asked, "user-acme", 2)
    query = "{ viewer { user { id } session { id isCurrent } } sessions { nodes { id isCurrent } } }"
    answer = await by_session(asked, first, query)
    assert answer.data == {
        "viewer": {"user": {"id": "user-acme"}, "session": {"id": first, "isCurrent": True}},
        "sessions": {"nodes": [{"id": second, "isCurrent": False}, {"id": first, "isCurrent": True}]},
    }
    by_token = await asked.ask(query, CUSTOMER)
    assert by_token.data["viewer"]["session"] is None
    assert [each["isCurrent"] for each in by_token.data["sessions"]["nodes"]] == [False, False]


async def test_a_service_token_neither_sees_nor_ends_sessions(asked: Client) -> None:
    (session,) = await made(asked, "user-carrier")
    async with committed(asked.database) as connection:
        name = await a_service_token(connection, "user-carrier")
    headers = {"authorization": f"Bearer {service_token_of(name).text}"}
    node = "query($id: ID!) { node(id: $id) { id } }"
    for query in ("{ sessions { totalCount } }", node, REVOKE, EVERYWHERE):
        assert (await asked.ask(query, None, headers=headers, id=session)).codes == ["FORBIDDEN"]
    assert (await asked.ask("{ viewer { session { id } } }", None, headers=headers)).data == {
        "viewer": {"session": None}
    }
    assert await listed(asked, PARTNER, filter={"isOpen": True}) == [session]


async def test_a_revoked_session_signs_nobody_in_from_the_next_request_on(asked: Client) -> None:
    first, second = await made(asked, "user-acme", 2)
    assert (await by_session(asked, first, REVOKE, id=second)).data == {
        "revokeSession": {"revokedSessionId": second, "problems": []}
    }
    assert (await by_session(asked, second, "{ viewer { name } }")).status == 401
    assert (await by_session(asked, first, "{ viewer { user { id } } }")).data == {
        "viewer": {"user": {"id": "user-acme"}}
    }


async def test_a_user_who_ends_the_session_of_the_request_is_told_so(asked: Client) -> None:
    (session,) = await made(asked, "user-acme")
    answer = await by_session(asked, session, REVOKE, id=session)
    assert answer.data == {"revokeSession": {"revokedSessionId": session, "problems": []}}
    again = await by_session(asked, session, REVOKE, id=session)
    assert (again.status, again.codes) == (401, ["UNAUTHENTICATED"])


async def test_who_signs_out_everywhere_is_signed_out_here_too(asked: Client) -> None:
    sessions = await made(asked, "user-acme", 3)
    assert (await by_session(asked, sessions[0], EVERYWHERE)).data == {
        "revokeSessions": {"replayed": False, "problems": []}
    }
    answers = [await by_session(asked, each, "{ viewer { name } }") for each in sessions]
    assert [each.status for each in answers] == [401] * 3
    assert (await asked.ask("{ viewer { user { id } } }", CUSTOMER)).data == {"viewer": {"user": {"id": "user-acme"}}}


async def test_what_follows_a_sign_out_in_one_request_is_refused(asked: Client) -> None:
    (session,) = await made(asked, "user-acme")
    both = """mutation { revokeSessions(input: {}) { problems { code } }
                         startOnboarding(input: {locationId: "location-1"}) { problems { code } } }"""
    answer = await by_session(asked, session, both)
    assert answer.body["data"] == {"revokeSessions": {"problems": []}, "startOnboarding": None}
    assert answer.codes == ["UNAUTHENTICATED"]
