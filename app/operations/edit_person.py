"""Change a person."""

from dataclasses import dataclass, replace

from app.db import tables
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset
from app.operations.context import LocationChange
from app.operations.editing import country_of, edited, found, permitted, person_with, put
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPerson(Command):
    """Changes to a person."""

    person_id: str
    expected_revision: int
    first_name: str | Unset | None = UNSET
    last_name: str | Unset | None = UNSET
    email: str | Unset | None = UNSET
    mobile: str | Unset | None = UNSET
    voicemail: bool | Unset = UNSET


def decide(aggregate: Aggregate, command: EditPerson) -> LocationChange:
    """Change the given fields. Raises Locked, OverrideScope, Conflict, InvalidInput."""
    override_id = permitted(aggregate, Section.PEOPLE)
    aggregate.check_row_revision(command.person_id, command.expected_revision)
    changed = person_with(found(aggregate.content.people, command.person_id), command, country_of(aggregate))
    content = replace(aggregate.content, people=put(aggregate.content.people, changed))
    return edited(aggregate, Section.PEOPLE, override_id, content, person=changed.id)


EDIT_PERSON = LocationMutation(
    name="editPerson",
    command=EditPerson,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
    table=tables.person,
    key="person_id",
)
