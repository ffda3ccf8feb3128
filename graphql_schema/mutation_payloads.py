"""What mutations return: the objects concerned, read after the commit, or the problems; never both."""

import strawberry

from app.db import tables
from graphql_schema.fields import column
from graphql_schema.problems import Problem
from graphql_schema.types import Approval, Device, Location, Override, Person, ProvisioningPayload
from resolvers.relations import named


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
