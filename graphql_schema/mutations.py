"""The root fields of mutations. Each is declared once: its mutation, input type, description and what it shows.

Name, guard, budget and resolver follow from the declaration of the mutation in app/operations. The payload type follows
from the name and from what the field shows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields as fields_of
from types import ModuleType, NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import strawberry
from strawberry import Maybe
from strawberry.types import get_object_definition, has_object_definition

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
from app.operations.manage_invitations import INVITE_USER, REVOKE_INVITATION
from app.operations.manage_service_tokens import CREATE_SERVICE_TOKEN, REVOKE_SERVICE_TOKEN
from app.operations.manage_sessions import REVOKE_SESSION, REVOKE_SESSIONS
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
from graphql_schema.fields import CAN_BE_EMPTY, argument
from permissions.guards import can, guarded
from resolvers.context import Info
from resolvers.mutations import resolver_of
from resolvers.relations import LINK

INPUT = argument("The input of the mutation.")


class MutationField(NamedTuple):
    """The root field of one mutation. The types of its input and payload are named after it and belong to it alone."""

    mutation: Mutation[Any]
    input: type
    description: str
    shown: Sequence[payloads.PayloadField]
    """What the payload shows, or of a bulk mutation the result of an item, beside the fields that all of them have."""


# fmt: off
FIELDS = (
    MutationField(START_ONBOARDING, inputs.StartOnboardingInput,
                  "Starts the onboarding of a location: NOT_STARTED becomes IN_PROGRESS. The first edit does this as "
                  "well.",
                  [payloads.location("The location, whose onboarding has started.")]),
    MutationField(SET_CURRENT_STEP, inputs.SetCurrentStepInput,
                  "Stores the section that the customer is working on.",
                  [payloads.location("The location, whose `session` has the section.")]),
    MutationField(UPDATE_LOCATION, inputs.UpdateLocationInput,
                  "Changes the name, address, time zone or site code of a location.",
                  [payloads.location("The location after the change.")]),
    MutationField(SET_CONTACTS, inputs.SetContactsInput,
                  "Replaces the contacts of a location.",
                  [payloads.location("The location with its new contacts.")]),
    MutationField(SET_PHONE_SYSTEM, inputs.SetPhoneSystemInput,
                  "Changes the phone system of a location.",
                  [payloads.location("The location with the changed phone system.")]),
    MutationField(ADD_DEVICE, inputs.AddDeviceInput,
                  "Adds a device to a location. The device can be incomplete.",
                  [payloads.location("The location with the new device."),
                   payloads.device("The device that was added.")]),
    MutationField(EDIT_DEVICE, inputs.EditDeviceInput,
                  "Changes a device.",
                  [payloads.location("The location of the device."),
                   payloads.device("The device after the change.")]),
    MutationField(MOVE_DEVICE, inputs.MoveDeviceInput,
                  "Moves a device to another location of the same account. The viewer must be able to edit both "
                  "locations.",
                  [payloads.location("The location that the device was moved to."),
                   payloads.device("The device at its new location.")]),
    MutationField(REMOVE_DEVICE, inputs.RemoveDeviceInput,
                  "Removes a device. An extension that rang it remains.",
                  [payloads.location("The location without the device."),
                   payloads.removed_device_id("The id of the device that was removed.")]),
    MutationField(ADD_PERSON, inputs.AddPersonInput,
                  "Adds a person to a location.",
                  [payloads.location("The location with the new person."),
                   payloads.person("The person who was added.")]),
    MutationField(EDIT_PERSON, inputs.EditPersonInput,
                  "Changes a person.",
                  [payloads.location("The location of the person."),
                   payloads.person("The person after the change.")]),
    MutationField(REMOVE_PERSON, inputs.RemovePersonInput,
                  "Removes a person. Extensions that rang them remain.",
                  [payloads.location("The location without the person."),
                   payloads.removed_person_id("The id of the person who was removed.")]),
    MutationField(SET_EXTENSIONS, inputs.SetExtensionsInput,
                  "Replaces the extensions of a location.",
                  [payloads.location("The location with its new extensions.")]),
    MutationField(SET_WORKING_HOURS, inputs.SetWorkingHoursInput,
                  "Replaces the working hours of a location.",
                  [payloads.location("The location with its new working hours.")]),
    MutationField(SET_CALL_FLOW, inputs.SetCallFlowInput,
                  "Replaces the call flow of a location.",
                  [payloads.location("The location with its new call flow.")]),
    MutationField(SUBMIT_ONBOARDING, inputs.SubmitOnboardingInput,
                  "Submits a location to a lead for approval. If something is missing, NOT_READY lists all issues.",
                  [payloads.location("The location, which awaits approval."),
                   payloads.approval("The request for approval that was made.")]),
    MutationField(WITHDRAW_SUBMISSION, inputs.WithdrawSubmissionInput,
                  "Withdraws a submission.",
                  [payloads.location("The location, which can be edited again.")]),
    MutationField(APPROVE, inputs.ApproveInput,
                  "Approves exactly the content that was reviewed, and locks the location. Leads only, not for their "
                  "own work.",
                  [payloads.location("The location, which is locked."),
                   payloads.approval("The request for approval with its decision.")]),
    MutationField(REQUEST_CHANGES, inputs.RequestChangesInput,
                  "Sends a submission back with a comment. Leads only.",
                  [payloads.location("The location, which can be edited again.")]),
    MutationField(BLOCK, inputs.BlockInput,
                  "Records that an external obstacle stops the rollout of a location. Leads only.",
                  [payloads.location("The blocked location.")]),
    MutationField(UNBLOCK, inputs.UnblockInput,
                  "Continues the rollout of a location after a block. Leads only.",
                  [payloads.location("The location, which is no longer blocked.")]),
    MutationField(CANCEL, inputs.CancelInput,
                  "Cancels the rollout of a location. Leads only.",
                  [payloads.location("The cancelled location.")]),
    MutationField(REOPEN, inputs.ReopenInput,
                  "Reopens a location. From a locked status, this is audited as an override. Leads only.",
                  [payloads.location("The reopened location, which can be edited.")]),
    MutationField(OPEN_OVERRIDE, inputs.OpenOverrideInput,
                  "Opens sections of a locked location for editing by the calling lead, for a limited time. Leads "
                  "only.",
                  [payloads.location("The location with the open override."),
                   payloads.override("The override that was opened.")]),
    MutationField(CLOSE_OVERRIDE, inputs.CloseOverrideInput,
                  "Closes an override before it expires. Leads only.",
                  [payloads.location("The location of the override."),
                   payloads.override("The override that was closed.")]),
    MutationField(REPLACE_DEVICE, inputs.ReplaceDeviceInput,
                  "Records that a phone of a locked location was replaced: opens an override of DEVICES, changes the "
                  "device and closes the override in one step. The content has to be approved again by another lead. "
                  "Leads only.",
                  [payloads.location("The location of the device."),
                   payloads.device("The device with the MAC address of the new phone."),
                   payloads.override("The override under which the device was changed. It is closed.")]),
    MutationField(GENERATE_PAYLOAD, inputs.GeneratePayloadInput,
                  "Generates the payload of the approved content, or returns the latest one if it is current. Leads "
                  "only.",
                  [payloads.payload("The payload of the approved content."),
                   payloads.location("The location of the payload.")]),
    MutationField(TRIGGER_PROVISIONING, inputs.TriggerProvisioningInput,
                  "Releases the latest payload to the partners of the location. Leads only.",
                  [payloads.payload("The payload that was released."),
                   payloads.location("The location, which awaits the receipts of its partners.")]),
    MutationField(COMPLETE_PROVISIONING, inputs.CompleteProvisioningInput,
                  "Completes a location by hand, without the missing receipts. Leads only.",
                  [payloads.location("The completed location.")]),
    MutationField(ACKNOWLEDGE_PAYLOAD, inputs.AcknowledgePayloadInput,
                  "Confirms that a payload arrived intact. The last required receipt completes the location. Repeating "
                  "the call returns the first receipt. Partners only.",
                  [payloads.payload("The payload that was acknowledged."),
                   payloads.receipt("The partner's receipt; of a repeated answer, the first one.")]),
    MutationField(REJECT_PAYLOAD, inputs.RejectPayloadInput,
                  "Rejects a payload with reasons, and blocks the location. Partners only.",
                  [payloads.payload("The payload that was rejected."),
                   payloads.receipt("The partner's rejection; of a repeated answer, the first one.")]),
    MutationField(WAIVE_RECEIPT, inputs.WaiveReceiptInput,
                  "Stops waiting for a recipient's receipt. The last required receipt or waiver completes the "
                  "location. Recorded as an override. Leads only.",
                  [payloads.payload("The payload whose recipient is no longer waited for."),
                   payloads.location("The location, which is completed if this was the last required receipt.")]),
    MutationField(CONFIRM_DECOMMISSION, inputs.ConfirmDecommissionInput,
                  "Confirms that the phones of a live payload are out of operation, and frees their MAC addresses. A "
                  "partner confirms for itself; a lead, on behalf of recipients, with a reason, recorded as an "
                  "override.",
                  [payloads.payload("The payload whose phones are out of operation.")]),
    MutationField(SET_LOCATION_PARTNERS, inputs.SetLocationPartnersInput,
                  "Replaces the partners of a location, in any status. Payloads that were released keep their "
                  "recipients. Leads only.",
                  [payloads.location("The location with its new partners.")]),
    MutationField(CREATE_TEST_PAYLOAD, inputs.CreateTestPayloadInput,
                  "Creates a test location in an account, with the content of the published example, and releases its "
                  "payload to one partner, who tries its receiver with it. Leads only.",
                  [payloads.payload("The payload that was released to the partner."),
                   payloads.location("The test location that was created.")]),
    MutationField(BULK_UPDATE_STATUS, inputs.BulkUpdateStatusInput,
                  "Changes the status of many locations, each by the action that leads to the status. Leads only.",
                  [payloads.location_of_item("The location after the change. Null if it is not visible to the viewer."),
                   payloads.payload_of_item("The payload that was released. Null if the item released none.")]),
    MutationField(BULK_APPROVE, inputs.BulkApproveInput,
                  "Approves the content of many locations, each exactly as reviewed. Leads only.",
                  [payloads.location_of_item("The location after the approval. Null if it is not visible to the "
                                             "viewer.")]),
    MutationField(BULK_GENERATE_PAYLOADS, inputs.BulkGeneratePayloadsInput,
                  "Generates the payloads of many locations. Leads only.",
                  [payloads.location_of_item("The location of the payload. Null if it is not visible to the viewer."),
                   payloads.payload_of_item("The payload of the approved content. Null if the item was refused.")]),
    MutationField(CREATE_ACCOUNT, inputs.CreateAccountInput,
                  "Creates an account. Leads of all accounts only.",
                  [payloads.account("The account that was created.")]),
    MutationField(UPDATE_ACCOUNT, inputs.UpdateAccountInput,
                  "Renames an account. Leads of all accounts only.",
                  [payloads.account("The account with its new name.")]),
    MutationField(CREATE_LOCATION, inputs.CreateLocationInput,
                  "Creates a location of an account, with the status NOT_STARTED. Leads only.",
                  [payloads.location("The location that was created.")]),
    MutationField(CREATE_USER, inputs.CreateUserInput,
                  "Creates a user without any grants, unconfirmed. Leads of all accounts only.",
                  [payloads.user("The user who was created.")]),
    MutationField(EDIT_USER, inputs.EditUserInput,
                  "Changes a user. Another role or account withdraws the user's grants. Another role, subject or "
                  "issuer withdraws the confirmation and ends the user's sessions. Leads of all accounts only.",
                  [payloads.user("The user after the change.")]),
    MutationField(SET_GRANTS, inputs.SetGrantsInput,
                  "Replaces the grants of a user, effective from the user's next request. Leads of all accounts only.",
                  [payloads.user("The user with the new grants.")]),
    MutationField(SET_ACCEPTED_PAYLOAD_VERSIONS, inputs.SetAcceptedPayloadVersionsInput,
                  "Replaces the versions of the payload document that a partner accepts, from the next payload on. A "
                  "partner states them for itself, leads of all accounts for any partner.",
                  [payloads.user("The partner with the new versions.")]),
    MutationField(SUSPEND_USER, inputs.SuspendUserInput,
                  "Suspends a user: all further requests are refused, even with a valid token, and the user's sessions "
                  "end. Leads of all accounts only.",
                  [payloads.user("The suspended user.")]),
    MutationField(REINSTATE_USER, inputs.ReinstateUserInput,
                  "Reinstates a suspended user. Leads of all accounts only.",
                  [payloads.user("The reinstated user.")]),
    MutationField(CONFIRM_USER, inputs.ConfirmUserInput,
                  "Confirms a user whom other leads made. Leads of all accounts only.",
                  [payloads.user("The confirmed user.")]),
    MutationField(REVOKE_SESSION, inputs.RevokeSessionInput,
                  "Ends a session. Users end their own, leads of all accounts those of anybody.",
                  [payloads.revoked_session_id("The id of the session that was ended.")]),
    MutationField(REVOKE_SESSIONS, inputs.RevokeSessionsInput,
                  "Ends all sessions of a user, the one that the request is sent with included. Users end their own, "
                  "leads of all accounts those of anybody. Tokens are not affected.",
                  []),
    MutationField(CREATE_SERVICE_TOKEN, inputs.CreateServiceTokenInput,
                  "Creates a service token, with which a machine signs in as a user. A user has at most 20 that are "
                  "valid. A token for another user withdraws that user's confirmation, because who created it can sign "
                  "in as the user. Leads of all accounts only.",
                  [payloads.service_token("The token that was created."),
                   payloads.secret("The token itself, to be sent as `Authorization: Bearer <secret>`. It is shown "
                                   "only here; null when the call is repeated with its idempotency key.")]),
    MutationField(REVOKE_SERVICE_TOKEN, inputs.RevokeServiceTokenInput,
                  "Revokes a service token: further requests with it are refused. Leads of all accounts only.",
                  [payloads.service_token("The revoked token.")]),
    MutationField(INVITE_USER, inputs.InviteUserInput,
                  "Invites a person, who becomes a user at the first sign-in with this email address, unconfirmed. "
                  "Leads of all accounts only.",
                  [payloads.invitation("The open invitation."),
                   payloads.link("The link for the person to sign in with. It is shown once and stored nowhere: if it "
                                 "is lost, revoke the invitation and make another one. Null if the mutation was "
                                 "replayed.")]),
    MutationField(REVOKE_INVITATION, inputs.RevokeInvitationInput,
                  "Revokes an invitation that was not accepted: its link is no longer valid. Leads of all accounts "
                  "only.",
                  [payloads.invitation("The invitation that was revoked.")]),
    MutationField(SET_DEVICE_MODELS, inputs.SetDeviceModelsInput,
                  "Replaces the device catalogue. Leads of all accounts only.",
                  []),
    MutationField(ADD_DEVICE_MODEL, inputs.AddDeviceModelInput,
                  "Adds a model to the device catalogue. Leads of all accounts only.",
                  [payloads.device_model("The model that was added.")]),
    MutationField(EDIT_DEVICE_MODEL, inputs.EditDeviceModelInput,
                  "Changes a model of the device catalogue. Devices keep the name of the model that they have. Leads "
                  "of all accounts only.",
                  [payloads.device_model("The model after the change.")]),
    MutationField(REMOVE_DEVICE_MODEL, inputs.RemoveDeviceModelInput,
                  "Removes a model from the device catalogue. Devices of this model remain. Leads of all accounts "
                  "only.",
                  [payloads.removed_device_model_id("The id of the model that was removed.")]),
)
# fmt: on


def root_type(
    fields: Collection[MutationField], mutations: Mapping[str, Mutation[Any]], modules: Iterable[ModuleType]
) -> type:
    """The root type with these fields.

    Raises DeclarationError unless each mutation has exactly one field and its own input type, and each input type of
    the modules belongs to a field.
    """
    _check_registered(fields, mutations)
    _check_inputs_used(fields, modules)
    for each in fields:
        _take_as_sent(each.input)
    description = (
        "The root of all writes. Each field is one transaction; the fields run in order. Refusals are in `problems`."
    )
    root = type("Mutation", (), {each.mutation.name: _field(each) for each in fields})
    return strawberry.type(root, description=description)


def _field(declared: MutationField) -> Any:
    mutation, input_type, description, shown = declared
    do = resolver_of(mutation, input_type, shows_rows=any(LINK in each.declared.metadata for each in shown))
    payload_type = payloads.payload_type(mutation, description, shown)

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


def _take_as_sent(input_type: type) -> None:
    """Pass the values of an input to the resolver as graphql-core coerced them.

    `resolvers.commands` converts them, after the checks of the role and the budget. Raises DeclarationError for a patch
    whose annotation says something else about null.
    """
    reached: set[type] = set()
    _add_reached(input_type, reached)
    for each in reached:
        hints = get_type_hints(each)
        for field in fields_of(each):
            _check_patch(f"{each.__name__}.{field.name}", hints[field.name], field.metadata)
    definition: Any = get_object_definition(input_type, strict=True)
    definition.from_input = _as_sent


def _check_patch(place: str, hint: Any, metadata: Mapping[Any, Any]) -> None:
    can_be_empty = metadata.get(CAN_BE_EMPTY)
    if can_be_empty is None:
        return
    if get_origin(hint) is not Maybe or can_be_empty != (NoneType in get_args(get_args(hint)[0])):
        raise DeclarationError(f"{place} is a patch with can_be_empty={can_be_empty}, and its type is {hint}")


def _as_sent(_cls: type, given: Mapping[str, Any], _context: Any) -> Mapping[str, Any]:
    return given


def _check_registered(fields: Collection[MutationField], mutations: Mapping[str, Mutation[Any]]) -> None:
    seen: set[str] = set()
    for each in fields:
        name = each.mutation.name
        if mutations.get(name) is not each.mutation:
            raise DeclarationError(f"field {name} has a mutation that app.operations.registry does not list")
        if name in seen:
            raise DeclarationError(f"mutation {name} has two fields")
        if each.input.__name__ != each.mutation.input_name:
            raise DeclarationError(f"mutation {name} takes {each.mutation.input_name}, not {each.input.__name__}")
        seen.add(name)
    for name in mutations.keys() - seen:
        raise DeclarationError(f"mutation {name} has no field")


def _check_inputs_used(fields: Collection[MutationField], modules: Iterable[ModuleType]) -> None:
    used: set[type] = set()
    for each in fields:
        _add_reached(each.input, used)
    for module in modules:
        for name, each in vars(module).items():
            declared = isinstance(each, type) and has_object_definition(each) and each.__module__ == module.__name__
            if declared and each not in used:
                raise DeclarationError(f"{name} belongs to no mutation")


def _add_reached(kind: Any, used: set[type]) -> None:
    """Add a type of the schema, and the types of its fields, recursively."""
    if kind in used:
        return
    is_declared = isinstance(kind, type) and has_object_definition(kind)
    if is_declared:
        used.add(kind)
    for each in get_type_hints(kind).values() if is_declared else get_args(kind):
        _add_reached(each, used)


MutationRoot = root_type(FIELDS, MUTATIONS, (inputs,))
