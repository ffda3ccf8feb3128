"""Every refusal of the domain: one class per reason, with the message as docstring and the facts as attributes."""

from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, fields
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, ClassVar

from app.domain.derived_enum import derived_enum, members_of
from app.domain.issue import Issue
from app.domain.mac_holder import MacHolder
from app.domain.vocabulary import LocationAction, LocationStatus, PayloadState, ProblemCode, ReceiptKind, Section

MOST_NAMED = 5
"""The number of locations that a message names at most."""


if TYPE_CHECKING:

    class RefusalCode(StrEnum):
        """Why a viewer cannot do something: FORBIDDEN, or the code of a problem."""

else:
    RefusalCode = derived_enum("RefusalCode", __name__, [("FORBIDDEN", "FORBIDDEN"), *members_of(ProblemCode)])


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """The request was refused."""

    code: ClassVar[ProblemCode]

    _: KW_ONLY
    path: tuple[str, ...] = ()
    """Path to the offending input value; empty when the request as a whole is refused."""

    @property
    def message(self) -> str:
        """The message of the class with its facts filled in."""
        facts = {field.name: _in_words(getattr(self, field.name)) for field in fields(self)}
        return (type(self).__doc__ or "").format_map(facts)

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class Locked(Refusal):
    """The location is locked because its status is {status}. An implementation lead can open an override."""

    code = ProblemCode.LOCKED
    status: LocationStatus


@dataclass(eq=False)
class NotLocked(Refusal):
    """The location is not locked because its status is {status}. There is nothing to override."""

    code = ProblemCode.NOT_LOCKED
    status: LocationStatus


@dataclass(eq=False)
class OverrideScope(Refusal):
    """The open override covers only these sections: {sections}."""

    code = ProblemCode.OVERRIDE_SCOPE
    sections: frozenset[Section]


@dataclass(eq=False)
class IllegalTransition(Refusal):
    """A location in status {from_status} does not accept {action}. Accepted actions: {allowed}."""

    code = ProblemCode.ILLEGAL_TRANSITION
    from_status: LocationStatus
    action: LocationAction
    allowed: tuple[LocationAction, ...]


@dataclass(eq=False)
class StaleReview(Refusal):
    """The content has changed since it was reviewed. Review it again."""

    code = ProblemCode.STALE_REVIEW
    current_digest: str
    changed_paths: tuple[str, ...]


@dataclass(eq=False)
class ApprovalOutdated(Refusal):
    """The current content differs from the approved content. An implementation lead must approve it first."""

    code = ProblemCode.APPROVAL_OUTDATED
    current_digest: str


@dataclass(eq=False)
class SelfApproval(Refusal):
    """You submitted or edited this content, so another lead must approve it."""

    code = ProblemCode.SELF_APPROVAL


@dataclass(eq=False)
class UserUnconfirmed(Refusal):
    """Another lead must confirm you before you can approve content, confirm users or manage users."""

    code = ProblemCode.USER_UNCONFIRMED


@dataclass(eq=False)
class NoBrowserSignIn(Refusal):
    """This server has no browser sign-in. TURNUP_PUBLIC_URL and TURNUP_OIDC_CLIENT_ID turn it on."""

    code = ProblemCode.NO_BROWSER_SIGN_IN


@dataclass(eq=False)
class Conflict(Refusal):
    """The object has changed since you read it. Its current revision is {current_revision}."""

    code = ProblemCode.CONFLICT
    current_revision: int


@dataclass(eq=False)
class NotReady(Refusal):
    """The content is not ready for this step. `issues` lists what is missing or wrong."""

    code = ProblemCode.NOT_READY
    issues: tuple[Issue, ...]


@dataclass(eq=False)
class NotFound(Refusal):
    """The object does not exist or is not visible to you."""

    code = ProblemCode.NOT_FOUND


@dataclass(eq=False)
class InvalidInput(Refusal):
    """Invalid value for {field}: {rule}."""

    code = ProblemCode.INVALID_INPUT
    field: str
    rule: str


@dataclass(eq=False)
class LimitReached(Refusal):
    """Limit reached: at most {limit} {counted}."""

    code = ProblemCode.LIMIT_REACHED
    limit: int
    counted: str
    """The API's name for the counted items."""


@dataclass(eq=False)
class MacInUse(Refusal):
    """Another location uses these MAC addresses: {mac_addresses}."""

    code = ProblemCode.MAC_IN_USE
    mac_addresses: tuple[str, ...]
    holders: tuple[MacHolder | None, ...] = ()
    """The location that holds each address, or None if it is free by now. Empty for viewers other than leads."""

    @property
    def message(self) -> str:
        """The message of the class, and up to MOST_NAMED of the locations that hold the addresses."""
        named = list(dict.fromkeys(str(holder) for holder in self.holders if holder))
        if not named:
            return super().message
        rest = f"; and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        return f"{super().message} They are in use at {'; '.join(named[:MOST_NAMED])}{rest}."


@dataclass(eq=False)
class PayloadSuperseded(Refusal):
    """The payload was superseded and can no longer be acknowledged or rejected."""

    code = ProblemCode.PAYLOAD_SUPERSEDED
    by: str | None
    """The payload that replaced this one, or None when it has not been replaced yet."""


@dataclass(eq=False)
class PayloadWithdrawn(Refusal):
    """The payload was withdrawn and can no longer be acknowledged or rejected: {reason}."""

    code = ProblemCode.PAYLOAD_WITHDRAWN
    reason: str


@dataclass(eq=False)
class PayloadRejected(Refusal):
    """Another recipient rejected the payload, so it can no longer be acknowledged or rejected."""

    code = ProblemCode.PAYLOAD_REJECTED


@dataclass(eq=False)
class PayloadNotLive(Refusal):
    """The payload is not in operation, or no longer. Its state is {state}."""

    code = ProblemCode.PAYLOAD_NOT_LIVE
    state: PayloadState


@dataclass(eq=False)
class AlreadyAnswered(Refusal):
    """The recipient has already answered this payload: {answer} at {answered_at}."""

    code = ProblemCode.ALREADY_ANSWERED
    answer: ReceiptKind
    answered_at: datetime


@dataclass(eq=False)
class DigestMismatch(Refusal):
    """The digest does not match the payload's document."""

    code = ProblemCode.DIGEST_MISMATCH


@dataclass(eq=False)
class IdempotencyKeyReused(Refusal):
    """The idempotency key was already used with a different input."""

    code = ProblemCode.IDEMPOTENCY_KEY_REUSED


@dataclass(eq=False)
class IdempotencyInProgress(Refusal):
    """A request with this idempotency key is still in progress. Retry after {retry_after_ms} milliseconds."""

    code = ProblemCode.IDEMPOTENCY_IN_PROGRESS
    retry_after_ms: int


def _in_words(fact: object) -> str:
    if isinstance(fact, datetime):
        return f"{fact.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(fact, frozenset):
        return _in_words(sorted(fact))
    if isinstance(fact, Collection) and not isinstance(fact, str):
        return ", ".join(map(_in_words, fact)) or "none"
    if isinstance(fact, Enum):
        return fact.name
    return str(fact)
