"""What mutations take. A patch tells a field left out (it stays) from one that is null (it is emptied)."""

from datetime import time
from typing import Any

import strawberry
from strawberry import ID, Maybe

from app.domain.vocabulary import (
    BulkPolicy,
    CallFlowKind,
    CallTarget,
    ContactPurpose,
    DeviceBrand,
    LocationStatus,
    Role,
    Section,
)
from graphql_schema.fields import field, optional

EXPECTED = "The revision that was read; the mutation is refused with CONFLICT when it has moved on."
SITE_CODE = "The account's own code for the site, 1 to 32 characters; unique within the account, ignoring case."
KEY = "Any text of 1 to 255 characters; the same call with the same key is done once. Kept for 24 hours."


def key() -> Any:
    """An idempotency key that may be left out."""
    return optional(KEY)


def required_key() -> Any:
    """An idempotency key that has to be given."""
    return field(KEY)


@strawberry.input(description="Names a location.")
class LocationVerbInput:
    location_id: ID = field("The location.")
    idempotency_key: str | None = key()


@strawberry.input(description="Names a location, and why.")
class ReasonedVerbInput:
    location_id: ID = field("The location.")
    reason: str = field("Why, in 1 to 1,000 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="Which section the customer is working on.")
class SetCurrentStepInput:
    location_id: ID = field("The location.")
    step: Section = field("The section.")
    idempotency_key: str | None = key()


@strawberry.input(description="The parts of an address to change.")
class AddressInput:
    line1: Maybe[str | None] = field("Street and number, at most 200 characters.")
    line2: Maybe[str | None] = field("Suite, floor or building, at most 200 characters.")
    city: Maybe[str | None] = field("City, at most 120 characters.")
    state: Maybe[str | None] = field("State or region, at most 120 characters.")
    zipcode: Maybe[str | None] = field("Postal code of any country, at most 20 characters.")
    country: Maybe[str | None] = field("ISO 3166-1 alpha-2 code, such as US.")


@strawberry.input(description="What to change of a location itself.")
class UpdateLocationInput:
    location_id: ID = field("The location.")
    expected_revision: int = field(f"Of section LOCATION. {EXPECTED}")
    name: Maybe[str | None] = field("The name, at most 120 characters.")
    address: Maybe[AddressInput] = field("The parts of the address to change.")
    timezone: Maybe[str | None] = field("IANA time zone, such as America/New_York.")
    site_code: Maybe[str | None] = field(SITE_CODE)
    idempotency_key: str | None = key()


@strawberry.input(description="A contact as it shall be.")
class ContactInput:
    id: ID | None = optional("The id of a contact that is there already and stays; null for a new one.")
    purpose: ContactPurpose = field("What the contact is for.")
    name: str | None = optional("The person's name, at most 120 characters.")
    email: str | None = optional("The address.")
    phone: str | None = optional("The number, as people write it.")


@strawberry.input(description="The whole list of contacts, in order.")
class SetContactsInput:
    location_id: ID = field("The location.")
    expected_revision: int = field(f"Of section CONTACTS. {EXPECTED}")
    contacts: list[ContactInput] = field("At most 8.")
    idempotency_key: str | None = key()


@strawberry.input(description="What to change of the phone system.")
class SetPhoneSystemInput:
    location_id: ID = field("The location.")
    expected_revision: int = field(f"Of section PHONE_SYSTEM. {EXPECTED}")
    main_number: Maybe[str | None] = field("The number, as people write it.")
    caller_id_name: Maybe[str | None] = field("The name that called parties see; networks show 15 characters.")
    provider: Maybe[str | None] = field("The carrier or hosted PBX.")
    outbound_prefix: Maybe[str | None] = field("Keys to press for an outside line: one to four of 0-9, * and #.")
    voicemail: Maybe[bool] = field("Whether the location has a mailbox of its own.")
    extension_length: Maybe[int | None] = field("Digits of an extension, 2 to 6; null when lengths differ.")
    idempotency_key: str | None = key()


@strawberry.input(description="A new device.")
class AddDeviceInput:
    location_id: ID = field("The location.")
    brand: DeviceBrand = field("The maker.")
    model: str | None = optional("The model, as in the device catalogue.")
    mac_address: str | None = optional("The MAC address in any usual spelling.")
    serial_number: str | None = optional("The maker's serial number.")
    label: str | None = optional("What people call it.")
    idempotency_key: str | None = key()


@strawberry.input(description="What to change of a device.")
class EditDeviceInput:
    device_id: ID = field("The device.")
    expected_revision: int = field(f"Of the device. {EXPECTED}")
    brand: Maybe[DeviceBrand] = field("The maker.")
    model: Maybe[str | None] = field("The model, as in the device catalogue.")
    mac_address: Maybe[str | None] = field("The MAC address in any usual spelling.")
    serial_number: Maybe[str | None] = field("The maker's serial number.")
    label: Maybe[str | None] = field("What people call it.")
    idempotency_key: str | None = key()


@strawberry.input(description="The device to move, and where to.")
class MoveDeviceInput:
    device_id: ID = field("The device.")
    expected_revision: int = field(f"Of the device. {EXPECTED}")
    to_location_id: ID = field("Another location of the same account.")
    idempotency_key: str | None = key()


@strawberry.input(description="The device to remove.")
class RemoveDeviceInput:
    device_id: ID = field("The device.")
    expected_revision: int = field(f"Of the device. {EXPECTED}")
    idempotency_key: str | None = key()


@strawberry.input(description="A new person.")
class AddPersonInput:
    location_id: ID = field("The location.")
    first_name: str | None = optional("Given name.")
    last_name: str | None = optional("Family name.")
    email: str | None = optional("The address.")
    mobile: str | None = optional("The mobile number, as people write it.")
    voicemail: bool | None = optional("Whether the person has a mailbox.")
    idempotency_key: str | None = key()


@strawberry.input(description="What to change of a person.")
class EditPersonInput:
    person_id: ID = field("The person.")
    expected_revision: int = field(f"Of the person. {EXPECTED}")
    first_name: Maybe[str | None] = field("Given name.")
    last_name: Maybe[str | None] = field("Family name.")
    email: Maybe[str | None] = field("The address.")
    mobile: Maybe[str | None] = field("The mobile number, as people write it.")
    voicemail: Maybe[bool] = field("Whether the person has a mailbox.")
    idempotency_key: str | None = key()


@strawberry.input(description="The person to remove.")
class RemovePersonInput:
    person_id: ID = field("The person.")
    expected_revision: int = field(f"Of the person. {EXPECTED}")
    idempotency_key: str | None = key()


@strawberry.input(description="An extension as it shall be.")
class ExtensionInput:
    id: ID | None = optional("The id of an extension that is there already and stays; null for a new one.")
    number: str = field("The digits to dial inside the location.")
    label: str | None = optional("What people call it.")
    person_id: ID | None = optional("Who is rung.")
    device_id: ID | None = optional("What is rung; a device has one extension at most.")


@strawberry.input(description="The whole list of extensions.")
class SetExtensionsInput:
    location_id: ID = field("The location.")
    expected_revision: int = field(f"Of section EXTENSIONS. {EXPECTED}")
    extensions: list[ExtensionInput] = field("At most 250.")
    idempotency_key: str | None = key()


@strawberry.input(description="An interval of opening, in local time.")
class WorkingIntervalInput:
    weekday: int = field("ISO 8601 weekday: Monday 1 to Sunday 7.")
    opens: time = field("When it opens, in whole minutes.")
    closes: time = field("When it closes, in whole minutes.")
    passes_midnight: bool | None = optional("Whether it closes on the following day.")


@strawberry.input(description="All working hours.")
class SetWorkingHoursInput:
    location_id: ID = field("The location.")
    expected_revision: int = field(f"Of section WORKING_HOURS. {EXPECTED}")
    intervals: list[WorkingIntervalInput] = field("At most 42; several a day are fine.")
    idempotency_key: str | None = key()


@strawberry.input(description="Where a branch of a call flow leads.")
class TargetInput:
    kind: CallTarget = field("What kind of place it is.")
    extension_id: ID | None = optional("The extension, for EXTENSION and for its VOICEMAIL.")
    external_number: str | None = optional("The number, for EXTERNAL_NUMBER.")


@strawberry.input(description="What a caller reaches by pressing a key.")
class CallFlowOptionInput:
    digit: str = field("One or two keys of 0-9, * and #.")
    target: TargetInput = field("Where the key leads.")


@strawberry.input(description="The whole call flow.")
class SetCallFlowInput:
    location_id: ID = field("The location.")
    expected_revision: int = field(f"Of section CALL_FLOW. {EXPECTED}")
    kind: CallFlowKind = field("Whether extensions ring at once or a menu is played.")
    greeting: str | None = optional("What the menu says.")
    timeout_seconds: int | None = optional("Seconds without a key before the call follows `timeoutTarget`, 1 to 300.")
    retries: int | None = optional("How often a wrong key is forgiven, 0 to 10.")
    options: list[CallFlowOptionInput] | None = optional("The menu's keys, at most 100.")
    timeout_target: TargetInput | None = optional("Where a call without a key leads.")
    invalid_target: TargetInput | None = optional("Where a call with wrong keys leads.")
    direct_targets: list[ID] | None = optional("The extensions that ring at once, in ringing order.")
    idempotency_key: str | None = key()


@strawberry.input(description="The content to approve.")
class ApproveInput:
    location_id: ID = field("The location.")
    expected_digest: str = field("The digest that `review` showed; other content is refused with STALE_REVIEW.")
    comment: str | None = optional("A comment for the customer, at most 1,000 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="What the customer has to change.")
class RequestChangesInput:
    location_id: ID = field("The location.")
    comment: str = field("What to change, in 1 to 1,000 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="What to open, why, and for how long.")
class OpenOverrideInput:
    location_id: ID = field("The location.")
    sections: list[Section] = field("The sections to edit; at least one.")
    reason: str = field("Why the lock has to be broken, at least 10 visible characters.")
    ticket: str | None = optional("The reference in another system.")
    expires_in_minutes: int = field("From 1 to 480.")
    idempotency_key: str | None = key()


@strawberry.input(description="The override to end.")
class CloseOverrideInput:
    override_id: ID = field("The override.")
    idempotency_key: str | None = key()


@strawberry.input(description="The location whose payload to generate or release.")
class ProvisioningInput:
    location_id: ID = field("The location.")
    idempotency_key: str = required_key()


@strawberry.input(description="The location to complete by hand, and why.")
class CompleteProvisioningInput:
    location_id: ID = field("The location.")
    reason: str = field("Why, in 1 to 1,000 characters.")
    idempotency_key: str = required_key()


@strawberry.input(description="The payload that arrived.")
class AcknowledgePayloadInput:
    payload_id: ID = field("The payload.")
    document_digest: str = field("SHA-256, in hex, of the RFC 8785 form of the document that arrived.")
    idempotency_key: str = required_key()


@strawberry.input(description="One thing that is wrong with a payload.")
class RejectionReasonInput:
    path: str = field("JSON pointer (RFC 6901) into the document.")
    code: str = field("The partner's own code, 1 to 64 characters.")
    message: str = field("What is wrong, for people, 1 to 1,000 characters.")


@strawberry.input(description="The payload to refuse, and why.")
class RejectPayloadInput:
    payload_id: ID = field("The payload.")
    reasons: list[RejectionReasonInput] = field("From 1 to 100.")
    idempotency_key: str = required_key()


POLICY = "Whether a refused item leaves the others as they are, or nothing at all is done."
DRY_RUN = "Whether only to tell what would be done; nothing is written, and the key stays free."


@strawberry.input(description="The locations to bring to a status.")
class BulkUpdateStatusInput:
    location_ids: list[ID] = field("From 1 to 100, each once.")
    status: LocationStatus = field("IN_PROGRESS, PENDING_APPROVAL, PROVISIONING, BLOCKED or CANCELLED.")
    reason: str | None = optional("Why; needed for BLOCKED, CANCELLED and for reopening.")
    policy: BulkPolicy = strawberry.field(default=BulkPolicy.PER_ITEM, description=POLICY)
    dry_run: bool = strawberry.field(default=False, description=DRY_RUN)
    idempotency_key: str = required_key()


@strawberry.input(description="A location and the content to approve of it.")
class BulkApproveItemInput:
    location_id: ID = field("The location.")
    expected_digest: str = field("The digest that `review` showed.")


@strawberry.input(description="The contents to approve.")
class BulkApproveInput:
    items: list[BulkApproveItemInput] = field("From 1 to 100, each location once.")
    comment: str | None = optional("One comment for all, at most 1,000 characters.")
    policy: BulkPolicy = strawberry.field(default=BulkPolicy.PER_ITEM, description=POLICY)
    dry_run: bool = strawberry.field(default=False, description=DRY_RUN)
    idempotency_key: str = required_key()


@strawberry.input(description="The locations to make payloads of.")
class BulkGeneratePayloadsInput:
    location_ids: list[ID] = field("From 1 to 50, each once.")
    policy: BulkPolicy = strawberry.field(default=BulkPolicy.PER_ITEM, description=POLICY)
    dry_run: bool = strawberry.field(default=False, description=DRY_RUN)
    idempotency_key: str = required_key()


@strawberry.input(description="A new account.")
class CreateAccountInput:
    name: str = field("The name, 1 to 120 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="An account's new name.")
class UpdateAccountInput:
    account_id: ID = field("The account.")
    expected_revision: int = field(f"Of the account. {EXPECTED}")
    name: str = field("The name, 1 to 120 characters.")
    idempotency_key: str | None = key()


@strawberry.input(description="A new location.")
class CreateLocationInput:
    account_id: ID = field("The account it belongs to.")
    name: str = field("The name, 1 to 120 characters.")
    address: AddressInput | None = optional("As much of the address as is known.")
    timezone: str | None = optional("IANA time zone, such as America/New_York.")
    site_code: Maybe[str | None] = field(SITE_CODE)
    idempotency_key: str | None = key()


@strawberry.input(description="A new user.")
class CreateUserInput:
    name: str = field("The name as others see it, 1 to 120 characters.")
    email: str = field("The address; no two users share one.")
    role: Role = field("What kind of principal the user is.")
    account_id: ID | None = optional("The account that a customer works for; null for everybody else.")
    subject: str | None = optional("The `sub` of the user's tokens; the email when left out.")
    idempotency_key: str | None = key()


@strawberry.input(description="What to change of a user.")
class EditUserInput:
    user_id: ID = field("The user.")
    expected_revision: int = field(f"Of the user. {EXPECTED}")
    name: Maybe[str] = field("The name as others see it.")
    email: Maybe[str] = field("The address.")
    idempotency_key: str | None = key()


@strawberry.input(description="Names a user.")
class UserInput:
    user_id: ID = field("The user.")
    idempotency_key: str | None = key()


@strawberry.input(description="What is granted of one account.")
class GrantInput:
    account_id: ID = field("The account; for a customer the own one.")
    location_ids: list[ID] | None = optional("The locations, at most 1,000; null for all of them. For customers only.")


@strawberry.input(description="Everything that is granted to a user.")
class SetGrantsInput:
    user_id: ID = field("The user.")
    expected_revision: int = field(f"Of the user. {EXPECTED}")
    grants: list[GrantInput] = field("One for each account, at most 100; empty to withdraw everything.")
    idempotency_key: str | None = key()


@strawberry.input(description="A model of the device catalogue.")
class DeviceModelInput:
    brand: DeviceBrand = field("The maker.")
    model: str = field("The model's name, as devices give it, 1 to 60 characters.")
    lines: int = field("How many lines (SIP accounts) it can hold, 1 to 100.")


@strawberry.input(description="The whole device catalogue.")
class SetDeviceModelsInput:
    models: list[DeviceModelInput] = field("At most 500, each once, in whatever case.")
    idempotency_key: str | None = key()
