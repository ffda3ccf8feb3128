"""Progress of an onboarding, by section."""

from collections.abc import Collection, Iterable, Mapping

from app.domain.issue import Issue
from app.domain.vocabulary import Gate, Section


def completeness(issues: Iterable[Issue]) -> Mapping[Section, bool]:
    """Return for every section whether it has no issue that blocks submission."""
    open_sections = {issue.section for issue in issues if Gate.SUBMIT in issue.blocks}
    return {section: section not in open_sections for section in Section}


def progress(complete: Collection[bool]) -> int:
    """Return the share of complete sections in percent, rounded down."""
    return sum(complete) * 100 // len(Section)
