"""What readiness reports: one finding at one place, as a value."""

from dataclasses import dataclass

from app.domain.vocabulary import Gate, IssueCode, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A finding: what is wrong (`message`), where, how to mend it (`fix`), and which steps it stands in the way of.

    `path` is a JSON pointer (RFC 6901) into the content document, where rows are found by id or place:
    `/devices/phone-1/macAddress`. A partner's own findings keep the path that the partner gave.
    """

    code: IssueCode
    severity: Severity
    path: str
    message: str
    fix: str
    blocks: frozenset[Gate]
