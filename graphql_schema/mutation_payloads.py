"""The payloads of mutations. Each mutation has a type of its own, made of the fields that FIELDS declares for it.

A payload shows either the objects concerned, read after the commit, or the problems. The payload of a bulk mutation
shows a result for each item, which is a type of its own as well.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import strawberry
from sqlalchemy import Table

from app.db import tables
from app.domain.limits import CAPS
from app.domain.vocabulary import BulkOutcome
from app.operations.bulk_mutations import BulkMutation
from app.operations.mutation import Mutation
from graphql_schema.fields import complete, derived, field, shows
from graphql_schema.problems import Problem
from graphql_schema.types import (
    AccountType,
    ApprovalType,
    DeviceModelType,
    DeviceType,
    InvitationType,
    LocationType,
    OverrideType,
    PersonType,
    ProvisioningPayloadType,
    ReceiptType,
    ServiceTokenType,
    UserType,
)
from resolvers.mutations import BulkItemValue, BulkMutationResult, MutationResult, OutcomeCounts
from resolvers.relations import named, one


class PayloadField(NamedTuple):
    """A field of a payload or of the result of an item: its name, its type, and its declaration."""

    name: str
    type: Any
    declared: Any


Declare = Callable[[str], PayloadField]
"""Makes a field with this description, which says what the mutation did to the object."""


def _object(name: str, type_: Any, table: Table) -> Declare:
    def declare(description: str) -> PayloadField:
        return PayloadField(name, type_ | None, named(table, name, _unless_refused(description)))

    return declare


def _id_alone(kind: str) -> Declare:
    def identifier(result: strawberry.Parent[MutationResult]) -> str | None:
        return result.ids.get(kind)

    def declare(description: str) -> PayloadField:
        return PayloadField(f"{kind}_id", strawberry.ID | None, derived(identifier, _unless_refused(description)))

    return declare


def _secret(name: str) -> Declare:
    def shown(result: strawberry.Parent[MutationResult]) -> str | None:
        return result.secret

    def declare(description: str) -> PayloadField:
        return PayloadField(name, str | None, derived(shown, _unless_refused(description)))

    return declare


def _object_of_item(name: str, type_: Any, table: Table) -> Declare:
    def declare(description: str) -> PayloadField:
        return PayloadField(name, type_ | None, one(table.c.id, description, key=f"{name}_id"))

    return declare


def _unless_refused(description: str) -> str:
    return f"{description} Null if the mutation was refused."


account = _object("account", AccountType, tables.account)
approval = _object("approval", ApprovalType, tables.approval)
device = _object("device", DeviceType, tables.device)
invitation = _object("invitation", InvitationType, tables.invitation)
device_model = _object("device_model", DeviceModelType, tables.device_model)
location = _object("location", LocationType, tables.location)
override = _object("override", OverrideType, tables.override)
payload = _object("payload", ProvisioningPayloadType, tables.provisioning_payload)
person = _object("person", PersonType, tables.person)
service_token = _object("service_token", ServiceTokenType, tables.service_token)
receipt = _object("receipt", ReceiptType, tables.receipt)
user = _object("user", UserType, tables.user)

link = _secret("link")
secret = _secret("secret")

removed_device_id = _id_alone("removed_device")
removed_device_model_id = _id_alone("removed_device_model")
removed_person_id = _id_alone("removed_person")
revoked_session_id = _id_alone("revoked_session")

location_of_item = _object_of_item("location", LocationType, tables.location)
payload_of_item = _object_of_item("payload", ProvisioningPayloadType, tables.provisioning_payload)


@shows(OutcomeCounts, "The number of items with each outcome.")
class BulkSummary:
    applied: int = field("The number of items that were applied.")
    unchanged: int = field(
        "The number of items that needed no change, or were not applied because another item was refused."
    )
    refused: int = field("The number of items that were refused.")


def payload_type(mutation: Mutation[Any], description: str, fields: Sequence[PayloadField]) -> type:
    """The payload type of a mutation, whose field has this description; for a bulk mutation, `fields` are of an item.

    The first sentence of the description says what the mutation does.
    """
    sentence, _, _ = description.partition(". ")
    does = f"`{mutation.name}`, which {sentence[0].lower()}{sentence[1:].removesuffix('.')}."
    result = f"The result of {does}"
    if not isinstance(mutation, BulkMutation):
        return _made(mutation.payload_name, MutationResult, result, [*fields, *_of_single()])
    item = _made(
        f"{mutation.type_name}ItemResult", BulkItemValue, f"The result of one item of {does}", [*_of_item(), *fields]
    )
    return _made(mutation.payload_name, BulkMutationResult, result, _of_bulk(item, CAPS[mutation.name]))


def _made(name: str, shown: type, description: str, fields: Sequence[PayloadField]) -> type:
    """The GraphQL type with these fields, for values of class `shown`."""
    members = {"__annotations__": {each.name: each.type for each in fields}}
    members |= {each.name: each.declared for each in fields}
    return shows(shown, description)(type(name, (), members))


def _of_single() -> list[PayloadField]:
    return [_replayed(), _problems("The reasons for a refusal. Empty if the mutation was applied.")]


def _of_bulk(item: Any, most: int) -> list[PayloadField]:
    results = complete(
        "One result per item, in the order of the input. Empty if the whole call was refused.", most, size=most
    )
    return [
        PayloadField("results", list[item], results),
        PayloadField("summary", BulkSummary, field("The number of items with each outcome.")),
        PayloadField(
            "dry_run", bool, field("Whether the call was a dry run, which only reports what the mutation would do.")
        ),
        _replayed(),
        _problems("The reasons why the whole call was refused. Empty otherwise."),
    ]


def _of_item() -> list[PayloadField]:
    return [
        PayloadField("index", int, field("The position of the item in the input, starting at 0.")),
        PayloadField("location_id", strawberry.ID, field("The id of the location, as it was sent.")),
        PayloadField(
            "outcome", BulkOutcome, field("The outcome: the item was applied, was not changed, or was refused.")
        ),
        PayloadField("problem", Problem | None, field("The reason for a refusal. Null if the item was not refused.")),
    ]


def _replayed() -> PayloadField:
    return PayloadField(
        "replayed", bool, field("Whether an earlier call with the same idempotency key made the change.")
    )


def _problems(description: str) -> PayloadField:
    return PayloadField("problems", list[Problem], field(description))
