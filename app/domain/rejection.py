"""A partner's refusal of a payload, as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionReason:
    """One thing a partner found wrong: where in the document (a JSON pointer), and the partner's own code and words."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """All that a partner found wrong with the content that has this digest."""

    content_digest: str
    reasons: tuple[RejectionReason, ...]
