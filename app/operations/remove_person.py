"""Remove a person; the extensions that rang it stay and ring it no more."""

from dataclasses import replace

from app.db import tables
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import edited, permitted, without


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Raises Locked, Conflict."""
    row_id = given["person_id"]
    override_id = permitted(aggregate, Section.PEOPLE, *_sections_of_extensions(aggregate, row_id))
    aggregate.check_row_revision(row_id, given["expected_revision"])
    extensions = tuple(
        replace(each, person_id=None) if each.person_id == row_id else each for each in aggregate.content.extensions
    )
    content = replace(aggregate.content, people=without(aggregate.content.people, row_id), extensions=extensions)
    return edited(aggregate, Section.PEOPLE, override_id, content)


def _sections_of_extensions(aggregate: Aggregate, row_id: str) -> tuple[Section, ...]:
    """An extension that loses its person changes too."""
    holds = any(each.person_id == row_id for each in aggregate.content.extensions)
    return (Section.EXTENSIONS,) if holds else ()


REMOVE_PERSON = UseCase(mutation="removePerson", decide=decide, table=tables.person, key="person_id")
