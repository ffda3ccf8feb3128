"""The payloads of mutations: either the objects concerned, read after the commit, or the problems."""

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
    DeviceModelType,
    DeviceType,
    LocationType,
    OverrideType,
    PersonType,
    ProvisioningPayloadType,
    ReceiptType,
    UserType,
)
from resolvers.mutations import BulkItemValue, BulkMutationResult, MutationResult, OutcomeCounts
from resolvers.relations import named, one


@shows(MutationResult, "Result of a location mutation.")
class LocationPayload:
    location: LocationType | None = named(
        tables.location, "The location after the change. Null if the mutation was refused."
    )
    replayed: bool = field("Whether an earlier call with the same idempotency key made the change.")
    problems: list[Problem] = field("The reasons for a refusal. Empty if the mutation was applied.")


@shows(MutationResult, "Result of a device mutation.")
class DevicePayload(LocationPayload):
    device: DeviceType | None = named(tables.device, "The device after the change. Null if the mutation was refused.")


@shows(MutationResult, "Result of a person mutation.")
class PersonPayload(LocationPayload):
    person: PersonType | None = named(tables.person, "The person after the change. Null if the mutation was refused.")


@shows(MutationResult, "Result of an approval mutation.")
class ApprovalPayload(LocationPayload):
    approval: ApprovalType | None = named(
        tables.approval, "The request for approval. Null if the mutation was refused."
    )


@shows(MutationResult, "Result of an override mutation.")
class OverridePayload(LocationPayload):
    override: OverrideType | None = named(tables.override, "The override. Null if the mutation was refused.")


@shows(MutationResult, "Result of the replacement of a device.")
class ReplaceDevicePayload(DevicePayload):
    override: OverrideType | None = named(
        tables.override, "The override under which the device was changed. Null if the mutation was refused."
    )


@shows(MutationResult, "Result of a provisioning payload mutation.")
class ProvisioningPayloadPayload:
    payload: ProvisioningPayloadType | None = named(
        tables.provisioning_payload, "The provisioning payload after the change. Null if the mutation was refused."
    )
    replayed: bool = field("Whether an earlier call with the same idempotency key made the change.")
    problems: list[Problem] = field("The reasons for a refusal. Empty if the mutation was applied.")


@shows(MutationResult, "Result of a partner's answer to a payload.")
class ReceiptPayload(ProvisioningPayloadPayload):
    receipt: ReceiptType | None = named(
        tables.receipt, "The partner's receipt; of a repeated answer, the first one. Null if the mutation was refused."
    )


@shows(MutationResult, "Result of a provisioning payload mutation by a lead.")
class LeadProvisioningPayload(ProvisioningPayloadPayload):
    location: LocationType | None = named(
        tables.location, "The location after the change. Null if the mutation was refused."
    )


@shows(BulkItemValue, "Result of one item of a bulk mutation.")
class BulkItemResult:
    index: int = field("The position of the item in the input, starting at 0.")
    id: strawberry.ID = field("The id of the location, as it was sent.")
    outcome: BulkOutcome = field("The outcome: the item was applied, was not changed, or was refused.")
    problem: Problem | None = field("The reason for a refusal. Null if the item was not refused.")
    location: LocationType | None = one(
        tables.location.c.id, "The location after the change. Null if it is not visible to the viewer.", key="id"
    )
    payload: ProvisioningPayloadType | None = one(
        tables.provisioning_payload.c.id,
        "The payload that was generated or released. Null for other mutations, and if the item was refused.",
        key="payload_id",
    )


@shows(OutcomeCounts, "The number of items with each outcome.")
class BulkSummary:
    applied: int = field("The number of items that were applied.")
    unchanged: int = field(
        "The number of items that needed no change, or were not applied because another item was refused."
    )
    failed: int = field("The number of items that were refused.")


@shows(BulkMutationResult, "Result of a bulk mutation.")
class BulkPayload:
    results: list[BulkItemResult] = strawberry.field(
        description="One result per item, in the order of the input. Empty if the whole call was refused.",
        metadata={ASSUMED_SIZE: CAPS["bulkUpdateStatus"]},
    )
    summary: BulkSummary = field("The number of items with each outcome.")
    dry_run: bool = field("Whether the call was a dry run, which only reports what the mutation would do.")
    replayed: bool = field("Whether an earlier call with the same idempotency key made the change.")
    problems: list[Problem] = field("The reasons why the whole call was refused. Empty otherwise.")


@shows(MutationResult, "Result of an account mutation.")
class AccountPayload:
    account: AccountType | None = named(
        tables.account, "The account after the change. Null if the mutation was refused."
    )
    replayed: bool = field("Whether an earlier call with the same idempotency key made the change.")
    problems: list[Problem] = field("The reasons for a refusal. Empty if the mutation was applied.")


@shows(MutationResult, "Result of a user mutation.")
class UserPayload:
    user: UserType | None = named(tables.user, "The user after the change. Null if the mutation was refused.")
    replayed: bool = field("Whether an earlier call with the same idempotency key made the change.")
    problems: list[Problem] = field("The reasons for a refusal. Empty if the mutation was applied.")


@shows(MutationResult, "Result of a mutation of one model of the device catalogue.")
class DeviceModelPayload:
    device_model: DeviceModelType | None = named(
        tables.device_model, "The model after the change. Null if the mutation was refused."
    )
    replayed: bool = field("Whether an earlier call with the same idempotency key made the change.")
    problems: list[Problem] = field("The reasons for a refusal. Empty if the mutation was applied.")


@shows(MutationResult, "Result of a device catalogue mutation. `deviceModels` lists the catalogue.")
class CataloguePayload:
    replayed: bool = field("Whether an earlier call with the same idempotency key made the change.")
    problems: list[Problem] = field("The reasons for a refusal. Empty if the mutation was applied.")
