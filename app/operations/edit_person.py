"""Change a person."""

from dataclasses import replace

from app.db import tables
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import country_of, edited, found, patched, permitted, person_fields, put


def decide(work: Work, given: Input) -> Change:
    """Change the fields that are given; raises Locked, Conflict, InvalidInput."""
    override_id = permitted(work, Section.PEOPLE)
    work.check_row_revision(given["person_id"], given["expected_revision"])
    row = found(work.content.people, given["person_id"])
    changed = patched(row, person_fields(given, country_of(work), ()))
    content = replace(work.content, people=put(work.content.people, changed))
    return edited(work, Section.PEOPLE, override_id, content, person=changed.id)


EDIT_PERSON = UseCase(mutation="editPerson", decide=decide, table=tables.person, key="person_id")
