"""Remove a person; the extensions that rang it stay and ring it no more."""

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
    """Raises Locked, Conflict."""
    row_id = command.person_id
    override_id = permitted(aggregate, Section.PEOPLE, *_sections_of_extensions(aggregate, row_id))
    aggregate.check_row_revision(row_id, command.expected_revision)
    extensions = tuple(
        replace(each, person_id=None) if each.person_id == row_id else each for each in aggregate.content.extensions
    )
    content = replace(aggregate.content, people=without(aggregate.content.people, row_id), extensions=extensions)
    return edited(aggregate, Section.PEOPLE, override_id, content)


def _sections_of_extensions(aggregate: Aggregate, row_id: str) -> tuple[Section, ...]:
    """An extension that loses its person changes too."""
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
