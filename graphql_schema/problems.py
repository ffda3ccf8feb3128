"""Refusals as data: an interface, and for each kind of refusal a type that carries its facts.

A problem's class is named after its refusal, with Problem at the end; in the schema it has the refusal's name.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import strawberry
from graphql import GraphQLResolveInfo

from app.domain import refusals
from app.domain.issue import Issue
from app.domain.vocabulary import Gate, IssueCode, LocationStatus, ProblemCode, Section, Severity, Verb
from graphql_schema.fields import declare_shown, field, shows


@strawberry.interface(description="Why a mutation was refused. Nothing was written.")
class Problem:
    code: ProblemCode = field("The kind of refusal, for programs.")
    message: str = field("A sentence, for people.")
    path: list[str] | None = field(
        "Where in the input the refused value stands; empty when no single value is.", never_null=True
    )

    refusal: ClassVar[type[refusals.Refusal]]

    @classmethod
    def is_type_of(cls, value: Any, _info: GraphQLResolveInfo[Any]) -> bool:
        """Whether a refusal is of this kind."""
        return type(value.refusal) is cls.refusal


P = TypeVar("P", bound=type[Problem])


def of(refusal: type[refusals.Refusal], description: str) -> Callable[[P], P]:
    """Make a class the problem of a refusal, whose facts it shows."""

    def make(problem: P) -> P:
        problem.refusal = refusal
        declare_shown(problem, refusal)
        made: P = strawberry.type(problem, name=refusal.__name__, description=description)
        return made

    return make


@of(refusals.Locked, "The location is locked; editing it takes an override.")
class LockedProblem(Problem):
    status: LocationStatus = field("The status that locks it.")


@of(refusals.NotLocked, "The location is not locked, so there is nothing to override.")
class NotLockedProblem(Problem):
    status: LocationStatus = field("Its status.")


@of(refusals.OverrideScope, "The open override does not cover this section, or is another lead's.")
class OverrideScopeProblem(Problem):
    sections: list[Section] = field("The sections that the viewer may edit under an override; empty for none.")


@of(refusals.IllegalTransition, "The location's status does not take this verb.")
class IllegalTransitionProblem(Problem):
    from_status: LocationStatus = strawberry.field(name="from", description="The location's status.")
    verb: Verb = field("What was asked for.")
    allowed: list[Verb] = field("What the status takes from this viewer.")


@of(refusals.StaleReview, "The content has changed since it was reviewed.")
class StaleReviewProblem(Problem):
    current_digest: str = field("The digest of the current content.")
    changed_paths: list[str] = field(
        "JSON pointers to what changed since; to all of it when the trail has no such content."
    )


@of(refusals.ApprovalOutdated, "The current content is not the approved content.")
class ApprovalOutdatedProblem(Problem):
    current_digest: str = field("The digest of the current content.")


@of(refusals.SelfApproval, "Nobody approves what they submitted or edited themselves.")
class SelfApprovalProblem(Problem):
    pass


@of(refusals.Conflict, "The object has changed since it was read.")
class ConflictProblem(Problem):
    current_revision: int = field("Its revision now.")


@of(refusals.NotFound, "There is no such object within the viewer's reach.")
class NotFoundProblem(Problem):
    pass


@of(refusals.InvalidInput, "A value cannot be read.")
class InvalidInputProblem(Problem):
    field: str = field("The value's name.")
    rule: str = strawberry.field(description="What it would have to be.")


@of(refusals.LimitReached, "There can be no more of these.")
class LimitReachedProblem(Problem):
    limit: int = field("How many there can be.")


@of(refusals.MacInUse, "Another location holds these MAC addresses.")
class MacInUseProblem(Problem):
    mac_addresses: list[str] = field("The addresses, with colons.")


@of(refusals.PayloadSuperseded, "The payload was replaced and cannot be answered.")
class PayloadSupersededProblem(Problem):
    by: strawberry.ID | None = field("The payload that took its place; null while there is none.")


@of(refusals.PayloadWithdrawn, "The payload was withdrawn and cannot be answered.")
class PayloadWithdrawnProblem(Problem):
    reason: str = field("Why.")


@of(refusals.DigestMismatch, "The digest sent is not that of the payload's document.")
class DigestMismatchProblem(Problem):
    pass


@of(refusals.IdempotencyKeyReused, "The idempotency key was used for another input before.")
class IdempotencyKeyReusedProblem(Problem):
    pass


@of(refusals.IdempotencyInProgress, "A call with this idempotency key is under way.")
class IdempotencyInProgressProblem(Problem):
    retry_after_ms: int = field("Milliseconds to wait before trying again.")


@shows(Issue, "One finding about a location's content.")
class IssueType:
    code: IssueCode = field("The kind of finding, for programs.")
    severity: Severity = field("How much it matters.")
    path: str = field("JSON pointer (RFC 6901) to the value; rows are named by their ids.")
    message: str = field("What is wrong, for people.")
    fix: str = field("What to do about it.")
    blocks: list[Gate] = field("The steps that refuse because of it.")


@of(refusals.NotReady, "Something is missing or wrong; every finding is listed.")
class NotReadyProblem(Problem):
    issues: list[IssueType] = field("Every finding that stands in the way, and the warnings beside it.")


PROBLEMS: list[type[Problem]] = [
    LockedProblem,
    NotLockedProblem,
    OverrideScopeProblem,
    IllegalTransitionProblem,
    StaleReviewProblem,
    ApprovalOutdatedProblem,
    SelfApprovalProblem,
    ConflictProblem,
    NotReadyProblem,
    NotFoundProblem,
    InvalidInputProblem,
    LimitReachedProblem,
    MacInUseProblem,
    PayloadSupersededProblem,
    PayloadWithdrawnProblem,
    DigestMismatchProblem,
    IdempotencyKeyReusedProblem,
    IdempotencyInProgressProblem,
]

for _refusal in set(refusals.Refusal.__subclasses__()) - {each.refusal for each in PROBLEMS}:
    raise TypeError(f"{_refusal.__name__} has no problem in the schema")
