"""Replace a location's list of contacts."""

from dataclasses import dataclass, replace

from app.domain.content import Contact
from app.domain.dialling import e164_of
from app.domain.limits import check_cap
from app.domain.text import clean
from app.domain.vocabulary import Budget, ContactPurpose, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from app.operations.editing import check_known, check_once, country_of, edited, permitted
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactValue:
    """A contact in the new list. `id` identifies an existing contact."""

    id: str | None = None
    purpose: ContactPurpose
    full_name: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContacts(Command):
    """The complete list of contacts, in order."""

    location_id: str
    expected_revision: int
    contacts: tuple[ContactValue, ...]


def decide(aggregate: Aggregate, command: SetContacts) -> LocationChange:
    """Replace the list of contacts, in the given order. A contact with an id keeps it."""
    override_id = permitted(aggregate, Section.CONTACTS)
    aggregate.check_section_revision(Section.CONTACTS, command.expected_revision)
    check_cap("contacts", command.contacts, path=("contacts",))
    contacts = tuple(_contact(aggregate, each, place) for place, each in enumerate(command.contacts))
    check_once("id", [each.id for each in contacts], path=("contacts",))
    return edited(aggregate, Section.CONTACTS, override_id, replace(aggregate.content, contacts=contacts))


def _contact(aggregate: Aggregate, given: ContactValue, place: int) -> Contact:
    path = ("contacts", str(place))
    check_known(given.id, {each.id for each in aggregate.content.contacts}, (*path, "id"))
    name = clean("contact.fullName", given.full_name, path=(*path, "fullName"))
    email = clean("contact.email", given.email, path=(*path, "email"))
    phone = clean("contact.phone", given.phone, path=(*path, "phone"))
    return Contact(
        id=given.id or aggregate.new_id("Contact"),
        position=place,
        purpose=given.purpose,
        name=name,
        email=email,
        phone=phone,
        e164=e164_of(phone, country_of(aggregate)),
    )


SET_CONTACTS = LocationMutation(
    name="setContacts",
    command=SetContacts,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
