"""Change a person."""

from dataclasses import replace

from app.db import tables
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import country_of, edited, found, patched, permitted, person_fields, put


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Change the fields that are given; raises Locked, Conflict, InvalidInput."""
    override_id = permitted(aggregate, Section.PEOPLE)
    aggregate.check_row_revision(given["person_id"], given["expected_revision"])
    row = found(aggregate.content.people, given["person_id"])
    changed = patched(row, person_fields(given, country_of(aggregate), ()))
    content = replace(aggregate.content, people=put(aggregate.content.people, changed))
    return edited(aggregate, Section.PEOPLE, override_id, content, person=changed.id)


EDIT_PERSON = UseCase(mutation="editPerson", decide=decide, table=tables.person, key="person_id")
