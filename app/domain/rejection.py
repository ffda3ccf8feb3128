"""A partner's rejection of a payload."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionReason:
    """One problem that a partner found: its place in the document (a JSON pointer), the partner's code and message."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """All problems that a partner found in the content with this digest."""

    content_digest: str
    reasons: tuple[RejectionReason, ...]
