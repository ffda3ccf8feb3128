"""Runs every readiness rule over a location; an issue never stops the run."""

from collections.abc import Callable, Iterable, Iterator

from app.domain.content import LocationContent
from app.domain.issue import Issue
from app.domain.readiness import (
    call_flow,
    contacts,
    devices,
    extensions,
    location,
    partners,
    people,
    phone_system,
    rejections,
    working_hours,
)
from app.domain.readiness.outside import NOTHING_OUTSIDE, Outside
from app.domain.vocabulary import Gate

Rule = Callable[[LocationContent, Outside], Iterator[Issue]]

RULES: tuple[Rule, ...] = (
    *location.RULES,
    *contacts.RULES,
    *phone_system.RULES,
    *devices.RULES,
    *people.RULES,
    *extensions.RULES,
    *working_hours.RULES,
    *call_flow.RULES,
    *rejections.RULES,
    *partners.RULES,
)


def readiness(content: LocationContent, outside: Outside = NOTHING_OUTSIDE) -> tuple[Issue, ...]:
    """Return every issue of the content, section by section; `outside` holds facts from outside the content."""
    return tuple(issue for rule in RULES for issue in rule(content, outside))


def blocking(gate: Gate, issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Return the issues that block the gate."""
    return tuple(issue for issue in issues if gate in issue.blocks)
