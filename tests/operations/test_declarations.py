"""A mutation is one declaration: whatever is left out of it, or disagrees with it, stops the import by name."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, make_dataclass, replace
from types import ModuleType
from typing import Any, get_type_hints

import pytest
import strawberry

import app.operations
from app.domain.vocabulary import LocationStatus, Role
from app.operations import commands
from app.operations.add_device import ADD_DEVICE, AddDevice
from app.operations.administration import AdministrationMutation, administer
from app.operations.approve import APPROVE
from app.operations.bulk import perform_bulk
from app.operations.bulk_mutations import BULK_APPROVE, BULK_UPDATE_STATUS, BulkApproveItem, BulkItem, BulkMutation
from app.operations.context import MutationCall, WriteContext
from app.operations.edit_device import EDIT_DEVICE
from app.operations.manage_accounts import CREATE_ACCOUNT
from app.operations.move_device import MOVE_DEVICE
from app.operations.mutation import AggregateMutation, ContentEffect, DeclarationError, Mutation
from app.operations.registry import MUTATIONS, by_name
from app.operations.unit_of_work import perform
from graphql_schema import mutation_inputs
from graphql_schema.mutations import FIELDS, MutationField, root_type
from permissions.matrix import MATRIX
from permissions.policy import Forbidden
from resolvers.commands import conversion
from tests.harness import TestDatabase

from .scenario import Scenario, a_key
from .test_bulk_in_turns import a_write_context
from .test_fingerprints import KEPT, call_of

MODULES = (mutation_inputs,)
KINDS = [ADD_DEVICE, MOVE_DEVICE, BULK_UPDATE_STATUS, CREATE_ACCOUNT]
by_its_name = pytest.mark.parametrize("field", FIELDS, ids=lambda each: each.mutation.name)


@by_its_name
def test_a_mutation_without_a_field_stops_the_import(field: MutationField) -> None:
    left = [each for each in FIELDS if each is not field]
    with pytest.raises(DeclarationError, match=rf"^mutation {field.mutation.name} has no field$"):
        root_type(left, MUTATIONS, MODULES)


@by_its_name
def test_a_field_whose_mutation_is_not_registered_stops_the_import(field: MutationField) -> None:
    name = field.mutation.name
    left = {each: mutation for each, mutation in MUTATIONS.items() if each != name}
    with pytest.raises(DeclarationError, match=rf"^field {name} has a mutation that .*registry does not list$"):
        root_type(FIELDS, left, MODULES)


def test_a_mutation_with_two_fields_stops_the_import() -> None:
    with pytest.raises(DeclarationError, match=r"^mutation startOnboarding has two fields$"):
        root_type([*FIELDS, FIELDS[0]], MUTATIONS, MODULES)


def test_two_mutations_of_one_name_stop_the_import() -> None:
    with pytest.raises(DeclarationError, match=r"^mutation addDevice is declared twice$"):
        by_name([ADD_DEVICE, replace(ADD_DEVICE)])


def declared() -> Iterator[Mutation[Any]]:
    """Every declaration that a module of the operations makes."""
    for module in pkgutil.iter_modules(app.operations.__path__, "app.operations."):
        yield from (each for each in vars(importlib.import_module(module.name)).values() if isinstance(each, Mutation))


def test_every_declaration_is_registered() -> None:
    assert {each.name for each in declared() if MUTATIONS.get(each.name) is not each} == set()


@pytest.mark.parametrize("mutation", KINDS, ids=lambda each: type(each).__name__)
def test_a_declaration_that_leaves_something_out_stops_the_import(mutation: Mutation[Any]) -> None:
    given = {each.name: getattr(mutation, each.name) for each in fields(mutation) if each.init}
    required = {each.name for each in fields(mutation) if each.init and each.default is MISSING}
    assert {"name", "command", "decide", "action", "budget", "counts"} <= required
    for name in required:
        with pytest.raises(TypeError, match=rf"missing 1 required keyword-only argument: '{name}'"):
            type(mutation)(**{each: value for each, value in given.items() if each != name})


@pytest.mark.parametrize(
    ("mutation", "changes", "message"),
    [
        (ADD_DEVICE, {"name": "moveDevice"}, "mutation moveDevice takes the command MoveDevice, not AddDevice"),
        (
            ADD_DEVICE,
            {"key": "device_id"},
            "mutation addDevice names a row by device_id, which AddDevice does not have",
        ),
        (MOVE_DEVICE, {"other_key": "target"}, "mutation moveDevice names a row by target, which MoveDevice does not"),
        (APPROVE, {"needs_reviewed_content": False}, "mutation approve takes expected_digest and declares no need"),
        (ADD_DEVICE, {"needs_reviewed_content": True}, "mutation addDevice needs reviewed content, and AddDevice has"),
        (BULK_APPROVE, {"item": BulkItem}, "mutation bulkApprove needs reviewed content, and BulkItem has no"),
        (BULK_UPDATE_STATUS, {"item": BulkApproveItem}, "mutation bulkUpdateStatus takes expected_digest and declares"),
    ],
)
def test_a_declaration_whose_parts_do_not_fit_stops_the_import(
    mutation: Mutation[Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=rf"^{message}"):
        replace(mutation, **changes)


async def test_content_that_changes_although_the_mutation_declares_no_edit_is_not_written(
    scenario: Scenario, own_database: TestDatabase
) -> None:
    location = await scenario.a_location(LocationStatus.IN_PROGRESS)
    before = await scenario.state_of(location.id)
    undeclared = replace(ADD_DEVICE, content=ContentEffect.NONE)
    command = AddDevice(location_id=location.id, brand=location.content.devices[0].brand)
    async with a_write_context(own_database, scenario.customer) as context:
        with pytest.raises(
            RuntimeError, match=r"^mutation addDevice changes content and does not declare that it edits"
        ):
            await perform(context, undeclared, MutationCall(mutation="addDevice", command=command))
    assert await scenario.state_of(location.id) == before


async def counted(scenario: Scenario, metric: str) -> float:
    """The sum of a metric's samples, as operators read it."""
    lines = (await scenario.client.http.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{metric}(\{{| )", line))


@pytest.mark.parametrize(
    ("mutation", "metric"),
    [
        ("submitOnboarding", "turnup_submissions_total"),
        ("approve", "turnup_approval_processing_seconds_count"),
        ("bulkApprove", "turnup_approval_processing_seconds_count"),
        ("openOverride", "turnup_overrides_opened_total"),
        ("bulkUpdateStatus", "turnup_bulk_items_total"),
    ],
)
async def test_operators_count_what_a_mutation_did(scenario: Scenario, mutation: str, metric: str) -> None:
    statuses = {"submitOnboarding": LocationStatus.IN_PROGRESS, "openOverride": LocationStatus.APPROVED}
    location = await scenario.a_location(statuses.get(mutation, LocationStatus.PENDING_APPROVAL))
    inputs: dict[str, dict[str, Any]] = {
        "approve": {"expectedDigest": location.digest},
        "openOverride": {
            "editableSections": ["DEVICES"],
            "reason": "A phone was swapped on site.",
            "expiresInMinutes": 30,
        },
        "bulkApprove": {"items": [{"locationId": location.id, "expectedDigest": location.digest}]},
        "bulkUpdateStatus": {"locationIds": [location.id], "status": "BLOCKED", "reason": "A flood on site."},
    }
    about = {"idempotencyKey": a_key()} if mutation.startswith("bulk") else {"locationId": location.id}
    before = await counted(scenario, metric)
    sent = await scenario.send(scenario.lead, mutation, **inputs.get(mutation, {}), **about)
    assert sent.outcome == "DONE"
    assert await counted(scenario, metric) == before + 1


async def performed(context: WriteContext, mutation: Mutation[Any], call: MutationCall[Any]) -> None:
    """Do a mutation without its field's guard."""
    match mutation:
        case AdministrationMutation():
            await administer(context, mutation, call)
        case BulkMutation():
            await perform_bulk(context, mutation, call)
        case AggregateMutation():
            await perform(context, mutation, call)


@by_its_name
async def test_the_operation_itself_refuses_a_role_without_the_declared_action(
    scenario: Scenario, own_database: TestDatabase, field: MutationField
) -> None:
    mutation = field.mutation
    call = call_of(mutation.name, next(each["input"] for each in KEPT if each["mutation"] == mutation.name))
    if mutation.name == "bulkApprove":
        item = BulkApproveItem(location_id="location-1", expected_digest="none")
        call = replace(call, command=replace(call.command, items=(item,)))
    elif isinstance(mutation, BulkMutation):
        call = replace(
            call, command=replace(call.command, location_ids=("location-1",), **IN_BULK.get(mutation.name, {}))
        )
    users = {
        Role.CUSTOMER: scenario.customer,
        Role.IMPLEMENTATION_LEAD: scenario.lead,
        Role.PARTNER: scenario.partner,
        Role.AUDITOR: scenario.auditor,
    }
    for role in set(Role) - MATRIX[mutation.action]:
        async with a_write_context(own_database, users[role]) as context:
            with pytest.raises(Forbidden):
                await performed(context, mutation, call)


IN_BULK = {"bulkUpdateStatus": {"status": LocationStatus.BLOCKED}}


def planted(kind: type) -> ModuleType:
    """A module with one more type."""
    module = ModuleType("planted")
    kind.__module__ = "planted"
    setattr(module, kind.__name__, kind)
    return module


@strawberry.input
class LeftoverInput:
    """An input that nothing takes."""

    location_id: strawberry.ID


def test_an_input_type_that_no_mutation_has_stops_the_import() -> None:
    with pytest.raises(DeclarationError, match=r"^LeftoverInput belongs to no mutation$"):
        root_type(FIELDS, MUTATIONS, (*MODULES, planted(LeftoverInput)))


@by_its_name
def test_a_mutation_that_takes_the_input_of_another_stops_the_import(field: MutationField) -> None:
    name = field.mutation.name
    other = next(each.input for each in FIELDS if each is not field)
    fields_ = [each._replace(input=other) if each is field else each for each in FIELDS]
    with pytest.raises(
        DeclarationError, match=rf"^mutation {name} takes {field.mutation.input_name}, not {other.__name__}$"
    ):
        root_type(fields_, MUTATIONS, MODULES)


def altered(command: type, **changes: Any) -> type:
    """The command with fields changed: a type and a default, or None to leave the field out; others are added."""
    hints = get_type_hints(command)
    parts = {each.name: (hints[each.name], default_of(each)) for each in fields(command)} | changes
    made = [(name, *part) for name, part in parts.items() if part is not None]
    return make_dataclass(command.__name__, [(each[0], each[1], *each[2]) for each in made], kw_only=True)


def default_of(field: "Field[Any]") -> tuple[Any, ...]:
    return () if field.default is MISSING else (field.default,)


@by_its_name
def test_an_input_field_that_the_command_lacks_stops_the_import(field: MutationField) -> None:
    command = field.mutation.command
    for each in fields(command):
        lacking = altered(command, **{each.name: None})
        message = rf"^{field.input.__name__}.{each.name} is not a field of the command {command.__name__}$"
        with pytest.raises(DeclarationError, match=message):
            conversion(field.input, lacking)


@by_its_name
def test_a_command_field_that_the_input_lacks_stops_the_import(field: MutationField) -> None:
    command = field.mutation.command
    message = rf"^{command.__name__}.colour is not a field of the input {field.input.__name__}$"
    with pytest.raises(DeclarationError, match=message):
        conversion(field.input, altered(command, colour=(str, ())))


@by_its_name
def test_a_command_field_of_another_type_null_or_default_than_the_inputs_stops_the_import(
    field: MutationField,
) -> None:
    command, hints = field.mutation.command, get_type_hints(field.mutation.command)
    for each in fields(command):
        hint, default = hints[each.name], default_of(each)
        without_null = hint if type(None) not in getattr(hint, "__args__", ()) else None
        others = [
            (bytes, default),
            (hint | None, default) if without_null else (str, default),
            (hint | commands.Unset, (commands.UNSET,)) if commands.UNSET not in default else (hint, ()),
            (hint, (None,)) if None not in default else (hint, ()),
        ]
        for part in others:
            message = rf"^{field.input.__name__}.{each.name} is .*, but {command.__name__}.{each.name} is "
            with pytest.raises(DeclarationError, match=message):
                conversion(field.input, altered(command, **{each.name: part}))


def test_a_field_inside_an_input_is_compared_too() -> None:
    @strawberry.input
    class Inner:
        number: int

    @strawberry.input
    class Outer:
        inners: list[Inner]
        idempotency_key: str | None = None

    other = make_dataclass("OtherInner", [("number", str)])
    command: Any = make_dataclass("OuterCommand", [("inners", tuple[other, ...])])  # type: ignore[valid-type]
    with pytest.raises(DeclarationError, match=r"^Inner\.number is int, but OtherInner\.number is str$"):
        conversion(Outer, command)


def test_an_input_without_an_idempotency_key_stops_the_import() -> None:
    with pytest.raises(DeclarationError, match=r"^LeftoverInput has no idempotency_key$|^input LeftoverInput has no"):
        conversion(LeftoverInput, EDIT_DEVICE.command)
