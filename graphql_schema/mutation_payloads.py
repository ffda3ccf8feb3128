"""What mutations return: the objects concerned, read after the commit, or the problems; never both."""

import strawberry

from app.db import tables
from app.domain.limits import CAPS
from app.domain.vocabulary import BulkOutcome
from app.query_cost.price import ASSUMED_SIZE
from graphql_schema.fields import field, shows
from graphql_schema.problems import Problem
from graphql_schema.types import (
    AccountType,
    ApprovalType,
    DeviceType,
    LocationType,
    OverrideType,
    PersonType,
    ProvisioningPayloadType,
    UserType,
)
from resolvers.mutations import BulkItemValue, BulkMutationResult, MutationResult, OutcomeCounts
from resolvers.relations import named, one


@shows(MutationResult, "What a mutation of a location came to.")
class LocationPayload:
    location: LocationType | None = named(tables.location, "The location after the change; null when refused.")
    replayed: bool = field("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = field("Why it was refused; empty when it was done.")


@shows(MutationResult, "What a mutation of a device came to.")
class DevicePayload(LocationPayload):
    device: DeviceType | None = named(tables.device, "The device after the change; null when refused.")


@shows(MutationResult, "What a mutation of a person came to.")
class PersonPayload(LocationPayload):
    person: PersonType | None = named(tables.person, "The person after the change; null when refused.")


@shows(MutationResult, "What a decision about an approval came to.")
class ApprovalPayload(LocationPayload):
    approval: ApprovalType | None = named(tables.approval, "The request for approval; null when refused.")


@shows(MutationResult, "What a mutation of an override came to.")
class OverridePayload(LocationPayload):
    override: OverrideType | None = named(tables.override, "The override; null when refused.")


@shows(MutationResult, "What a mutation of a provisioning payload came to.")
class ProvisioningPayloadPayload:
    payload: ProvisioningPayloadType | None = named(
        tables.provisioning_payload, "The provisioning payload after the change; null when refused."
    )
    replayed: bool = field("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = field("Why it was refused; empty when it was done.")


@shows(MutationResult, "What a lead's mutation of a provisioning payload came to.")
class LeadProvisioningPayload(ProvisioningPayloadPayload):
    location: LocationType | None = named(tables.location, "The location after the change; null when refused.")


@shows(BulkItemValue, "What became of one item of a bulk mutation.")
class BulkItemResult:
    index: int = field("The item's place in the input, from 0.")
    id: strawberry.ID = field("The location's id as it was sent.")
    outcome: BulkOutcome = field("Whether it was done, was done already, or was refused.")
    problem: Problem | None = field("Why it was refused; null otherwise.")
    location: LocationType | None = one(
        tables.location.c.id, "The location after the change; null when it is out of reach.", key="id"
    )
    payload: ProvisioningPayloadType | None = one(
        tables.provisioning_payload.c.id,
        "The payload that was made or released; null for other mutations and when refused.",
        key="payload_id",
    )


@shows(OutcomeCounts, "How many items came to what.")
class BulkSummary:
    applied: int = field("Items that were done.")
    unchanged: int = field("Items that were done already, or left because another one was refused.")
    failed: int = field("Items that were refused.")


@shows(BulkMutationResult, "What a bulk mutation came to.")
class BulkPayload:
    results: list[BulkItemResult] = strawberry.field(
        description="One for each item, in the order of the input; empty when refused whole.",
        metadata={ASSUMED_SIZE: CAPS["bulkUpdateStatus"]},
    )
    summary: BulkSummary = field("How many items came to what.")
    dry_run: bool = field("Whether it only told what would be done.")
    replayed: bool = field("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = field("Why the call as a whole was refused; empty otherwise.")


@shows(MutationResult, "What a mutation of an account came to.")
class AccountPayload:
    account: AccountType | None = named(tables.account, "The account after the change; null when refused.")
    replayed: bool = field("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = field("Why it was refused; empty when it was done.")


@shows(MutationResult, "What a mutation of a user came to.")
class UserPayload:
    user: UserType | None = named(tables.user, "The user after the change; null when refused.")
    replayed: bool = field("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = field("Why it was refused; empty when it was done.")


@shows(MutationResult, "What a change of the device catalogue came to; `deviceModels` lists it.")
class CataloguePayload:
    replayed: bool = field("Whether an earlier call with the same idempotency key had done it.")
    problems: list[Problem] = field("Why it was refused; empty when it was done.")
