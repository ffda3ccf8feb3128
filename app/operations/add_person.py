"""Add a person to a location."""

from dataclasses import replace

from app.domain.content import Person
from app.domain.limits import check_cap
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import country_of, edited, permitted, person_fields


def decide(work: Work, given: Input) -> Change:
    """Add it, incomplete as it may be; raises Locked, LimitReached, InvalidInput."""
    override_id = permitted(work, Section.PEOPLE)
    check_cap("people", len(work.content.people) + 1)
    added = Person(id=work.new_id("Person"), **person_fields(given, country_of(work), ()))
    content = replace(work.content, people=(*work.content.people, added))
    return edited(work, Section.PEOPLE, override_id, content, person=added.id)


ADD_PERSON = UseCase(mutation="addPerson", decide=decide)
