"""What queries take beside plain arguments."""

from datetime import datetime

import strawberry

from app.domain.vocabulary import ApprovalStatus, LocationStatus, PayloadState
from app.domain.waiting import Awaiting
from graphql_schema.fields import optional


@strawberry.input(description="Which locations to list; every condition given has to hold.")
class LocationFilter:
    status: list[LocationStatus] | None = optional("In one of these statuses.")
    account_id: strawberry.ID | None = optional("Of this account.")
    name: str | None = optional("Whose name contains this text, upper or lower case.")
    updated_since: datetime | None = optional("Changed at or after this time; the time needs its offset from UTC.")
    awaiting: Awaiting | None = optional("Whose move it is.")


@strawberry.input(description="Which provisioning payloads to list; every condition given has to hold.")
class ProvisioningPayloadFilter:
    state: list[PayloadState] | None = optional("In one of these states.")
    awaiting_receipt: bool | None = optional("Whether it is released and neither acknowledged nor rejected.")
    location_id: strawberry.ID | None = optional("Of this location.")


@strawberry.input(description="Which requests for approval to list; every condition given has to hold.")
class ApprovalFilter:
    status: list[ApprovalStatus] | None = optional("In one of these statuses.")
    location_id: strawberry.ID | None = optional("Of this location.")


@strawberry.input(description="Which audit entries to list; every condition given has to hold, to the letter.")
class AuditLogFilter:
    account_id: strawberry.ID | None = optional("About this account.")
    location_id: strawberry.ID | None = optional("About this location.")
    actor_id: strawberry.ID | None = optional("By this user.")
    action: str | None = optional("Of this action.")
    request_id: str | None = optional("Of the request with this `X-Request-Id`.")
    override_id: strawberry.ID | None = optional("Made under this override.")
    is_override: bool | None = optional(
        "Whether it counts as an override, as `AuditEntry.isOverride` says; of entries where that is null, those made "
        "under one do."
    )
    since: datetime | None = optional("Made at or after this time; the time needs its offset from UTC.")
    until: datetime | None = optional("Made before this time; the time needs its offset from UTC.")
