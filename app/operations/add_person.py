"""Add a person to a location."""

from dataclasses import replace

from app.domain.content import Person
from app.domain.limits import check_cap
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import country_of, edited, permitted, person_fields


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Add it, incomplete as it may be; raises Locked, LimitReached, InvalidInput."""
    override_id = permitted(aggregate, Section.PEOPLE)
    check_cap("people", len(aggregate.content.people) + 1)
    added = Person(id=aggregate.new_id("Person"), **person_fields(given, country_of(aggregate), ()))
    content = replace(aggregate.content, people=(*aggregate.content.people, added))
    return edited(aggregate, Section.PEOPLE, override_id, content, person=added.id)


ADD_PERSON = UseCase(mutation="addPerson", decide=decide)
