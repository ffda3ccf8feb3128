"""Replace a location's list of contacts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain.content import Contact
from app.domain.limits import check_cap
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import contact_fields, country_of, edited, found, permitted


def decide(work: Work, given: Input) -> Change:
    """The list becomes what is given, in its order; a contact given by its id keeps it."""
    override_id = permitted(work, Section.CONTACTS)
    work.check_section_revision(Section.CONTACTS, given["expected_revision"])
    check_cap("contacts", given["contacts"], path=("contacts",))
    contacts = tuple(_contact(work, each, place) for place, each in enumerate(given["contacts"]))
    return edited(work, Section.CONTACTS, override_id, replace(work.content, contacts=contacts))


def _contact(work: Work, given: Mapping[str, Any], place: int) -> Contact:
    known = given.get("id")
    row_id = work.new_id("Contact") if known is None else found(work.content.contacts, known).id
    fields = contact_fields(given, country_of(work), ("contacts", str(place)))
    return Contact(id=row_id, position=place, **fields)


SET_CONTACTS = UseCase(mutation="setContacts", decide=decide)
