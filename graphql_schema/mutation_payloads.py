"""What mutations return: the objects concerned, read after the commit, or the problems; never both."""

import strawberry

from app.db import tables
from app.domain.limits import CAPS
from app.operations.bulk import BulkOutcome
from app.query_cost.price import ASSUMED_SIZE
from graphql_schema.fields import column
from graphql_schema.problems import Problem
from graphql_schema.types import (
    Account,
    Approval,
    Device,
    Location,
    Override,
    Person,
    ProvisioningPayload,
    User,
)
from resolvers.relations import named, one


@strawberry.type(description="What a mutation of a location came to.")
class LocationPayload:
    location: Location | None = named(tables.location, "The location after the change; null when refused.")
    replayed: bool = column("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = column("Why it was refused; empty when it was done.")


@strawberry.type(description="What a mutation of a device came to.")
class DevicePayload(LocationPayload):
    device: Device | None = named(tables.device, "The device after the change; null when refused.")


@strawberry.type(description="What a mutation of a person came to.")
class PersonPayload(LocationPayload):
    person: Person | None = named(tables.person, "The person after the change; null when refused.")


@strawberry.type(description="What a decision about an approval came to.")
class ApprovalPayload(LocationPayload):
    approval: Approval | None = named(tables.approval, "The request for approval; null when refused.")


@strawberry.type(description="What a mutation of an override came to.")
class OverridePayload(LocationPayload):
    override: Override | None = named(tables.override, "The override; null when refused.")


@strawberry.type(description="What a mutation of a provisioning payload came to.")
class ProvisioningPayloadPayload:
    payload: ProvisioningPayload | None = named(
        tables.provisioning_payload, "The provisioning payload after the change; null when refused."
    )
    replayed: bool = column("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = column("Why it was refused; empty when it was done.")


@strawberry.type(description="What a lead's mutation of a provisioning payload came to.")
class LeadProvisioningPayload(ProvisioningPayloadPayload):
    location: Location | None = named(tables.location, "The location after the change; null when refused.")


@strawberry.type(description="What became of one item of a bulk mutation.")
class BulkItemResult:
    index: int = column("The item's place in the input, from 0.")
    id: strawberry.ID = column("The location's id as it was sent.")
    outcome: BulkOutcome = column("Whether it was done, was done already, or was refused.")
    problem: Problem | None = column("Why it was refused; null otherwise.")
    location: Location | None = one(
        tables.location.c.id, "The location after the change; null when it is out of reach.", key="id"
    )
    payload: ProvisioningPayload | None = one(
        tables.provisioning_payload.c.id,
        "The payload that was made or released; null for other mutations and when refused.",
        key="payload_id",
    )


@strawberry.type(description="How many items came to what.")
class BulkSummary:
    applied: int = column("Items that were done.")
    unchanged: int = column("Items that were done already, or left because another one was refused.")
    failed: int = column("Items that were refused.")


@strawberry.type(description="What a bulk mutation came to.")
class BulkPayload:
    results: list[BulkItemResult] = strawberry.field(
        description="One for each item, in the order of the input; empty when refused whole.",
        metadata={ASSUMED_SIZE: CAPS["bulkUpdateStatus"]},
    )
    summary: BulkSummary = column("How many items came to what.")
    dry_run: bool = column("Whether it only told what would be done.")
    replayed: bool = column("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = column("Why the call as a whole was refused; empty otherwise.")


@strawberry.type(description="What a mutation of an account came to.")
class AccountPayload:
    account: Account | None = named(tables.account, "The account after the change; null when refused.")
    replayed: bool = column("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = column("Why it was refused; empty when it was done.")


@strawberry.type(description="What a mutation of a user came to.")
class UserPayload:
    user: User | None = named(tables.user, "The user after the change; null when refused.")
    replayed: bool = column("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = column("Why it was refused; empty when it was done.")


@strawberry.type(description="What a change of the device catalogue came to; `deviceModels` lists it.")
class CataloguePayload:
    replayed: bool = column("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = column("Why it was refused; empty when it was done.")
