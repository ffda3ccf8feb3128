"""Sessions end at once: when a user or a lead revokes them, and when the user is suspended or becomes somebody else."""

import asyncio
from typing import Any

import asyncpg
import pytest

from app.auth.development import ISSUER
from app.domain.vocabulary import LocationStatus, Role
from tests.builders_db import a_session, a_user, fresh, secret_of, sent_with
from tests.harness import TestDatabase
from tests.lanes import scaled

from .scenario import Scenario, Sent, a_key, as_definer
from .test_ways_round import until_waiting

pytestmark = [pytest.mark.usefixtures("users_as_before"), pytest.mark.usefixtures("replayed")]

BEGIN = "SELECT status FROM turnup.begin_session($1, $2, $3, sha256($1::text::bytea), 'Mozilla/5.0', 28800, 86400)"
ROUNDS = [8, pytest.param(scaled(50), marks=pytest.mark.slow)]
OPEN = "SELECT count(*) FROM turnup.user_session WHERE user_id = $1 AND ended_at IS NULL"


async def a_customer(scenario: Scenario) -> str:
    """A user without sessions."""
    async with scenario.arranging():
        return await a_user(scenario.connection, Role.CUSTOMER, scenario.account)


async def sessions_of(scenario: Scenario, user: str, number: int = 1, **row: Any) -> list[str]:
    async with scenario.arranging():
        return [await a_session(scenario.connection, user, **row) for _ in range(number)]


async def ends(scenario: Scenario, *sessions: str) -> list[str | None]:
    """Why each of the sessions ended; None for an open one."""
    found = await scenario.connection.fetch(
        "SELECT id, end_reason FROM turnup.user_session WHERE id = ANY ($1)", list(sessions)
    )
    reasons = {row["id"]: row["end_reason"] for row in found}
    return [reasons[each] for each in sessions]


async def revoked(scenario: Scenario, who: str, session: str, **more: Any) -> Sent:
    return await scenario.send(who, "revokeSession", "revokedSessionId", sessionId=session, **more)


async def recorded(scenario: Scenario, sent: Sent) -> list[tuple[str, str, str, str]]:
    """The entries of a request with what changed: action, actor, row and field."""
    rows = await scenario.connection.fetch(
        """SELECT e.action, e.actor_id, c.row_id, c.field FROM turnup.audit_entry e
           LEFT JOIN turnup.field_change c ON c.entry_id = e.id AND c.table_name = 'user_session'
           WHERE e.request_id = $1 ORDER BY c.row_id, c.field""",
        sent.request_id,
    )
    return [tuple(row) for row in rows]


# Revocation


@pytest.mark.parametrize("role", ["customer", "partner", "auditor", "scoped_lead", "lead"])
async def test_a_user_of_any_role_ends_a_session_of_their_own(scenario: Scenario, role: str) -> None:
    user = getattr(scenario, role)
    first, second = await sessions_of(scenario, user, 2)
    sent = await revoked(scenario, user, first)
    assert (sent.outcome, sent.payload["revokedSessionId"]) == ("DONE", first)
    assert await ends(scenario, first, second) == ["REVOKED", None]
    row = f"{user}/{first}"
    assert await recorded(scenario, sent) == [
        ("revokeSession", user, row, "end_reason"),
        ("revokeSession", user, row, "ended_at"),
    ]


@pytest.mark.parametrize("role", ["clerk", "partner", "auditor", "scoped_lead"])
async def test_a_session_of_another_user_cannot_be_told_from_a_missing_one(scenario: Scenario, role: str) -> None:
    who = getattr(scenario, role)
    (session,) = await sessions_of(scenario, scenario.customer)
    there, missing = await revoked(scenario, who, session), await revoked(scenario, who, "usersession-nobody")
    assert (there.outcome, there.problem) == (missing.outcome, missing.problem)
    assert there.outcome == "NOT_FOUND"
    everywhere = await scenario.send(who, "revokeSessions", userId=scenario.customer)
    nobody = await scenario.send(who, "revokeSessions", userId="user-nobody")
    assert (everywhere.outcome, everywhere.problem) == (nobody.outcome, nobody.problem)
    assert everywhere.outcome == "NOT_FOUND"
    assert await ends(scenario, session) == [None]


async def test_a_lead_of_all_accounts_ends_the_sessions_of_anybody(scenario: Scenario) -> None:
    user = await a_customer(scenario)
    first, second, third = await sessions_of(scenario, user, 3)
    assert (await revoked(scenario, scenario.lead, first)).outcome == "DONE"
    sent = await scenario.send(scenario.lead, "revokeSessions", userId=user)
    assert sent.outcome == "DONE"
    assert await ends(scenario, first, second, third) == ["REVOKED"] * 3
    assert {each[:3] for each in await recorded(scenario, sent)} == {
        ("revokeSessions", scenario.lead, f"{user}/{session}") for session in (second, third)
    }


async def test_an_unconfirmed_lead_ends_the_own_sessions_alone(scenario: Scenario) -> None:
    async with scenario.arranging():
        lead = await a_user(scenario.connection, Role.IMPLEMENTATION_LEAD, made_by=[scenario.lead])
    (own,), (other,) = await sessions_of(scenario, lead), await sessions_of(scenario, scenario.customer)
    assert (await revoked(scenario, lead, other)).outcome == "USER_UNCONFIRMED"
    assert (await scenario.send(lead, "revokeSessions", userId=scenario.customer)).outcome == "USER_UNCONFIRMED"
    assert (await revoked(scenario, lead, own)).outcome == "DONE"
    assert await ends(scenario, own, other) == ["REVOKED", None]


async def test_signing_out_everywhere_ends_every_session_of_the_user_and_of_nobody_else(scenario: Scenario) -> None:
    user = await a_customer(scenario)
    own, other = await sessions_of(scenario, user, 20), await sessions_of(scenario, scenario.clerk)
    sent = await scenario.send(user, "revokeSessions")
    assert sent.outcome == "DONE"
    assert await ends(scenario, *own, *other) == [*["REVOKED"] * 20, None]


async def test_a_session_that_ended_before_stays_as_it_ended_and_leaves_no_entry(scenario: Scenario) -> None:
    user = await a_customer(scenario)
    first, second = await sessions_of(scenario, user, 2)
    async with scenario.connection.transaction():
        await scenario.connection.execute(
            "UPDATE turnup.user_session SET ended_at = now(), end_reason = 'SIGNED_OUT' WHERE id = $1", first
        )
    again = await revoked(scenario, user, first)
    assert (again.outcome, await recorded(scenario, again)) == ("DONE", [])
    await revoked(scenario, user, second)
    everywhere = await scenario.send(user, "revokeSessions")
    assert (everywhere.outcome, await recorded(scenario, everywhere)) == ("DONE", [])
    assert await ends(scenario, first, second) == ["SIGNED_OUT", "REVOKED"]


async def test_a_repeated_call_with_its_key_returns_the_same_session(scenario: Scenario) -> None:
    (session,) = await sessions_of(scenario, scenario.customer)
    key = a_key()
    first, second = [await revoked(scenario, scenario.customer, session, idempotencyKey=key) for _ in range(2)]
    assert (first.replayed, second.replayed) == (False, True)
    assert first.payload["revokedSessionId"] == second.payload["revokedSessionId"] == session


# What ends the sessions of a user

CHANGES: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "suspension": ("suspendUser", {}, "SUSPENDED"),
    "another subject": ("editUser", {"subject": "{fresh}"}, "USER_CHANGED"),
    "another issuer": ("editUser", {"issuer": "https://other.example"}, "USER_CHANGED"),
    "another role": ("editUser", {"role": "AUDITOR"}, "USER_CHANGED"),
    "another name": ("editUser", {"name": "Other"}, None),
    "another address": ("editUser", {"email": "{fresh}@dune.example"}, None),
    "the same subject": ("editUser", {"subject": "{same}"}, None),
    "the same issuer": ("editUser", {"issuer": None}, None),
    "the same role": ("editUser", {"role": "PARTNER"}, None),
    "grants": ("setGrants", {"grants": []}, None),
    "a reinstatement": ("reinstateUser", {}, None),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_the_sessions_of_a_user_end_with_who_the_user_is_and_with_nothing_else(
    scenario: Scenario, change: str
) -> None:
    mutation, given, reason = CHANGES[change]
    async with scenario.arranging():
        user = await a_user(scenario.connection, Role.PARTNER)
    sessions, others = await sessions_of(scenario, user, 3), await sessions_of(scenario, scenario.partner)
    texts = {"{fresh}": fresh("subject"), "{same}": user}
    values = {name: _filled(value, texts) for name, value in given.items()}
    if mutation in {"editUser", "setGrants"}:
        values["expectedRevision"] = 1
    assert (await scenario.send(scenario.lead, mutation, userId=user, **values)).outcome == "DONE"
    assert await ends(scenario, *sessions, *others) == [*[reason] * 3, None]


def _filled(value: Any, texts: dict[str, str]) -> Any:
    for place, text in texts.items():
        value = value.replace(place, text) if isinstance(value, str) else value
    return value


async def test_a_session_that_a_suspension_ended_does_not_come_back_with_the_user(scenario: Scenario) -> None:
    user = await a_customer(scenario)
    (session,) = await sessions_of(scenario, user)
    for mutation in ("suspendUser", "reinstateUser"):
        assert (await scenario.send(scenario.lead, mutation, userId=user)).outcome == "DONE"
    assert await ends(scenario, session) == ["SUSPENDED"]
    assert await signed_in(scenario, session) == []


async def signed_in(scenario: Scenario, session: str) -> list[str]:
    """Whom a session signs in."""
    found = await scenario.connection.fetch(
        "SELECT id FROM turnup.sign_in('SESSION', NULL, NULL, sha256($1::bytea), 5000)", secret_of(session).encode()
    )
    return [row["id"] for row in found]


# Issuers


async def test_the_same_subject_of_two_issuers_is_two_users(scenario: Scenario) -> None:
    subject = fresh("subject")
    made = []
    for issuer in (None, "https://one.example", "https://two.example"):
        email = f"{fresh('user')}@dune.example"
        given = {"name": "Ida", "email": email, "role": "AUDITOR", "subject": subject, "issuer": issuer}
        made.append(await scenario.send(scenario.lead, "createUser", "user { subject issuer }", **given))
    assert [each.payload["user"] for each in made] == [
        {"subject": subject, "issuer": issuer} for issuer in (None, "https://one.example", "https://two.example")
    ]


@pytest.mark.parametrize("issuer", [None, "https://one.example"])
async def test_two_users_never_have_one_subject_of_one_issuer(scenario: Scenario, issuer: str | None) -> None:
    subject = fresh("subject")
    sent = []
    for _ in range(2):
        email = f"{fresh('user')}@dune.example"
        given = {"name": "Ida", "email": email, "role": "AUDITOR", "subject": subject, "issuer": issuer}
        sent.append(await scenario.send(scenario.lead, "createUser", "user { id }", **given))
    assert [each.outcome for each in sent] == ["DONE", "INVALID_INPUT"]
    assert sent[1].problem["path"] == ["subject"]
    assert sent[1].problem["rule"] == "another user has this subject of the same issuer"


async def test_the_configured_issuer_is_stored_as_none_so_that_its_tokens_sign_in(scenario: Scenario) -> None:
    subject = fresh("subject")
    given = {"name": "Ida", "email": f"{subject}@dune.example", "role": "AUDITOR", "subject": subject, "issuer": ISSUER}
    sent = await scenario.send(scenario.lead, "createUser", "user { id issuer revision }", **given)
    assert sent.payload["user"]["issuer"] is None
    assert (await scenario.client.ask("{ viewer { role } }", subject)).data == {"viewer": {"role": "AUDITOR"}}
    named = {"userId": sent.payload["user"]["id"], "expectedRevision": 1, "issuer": "https://other.example"}
    edited = await scenario.send(scenario.lead, "editUser", "user { issuer confirmed revision }", **named)
    assert edited.payload["user"] == {"issuer": "https://other.example", "confirmed": False, "revision": 2}
    assert (await scenario.client.ask("{ viewer { role } }", subject)).codes == ["UNAUTHENTICATED"]


async def test_nobody_changes_their_own_issuer(scenario: Scenario) -> None:
    refused = await scenario.send(
        scenario.lead, "editUser", userId=scenario.lead, expectedRevision=1, issuer="https://other.example"
    )
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["issuer"])


@pytest.mark.parametrize("issuer", ["", " ", "https://one example", "https://ünser.example", "i" * 256])
async def test_an_issuer_that_no_token_has_is_refused(scenario: Scenario, issuer: str) -> None:
    given = {"name": "Ida", "email": f"{fresh('user')}@dune.example", "role": "AUDITOR", "issuer": issuer}
    refused = await scenario.send(scenario.lead, "createUser", **given)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["issuer"])


# At the same time


async def begun(database: TestDatabase, subject: str, issuer: str | None = None) -> str | None:
    """Begin a session as a browser does when it comes back from the provider; the status of the user, if there is."""
    connection = await asyncpg.connect(database.app_url)
    try:
        status: str | None = await connection.fetchval(BEGIN, fresh("usersession"), issuer, subject)
    finally:
        await connection.close()
    return status


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("change", ["suspension", "another subject", "another issuer"])
async def test_a_sign_in_that_is_raced_against_a_change_of_the_user_leaves_no_open_session(
    scenario: Scenario, own_database: TestDatabase, change: str, rounds: int
) -> None:
    mutation, given, _ = CHANGES[change]
    for _ in range(rounds):
        async with scenario.arranging():
            user = await a_user(scenario.connection, Role.PARTNER)
        values = {name: _filled(value, {"{fresh}": fresh("subject")}) for name, value in given.items()}
        if mutation == "editUser":
            values["expectedRevision"] = 1
        sending = asyncio.ensure_future(scenario.send(scenario.lead, mutation, userId=user, **values))
        await asyncio.gather(sending, *(begun(own_database, user) for _ in range(3)))
        assert (await sending).outcome == "DONE"
        assert await scenario.connection.fetchval(OPEN, user) == 0


async def test_a_sign_in_that_waited_for_a_suspension_begins_no_session(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    user, holder = await a_customer(scenario), await as_definer(own_database.owner_url)
    async with holder.transaction():
        await holder.execute("SELECT set_config('turnup.system_action', 'ARRANGE', true)")
        await holder.execute('UPDATE turnup."user" SET status = $2 WHERE id = $1', user, "SUSPENDED")
        late = asyncio.ensure_future(begun(own_database, user))
        await until_waiting(scenario, late)
        await holder.execute("SELECT turnup.audit_seal()")
    await holder.close()
    assert await late == "SUSPENDED"
    assert await scenario.connection.fetchval(OPEN, user) == 0


async def test_a_suspension_that_waited_for_a_sign_in_ends_its_session(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    user, session, browser = (
        await a_customer(scenario),
        fresh("usersession"),
        await asyncpg.connect(own_database.app_url),
    )
    async with browser.transaction():
        assert await browser.fetchval(BEGIN, session, None, user) == "ACTIVE"
        late = asyncio.ensure_future(scenario.send(scenario.lead, "suspendUser", userId=user))
        await until_waiting(scenario, late)
    await browser.close()
    assert (await late).outcome == "DONE"
    assert await ends(scenario, session) == ["SUSPENDED"]


RENAME = """mutation($id: ID!) { updateLocation(input: {locationId: $id, expectedRevision: 1, name: "Harbour"}) {
  problems { code } } }"""


async def test_a_call_that_began_before_its_session_was_revoked_is_whole_and_the_next_one_is_refused(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    location = await scenario.a_location(LocationStatus.IN_PROGRESS)
    (session,) = await sessions_of(scenario, scenario.customer)
    holder = await as_definer(own_database.owner_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM turnup.location WHERE id = $1 FOR UPDATE", location.id)
        late = asyncio.ensure_future(scenario.client.ask(RENAME, None, headers=sent_with(session), id=location.id))
        await until_waiting(scenario, late)
        assert (await revoked(scenario, scenario.customer, session)).outcome == "DONE"
    await holder.close()
    (error,) = (await late).body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["outcome"]) == ("UNAVAILABLE", "APPLIED")
    assert (await scenario.state_of(location.id)).revision == 2
    again = await scenario.client.ask(RENAME, None, headers=sent_with(session), id=location.id)
    assert (again.status, again.codes) == (401, ["UNAUTHENTICATED"])


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_no_request_that_begins_after_the_answer_to_a_revocation_is_served(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        (session,) = await sessions_of(scenario, scenario.customer)
        stopping, serving = asyncio.Event(), asyncio.Barrier(4)

        async def asking(
            session: str = session, stopping: asyncio.Event = stopping, serving: asyncio.Barrier = serving
        ) -> list[int]:
            statuses = []
            while not stopping.is_set():
                answer = await scenario.client.ask("{ viewer { role } }", None, headers=sent_with(session))
                statuses.append(answer.status)
                if len(statuses) == 1:
                    await serving.wait()
                await asyncio.sleep(0)  # a refusal in this process waits for nothing, so nobody else would run
            return statuses

        callers = [asyncio.ensure_future(asking()) for _ in range(3)]
        await serving.wait()
        assert (await revoked(scenario, scenario.customer, session)).outcome == "DONE"
        after = await scenario.client.ask("{ viewer { role } }", None, headers=sent_with(session))
        stopping.set()
        for statuses in await asyncio.gather(*callers):
            assert statuses[0] == 200
            assert statuses == sorted(statuses), "nobody is let in again"
        assert after.status == 401


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_revocation_raced_against_a_suspension_ends_each_session_for_one_of_both(
    scenario: Scenario, rounds: int
) -> None:
    for _ in range(rounds):
        async with scenario.arranging():
            user = await a_user(scenario.connection, Role.PARTNER)
        sessions = await sessions_of(scenario, user, 3)
        sent = await asyncio.gather(
            scenario.send(user, "revokeSessions"),
            revoked(scenario, scenario.lead_2, sessions[0]),
            scenario.send(scenario.lead, "suspendUser", userId=user),
        )
        assert sent[0].outcome in {"DONE", "UNAUTHENTICATED"}
        assert [each.outcome for each in sent[1:]] == ["DONE", "DONE"]
        assert set(await ends(scenario, *sessions)) <= {"REVOKED", "SUSPENDED"}
