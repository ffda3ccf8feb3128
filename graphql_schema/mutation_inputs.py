"""The inputs of mutations. In a patch, a field that is left out keeps its value, and null empties the field."""

from datetime import date, time
from typing import Any

import strawberry
from strawberry import ID, Maybe

from app.domain.limits import CAPS
from app.domain.vocabulary import (
    BulkPolicy,
    CallFlowKind,
    CallTarget,
    ContactPurpose,
    DeviceBrand,
    DeviceModelKind,
    LocationStatus,
    PartnerPurpose,
    Role,
    Section,
)
from app.operations.manage_catalogue import MOST_MODELS
from app.operations.manage_users import MOST_GRANTS, MOST_LOCATIONS
from graphql_schema.fields import field, optional

SITE_CODE = (
    "The account's own code for the site, 1 to 32 visible characters. Unique within the account, ignoring case. Null "
    "or blank text removes it."
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


@strawberry.input(description="The location to change.")
class LocationVerbInput:
    location_id: ID = field("The id of the location.")
    idempotency_key: str | None = key()


@strawberry.input(description="The location to change, and the reasons.")
class ReasonedVerbInput:
    location_id: ID = field("The id of the location.")
    reason: str = field(REASON)
    reason_for_customer: Maybe[str | None] = field(FOR_CUSTOMER)
    reason_for_partner: Maybe[str | None] = field(FOR_PARTNER)
    idempotency_key: str | None = key()


@strawberry.input(description="The section that the customer is working on.")
class SetCurrentStepInput:
    location_id: ID = field("The id of the location.")
    step: Section = field("The section.")
    idempotency_key: str | None = key()


@strawberry.input(description="The parts of an address to change.")
class AddressInput:
    line1: Maybe[str | None] = field("Street and number, at most 200 characters.")
    line2: Maybe[str | None] = field("Suite, floor or building, at most 200 characters.")
    city: Maybe[str | None] = field("City, at most 120 characters.")
    state: Maybe[str | None] = field("State or region, at most 120 characters.")
    zipcode: Maybe[str | None] = field("Postal code, in the format of any country, at most 20 characters.")
    country: Maybe[str | None] = field("Country, as an ISO 3166-1 alpha-2 code such as US.")


@strawberry.input(description="Changes to the location itself.")
class UpdateLocationInput:
    location_id: ID = field("The id of the location.")
    expected_revision: int = expected("section LOCATION")
    name: Maybe[str | None] = field("The name of the location, at most 120 characters.")
    address: Maybe[AddressInput] = field("The parts of the address to change.")
    timezone: Maybe[str | None] = field("The IANA time zone, such as America/New_York.")
    site_code: Maybe[str | None] = field(SITE_CODE)
    idempotency_key: str | None = key()


@strawberry.input(description="A contact in the new list of contacts.")
class ContactInput:
    id: ID | None = optional("The id of an existing contact to keep. Null for a new contact.")
    purpose: ContactPurpose = field("The purpose of the contact.")
    name: str | None = optional("The name of the person, at most 120 characters.")
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
    main_number: Maybe[str | None] = field("The main number, in any usual format.")
    caller_id_name: Maybe[str | None] = field("The name that called parties see. Networks show 15 characters.")
    provider: Maybe[str | None] = field("The carrier or hosted PBX.")
    outbound_prefix: Maybe[str | None] = field("The keys to press for an outside line: one to four of 0-9, * and #.")
    voicemail: Maybe[bool] = field("Whether the location has its own mailbox.")
    extension_length: Maybe[int | None] = field(
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
    brand: Maybe[DeviceBrand] = field("The maker.")
    model: Maybe[str | None] = field("The model, as in the device catalogue.")
    mac_address: Maybe[str | None] = field("The MAC address, in any usual notation.")
    serial_number: Maybe[str | None] = field("The maker's serial number.")
    label: Maybe[str | None] = field("The name that people use for the device.")
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
    first_name: Maybe[str | None] = field("The given name.")
    last_name: Maybe[str | None] = field("The family name.")
    email: Maybe[str | None] = field("The email address.")
    mobile: Maybe[str | None] = field("The mobile number, in any usual format.")
    voicemail: Maybe[bool] = field("Whether the person has a mailbox.")
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
    weekday: int = field("The ISO 8601 weekday, from 1 (Monday) to 7 (Sunday).")
    opens: time = field("The time when the location opens, in whole minutes.")
    closes: time = field("The time when the location closes, in whole minutes.")
    passes_midnight: bool | None = optional("Whether the location closes on the following day.")


@strawberry.input(description="The complete working hours.")
class SetWorkingHoursInput:
    location_id: ID = field("The id of the location.")
    expected_revision: int = expected("section WORKING_HOURS")
    intervals: list[WorkingIntervalInput] = field(
        "The intervals that replace the current ones. At most 42 intervals; several per day are allowed.",
        most=CAPS["workingHours"],
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The target of a branch of a call flow.")
class TargetInput:
    kind: CallTarget = field("The kind of target.")
    extension_id: ID | None = optional("The id of the extension, for EXTENSION and for the extension's VOICEMAIL.")
    external_number: str | None = optional("The external number, for EXTERNAL_NUMBER.")


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


@strawberry.input(description="The sections to open for editing, the reason, and the duration.")
class OpenOverrideInput:
    location_id: ID = field("The id of the location.")
    sections: list[Section] = field("The sections to edit. At least one section.")
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


@strawberry.input(description="The location whose payload to generate or release.")
class ProvisioningInput:
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


@strawberry.input(description="The payload whose decommissioning to confirm.")
class ConfirmDecommissionInput:
    payload_id: ID = field("The id of the payload.")
    user_id: ID | None = optional(
        "The id of the recipient's user, on whose behalf a lead confirms. Null for all recipients. A partner confirms "
        "for itself and leaves it out."
    )
    reason: str | None = optional("The reason, at most 1,000 characters. Required for leads.")
    idempotency_key: str | None = key()


@strawberry.input(description="A partner of a location.")
class LocationPartnerInput:
    user_id: ID = field("The id of the partner's user. The user must be active and have access to the account.")
    purpose: PartnerPurpose = field("What the partner does for the location.")
    required: bool = strawberry.field(
        default=True, description="Whether the partner's receipt is required to complete the location."
    )


@strawberry.input(description="The complete partners of a location.")
class SetLocationPartnersInput:
    location_id: ID = field("The id of the location.")
    partners: list[LocationPartnerInput] = field(
        "The partners that replace the current ones, each at most once. At most 20 partners; empty for all partners "
        "with access to the account.",
        most=CAPS["partners"],
    )
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
    status: LocationStatus = field("The status: IN_PROGRESS, PENDING_APPROVAL, PROVISIONING, BLOCKED or CANCELLED.")
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
    all_accounts: Maybe[bool] = field(
        "Whether a lead has access to all accounts, or only to those that `setGrants` grants. The default is true for "
        "leads. True is refused for other roles."
    )
    idempotency_key: str | None = key()


@strawberry.input(description="Changes to a user.")
class EditUserInput:
    user_id: ID = field("The id of the user.")
    expected_revision: int = expected("the user")
    name: Maybe[str] = field("The name, as other users see it.")
    email: Maybe[str] = field("The email address.")
    subject: Maybe[str] = field("The `sub` claim of the user's tokens. Nobody can change their own.")
    role: Maybe[Role] = field("The role of the user. Nobody can change their own.")
    account_id: Maybe[ID | None] = field("The id of the account that a customer works for. Null for other roles.")
    all_accounts: Maybe[bool] = field(
        "Whether a lead has access to all accounts, or only to those of the grants. True is refused for other roles; "
        "nobody can set it to false for themselves."
    )
    idempotency_key: str | None = key()


@strawberry.input(description="The user to change.")
class UserInput:
    user_id: ID = field("The id of the user.")
    idempotency_key: str | None = key()


@strawberry.input(description="The versions of the payload document that a partner accepts.")
class SetAcceptedPayloadVersionsInput:
    user_id: ID | None = optional("The id of the partner's user. Required for leads; the default is the viewer.")
    versions: list[str] = field(
        "The versions that replace the current ones, such as `1.0.0`, each at most once. At least one version.",
        most=CAPS["versions"],
    )
    idempotency_key: str | None = key()


@strawberry.input(description="Access to one account.")
class GrantInput:
    account_id: ID = field("The id of the account. For a customer, the account that the customer works for.")
    location_ids: list[ID] | None = optional(
        "The ids of the locations, at most 1,000. Null for all locations of the account. For customers only.",
        most=MOST_LOCATIONS,
    )


@strawberry.input(description="The complete grants of a user.")
class SetGrantsInput:
    user_id: ID = field("The id of the user.")
    expected_revision: int = expected("the user")
    grants: list[GrantInput] = field(
        "The grants that replace the current ones, one per account. At most 100 grants; empty to withdraw all access.",
        most=MOST_GRANTS,
    )
    all_accounts: Maybe[bool] = field(
        "Whether a lead has access to all accounts, without grants, or only to those of the grants. True is refused "
        "for other roles; nobody can set it to false for themselves."
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
    model: str = field(MODEL_NAME)
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
    brand: Maybe[DeviceBrand] = field("The maker.")
    model: Maybe[str] = field(MODEL_NAME)
    lines: Maybe[int] = field(MODEL_LINES)
    kind: Maybe[DeviceModelKind | None] = field(MODEL_KIND)
    maker: Maybe[str | None] = field(MODEL_MAKER)
    source: Maybe[str | None] = field(MODEL_SOURCE)
    source_date: Maybe[date | None] = field(MODEL_SOURCE_DATE)
    idempotency_key: str | None = key()


@strawberry.input(description="The model to remove from the device catalogue.")
class RemoveDeviceModelInput:
    device_model_id: ID = field("The id of the model.")
    expected_revision: int = expected("the model")
    idempotency_key: str | None = key()
