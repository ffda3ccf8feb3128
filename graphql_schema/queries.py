"""The root fields of queries: their guards, and resolvers whose rows are compared with the types of the fields."""

from collections.abc import Sequence
from typing import Annotated, Any

import strawberry

from app.db import rows
from app.db.queries import StatusCount
from app.domain.issue import Issue
from app.domain.vocabulary import Budget, DeviceBrand, LocationStatus
from graphql_schema.connections import COUNT_PRICE, ConnectionType
from graphql_schema.fields import After, First, Identifier, argument, computed
from graphql_schema.inputs import (
    BY_NAME,
    ApprovalFilter,
    ApprovalOrder,
    AuditLogFilter,
    AuditLogOrder,
    InvitationFilter,
    LocationFilter,
    LocationOrder,
    ProvisioningPayloadFilter,
    ProvisioningPayloadOrder,
    ServiceTokenFilter,
    UserSessionFilter,
)
from graphql_schema.problems import IssueType
from graphql_schema.types import (
    REVIEW,
    REVIEW_PRICE,
    AccountType,
    ApprovalType,
    AuditEntryType,
    DeviceModelType,
    InvitationType,
    LocationStatusCountType,
    LocationType,
    Node,
    OnboardingSessionType,
    ProvisioningPayloadType,
    RateLimitType,
    ReviewType,
    ServiceTokenType,
    UserSessionType,
    UserType,
    ViewerType,
)
from permissions.guards import JUDGES_EACH_ID, CanViewTypeOfId, guarded
from permissions.matrix import Action
from resolvers import lists, objects
from resolvers import review as reviews
from resolvers import viewer as viewer_resolvers
from resolvers.context import Info
from resolvers.inputs import conditions
from resolvers.list_bounds import OF_CONTENT
from resolvers.lists import (
    ApprovalOrderField,
    AuditLogOrderField,
    OrderDirection,
    ProvisioningPayloadOrderField,
)
from resolvers.paging import DEFAULT_PAGE, Connection

_OLDEST_PAYLOADS = ProvisioningPayloadOrder(
    field=ProvisioningPayloadOrderField.GENERATED_AT, direction=OrderDirection.ASC
)
_NEWEST_REQUESTS = ApprovalOrder(field=ApprovalOrderField.REQUESTED_AT, direction=OrderDirection.DESC)
_NEWEST_ENTRIES = AuditLogOrder(field=AuditLogOrderField.OCCURRED_AT, direction=OrderDirection.DESC)


async def _node(info: Info, id: Identifier) -> Any:
    return await objects.by_prefix(info, id)


async def _nodes(
    info: Info,
    ids: Annotated[list[strawberry.ID], argument(f"From 1 to {objects.MOST_IDS} ids.", most=objects.MOST_IDS)],
) -> list[Any]:
    return await objects.by_ids(info, ids)


async def _accounts(info: Info, first: First = DEFAULT_PAGE, after: After = None) -> Connection[rows.AccountRow]:
    return await lists.accounts(info, first, after)


async def _account(info: Info, id: Identifier) -> rows.AccountRow:
    return await objects.by_id(info, rows.AccountRow, id)


async def _location(info: Info, id: Identifier) -> rows.LocationRow:
    return await objects.by_id(info, rows.LocationRow, id)


async def _locations(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[LocationFilter | None, argument("The filter. Null for all.")] = None,
    order_by: Annotated[LocationOrder, argument("The sort order.")] = BY_NAME,
) -> Connection[rows.LocationRow]:
    return await lists.locations(info, first, after, order_by, **conditions(filter))


async def _status_counts(
    info: Info,
    account_id: Annotated[strawberry.ID | None, argument("The account. Null for all accounts.")] = None,
) -> list[StatusCount]:
    return await lists.status_counts(info, account_id)


async def _onboarding_session(info: Info, id: Identifier) -> rows.OnboardingSessionRow:
    return await objects.by_id(info, rows.OnboardingSessionRow, id)


async def _readiness(info: Info, location_id: Identifier) -> Sequence[Issue]:
    return await reviews.readiness(info, location_id)


async def _review(info: Info, location_id: Identifier) -> reviews.Review:
    return await reviews.review(info, location_id)


async def _approvals(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[ApprovalFilter | None, argument("The filter. Null for all.")] = None,
    order_by: Annotated[ApprovalOrder, argument("The sort order.")] = _NEWEST_REQUESTS,
) -> Connection[rows.ApprovalRow]:
    return await lists.approvals(info, first, after, order_by, **conditions(filter))


async def _provisioning_payload(info: Info, id: Identifier) -> rows.ProvisioningPayloadRow:
    return await objects.by_id(info, rows.ProvisioningPayloadRow, id)


async def _provisioning_payloads(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[ProvisioningPayloadFilter | None, argument("The filter. Null for all.")] = None,
    order_by: Annotated[ProvisioningPayloadOrder, argument("The sort order.")] = _OLDEST_PAYLOADS,
) -> Connection[rows.ProvisioningPayloadRow]:
    return await lists.payloads(info, first, after, order_by, **conditions(filter))


async def _audit_log(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[AuditLogFilter | None, argument("The filter. Null for all.")] = None,
    order_by: Annotated[AuditLogOrder, argument("The sort order.")] = _NEWEST_ENTRIES,
) -> Connection[rows.AuditEntryRow]:
    return await lists.audit_entries(info, first, after, order_by, **conditions(filter))


async def _device_models(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    brand: Annotated[DeviceBrand | None, argument("The maker of the models. Null for all makers.")] = None,
) -> Connection[rows.DeviceModelRow]:
    return await lists.device_models(info, first, after, brand)


async def _users(info: Info, first: First = DEFAULT_PAGE, after: After = None) -> Connection[rows.UserRow]:
    return await lists.users(info, first, after)


async def _sessions(
    info: Info,
    user_id: Annotated[strawberry.ID | None, argument("The user. Null for the viewer.")] = None,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[UserSessionFilter | None, argument("The filter. Null for all.")] = None,
) -> Connection[rows.UserSessionRow]:
    return await lists.sessions(info, user_id, first, after, **conditions(filter))


async def _service_tokens(
    info: Info,
    user_id: Annotated[strawberry.ID | None, argument("The user. Null for all users.")] = None,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[ServiceTokenFilter | None, argument("The filter. Null for all.")] = None,
) -> Connection[rows.ServiceTokenRow]:
    return await lists.service_tokens(info, user_id, first, after, **conditions(filter))


async def _invitations(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[InvitationFilter | None, argument("The filter. Null for all.")] = None,
) -> Connection[rows.InvitationRow]:
    return await lists.invitations(info, first, after, **conditions(filter))


_OF_LOCATION = "Null, with the error NOT_FOUND, if the location does not exist or is not visible to the viewer."


@strawberry.type(
    description="The root of all reads. Each query reads one consistent snapshot. Objects that are not visible to "
    "the viewer are treated as missing."
)
class Query:
    viewer: ViewerType = computed(viewer_resolvers.me, "The signed-in user.")
    rate_limits: list[RateLimitType] | None = computed(
        viewer_resolvers.rate_limits,
        "The viewer's budgets. Null, with the error UNAVAILABLE, while they cannot be counted; writes are then "
        "refused.",
        most=len(Budget),
    )
    node: Node | None = strawberry.field(
        resolver=_node,
        description="An object of any type, by its id. Null, with the error NOT_FOUND, if it does not exist or is "
        "not visible to the viewer.",
        extensions=guarded(CanViewTypeOfId),
    )
    nodes: list[Node | None] = strawberry.field(
        resolver=_nodes,
        description="The objects of any types with these ids, in their order; one that is named twice is returned "
        "twice. Null in place of each object that does not exist, is not visible to the viewer, or has a type that "
        "the viewer's role does not include. The first null of each cause has the error, NOT_FOUND or FORBIDDEN, and "
        "its `indexes` are those of all nulls of that cause.",
        metadata={JUDGES_EACH_ID: True},
    )
    accounts: ConnectionType[AccountType] | None = computed(
        _accounts, "The accounts that are visible to the viewer, ordered by name.", needs=Action.VIEW_ACCOUNTS
    )
    account: AccountType | None = computed(
        _account,
        "An account, by its id. Null, with the error NOT_FOUND, if it does not exist or is not visible to the viewer.",
        needs=Action.VIEW_ACCOUNTS,
    )
    location: LocationType | None = computed(
        _location,
        "A location, by its id. Null, with the error NOT_FOUND, if it does not exist or is not visible to the viewer.",
        needs=Action.VIEW_LOCATIONS,
    )
    locations: ConnectionType[LocationType] | None = computed(
        _locations,
        "The locations that are visible to the viewer: all for leads of all accounts, the granted ones for others.",
        needs=Action.VIEW_LOCATIONS,
    )
    status_counts: list[LocationStatusCountType] | None = computed(
        _status_counts,
        "The number of visible locations in each status, test locations included, in the order of the statuses. Every "
        "status is listed.",
        needs=Action.VIEW_LOCATIONS,
        size=len(LocationStatus),
        most=len(LocationStatus),
        price=COUNT_PRICE,
    )
    onboarding_session: OnboardingSessionType | None = computed(
        _onboarding_session,
        "An onboarding session, by its id. Null, with the error NOT_FOUND, if it does not exist or is "
        "not visible to the viewer.",
        needs=Action.VIEW_LOCATIONS,
    )
    readiness: list[IssueType] | None = computed(
        _readiness,
        "All issues of the content of a location, found in one pass. Submission checks the same rules. " + _OF_LOCATION,
        most=OF_CONTENT,
        needs=Action.VIEW_LOCATIONS,
    )
    review: ReviewType | None = computed(
        _review, f"{REVIEW} {_OF_LOCATION}", needs=Action.VIEW_LOCATIONS, price=REVIEW_PRICE
    )
    approvals: ConnectionType[ApprovalType] | None = computed(
        _approvals,
        "The requests for approval that are visible to the viewer.",
        needs=Action.VIEW_LOCATIONS,
    )
    provisioning_payload: ProvisioningPayloadType | None = computed(
        _provisioning_payload,
        "A provisioning payload, by its id. Null, with the error NOT_FOUND, if it does not exist or is "
        "not visible to the viewer.",
        needs=Action.VIEW_PROVISIONING,
    )
    provisioning_payloads: ConnectionType[ProvisioningPayloadType] | None = computed(
        _provisioning_payloads,
        "The provisioning payloads: all for leads, those that were released to them for partners. Partners poll with "
        "`awaitingReceipt: true`, and with `updatedSince` to find those that changed.",
        needs=Action.VIEW_PROVISIONING,
    )
    audit_log: ConnectionType[AuditEntryType] | None = computed(
        _audit_log,
        "The entries of the audit log: all for auditors and leads of all accounts, those of the granted "
        "accounts for other leads.",
        needs=Action.VIEW_AUDIT,
    )
    device_models: ConnectionType[DeviceModelType] | None = computed(
        _device_models,
        "The models of the device catalogue, ordered by id. Visible to customers and leads.",
        needs=Action.VIEW_CATALOGUE,
    )
    users: ConnectionType[UserType] | None = computed(
        _users, "All users, ordered by id. Visible to leads of all accounts.", needs=Action.ADMINISTER
    )
    sessions: ConnectionType[UserSessionType] | None = computed(
        _sessions,
        "The sessions of a user, newest first, until 30 days after `expiresAt`: the viewer's own, or those of any user "
        "for leads of all accounts. Others see none of another user.",
        needs=Action.MANAGE_OWN_SESSIONS,
    )
    service_tokens: ConnectionType[ServiceTokenType] | None = computed(
        _service_tokens,
        "The service tokens, newest first, until a year after they were revoked or expired: of all users for leads of "
        "all accounts, the viewer's own for others. Not visible to service tokens.",
        needs=Action.MANAGE_OWN_SESSIONS,
    )
    invitations: ConnectionType[InvitationType] | None = computed(
        _invitations,
        "The invitations, accepted, revoked and expired ones included, ordered by id. Visible to leads of all "
        "accounts.",
        needs=Action.ADMINISTER,
    )
