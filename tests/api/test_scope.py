"""Who may see what, asked of every root field by everybody; and that what is hidden cannot be told from missing."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import true

from app.db import queries, tables
from app.db.scoping import Shape, scope_on, scope_values, shape_of
from app.domain.viewer import Scope
from app.domain.vocabulary import PayloadState, ReceiptKind, Role
from permissions.policy import viewer_of
from tests.builders_db import a_payload, a_receipt, a_recipient, committed
from tests.harness import LEAD, LEAD_2, Answer, Client
from tests.harness import TestDatabase as WorkerDatabase

from .conftest import World

ROOTS = {
    "account": "Account",
    "location": "Location",
    "onboardingSession": "OnboardingSession",
    "provisioningPayload": "ProvisioningPayload",
}

# What each asker is told of an object here, beside it in the same account, and away in another account:
# s(een), n(ot found), f(orbidden); u: not even signed in. The listed customer was granted the location here alone.
# An auditor sees the users who acted, which depends on what other tests do.
BY_ID = """
                          lead   lead2  customer  listed  none_listed  ungranted  away_customer  partner  other_partner
account                   sss    sss    ssn       ssn     ssn          nnn        nns            ssn      ssn
location                  sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
onboardingSession         sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
provisioningPayload       sss    sss    fff       fff     fff          fff        fff            ssn      nsn
readiness                 sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
review                    sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:Account              sss    sss    ssn       ssn     ssn          nnn        nns            ssn      ssn
node:User                 sss    sss    ssn       ssn     ssn          nnn        nns            nnn      nnn
node:Location             sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:OnboardingSession    sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:Contact              sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:Device               sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:Person               sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:Extension            sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:WorkingHours         sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:Approval             sss    sss    ssn       snn     nnn          nnn        nns            fff      fff
node:Override             sss    sss    fff       fff     fff          fff        fff            fff      fff
node:PayloadRecipient     sss    sss    fff       fff     fff          fff        fff            fff      fff
node:LocationPartner      sss    sss    fff       fff     fff          fff        fff            fff      fff
node:ProvisioningPayload  sss    sss    fff       fff     fff          fff        fff            ssn      nsn
node:Receipt              sss    sss    fff       fff     fff          fff        fff            ssn      nnn
node:AuditEntry           sss    sss    fff       fff     fff          fff        fff            fff      fff
node:DeviceModel          sss    sss    sss       sss     sss          sss        sss            fff      fff
node:UserSession          sss    sss    snn       nsn     nnn          nnn        nns            nnn      nnn
node:ServiceToken         sss    sss    snn       nsn     nnn          nnn        nns            nnn      nnn
node:Invitation           sss    sss    fff       fff     fff          fff        fff            fff      fff

                          scoped_lead  ungranted_lead  auditor
account                   ssn          nnn             fff
location                  ssn          nnn             fff
onboardingSession         ssn          nnn             fff
provisioningPayload       ssn          nnn             fff
readiness                 ssn          nnn             fff
review                    ssn          nnn             fff
node:Account              ssn          nnn             fff
node:User                 ssn          nnn             ...
node:Location             ssn          nnn             fff
node:OnboardingSession    ssn          nnn             fff
node:Contact              ssn          nnn             fff
node:Device               ssn          nnn             fff
node:Person               ssn          nnn             fff
node:Extension            ssn          nnn             fff
node:WorkingHours         ssn          nnn             fff
node:Approval             ssn          nnn             fff
node:Override             ssn          nnn             fff
node:PayloadRecipient     ssn          nnn             fff
node:LocationPartner      ssn          nnn             fff
node:ProvisioningPayload  ssn          nnn             fff
node:Receipt              ssn          nnn             fff
node:AuditEntry           ssn          nnn             sss
node:DeviceModel          sss          sss             fff
node:UserSession          nnn          nnn             nnn
node:ServiceToken         nnn          nnn             nnn
node:Invitation           fff          fff             fff
"""
# The locations whose rows a list holds: h(ere), b(eside), a(way).
LISTS = """
                          lead   lead2  customer  listed  none_listed  ungranted  away_customer  partner  other_partner
locations                 hba    hba    hb        h       -            -          a              f        f
approvals                 hba    hba    hb        h       -            -          a              f        f
provisioningPayloads      hba    hba    f         f       f            f          f              hb       b
auditLog                  hba    hba    f         f       f            f          f              f        f

                          scoped_lead  ungranted_lead  auditor
locations                 hb           -               f
approvals                 hb           -               f
provisioningPayloads      hb           -               f
auditLog                  hb           -               hba
"""
LIST_PAGE = "{ nodes { id } totalCount pageInfo { hasNextPage endCursor } }"
CODES = {"n": "NOT_FOUND", "f": "FORBIDDEN"}
NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }"


def cells(table: str) -> list[tuple[str, str, str]]:
    """Row, asker and what the table says of them; its parts have other askers."""
    found = []
    for part in table.strip().split("\n\n"):
        head, *rows = [line.split() for line in part.strip().splitlines()]
        found += [(row[0], asker, said) for row in rows for asker, said in zip(head, row[1:], strict=True)]
    return [each for each in found if each[2] != "..."]


def subject(world: World, asker: str) -> str | None:
    """The subject of an asker's token; None asks without one."""
    others: dict[str, str | None] = {"lead": LEAD, "lead2": LEAD_2, "unknown": "nobody@else.example", "anonymous": None}
    found: str | None = others[asker] if asker in others else getattr(world, asker)
    return found


def by_id(path: str) -> str:
    """The query that asks for one object by its id."""
    if path.startswith("node:"):
        return "query($id: ID!) { found: node(id: $id) { __typename } }"
    argument = "locationId" if path in {"readiness", "review"} else "id"
    return f"query($id: ID!) {{ found: {path}({argument}: $id) {{ __typename }} }}"


def type_of(path: str) -> str:
    return path.removeprefix("node:") if path.startswith("node:") else ROOTS.get(path, "Location")


async def answered(client: Client, world: World, asker: str, query: str, **variables: Any) -> Answer:
    return (await client.ask(query, subject(world, asker), **variables)).without_id


@pytest.mark.parametrize("asked", [BY_ID, LISTS])
async def test_somebody_of_every_role_asks(client: Client, world: World, asked: str) -> None:
    askers = {asker for _, asker, _ in cells(asked)}
    answers = [await answered(client, world, asker, "{ viewer { role } }") for asker in askers]
    assert {each.data["viewer"]["role"] for each in answers} == {role.value for role in Role}


@pytest.mark.parametrize(("path", "asker", "told"), cells(BY_ID))
async def test_by_id_everybody_is_told_what_the_table_says(
    client: Client, world: World, path: str, asker: str, told: str
) -> None:
    heard = ""
    for place in (world.here, world.beside, world.away):
        answer = await answered(client, world, asker, by_id(path), id=world.ids[place][type_of(path)])
        codes = {"": "s", "NOT_FOUND": "n", "FORBIDDEN": "f"}
        (code,) = answer.codes or [""]
        assert (answer.body["data"]["found"] is None) == bool(code)
        heard += codes[code]
    assert heard == told


def hidden() -> Iterator[tuple[str, str, int]]:
    for path, asker, told in cells(BY_ID):
        for place, letter in enumerate(told):
            if letter == "n":
                yield path, asker, place


@pytest.mark.parametrize(("path", "asker", "told"), [each for each in cells(BY_ID) if each[0].startswith("node:")])
async def test_each_of_many_ids_is_answered_as_if_it_was_asked_for_alone(
    client: Client, world: World, path: str, asker: str, told: str
) -> None:
    ids = [world.ids[place][type_of(path)] for place in (world.here, world.beside, world.away)]
    answer = await answered(client, world, asker, NODES, ids=["nothing", *ids])
    outcomes = "n" + told
    assert [each is not None for each in answer.body["data"]["nodes"]] == [letter == "s" for letter in outcomes]
    places = {code: [n for n, each in enumerate(outcomes) if each == letter] for letter, code in CODES.items()}
    assert {
        each["extensions"]["code"]: (each["path"], each["extensions"]["indexes"]) for each in answer.body["errors"]
    } == {code: (["nodes", indexes[0]], indexes) for code, indexes in places.items() if indexes}


@pytest.mark.parametrize(("path", "asker", "place"), [each for each in hidden() if each[0].startswith("node:")])
async def test_among_many_ids_a_hidden_object_cannot_be_told_from_a_missing_one(
    client: Client, world: World, path: str, asker: str, place: int
) -> None:
    there = world.ids[(world.here, world.beside, world.away)[place]][type_of(path)]
    answers = [
        await answered(client, world, asker, NODES, ids=["location-99", wanted])
        for wanted in (there, there[:-6] + "zzzzzz")
    ]
    first, second = ((answer.status, answer.raw, dict(answer.headers)) for answer in answers)
    assert first == second


@pytest.mark.parametrize(("path", "asker", "place"), list(hidden()))
async def test_a_hidden_object_cannot_be_told_from_a_missing_one(
    client: Client, world: World, path: str, asker: str, place: int
) -> None:
    there = world.ids[(world.here, world.beside, world.away)[place]][type_of(path)]
    missing = there[:-6] + "zzzzzz"
    answers = [await answered(client, world, asker, by_id(path), id=wanted) for wanted in (there, missing)]
    first, second = ((answer.status, answer.raw, dict(answer.headers)) for answer in answers)
    assert first == second


@pytest.mark.parametrize(("field", "asker", "told"), cells(LISTS))
async def test_a_list_holds_what_is_in_reach_and_counts_nothing_else(
    client: Client, world: World, field: str, asker: str, told: str
) -> None:
    places = {"h": world.here, "b": world.beside, "a": world.away}
    mine = {world.ids[place][name]: letter for letter, place in places.items() for name in world.ids[place]}
    query = f"query($after: String) {{ list: {field}(first: 100, after: $after) {LIST_PAGE} }}"
    answer = await answered(client, world, asker, query)
    if told == "f":
        assert (answer.body["data"], answer.codes) == ({"list": None}, ["FORBIDDEN"])
        return
    page = answer.data["list"]
    total, ids = page["totalCount"], [node["id"] for node in page["nodes"]]
    while page["pageInfo"]["hasNextPage"]:
        page = (await answered(client, world, asker, query, after=page["pageInfo"]["endCursor"])).data["list"]
        ids += [node["id"] for node in page["nodes"]]
    assert ({mine[each] for each in ids if each in mine}, total) == (set(told.replace("-", "")), len(set(ids)))
    if asker not in {"lead", "lead2", "auditor"}:
        assert [each for each in ids if each not in mine] == []


@pytest.mark.parametrize(("asker", "told"), [each[1:] for each in cells(LISTS) if each[0] == "locations"])
async def test_the_locations_of_accounts_are_those_that_the_root_lists(
    client: Client, world: World, asker: str, told: str
) -> None:
    listed = f"{{ id list: locations(first: 100) {LIST_PAGE} }}"
    query = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Account {listed} }} }}"
    answer = await answered(client, world, asker, query, ids=[world.account, world.away_account])
    found = {each["id"]: each["list"] for each in answer.body["data"]["nodes"] if each is not None}
    places = {"h": world.here, "b": world.beside, "a": world.away}
    for account, page in found.items():
        if told == "f":
            assert page is None
        else:
            seen = {places[each] for each in told if each in ("a" if account == world.away_account else "hb")}
            assert ({each["id"] for each in page["nodes"]}, page["totalCount"]) == (seen, len(seen))


@pytest.mark.parametrize("asker", ["suspended", "unknown", "anonymous"])
@pytest.mark.parametrize(
    "query",
    [
        "{ viewer { name } }",
        "{ locations { totalCount } }",
        '{ node(id: "account-1") { id } }',
        '{ nodes(ids: ["account-1"]) { id } }',
    ],
)
async def test_who_is_not_signed_in_is_told_nothing(client: Client, world: World, asker: str, query: str) -> None:
    answer = await answered(client, world, asker, query)
    assert (answer.status, answer.codes, "data" in answer.body) == (401, ["UNAUTHENTICATED"], False)


async def test_a_suspended_user_cannot_be_told_from_an_unknown_one(client: Client, world: World) -> None:
    suspended, unknown = [
        await answered(client, world, asker, "{ viewer { name } }") for asker in ("suspended", "unknown")
    ]
    assert suspended.raw == unknown.raw


async def test_a_user_suspended_between_two_requests_is_refused_at_once_and_let_in_again(
    client: Client, world: World, database: WorkerDatabase
) -> None:
    async def status_after(status: str) -> int:
        async with committed(database) as connection:
            await connection.execute('UPDATE turnup."user" SET status = $2 WHERE id = $1', world.customer, status)
        return (await answered(client, world, "customer", "{ viewer { name } }")).status

    assert [await status_after("ACTIVE"), await status_after("SUSPENDED")] == [200, 401]
    for _ in range(300):  # the server repeats the refusal for two seconds
        if await status_after("ACTIVE") == 200:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the user is not let in again")


FILTERS = {
    "locations": ("LocationFilter", "accountId", "Account"),
    "approvals": ("ApprovalFilter", "locationId", "Location"),
    "provisioningPayloads": ("ProvisioningPayloadFilter", "locationId", "Location"),
}


@pytest.mark.parametrize("field", FILTERS)
async def test_filtering_by_what_is_hidden_is_filtering_by_what_is_missing(
    client: Client, world: World, field: str
) -> None:
    kind, condition, type_name = FILTERS[field]
    query = f"query($filter: {kind}) {{ list: {field}(filter: $filter) {{ nodes {{ id }} totalCount }} }}"
    there = world.ids[world.away][type_name]
    asker = "partner" if field == "provisioningPayloads" else "customer"
    answers = [
        await answered(client, world, asker, query, filter={condition: wanted})
        for wanted in (there, there[:-6] + "zzzzzz")
    ]
    assert answers[0].raw == answers[1].raw
    assert answers[0].data == {"list": {"nodes": [], "totalCount": 0}}


ASKERS = sorted({asker for _, asker, _ in cells(BY_ID)})


@pytest.mark.parametrize("asker", ASKERS)
async def test_everybody_sees_themselves_as_a_user(client: Client, world: World, asker: str) -> None:
    answer = await answered(client, world, asker, "{ viewer { name role user { id name role } } }")
    viewer = answer.data["viewer"]
    user = viewer.pop("user")
    query = "query($id: ID!) { node(id: $id) { id ... on User { name role } } }"
    assert (await answered(client, world, asker, query, id=user["id"])).data == {"node": user}
    assert user == {"id": {"lead": "user-lead", "lead2": "user-lead-2"}.get(asker, subject(world, asker)), **viewer}


async def test_an_ungranted_customer_has_no_account_yet(client: Client, world: World) -> None:
    answer = await answered(client, world, "ungranted", "{ viewer { account { id } } accounts { totalCount } }")
    assert answer.data == {"viewer": {"account": None}, "accounts": {"totalCount": 0}}


async def test_a_listed_customer_reaches_nothing_more_through_relations(client: Client, world: World) -> None:
    answer = await answered(
        client,
        world,
        "listed",
        """{ viewer { account { id } } locations(first: 100) { nodes { id account { id }
        devices { location { id } extension { location { id } person { location { id } extensions { id } } } }
        session { location { id } } approvals { location { id } } contacts { location { id } } } } }""",
    )
    assert world.beside not in answer.raw.decode()
    assert [node["id"] for node in answer.data["locations"]["nodes"]] == [world.here]


async def test_a_partner_sees_who_handed_over_and_no_location(client: Client, world: World) -> None:
    answer = await answered(
        client,
        world,
        "partner",
        """query($id: ID!) {
        provisioningPayload(id: $id) { sourceAccount { name } sourceLocation { id } generatedBy { name email } } }""",
        id=world.ids[world.here]["ProvisioningPayload"],
    )
    assert answer.body["data"] == {
        "provisioningPayload": {
            "sourceAccount": {"name": "Dune Opticians"},
            "sourceLocation": None,
            "generatedBy": {"name": "Lena Ortiz", "email": None},
        }
    }
    assert answer.codes == ["FORBIDDEN", "FORBIDDEN"]


async def test_whoever_sees_an_account_or_a_user_sees_its_revision_and_times(client: Client, world: World) -> None:
    shown = "revision createdAt updatedAt"
    query = f"""query($ids: [ID!]!) {{ nodes(ids: $ids) {{
        ... on Account {{ {shown} }} ... on User {{ {shown} }} }} }}"""
    for asker, ids in {
        "lead": [world.account, world.customer],
        "customer": [world.account, world.customer],
        "partner": [world.account, world.partner],
        "auditor": ["user-lead"],
    }.items():
        answer = await answered(client, world, asker, query, ids=ids)
        assert [sorted(node) for node in answer.data["nodes"]] == [["createdAt", "revision", "updatedAt"]] * len(ids)


async def test_a_recipient_sees_neither_the_other_recipients_nor_their_receipts(
    client: Client, world: World, database: WorkerDatabase
) -> None:
    shared = world.ids[world.beside]["ProvisioningPayload"]
    async with committed(database) as connection:
        await connection.execute(
            "UPDATE turnup.payload_recipient SET waived_at = now(), waived_by = 'user-lead', waived_reason = 'Closed'"
            " WHERE payload_id = $1 AND user_id = $2",
            shared,
            world.other_partner,
        )
        receipt = await a_receipt(connection, shared, world.partner, kind=ReceiptKind.REJECTED)
    query = """query($id: ID!) { provisioningPayload(id: $id) {
        state recipients { user { name } waivedReason }
        receipts { id receivedBy { id } reasons { path code message } } } }"""
    own, other, lead = [
        await answered(client, world, asker, query, id=shared) for asker in ("partner", "other_partner", "lead")
    ]
    async with committed(database) as connection:
        await connection.execute("DELETE FROM turnup.receipt WHERE id = $1", receipt)
    reasons = [{"path": "/devices/0", "code": "UNKNOWN_MODEL", "message": "We do not know this model."}]
    told = {"id": receipt, "receivedBy": {"id": world.partner}, "reasons": reasons}
    assert own.body["data"]["provisioningPayload"] == {"state": "RELEASED", "recipients": None, "receipts": [told]}
    assert other.body["data"]["provisioningPayload"] == {"state": "RELEASED", "recipients": None, "receipts": []}
    assert own.codes == other.codes == ["FORBIDDEN"]
    assert lead.data["provisioningPayload"]["receipts"] == [told]
    assert [each["waivedReason"] for each in lead.data["provisioningPayload"]["recipients"]].count("Closed") == 1
    assert world.other_partner not in own.raw.decode()
    assert world.partner not in other.raw.decode()


@pytest.mark.parametrize("asker", ["partner", "other_partner"])
async def test_a_partner_does_not_see_a_successor_that_was_released_to_others(
    client: Client, world: World, database: WorkerDatabase, asker: str
) -> None:
    async with committed(database) as connection:
        old = await a_payload(connection, world.here, state=PayloadState.SUPERSEDED, sequence=3)
        new = await a_payload(connection, world.here, sequence=4)
        await connection.execute("UPDATE turnup.provisioning_payload SET superseded_by = $2 WHERE id = $1", old, new)
        for payload in (old, new):
            await a_recipient(connection, payload, world.partner)
        await a_recipient(connection, old, world.other_partner)
    query = "query($id: ID!) { provisioningPayload(id: $id) { supersededBy { id } } }"
    answer = await answered(client, world, asker, query, id=old)
    async with committed(database) as connection:
        await connection.execute("DELETE FROM turnup.payload_recipient WHERE payload_id = ANY ($1)", [old, new])
        await connection.execute("DELETE FROM turnup.provisioning_payload WHERE id = ANY ($1)", [old, new])
    successor = new if asker == "partner" else None
    assert answer.data["provisioningPayload"] == {"supersededBy": successor and {"id": successor}}


@pytest.mark.parametrize("asker", ["partner", "other_partner"])
async def test_the_predicates_alone_return_only_what_was_released_to_a_partner(
    world: World, database: WorkerDatabase, asker: str
) -> None:
    """The statements run as the definer, for whom row-level security returns every row."""
    user = getattr(world, asker)
    granted = Scope(accounts=frozenset({world.account}), locations=None)
    viewer = viewer_of(
        identifier=user,
        name="Ada",
        email="ada@x.example",
        role=Role.PARTNER,
        granted=granted,
        all_accounts=False,
        confirmed=True,
    )
    tables_and_keys = {
        tables.provisioning_payload: "ProvisioningPayload",
        tables.receipt: "Receipt",
    }
    async with committed(database) as connection:
        for table, type_name in tables_and_keys.items():
            scope = scope_on(viewer, table)
            statement = queries._find(table, shape_of(scope))
            for place in (world.here, world.beside, world.away):
                values = {"ids": world.ids[place][type_name], **scope_values(scope)}
                found = await connection.fetch(statement.sql, *(values[each] for each in statement.parameters))
                (said,) = [said for path, who, said in cells(BY_ID) if (path, who) == (f"node:{type_name}", asker)]
                letter = said[(world.here, world.beside, world.away).index(place)]
                assert bool(found) == (letter == "s"), (type_name, place)


@pytest.fixture
def no_predicates(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every statement forgets its scope, so that row-level security stands alone."""
    kept = (queries._page, queries._count, queries._find)
    for cache in kept:
        cache.cache_clear()
    monkeypatch.setattr(queries, "within", lambda _shape, _table: true())
    assert "scope_accounts" not in queries._find(tables.location, Shape.ACCOUNTS).parameters
    yield
    for cache in kept:
        cache.cache_clear()


@pytest.mark.parametrize(
    "asker",
    [
        "customer",
        "listed",
        "none_listed",
        "ungranted",
        "away_customer",
        "partner",
        "other_partner",
        "scoped_lead",
        "ungranted_lead",
        "auditor",
    ],
)
async def test_statements_that_forget_the_scope_still_return_no_foreign_row(
    client: Client, world: World, no_predicates: None, asker: str
) -> None:
    told = [(path, said) for path, who, said in cells(BY_ID) if who == asker and path not in {"readiness", "review"}]
    for path, said in told:
        for letter, place in zip(said, (world.here, world.beside, world.away), strict=True):
            answer = await answered(client, world, asker, by_id(path), id=world.ids[place][type_of(path)])
            assert answer.codes == ([] if letter == "s" else [CODES[letter]]), (path, place)
    for field, who, said in cells(LISTS):
        if who == asker and said != "f":
            await test_a_list_holds_what_is_in_reach_and_counts_nothing_else(client, world, field, asker, said)


# What is noted about the schema and the database is no data of anybody.
OF_NOBODY = {tables.schema_state, tables.installation}
OF_USERS = [table.name for table in tables.metadata.sorted_tables if table not in OF_NOBODY]


@pytest.mark.parametrize("table", sorted(OF_USERS))
async def test_the_apps_role_sees_nothing_before_somebody_signs_in(
    world: World, database: WorkerDatabase, table: str
) -> None:
    connection = await asyncpg.connect(database.app_url)
    try:
        seen = await connection.fetch(f'SELECT * FROM turnup."{table}" LIMIT 1')
    except asyncpg.InsufficientPrivilegeError:
        seen = []
    finally:
        await connection.close()
    assert seen == []
