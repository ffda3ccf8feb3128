"""Remove a person. The extensions that rang the person remain without a person."""

from dataclasses import dataclass, replace

from app.db import tables
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import edited, permitted, without
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePerson(Command):
    """The person to remove."""

    person_id: str
    expected_revision: int


def decide(aggregate: Aggregate, command: RemovePerson) -> LocationChange:
    """Remove the person. Raises Locked, OverrideScope, Conflict, NotFound."""
    row_id = command.person_id
    override_id = permitted(aggregate, Section.PEOPLE, *_sections_of_extensions(aggregate, row_id))
    aggregate.check_row_revision(row_id, command.expected_revision)
    extensions = tuple(
        replace(each, person_id=None) if each.person_id == row_id else each for each in aggregate.content.extensions
    )
    content = replace(aggregate.content, people=without(aggregate.content.people, row_id), extensions=extensions)
    return edited(aggregate, Section.PEOPLE, override_id, content, removed_person=row_id)


def _sections_of_extensions(aggregate: Aggregate, row_id: str) -> tuple[Section, ...]:
    """The section EXTENSIONS if an extension rings the person and would change too."""
    holds = any(each.person_id == row_id for each in aggregate.content.extensions)
    return (Section.EXTENSIONS,) if holds else ()


REMOVE_PERSON = LocationMutation(
    name="removePerson",
    command=RemovePerson,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.person,
    key="person_id",
)
