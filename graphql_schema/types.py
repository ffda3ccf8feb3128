"""The object types: fields and descriptions only. They share a module because they refer to each other.

Each type declares the class of the values that it shows, mostly rows. A field without a resolver shows an attribute
of that class. graphql_schema.checks compares types and classes when the schema is built.
"""

from datetime import date, datetime, time
from typing import Annotated, Any

import strawberry
from graphql import GraphQLResolveInfo
from strawberry.scalars import JSON

from app.audit.history import AsOf
from app.db import rows, tables
from app.db.nested import CHANGES_OF_ENTRY, LOCATIONS_OF_GRANT, LOCATIONS_OF_INVITATION
from app.db.queries import CHANGES_BY_ID, COUNT_CAP, LOCATIONS_BY_ID, StatusCount
from app.domain.diff import ContentDifference
from app.domain.limits import CAPS
from app.domain.payload import DEFAULT_RETRIES, DEFAULT_TIMEOUT_SECONDS, VERSIONS
from app.domain.refusals import RefusalCode
from app.domain.rejection import RejectionReason
from app.domain.viewer import Viewer
from app.domain.viewer_actions import ViewerAction
from app.domain.vocabulary import (
    ApprovalStatus,
    AuditChain,
    AuditOutcome,
    Budget,
    CallFlowKind,
    CallTarget,
    ContactPurpose,
    DeviceBrand,
    DeviceModelKind,
    LocationAction,
    LocationStatus,
    PartnerPurpose,
    PayloadState,
    ReceiptKind,
    Role,
    Section,
    SessionEnd,
    UserStatus,
    ValueState,
)
from app.execution import by_class
from app.operations.audit_names import AuditAction, AuditCode, AuditedTable
from app.operations.manage_users import MOST_GRANTS
from app.query_cost.price import PRICE
from graphql_schema.connections import COUNT_PRICE, ConnectionType, paged
from graphql_schema.fields import After, First, argument, column, complete, computed, derived, shown_by, shows
from graphql_schema.inputs import BY_NAME, LocationFilter, LocationOrder
from graphql_schema.problems import IssueType
from permissions.guards import can, guarded
from permissions.matrix import Action, TokenAction
from resolvers import audit_values, computed_fields, history, lists, payload_changes
from resolvers import review as reviews
from resolvers import viewer as viewer_resolvers
from resolvers.budgets import RateLimit
from resolvers.context import Info
from resolvers.inputs import conditions
from resolvers.list_bounds import OF_CONTENT
from resolvers.paging import DEFAULT_PAGE, Connection
from resolvers.relations import has_more, many, one, one_of_location, part

# The price, in objects, of the content as of a revision: the whole history of the location is read.
AS_OF_PRICE = 100
# The price, in objects, of the review of a location: its content is read, five lists of the assumed size.
REVIEW_PRICE = 50
REVIEW = (
    "The content that a lead approves: its digest, and its changes since the last approval. "
    f"Priced at {REVIEW_PRICE} objects."
)
# The assumed number of fields that differ between two payloads. Two documents are compared whatever the number.
CHANGES_SIZE = 20


@strawberry.interface(description="An object that can be fetched by its id.")
class Node:
    id: strawberry.ID = column("The id of the object. Opaque, permanent, and compared exactly.")

    @classmethod
    @by_class
    def is_type_of(cls, value: Any, _info: GraphQLResolveInfo[Any]) -> bool:
        """Whether a row is of this type."""
        return type(value) is shown_by(cls)


async def _locations_of_account(
    account: strawberry.Parent[rows.AccountRow],
    info: Info,
    *,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[LocationFilter | None, argument("The filter. Null for all.")] = None,
    order_by: Annotated[LocationOrder, argument("The sort order.")] = BY_NAME,
) -> Connection[rows.LocationRow]:
    return await lists.locations_of_account(account, info, first, after, order_by, **conditions(filter))


@shows(StatusCount, "The number of locations in a status.")
class LocationStatusCountType:
    status: LocationStatus = column("The status.")
    count: int = column(f"The number of locations in this status, counted up to {COUNT_CAP:,}.")
    count_is_capped: bool = column("Whether there are more locations than `count` can count.")


@shows(rows.AccountRow, "A customer whose phone systems are rolled out, with its locations.")
class AccountType(Node):
    name: str = column("The name of the account.")
    revision: int = column("Counter of the changes of the account itself.")
    created_at: datetime = column("The time when the account was created.")
    updated_at: datetime = column("The time when the account itself last changed.")
    status_counts: list[LocationStatusCountType] | None = computed(
        lists.status_counts_of,
        "The number of visible locations of the account in each status, test locations included, in the order of the "
        "statuses. Every status is listed. Not visible to partners.",
        needs=Action.VIEW_LOCATIONS,
        size=len(LocationStatus),
        most=len(LocationStatus),
        price=COUNT_PRICE,
    )

    locations: "ConnectionType[LocationType] | None" = computed(
        _locations_of_account,
        "The locations of the account that are visible to the viewer. Not visible to partners.",
        needs=Action.VIEW_LOCATIONS,
    )


@shows(
    rows.UserRow,
    "A user who signs in: an employee of a customer, an implementation lead, a partner's machine, or an auditor.",
)
class UserType(Node):
    name: str = column("The name of the user, as other users see it.")
    role: Role = column("The role of the user.")
    email: str | None = strawberry.field(
        description="The email address of the user. Visible to leads of all accounts.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    all_accounts: bool | None = strawberry.field(
        description="Whether a lead has access to all accounts. False for leads with access only to the accounts of "
        "their grants, and for other roles. Visible to leads of all accounts.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    subject: str | None = strawberry.field(
        description="The user's name at the issuer: the `sub` claim of the user's tokens. Visible to leads of all "
        "accounts.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    issuer: str | None = strawberry.field(
        description="The identity provider of the user: the `iss` claim of the user's tokens. Null for the issuer that "
        "the server is configured with. Visible to leads of all accounts.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    status: UserStatus | None = strawberry.field(
        name="signInStatus",
        description="Whether the user can use the API. Visible to leads of all accounts.",
        extensions=guarded(can(Action.ADMINISTER)),
    )
    confirmed: bool | None = computed(
        computed_fields.is_confirmed,
        "False after a lead made the user, until another lead confirms the user. A lead makes a user by creating or "
        "inviting the user, by giving the user another role, subject or issuer, or by creating a service token for "
        "the user. An unconfirmed lead cannot approve, and cannot confirm or manage users. Visible to leads of all "
        "accounts.",
        of_all=computed_fields.are_confirmed,
        needs=Action.ADMINISTER,
    )
    revision: int = column(
        "Counter of the changes of the user and of the user's grants. Send it back as `expectedRevision`."
    )
    created_at: datetime = column("The time when the user was created.")
    updated_at: datetime = column("The time when the user, or the user's grants, last changed.")
    grants: "list[GrantType] | None" = many(
        tables.grant.c.user_id,
        "The grants of the user, one per account, ordered by account id. They have no effect while `allAccounts` "
        "is true. Visible to leads of all accounts.",
        most=MOST_GRANTS,
        needs=Action.ADMINISTER,
    )
    accepted_payload_versions: list[str] | None = computed(
        computed_fields.accepted_payload_versions,
        "The versions of the payload document that a partner accepts, oldest first: all of them until it states any. "
        "Null for other roles. Visible to leads and to the partner itself.",
        needs=Action.VIEW_ACCEPTED_VERSIONS,
        most=len(VERSIONS),
    )


@shows(
    rows.GrantRow,
    "The access of a user to one account, in the form that `setGrants` accepts. Visible to leads of all accounts.",
)
class GrantType:
    account: AccountType = one(tables.account.c.id, "The account.", key="account_id")
    all_locations: bool = column(
        "Whether the user can see all locations of the account, including those created later."
    )
    locations: "ConnectionType[LocationType] | None" = paged(
        LOCATIONS_OF_GRANT,
        LOCATIONS_BY_ID,
        "The locations that the grant lists, ordered by id. Empty if `allLocations` is true.",
    )


@shows(
    rows.UserSessionRow,
    "A session of a user who signed in with a browser. Visible to the user, and to leads of all accounts. Deleted 30 "
    "days after `expiresAt`.",
)
class UserSessionType(Node):
    user: UserType | None = one(tables.user.c.id, "The user who signed in.", key="user_id")
    user_agent: str = column(
        "The `User-Agent` of the browser that signed in, cut if it is long. Empty if none was sent."
    )
    created_at: datetime = column("The time of the sign-in.")
    last_used_at: datetime = strawberry.field(
        name="lastActiveAt", description="The time of the last use, recorded at most once a minute."
    )
    idle_until: datetime = column("The time when the session expires unless it is used before. Each use extends it.")
    expires_at: datetime = column("The time when the session expires at the latest, however often it is used.")
    ended_at: datetime | None = column("The time when the session was ended. Null if it was not, even if it expired.")
    end_reason: SessionEnd | None = column("Why the session was ended. Null if it was not.")
    is_current: bool = computed(
        computed_fields.is_current_session,
        "Whether this request was sent with the session.",
        of_all=computed_fields.are_current_sessions,
    )


@shows(
    rows.ServiceTokenRow,
    "A machine's way to sign in as a user, without the secret, of which the server knows only a hash. It includes the "
    "accounts and actions that it states as far as the user has them at the time of a request. Visible to the user, to "
    "leads of all accounts, and to the token itself.",
)
class ServiceTokenType(Node):
    user: UserType | None = one(
        tables.user.c.id,
        "The user as whom the token signs in. Null if not visible to the viewer.",
        key="user_id",
        needs=Action.VIEW_USERS,
    )
    name: str = column("The name by which people know the token.")
    prefix: str = column(
        "The 8 characters after `turnup_` in the token. They are no secret: a token that turns up somewhere is found "
        "by them."
    )
    account_ids: list[strawberry.ID] | None = complete(
        "The ids of the accounts to which the token is limited, ordered. Null for all accounts that the user has "
        "access to.",
        MOST_GRANTS,
    )
    actions: list[TokenAction] | None = computed(
        computed_fields.token_actions,
        "The actions to which the token is limited, in alphabetical order. Null for all of the user's role that a "
        "token can include.",
        of_all=computed_fields.token_actions_of_all,
        most=len(TokenAction),
    )
    created_by: UserType | None = one(
        tables.user.c.id,
        "The lead who created the token. Null if not visible to the viewer.",
        key="created_by",
        needs=Action.VIEW_USERS,
    )
    created_at: datetime = column("The time when the token was created.")
    expires_at: datetime = column("The time from which the token signs nobody in.")
    last_used_at: datetime | None = computed(
        computed_fields.last_use,
        "The time when the token was last used, recorded at most once a minute. Null if it never was.",
        of_all=computed_fields.last_use_of_all,
    )
    revoked_at: datetime | None = column(
        "The time when the token was revoked, by a lead or because the user got another role. Null if it was not."
    )


@shows(
    rows.InvitationRow,
    "A person who was invited to become a user, and what the user will have. Visible to leads of all accounts.",
)
class InvitationType(Node):
    email: str = strawberry.field(
        name="invitedEmail", description="The email address with which the person has to sign in."
    )
    name: str = column("The name that the user will have.")
    role: Role = column("The role that the user will have.")
    all_accounts: bool = strawberry.field(
        name="grantsAllAccounts",
        description="Whether a lead will have access to all accounts. False for leads with access only to "
        "`grantedAccounts`, and for other roles.",
    )
    account_of_customer: AccountType | None = one(
        tables.account.c.id, "The account that a customer will work for. Null for other roles.", key="account_id"
    )
    granted_accounts: list[AccountType] = computed(
        computed_fields.granted_accounts,
        "The accounts to all of whose locations the user will have access, in the order of the input.",
        of_all=computed_fields.granted_accounts_of_all,
        most=MOST_GRANTS,
    )
    granted_locations: "ConnectionType[LocationType] | None" = paged(
        LOCATIONS_OF_INVITATION,
        LOCATIONS_BY_ID,
        "The locations to which a customer will have access, ordered by id. Empty for access to all locations.",
    )
    invited_by: UserType | None = one(
        tables.user.c.id, "The lead who invited the person. Null for the command line.", key="invited_by"
    )
    created_at: datetime = column("The time when the person was invited.")
    expires_at: datetime = column("The time until which the person can accept.")
    accepted_at: datetime | None = column("The time when the person accepted. Null until then.")
    accepted_by: UserType | None = one(
        tables.user.c.id, "The user whom the acceptance created. Null until then.", key="accepted_by"
    )
    revoked_at: datetime | None = column(
        "The time when the invitation was revoked, or replaced after it had expired. Null if neither."
    )


@shows(Viewer, "The signed-in user, as stored in the database at this moment.")
class ViewerType:
    user: UserType = computed(viewer_resolvers.user, "The signed-in user as a `User`, with its id.")
    name: str = column("The name of the user.")
    email: str = column("The email address of the user.")
    role: Role = column("The role of the user.")
    session: UserSessionType | None = computed(
        viewer_resolvers.session,
        "The session that the request was sent with. Null if it was sent with a token.",
    )
    all_accounts: bool = column(
        "Whether a lead has access to all accounts. False for leads with access only to the accounts of their grants, "
        "for service tokens that list accounts, and for other roles."
    )
    service_token: ServiceTokenType | None = computed(
        viewer_resolvers.service_token,
        "The service token that the request was sent with. Null if it was sent with another credential.",
    )
    account: AccountType | None = computed(
        viewer_resolvers.account_of_customer,
        "The account that a customer works for. Null for other roles, and until access to the account is granted.",
        needs=Action.VIEW_ACCOUNTS,
    )
    accepted_payload_versions: list[str] | None = computed(
        viewer_resolvers.accepted_payload_versions,
        "The versions of the payload document that a partner accepts, oldest first: all of them until it states any. "
        "Null for other roles.",
        most=len(VERSIONS),
    )


@shows(RateLimit, "One budget of the viewer: its limit per clock minute, and the amount that remains.")
class RateLimitType:
    budget: Budget = column("The budget.")
    limit: int = column("The limit per minute.")
    remaining: int = column(
        "The amount that remains in the current minute. For OBJECTS, the price that this query reserves is already "
        "subtracted."
    )
    resets_at: datetime = column("The time when the current minute ends and the whole limit is available again.")


@shows(rows.LocationRow, "The postal address of a location.")
class AddressType:
    line1: str | None = column("Street and number. Null until filled in.")
    line2: str | None = column("Suite, floor or building. Null if there is none.")
    city: str | None = column("City. Null until filled in.")
    state: str | None = column("State or region. Null until filled in.")
    zipcode: str | None = column("Postal code, in the format of any country. Null until filled in.")
    country: str | None = column("Country, as an ISO 3166-1 alpha-2 code. Null until filled in.")


@shows(rows.SectionStateRow, "The state of one section of a location.")
class SectionStateType:
    section: Section = column("The section.")
    revision: int = column(
        "Counter of the section's changes. Send it back as `expectedRevision` to change the section."
    )
    complete: bool = column("Whether the section has no issue that blocks submission.")


@shows(rows.ContactRow, "A person to ask about a location.")
class ContactType(Node):
    purpose: ContactPurpose = column("The purpose of the contact.")
    name: str | None = strawberry.field(name="fullName", description="The name of the person. Null until filled in.")
    email: str | None = column("The email address, as entered. Null until filled in.")
    phone: str | None = column("The phone number, as entered. Null until filled in.")
    e164: str | None = strawberry.field(
        name="phoneE164", description="The phone number in E.164 format. Null if it cannot be converted."
    )
    revision: int = column("Counter of the contact's changes.")
    location: "LocationType" = one(tables.location.c.id, "The location of the contact.", key="location_id")


@shows(rows.PhoneSystemRow, "The phone settings of a location as a whole.")
class PhoneSystemType:
    main_number: str | None = column("The main number, as entered. Null until filled in.")
    main_number_e164: str | None = strawberry.field(
        name="mainNumberE164", description="The main number in E.164 format. Null if it cannot be converted."
    )
    caller_id_name: str | None = column(
        "The name that called parties see. Networks show 15 characters. Null until filled in."
    )
    provider: str | None = column("The carrier or hosted PBX. Null until filled in.")
    outbound_prefix: str | None = column("The keys to press for an outside line. Null if there are none.")
    voicemail: bool = column("Whether the location has its own mailbox.")
    extension_length: int | None = column(
        "The number of digits of an extension, from 2 to 6. Null if the lengths differ."
    )
    revision: int = column("Counter of the section's changes.")


@shows(rows.DeviceRow, "A desk phone.")
class DeviceType(Node):
    brand: DeviceBrand = column("The maker.")
    model: str | None = column("The model, as in the device catalogue. Null until filled in.")
    mac_address: str | None = derived(
        computed_fields.mac_address,
        "The MAC address (IEEE 802 EUI-48), in upper-case hex with colons. Null until filled in.",
    )
    serial_number: str | None = column("The maker's serial number. Null if unknown.")
    label: str | None = column("The name that people use for the device. Null if there is none.")
    revision: int = column("Counter of the device's changes.")
    extension: "ExtensionType | None" = one(
        tables.extension.c.device_id, "The extension that rings the device. Null if there is none.", key="id"
    )
    location: "LocationType" = one(tables.location.c.id, "The location of the device.", key="location_id")


@shows(rows.PersonRow, "A person who works at a location.")
class PersonType(Node):
    first_name: str | None = column("The given name. Null until filled in.")
    last_name: str | None = column("The family name. Null until filled in.")
    email: str | None = column("The email address, as entered. Null until filled in.")
    mobile: str | None = column("The mobile number, as entered. Null if there is none.")
    mobile_e164: str | None = strawberry.field(
        name="mobileE164", description="The mobile number in E.164 format. Null if it cannot be converted."
    )
    voicemail: bool = column("Whether the person has a mailbox.")
    revision: int = column("Counter of the person's changes.")
    extensions: "list[ExtensionType]" = many(
        tables.extension.c.person_id, "The extensions that ring the person, ordered by number.", most=CAPS["extensions"]
    )
    location: "LocationType" = one(tables.location.c.id, "The location of the person.", key="location_id")


@shows(rows.ExtensionRow, "An internal number and the person or device that it rings.")
class ExtensionType(Node):
    number: str = column("The digits to dial within the location.")
    label: str | None = column("The name that people use for the extension. Null if there is none.")
    revision: int = column("Counter of the extension's changes.")
    person: PersonType | None = one(
        tables.person.c.id, "The person that the extension rings. Null if there is none.", key="person_id"
    )
    device: DeviceType | None = one(
        tables.device.c.id, "The device that the extension rings. Null if there is none.", key="device_id"
    )
    location: "LocationType" = one(tables.location.c.id, "The location of the extension.", key="location_id")


@shows(rows.WorkingHoursRow, "An interval in which a location is open, in its local time.")
class WorkingHoursType(Node):
    weekday: int = column("The ISO 8601 weekday, from 1 (Monday) to 7 (Sunday).")
    opens: time = column("The time when the location opens.")
    closes: time = column("The time when the location closes.")
    passes_midnight: bool = column("Whether the location closes on the following day.")


@shows(rows.CallFlowOptionRow, "The target of a branch of a call flow.")
class TargetType:
    target: CallTarget = strawberry.field(name="kind", description="The kind of target.")
    extension: ExtensionType | None = one_of_location(
        tables.extension.c.id,
        "The extension. Null if the target names none, or one that the location does not have.",
        key="extension_id",
    )
    external_number: str | None = column("The external number, as entered. Null for other kinds of target.")
    external_number_e164: str | None = strawberry.field(
        name="externalNumberE164", description="The external number in E.164 format. Null if it cannot be converted."
    )


@shows(rows.CallFlowOptionRow, "A key of a menu, and the target that a caller reaches by pressing it.")
class CallFlowOptionType:
    digit: str = column("One or two keys of 0-9, * and #.", never_null=True)
    target: TargetType = part("The target of the key.")


@shows(rows.CallFlowRow, "The handling of incoming calls: a location rings extensions immediately or plays a menu.")
class CallFlowType:
    kind: CallFlowKind = column("The kind of call flow: extensions ring immediately, or a menu is played.")
    greeting: str | None = column("The greeting that the menu plays. Null until filled in.")
    timeout_seconds: int | None = column(
        "The number of seconds without a key press before the call goes to `timeoutTarget`. Null until filled in; "
        f"payloads of version 1.1.0 then say {DEFAULT_TIMEOUT_SECONDS}."
    )
    retries: int | None = column(
        "The number of wrong keys that are tolerated before the call goes to `invalidTarget`. Null until filled in; "
        f"payloads of version 1.1.0 then say {DEFAULT_RETRIES}."
    )
    revision: int = column("Counter of the section's changes.")
    direct_targets: list[ExtensionType] = computed(
        computed_fields.direct_targets,
        "The extensions that ring immediately, in ringing order.",
        most=CAPS["directTargets"],
    )
    options: list[CallFlowOptionType] = computed(
        computed_fields.options,
        "The keys of the menu, in order. A DIRECT call flow hands none of them over.",
        most=CAPS["options"],
    )
    timeout_target: TargetType | None = computed(
        computed_fields.timeout_target, "The target of a call without a key press. Null until filled in."
    )
    invalid_target: TargetType | None = computed(
        computed_fields.invalid_target, "The target of a call with wrong keys. Null until filled in."
    )


@shows(
    rows.OnboardingSessionRow, "One run of filling in a location, from the first edit to completion or cancellation."
)
class OnboardingSessionType(Node):
    current_step: Section = column("The section that the customer is working on.")
    started_at: datetime = column("The time when the session started.")
    last_saved_at: datetime = column("The time when content was last saved.")
    submitted_at: datetime | None = column("The time when the location was last submitted. Null until submitted.")
    submitted_by: UserType | None = one(
        tables.user.c.id,
        "The user who last submitted the location. Null until submitted, and if not visible to the viewer.",
        key="submitted_by",
    )
    closed_at: datetime | None = column(
        "The time when the location was completed or cancelled. Null while the session is open."
    )
    revision: int = column("Counter of the session's changes.")
    completeness: list[SectionStateType] = many(
        tables.section.c.location_id,
        "All sections of the location, with their completeness.",
        key="location_id",
        most=len(Section),
    )
    progress: int = computed(computed_fields.progress, "The share of complete sections, in percent.")
    location: "LocationType" = one(tables.location.c.id, "The location that is filled in.", key="location_id")


@shows(rows.ApprovalRow, "A request to approve the content of a location, with its decision.")
class ApprovalType(Node):
    location_revision: int = column("The revision of the location when approval was requested.")
    digest: str = column("SHA-256, in hex, of the content that was submitted or approved.")
    status: ApprovalStatus = strawberry.field(name="reviewStatus", description="The state of the request.")
    requested_at: datetime = column("The time when approval was requested.")
    requested_by: UserType | None = one(
        tables.user.c.id, "The user who requested approval. Null if not visible to the viewer.", key="requested_by"
    )
    decided_at: datetime | None = column("The time when a lead decided. Null until decided.")
    decided_by: UserType | None = one(
        tables.user.c.id,
        "The lead who decided. Null until decided, and if not visible to the viewer.",
        key="decided_by",
    )
    comment: str | None = column("The lead's comment. Null if there is none.")
    self_approved: bool = column(
        "Whether the approver had submitted or edited the content, in deployments that permit this."
    )
    location: "LocationType" = one(tables.location.c.id, "The location.", key="location_id")


@shows(
    rows.OverrideRow, "A lead's time-limited permission to edit sections of a locked location. Visible to leads only."
)
class OverrideType(Node):
    sections: list[Section] = strawberry.field(
        name="editableSections", description="The sections that can be edited under the override."
    )
    reason: str = column("The reason for overriding the lock.")
    ticket: str | None = column("The ticket reference in another system. Null if there is none.")
    opened_at: datetime = column("The time when the override was opened.")
    opened_by: UserType | None = one(
        tables.user.c.id,
        "The lead who opened the override. Only this lead can edit under it. Null if not visible to the viewer.",
        key="opened_by",
    )
    expires_at: datetime = column("The time when the override expires.")
    ended_at: datetime | None = column(
        "The time when the override was closed or ended by a status change. Null until then."
    )
    location: "LocationType" = one(tables.location.c.id, "The location.", key="location_id")


@shows(rows.StatusChangeRow, "A change of the status of a location, with its reason.")
class StatusChangeType:
    verb: LocationAction = strawberry.field(name="action", description="The action that changed the status.")
    reason: str | None = computed(
        computed_fields.status_reason,
        "The reason. Leads see the internal one, customers the one that was written for them. Null if none was given.",
    )
    reason_for_customer: str | None = strawberry.field(
        description="The reason that customers see. Null if they see none. Visible to leads only.",
        extensions=guarded(can(Action.VIEW_INTERNAL_REASONS)),
    )
    reason_for_partner: str | None = strawberry.field(
        description="The reason that partners see. Null if they see none. Visible to leads only.",
        extensions=guarded(can(Action.VIEW_INTERNAL_REASONS)),
    )
    by: UserType | None = one(
        tables.user.c.id, "The user who changed the status. Null if not visible to the viewer.", key="changed_by"
    )
    changed_at: datetime = strawberry.field(name="at", description="The time of the change.")


@shows(
    rows.StatusChangeRow,
    "A change of the status of a location that concerns a payload, as its recipients see it.",
)
class PayloadNoticeType:
    verb: LocationAction = strawberry.field(
        name="action", description="The action that changed the status, such as REOPEN or CANCEL."
    )
    reason_for_partner: str | None = strawberry.field(
        name="reason", description="The reason that was written for partners. Null if there is none."
    )
    changed_at: datetime = strawberry.field(name="at", description="The time of the change.")


@shows(ContentDifference, "One field that differs between the documents of two payloads.")
class PayloadChangeType:
    path: str = column(
        "The place of the field in the document. Rows are named by their ids instead of their positions, menu options "
        "by their digit and intervals by their weekday, such as `/devices/phone-1/macAddress`."
    )
    before: JSON | None = column("The value in the acknowledged document. Null if it was null or did not exist.")
    after: JSON | None = column("The value in this document. Null if it is null or was removed.")


@shows(
    rows.PayloadRecipientRow,
    "A partner to whom a payload was released, and what became of the payload there. Visible to leads only.",
)
class PayloadRecipientType(Node):
    user: UserType | None = one(
        tables.user.c.id, "The partner's user. Null if not visible to the viewer.", key="user_id"
    )
    purpose: PartnerPurpose = strawberry.field(
        name="partnerPurpose", description="What the partner does for the location."
    )
    required: bool = column("Whether the location is completed only with the receipt of this recipient, or its waiver.")
    receipt: "ReceiptType | None" = computed(
        computed_fields.receipt_of_recipient, "The answer of the recipient. Null until the recipient answers."
    )
    live: bool = column("Whether the recipient has the payload in operation.")
    waived_at: datetime | None = column("The time when the receipt was waived. Null if it was not.")
    waived_by: UserType | None = one(
        tables.user.c.id, "The lead who waived the receipt. Null if it was not waived.", key="waived_by"
    )
    waived_reason: str | None = column("The lead's reason for the waiver. Null if the receipt was not waived.")
    decommissioned_at: datetime | None = column(
        "The time when the decommissioning was confirmed. Null while it is not."
    )
    decommissioned_by: UserType | None = one(
        tables.user.c.id,
        "The user who confirmed the decommissioning: the recipient, or a lead on its behalf. Null while it is not "
        "confirmed.",
        key="decommissioned_by",
    )
    decommission_reason: str | None = strawberry.field(
        name="decommissionedReason",
        description="The reason that was given for the decommissioning. Null if there is none.",
    )


@shows(
    rows.ProvisioningPayloadRow,
    "An immutable, validated document with all data that partners need to put a location into operation. Leads see "
    "all payloads; a partner sees those that were released to it.",
)
class ProvisioningPayloadType(Node):
    location_id: strawberry.ID = column("The id of the location.")
    account_id: strawberry.ID = column("The id of the account.")
    sequence: int = column("The number of the payload within its location, starting at 1.")
    version: str = column(
        "The version of the document's JSON Schema: the oldest one that the content allows and all partners of the "
        "location accept."
    )
    state: PayloadState = column("The state of the payload.")
    document: JSON = derived(computed_fields.document, "The document, valid against its JSON Schema.")
    document_digest: str = column(
        "SHA-256, in hex, of the document's RFC 8785 form. Send it back to acknowledge the payload."
    )
    content_digest: str = column("SHA-256, in hex, of the approved content that the payload was generated from.")
    location_revision: int = column("The revision of the location that the payload was generated from.")
    generated_at: datetime = column("The time when the payload was generated.")
    generated_by: UserType | None = one(
        tables.user.c.id, "The lead who generated the payload. Null if not visible to the viewer.", key="generated_by"
    )
    released_at: datetime | None = column("The time when provisioning was triggered. Null until then.")
    released_by: UserType | None = one(
        tables.user.c.id,
        "The lead who triggered provisioning. Null until then, and if not visible to the viewer.",
        key="released_by",
    )
    superseded_by: "ProvisioningPayloadType | None" = one(
        tables.provisioning_payload.c.id,
        "The payload that replaced this one. Null if there is none.",
        key="superseded_by",
    )
    withdrawn_reason: str | None = strawberry.field(
        description="The internal reason why the payload was withdrawn. Null if it was not withdrawn. Visible to leads "
        "only; recipients read `statusChange`.",
        extensions=guarded(can(Action.VIEW_INTERNAL_REASONS)),
    )
    status_change: PayloadNoticeType | None = one(
        tables.status_change.c.id,
        "The last change of the location's status that concerns the payload: it withdrew or rejected the payload, "
        "completed the location by hand or by a waiver, or it reopened, cancelled or blocked the location while the "
        "payload was in operation, or superseded or rejected and not replaced yet. Null if there is none.",
        key="status_change_id",
    )
    live: bool = computed(
        computed_fields.live,
        "Whether the payload is in operation: it was acknowledged, its receipt was waived, or a lead completed the "
        "location by hand, and it was neither replaced nor decommissioned since. A partner sees whether it has the "
        "payload in operation itself, a lead whether any recipient has. Its MAC addresses are held for the location as "
        "long as it is live for any recipient.",
        of_all=computed_fields.live_of_all,
    )
    test: bool = column(
        "Whether the payload is for a partner's tests. It must not be put into operation. The document itself has no "
        "such mark."
    )
    updated_at: datetime = column(
        "The time of the last change of the payload, of an answer to it, or of what a lead recorded for a recipient. "
        "The erasure of its document is a change."
    )
    recipients: list[PayloadRecipientType] | None = many(
        tables.payload_recipient.c.payload_id,
        "The partners to whom the payload was released, ordered by the id of the user. Frozen when provisioning is "
        "triggered. Visible to leads only.",
        needs=Action.VIEW_ALL_PROVISIONING,
        most=CAPS["recipients"],
    )
    receipts: "list[ReceiptType]" = many(
        tables.receipt.c.payload_id,
        "The answers of the recipients, oldest first. Leads see all of them, a partner sees its own.",
        most=CAPS["recipients"],
    )
    changes_since_acknowledged: list[PayloadChangeType] | None = computed(
        payload_changes.changes_since_acknowledged,
        "Every field of the document that differs from the last earlier payload of the location that the viewer "
        "acknowledged (for a lead: that any recipient acknowledged), ordered by path, without `timestamp` and "
        "`metadata`. Null if there is none, if it was decommissioned since, or if one of the two documents was erased: "
        "the location is then set up from the document alone. Priced as "
        f"{CHANGES_SIZE} fields.",
        of_all=payload_changes.changes_of_all,
        size=CHANGES_SIZE,
        most=OF_CONTENT,
    )
    source_account: AccountType | None = one(
        tables.account.c.id,
        "The account of the location that the payload was generated from.",
        key="account_id",
        needs=Action.VIEW_ACCOUNTS,
    )
    source_location: "LocationType | None" = one(
        tables.location.c.id,
        "The location that the payload was generated from. Visible to leads only.",
        key="location_id",
        needs=Action.VIEW_LOCATIONS,
    )


@shows(rows.LocationPartnerRow, "A partner that a lead chose for a location. Visible to leads only.")
class LocationPartnerType(Node):
    user: UserType | None = one(
        tables.user.c.id, "The partner's user. Null if not visible to the viewer.", key="user_id"
    )
    purpose: PartnerPurpose = strawberry.field(
        name="partnerPurpose", description="What the partner does for the location."
    )
    required: bool = column("Whether the partner's receipt is required to complete the location.")


@shows(RejectionReason, "A reason for the rejection of a payload: a place in its document, and the fault there.")
class RejectionReasonType:
    path: str = column("JSON pointer (RFC 6901) to the value in the payload's document; empty for the whole document.")
    code: str = column("The partner's own code of the fault.")
    message: str = column("A description of the fault, for people. `ERASED` if it was erased.")


@shows(rows.ReceiptRow, "A partner's answer to a payload. Visible to leads and to the partner itself.")
class ReceiptType(Node):
    kind: ReceiptKind = strawberry.field(
        name="answer", description="The answer: the payload was acknowledged or rejected."
    )
    document_digest: str = column("The digest that the partner computed.")
    received_at: datetime = column("The time when the answer was received.")
    received_by: UserType | None = one(
        tables.user.c.id, "The partner's user who answered. Null if not visible to the viewer.", key="received_by"
    )
    reasons: list[RejectionReasonType] = computed(
        computed_fields.rejection_reasons,
        "The reasons for a rejection, in the partner's order. Empty if the payload was acknowledged.",
        of_all=computed_fields.rejection_reasons_of_all,
        most=CAPS["reasons"],
    )


@shows(rows.FieldChangeRow, "One value that a write changed. Visible to leads and auditors.")
class FieldChangeType:
    table: AuditedTable | None = derived(
        audit_values.table,
        "The table of the value. Null if this version of the server does not know it: a newer one wrote the entry.",
    )
    row_id: strawberry.ID = column("The id of the row.")
    field: str = column("The name of the column.")
    before: JSON | None = column(
        "The value before the change, with times in the form of `DateTime`. Null if it was null, or if `beforeState` "
        "is not PRESENT."
    )
    before_state: ValueState = column("The state of the value before the change. ABSENT if the row is new.")
    after: JSON | None = column(
        "The value after the change, with times in the form of `DateTime`. Null if it is null, or if `afterState` is "
        "not PRESENT."
    )
    after_state: ValueState = column("The state of the value after the change. ABSENT if the row was deleted.")


@shows(
    rows.AuditEntryRow,
    "The record of one write, or of one refused attempt, in the audit log. Visible to auditors, and to leads for the "
    "accounts that they have access to.",
)
class AuditEntryType(Node):
    chain: AuditChain = derived(audit_values.chain, "The kind of chain that contains the entry.")
    account_id: strawberry.ID | None = strawberry.field(
        name="chainAccountId",
        description="The id of the account whose chain contains the entry. Null if `chain` is SYSTEM.",
    )
    number: int | None = strawberry.field(
        name="chainNumber",
        description="The number of the entry in its chain, starting at 1, without gaps. Null for an entry "
        "outside its chain, which an intact audit log does not have.",
    )
    action: AuditAction | None = derived(
        audit_values.action,
        "The action. Null if this version of the server does not know it: a newer one wrote the entry.",
    )
    outcome: AuditOutcome = column("Whether the write was applied, or the attempt was refused.")
    code: AuditCode | None = derived(
        audit_values.code,
        "The code of the refusal. Null if the write was applied, or if this version of the server does not know it.",
    )
    denied_field: str | None = derived(
        audit_values.denied_field,
        "The name of the field that the role of the actor, or the service token, does not include, for ROLE_DENIED. "
        "Null for other actions.",
    )
    actor: UserType | None = one(
        tables.user.c.id, "The user who acted. Null for the system, and if not visible to the viewer.", key="actor_id"
    )
    actor_role: Role | None = column("The role of the actor at the time. Null for the system.")
    request_id: str = column("The id that the server gave to the request: the `X-Request-Id` of the response.")
    client_request_id: str | None = column(
        "The `X-Request-Id` that the client sent. It identifies no request: any client can send any id. Null if none "
        "was sent, if it was not well-formed, and for entries made before this was recorded."
    )
    reason: str | None = strawberry.field(
        name="statedReason", description="The reason that the actor gave. Null if `statedReasonState` is not PRESENT."
    )
    reason_state: ValueState = strawberry.field(
        name="statedReasonState", description="The state of the reason: ABSENT if none was given, ERASED, or PRESENT."
    )
    occurred_at: datetime = column("The time of the write or attempt.")
    override: OverrideType | None = one(
        tables.override.c.id,
        "The override under which the write was made. Null if there was none. Not visible to auditors.",
        key="override_id",
        needs=Action.OVERRIDE_LOCK,
    )
    is_override: bool | None = column(
        "Whether the entry counts as an override: opening or closing an override, editing under one, replacing a "
        "device, reopening a locked location, completing a location by hand, waiving a receipt, or confirming a "
        "decommissioning on behalf of a partner. Null for entries made before this was recorded."
    )
    changes: ConnectionType[FieldChangeType] | None = paged(
        CHANGES_OF_ENTRY, CHANGES_BY_ID, "All values that the write changed.", shown=audit_values.shown
    )


@shows(rows.DeviceModelRow, "A model of the device catalogue.")
class DeviceModelType(Node):
    brand: DeviceBrand = column("The maker.")
    model: str = strawberry.field(name="name", description="The name of the model, as used in `Device.model`.")
    lines: int = column("The number of lines (SIP accounts) that the model supports.")
    kind: DeviceModelKind | None = column("The kind of equipment. Null if not stated.")
    maker: str | None = column("The maker's name, such as Polycom. Null if not stated.")
    source: str | None = column("The source of these values, such as a data sheet. Null if not stated.")
    source_date: date | None = column("The day when the values were read in the source. Null if not stated.")
    revision: int = column("Counter of the entry's changes.")


@shows(ContentDifference, "One field that differs between two contents.")
class ContentChangeType:
    path: str = column("JSON pointer (RFC 6901) to the field. Rows are identified by their ids.")
    before: JSON | None = column("The last approved value. Null if it was empty or did not exist.")
    after: JSON | None = column("The current value. Null if it is empty or was removed.")


@shows(reviews.Review, "The content that a lead approves: its digest, and its changes since the last approval.")
class ReviewType:
    revision: int = column("The revision of the location that was read.")
    digest: str = column("SHA-256, in hex, of the current content. Send it back as `expectedDigest`.")
    changes: list[ContentChangeType] = complete(
        "Every field that differs from the last approved content, ordered by path.", OF_CONTENT
    )
    request: ApprovalType | None = one(
        tables.approval.c.id, "The open request for approval. Null if there is none.", key="request_id"
    )
    location: "LocationType | None" = one(tables.location.c.id, "The location.", key="location_id")


@shows(
    ViewerAction, "An action on a location, and whether the viewer can perform it. The same rules guard the mutation."
)
class ViewerActionType:
    action: LocationAction = column("The action.")
    allowed: bool = column("Whether the mutation would be accepted, given valid input.")
    reason: RefusalCode | None = column(
        "FORBIDDEN, or the code of the problem that the mutation would return. WAIVE_RECEIPT and "
        "CONFIRM_DECOMMISSION are about all payloads of the location: for one of them, the mutation can return another "
        "problem. Null if allowed."
    )
    message: str | None = column("The reason in a sentence, for people. Null if allowed.")


@shows(AsOf, "The content of a location at a revision, reconstructed from the audit log. Visible to leads only.")
class ContentAsOfType:
    revision: int = column("The revision of the location.")
    digest: str | None = column(
        "The digest of the content, as recorded at the revision. Null if values were erased, because the digest "
        "would allow guessing them."
    )
    content: JSON = computed(
        history.document,
        "The content, in the structure that the paths of `review` refer to. `digest` is the SHA-256 of its RFC 8785 "
        "form, with strings in NFC.",
    )
    erased: list[str] = complete(
        "JSON pointers (RFC 6901) into `content` to the values that were erased since. These values are null.",
        OF_CONTENT,
    )


@shows(rows.LocationRow, "A site whose phone system is rolled out, with all data needed for it.")
class LocationType(Node):
    name: str = column("The name of the location.")
    status: LocationStatus = column("The stage of the location between onboarding and hand-off.")
    address: AddressType = part("The postal address of the location.")
    timezone: str | None = column("The IANA time zone. Null until filled in.")
    site_code: str | None = column(
        "The account's own code for the site, unique within the account. Null if the location has none."
    )
    content_digest: str = column("SHA-256, in hex, of the current content. An approval is bound to this digest.")
    test: bool = column(
        "Whether the location exists for the tests of a partner. It claims no MAC addresses, and its payloads are "
        "marked as tests. Everybody with access to the account sees it."
    )
    revision: int = column("Counter of all changes of the location and of anything in it.")
    created_at: datetime = column("The time when the location was created.")
    updated_at: datetime = column("The time when the location, or anything in it, last changed.")
    status_reason: StatusChangeType | None = one(
        tables.status_change.c.id,
        "The change that led to the current status, with its reason. Null if the status has not changed since reasons "
        "are recorded for customers and partners.",
        key="status_change_id",
    )
    account: AccountType = one(tables.account.c.id, "The account that the location belongs to.", key="account_id")
    sections: list[SectionStateType] = many(
        tables.section.c.location_id,
        "The sections of the location, with their revision and completeness.",
        most=len(Section),
    )
    contacts: list[ContactType] = many(tables.contact.c.location_id, "The contacts, in order.", most=CAPS["contacts"])
    phone_system: PhoneSystemType | None = one(
        tables.phone_system.c.location_id, "The phone system. Null until filled in.", key="id"
    )
    devices: list[DeviceType] = many(
        tables.device.c.location_id, "The desk phones, ordered by id.", most=CAPS["devices"]
    )
    people: list[PersonType] = many(
        tables.person.c.location_id, "The people who work at the location, ordered by id.", most=CAPS["people"]
    )
    extensions: list[ExtensionType] = many(
        tables.extension.c.location_id, "The internal numbers, ordered by number.", most=CAPS["extensions"]
    )
    working_hours: list[WorkingHoursType] = many(
        tables.working_hours.c.location_id, "The working hours, ordered by weekday and time.", most=CAPS["workingHours"]
    )
    call_flow: CallFlowType | None = one(
        tables.call_flow.c.location_id, "The call flow. Null until filled in.", key="id"
    )
    session: OnboardingSessionType | None = one(
        tables.onboarding_session.c.location_id, "The open onboarding session. Null if there is none.", key="id"
    )
    readiness: list[IssueType] = computed(
        reviews.readiness_of,
        "All issues of the content, found in one pass. Submission checks the same rules.",
        most=OF_CONTENT,
    )
    review: "ReviewType | None" = computed(reviews.review_of, REVIEW, needs=Action.VIEW_LOCATIONS, price=REVIEW_PRICE)
    viewer_actions: list[ViewerActionType] = computed(
        reviews.viewer_actions_of,
        "The actions on the location: whether the viewer can perform each at this moment, and the reason if not.",
        most=len(LocationAction),
    )
    approvals: list[ApprovalType] = many(
        tables.approval.c.location_id, "The newest 100 requests for approval, newest first."
    )
    has_more_approvals: bool = has_more(tables.approval.c.location_id, "requests for approval")
    overrides: list[OverrideType] | None = many(
        tables.override.c.location_id,
        "The newest 100 overrides, newest first. Visible to leads only.",
        needs=Action.OVERRIDE_LOCK,
    )
    has_more_overrides: bool | None = has_more(tables.override.c.location_id, "overrides", needs=Action.OVERRIDE_LOCK)
    payloads: list[ProvisioningPayloadType] | None = many(
        tables.provisioning_payload.c.location_id,
        "The newest 100 payloads, newest first. Visible to leads only.",
        needs=Action.VIEW_PROVISIONING,
    )
    has_more_payloads: bool | None = has_more(
        tables.provisioning_payload.c.location_id, "payloads", needs=Action.VIEW_PROVISIONING
    )
    partners: list[LocationPartnerType] | None = many(
        tables.location_partner.c.location_id,
        "The partners that a lead chose for the location, ordered by the id of the user. If there are none, payloads "
        "are released to all partners with access to the account. Visible to leads only.",
        needs=Action.ASSIGN_PARTNERS,
        most=CAPS["partners"],
    )
    live_payload: ProvisioningPayloadType | None = one(
        tables.provisioning_payload.c.id,
        "The payload that completed the location, as long as it is in operation. Its state may have changed since. "
        "Null before, and after its decommissioning. Visible to leads only.",
        key="live_payload_id",
        needs=Action.VIEW_PROVISIONING,
    )
    audit_log: list[AuditEntryType] | None = many(
        tables.audit_entry.c.location_id,
        "The newest 100 audit entries, newest first. Visible to leads only.",
        needs=Action.VIEW_AUDIT,
    )

    has_more_audit_log: bool | None = has_more(
        tables.audit_entry.c.location_id, "audit entries", needs=Action.VIEW_AUDIT
    )

    @strawberry.field(
        description="The content of the location at a revision. Null, with the error NOT_FOUND, if the audit log has "
        "no such "
        f"revision. Priced at {AS_OF_PRICE} objects. Visible to leads only.",
        extensions=guarded(can(Action.VIEW_AUDIT)),
        metadata={PRICE: AS_OF_PRICE},
    )
    @staticmethod
    async def as_of(
        root: strawberry.Parent[rows.LocationRow],
        info: Info,
        revision: Annotated[int, argument("A current or earlier revision of the location.")],
    ) -> ContentAsOfType | None:
        past: Any = await history.as_of(root, info, revision)
        return past
