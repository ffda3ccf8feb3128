"""The root fields of queries. Each declares its guard and makes one call."""

from typing import Annotated, Any

import strawberry

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
from permissions.guards import CanViewTypeOfId, can, guarded
from permissions.matrix import Action
from resolvers import lists, objects
from resolvers import review as reviews
from resolvers import viewer as viewer_resolvers
from resolvers.context import Info
from resolvers.lists import LocationOrder
from resolvers.paging import DEFAULT_PAGE

VIEW_ACCOUNTS = guarded(can(Action.VIEW_ACCOUNTS))
VIEW_LOCATIONS = guarded(can(Action.VIEW_LOCATIONS))
VIEW_PROVISIONING = guarded(can(Action.VIEW_PROVISIONING))
VIEW_AUDIT = guarded(can(Action.VIEW_AUDIT))
VIEW_CATALOGUE = guarded(can(Action.VIEW_CATALOGUE))
ADMINISTER = guarded(can(Action.ADMINISTER))


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

    @strawberry.field(
        description="An object of any type, by its id. Null, with the error NOT_FOUND, if it does not exist or is "
        "not visible to the viewer.",
        extensions=guarded(CanViewTypeOfId),
    )
    async def node(self, info: Info, id: Identifier) -> Node | None:
        row: Node = await objects.by_prefix(info, id)
        return row

    @strawberry.field(
        description="The accounts that are visible to the viewer, ordered by name.", extensions=VIEW_ACCOUNTS
    )
    async def accounts(
        self, info: Info, first: First = DEFAULT_PAGE, after: After = None
    ) -> ConnectionType[AccountType] | None:
        return found(await lists.accounts(info, first, after))

    @strawberry.field(
        description="An account, by its id. Null, with the error NOT_FOUND, if it does not exist or is not visible "
        "to the viewer.",
        extensions=VIEW_ACCOUNTS,
    )
    async def account(self, info: Info, id: Identifier) -> AccountType | None:
        row: AccountType = await objects.by_type(info, "Account", id)
        return row

    @strawberry.field(
        description="A location, by its id. Null, with the error NOT_FOUND, if it does not exist or is not visible "
        "to the viewer.",
        extensions=VIEW_LOCATIONS,
    )
    async def location(self, info: Info, id: Identifier) -> LocationType | None:
        row: LocationType = await objects.by_type(info, "Location", id)
        return row

    @strawberry.field(
        description="The locations that are visible to the viewer: all for leads, the granted ones for customers.",
        extensions=VIEW_LOCATIONS,
    )
    async def locations(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        filter: Annotated[LocationFilter | None, argument("The filter. Null for all.")] = None,
        order_by: Annotated[LocationOrder, argument("The sort order.")] = LocationOrder.NAME,
    ) -> ConnectionType[LocationType] | None:
        return found(await lists.locations(info, first, after, order_by, **conditions(filter)))

    @strawberry.field(
        description="An onboarding session, by its id. Null, with the error NOT_FOUND, if it does not exist or is "
        "not visible to the viewer.",
        extensions=VIEW_LOCATIONS,
    )
    async def onboarding_session(self, info: Info, id: Identifier) -> OnboardingSessionType | None:
        row: OnboardingSessionType = await objects.by_type(info, "OnboardingSession", id)
        return row

    @strawberry.field(
        description="All issues of the content of a location, found in one pass. Submission checks the same rules.",
        extensions=VIEW_LOCATIONS,
    )
    async def readiness(self, info: Info, location_id: Identifier) -> list[IssueType] | None:
        return found(await reviews.readiness(info, location_id))

    @strawberry.field(
        description="The content that a lead approves: its digest, and its changes since the last approval.",
        extensions=VIEW_LOCATIONS,
    )
    async def review(self, info: Info, location_id: Identifier) -> ReviewType | None:
        return found(await reviews.review(info, location_id))

    @strawberry.field(
        description="The requests for approval that are visible to the viewer, newest first.", extensions=VIEW_LOCATIONS
    )
    async def approvals(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        filter: Annotated[ApprovalFilter | None, argument("The filter. Null for all.")] = None,
    ) -> ConnectionType[ApprovalType] | None:
        return found(await lists.approvals(info, first, after, **conditions(filter)))

    @strawberry.field(
        description="A provisioning payload, by its id. Null, with the error NOT_FOUND, if it does not exist or is "
        "not visible to the viewer.",
        extensions=VIEW_PROVISIONING,
    )
    async def provisioning_payload(self, info: Info, id: Identifier) -> ProvisioningPayloadType | None:
        row: ProvisioningPayloadType = await objects.by_type(info, "ProvisioningPayload", id)
        return row

    @strawberry.field(
        description="The provisioning payloads, oldest first: all for leads, the released ones of their accounts for "
        "partners. Partners poll with `awaitingReceipt: true`.",
        extensions=VIEW_PROVISIONING,
    )
    async def provisioning_payloads(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        filter: Annotated[ProvisioningPayloadFilter | None, argument("The filter. Null for all.")] = None,
    ) -> ConnectionType[ProvisioningPayloadType] | None:
        return found(await lists.payloads(info, first, after, **conditions(filter)))

    @strawberry.field(
        description="The entries of the audit log, newest first. Visible to leads only.", extensions=VIEW_AUDIT
    )
    async def audit_log(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        filter: Annotated[AuditLogFilter | None, argument("The filter. Null for all.")] = None,
    ) -> ConnectionType[AuditEntryType] | None:
        return found(await lists.audit_entries(info, first, after, **conditions(filter)))

    @strawberry.field(description="The models of the device catalogue.", extensions=VIEW_CATALOGUE)
    async def device_models(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        brand: Annotated[DeviceBrand | None, argument("The maker of the models. Null for all makers.")] = None,
    ) -> ConnectionType[DeviceModelType] | None:
        return found(await lists.device_models(info, first, after, brand))

    @strawberry.field(description="All users, ordered by id. Visible to leads only.", extensions=ADMINISTER)
    async def users(
        self, info: Info, first: First = DEFAULT_PAGE, after: After = None
    ) -> ConnectionType[UserType] | None:
        return found(await lists.users(info, first, after))


def found(value: Any) -> Any:
    """A row or value, typed as the GraphQL type of the field."""
    return value


def conditions(filter: Any) -> dict[str, Any]:
    """The conditions of a filter by name; empty without a filter."""
    return {} if filter is None else vars(filter)
