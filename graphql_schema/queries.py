"""The root fields that read. Each names its guard and makes one call."""

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
    description="Reading. Every query is one consistent snapshot; what is out of reach looks like missing."
)
class Query:
    viewer: ViewerType = computed(viewer_resolvers.me, "Who is signed in.")
    rate_limits: list[RateLimitType] | None = computed(
        viewer_resolvers.rate_limits,
        "The viewer's budgets. UNAVAILABLE, and null, while they cannot be counted; then writes are refused.",
    )

    @strawberry.field(
        description="Any object by its id. NOT_FOUND, and null, when it is missing or out of reach.",
        extensions=guarded(CanViewTypeOfId),
    )
    async def node(self, info: Info, id: Identifier) -> Node | None:
        row: Node = await objects.by_prefix(info, id)
        return row

    @strawberry.field(description="The accounts in reach, by name.", extensions=VIEW_ACCOUNTS)
    async def accounts(
        self, info: Info, first: First = DEFAULT_PAGE, after: After = None
    ) -> ConnectionType[AccountType] | None:
        return found(await lists.accounts(info, first, after))

    @strawberry.field(
        description="An account. NOT_FOUND, and null, when it is missing or out of reach.", extensions=VIEW_ACCOUNTS
    )
    async def account(self, info: Info, id: Identifier) -> AccountType | None:
        row: AccountType = await objects.by_type(info, "Account", id)
        return row

    @strawberry.field(
        description="A location. NOT_FOUND, and null, when it is missing or out of reach.", extensions=VIEW_LOCATIONS
    )
    async def location(self, info: Info, id: Identifier) -> LocationType | None:
        row: LocationType = await objects.by_type(info, "Location", id)
        return row

    @strawberry.field(
        description="The locations in reach: all for leads, the granted ones for customers.", extensions=VIEW_LOCATIONS
    )
    async def locations(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        filter: Annotated[LocationFilter | None, argument("Which to list; null for all.")] = None,
        order_by: Annotated[LocationOrder, argument("In which order.")] = LocationOrder.NAME,
    ) -> ConnectionType[LocationType] | None:
        return found(await lists.locations(info, first, after, order_by, **conditions(filter)))

    @strawberry.field(
        description="An onboarding session. NOT_FOUND, and null, when it is missing or out of reach.",
        extensions=VIEW_LOCATIONS,
    )
    async def onboarding_session(self, info: Info, id: Identifier) -> OnboardingSessionType | None:
        row: OnboardingSessionType = await objects.by_type(info, "OnboardingSession", id)
        return row

    @strawberry.field(
        description="Every finding about a location's content, all at once; the submission asks the same rules.",
        extensions=VIEW_LOCATIONS,
    )
    async def readiness(self, info: Info, location_id: Identifier) -> list[IssueType] | None:
        return found(await reviews.readiness(info, location_id))

    @strawberry.field(
        description="What a lead approves: the current content's digest, and what is new since the last approval.",
        extensions=VIEW_LOCATIONS,
    )
    async def review(self, info: Info, location_id: Identifier) -> ReviewType | None:
        return found(await reviews.review(info, location_id))

    @strawberry.field(description="Requests for approval in reach, newest first.", extensions=VIEW_LOCATIONS)
    async def approvals(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        filter: Annotated[ApprovalFilter | None, argument("Which to list; null for all.")] = None,
    ) -> ConnectionType[ApprovalType] | None:
        return found(await lists.approvals(info, first, after, **conditions(filter)))

    @strawberry.field(
        description="A provisioning payload. NOT_FOUND, and null, when it is missing or out of reach.",
        extensions=VIEW_PROVISIONING,
    )
    async def provisioning_payload(self, info: Info, id: Identifier) -> ProvisioningPayloadType | None:
        row: ProvisioningPayloadType = await objects.by_type(info, "ProvisioningPayload", id)
        return row

    @strawberry.field(
        description="Provisioning payloads, oldest first: all for leads, the released ones of their accounts for "
        "partners, who poll with `awaitingReceipt: true`.",
        extensions=VIEW_PROVISIONING,
    )
    async def provisioning_payloads(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        filter: Annotated[ProvisioningPayloadFilter | None, argument("Which to list; null for all.")] = None,
    ) -> ConnectionType[ProvisioningPayloadType] | None:
        return found(await lists.payloads(info, first, after, **conditions(filter)))

    @strawberry.field(description="The audit trail, newest first. Leads only.", extensions=VIEW_AUDIT)
    async def audit_log(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        filter: Annotated[AuditLogFilter | None, argument("Which to list; null for all.")] = None,
    ) -> ConnectionType[AuditEntryType] | None:
        return found(await lists.audit_entries(info, first, after, **conditions(filter)))

    @strawberry.field(description="The device catalogue.", extensions=VIEW_CATALOGUE)
    async def device_models(
        self,
        info: Info,
        first: First = DEFAULT_PAGE,
        after: After = None,
        brand: Annotated[DeviceBrand | None, argument("Of this maker; null for all.")] = None,
    ) -> ConnectionType[DeviceModelType] | None:
        return found(await lists.device_models(info, first, after, brand))

    @strawberry.field(description="Everybody who signs in, by id. Leads only.", extensions=ADMINISTER)
    async def users(
        self, info: Info, first: First = DEFAULT_PAGE, after: After = None
    ) -> ConnectionType[UserType] | None:
        return found(await lists.users(info, first, after))


def found(value: Any) -> Any:
    """A row or value, which stands for whatever type the field's annotation says."""
    return value


def conditions(filter: Any) -> dict[str, Any]:
    """A filter's conditions by name; none for no filter."""
    return {} if filter is None else vars(filter)
