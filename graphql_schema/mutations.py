"""The root fields that write. Each is declared in one place: its mutation, input type, payload type and description.

Its name, guard, budget and resolver follow from the mutation's declaration in app/operations.
"""

from collections.abc import Collection, Iterable, Mapping
from types import ModuleType
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import strawberry
from strawberry.types import has_object_definition

from app.operations.add_device import ADD_DEVICE
from app.operations.add_person import ADD_PERSON
from app.operations.answer_payload import ACKNOWLEDGE_PAYLOAD, REJECT_PAYLOAD
from app.operations.approve import APPROVE
from app.operations.bulk_mutations import BULK_APPROVE, BULK_GENERATE_PAYLOADS, BULK_UPDATE_STATUS
from app.operations.close_override import CLOSE_OVERRIDE
from app.operations.complete_provisioning import COMPLETE_PROVISIONING
from app.operations.edit_device import EDIT_DEVICE
from app.operations.edit_person import EDIT_PERSON
from app.operations.generate_payload import GENERATE_PAYLOAD
from app.operations.manage_accounts import CREATE_ACCOUNT, CREATE_LOCATION, UPDATE_ACCOUNT
from app.operations.manage_catalogue import SET_DEVICE_MODELS
from app.operations.manage_users import CREATE_USER, EDIT_USER, REINSTATE_USER, SET_GRANTS, SUSPEND_USER
from app.operations.move_device import MOVE_DEVICE
from app.operations.mutation import DeclarationError, Mutation
from app.operations.open_override import OPEN_OVERRIDE
from app.operations.registry import MUTATIONS
from app.operations.remove_device import REMOVE_DEVICE
from app.operations.remove_person import REMOVE_PERSON
from app.operations.request_changes import REQUEST_CHANGES
from app.operations.set_call_flow import SET_CALL_FLOW
from app.operations.set_contacts import SET_CONTACTS
from app.operations.set_current_step import SET_CURRENT_STEP
from app.operations.set_extensions import SET_EXTENSIONS
from app.operations.set_phone_system import SET_PHONE_SYSTEM
from app.operations.set_working_hours import SET_WORKING_HOURS
from app.operations.start_onboarding import START_ONBOARDING
from app.operations.submit_onboarding import SUBMIT_ONBOARDING
from app.operations.transitions import BLOCK, CANCEL, REOPEN, UNBLOCK, WITHDRAW_SUBMISSION
from app.operations.trigger_provisioning import TRIGGER_PROVISIONING
from app.operations.update_location import UPDATE_LOCATION
from graphql_schema import mutation_inputs as inputs
from graphql_schema import mutation_payloads as payloads
from graphql_schema.fields import argument
from permissions.guards import can, guarded
from resolvers.context import Info
from resolvers.mutations import resolver_of

INPUT = argument("What to do, and to what.")


class MutationField(NamedTuple):
    """The field of a mutation."""

    mutation: Mutation[Any]
    input: type
    payload: type
    description: str


# fmt: off
FIELDS = (
    MutationField(START_ONBOARDING, inputs.LocationVerbInput, payloads.LocationPayload,
                  "Begin to fill a location in; NOT_STARTED becomes IN_PROGRESS. The first edit does so by itself."),
    MutationField(SET_CURRENT_STEP, inputs.SetCurrentStepInput, payloads.LocationPayload,
                  "Remember which section the customer is working on."),
    MutationField(UPDATE_LOCATION, inputs.UpdateLocationInput, payloads.LocationPayload,
                  "Change a location's name, address or time zone."),
    MutationField(SET_CONTACTS, inputs.SetContactsInput, payloads.LocationPayload,
                  "Replace the list of contacts."),
    MutationField(SET_PHONE_SYSTEM, inputs.SetPhoneSystemInput, payloads.LocationPayload,
                  "Change the phone system."),
    MutationField(ADD_DEVICE, inputs.AddDeviceInput, payloads.DevicePayload,
                  "Add a device, incomplete as it may be."),
    MutationField(EDIT_DEVICE, inputs.EditDeviceInput, payloads.DevicePayload,
                  "Change a device."),
    MutationField(MOVE_DEVICE, inputs.MoveDeviceInput, payloads.DevicePayload,
                  "Move a device to another location of the same account; both have to be open for it."),
    MutationField(REMOVE_DEVICE, inputs.RemoveDeviceInput, payloads.LocationPayload,
                  "Remove a device; an extension that rang it stays."),
    MutationField(ADD_PERSON, inputs.AddPersonInput, payloads.PersonPayload,
                  "Add a person."),
    MutationField(EDIT_PERSON, inputs.EditPersonInput, payloads.PersonPayload,
                  "Change a person."),
    MutationField(REMOVE_PERSON, inputs.RemovePersonInput, payloads.LocationPayload,
                  "Remove a person; an extension that rang them stays."),
    MutationField(SET_EXTENSIONS, inputs.SetExtensionsInput, payloads.LocationPayload,
                  "Replace the list of extensions."),
    MutationField(SET_WORKING_HOURS, inputs.SetWorkingHoursInput, payloads.LocationPayload,
                  "Replace the working hours."),
    MutationField(SET_CALL_FLOW, inputs.SetCallFlowInput, payloads.LocationPayload,
                  "Replace the call flow."),
    MutationField(SUBMIT_ONBOARDING, inputs.LocationVerbInput, payloads.ApprovalPayload,
                  "Hand a location to a lead for approval; NOT_READY lists every finding when something is missing."),
    MutationField(WITHDRAW_SUBMISSION, inputs.LocationVerbInput, payloads.LocationPayload,
                  "Take a submission back."),
    MutationField(APPROVE, inputs.ApproveInput, payloads.ApprovalPayload,
                  "Approve exactly the content that was reviewed; the location locks. Leads only; not own work."),
    MutationField(REQUEST_CHANGES, inputs.RequestChangesInput, payloads.LocationPayload,
                  "Send a submission back with a comment. Leads only."),
    MutationField(BLOCK, inputs.ReasonedVerbInput, payloads.LocationPayload,
                  "Note that something outside stands in the way. Leads only."),
    MutationField(UNBLOCK, inputs.LocationVerbInput, payloads.LocationPayload,
                  "Go on after a block. Leads only."),
    MutationField(CANCEL, inputs.ReasonedVerbInput, payloads.LocationPayload,
                  "Give a location up. Leads only."),
    MutationField(REOPEN, inputs.ReasonedVerbInput, payloads.LocationPayload,
                  "Take a location up again; from a locked status it is audited as an override. Leads only."),
    MutationField(OPEN_OVERRIDE, inputs.OpenOverrideInput, payloads.OverridePayload,
                  "Open sections of a locked location for editing by oneself, for a while. Leads only."),
    MutationField(CLOSE_OVERRIDE, inputs.CloseOverrideInput, payloads.OverridePayload,
                  "End an override before its time. Leads only."),
    MutationField(GENERATE_PAYLOAD, inputs.ProvisioningInput, payloads.LeadProvisioningPayload,
                  "Make the approved content's payload; returns the latest one while it says it all. Leads only."),
    MutationField(TRIGGER_PROVISIONING, inputs.ProvisioningInput, payloads.LeadProvisioningPayload,
                  "Release the latest payload to the partner. Leads only."),
    MutationField(COMPLETE_PROVISIONING, inputs.CompleteProvisioningInput, payloads.LocationPayload,
                  "Complete a location by hand, without a receipt. Leads only."),
    MutationField(ACKNOWLEDGE_PAYLOAD, inputs.AcknowledgePayloadInput, payloads.ProvisioningPayloadPayload,
                  "Confirm that a payload arrived intact; the location is completed. Partners only."),
    MutationField(REJECT_PAYLOAD, inputs.RejectPayloadInput, payloads.ProvisioningPayloadPayload,
                  "Refuse a payload, with reasons; the location is blocked. Partners only."),
    MutationField(BULK_UPDATE_STATUS, inputs.BulkUpdateStatusInput, payloads.BulkPayload,
                  "Bring many locations to a status, each by the verb that leads there. Leads only."),
    MutationField(BULK_APPROVE, inputs.BulkApproveInput, payloads.BulkPayload,
                  "Approve the contents of many locations, each exactly as reviewed. Leads only."),
    MutationField(BULK_GENERATE_PAYLOADS, inputs.BulkGeneratePayloadsInput, payloads.BulkPayload,
                  "Make the payloads of many locations. Leads only."),
    MutationField(CREATE_ACCOUNT, inputs.CreateAccountInput, payloads.AccountPayload,
                  "Add an account. Leads only."),
    MutationField(UPDATE_ACCOUNT, inputs.UpdateAccountInput, payloads.AccountPayload,
                  "Rename an account. Leads only."),
    MutationField(CREATE_LOCATION, inputs.CreateLocationInput, payloads.LocationPayload,
                  "Add a location to an account, NOT_STARTED. Leads only."),
    MutationField(CREATE_USER, inputs.CreateUserInput, payloads.UserPayload,
                  "Add a user, to whom nothing is granted yet. Leads only."),
    MutationField(EDIT_USER, inputs.EditUserInput, payloads.UserPayload,
                  "Change a user's name or email. Leads only."),
    MutationField(SET_GRANTS, inputs.SetGrantsInput, payloads.UserPayload,
                  "Replace what is granted to a user; it counts from the next request on. Leads only."),
    MutationField(SUSPEND_USER, inputs.UserInput, payloads.UserPayload,
                  "Refuse a user from the next request on, even with a valid token. Leads only."),
    MutationField(REINSTATE_USER, inputs.UserInput, payloads.UserPayload,
                  "Let a suspended user act again. Leads only."),
    MutationField(SET_DEVICE_MODELS, inputs.SetDeviceModelsInput, payloads.CataloguePayload,
                  "Replace the device catalogue. Leads only."),
)
# fmt: on


def root_type(
    fields: Collection[MutationField], mutations: Mapping[str, Mutation[Any]], modules: Iterable[ModuleType]
) -> type:
    """The root type with these fields. Raises DeclarationError unless fields and declarations fit.

    Each mutation has one field, and each input and payload type of the modules belongs to some field.
    """
    _check_registered(fields, mutations)
    for each in fields:
        _check_own_types(each, modules)
    _check_types_used(fields, modules)
    description = "Writing. Each field is one transaction; they run in turn. What the rules refuse is in `problems`."
    root = type("Mutation", (), {each.mutation.name: _field(each) for each in fields})
    return strawberry.type(root, description=description)


def _field(declared: MutationField) -> Any:
    mutation, input_type, payload_type, description = declared
    do = resolver_of(mutation, input_type)

    async def resolve(
        info: Info,
        input: Annotated[input_type, INPUT],  # type: ignore[valid-type] # - a type of the schema, known at run time
    ) -> payload_type | None:  # type: ignore[valid-type] # - a type of the schema, known at run time
        return await do(info, input)

    resolve.__name__ = mutation.name
    field: Any = strawberry.mutation(
        resolver=resolve, name=mutation.name, description=description, extensions=guarded(can(mutation.action))
    )
    return field


def _check_registered(fields: Collection[MutationField], mutations: Mapping[str, Mutation[Any]]) -> None:
    seen: set[str] = set()
    for each in fields:
        name = each.mutation.name
        if mutations.get(name) is not each.mutation:
            raise DeclarationError(f"field {name} has a mutation that app.operations.registry does not list")
        if name in seen:
            raise DeclarationError(f"mutation {name} has two fields")
        seen.add(name)
    for name in mutations.keys() - seen:
        raise DeclarationError(f"mutation {name} has no field")


def _check_own_types(field: MutationField, modules: Iterable[ModuleType]) -> None:
    """A type that bears the name of a mutation is that mutation's."""
    for kind, name in ((field.input, field.mutation.input_name), (field.payload, field.mutation.payload_name)):
        own = next((vars(module)[name] for module in modules if name in vars(module)), kind)
        if own is not kind:
            raise DeclarationError(f"mutation {field.mutation.name} uses {kind.__name__}, and {name} is its own")


def _check_types_used(fields: Collection[MutationField], modules: Iterable[ModuleType]) -> None:
    used: set[type] = set()
    for each in fields:
        for kind in (each.input, *each.payload.__mro__):
            _add_reached(kind, used)
    for module in modules:
        for name, each in vars(module).items():
            declared = isinstance(each, type) and has_object_definition(each) and each.__module__ == module.__name__
            if declared and each not in used:
                raise DeclarationError(f"{name} belongs to no mutation")


def _add_reached(kind: Any, used: set[type]) -> None:
    """Add a type of the schema, and the types that its fields lead to."""
    if kind in used:
        return
    is_declared = has_object_definition(kind)
    if is_declared:
        used.add(kind)
    for each in get_type_hints(kind).values() if is_declared else get_args(kind):
        _add_reached(each, used)


MutationRoot = root_type(FIELDS, MUTATIONS, (inputs, payloads))
