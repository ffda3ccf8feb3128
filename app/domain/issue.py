"""A readiness issue: one finding at one place in the content."""

from dataclasses import dataclass

from app.domain.places import place_of
from app.domain.vocabulary import Gate, IssueCode, Section, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A finding: the problem (`message`), its place (`path`), the remedy (`fix`) and the steps that it blocks.

    `path` is a JSON pointer (RFC 6901) into the content document, in which rows are addressed by id or position:
    `/devices/phone-1/macAddress`. A partner's issue about a part that only the payload document has keeps the partner's
    path.
    """

    code: IssueCode
    severity: Severity
    path: str
    message: str
    fix: str
    blocks: frozenset[Gate]

    @property
    def section(self) -> Section | None:
        """The section that the path leads into, if any."""
        return place_of(self.path).section

    @property
    def object_id(self) -> str | None:
        """The id of the row that the path leads into, if any."""
        return place_of(self.path).object_id

    @property
    def field(self) -> str | None:
        """The name of the innermost field that the path leads to, if any."""
        return place_of(self.path).field
