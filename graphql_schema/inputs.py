"""The filters of queries."""

from datetime import datetime

import strawberry

from app.domain.vocabulary import ApprovalStatus, LocationStatus, PayloadState
from app.domain.waiting import Awaiting
from graphql_schema.fields import optional


@strawberry.input(description="The locations to list. All given conditions must hold.")
class LocationFilter:
    status: list[LocationStatus] | None = optional("Locations in one of these statuses.")
    account_id: strawberry.ID | None = optional("Locations of this account.")
    name: str | None = optional("Locations whose name contains this text, ignoring case.")
    updated_since: datetime | None = optional(
        "Locations that changed at or after this time. The time requires an offset from UTC."
    )
    test: bool | None = optional("Whether the locations are for a partner's tests.")
    awaiting: Awaiting | None = optional("Locations on which this role has to act next.")


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
    status: list[ApprovalStatus] | None = optional("Requests in one of these statuses.")
    location_id: strawberry.ID | None = optional("Requests for this location.")


@strawberry.input(
    description="The audit entries to list. All given conditions must hold, and texts are compared exactly."
)
class AuditLogFilter:
    account_id: strawberry.ID | None = optional("Entries about this account.")
    location_id: strawberry.ID | None = optional("Entries about this location.")
    actor_id: strawberry.ID | None = optional("Entries of actions by this user.")
    action: str | None = optional("Entries of this action.")
    request_id: str | None = optional("Entries of the request whose response had this `X-Request-Id`.")
    client_request_id: str | None = optional("Entries of the requests for which the client sent this `X-Request-Id`.")
    override_id: strawberry.ID | None = optional("Entries of writes made under this override.")
    is_override: bool | None = optional(
        "Whether the entry counts as an override, as in `AuditEntry.isOverride`. Entries where that is null count if "
        "they were made under an override."
    )
    since: datetime | None = optional("Entries made at or after this time. The time requires an offset from UTC.")
    until: datetime | None = optional("Entries made before this time. The time requires an offset from UTC.")
