"""Remove a person; the extensions that rang it stay and ring it no more."""

from dataclasses import replace

from app.db import tables
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import edited, permitted, without


def decide(work: Work, given: Input) -> Change:
    """Raises Locked, Conflict."""
    row_id = given["person_id"]
    override_id = permitted(work, Section.PEOPLE, *_sections_of_extensions(work, row_id))
    work.check_row_revision(row_id, given["expected_revision"])
    extensions = tuple(
        replace(each, person_id=None) if each.person_id == row_id else each for each in work.content.extensions
    )
    content = replace(work.content, people=without(work.content.people, row_id), extensions=extensions)
    return edited(work, Section.PEOPLE, override_id, content)


def _sections_of_extensions(work: Work, row_id: str) -> tuple[Section, ...]:
    """An extension that loses its person changes too."""
    holds = any(each.person_id == row_id for each in work.content.extensions)
    return (Section.EXTENSIONS,) if holds else ()


REMOVE_PERSON = UseCase(mutation="removePerson", decide=decide, table=tables.person, key="person_id")
