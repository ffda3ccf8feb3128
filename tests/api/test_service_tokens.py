"""A request with a service token sees what its user sees and the token includes, and never more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from app.domain.vocabulary import Role
from permissions.matrix import TokenAction
from permissions.policy import missing_for, role_includes
from tests.builders_db import LEAD_ID, a_service_token, committed, service_token_of
from tests.harness import LEAD, Client
from tests.harness import TestDatabase as WorkerDatabase

from .conftest import World
from .test_scope import BY_ID, LISTS, cells, type_of

ROLE_OF = {
    "customer": Role.CUSTOMER,
    "partner": Role.PARTNER,
    "auditor": Role.AUDITOR,
    "lead": Role.IMPLEMENTATION_LEAD,
    "scoped_lead": Role.IMPLEMENTATION_LEAD,
}
FIELDS = sorted({field for field, _, _ in cells(LISTS)})
ROOTS = ("account", "location", "onboardingSession", "provisioningPayload", "readiness", "review")
TYPES = sorted(path.removeprefix("node:") for path in {path for path, _, _ in cells(BY_ID)} if path.startswith("node:"))
# No token sees how people and machines sign in; its user may.
CREDENTIALS = ("Invitation", "ServiceToken", "UserSession")
LACKING = [
    (asker, action.value) for asker, role in ROLE_OF.items() for action in TokenAction if role_includes(role, action)
]
UNREADABLE = {"FORBIDDEN", "NOT_FOUND"}


def user_of(world: World, asker: str) -> str:
    user: str = LEAD_ID if asker == "lead" else getattr(world, asker)
    return user


@asynccontextmanager
async def a_token(database: WorkerDatabase, user: str, **row: Any) -> AsyncIterator[str]:
    async with committed(database) as connection:
        name = await a_service_token(connection, user, **row)
    yield service_token_of(name).text
    async with committed(database) as connection:
        await connection.execute("DELETE FROM turnup.service_token WHERE id = $1", name)


def documents(world: World) -> list[str]:
    """Every root of the scope tables for an object, the lists, what the viewer can do, and what awaits the viewer."""
    roots = [
        f"{root}({'locationId' if root in {'readiness', 'review'} else 'id'}: "
        f'"{world.ids[world.here][type_of(root)]}") {{ __typename }}'
        for root in ROOTS
    ]
    roots.append(f'actions: node(id: "{world.here}") {{ ... on Location {{ viewerActions {{ action allowed }} }} }}')
    lists = [f"{field}(first: 20) {{ nodes {{ id }} }}" for field in FIELDS]
    lists.append("mine: locations(filter: {awaiting: ME}, first: 20) { nodes { id } }")
    lists.append("viewer { name role email allAccounts account { id } }")
    return ["{ " + " ".join(parts) + " }" for parts in (roots, lists)]


def fits(narrow: Any, wide: Any) -> bool:
    """Whether a value has nothing that the other one does not have: null, fewer nodes, a smaller number, or equal."""
    if narrow is None or narrow == wide:
        return True
    if isinstance(narrow, dict) and isinstance(wide, dict):
        return narrow.keys() == wide.keys() and all(fits(narrow[key], wide[key]) for key in narrow)
    if isinstance(narrow, list) and isinstance(wide, list):
        if narrow and "action" in narrow[0]:
            possible = {each["action"] for each in wide if each["allowed"]}
            return {each["action"] for each in narrow if each["allowed"]} <= possible
        return all(each in wide for each in narrow)
    return type(narrow) is int and type(wide) is int and narrow <= wide


async def asked(client: Client, world: World, who: str) -> dict[str, Any]:
    """Everything that somebody sees, and the fields that were refused."""
    seen: dict[str, Any] = {}
    refused: set[str] = set()
    for document in documents(world):
        answer = await client.ask(document, who)
        assert answer.status == 200
        assert set(answer.codes) <= UNREADABLE
        seen |= answer.body["data"]
        refused |= {each["path"][0] for each in answer.body.get("errors", ()) if "FORBIDDEN" in str(each)}
    places = [(kind, place) for kind in TYPES for place in (world.here, world.beside, world.away)]
    ids = [world.ids[place][kind] for kind, place in places]
    nodes = (await client.ask("query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }", who, ids=ids)).body["data"]
    seen |= {f"{kind} {place}": node for (kind, place), node in zip(places, nodes["nodes"], strict=True)}
    return {"seen": seen, "refused": sorted(refused)}


def without_credentials(found: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in found["seen"].items() if not name.startswith(CREDENTIALS)}


@pytest.mark.parametrize("asker", ROLE_OF)
async def test_a_token_with_everything_sees_exactly_what_its_user_sees(
    client: Client, world: World, database: WorkerDatabase, asker: str
) -> None:
    user = user_of(world, asker)
    own = await asked(client, world, LEAD if asker == "lead" else user)
    async with a_token(database, user) as token:
        by_token = await asked(client, world, token)
    assert without_credentials(by_token) == without_credentials(own)
    assert by_token["refused"] == own["refused"]


@pytest.mark.parametrize(("asker", "action"), LACKING)
async def test_a_token_without_an_action_sees_less_and_never_more(
    client: Client, world: World, database: WorkerDatabase, asker: str, action: str
) -> None:
    user = user_of(world, asker)
    own = await asked(client, world, LEAD if asker == "lead" else user)
    listed = [each.value for each in TokenAction if role_includes(ROLE_OF[asker], each) and each.value != action]
    async with a_token(database, user, actions=listed) as token:
        narrowed = await asked(client, world, token)
        as_viewer = (await client.ask("{ viewer { serviceToken { actions } } }", token)).data["viewer"]
    assert as_viewer["serviceToken"]["actions"] == sorted(listed)
    assert fits(narrowed["seen"], own["seen"])
    counting = [each for each in listed if not missing_for(each, listed)]
    if "VIEW_LOCATIONS" not in counting and asker in {"customer", "lead", "scoped_lead"}:
        assert {"locations", "approvals", "location", "review", "actions", "mine"} <= set(narrowed["refused"])
        assert [
            name for name, each in narrowed["seen"].items() if each and name.startswith(("Location ", "Device "))
        ] == []
    if "VIEW_PROVISIONING" not in counting and asker != "customer":
        assert {"provisioningPayloads", "provisioningPayload"} <= set(narrowed["refused"])


async def test_a_token_that_lists_an_account_sees_nothing_of_others(
    client: Client, world: World, database: WorkerDatabase
) -> None:
    async with a_token(database, LEAD_ID, account_ids=[world.account]) as token:
        narrowed = await asked(client, world, token)
        of_scoped = await asked(client, world, world.scoped_lead)
        viewer = (await client.ask("{ viewer { allAccounts } }", token)).data["viewer"]
    assert viewer == {"allAccounts": False}
    differing = {"viewer", "actions", *(name for name in of_scoped["seen"] if name.startswith((*CREDENTIALS, "User ")))}
    found, by_scoped = [
        {name: each for name, each in of["seen"].items() if name not in differing} for of in (narrowed, of_scoped)
    ]
    assert found == by_scoped


async def test_a_grant_that_is_gone_counts_no_more_for_a_token_that_lists_its_account(
    client: Client, world: World, database: WorkerDatabase
) -> None:
    async with a_token(database, world.partner, account_ids=[world.away_account]) as token:
        assert (await client.ask("{ accounts { nodes { id } } }", token)).data == {"accounts": {"nodes": []}}
    async with a_token(database, world.ungranted, account_ids=[world.account]) as token:
        assert (await client.ask("{ viewer { account { id } } }", token)).data == {"viewer": {"account": None}}


@pytest.mark.parametrize(
    "row",
    [
        {"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"created_at": datetime(2025, 1, 1, tzinfo=UTC), "expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
    ids=["revoked", "expired"],
)
async def test_a_token_that_ended_signs_nobody_in(
    client: Client, world: World, database: WorkerDatabase, row: dict[str, Any]
) -> None:
    async with a_token(database, world.partner, **row) as token:
        answer = await client.ask("{ viewer { role } }", token)
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])


async def test_a_token_of_a_suspended_user_is_refused_while_the_suspension_lasts(
    client: Client, world: World, database: WorkerDatabase
) -> None:
    change = 'UPDATE turnup."user" SET status = $2 WHERE id = $1'
    async with a_token(database, world.other_partner) as first, a_token(database, world.other_partner) as second:
        heard = []
        # A server remembers for a moment that it refused a credential, so the second one is sent after the suspension.
        for status, token in (("SUSPENDED", first), ("ACTIVE", second)):
            async with committed(database) as connection:
                await connection.execute(change, world.other_partner, status)
            heard.append((await client.ask("{ viewer { role } }", token)).codes)
    assert heard == [["UNAUTHENTICATED"], []]


async def test_no_token_sees_or_finds_any_token_but_itself(
    client: Client, world: World, database: WorkerDatabase
) -> None:
    async with a_token(database, LEAD_ID) as token:
        itself = (await client.ask("{ viewer { serviceToken { id user { id } } } }", token)).data["viewer"]
        other = world.ids[world.here]["ServiceToken"]
        for wanted in (other, itself["serviceToken"]["id"]):
            answer = await client.ask("query($id: ID!) { node(id: $id) { id } }", token, id=wanted)
            assert answer.codes == ["FORBIDDEN"]
        assert (await client.ask("{ serviceTokens { totalCount } }", token)).codes == ["FORBIDDEN"]
    assert itself["serviceToken"]["user"] == {"id": LEAD_ID}
    assert (await client.ask("{ viewer { serviceToken { id } } }")).data == {"viewer": {"serviceToken": None}}


async def test_the_time_of_the_last_use_is_shown_once_it_is_recorded(
    client: Client, world: World, database: WorkerDatabase
) -> None:
    query = "query($user: ID!) { serviceTokens(userId: $user, first: 1) { nodes { lastUsedAt } } }"
    soon = datetime.now(UTC) + timedelta(days=1)
    async with a_token(database, world.other_partner, created_at=datetime.now(UTC), expires_at=soon):
        before = await client.ask(query, user=world.other_partner)
        async with committed(database) as connection:
            await connection.execute(
                "INSERT INTO turnup.service_token_use SELECT id, now() FROM turnup.service_token"
                " WHERE user_id = $1 ORDER BY created_at DESC LIMIT 1",
                world.other_partner,
            )
        after = await client.ask(query, user=world.other_partner)
    (first,), (second,) = [each.data["serviceTokens"]["nodes"] for each in (before, after)]
    assert first == {"lastUsedAt": None}
    assert datetime.fromisoformat(second["lastUsedAt"]) <= datetime.now(UTC)


async def test_a_response_to_a_token_with_less_than_14_days_left_says_when_it_expires(
    client: Client, world: World, database: WorkerDatabase
) -> None:
    heard = []
    for days in (13, 20):
        async with a_token(database, world.partner, expires_at=datetime.now(UTC) + timedelta(days=days)) as token:
            answer = await client.ask("{ viewer { role serviceToken { expiresAt } } }", token)
            heard.append((answer.headers.get("turnup-token-expires"), answer.data["viewer"]["serviceToken"]))
    (warned, soon), (quiet, _) = heard
    assert quiet is None
    expires_at = datetime.fromisoformat(soon["expiresAt"]).replace(microsecond=0)
    assert parsedate_to_datetime(str(warned)) == expires_at
