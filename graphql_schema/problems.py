"""Refusals as data: an interface, and one type per kind of refusal, which carries its facts.

The class of a problem has the name of the refusal with the suffix `Problem`. The GraphQL type has the name of the
refusal.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, TypeVar

import strawberry
from graphql import GraphQLResolveInfo

from app.domain import refusals
from app.domain.issue import Issue
from app.domain.mac_holder import MacHolder
from app.domain.vocabulary import (
    Gate,
    IssueCode,
    LocationAction,
    LocationStatus,
    PayloadState,
    ProblemCode,
    ReceiptKind,
    Section,
    Severity,
)
from graphql_schema.fields import declare_shown, field, shows


@strawberry.interface(description="A reason why a mutation was refused. Nothing was written.")
class Problem:
    code: ProblemCode = field("The code of the problem, for programs.")
    message: str = field("A message for people.")
    path: list[str] | None = field(
        "Path to the offending input value, with positions in lists as texts. Empty if the problem is not about a "
        "single value; never null.",
        never_null=True,
    )

    refusal: ClassVar[type[refusals.Refusal]]

    @classmethod
    def is_type_of(cls, value: Any, _info: GraphQLResolveInfo[Any]) -> bool:
        """Whether a refusal has this type."""
        return type(value.refusal) is cls.refusal


P = TypeVar("P", bound=type[Problem])


def of(refusal: type[refusals.Refusal], description: str) -> Callable[[P], P]:
    """Make a class the GraphQL type of a refusal. It shows the facts of the refusal."""

    def make(problem: P) -> P:
        problem.refusal = refusal
        declare_shown(problem, refusal)
        made: P = strawberry.type(problem, name=refusal.__name__, description=description)
        return made

    return make


@of(refusals.Locked, "The location is locked. Editing it requires an override.")
class LockedProblem(Problem):
    status: LocationStatus = field("The status that locks the location.")


@of(refusals.NotLocked, "The location is not locked, so there is nothing to override.")
class NotLockedProblem(Problem):
    status: LocationStatus = field("The status of the location.")


@of(refusals.OverrideScope, "The viewer's open override does not cover this section, or an override is already open.")
class OverrideScopeProblem(Problem):
    sections: list[Section] = field("The sections that the open override covers. Empty if they are not known.")


@of(refusals.IllegalTransition, "The status of the location does not allow the action.")
class IllegalTransitionProblem(Problem):
    from_status: LocationStatus = strawberry.field(name="from", description="The status of the location.")
    action: LocationAction = field(
        "The action that was called. For an item of `bulkUpdateStatus`, the action that leads to the requested status."
    )
    allowed: list[LocationAction] = field("The actions that the status allows for this viewer.")


@of(refusals.StaleReview, "The content has changed since it was reviewed.")
class StaleReviewProblem(Problem):
    current_digest: str = field("The digest of the current content.")
    changed_paths: list[str] = field(
        "JSON pointers to the fields that changed since the review; to all fields if the audit log does not have the "
        "reviewed content."
    )


@of(refusals.ApprovalOutdated, "The current content is not the approved content.")
class ApprovalOutdatedProblem(Problem):
    current_digest: str = field("The digest of the current content.")


@of(refusals.SelfApproval, "Nobody can approve content that they submitted or edited themselves.")
class SelfApprovalProblem(Problem):
    pass


@of(refusals.UserUnconfirmed, "A lead whom another lead made must be confirmed before approving or managing users.")
class UserUnconfirmedProblem(Problem):
    pass


@of(refusals.NoBrowserSignIn, "The server has no browser sign-in, so nobody could accept an invitation.")
class NoBrowserSignInProblem(Problem):
    pass


@of(refusals.Conflict, "The object has changed since it was read.")
class ConflictProblem(Problem):
    current_revision: int = field("The current revision of the object.")


@of(refusals.NotFound, "The object does not exist or is not visible to the viewer.")
class NotFoundProblem(Problem):
    pass


@of(refusals.InvalidInput, "An input value is invalid.")
class InvalidInputProblem(Problem):
    field: str = field("The name of the input value.")
    rule: str = strawberry.field(description="The rule that the value violates.")


@of(refusals.LimitReached, "The maximum number of these objects is reached.")
class LimitReachedProblem(Problem):
    limit: int = field("The maximum number.")


@shows(MacHolder, "A location that holds a MAC address.")
class MacHolderType:
    location_id: strawberry.ID = field("The id of the location.")
    location_name: str = field("The name of the location.")
    account_name: str = field("The name of the account.")


@of(refusals.MacInUse, "Another location holds these MAC addresses.")
class MacInUseProblem(Problem):
    mac_addresses: list[str] = field("The MAC addresses, with colons.")
    holders: list[MacHolderType | None] = field(
        "The location that holds each of the addresses, in the same order. Null for an address that is free by now. "
        "Empty except for leads."
    )


@of(refusals.PayloadSuperseded, "The payload was replaced and can no longer be answered.")
class PayloadSupersededProblem(Problem):
    by: strawberry.ID | None = field("The id of the payload that replaced it. Null while there is none.")


@of(refusals.PayloadWithdrawn, "The payload was withdrawn and can no longer be answered.")
class PayloadWithdrawnProblem(Problem):
    reason: str = field("The reason for partners or, if none was given, that the location left provisioning.")


@of(refusals.PayloadRejected, "Another recipient rejected the payload, so it can no longer be answered.")
class PayloadRejectedProblem(Problem):
    pass


@of(refusals.PayloadNotLive, "The payload is not in operation, or no longer.")
class PayloadNotLiveProblem(Problem):
    state: PayloadState = field("The state of the payload.")


@of(refusals.AlreadyAnswered, "The recipient has already answered the payload.")
class AlreadyAnsweredProblem(Problem):
    answer: ReceiptKind = field("The recorded answer.")
    answered_at: datetime = field("The time when the answer was received.")


@of(refusals.DigestMismatch, "The digest in the input is not the digest of the payload document.")
class DigestMismatchProblem(Problem):
    pass


@of(refusals.IdempotencyKeyReused, "The idempotency key was used before with another input.")
class IdempotencyKeyReusedProblem(Problem):
    pass


@of(refusals.IdempotencyInProgress, "A call with this idempotency key is in progress.")
class IdempotencyInProgressProblem(Problem):
    retry_after_ms: int = field("The number of milliseconds to wait before retrying.")


@shows(Issue, "One finding about the content of a location.")
class IssueType:
    code: IssueCode = field("The code of the issue, for programs.")
    severity: Severity = field("The severity of the issue.")
    path: str = field(
        "JSON pointer (RFC 6901) to the value in the content. Rows are identified by their ids. An issue that a "
        "partner reported about a part that only the payload document has keeps the partner's path."
    )
    section: Section | None = field("The section that the path leads into. Null if there is none.")
    object_id: strawberry.ID | None = field(
        "The id of the contact, device, person or extension that the path leads into. Null if there is none."
    )
    message: str = field("A description of the issue, for people.")
    fix: str = field("The steps to fix the issue.")
    blocks: list[Gate] = field("The steps that the issue blocks.")
    field: str | None = field(
        "The name of the field that the path leads to, as types and inputs have it: `macAddress`, or `fullName` for "
        "`/contacts/contact-1/name`. Null if there is none."
    )


@of(refusals.NotReady, "The content is incomplete or invalid. All issues are listed.")
class NotReadyProblem(Problem):
    issues: list[IssueType] = field("All issues of the content: those that block the step, and all others.")


PROBLEMS: list[type[Problem]] = [
    LockedProblem,
    NotLockedProblem,
    OverrideScopeProblem,
    IllegalTransitionProblem,
    StaleReviewProblem,
    ApprovalOutdatedProblem,
    SelfApprovalProblem,
    UserUnconfirmedProblem,
    NoBrowserSignInProblem,
    ConflictProblem,
    NotReadyProblem,
    NotFoundProblem,
    InvalidInputProblem,
    LimitReachedProblem,
    MacInUseProblem,
    PayloadSupersededProblem,
    PayloadWithdrawnProblem,
    PayloadRejectedProblem,
    PayloadNotLiveProblem,
    AlreadyAnsweredProblem,
    DigestMismatchProblem,
    IdempotencyKeyReusedProblem,
    IdempotencyInProgressProblem,
]

for _refusal in set(refusals.Refusal.__subclasses__()) - {each.refusal for each in PROBLEMS}:
    raise TypeError(f"{_refusal.__name__} has no problem in the schema")
