"""The inputs of mutations. `Maybe[T | None]` can be null, `Maybe[T]` cannot; both can be left out."""

from datetime import date, datetime, time
from typing import Any

import strawberry
from strawberry import ID, Maybe

from app.domain.limits import CAPS
from app.domain.vocabulary import (
    BulkPolicy,
    CallFlowKind,
    ContactPurpose,
    DeviceBrand,
    DeviceModelKind,
    LocationStatus,
    PartnerPurpose,
    Role,
    Section,
)
from app.operations.manage_catalogue import MOST_MODELS
from app.operations.manage_invitations import DEFAULT_DAYS, MOST_DAYS
from app.operations.manage_service_tokens import LONGEST_DAYS
from app.operations.manage_users import MOST_GRANTS, MOST_LOCATIONS
from graphql_schema.fields import field, optional, patch
from permissions.matrix import TokenAction

SITE_CODE = (
    "The account's own code for the site, 1 to 32 visible characters. Unique within the account, ignoring case. "
    "Blank text counts as no code."
)
REASON = "The internal reason, 1 to 1,000 characters. Only leads see it."
FOR_CUSTOMER = (
    "The reason that customers see in `Location.statusReason`, at most 1,000 characters. Without it they see none."
)
FOR_PARTNER = (
    "The reason that partners see in `ProvisioningPayload.statusChange`, at most 1,000 characters. Without it they see "
    "none."
)
KEY = "Any text of 1 to 255 characters. A repeated call with the same key has no further effect. Kept for 24 hours."


def key() -> Any:
    """An optional idempotency key."""
    return optional(KEY)


def required_key() -> Any:
    """A required idempotency key."""
    return field(KEY)


def expected(what: str) -> Any:
    """The revision that the client has read of a section or an object."""
    return field(
        f"The revision of {what} that was read. If it has changed since, the mutation is refused with CONFLICT."
    )


@strawberry.input(description="The location whose onboarding to start.")
class StartOnboardingInput:
    location_id: ID = field("The id of the location.")
    idempotency_key: str | None = key()


@strawberry.input(description="The section that the customer is working on.")
class SetCurrentStepInput:
    location_id: ID = field("The id of the location.")
    step: Section = field("The section.")
    idempotency_key: str | None = key()


@strawberry.input(description="The parts of an address to change.")
class AddressInput:
    line1: Maybe[str | None] = patch("Street and number, at most 200 characters.")
    line2: Maybe[str | None] = patch("Suite, floor or building, at most 200 characters.")
    city: Maybe[str | None] = patch("City, at most 120 characters.")
    state: Maybe[str | None] = patch("State or region, at most 120 characters.")
    zipcode: Maybe[str | None] = patch("Postal code, in the format of any country, at most 20 characters.")
    country: Maybe[str | None] = patch("Country, as an ISO 3166-1 alpha-2 code such as US.")


@strawberry.input(description="Changes to the location itself.")
class UpdateLocationInput:
    location_id: ID = field("The id of the location.")
    expected_revision: int = expected("section LOCATION")
    name: Maybe[str] = patch("The name of the location, at most 120 characters.", can_be_empty=False)
    address: Maybe[AddressInput] = patch("The parts of the address to change.", can_be_empty=False)
    timezone: Maybe[str | None] = patch("The IANA time zone, such as America/New_York.")
    site_code: Maybe[str | None] = patch(SITE_CODE)
    idempotency_key: str | None = key()


@strawberry.input(description="A contact in the new list of contacts.")
class ContactInput:
    id: ID | None = optional("The id of an existing contact to keep. Null for a new contact.")
    purpose: ContactPurpose = field("The purpose of the contact.")
    full_name: str | None = optional("The name of the person, at most 120 characters.")
    email: str | None = optional("The email address.")
    phone: str | None = optional("The phone number, in any usual format.")


@strawberry.input(description="The complete list of contacts, in order.")
class SetContactsInput:
    location_id: ID = field("The id of the location.")
    expected_revision: int = expected("section CONTACTS")
    contacts: list[ContactInput] = field(
        "The contacts that replace the current ones. At most 8 contacts.", most=CAPS["contacts"]
    )
    idempotency_key: str | None = key()


@strawberry.input(description="Changes to the phone system.")
class SetPhoneSystemInput:
    location_id: ID = field("The id of the location.")
    expected_revision: int = expected("section PHONE_SYSTEM")
    main_number: Maybe[str | None] = patch("The main number, in any usual format.")
    caller_id_name: Maybe[str | None] = patch("The name that called parties see. Networks show 15 characters.")
    provider: Maybe[str | None] = patch("The carrier or hosted PBX.")
    outbound_prefix: Maybe[str | None] = patch("The keys to press for an outside line: one to four of 0-9, * and #.")
    voicemail: Maybe[bool] = patch("Whether the location has its own mailbox.", can_be_empty=False)
    extension_length: Maybe[int | None] = patch(
        "The number of digits of an extension, from 2 to 6. Null if the lengths differ."
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The device to add.")
class AddDeviceInput:
    location_id: ID = field("The id of the location.")
    brand: DeviceBrand = field("The maker.")
    model: str | None = optional("The model, as in the device catalogue.")
    mac_address: str | None = optional("The MAC address, in any usual notation.")
    serial_number: str | None = optional("The maker's serial number.")
    label: str | None = optional("The name that people use for the device.")
    idempotency_key: str | None = key()


@strawberry.input(description="Changes to a device.")
class EditDeviceInput:
    device_id: ID = field("The id of the device.")
    expected_revision: int = expected("the device")
    brand: Maybe[DeviceBrand] = patch("The maker.", can_be_empty=False)
    model: Maybe[str | None] = patch("The model, as in the device catalogue.")
    mac_address: Maybe[str | None] = patch("The MAC address, in any usual notation.")
    serial_number: Maybe[str | None] = patch("The maker's serial number.")
    label: Maybe[str | None] = patch("The name that people use for the device.")
    idempotency_key: str | None = key()


@strawberry.input(description="The device to move, and its new location.")
class MoveDeviceInput:
    device_id: ID = field("The id of the device.")
    expected_revision: int = expected("the device")
    to_location_id: ID = field("The id of another location of the same account.")
    idempotency_key: str | None = key()


@strawberry.input(description="The device to remove.")
class RemoveDeviceInput:
    device_id: ID = field("The id of the device.")
    expected_revision: int = expected("the device")
    idempotency_key: str | None = key()


@strawberry.input(description="The person to add.")
class AddPersonInput:
    location_id: ID = field("The id of the location.")
    first_name: str | None = optional("The given name.")
    last_name: str | None = optional("The family name.")
    email: str | None = optional("The email address.")
    mobile: str | None = optional("The mobile number, in any usual format.")
    voicemail: bool | None = optional("Whether the person has a mailbox.")
    idempotency_key: str | None = key()


@strawberry.input(description="Changes to a person.")
class EditPersonInput:
    person_id: ID = field("The id of the person.")
    expected_revision: int = expected("the person")
    first_name: Maybe[str | None] = patch("The given name.")
    last_name: Maybe[str | None] = patch("The family name.")
    email: Maybe[str | None] = patch("The email address.")
    mobile: Maybe[str | None] = patch("The mobile number, in any usual format.")
    voicemail: Maybe[bool] = patch("Whether the person has a mailbox.", can_be_empty=False)
    idempotency_key: str | None = key()


@strawberry.input(description="The person to remove.")
class RemovePersonInput:
    person_id: ID = field("The id of the person.")
    expected_revision: int = expected("the person")
    idempotency_key: str | None = key()


@strawberry.input(description="An extension in the new list of extensions.")
class ExtensionInput:
    id: ID | None = optional("The id of an existing extension to keep. Null for a new extension.")
    number: str = field("The digits to dial within the location.")
    label: str | None = optional("The name that people use for the extension.")
    person_id: ID | None = optional("The id of the person that the extension rings.")
    device_id: ID | None = optional(
        "The id of the device that the extension rings. A device has at most one extension."
    )


@strawberry.input(description="The complete list of extensions.")
class SetExtensionsInput:
    location_id: ID = field("The id of the location.")
    expected_revision: int = expected("section EXTENSIONS")
    extensions: list[ExtensionInput] = field(
        "The extensions that replace the current ones. At most 250 extensions.", most=CAPS["extensions"]
    )
    idempotency_key: str | None = key()


@strawberry.input(description="An interval in which the location is open, in its local time.")
class WorkingIntervalInput:
    id: ID | None = optional(
        "The id of an existing interval to keep. Without it, an interval that equals an existing one keeps that one's "
        "id, and any other is new."
    )
    weekday: int = field("The ISO 8601 weekday, from 1 (Monday) to 7 (Sunday).")
    opens: time = field("The time when the location opens, in whole minutes.")
    closes: time = field("The time when the location closes, in whole minutes.")
    passes_midnight: bool | None = optional("Whether the location closes on the following day. False if left out.")


@strawberry.input(description="The complete working hours.")
class SetWorkingHoursInput:
    location_id: ID = field("The id of the location.")
    expected_revision: int = expected("section WORKING_HOURS")
    intervals: list[WorkingIntervalInput] = field(
        "The intervals that replace the current ones. At most 42 intervals; several per day are allowed.",
        most=CAPS["workingHours"],
    )
    idempotency_key: str | None = key()


@strawberry.input(one_of=True, description="The target of a branch of a call flow.")
class TargetInput:
    extension_id: Maybe[ID] = field("The id of the extension that rings.")
    voicemail_of_extension_id: Maybe[ID] = field("The id of the extension whose mailbox takes the message.")
    voicemail_of_location: Maybe[bool] = field("True for the mailbox of the location. False is refused.")
    external_number: Maybe[str] = field(
        "The external number, in any usual format. With blank text the target is incomplete, which readiness reports."
    )
    hang_up: Maybe[bool] = field("True to end the call. False is refused.")


@strawberry.input(description="A key of a menu, and the target that a caller reaches by pressing it.")
class CallFlowOptionInput:
    digit: str = field("One or two keys of 0-9, * and #.")
    target: TargetInput = field("The target of the key.")


@strawberry.input(description="The complete call flow.")
class SetCallFlowInput:
    location_id: ID = field("The id of the location.")
    expected_revision: int = expected("section CALL_FLOW")
    kind: CallFlowKind = field("The kind of call flow: extensions ring immediately, or a menu is played.")
    greeting: str | None = optional("The greeting that the menu plays.")
    timeout_seconds: int | None = optional(
        "The number of seconds without a key press before the call goes to `timeoutTarget`, from 1 to 300."
    )
    retries: int | None = optional("The number of wrong keys that are tolerated, from 0 to 10.")
    options: list[CallFlowOptionInput] | None = optional(
        "The keys of the menu, in order. At most 100 keys. A DIRECT call flow hands none of them over.",
        most=CAPS["options"],
    )
    timeout_target: TargetInput | None = optional("The target of a call without a key press.")
    invalid_target: TargetInput | None = optional("The target of a call with wrong keys.")
    direct_targets: list[ID] | None = optional(
        "The ids of the extensions that ring immediately, in ringing order.", most=CAPS["directTargets"]
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The location to submit for approval.")
class SubmitOnboardingInput:
    location_id: ID = field("The id of the location.")
    idempotency_key: str | None = key()


@strawberry.input(description="The location whose submission to withdraw.")
class WithdrawSubmissionInput:
    location_id: ID = field("The id of the location.")
    idempotency_key: str | None = key()


@strawberry.input(description="The content to approve.")
class ApproveInput:
    location_id: ID = field("The id of the location.")
    expected_digest: str = field(
        "The digest that `review` returned. If the content has changed since, the mutation is refused with "
        "STALE_REVIEW."
    )
    comment: str | None = optional("A comment for the customer, at most 1,000 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="The changes that the customer has to make.")
class RequestChangesInput:
    location_id: ID = field("The id of the location.")
    comment: str = field("A comment for the customer that describes the changes, 1 to 1,000 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="The location whose rollout an external obstacle stops, and the reasons.")
class BlockInput:
    location_id: ID = field("The id of the location.")
    reason: str = field(REASON)
    reason_for_customer: Maybe[str | None] = field(FOR_CUSTOMER)
    reason_for_partner: Maybe[str | None] = field(FOR_PARTNER)
    idempotency_key: str | None = key()


@strawberry.input(description="The blocked location whose rollout to continue.")
class UnblockInput:
    location_id: ID = field("The id of the location.")
    idempotency_key: str | None = key()


@strawberry.input(description="The location whose rollout to cancel, and the reasons.")
class CancelInput:
    location_id: ID = field("The id of the location.")
    reason: str = field(REASON)
    reason_for_customer: Maybe[str | None] = field(FOR_CUSTOMER)
    reason_for_partner: Maybe[str | None] = field(FOR_PARTNER)
    idempotency_key: str | None = key()


@strawberry.input(description="The location to reopen, and the reasons.")
class ReopenInput:
    location_id: ID = field("The id of the location.")
    reason: str = field(REASON)
    reason_for_customer: Maybe[str | None] = field(FOR_CUSTOMER)
    reason_for_partner: Maybe[str | None] = field(FOR_PARTNER)
    idempotency_key: str | None = key()


@strawberry.input(description="The sections to open for editing, the reason, and the duration.")
class OpenOverrideInput:
    location_id: ID = field("The id of the location.")
    editable_sections: list[Section] = field("The sections to edit. At least one section.")
    reason: str = field("The reason for overriding the lock, at least 10 visible characters.")
    ticket: str | None = optional("The ticket reference in another system.")
    expires_in_minutes: int = field("The minutes until the override expires, from 1 to 480.")
    idempotency_key: str | None = key()


@strawberry.input(description="The override to close.")
class CloseOverrideInput:
    override_id: ID = field("The id of the override.")
    idempotency_key: str | None = key()


@strawberry.input(description="The device that was replaced, and the phone that replaced it.")
class ReplaceDeviceInput:
    device_id: ID = field("The id of the device. The new phone keeps its id, brand, model, label and extension.")
    mac_address: str = field("The MAC address of the new phone, in any usual notation.")
    serial_number: str | None = optional("The serial number of the new phone. Null or left out if it is unknown.")
    reason: str = field("The reason for overriding the lock, at least 10 visible characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="The location whose payload to generate.")
class GeneratePayloadInput:
    location_id: ID = field("The id of the location.")
    idempotency_key: str = required_key()


@strawberry.input(description="The location whose latest payload to release to the partners.")
class TriggerProvisioningInput:
    location_id: ID = field("The id of the location.")
    idempotency_key: str = required_key()


@strawberry.input(description="The location to complete by hand, and the reasons.")
class CompleteProvisioningInput:
    location_id: ID = field("The id of the location.")
    reason: str = field(REASON)
    reason_for_customer: Maybe[str | None] = field(FOR_CUSTOMER)
    reason_for_partner: Maybe[str | None] = field(FOR_PARTNER)
    idempotency_key: str = required_key()


@strawberry.input(description="The payload to acknowledge.")
class AcknowledgePayloadInput:
    payload_id: ID = field("The id of the payload.")
    document_digest: str = field("SHA-256, in hex, of the RFC 8785 form of the document that was received.")
    idempotency_key: str = required_key()


@strawberry.input(description="One thing that is wrong with a payload.")
class RejectionReasonInput:
    path: str = field("JSON pointer (RFC 6901) to a value in the document. Empty for the whole document.")
    code: str = field("The partner's own code, 1 to 64 characters.")
    message: str = field("A description of the problem for people, 1 to 1,000 characters.")


@strawberry.input(description="The payload to reject, and the reasons.")
class RejectPayloadInput:
    payload_id: ID = field("The id of the payload.")
    reasons: list[RejectionReasonInput] = field("From 1 to 100 reasons.", most=CAPS["reasons"])
    idempotency_key: str = required_key()


@strawberry.input(description="The recipient of a payload whose receipt to waive, and the reasons.")
class WaiveReceiptInput:
    payload_id: ID = field("The id of the payload.")
    user_id: ID = field("The id of the recipient's user.")
    reason: str = field(REASON)
    reason_for_customer: Maybe[str | None] = field(FOR_CUSTOMER)
    reason_for_partner: Maybe[str | None] = field(FOR_PARTNER)
    idempotency_key: str | None = key()


@strawberry.input(one_of=True, description="The recipients on whose behalf a lead confirms.")
class OnBehalfOfInput:
    user_id: Maybe[ID] = field("The id of the recipient's user.")
    all_recipients: Maybe[bool] = field("True for all recipients of the payload. False is refused.")


@strawberry.input(description="The payload whose decommissioning to confirm.")
class ConfirmDecommissionInput:
    payload_id: ID = field("The id of the payload.")
    on_behalf_of: OnBehalfOfInput | None = optional(
        "On whose behalf a lead confirms. Required for leads. A partner confirms for itself and leaves it out."
    )
    reason: str | None = optional("The reason, at most 1,000 characters. Required for leads.")
    idempotency_key: str | None = key()


@strawberry.input(description="A partner of a location.")
class LocationPartnerInput:
    user_id: ID = field("The id of the partner's user. The user must be active and have access to the account.")
    partner_purpose: PartnerPurpose = field("What the partner does for the location.")
    required: bool = strawberry.field(
        default=True, description="Whether the partner's receipt is required to complete the location."
    )


@strawberry.input(one_of=True, description="The partners to whom the payloads of a location are released.")
class LocationPartnersInput:
    all_of_account: Maybe[bool] = field("True for all active partners with access to the account. False is refused.")
    listed: Maybe[list[LocationPartnerInput]] = field(
        "From 1 to 20 partners, each at most once.", most=CAPS["partners"]
    )


@strawberry.input(description="The complete partners of a location.")
class SetLocationPartnersInput:
    location_id: ID = field("The id of the location.")
    partners: LocationPartnersInput = field("The partners that replace the current ones.")
    idempotency_key: str | None = key()


@strawberry.input(description="The account of the test location, and the partner who gets the payload.")
class CreateTestPayloadInput:
    account_id: ID = field(
        "The id of the account. Everybody with access to it sees the test location, so use an account for tests."
    )
    user_id: ID = field("The id of the partner's user. The user must be active and have access to the account.")
    idempotency_key: str | None = key()


POLICY = "Whether a refused item has no effect on the other items, or no item is applied."
DRY_RUN = "Whether to only report what the mutation would do. Nothing is written, and the key can be used again."


@strawberry.input(description="The locations to change to a status, and the reasons.")
class BulkUpdateStatusInput:
    location_ids: list[ID] = field("The ids of 1 to 100 locations, each at most once.", most=CAPS["bulkUpdateStatus"])
    status: LocationStatus = field(
        "The status, which decides the action on each location: IN_PROGRESS (UNBLOCK if it is blocked, REOPEN "
        "otherwise), PENDING_APPROVAL (SUBMIT_ONBOARDING), PROVISIONING (TRIGGER_PROVISIONING), BLOCKED (BLOCK) or "
        "CANCELLED (CANCEL)."
    )
    reason: str | None = optional(
        "The internal reason, at most 1,000 characters. Only leads see it. Required for BLOCKED, for CANCELLED, and to "
        "reopen a location."
    )
    reason_for_customer: Maybe[str | None] = field(FOR_CUSTOMER)
    reason_for_partner: Maybe[str | None] = field(FOR_PARTNER)
    policy: BulkPolicy = strawberry.field(default=BulkPolicy.PER_ITEM, description=POLICY)
    dry_run: bool = strawberry.field(default=False, description=DRY_RUN)
    idempotency_key: str = required_key()


@strawberry.input(description="A location, and its content to approve.")
class BulkApproveItemInput:
    location_id: ID = field("The id of the location.")
    expected_digest: str = field("The digest that `review` returned.")


@strawberry.input(description="The locations whose content to approve.")
class BulkApproveInput:
    items: list[BulkApproveItemInput] = field(
        "From 1 to 100 items, with each location at most once.", most=CAPS["bulkApprove"]
    )
    comment: str | None = optional("A comment for the customers, the same for all items, at most 1,000 characters.")
    policy: BulkPolicy = strawberry.field(default=BulkPolicy.PER_ITEM, description=POLICY)
    dry_run: bool = strawberry.field(default=False, description=DRY_RUN)
    idempotency_key: str = required_key()


@strawberry.input(description="The locations whose payloads to generate.")
class BulkGeneratePayloadsInput:
    location_ids: list[ID] = field(
        "The ids of 1 to 50 locations, each at most once.", most=CAPS["bulkGeneratePayloads"]
    )
    policy: BulkPolicy = strawberry.field(default=BulkPolicy.PER_ITEM, description=POLICY)
    dry_run: bool = strawberry.field(default=False, description=DRY_RUN)
    idempotency_key: str = required_key()


@strawberry.input(description="The account to create.")
class CreateAccountInput:
    name: str = field("The name, 1 to 120 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="The new name of an account.")
class UpdateAccountInput:
    account_id: ID = field("The id of the account.")
    expected_revision: int = expected("the account")
    name: str = field("The name, 1 to 120 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="The location to create.")
class CreateLocationInput:
    account_id: ID = field("The id of the account that the location belongs to.")
    name: str = field("The name, 1 to 120 characters.")
    address: AddressInput | None = optional("The known parts of the address.")
    timezone: str | None = optional("The IANA time zone, such as America/New_York.")
    site_code: Maybe[str | None] = field(SITE_CODE)
    idempotency_key: str | None = key()


@strawberry.input(description="The user to create.")
class CreateUserInput:
    name: str = field("The name, as other users see it, 1 to 120 characters.")
    email: str = field("The email address. No two users can have the same one.")
    role: Role = field("The role of the user.")
    account_id: ID | None = optional("The id of the account that a customer works for. Null for other roles.")
    subject: str | None = optional("The `sub` claim of the user's tokens. The default is the email address.")
    issuer: Maybe[str | None] = field(
        "The `iss` claim of the user's tokens, exactly as the identity provider sends it. Leave it out, or send null, "
        "for the issuer that the server is configured with. No two users have the same issuer and subject."
    )
    all_accounts: Maybe[bool] = field(
        "Whether a lead has access to all accounts, or only to those that `setGrants` grants. Required for leads; it "
        "cannot be null. True is refused for other roles."
    )
    idempotency_key: str | None = key()


@strawberry.input(description="Changes to a user.")
class EditUserInput:
    user_id: ID = field("The id of the user.")
    expected_revision: int = expected("the user")
    name: Maybe[str] = patch("The name, as other users see it.", can_be_empty=False)
    email: Maybe[str] = patch("The email address.", can_be_empty=False)
    subject: Maybe[str] = patch(
        "The `sub` claim of the user's tokens. Nobody can change their own.", can_be_empty=False
    )
    issuer: Maybe[str | None] = patch(
        "The `iss` claim of the user's tokens, exactly as the identity provider sends it. Null for the issuer that the "
        "server is configured with. Nobody can change their own."
    )
    role: Maybe[Role] = patch("The role of the user. Nobody can change their own.", can_be_empty=False)
    account_id: Maybe[ID | None] = patch("The id of the account that a customer works for. Null for other roles.")
    all_accounts: Maybe[bool] = patch(
        "Whether a lead has access to all accounts, or only to those of the grants. Required when the user becomes a "
        "lead. True is refused for other roles; nobody can set it to false for themselves.",
        can_be_empty=False,
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The user to suspend.")
class SuspendUserInput:
    user_id: ID = field("The id of the user.")
    idempotency_key: str | None = key()


@strawberry.input(description="The suspended user to reinstate.")
class ReinstateUserInput:
    user_id: ID = field("The id of the user.")
    idempotency_key: str | None = key()


@strawberry.input(description="The user to confirm.")
class ConfirmUserInput:
    user_id: ID = field("The id of the user.")
    idempotency_key: str | None = key()


@strawberry.input(description="The session to end.")
class RevokeSessionInput:
    session_id: ID = field("The id of the session.")
    idempotency_key: str | None = key()


@strawberry.input(description="The user whose sessions to end.")
class RevokeSessionsInput:
    user_id: ID | None = optional("The id of the user. The default is the viewer.")
    idempotency_key: str | None = key()


@strawberry.input(one_of=True, description="The accounts of a service token.")
class TokenAccountsInput:
    all_of_user: Maybe[bool] = field(
        "True for all accounts that the user has access to at the time of a request. False is refused."
    )
    listed: Maybe[list[ID]] = field(
        "The ids of 1 to 100 accounts, each once. The user must have access to them. Refused for auditors.",
        most=MOST_GRANTS,
    )


@strawberry.input(one_of=True, description="The actions of a service token.")
class TokenActionsInput:
    all_of_user: Maybe[bool] = field(
        "True for all actions of the user's role that a token can include. False is refused."
    )
    listed: Maybe[list[TokenAction]] = field(
        "At least one action, each once. The role of the user must include them, and the list what each requires.",
        most=len(TokenAction),
    )


@strawberry.input(description="The service token to create.")
class CreateServiceTokenInput:
    user_id: ID = field("The id of the user as whom the token signs in.")
    name: str = field("A name by which people know the token, of 1 to 120 characters.")
    accounts: TokenAccountsInput = field("The accounts of the token.")
    actions: TokenActionsInput = field("The actions of the token.")
    expires_at: datetime = field(
        f"The time from which the token signs nobody in: in the future, at most {LONGEST_DAYS} days from now."
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The service token to revoke.")
class RevokeServiceTokenInput:
    service_token_id: ID = field("The id of the service token.")
    idempotency_key: str | None = key()


@strawberry.input(one_of=True, description="The locations of an account to which a user gets access.")
class GrantScopeInput:
    all_locations: Maybe[bool] = field("True for all locations of the account, also future ones. False is refused.")
    location_ids: Maybe[list[ID]] = field("The ids of 1 to 1,000 locations. For customers only.", most=MOST_LOCATIONS)


@strawberry.input(description="Access to one account.")
class GrantInput:
    account_id: ID = field("The id of the account. For a customer, the account that the customer works for.")
    scope: GrantScopeInput = field("The locations of the account.")


@strawberry.input(description="The person to invite, and what the user will have.")
class InviteUserInput:
    email: str = field(
        "The email address. The person must sign in with it, verified by the identity provider. No user and no open "
        "invitation can have the same one."
    )
    name: str = field("The name, as other users see it, 1 to 120 characters.")
    role: Role = field("The role of the user.")
    account_id: ID | None = optional("The id of the account that a customer works for. Null for other roles.")
    all_accounts: Maybe[bool] = field(
        "Whether a lead has access to all accounts, or only to those of `grants`. Required for leads; it cannot be "
        "null. True is refused for other roles."
    )
    grants: list[GrantInput] = field(
        "The grants that the user will have, one per account. At most 100 grants; empty for none.", most=MOST_GRANTS
    )
    expires_at: datetime | None = optional(
        f"The time until which the person can accept, within the next {MOST_DAYS} days. The default is in "
        f"{DEFAULT_DAYS} days."
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The invitation to revoke.")
class RevokeInvitationInput:
    invitation_id: ID = field("The id of the invitation.")
    idempotency_key: str | None = key()


@strawberry.input(description="The versions of the payload document that a partner accepts.")
class SetAcceptedPayloadVersionsInput:
    user_id: ID | None = optional("The id of the partner's user. Required for leads; the default is the viewer.")
    versions: list[str] = field(
        "The versions that replace the current ones, such as `1.0.0`, each at most once. At least one version.",
        most=CAPS["versions"],
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The complete grants of a user.")
class SetGrantsInput:
    user_id: ID = field("The id of the user.")
    expected_revision: int = expected("the user")
    grants: list[GrantInput] = field(
        "The grants that replace the current ones, one per account. At most 100 grants; empty to withdraw all access.",
        most=MOST_GRANTS,
    )
    all_accounts: Maybe[bool] = patch(
        "Whether a lead has access to all accounts, without grants, or only to those of the grants. True is refused "
        "for other roles; nobody can set it to false for themselves.",
        can_be_empty=False,
    )
    idempotency_key: str | None = key()


MODEL_NAME = "The name of the model, as used in `Device.model`, 1 to 60 characters."
MODEL_LINES = "The number of lines (SIP accounts) that the model supports, from 1 to 100."
MODEL_KIND = "The kind of equipment."
MODEL_MAKER = "The maker's name, 1 to 60 characters."
MODEL_SOURCE = "The source of these values, such as a data sheet, 1 to 200 characters."
MODEL_SOURCE_DATE = "The day when the values were read in the source. Needs a source."


@strawberry.input(description="A model of the device catalogue.")
class DeviceModelInput:
    brand: DeviceBrand = field("The maker.")
    name: str = field(MODEL_NAME)
    lines: int = field(MODEL_LINES)
    kind: Maybe[DeviceModelKind | None] = field(MODEL_KIND)
    maker: Maybe[str | None] = field(MODEL_MAKER)
    source: Maybe[str | None] = field(MODEL_SOURCE)
    source_date: Maybe[date | None] = field(MODEL_SOURCE_DATE)


@strawberry.input(description="The complete device catalogue.")
class SetDeviceModelsInput:
    models: list[DeviceModelInput] = field(
        "The models that replace the current ones. At most 500 models, each at most once, ignoring case. A model that "
        "exists keeps the optional values that are left out.",
        most=MOST_MODELS,
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The model to add to the device catalogue.")
class AddDeviceModelInput(DeviceModelInput):
    idempotency_key: str | None = key()


@strawberry.input(description="Changes to a model of the device catalogue.")
class EditDeviceModelInput:
    device_model_id: ID = field("The id of the model.")
    expected_revision: int = expected("the model")
    brand: Maybe[DeviceBrand] = patch("The maker.", can_be_empty=False)
    name: Maybe[str] = patch(MODEL_NAME, can_be_empty=False)
    lines: Maybe[int] = patch(MODEL_LINES, can_be_empty=False)
    kind: Maybe[DeviceModelKind | None] = patch(MODEL_KIND)
    maker: Maybe[str | None] = patch(MODEL_MAKER)
    source: Maybe[str | None] = patch(MODEL_SOURCE)
    source_date: Maybe[date | None] = patch(MODEL_SOURCE_DATE)
    idempotency_key: str | None = key()


@strawberry.input(description="The model to remove from the device catalogue.")
class RemoveDeviceModelInput:
    device_model_id: ID = field("The id of the model.")
    expected_revision: int = expected("the model")
    idempotency_key: str | None = key()
