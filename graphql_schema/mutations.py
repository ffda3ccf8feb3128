"""The root fields that write. Each names its guard and its use case; the frame does the rest."""

from typing import Annotated

import strawberry

from app.operations.add_device import ADD_DEVICE
from app.operations.add_person import ADD_PERSON
from app.operations.answer_payload import ACKNOWLEDGE_PAYLOAD, REJECT_PAYLOAD
from app.operations.approve import APPROVE
from app.operations.bulk import BULK_APPROVE, BULK_GENERATE_PAYLOADS, BULK_UPDATE_STATUS
from app.operations.close_override import CLOSE_OVERRIDE
from app.operations.complete_provisioning import COMPLETE_PROVISIONING
from app.operations.edit_device import EDIT_DEVICE
from app.operations.edit_person import EDIT_PERSON
from app.operations.generate_payload import GENERATE_PAYLOAD
from app.operations.manage_accounts import CREATE_ACCOUNT, CREATE_LOCATION, UPDATE_ACCOUNT
from app.operations.manage_catalogue import SET_DEVICE_MODELS
from app.operations.manage_users import CREATE_USER, EDIT_USER, REINSTATE_USER, SET_GRANTS, SUSPEND_USER
from app.operations.move_device import MOVE_DEVICE
from app.operations.open_override import OPEN_OVERRIDE
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
from graphql_schema.fields import argument
from graphql_schema.mutation_payloads import (
    AccountPayload,
    ApprovalPayload,
    BulkPayload,
    CataloguePayload,
    DevicePayload,
    LeadProvisioningPayload,
    LocationPayload,
    OverridePayload,
    PersonPayload,
    ProvisioningPayloadPayload,
    UserPayload,
)
from permissions.guards import can, guarded
from permissions.matrix import Action
from resolvers.context import Info
from resolvers.mutations import run, run_administration, run_bulk

INPUT = argument("What to do, and to what.")


@strawberry.type(
    description="Writing. Each field is one transaction; they run in turn. What the rules refuse is in `problems`."
)
class Mutation:
    @strawberry.mutation(
        description="Begin to fill a location in; NOT_STARTED becomes IN_PROGRESS. The first edit does so by itself.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def start_onboarding(
        self, info: Info, input: Annotated[inputs.LocationVerbInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, START_ONBOARDING, input)

    @strawberry.mutation(
        description="Remember which section the customer is working on.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def set_current_step(
        self, info: Info, input: Annotated[inputs.SetCurrentStepInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, SET_CURRENT_STEP, input)

    @strawberry.mutation(
        description="Change a location's name, address or time zone.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def update_location(
        self, info: Info, input: Annotated[inputs.UpdateLocationInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, UPDATE_LOCATION, input)

    @strawberry.mutation(
        description="Replace the list of contacts.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def set_contacts(
        self, info: Info, input: Annotated[inputs.SetContactsInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, SET_CONTACTS, input)

    @strawberry.mutation(
        description="Change the phone system.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def set_phone_system(
        self, info: Info, input: Annotated[inputs.SetPhoneSystemInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, SET_PHONE_SYSTEM, input)

    @strawberry.mutation(
        description="Add a device, incomplete as it may be.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def add_device(self, info: Info, input: Annotated[inputs.AddDeviceInput, INPUT]) -> DevicePayload | None:
        return await run(info, ADD_DEVICE, input)

    @strawberry.mutation(
        description="Change a device.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def edit_device(self, info: Info, input: Annotated[inputs.EditDeviceInput, INPUT]) -> DevicePayload | None:
        return await run(info, EDIT_DEVICE, input)

    @strawberry.mutation(
        description="Move a device to another location of the same account; both have to be open for it.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def move_device(self, info: Info, input: Annotated[inputs.MoveDeviceInput, INPUT]) -> DevicePayload | None:
        return await run(info, MOVE_DEVICE, input)

    @strawberry.mutation(
        description="Remove a device; an extension that rang it stays.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def remove_device(
        self, info: Info, input: Annotated[inputs.RemoveDeviceInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, REMOVE_DEVICE, input)

    @strawberry.mutation(
        description="Add a person.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def add_person(self, info: Info, input: Annotated[inputs.AddPersonInput, INPUT]) -> PersonPayload | None:
        return await run(info, ADD_PERSON, input)

    @strawberry.mutation(
        description="Change a person.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def edit_person(self, info: Info, input: Annotated[inputs.EditPersonInput, INPUT]) -> PersonPayload | None:
        return await run(info, EDIT_PERSON, input)

    @strawberry.mutation(
        description="Remove a person; an extension that rang them stays.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def remove_person(
        self, info: Info, input: Annotated[inputs.RemovePersonInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, REMOVE_PERSON, input)

    @strawberry.mutation(
        description="Replace the list of extensions.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def set_extensions(
        self, info: Info, input: Annotated[inputs.SetExtensionsInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, SET_EXTENSIONS, input)

    @strawberry.mutation(
        description="Replace the working hours.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def set_working_hours(
        self, info: Info, input: Annotated[inputs.SetWorkingHoursInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, SET_WORKING_HOURS, input)

    @strawberry.mutation(
        description="Replace the call flow.",
        extensions=guarded(can(Action.EDIT_ONBOARDING)),
    )
    async def set_call_flow(
        self, info: Info, input: Annotated[inputs.SetCallFlowInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, SET_CALL_FLOW, input)

    @strawberry.mutation(
        description="Hand a location to a lead for approval; NOT_READY lists every finding when something is missing.",
        extensions=guarded(can(Action.SUBMIT)),
    )
    async def submit_onboarding(
        self, info: Info, input: Annotated[inputs.LocationVerbInput, INPUT]
    ) -> ApprovalPayload | None:
        return await run(info, SUBMIT_ONBOARDING, input)

    @strawberry.mutation(
        description="Take a submission back.",
        extensions=guarded(can(Action.WITHDRAW)),
    )
    async def withdraw_submission(
        self, info: Info, input: Annotated[inputs.LocationVerbInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, WITHDRAW_SUBMISSION, input)

    @strawberry.mutation(
        description="Approve exactly the content that was reviewed; the location locks. Leads only; not own work.",
        extensions=guarded(can(Action.APPROVE)),
    )
    async def approve(self, info: Info, input: Annotated[inputs.ApproveInput, INPUT]) -> ApprovalPayload | None:
        return await run(info, APPROVE, input)

    @strawberry.mutation(
        description="Send a submission back with a comment. Leads only.",
        extensions=guarded(can(Action.REQUEST_CHANGES)),
    )
    async def request_changes(
        self, info: Info, input: Annotated[inputs.RequestChangesInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, REQUEST_CHANGES, input)

    @strawberry.mutation(
        description="Note that something outside stands in the way. Leads only.",
        extensions=guarded(can(Action.BLOCK)),
    )
    async def block(self, info: Info, input: Annotated[inputs.ReasonedVerbInput, INPUT]) -> LocationPayload | None:
        return await run(info, BLOCK, input)

    @strawberry.mutation(
        description="Go on after a block. Leads only.",
        extensions=guarded(can(Action.UNBLOCK)),
    )
    async def unblock(self, info: Info, input: Annotated[inputs.LocationVerbInput, INPUT]) -> LocationPayload | None:
        return await run(info, UNBLOCK, input)

    @strawberry.mutation(
        description="Give a location up. Leads only.",
        extensions=guarded(can(Action.CANCEL)),
    )
    async def cancel(self, info: Info, input: Annotated[inputs.ReasonedVerbInput, INPUT]) -> LocationPayload | None:
        return await run(info, CANCEL, input)

    @strawberry.mutation(
        description="Take a location up again; from a locked status it is audited as an override. Leads only.",
        extensions=guarded(can(Action.REOPEN)),
    )
    async def reopen(self, info: Info, input: Annotated[inputs.ReasonedVerbInput, INPUT]) -> LocationPayload | None:
        return await run(info, REOPEN, input)

    @strawberry.mutation(
        description="Open sections of a locked location for editing by oneself, for a while. Leads only.",
        extensions=guarded(can(Action.OVERRIDE_LOCK)),
    )
    async def open_override(
        self, info: Info, input: Annotated[inputs.OpenOverrideInput, INPUT]
    ) -> OverridePayload | None:
        return await run(info, OPEN_OVERRIDE, input)

    @strawberry.mutation(
        description="End an override before its time. Leads only.",
        extensions=guarded(can(Action.OVERRIDE_LOCK)),
    )
    async def close_override(
        self, info: Info, input: Annotated[inputs.CloseOverrideInput, INPUT]
    ) -> OverridePayload | None:
        return await run(info, CLOSE_OVERRIDE, input)

    @strawberry.mutation(
        description="Make the approved content's payload; returns the latest one while it says it all. Leads only.",
        extensions=guarded(can(Action.GENERATE_PAYLOAD)),
    )
    async def generate_payload(
        self, info: Info, input: Annotated[inputs.ProvisioningInput, INPUT]
    ) -> LeadProvisioningPayload | None:
        return await run(info, GENERATE_PAYLOAD, input)

    @strawberry.mutation(
        description="Release the latest payload to the partner. Leads only.",
        extensions=guarded(can(Action.TRIGGER_PROVISIONING)),
    )
    async def trigger_provisioning(
        self, info: Info, input: Annotated[inputs.ProvisioningInput, INPUT]
    ) -> LeadProvisioningPayload | None:
        return await run(info, TRIGGER_PROVISIONING, input)

    @strawberry.mutation(
        description="Complete a location by hand, without a receipt. Leads only.",
        extensions=guarded(can(Action.COMPLETE)),
    )
    async def complete_provisioning(
        self, info: Info, input: Annotated[inputs.CompleteProvisioningInput, INPUT]
    ) -> LocationPayload | None:
        return await run(info, COMPLETE_PROVISIONING, input)

    @strawberry.mutation(
        description="Confirm that a payload arrived intact; the location is completed. Partners only.",
        extensions=guarded(can(Action.ACKNOWLEDGE)),
    )
    async def acknowledge_payload(
        self, info: Info, input: Annotated[inputs.AcknowledgePayloadInput, INPUT]
    ) -> ProvisioningPayloadPayload | None:
        return await run(info, ACKNOWLEDGE_PAYLOAD, input)

    @strawberry.mutation(
        description="Refuse a payload, with reasons; the location is blocked. Partners only.",
        extensions=guarded(can(Action.REJECT)),
    )
    async def reject_payload(
        self, info: Info, input: Annotated[inputs.RejectPayloadInput, INPUT]
    ) -> ProvisioningPayloadPayload | None:
        return await run(info, REJECT_PAYLOAD, input)

    @strawberry.mutation(
        description="Bring many locations to a status, each by the verb that leads there. Leads only.",
        extensions=guarded(can(Action.RUN_BULK)),
    )
    async def bulk_update_status(
        self, info: Info, input: Annotated[inputs.BulkUpdateStatusInput, INPUT]
    ) -> BulkPayload | None:
        return await run_bulk(info, BULK_UPDATE_STATUS, input)

    @strawberry.mutation(
        description="Approve the contents of many locations, each exactly as reviewed. Leads only.",
        extensions=guarded(can(Action.RUN_BULK)),
    )
    async def bulk_approve(self, info: Info, input: Annotated[inputs.BulkApproveInput, INPUT]) -> BulkPayload | None:
        return await run_bulk(info, BULK_APPROVE, input)

    @strawberry.mutation(
        description="Make the payloads of many locations. Leads only.",
        extensions=guarded(can(Action.RUN_BULK)),
    )
    async def bulk_generate_payloads(
        self, info: Info, input: Annotated[inputs.BulkGeneratePayloadsInput, INPUT]
    ) -> BulkPayload | None:
        return await run_bulk(info, BULK_GENERATE_PAYLOADS, input)

    @strawberry.mutation(
        description="Add an account. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def create_account(
        self, info: Info, input: Annotated[inputs.CreateAccountInput, INPUT]
    ) -> AccountPayload | None:
        return await run_administration(info, CREATE_ACCOUNT, input)

    @strawberry.mutation(
        description="Rename an account. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def update_account(
        self, info: Info, input: Annotated[inputs.UpdateAccountInput, INPUT]
    ) -> AccountPayload | None:
        return await run_administration(info, UPDATE_ACCOUNT, input)

    @strawberry.mutation(
        description="Add a location to an account, NOT_STARTED. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def create_location(
        self, info: Info, input: Annotated[inputs.CreateLocationInput, INPUT]
    ) -> LocationPayload | None:
        return await run_administration(info, CREATE_LOCATION, input)

    @strawberry.mutation(
        description="Add a user, to whom nothing is granted yet. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def create_user(self, info: Info, input: Annotated[inputs.CreateUserInput, INPUT]) -> UserPayload | None:
        return await run_administration(info, CREATE_USER, input)

    @strawberry.mutation(
        description="Change a user's name or email. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def edit_user(self, info: Info, input: Annotated[inputs.EditUserInput, INPUT]) -> UserPayload | None:
        return await run_administration(info, EDIT_USER, input)

    @strawberry.mutation(
        description="Replace what is granted to a user; it counts from the next request on. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def set_grants(self, info: Info, input: Annotated[inputs.SetGrantsInput, INPUT]) -> UserPayload | None:
        return await run_administration(info, SET_GRANTS, input)

    @strawberry.mutation(
        description="Refuse a user from the next request on, even with a valid token. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def suspend_user(self, info: Info, input: Annotated[inputs.UserInput, INPUT]) -> UserPayload | None:
        return await run_administration(info, SUSPEND_USER, input)

    @strawberry.mutation(
        description="Let a suspended user act again. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def reinstate_user(self, info: Info, input: Annotated[inputs.UserInput, INPUT]) -> UserPayload | None:
        return await run_administration(info, REINSTATE_USER, input)

    @strawberry.mutation(
        description="Replace the device catalogue. Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    async def set_device_models(
        self, info: Info, input: Annotated[inputs.SetDeviceModelsInput, INPUT]
    ) -> CataloguePayload | None:
        return await run_administration(info, SET_DEVICE_MODELS, input)
