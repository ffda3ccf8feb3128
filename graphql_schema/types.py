"""The object types. They refer to each other, so they share a module; each is fields and descriptions only.

Every object is a row of app.db.rows whose class has the type's name; fields without a resolver are its columns.
"""

from datetime import datetime, time
from typing import Annotated, Any

import strawberry
from graphql import GraphQLResolveInfo
from strawberry.scalars import JSON

from app.db import rows, tables
from app.domain.vocabulary import (
    ApprovalStatus,
    Budget,
    CallFlowKind,
    CallTarget,
    ContactPurpose,
    DeviceBrand,
    LocationAction,
    LocationStatus,
    PayloadState,
    ReceiptKind,
    Role,
    Section,
    UserStatus,
    ValueState,
)
from app.execution import by_class
from app.query_cost.price import PRICE
from graphql_schema.fields import argument, column, computed, derived
from graphql_schema.problems import ReadinessIssue
from permissions.guards import can, guarded
from permissions.matrix import Action
from resolvers import computed_fields, history, review
from resolvers import viewer as viewer_resolvers
from resolvers.context import Info
from resolvers.relations import many, one, part

# What content as of a revision costs, in objects: the location's whole history is read for it.
AS_OF_PRICE = 100
# How many locations a grant is taken to list: a customer with fewer is seldom granted them one by one.
LISTED_SIZE = 100

ROW_OF_TYPE: dict[str, type[rows.Row]] = {row.__name__: row for row in rows.ROW_OF_TABLE.values()}


@strawberry.interface(description="An object that can be fetched again by its id.")
class Node:
    id: strawberry.ID = column("Opaque and permanent; compared to the letter.")

    @classmethod
    @by_class
    def is_type_of(cls, value: Any, _info: GraphQLResolveInfo[Any]) -> bool:
        """Whether a row is of this type."""
        return type(value) is ROW_OF_TYPE[cls.__name__]


@strawberry.type(description="A customer of the turn-up service, with the locations it rolls out.")
class Account(Node):
    name: str = column("The account's name.")
    revision: int | None = strawberry.field(
        description="Counts the changes of the account itself; not for partners.",
        extensions=guarded(can(Action.VIEW_LOCATIONS)),
    )
    created_at: datetime | None = strawberry.field(
        description="When it was made; not for partners.", extensions=guarded(can(Action.VIEW_LOCATIONS))
    )
    updated_at: datetime | None = strawberry.field(
        description="When it last changed; not for partners.", extensions=guarded(can(Action.VIEW_LOCATIONS))
    )


@strawberry.type(
    description="Somebody who signs in: a customer's clerk, an implementation lead, or a partner's machine."
)
class User(Node):
    name: str = column("The name as others see it.")
    role: Role = column("What kind of principal the user is.")
    email: str | None = strawberry.field(
        description="The address; leads only.", extensions=guarded(can(Action.ADMINISTER))
    )
    status: UserStatus | None = strawberry.field(
        description="Whether the user may act; leads only.", extensions=guarded(can(Action.ADMINISTER))
    )
    revision: int | None = strawberry.field(
        description="Counts the changes of the user and of what is granted; sent back as `expectedRevision`. "
        "Leads only.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    grants: "list[Grant] | None" = many(
        tables.grant.c.user_id,
        "What the user may see, one for each account, by the account's id; at most 100, and none of a lead, who sees "
        "everything. Leads only.",
        needs=Action.ADMINISTER,
    )


@strawberry.type(description="What a user may see of one account, as `setGrants` takes it. Leads only.")
class Grant:
    account: Account = one(tables.account.c.id, "The account.", key="account_id")
    all_locations: bool = column("Whether all the account's locations may be seen, those made later too.")
    locations: "list[Location]" = computed(
        computed_fields.granted_locations,
        "The locations that may be seen, by id; at most 1,000, and empty when `allLocations` is true. "
        f"Priced as {LISTED_SIZE} of them.",
        size=LISTED_SIZE,
    )


@strawberry.type(description="Who is signed in, as the user's row says at this moment.")
class Viewer:
    id: strawberry.ID = column("The user's id.")
    name: str = column("The user's name.")
    email: str = column("The user's address.")
    role: Role = column("What kind of principal the user is.")
    account: Account | None = computed(
        viewer_resolvers.account_of_customer,
        "The account that a customer works for; null for everybody else, and before anything was granted.",
        needs=Action.VIEW_ACCOUNTS,
    )


@strawberry.type(description="What the viewer may use in a minute of the clock, and what is left of it.")
class RateLimit:
    name: Budget = column("What is counted.")
    limit: int = column("How much there is in each minute.")
    remaining: int = column("What is left in this minute; OBJECTS without what this very query reserves by its price.")
    resets_at: datetime = column("When the minute ends, and the whole limit is there again.")


@strawberry.type(description="Where a location stands.")
class Address:
    line1: str | None = column("Street and number; null until filled in.")
    line2: str | None = column("Suite, floor or building; null when there is none.")
    city: str | None = column("City; null until filled in.")
    state: str | None = column("State or region; null until filled in.")
    zipcode: str | None = column("Postal code of any country; null until filled in.")
    country: str | None = column("ISO 3166-1 alpha-2 code; null until filled in.")


@strawberry.type(description="Where one section of a location stands.")
class SectionState:
    section: Section = column("Which section.")
    revision: int = column("Counts the section's changes; sent back as `expectedRevision` when its list is replaced.")
    complete: bool = column("Whether nothing in the section stands in the way of submitting.")


@strawberry.type(description="A person to ask about a location.")
class Contact(Node):
    purpose: ContactPurpose = column("What the contact is for.")
    name: str | None = column("The person's name; null until filled in.")
    email: str | None = column("The address as written; null until filled in.")
    phone: str | None = column("The number as written; null until filled in.")
    e164: str | None = column("The number in E.164 form; null when it cannot be read as one.")
    revision: int = column("Counts the contact's changes.")
    location: "Location" = one(tables.location.c.id, "The contact's location.", key="location_id")


@strawberry.type(description="How a location as a whole is reached and dials out.")
class PhoneSystem:
    main_number: str | None = column("The number as written; null until filled in.")
    main_number_e164: str | None = strawberry.field(
        name="mainNumberE164", description="The number in E.164 form; null when it cannot be read as one."
    )
    caller_id_name: str | None = column("The name that called parties see; networks show 15 characters.")
    provider: str | None = column("The carrier or hosted PBX; null until filled in.")
    outbound_prefix: str | None = column("Keys to press for an outside line; null when there are none.")
    voicemail: bool = column("Whether the location has a mailbox of its own.")
    extension_length: int | None = column("How many digits an extension has, 2 to 6; null when lengths differ.")
    revision: int = column("Counts the section's changes.")


@strawberry.type(description="A desk phone.")
class Device(Node):
    brand: DeviceBrand = column("The maker.")
    model: str | None = column("The model as in the device catalogue; null until filled in.")
    mac_address: str | None = derived(
        computed_fields.mac_address,
        "The MAC address (IEEE 802 EUI-48), upper-case hex with colons; null until filled in.",
    )
    serial_number: str | None = column("The maker's serial number; null when unknown.")
    label: str | None = column("What people call it; null when nothing special.")
    revision: int = column("Counts the device's changes.")
    extension: "Extension | None" = one(
        tables.extension.c.device_id, "The extension that rings this device; null when none does.", key="id"
    )
    location: "Location" = one(tables.location.c.id, "The device's location.", key="location_id")


@strawberry.type(description="Somebody who works at a location.")
class Person(Node):
    first_name: str | None = column("Given name; null until filled in.")
    last_name: str | None = column("Family name; null until filled in.")
    email: str | None = column("The address as written; null until filled in.")
    mobile: str | None = column("The mobile number as written; null when there is none.")
    mobile_e164: str | None = strawberry.field(
        name="mobileE164", description="The mobile number in E.164 form; null when it cannot be read as one."
    )
    voicemail: bool = column("Whether the person has a mailbox.")
    revision: int = column("Counts the person's changes.")
    extensions: "list[Extension]" = many(
        tables.extension.c.person_id, "The extensions that ring this person, by number."
    )
    location: "Location" = one(tables.location.c.id, "The person's location.", key="location_id")


@strawberry.type(description="An internal number and whom or what it rings.")
class Extension(Node):
    number: str = column("The digits to dial inside the location.")
    label: str | None = column("What people call it; null when nothing special.")
    revision: int = column("Counts the extension's changes.")
    person: Person | None = one(tables.person.c.id, "Who is rung; null when nobody is.", key="person_id")
    device: Device | None = one(tables.device.c.id, "What is rung; null when no device is.", key="device_id")
    location: "Location" = one(tables.location.c.id, "The extension's location.", key="location_id")


@strawberry.type(description="An interval of opening, in the location's local time.")
class WorkingHours(Node):
    weekday: int = column("ISO 8601 weekday: Monday 1 to Sunday 7.")
    opens: time = column("When it opens.")
    closes: time = column("When it closes.")
    passes_midnight: bool = column("Whether it closes on the following day.")


@strawberry.type(description="Where a branch of a call flow leads.")
class Target:
    target: CallTarget = strawberry.field(name="kind", description="What kind of place it is.")
    extension: Extension | None = one(
        tables.extension.c.id, "The extension; null unless the kind names one.", key="extension_id"
    )
    external_number: str | None = column("The outside number as written; null for other kinds.")
    external_number_e164: str | None = strawberry.field(
        name="externalNumberE164", description="The outside number in E.164 form; null when it cannot be read as one."
    )


@strawberry.type(description="What a caller reaches by pressing a key.")
class CallFlowOption:
    digit: str = column("One or two keys of 0-9, * and #.")
    target: Target = part("Where the key leads.")


@strawberry.type(description="How an incoming call is answered.")
class CallFlow:
    kind: CallFlowKind = column("Whether extensions ring at once or a menu is played.")
    greeting: str | None = column("What the menu says; null for DIRECT and until filled in.")
    timeout_seconds: int | None = column("Seconds without a key before the call follows `timeoutTarget`.")
    retries: int | None = column("How often a wrong key is forgiven before the call follows `invalidTarget`.")
    revision: int = column("Counts the section's changes.")
    direct_targets: list[Extension] = computed(
        computed_fields.direct_targets, "The extensions that ring at once, in ringing order."
    )
    options: list[CallFlowOption] = computed(computed_fields.options, "The menu's keys, in order.")
    timeout_target: Target | None = computed(
        computed_fields.timeout_target, "Where a call without a key leads; null until filled in."
    )
    invalid_target: Target | None = computed(
        computed_fields.invalid_target, "Where a call with wrong keys leads; null until filled in."
    )


@strawberry.type(description="One run of filling in a location, from the first edit to completion or cancellation.")
class OnboardingSession(Node):
    current_step: Section = column("The section that the customer is working on.")
    started_at: datetime = column("When it began.")
    last_saved_at: datetime = column("When content was last saved.")
    submitted_at: datetime | None = column("When it was last submitted; null before.")
    submitted_by: User | None = one(tables.user.c.id, "Who last submitted it; null before.", key="submitted_by")
    closed_at: datetime | None = column("When it was completed or cancelled; null while open.")
    revision: int = column("Counts the session's changes.")
    completeness: list[SectionState] = many(
        tables.section.c.location_id, "Every section of the location and whether it is complete.", key="location_id"
    )
    progress: int = computed(computed_fields.progress, "Complete sections, in percent of all.")
    location: "Location" = one(tables.location.c.id, "The location being filled in.", key="location_id")


@strawberry.type(description="A request to approve a location's content, and what was decided.")
class Approval(Node):
    location_revision: int = column("The location's revision when approval was requested.")
    digest: str = column("SHA-256, in hex, of the content that was submitted or approved.")
    status: ApprovalStatus = column("What became of it.")
    requested_at: datetime = column("When it was requested.")
    requested_by: User | None = one(tables.user.c.id, "Who requested it; null when out of reach.", key="requested_by")
    decided_at: datetime | None = column("When a lead decided; null before.")
    decided_by: User | None = one(tables.user.c.id, "Which lead decided; null before.", key="decided_by")
    comment: str | None = column("The lead's comment; null when there is none.")
    self_approved: bool = column("Whether the approver had submitted or edited the content, where that is permitted.")
    location: "Location" = one(tables.location.c.id, "The location.", key="location_id")


@strawberry.type(description="A lead's time-limited permission to edit sections of a locked location. Leads only.")
class Override(Node):
    sections: list[Section] = column("The sections that may be edited.")
    reason: str = column("Why the lock has to be broken.")
    ticket: str | None = column("The reference in another system; null when there is none.")
    opened_at: datetime = column("When it was opened.")
    opened_by: User | None = one(
        tables.user.c.id, "The lead who opened it, the only one who edits under it.", key="opened_by"
    )
    expires_at: datetime = column("When it ends by itself.")
    ended_at: datetime | None = column("When it was closed or a status change ended it; null before.")
    location: "Location" = one(tables.location.c.id, "The location.", key="location_id")


@strawberry.type(
    description="An immutable, validated document with all that a partner needs to put a location into operation. "
    "Leads see every payload, partners the released ones of their accounts."
)
class ProvisioningPayload(Node):
    location_id: strawberry.ID = column("The location's id.")
    account_id: strawberry.ID = column("The account's id.")
    sequence: int = column("Counts the location's payloads from 1.")
    version: str = column("The version of the document's JSON Schema.")
    state: PayloadState = column("Where it stands on its way to the partner.")
    document: JSON = derived(computed_fields.document, "The document, valid against its JSON Schema.")
    document_digest: str = column("SHA-256, in hex, of the document's RFC 8785 form; sent back to acknowledge it.")
    content_digest: str = column("SHA-256, in hex, of the approved content that it was made from.")
    location_revision: int = column("The location's revision that it was made from.")
    generated_at: datetime = column("When it was made.")
    generated_by: User | None = one(tables.user.c.id, "The lead who generated it.", key="generated_by")
    released_at: datetime | None = column("When provisioning was triggered; null before.")
    released_by: User | None = one(
        tables.user.c.id, "The lead who triggered provisioning; null before.", key="released_by"
    )
    superseded_by: "ProvisioningPayload | None" = one(
        tables.provisioning_payload.c.id, "The payload that took its place; null when none has.", key="superseded_by"
    )
    withdrawn_reason: str | None = column("Why it was withdrawn; null when it was not.")
    receipt: "Receipt | None" = one(
        tables.receipt.c.payload_id, "The partner's answer; null while it is awaited.", key="id"
    )
    account: Account | None = one(tables.account.c.id, "The account.", key="account_id", needs=Action.VIEW_ACCOUNTS)
    location: "Location | None" = one(
        tables.location.c.id, "The location; leads only.", key="location_id", needs=Action.VIEW_LOCATIONS
    )


@strawberry.type(description="A partner's answer to a payload. Leads and the account's partners see it.")
class Receipt(Node):
    kind: ReceiptKind = column("Whether the payload was acknowledged or rejected.")
    document_digest: str = column("The digest that the partner computed.")
    received_at: datetime = column("When the answer arrived.")
    received_by: User | None = one(tables.user.c.id, "The partner's user; null when out of reach.", key="received_by")
    reasons: JSON = column("Why it was rejected: a list of `{path, code, message}`; empty when it was acknowledged.")


@strawberry.type(description="One value that an operation changed. Leads only.")
class FieldChange:
    table_name: str = strawberry.field(name="table", description="The table.")
    row_id: strawberry.ID = column("The row's id.")
    field: str = column("The column.")
    before: JSON | None = column("The value before; null when it was null, and when `beforeState` is not TOLD.")
    before_state: ValueState = column("What is told of the value before; ABSENT when the row is new.")
    after: JSON | None = column("The value after; null when it is null, and when `afterState` is not TOLD.")
    after_state: ValueState = column("What is told of the value after; ABSENT when the row is gone.")


@strawberry.type(description="One write, or one refused attempt, as the audit trail has it. Leads only.")
class AuditEntry(Node):
    chain: str = column("The account whose chain holds the entry, or `system`.")
    number: int | None = column("The entry's place in its chain, without gaps from 1.")
    action: str = column("What was done.")
    outcome: str = column("APPLIED or REFUSED.")
    code: str | None = column("Why it was refused; null when it was applied.")
    actor: User | None = one(tables.user.c.id, "Who did it; null for the system.", key="actor_id")
    actor_role: Role | None = column("The actor's role at the time; null for the system.")
    request_id: str = column("The `X-Request-Id` of the request.")
    reason: str | None = column("The reason given; null when `reasonState` is not TOLD.")
    reason_state: ValueState = column("What is told of the reason: ABSENT when none was given, ERASED, or TOLD.")
    occurred_at: datetime = column("When it happened.")
    override: Override | None = one(
        tables.override.c.id, "The override it was made under; null when there was none.", key="override_id"
    )
    is_override: bool | None = column(
        "Whether it counts as an override: the opening and closing of one, what was edited under it, a location "
        "reopened although locked, or completed by hand. Null in entries from before this was recorded."
    )
    changes: list[FieldChange] = many(tables.field_change.c.entry_id, "Every value that changed.")


@strawberry.type(description="A model of the device catalogue.")
class DeviceModel(Node):
    brand: DeviceBrand = column("The maker.")
    model: str = column("The model's name, as devices give it.")
    lines: int = column("How many lines (SIP accounts) it can hold.")
    revision: int = column("Counts the entry's changes.")


@strawberry.type(description="One field that differs between two contents.")
class ContentChange:
    path: str = column("JSON pointer (RFC 6901); rows are named by their ids.")
    before: JSON | None = column("The last approved value; null when it was empty or there was none.")
    after: JSON | None = column("The current value; null when it is empty or gone.")


@strawberry.type(description="What a lead approves: the content by its digest, and what is new in it.")
class Review:
    revision: int = column("The location's revision that was read.")
    digest: str = column("SHA-256, in hex, of the current content; sent back as `expectedDigest`.")
    changes: list[ContentChange] = column("Every field that differs from the last approved content, by path.")
    request: Approval | None = one(
        tables.approval.c.id, "The open request for approval; null when there is none.", key="request_id"
    )
    location: "Location | None" = one(tables.location.c.id, "The location.", key="location_id")


@strawberry.type(description="Whether the viewer may do something to a location, by the rules that guard the mutation.")
class ViewerAction:
    action: LocationAction = column("What to do.")
    allowed: bool = column("Whether the mutation would be taken, given valid input.")
    reason: str | None = column("FORBIDDEN or the code of the problem that it would meet; null when allowed.")


@strawberry.type(description="A location's content as it was at a revision, as the audit trail tells it. Leads only.")
class ContentAsOf:
    revision: int = column("The location's revision that it was the content of.")
    digest: str | None = column(
        "The content's digest that stood on record then; null when something was erased, which it would let guess."
    )
    content: JSON = computed(
        history.document,
        "The content, in the form that `review` names fields in. The SHA-256 of its RFC 8785 form, strings in NFC, is "
        "`digest`.",
    )
    erased: list[str] = column("JSON pointers (RFC 6901) into `content` to what was erased since: null there.")


@strawberry.type(description="A place whose telephones are being rolled out, with everything that takes.")
class Location(Node):
    name: str = column("The location's name.")
    status: LocationStatus = column("Where it stands between onboarding and hand-off.")
    address: Address = part("Where it is.")
    timezone: str | None = column("IANA time zone; null until filled in.")
    site_code: str | None = column(
        "The account's own code for the site, unique within the account; null if it has none."
    )
    content_digest: str = column("SHA-256, in hex, of the current content; what a review approves.")
    revision: int = column("Counts every change of the location and of anything in it.")
    created_at: datetime = column("When it was made.")
    updated_at: datetime = column("When it, or anything in it, last changed.")
    account: Account = one(tables.account.c.id, "The account it belongs to.", key="account_id")
    sections: list[SectionState] = many(tables.section.c.location_id, "Its sections, with revision and completeness.")
    contacts: list[Contact] = many(tables.contact.c.location_id, "Whom to ask, in order; at most 8.")
    phone_system: PhoneSystem | None = one(
        tables.phone_system.c.location_id, "How it is reached; null until filled in.", key="id"
    )
    devices: list[Device] = many(tables.device.c.location_id, "Its desk phones, by id; at most 250.")
    people: list[Person] = many(tables.person.c.location_id, "Who works there, by id; at most 250.")
    extensions: list[Extension] = many(tables.extension.c.location_id, "Its internal numbers; at most 250.")
    working_hours: list[WorkingHours] = many(
        tables.working_hours.c.location_id, "When it is open, by weekday and time; at most 42 intervals."
    )
    call_flow: CallFlow | None = one(
        tables.call_flow.c.location_id, "How a call is answered; null until filled in.", key="id"
    )
    session: OnboardingSession | None = one(
        tables.onboarding_session.c.location_id, "The open onboarding session; null when there is none.", key="id"
    )
    readiness: list[ReadinessIssue] = computed(
        review.readiness_of, "Every finding about the content, all at once; the submission asks the same rules."
    )
    viewer_actions: list[ViewerAction] = computed(
        review.viewer_actions_of, "What the viewer may do to it at this moment, and why not."
    )
    approvals: list[Approval] = many(
        tables.approval.c.location_id, "The newest 100 requests for approval, newest first."
    )
    overrides: list[Override] | None = many(
        tables.override.c.location_id, "The newest 100 overrides, newest first; leads only.", needs=Action.OVERRIDE_LOCK
    )
    payloads: list[ProvisioningPayload] | None = many(
        tables.provisioning_payload.c.location_id,
        "The newest 100 payloads, newest first; leads only.",
        needs=Action.VIEW_PROVISIONING,
    )
    live_payload: ProvisioningPayload | None = one(
        tables.provisioning_payload.c.id,
        "The payload that the phones live by, whatever became of it since: the last one acknowledged, or released when "
        "a lead completed the location by hand; null before that. Leads only.",
        key="live_payload_id",
        needs=Action.VIEW_PROVISIONING,
    )
    audit_log: list[AuditEntry] | None = many(
        tables.audit_entry.c.location_id,
        "The newest 100 audit entries, newest first; leads only.",
        needs=Action.VIEW_AUDIT,
    )

    @strawberry.field(
        description="Its content as it was at a revision. NOT_FOUND, and null, when the audit trail holds no such "
        f"revision of it. Priced at {AS_OF_PRICE} objects; leads only.",
        extensions=guarded(can(Action.VIEW_AUDIT)),
        metadata={PRICE: AS_OF_PRICE},
    )
    @staticmethod
    async def as_of(
        root: strawberry.Parent[rows.Location],
        info: Info,
        revision: Annotated[int, argument("A revision that the location has or had.")],
    ) -> ContentAsOf | None:
        past: Any = await history.as_of(root, info, revision)
        return past
