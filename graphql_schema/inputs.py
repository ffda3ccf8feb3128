"""The filters and the orders of queries."""

from datetime import datetime

import strawberry

from app.domain.vocabulary import ApprovalStatus, LocationStatus, PayloadState
from app.domain.waiting import Awaiting
from app.operations.audit_names import AuditAction
from graphql_schema import fields
from graphql_schema.fields import optional
from resolvers.lists import (
    DECISIONS_PRICE,
    ApprovalOrderField,
    AuditLogOrderField,
    LocationOrderField,
    OrderDirection,
    ProvisioningPayloadOrderField,
    ViewerCan,
)

CHARGED = f"Each such list is charged {DECISIONS_PRICE:,} objects of the budget OBJECTS, beside what it returns."


@strawberry.input(description="The locations to list. All given conditions must hold.")
class LocationFilter:
    status: list[LocationStatus] | None = optional("Locations in one of these statuses.")
    account_id: strawberry.ID | None = optional("Locations of this account.")
    name: str | None = optional("Locations whose name contains this text, ignoring case.")
    updated_since: datetime | None = optional("Locations that changed at or after this time.")
    test: bool | None = optional("Whether the locations are for a partner's tests.")
    awaiting: Awaiting | None = optional("Locations on which this role has to act next.")
    viewer_can: ViewerCan | None = optional(f"Locations on which the viewer can take this action now. {CHARGED}")


@strawberry.input(description="The provisioning payloads to list. All given conditions must hold.")
class ProvisioningPayloadFilter:
    state: list[PayloadState] | None = optional("Payloads in one of these states.")
    awaiting_receipt: bool | None = optional(
        "For a partner: whether the payload awaits the partner's own receipt. For a lead: whether it awaits a required "
        "one. A receipt that a lead waived is not awaited."
    )
    location_id: strawberry.ID | None = optional("Payloads of this location.")
    updated_since: datetime | None = optional(
        "Payloads that changed at or after this time, as in `ProvisioningPayload.updatedAt`. The time requires an "
        "offset from UTC. A change can become visible up to the time limit of a request (15 seconds by default) after "
        "its time, so repeat the last minute with each poll."
    )


@strawberry.input(description="The requests for approval to list. All given conditions must hold.")
class ApprovalFilter:
    review_status: list[ApprovalStatus] | None = optional("Requests in one of these statuses.")
    location_id: strawberry.ID | None = optional("Requests for this location.")
    account_id: strawberry.ID | None = optional("Requests for locations of this account.")
    requested_before: datetime | None = optional("Requests made before this time.")
    viewer_can: ViewerCan | None = optional(
        "Requests for locations on which the viewer can take this action now. With APPROVE, they are PENDING. "
        f"{CHARGED}"
    )


@strawberry.input(
    description="The audit entries to list. All given conditions must hold, and texts are compared exactly."
)
class AuditLogFilter:
    account_id: strawberry.ID | None = optional("Entries about this account.")
    location_id: strawberry.ID | None = optional("Entries about this location.")
    actor_id: strawberry.ID | None = optional("Entries of actions by this user.")
    action: AuditAction | None = optional("Entries of this action.")
    request_id: str | None = optional("Entries of the request whose response had this `X-Request-Id`.")
    client_request_id: str | None = optional("Entries of the requests for which the client sent this `X-Request-Id`.")
    override_id: strawberry.ID | None = optional("Entries of writes made under this override.")
    is_override: bool | None = optional(
        "Whether the entry counts as an override, as in `AuditEntry.isOverride`. Entries where that is null count if "
        "they were made under an override."
    )
    since: datetime | None = optional("Entries made at or after this time.")
    until: datetime | None = optional("Entries made before this time.")


@strawberry.input(description="The sessions to list. All given conditions must hold.")
class UserSessionFilter:
    is_open: bool | None = optional("Whether the session can be used: it neither was ended nor has expired.")


@strawberry.input(description="The service tokens to list. All given conditions must hold.")
class ServiceTokenFilter:
    prefix: str | None = optional("Exactly this prefix: the 8 characters after `turnup_` in the token.")
    expires_before: datetime | None = optional("Tokens that expire before this time, also in the past.")
    is_valid: bool | None = optional("Whether the token was neither revoked nor has expired.")


@strawberry.input(description="The invitations to list.")
class InvitationFilter:
    is_open: bool | None = optional(
        "Whether the person can still accept: the invitation was neither accepted nor revoked, and has not expired."
    )


@strawberry.input(description="The order in which locations are listed.")
class LocationOrder:
    field: LocationOrderField = fields.field("What to order by.")
    direction: OrderDirection = fields.field("The direction.")


BY_NAME = LocationOrder(field=LocationOrderField.NAME, direction=OrderDirection.ASC)


@strawberry.input(description="The order in which provisioning payloads are listed.")
class ProvisioningPayloadOrder:
    field: ProvisioningPayloadOrderField = fields.field("What to order by.")
    direction: OrderDirection = fields.field("The direction.")


@strawberry.input(description="The order in which requests for approval are listed.")
class ApprovalOrder:
    field: ApprovalOrderField = fields.field("What to order by.")
    direction: OrderDirection = fields.field("The direction.")


@strawberry.input(description="The order in which audit entries are listed.")
class AuditLogOrder:
    field: AuditLogOrderField = fields.field("What to order by.")
    direction: OrderDirection = fields.field("The direction.")
