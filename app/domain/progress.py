"""Progress of an onboarding, by section."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from app.domain.issue import Issue
from app.domain.vocabulary import Gate, Section

# Maps the first name of a path to its section; in a payload the people are called `users`.
SECTION_OF = MappingProxyType(
    {
        "location": Section.LOCATION,
        "contacts": Section.CONTACTS,
        "phoneSystem": Section.PHONE_SYSTEM,
        "devices": Section.DEVICES,
        "people": Section.PEOPLE,
        "users": Section.PEOPLE,
        "extensions": Section.EXTENSIONS,
        "workingHours": Section.WORKING_HOURS,
        "callFlow": Section.CALL_FLOW,
    }
)


def section_of(path: str) -> Section | None:
    """Return the section that a JSON pointer leads into, or None when it leads into no section."""
    return SECTION_OF.get(path.removeprefix("/").partition("/")[0])


def completeness(issues: Iterable[Issue]) -> Mapping[Section, bool]:
    """Return for every section whether it has no issue that blocks submission."""
    open_sections = {section_of(issue.path) for issue in issues if Gate.SUBMIT in issue.blocks}
    return {section: section not in open_sections for section in Section}


def progress(complete: Collection[bool]) -> int:
    """Return the share of complete sections in percent, rounded down."""
    return sum(complete) * 100 // len(Section)
