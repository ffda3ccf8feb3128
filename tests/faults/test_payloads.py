"""What a mutation answers: all that its payload declares, again when it is sent again, and ids that name one object."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from graphql import get_named_type

from app.settings import Executor
from tests.harness import Client, TestDatabase, served
from tests.ids import OBJECT_TYPES, reaching, shown, walked
from tests.operations.scenario import MUTATIONS, Sent, a_key, document, payload_fields, sent_of

from .cases import Sending
from .every import EVERY
from .ground import BUDGETS, Ground

ITEMS = 2
BULK = sorted(name for name in MUTATIONS if "results" in payload_fields(name))
SINGLE = sorted(MUTATIONS.keys() - set(BULK))
REMOVING = sorted(name for name in MUTATIONS if name.startswith("remove"))


@pytest.fixture(scope="module")
async def reference(own_database: TestDatabase, home: Path) -> AsyncIterator[Client]:
    """A server with graphql-core's own executor, on the database of the scenario."""
    async with served(own_database, home, executor=Executor.REFERENCE, **BUDGETS) as client:
        yield client


def everything(mutation: str) -> str:
    """The selection of all objects and ids that a payload shows."""
    payload = OBJECT_TYPES[get_named_type(MUTATIONS[mutation].type).name]
    removed = [name for name in payload.fields if name.startswith("removed")]
    selection = " ".join([reaching(payload), *removed])
    return selection.replace("results {", "results { locationId outcome")


async def sent_with(client: Client, sending: Sending) -> Sent:
    asked = document(sending.mutation, everything(sending.mutation))
    return sent_of(sending.mutation, await client.ask(asked, sending.who, input=sending.given))


def test_every_mutation_has_an_input_and_a_payload_of_its_own_that_are_named_after_it() -> None:
    for mutation, field in MUTATIONS.items():
        name = mutation[0].upper() + mutation[1:]
        assert (str(field.args["input"].type), str(field.type)) == (f"{name}Input!", f"{name}Payload")


@pytest.mark.parametrize("mutation", SINGLE)
async def test_an_accepted_call_shows_all_objects_and_ids_of_its_payload_and_so_does_its_replay(
    ground: Ground, reference: Client, mutation: str
) -> None:
    sending = await EVERY[mutation](ground, ITEMS)
    first = await sent_with(ground.client, sending)
    assert (first.outcome, first.replayed) == ("DONE", False)
    assert [name for name, value in first.payload.items() if value is None] == []
    for client in (ground.client, reference):
        assert (await sent_with(client, sending)).payload == first.payload | {"replayed": True}


@pytest.mark.parametrize("mutation", BULK)
async def test_an_item_of_a_bulk_call_shows_its_location_and_payload_and_so_does_the_replay(
    ground: Ground, reference: Client, mutation: str
) -> None:
    sending = await EVERY[mutation](ground, ITEMS)
    first = await sent_with(ground.client, sending)
    applied = [item for item in first.payload["results"] if item["outcome"] == "APPLIED"]
    assert {item["locationId"] for item in applied} == set(sending.touched)
    assert all(item["location"]["id"] == item["locationId"] for item in applied)
    payloads = [item["payload"] is not None for item in applied if "payload" in item]
    assert payloads == {"bulkGeneratePayloads": [True] * ITEMS, "bulkUpdateStatus": [False] * ITEMS}.get(mutation, [])
    for client in (ground.client, reference):
        assert (await sent_with(client, sending)).payload == first.payload | {"replayed": True}


@pytest.mark.parametrize("mutation", REMOVING)
async def test_a_removal_names_the_object_that_is_gone(ground: Ground, mutation: str) -> None:
    kind = mutation.removeprefix("remove")
    sending = await EVERY[mutation](ground, ITEMS)
    identifier = sending.given[f"{kind[0].lower()}{kind[1:]}Id"]
    node = f'{{ node(id: "{identifier}") {{ id }} }}'
    assert (await ground.client.ask(node, sending.who)).data == {"node": {"id": identifier}}
    refused = await sent_with(ground.client, stale(sending))
    assert (refused.outcome, refused.payload[f"removed{kind}Id"]) == ("CONFLICT", None)
    assert (await sent_with(ground.client, sending)).payload[f"removed{kind}Id"] == identifier
    assert (await ground.client.ask(node, sending.who)).codes == ["NOT_FOUND"]


def stale(sending: Sending) -> Sending:
    """The same call of somebody who has not seen the latest revision."""
    given = {**sending.given, "expectedRevision": 99, "idempotencyKey": a_key()}
    return Sending(who=sending.who, mutation=sending.mutation, given=given, touched=())


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
async def test_no_two_types_show_the_same_id_in_what_a_mutation_or_its_dry_run_answers(
    ground: Ground, mutation: str
) -> None:
    sending = await EVERY[mutation](ground, ITEMS)
    dry_run = Sending(
        who=sending.who, mutation=mutation, given={**sending.given, "dryRun": True}, touched=sending.touched
    )
    for each in [dry_run, sending] if mutation in BULK else [sending]:
        found = list(shown((await sent_with(ground.client, each)).payload))
        types = await walked(ground.client, each.who, found, rounds=1)
        assert found or mutation in {"setDeviceModels", "removeDeviceModel", "revokeSession", "revokeSessions"}
        assert {identifier: names for identifier, names in types.items() if len(names) > 1} == {}
