"""Refusals as data: an interface, and for each kind of refusal a type that carries its facts."""

from typing import Any

import strawberry
from graphql import GraphQLResolveInfo

from app.domain import refusals
from app.domain.issue import Issue
from app.domain.vocabulary import Gate, IssueCode, LocationStatus, ProblemCode, Section, Severity, Verb
from graphql_schema.fields import column, declare_shown, shows

REFUSAL_OF_PROBLEM: dict[str, type[refusals.Refusal]] = {
    refusal.__name__: refusal for refusal in refusals.Refusal.__subclasses__()
}


@strawberry.interface(description="Why a mutation was refused. Nothing was written.")
class Problem:
    code: ProblemCode = column("The kind of refusal, for programs.")
    message: str = column("A sentence, for people.")
    path: list[str] | None = column(
        "Where in the input the refused value stands; empty when no single value is.", never_null=True
    )

    @classmethod
    def is_type_of(cls, value: Any, _info: GraphQLResolveInfo[Any]) -> bool:
        """Whether a refusal is of this kind."""
        return type(value.refusal) is REFUSAL_OF_PROBLEM[cls.__name__]


@strawberry.type(description="The location is locked; editing it takes an override.")
class Locked(Problem):
    status: LocationStatus = column("The status that locks it.")


@strawberry.type(description="The location is not locked, so there is nothing to override.")
class NotLocked(Problem):
    status: LocationStatus = column("Its status.")


@strawberry.type(description="The open override does not cover this section, or is another lead's.")
class OverrideScope(Problem):
    sections: list[Section] = column("The sections that the viewer may edit under an override; empty for none.")


@strawberry.type(description="The location's status does not take this verb.")
class IllegalTransition(Problem):
    from_status: LocationStatus = strawberry.field(name="from", description="The location's status.")
    verb: Verb = column("What was asked for.")
    allowed: list[Verb] = column("What the status takes from this viewer.")


@strawberry.type(description="The content has changed since it was reviewed.")
class StaleReview(Problem):
    current_digest: str = column("The digest of the current content.")
    changed_paths: list[str] = column(
        "JSON pointers to what changed since; to all of it when the trail has no such content."
    )


@strawberry.type(description="The current content is not the approved content.")
class ApprovalOutdated(Problem):
    current_digest: str = column("The digest of the current content.")


@strawberry.type(description="Nobody approves what they submitted or edited themselves.")
class SelfApproval(Problem):
    pass


@strawberry.type(description="The object has changed since it was read.")
class Conflict(Problem):
    current_revision: int = column("Its revision now.")


@strawberry.type(description="There is no such object within the viewer's reach.")
class NotFound(Problem):
    pass


@strawberry.type(description="A value cannot be read.")
class InvalidInput(Problem):
    field: str = column("The value's name.")
    rule: str = column("What it would have to be.")


@strawberry.type(description="There can be no more of these.")
class LimitReached(Problem):
    limit: int = column("How many there can be.")


@strawberry.type(description="Another location holds these MAC addresses.")
class MacInUse(Problem):
    mac_addresses: list[str] = column("The addresses, with colons.")


@strawberry.type(description="The payload was replaced and cannot be answered.")
class PayloadSuperseded(Problem):
    by: strawberry.ID | None = column("The payload that took its place; null while there is none.")


@strawberry.type(description="The payload was withdrawn and cannot be answered.")
class PayloadWithdrawn(Problem):
    reason: str = column("Why.")


@strawberry.type(description="The digest sent is not that of the payload's document.")
class DigestMismatch(Problem):
    pass


@strawberry.type(description="The idempotency key was used for another input before.")
class IdempotencyKeyReused(Problem):
    pass


@strawberry.type(description="A call with this idempotency key is under way.")
class IdempotencyInProgress(Problem):
    retry_after_ms: int = column("Milliseconds to wait before trying again.")


@shows(Issue, "One finding about a location's content.")
class IssueType:
    code: IssueCode = column("The kind of finding, for programs.")
    severity: Severity = column("How much it matters.")
    path: str = column("JSON pointer (RFC 6901) to the value; rows are named by their ids.")
    message: str = column("What is wrong, for people.")
    fix: str = column("What to do about it.")
    blocks: list[Gate] = column("The steps that refuse because of it.")


@strawberry.type(description="Something is missing or wrong; every finding is listed.")
class NotReady(Problem):
    issues: list[IssueType] = column("Every finding that stands in the way, and the warnings beside it.")


PROBLEMS = [
    Locked,
    NotLocked,
    OverrideScope,
    IllegalTransition,
    StaleReview,
    ApprovalOutdated,
    SelfApproval,
    Conflict,
    NotReady,
    NotFound,
    InvalidInput,
    LimitReached,
    MacInUse,
    PayloadSuperseded,
    PayloadWithdrawn,
    DigestMismatch,
    IdempotencyKeyReused,
    IdempotencyInProgress,
]

for problem in PROBLEMS:
    declare_shown(problem, REFUSAL_OF_PROBLEM[problem.__name__])
