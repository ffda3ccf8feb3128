"""The bulk mutations: each item is decided by the same function as the single mutation."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.domain.bulk import verb_towards
from app.domain.vocabulary import Budget, BulkPolicy, LocationAction, LocationStatus
from app.operations import approve, generate_payload, submit_onboarding, trigger_provisioning
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset, plain
from app.operations.context import LocationChange
from app.operations.mutation import ContentEffect, Counted, Mutation, RecordedRefusals, check_digest
from app.operations.reasons import with_reasons
from app.operations.transitions import explained
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkItem:
    """One location of a bulk mutation."""

    location_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkApproveItem(BulkItem):
    """A location, and the digest of its reviewed content."""

    expected_digest: str


I = TypeVar("I", bound=BulkItem)  # noqa: E741 - an item


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkCommand(Command, Generic[I]):
    """The command of a bulk mutation."""

    policy: BulkPolicy = BulkPolicy.PER_ITEM
    dry_run: bool = False

    @abstractmethod
    def named_items(self) -> tuple[I, ...]:
        """The items, in the order of the input."""

    def fingerprinted(self) -> dict[str, Any]:
        """As for any command, with location ids represented as items."""
        values = {name: value for name, value in plain(self).items() if name != "location_ids"}
        return {**values, "items": [plain(each) for each in self.named_items()]}


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkUpdateStatus(BulkCommand[BulkItem]):
    """The locations to change to a status, and the reasons."""

    location_ids: tuple[str, ...]
    status: LocationStatus
    reason: str | None = None
    reason_for_customer: str | Unset | None = UNSET
    reason_for_partner: str | Unset | None = UNSET

    def named_items(self) -> tuple[BulkItem, ...]:
        """One item per id."""
        return tuple(BulkItem(location_id=each) for each in self.location_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkApprove(BulkCommand[BulkApproveItem]):
    """The locations whose content to approve."""

    items: tuple[BulkApproveItem, ...]
    comment: str | None = None

    def named_items(self) -> tuple[BulkApproveItem, ...]:
        """The items of the input."""
        return self.items


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkGeneratePayloads(BulkCommand[BulkItem]):
    """The locations whose payloads to generate."""

    location_ids: tuple[str, ...]

    def named_items(self) -> tuple[BulkItem, ...]:
        """One item per id."""
        return tuple(BulkItem(location_id=each) for each in self.location_ids)


B = TypeVar("B", bound=BulkCommand[Any])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BulkMutation(Mutation[B], Generic[B, I]):
    """A mutation of many locations. Its items are counted in addition to the call."""

    item: type[I]
    named_in: str
    """The list of the input that names the items."""
    decide: Callable[[Aggregate, B, I], LocationChange]
    """Takes a locked location, the command and the item. An empty change means that the item needs no change."""
    check: Callable[[B], None] | None = None
    """Checks the whole call before anything is read. Raises refusals."""
    needs_reviewed_content: bool = False
    """Whether each item has the digest of the content that was reviewed."""

    def __post_init__(self) -> None:
        Mutation.__post_init__(self)
        check_digest(self.name, self.item, needed=self.needs_reviewed_content)

    def reviewed_digests(self, items: tuple[Any, ...]) -> dict[str, str] | None:
        """The digest of the reviewed content per location; None for mutations that need no review."""
        return {each.location_id: each.expected_digest for each in items} if self.needs_reviewed_content else None


def _update_status(aggregate: Aggregate, command: BulkUpdateStatus, item: BulkItem) -> LocationChange:
    verb = verb_towards(command.status, aggregate.status)
    match verb:
        case None:
            return LocationChange()
        case LocationAction.SUBMIT_ONBOARDING:
            submission = submit_onboarding.SubmitOnboarding(location_id=item.location_id)
            change = submit_onboarding.decide(aggregate, submission)
        case LocationAction.TRIGGER_PROVISIONING:
            release = trigger_provisioning.TriggerProvisioning(location_id=item.location_id)
            change = trigger_provisioning.decide(aggregate, release)
        case _:
            return explained(aggregate, verb, command)
    return with_reasons(change, verb, command)


def _check_status(command: BulkUpdateStatus) -> None:
    verb_towards(command.status, LocationStatus.NOT_STARTED)


def _approve(aggregate: Aggregate, command: BulkApprove, item: BulkApproveItem) -> LocationChange:
    single = approve.Approve(
        location_id=item.location_id, expected_digest=item.expected_digest, comment=command.comment
    )
    return approve.decide(aggregate, single)


def _generate_payload(aggregate: Aggregate, _command: BulkGeneratePayloads, item: BulkItem) -> LocationChange:
    return generate_payload.decide(aggregate, generate_payload.GeneratePayload(location_id=item.location_id))


BULK_UPDATE_STATUS = BulkMutation(
    name="bulkUpdateStatus",
    command=BulkUpdateStatus,
    item=BulkItem,
    named_in="locationIds",
    decide=_update_status,
    check=_check_status,
    action=Action.RUN_BULK,
    budget=Budget.BULK_CALLS,
    content=ContentEffect.SUBMITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(Counted.BULK_ITEMS,),
)

BULK_APPROVE = BulkMutation(
    name="bulkApprove",
    command=BulkApprove,
    item=BulkApproveItem,
    named_in="items",
    decide=_approve,
    action=Action.RUN_BULK,
    budget=Budget.BULK_CALLS,
    content=ContentEffect.APPROVES,
    refusals=RecordedRefusals.ALWAYS,
    counts=(Counted.BULK_ITEMS, Counted.APPROVALS),
    needs_reviewed_content=True,
)

BULK_GENERATE_PAYLOADS = BulkMutation(
    name="bulkGeneratePayloads",
    command=BulkGeneratePayloads,
    item=BulkItem,
    named_in="locationIds",
    decide=_generate_payload,
    action=Action.RUN_BULK,
    budget=Budget.BULK_CALLS,
    content=ContentEffect.NONE,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(Counted.BULK_ITEMS,),
)
