"""The root fields of mutations. Each is declared once: its mutation, input type, payload type and description.

Name, guard, budget and resolver follow from the declaration of the mutation in app/operations.
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
from app.operations.confirm_decommission import CONFIRM_DECOMMISSION
from app.operations.create_test_payload import CREATE_TEST_PAYLOAD
from app.operations.edit_device import EDIT_DEVICE
from app.operations.edit_person import EDIT_PERSON
from app.operations.generate_payload import GENERATE_PAYLOAD
from app.operations.manage_accounts import CREATE_ACCOUNT, CREATE_LOCATION, UPDATE_ACCOUNT
from app.operations.manage_catalogue import (
    ADD_DEVICE_MODEL,
    EDIT_DEVICE_MODEL,
    REMOVE_DEVICE_MODEL,
    SET_DEVICE_MODELS,
)
from app.operations.manage_users import CONFIRM_USER, CREATE_USER, EDIT_USER, REINSTATE_USER, SET_GRANTS, SUSPEND_USER
from app.operations.move_device import MOVE_DEVICE
from app.operations.mutation import DeclarationError, Mutation
from app.operations.open_override import OPEN_OVERRIDE
from app.operations.registry import MUTATIONS
from app.operations.remove_device import REMOVE_DEVICE
from app.operations.remove_person import REMOVE_PERSON
from app.operations.replace_device import REPLACE_DEVICE
from app.operations.request_changes import REQUEST_CHANGES
from app.operations.set_accepted_payload_versions import SET_ACCEPTED_PAYLOAD_VERSIONS
from app.operations.set_call_flow import SET_CALL_FLOW
from app.operations.set_contacts import SET_CONTACTS
from app.operations.set_current_step import SET_CURRENT_STEP
from app.operations.set_extensions import SET_EXTENSIONS
from app.operations.set_location_partners import SET_LOCATION_PARTNERS
from app.operations.set_phone_system import SET_PHONE_SYSTEM
from app.operations.set_working_hours import SET_WORKING_HOURS
from app.operations.start_onboarding import START_ONBOARDING
from app.operations.submit_onboarding import SUBMIT_ONBOARDING
from app.operations.transitions import BLOCK, CANCEL, REOPEN, UNBLOCK, WITHDRAW_SUBMISSION
from app.operations.trigger_provisioning import TRIGGER_PROVISIONING
from app.operations.update_location import UPDATE_LOCATION
from app.operations.waive_receipt import WAIVE_RECEIPT
from graphql_schema import mutation_inputs as inputs
from graphql_schema import mutation_payloads as payloads
from graphql_schema.fields import argument
from permissions.guards import can, guarded
from resolvers.context import Info
from resolvers.mutations import resolver_of

INPUT = argument("The input of the mutation.")


class MutationField(NamedTuple):
    """The root field of one mutation."""

    mutation: Mutation[Any]
    input: type
    payload: type
    description: str


# fmt: off
FIELDS = (
    MutationField(START_ONBOARDING, inputs.LocationVerbInput, payloads.LocationPayload,
                  "Starts the onboarding of a location: NOT_STARTED becomes IN_PROGRESS. The first edit does this as "
                  "well."),
    MutationField(SET_CURRENT_STEP, inputs.SetCurrentStepInput, payloads.LocationPayload,
                  "Stores the section that the customer is working on."),
    MutationField(UPDATE_LOCATION, inputs.UpdateLocationInput, payloads.LocationPayload,
                  "Changes the name, address, time zone or site code of a location."),
    MutationField(SET_CONTACTS, inputs.SetContactsInput, payloads.LocationPayload,
                  "Replaces the contacts of a location."),
    MutationField(SET_PHONE_SYSTEM, inputs.SetPhoneSystemInput, payloads.LocationPayload,
                  "Changes the phone system of a location."),
    MutationField(ADD_DEVICE, inputs.AddDeviceInput, payloads.DevicePayload,
                  "Adds a device to a location. The device can be incomplete."),
    MutationField(EDIT_DEVICE, inputs.EditDeviceInput, payloads.DevicePayload,
                  "Changes a device."),
    MutationField(MOVE_DEVICE, inputs.MoveDeviceInput, payloads.DevicePayload,
                  "Moves a device to another location of the same account. The viewer must be able to edit both "
                  "locations."),
    MutationField(REMOVE_DEVICE, inputs.RemoveDeviceInput, payloads.LocationPayload,
                  "Removes a device. An extension that rang it remains."),
    MutationField(ADD_PERSON, inputs.AddPersonInput, payloads.PersonPayload,
                  "Adds a person to a location."),
    MutationField(EDIT_PERSON, inputs.EditPersonInput, payloads.PersonPayload,
                  "Changes a person."),
    MutationField(REMOVE_PERSON, inputs.RemovePersonInput, payloads.LocationPayload,
                  "Removes a person. Extensions that rang them remain."),
    MutationField(SET_EXTENSIONS, inputs.SetExtensionsInput, payloads.LocationPayload,
                  "Replaces the extensions of a location."),
    MutationField(SET_WORKING_HOURS, inputs.SetWorkingHoursInput, payloads.LocationPayload,
                  "Replaces the working hours of a location."),
    MutationField(SET_CALL_FLOW, inputs.SetCallFlowInput, payloads.LocationPayload,
                  "Replaces the call flow of a location."),
    MutationField(SUBMIT_ONBOARDING, inputs.LocationVerbInput, payloads.ApprovalPayload,
                  "Submits a location to a lead for approval. If something is missing, NOT_READY lists all issues."),
    MutationField(WITHDRAW_SUBMISSION, inputs.LocationVerbInput, payloads.LocationPayload,
                  "Withdraws a submission."),
    MutationField(APPROVE, inputs.ApproveInput, payloads.ApprovalPayload,
                  "Approves exactly the content that was reviewed, and locks the location. Leads only, not for their "
                  "own work."),
    MutationField(REQUEST_CHANGES, inputs.RequestChangesInput, payloads.LocationPayload,
                  "Sends a submission back with a comment. Leads only."),
    MutationField(BLOCK, inputs.ReasonedVerbInput, payloads.LocationPayload,
                  "Records that an external obstacle stops the rollout of a location. Leads only."),
    MutationField(UNBLOCK, inputs.LocationVerbInput, payloads.LocationPayload,
                  "Continues the rollout of a location after a block. Leads only."),
    MutationField(CANCEL, inputs.ReasonedVerbInput, payloads.LocationPayload,
                  "Cancels the rollout of a location. Leads only."),
    MutationField(REOPEN, inputs.ReasonedVerbInput, payloads.LocationPayload,
                  "Reopens a location. From a locked status, this is audited as an override. Leads only."),
    MutationField(OPEN_OVERRIDE, inputs.OpenOverrideInput, payloads.OverridePayload,
                  "Opens sections of a locked location for editing by the calling lead, for a limited time. Leads "
                  "only."),
    MutationField(CLOSE_OVERRIDE, inputs.CloseOverrideInput, payloads.OverridePayload,
                  "Closes an override before it expires. Leads only."),
    MutationField(REPLACE_DEVICE, inputs.ReplaceDeviceInput, payloads.ReplaceDevicePayload,
                  "Records that a phone of a locked location was replaced: opens an override of DEVICES, changes the "
                  "device and closes the override in one step. The content has to be approved again by another lead. "
                  "Leads only."),
    MutationField(GENERATE_PAYLOAD, inputs.ProvisioningInput, payloads.LeadProvisioningPayload,
                  "Generates the payload of the approved content, or returns the latest one if it is current. Leads "
                  "only."),
    MutationField(TRIGGER_PROVISIONING, inputs.ProvisioningInput, payloads.LeadProvisioningPayload,
                  "Releases the latest payload to the partners of the location. Leads only."),
    MutationField(COMPLETE_PROVISIONING, inputs.CompleteProvisioningInput, payloads.LocationPayload,
                  "Completes a location by hand, without a receipt. Leads only."),
    MutationField(ACKNOWLEDGE_PAYLOAD, inputs.AcknowledgePayloadInput, payloads.ReceiptPayload,
                  "Confirms that a payload arrived intact. The last required receipt completes the location. Repeating "
                  "the call returns the first receipt. Partners only."),
    MutationField(REJECT_PAYLOAD, inputs.RejectPayloadInput, payloads.ReceiptPayload,
                  "Rejects a payload with reasons, and blocks the location. Partners only."),
    MutationField(WAIVE_RECEIPT, inputs.WaiveReceiptInput, payloads.LeadProvisioningPayload,
                  "Stops waiting for a recipient's receipt. The last required receipt or waiver completes the "
                  "location. Recorded as an override. Leads only."),
    MutationField(CONFIRM_DECOMMISSION, inputs.ConfirmDecommissionInput, payloads.ProvisioningPayloadPayload,
                  "Confirms that the phones of a live payload are out of operation, which frees their MAC addresses. A "
                  "partner confirms for itself; a lead, on behalf of recipients, with a reason, recorded as an "
                  "override."),
    MutationField(SET_LOCATION_PARTNERS, inputs.SetLocationPartnersInput, payloads.LocationPayload,
                  "Replaces the partners of a location, in any status. Payloads that were released keep their "
                  "recipients. Leads only."),
    MutationField(CREATE_TEST_PAYLOAD, inputs.CreateTestPayloadInput, payloads.LeadProvisioningPayload,
                  "Creates a test location in an account, with the content of the published example, and releases its "
                  "payload to one partner, who tries its receiver with it. Leads only."),
    MutationField(BULK_UPDATE_STATUS, inputs.BulkUpdateStatusInput, payloads.BulkPayload,
                  "Changes the status of many locations, each by the verb that leads to the status. Leads only."),
    MutationField(BULK_APPROVE, inputs.BulkApproveInput, payloads.BulkPayload,
                  "Approves the content of many locations, each exactly as reviewed. Leads only."),
    MutationField(BULK_GENERATE_PAYLOADS, inputs.BulkGeneratePayloadsInput, payloads.BulkPayload,
                  "Generates the payloads of many locations. Leads only."),
    MutationField(CREATE_ACCOUNT, inputs.CreateAccountInput, payloads.AccountPayload,
                  "Creates an account. Leads only."),
    MutationField(UPDATE_ACCOUNT, inputs.UpdateAccountInput, payloads.AccountPayload,
                  "Renames an account. Leads only."),
    MutationField(CREATE_LOCATION, inputs.CreateLocationInput, payloads.LocationPayload,
                  "Creates a location of an account, with the status NOT_STARTED. Leads only."),
    MutationField(CREATE_USER, inputs.CreateUserInput, payloads.UserPayload,
                  "Creates a user without any grants, unconfirmed. Leads only."),
    MutationField(EDIT_USER, inputs.EditUserInput, payloads.UserPayload,
                  "Changes a user. Another role or account withdraws the user's grants. Another role or subject "
                  "withdraws the confirmation. Leads only."),
    MutationField(SET_GRANTS, inputs.SetGrantsInput, payloads.UserPayload,
                  "Replaces the grants of a user, effective from the user's next request. Leads only."),
    MutationField(SET_ACCEPTED_PAYLOAD_VERSIONS, inputs.SetAcceptedPayloadVersionsInput, payloads.UserPayload,
                  "Replaces the versions of the payload document that a partner accepts, from the next payload on. A "
                  "partner states them for itself, a lead for a partner."),
    MutationField(SUSPEND_USER, inputs.UserInput, payloads.UserPayload,
                  "Suspends a user: all further requests are refused, even with a valid token. Leads only."),
    MutationField(REINSTATE_USER, inputs.UserInput, payloads.UserPayload,
                  "Reinstates a suspended user. Leads only."),
    MutationField(CONFIRM_USER, inputs.UserInput, payloads.UserPayload,
                  "Confirms a user whom other leads created, or gave a role or subject. Leads only."),
    MutationField(SET_DEVICE_MODELS, inputs.SetDeviceModelsInput, payloads.CataloguePayload,
                  "Replaces the device catalogue. Leads only."),
    MutationField(ADD_DEVICE_MODEL, inputs.AddDeviceModelInput, payloads.DeviceModelPayload,
                  "Adds a model to the device catalogue. Leads only."),
    MutationField(EDIT_DEVICE_MODEL, inputs.EditDeviceModelInput, payloads.DeviceModelPayload,
                  "Changes a model of the device catalogue. Devices keep the name of the model that they have. Leads "
                  "only."),
    MutationField(REMOVE_DEVICE_MODEL, inputs.RemoveDeviceModelInput, payloads.CataloguePayload,
                  "Removes a model from the device catalogue. Devices of this model remain. Leads only."),
)
# fmt: on


def root_type(
    fields: Collection[MutationField], mutations: Mapping[str, Mutation[Any]], modules: Iterable[ModuleType]
) -> type:
    """The root type with these fields.

    Raises DeclarationError unless each mutation has exactly one field, and each input and payload type of the modules
    belongs to a field.
    """
    _check_registered(fields, mutations)
    for each in fields:
        _check_own_types(each, modules)
    _check_types_used(fields, modules)
    description = (
        "The root of all writes. Each field is one transaction; the fields run in order. Refusals are in `problems`."
    )
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
    """Raises DeclarationError if a mutation has an input or payload type of its own and its field uses another."""
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
    """Add a type of the schema, and the types of its fields, recursively."""
    if kind in used:
        return
    is_declared = has_object_definition(kind)
    if is_declared:
        used.add(kind)
    for each in get_type_hints(kind).values() if is_declared else get_args(kind):
        _add_reached(each, used)


MutationRoot = root_type(FIELDS, MUTATIONS, (inputs, payloads))
