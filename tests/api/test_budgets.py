"""Budgets a user and minute: what counts toward which, how one that is spent answers, and what happens unlimited."""

import asyncio
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
)

from app.domain.vocabulary import Budget, Role
from app.http.refusals import RESPONSE_JSON
from app.limiting.limiter import Limiter
from app.operations.registry import MUTATIONS as DECLARED
from app.settings import Settings
from graphql_schema.schema import schema
from permissions.matrix import allows
from tests.harness import CUSTOMER, LEAD, LEAD_2, NOON, PARTNER, Answer, Client, TestDatabase, least_fields, patient

from .serving import serving, statements_logged

WHO = {Role.IMPLEMENTATION_LEAD: LEAD, Role.PARTNER: PARTNER, Role.CUSTOMER: CUSTOMER}
MUTATIONS: dict[str, GraphQLField] = schema._schema.mutation_type.fields  # type: ignore[union-attr]
LIMITS = "{ rateLimits { budget limit remaining resetsAt } }"
STEP = 'mutation { setCurrentStep(input: {locationId: "location-9", step: DEVICES}) { problems { code } } }'
NONSENSE = 'mutation { addDevice(input: {locationId: "location-99", brand: YEALINK}) { problems { code } } }'
BULK = """
mutation ($ids: [ID!]!, $key: String!, $dry: Boolean! = false) {
  bulkGeneratePayloads(input: {locationIds: $ids, idempotencyKey: $key, dryRun: $dry}) {
    replayed problems { code }
  }
}
"""
TWO_PAGES = (
    "{ locations(first: 3) { nodes { id account { id } } } more: locations(first: 2) { edges { node { id } } } }"
)
PAYLOADS = "{ provisioningPayloads(first: 5) { nodes { id document } } }"


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The limiter's clock stands still, so that no minute ends within a test; the test may set it."""
    now = [NOON]
    initialise = Limiter.__init__

    def with_clock(self: Limiter, *arguments: Any, **options: Any) -> None:
        initialise(self, *arguments, clock=lambda: now[0], **options)

    monkeypatch.setattr(Limiter, "__init__", with_clock)
    return now


async def left(client: Client, who: str = LEAD) -> dict[str, int]:
    answer = await client.ask(LIMITS, who)
    return {each["budget"]: each["remaining"] for each in answer.data["rateLimits"]}


def sample(kind: Any) -> str:
    """A literal that fits an input type, with what is required and no more."""
    if isinstance(kind, GraphQLNonNull):
        return sample(kind.of_type)
    if isinstance(kind, GraphQLList):
        return f"[{sample(kind.of_type)}]"
    if isinstance(kind, GraphQLInputObjectType):
        return "{" + ", ".join(f"{name}: {sample(each.type)}" for name, each in least_fields(kind).items()) + "}"
    if isinstance(kind, GraphQLEnumType):
        return str(next(iter(kind.values)))
    return {"Int": "1", "Float": "1.5", "Boolean": "false", "JSON": "1", "Time": '"09:00:00"'}.get(kind.name, '"none"')


def document_of(name: str) -> str:
    """A document that calls a mutation, with input that fits its types and means nothing."""
    return f"mutation {{ {name}(input: {sample(MUTATIONS[name].args['input'].type)}) {{ __typename }} }}"


def one_error(answer: Answer) -> dict[str, Any]:
    (error,) = answer.body["errors"]
    facts: dict[str, Any] = error["extensions"]
    return facts


@pytest.mark.parametrize("name", sorted(MUTATIONS))
async def test_a_mutation_asks_its_budget_after_the_role_and_before_its_input(
    name: str, settings: Settings, database: TestDatabase
) -> None:
    budget, action = DECLARED[name].budget, DECLARED[name].action
    spent = {f"limit_{budget.lower()}": 0}
    async with serving(settings, database, **spent) as client:
        answers = {role: await client.ask(document_of(name), who) for role, who in WHO.items()}
    codes = {role: one_error(each)["code"] for role, each in answers.items()}
    refusals = [one_error(each) for each in answers.values() if "RATE_LIMITED" in each.codes]
    assert codes == {role: "RATE_LIMITED" if allows(role, action) else "FORBIDDEN" for role in WHO}
    assert {(each["budget"], each["limit"]) for each in refusals} == {(budget, 0)}


async def test_200_parallel_edits_are_allowed_exactly_as_often_as_the_budget_says(
    settings: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    async with serving(settings, database, limit_edits=37, limit_deadline_seconds=60.0) as client:
        answers = await asyncio.gather(*(client.ask(NONSENSE) for _ in range(200)))
        limited = [each for each in answers if "errors" in each.body]
        assert len(limited) == 163
        assert {code for each in limited for code in each.codes} == {"RATE_LIMITED"}
        assert (await left(client))["EDITS"] == 0
        assert (await left(client, LEAD_2))["EDITS"] == 37


async def test_a_mutation_without_budget_is_refused_at_its_field_and_waiting_helps(
    settings: Settings, database: TestDatabase, noon: list[float]
) -> None:
    noon[0] = NOON + 17.25
    async with serving(settings, database, limit_edits=1) as client:
        assert (await client.ask(NONSENSE)).codes == []
        refused = await client.ask(NONSENSE)
        assert refused.status == 200
        assert refused.body["data"] == {"addDevice": None}
        assert one_error(refused) == {
            "code": "RATE_LIMITED",
            "budget": "EDITS",
            "limit": 1,
            "retryAfterMs": 42_750,
            "requestId": refused.headers["x-request-id"],
        }
        noon[0] += 42.749
        assert (await client.ask(NONSENSE)).codes == ["RATE_LIMITED"]
        noon[0] += 0.001
        assert (await client.ask(NONSENSE)).codes == []


async def test_each_field_of_a_mutation_counts(settings: Settings, database: TestDatabase) -> None:
    field = 'addDevice(input: {locationId: "location-99", brand: YEALINK}) { problems { code } }'
    async with serving(settings, database, limit_edits=2) as client:
        answer = await client.ask(f"mutation {{ a: {field} b: {field} c: {field} }}")
    assert [error["path"] for error in answer.body["errors"]] == [["c"]]
    assert list(answer.body["data"].values()) == [{"problems": [{"code": "NOT_FOUND"}]}] * 2 + [None]


async def test_a_query_without_budget_ends_with_429_and_says_when_to_come_back(
    settings: Settings, database: TestDatabase, noon: list[float]
) -> None:
    noon[0] = NOON + 17.25
    async with serving(settings, database, limit_objects=20) as client:
        fits = await client.ask("{ locations(first: 19) { nodes { id } } }")
        refused = await client.ask("{ locations(first: 20) { nodes { id } } }", headers={"accept": RESPONSE_JSON})
    assert fits.status == 200
    assert (refused.status, refused.headers["retry-after"]) == (429, "43")
    assert "data" not in refused.body
    assert one_error(refused) == {
        "code": "RATE_LIMITED",
        "budget": "OBJECTS",
        "limit": 20,
        "retryAfterMs": 42_750,
        "requestId": refused.headers["x-request-id"],
    }


async def test_a_query_is_charged_what_it_returned(settings: Settings, database: TestDatabase) -> None:
    async with serving(settings, database, limit_objects=10_000) as client:
        first = await client.ask(TWO_PAGES)
        returned = 1 + 3 * 2 + 1 + 2 * 2
        assert first.body["extensions"]["cost"] == {"price": 12, "returned": returned, "maximum": 50_000}
        budgets = len(Budget)
        assert (await left(client))["OBJECTS"] == 10_000 - returned - 10  # the price of this query
        assert (await left(client))["OBJECTS"] == 10_000 - returned - budgets - 10


async def test_a_list_of_what_the_viewer_can_approve_is_charged_before_it_is_read(
    settings: Settings, database: TestDatabase
) -> None:
    query = "query ($filter: LocationFilter) { locations(filter: $filter) { nodes { id } } }"
    async with serving(settings, database, limit_objects=5_000) as client:
        for _ in range(2):
            found = await client.ask(query, LEAD, filter={"viewerCan": "APPROVE"})
            assert found.codes == []
        refused = await client.ask(query, LEAD, filter={"viewerCan": "APPROVE"})
        assert one_error(refused)["budget"] == "OBJECTS"
        assert (await client.ask(query, LEAD)).codes == []


async def test_what_lies_inside_a_document_is_no_object(client: Client) -> None:
    answer = await client.ask(PAYLOADS, LEAD)
    nodes = answer.data["provisioningPayloads"]["nodes"]
    assert nodes
    assert answer.body["extensions"]["cost"]["returned"] == 1 + len(nodes)


async def test_fragments_and_nulls_are_counted_as_what_came_back(client: Client) -> None:
    query = """
    query { ...Roots  none: location(id: "location-99") { id } }
    fragment Roots on Query { a: node(id: "location-1") { ...Place } viewer { name account { id } } }
    fragment Place on Node { id ... on Location { account { id } contacts { id } } ... on Device { location { id } } }
    """
    answer = await client.ask(query)
    contacts = answer.body["data"]["a"]["contacts"]
    assert answer.body["extensions"]["cost"]["returned"] == 1 + 1 + len(contacts) + 1


async def test_a_query_that_was_refused_by_its_values_is_charged_nothing(
    settings: Settings, database: TestDatabase
) -> None:
    async with serving(settings, database, limit_objects=10_000) as client:
        await client.ask("query ($first: Int!) { locations(first: $first) { nodes { id } } }", first="many")
        assert (await left(client))["OBJECTS"] == 10_000 - 10


async def test_bulk_calls_and_their_items_have_budgets_of_their_own(settings: Settings, database: TestDatabase) -> None:
    async with serving(settings, database, limit_bulk_calls=3, limit_bulk_items=100) as client:
        before = await left(client)
        for number in range(2):
            await client.ask(BULK, ids=[f"none-{n}" for n in range(40)], key=f"budget-{number}")
        too_many = await client.ask(BULK, ids=[f"none-{n}" for n in range(21)], key="budget-3")
        assert one_error(too_many)["budget"] == "BULK_ITEMS"
        after = await left(client)
        spent = {name: before[name] - after[name] for name in before if name != "OBJECTS"}
        assert {name: count for name, count in spent.items() if count} == {"BULK_CALLS": 2, "BULK_ITEMS": 80}
        assert (await client.ask(BULK, ids=["none"], key="budget-4")).codes == []
        last = await client.ask(BULK, ids=["none"], key="budget-5")
        assert one_error(last)["budget"] == "BULK_CALLS"


async def test_a_bulk_call_with_more_items_than_any_budget_learns_what_is_wrong_with_it(
    settings: Settings, database: TestDatabase
) -> None:
    async with serving(settings, database, limit_bulk_items=100) as client:
        answer = await client.ask(BULK, ids=[f"none-{n}" for n in range(101)], key="huge")
    assert answer.data["bulkGeneratePayloads"]["problems"] == [{"code": "LIMIT_REACHED"}]


async def test_a_dry_run_takes_no_budget_of_writes(settings: Settings, database: TestDatabase) -> None:
    async with serving(settings, database, limit_bulk_calls=1) as client:
        for _ in range(3):
            assert (await client.ask(BULK, ids=["none"], key="dry", dry=True)).codes == []
        assert (await left(client))["BULK_CALLS"] == 1


@pytest.mark.parametrize("name", sorted(each for each in MUTATIONS if each.startswith("bulk")))
async def test_every_dry_run_counts_its_items_before_any_work_is_done(
    name: str, settings: Settings, database: TestDatabase
) -> None:
    dry_run = document_of(name).replace("input: {", "input: {dryRun: true, ", 1)
    real = document_of(name)
    async with serving(settings, database, limit_dry_runs=2) as client:
        answers = [await client.ask(dry_run) for _ in range(3)]
        assert [each.codes for each in answers] == [[], [], ["RATE_LIMITED"]]
        assert answers[2].body["data"] == {name: None}
        assert {key: one_error(answers[2])[key] for key in ("budget", "limit")} == {"budget": "DRY_RUNS", "limit": 2}
        assert (await client.ask(real)).codes == []
        assert (await left(client, LEAD_2))["DRY_RUNS"] == 2


async def test_a_dry_run_counts_once_per_item_whatever_becomes_of_it(
    settings: Settings, database: TestDatabase
) -> None:
    async with serving(settings, database, limit_dry_runs=100) as client:
        before = await left(client)
        for ids in (["none"] * 2, [], ["location-2", "location-99"], [f"none-{n}" for n in range(30)]):
            await client.ask(BULK, ids=ids, key="rehearsed", dry=True)
        after = await left(client)
        spent = {
            name: before[name] - after[name] for name in before if name != "OBJECTS" and before[name] != after[name]
        }
        assert spent == {"DRY_RUNS": 2 + 1 + 2 + 30}
        refused = await client.ask(BULK, ids=[f"none-{n}" for n in range(66)], key="rehearsed", dry=True)
        assert one_error(refused)["budget"] == "DRY_RUNS"


async def test_a_refused_dry_run_sends_nothing_to_the_database(settings: Settings, database: TestDatabase) -> None:
    statements: list[str] = []
    with statements_logged(statements):
        async with serving(settings, database, limit_dry_runs=0) as client:
            await client.ask(BULK, ids=["location-2"], key="rehearsed", dry=True)
    assert [each for each in statements if "FOR" in each or "SAVEPOINT" in each] == []


async def test_real_calls_and_dry_runs_leave_each_others_budgets(settings: Settings, database: TestDatabase) -> None:
    async with serving(settings, database, limit_bulk_calls=0, limit_bulk_items=100, limit_dry_runs=100) as client:
        assert one_error(await client.ask(BULK, ids=["none"], key="real"))["budget"] == "BULK_CALLS"
        assert (await client.ask(BULK, ids=["none"], key="rehearsed", dry=True)).codes == []
        assert (await left(client))["DRY_RUNS"] == 99


async def test_a_dry_run_that_the_role_refuses_takes_no_budget(settings: Settings, database: TestDatabase) -> None:
    async with serving(settings, database, limit_dry_runs=100) as client:
        assert (await client.ask(BULK, CUSTOMER, ids=["none"], key="mine", dry=True)).codes == ["FORBIDDEN"]
        assert (await left(client, CUSTOMER))["DRY_RUNS"] == 100


@pytest.mark.parametrize("dry", [True, False])
async def test_what_a_mutation_returns_is_charged_as_what_a_query_returns(
    settings: Settings, database: TestDatabase, dry: bool
) -> None:
    bulk = BULK.replace("replayed", "replayed results { problem { code } location { devices { id } } }")
    async with serving(settings, database, limit_objects=100_000) as client:
        answer = await client.ask(bulk, ids=["location-2", "location-3"], key="charged", dry=dry)
        results = answer.data["bulkGeneratePayloads"]["results"]
        devices = sum(len(each["location"]["devices"]) for each in results)
        assert devices > 0
        assert answer.body["extensions"]["cost"]["returned"] == 1 + 2 * 3 + devices
        assert (await left(client))["OBJECTS"] == 100_000 - (1 + 2 * 3 + devices) - 10


async def test_without_objects_left_a_mutation_writes_nothing(settings: Settings, database: TestDatabase) -> None:
    async with serving(settings, database, limit_objects=25) as client:
        await client.ask("{ locations(first: 20) { nodes { id } } }")
        before = await client.ask('{ location(id: "location-9") { revision } }')
        refused = await client.ask(STEP)
    assert before.data is not None
    assert (refused.status, one_error(refused)["budget"], "data" in refused.body) == (429, "OBJECTS", False)


async def test_a_replay_counts_like_any_call(own_client: Client) -> None:
    before = await left(own_client)
    for replayed in (False, True):
        answer = await own_client.ask(BULK, ids=["location-4"], key="again")
        assert answer.data["bulkGeneratePayloads"]["replayed"] is replayed
    assert (await left(own_client))["BULK_CALLS"] == before["BULK_CALLS"] - 2


async def test_a_call_that_the_role_refuses_takes_no_budget(settings: Settings, database: TestDatabase) -> None:
    async with serving(settings, database, limit_bulk_calls=1) as client:
        assert (await client.ask(BULK, CUSTOMER, ids=["none"], key="mine")).codes == ["FORBIDDEN"]
        assert (await left(client, CUSTOMER))["BULK_CALLS"] == 1


@pytest.mark.parametrize("who", [LEAD, CUSTOMER, PARTNER])
async def test_everybody_sees_their_own_budgets(who: str, settings: Settings, database: TestDatabase) -> None:
    plain = {f"limit_{budget.lower()}": Settings.model_fields[f"limit_{budget.lower()}"].default for budget in Budget}
    async with serving(settings, database, **plain) as client:
        answer = await client.ask(LIMITS, who)
    assert [(each["budget"], each["limit"], each["remaining"]) for each in answer.data["rateLimits"]] == [
        ("OBJECTS", 500_000, 499_990),
        ("EDITS", 240, 240),
        ("SUBMITS", 30, 30),
        ("APPROVALS", 120, 120),
        ("PAYLOADS", 120, 120),
        ("BULK_CALLS", 10, 10),
        ("BULK_ITEMS", 500, 500),
        ("DRY_RUNS", 500, 500),
    ]
    assert {each["resetsAt"] for each in answer.data["rateLimits"]} == {"2027-01-15T08:01:00.000000Z"}


class Broken:
    """A store that cannot be reached."""

    failures = (ConnectionError,)

    async def _fail(self, *_arguments: object) -> Any:
        raise ConnectionError

    take = add = used = _fail

    async def close(self) -> None:
        """Nothing is held."""


async def test_without_the_limiter_reads_are_served_and_writes_refused_loudly(
    settings: Settings, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.main.store_at", lambda *_: Broken())
    monkeypatch.setattr("app.limiting.limiter.PAUSE_SECONDS", 60)
    async with serving(settings, database) as client:
        read = await client.ask("{ locations(first: 1) { nodes { id } } }")
        written = await client.ask(STEP)
        dry = await client.ask(BULK, ids=["none"], key="dry", dry=True)
        asked = await client.ask(LIMITS)
        metrics = (await client.http.get("/metrics")).text
    assert len(read.data["locations"]["nodes"]) == 1
    assert dry.codes == []
    assert written.body["data"] == {"setCurrentStep": None}
    assert one_error(written) == {
        "code": "UNAVAILABLE",
        "outcome": "NONE",
        "requestId": written.headers["x-request-id"],
    }
    assert asked.body["data"] == {"rateLimits": None}
    assert asked.codes == ["UNAVAILABLE"]
    assert "turnup_limiter_failures_total 7.0" in metrics
    assert [each.levelname for each in caplog.records if each.name == "turnup.limiting"] == ["ERROR"]


def test_a_budget_below_the_highest_price_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="TURNUP_LIMIT_OBJECTS"):
        Settings(limit_objects=49_999)


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis"])
def test_a_redis_url_of_no_known_form_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="redis_url"):
        Settings(redis_url=url)
