"""A readiness issue: one finding at one place in the content."""

from dataclasses import dataclass

from app.domain.vocabulary import Gate, IssueCode, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A finding: the problem (`message`), its place (`path`), the remedy (`fix`) and the steps that it blocks.

    `path` is a JSON pointer (RFC 6901) into the content document, in which rows are addressed by id or position:
    `/devices/phone-1/macAddress`. Issues reported by a partner keep the partner's path.
    """

    code: IssueCode
    severity: Severity
    path: str
    message: str
    fix: str
    blocks: frozenset[Gate]
