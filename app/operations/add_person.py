"""Add a person to a location."""

from dataclasses import dataclass, replace

from app.domain.content import Person
from app.domain.limits import check_cap
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import country_of, edited, permitted, person_with
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPerson(Command):
    """A new person, whose data can be incomplete."""

    location_id: str
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    mobile: str | None = None
    voicemail: bool | None = None


def decide(aggregate: Aggregate, command: AddPerson) -> LocationChange:
    """Add the person. Raises Locked, OverrideScope, LimitReached, InvalidInput."""
    override_id = permitted(aggregate, Section.PEOPLE)
    check_cap("people", len(aggregate.content.people) + 1)
    added = person_with(Person(id=aggregate.new_id("Person")), command, country_of(aggregate))
    content = replace(aggregate.content, people=(*aggregate.content.people, added))
    return edited(aggregate, Section.PEOPLE, override_id, content, person=added.id)


ADD_PERSON = LocationMutation(
    name="addPerson",
    command=AddPerson,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
