"""The root fields of queries: their guards, and resolvers whose rows are compared with the types of the fields."""

from collections.abc import Sequence
from typing import Annotated, Any

import strawberry

from app.db import rows
from app.domain.issue import Issue
from app.domain.vocabulary import DeviceBrand
from graphql_schema.connections import ConnectionType
from graphql_schema.fields import After, First, Identifier, argument, computed
from graphql_schema.inputs import ApprovalFilter, AuditLogFilter, LocationFilter, ProvisioningPayloadFilter
from graphql_schema.problems import IssueType
from graphql_schema.types import (
    AccountType,
    ApprovalType,
    AuditEntryType,
    DeviceModelType,
    LocationType,
    Node,
    OnboardingSessionType,
    ProvisioningPayloadType,
    RateLimitType,
    ReviewType,
    UserType,
    ViewerType,
)
from permissions.guards import CanViewTypeOfId, guarded
from permissions.matrix import Action
from resolvers import lists, objects
from resolvers import review as reviews
from resolvers import viewer as viewer_resolvers
from resolvers.context import Info
from resolvers.lists import LocationOrder, PayloadOrder
from resolvers.paging import DEFAULT_PAGE, Connection


async def _node(info: Info, id: Identifier) -> Any:
    return await objects.by_prefix(info, id)


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
    order_by: Annotated[LocationOrder, argument("The sort order.")] = LocationOrder.NAME,
) -> Connection[rows.LocationRow]:
    return await lists.locations(info, first, after, order_by, **conditions(filter))


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
) -> Connection[rows.ApprovalRow]:
    return await lists.approvals(info, first, after, **conditions(filter))


async def _provisioning_payload(info: Info, id: Identifier) -> rows.ProvisioningPayloadRow:
    return await objects.by_id(info, rows.ProvisioningPayloadRow, id)


async def _provisioning_payloads(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[ProvisioningPayloadFilter | None, argument("The filter. Null for all.")] = None,
    order_by: Annotated[PayloadOrder, argument("The sort order.")] = PayloadOrder.GENERATED,
) -> Connection[rows.ProvisioningPayloadRow]:
    return await lists.payloads(info, first, after, order_by, **conditions(filter))


async def _audit_log(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    filter: Annotated[AuditLogFilter | None, argument("The filter. Null for all.")] = None,
) -> Connection[rows.AuditEntryRow]:
    return await lists.audit_entries(info, first, after, **conditions(filter))


async def _device_models(
    info: Info,
    first: First = DEFAULT_PAGE,
    after: After = None,
    brand: Annotated[DeviceBrand | None, argument("The maker of the models. Null for all makers.")] = None,
) -> Connection[rows.DeviceModelRow]:
    return await lists.device_models(info, first, after, brand)


async def _users(info: Info, first: First = DEFAULT_PAGE, after: After = None) -> Connection[rows.UserRow]:
    return await lists.users(info, first, after)


def conditions(filter: Any) -> dict[str, Any]:
    """The conditions of a filter by name; empty without a filter."""
    return {} if filter is None else vars(filter)


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
    )
    node: Node | None = strawberry.field(
        resolver=_node,
        description="An object of any type, by its id. Null, with the error NOT_FOUND, if it does not exist or is "
        "not visible to the viewer.",
        extensions=guarded(CanViewTypeOfId),
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
    onboarding_session: OnboardingSessionType | None = computed(
        _onboarding_session,
        "An onboarding session, by its id. Null, with the error NOT_FOUND, if it does not exist or is "
        "not visible to the viewer.",
        needs=Action.VIEW_LOCATIONS,
    )
    readiness: list[IssueType] | None = computed(
        _readiness,
        "All issues of the content of a location, found in one pass. Submission checks the same rules.",
        needs=Action.VIEW_LOCATIONS,
    )
    review: ReviewType | None = computed(
        _review,
        "The content that a lead approves: its digest, and its changes since the last approval.",
        needs=Action.VIEW_LOCATIONS,
    )
    approvals: ConnectionType[ApprovalType] | None = computed(
        _approvals,
        "The requests for approval that are visible to the viewer, newest first.",
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
        "The entries of the audit log, newest first: all for auditors and leads of all accounts, those of the granted "
        "accounts for other leads.",
        needs=Action.VIEW_AUDIT,
    )
    device_models: ConnectionType[DeviceModelType] | None = computed(
        _device_models, "The models of the device catalogue.", needs=Action.VIEW_CATALOGUE
    )
    users: ConnectionType[UserType] | None = computed(
        _users, "All users, ordered by id. Visible to leads of all accounts.", needs=Action.ADMINISTER
    )
