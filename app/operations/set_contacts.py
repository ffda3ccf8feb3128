"""Replace a location's list of contacts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain.content import Contact
from app.domain.limits import check_cap
from app.domain.vocabulary import Section
from app.operations.desk import Change, Input, UseCase, Work
from app.operations.editing import check_known, check_once, contact_fields, country_of, edited, permitted


def decide(work: Work, given: Input) -> Change:
    """The list becomes what is given, in its order; a contact given by its id keeps it."""
    override_id = permitted(work, Section.CONTACTS)
    work.check_section_revision(Section.CONTACTS, given["expected_revision"])
    check_cap("contacts", given["contacts"], path=("contacts",))
    contacts = tuple(_contact(work, each, place) for place, each in enumerate(given["contacts"]))
    check_once("id", [each.id for each in contacts], path=("contacts",))
    return edited(work, Section.CONTACTS, override_id, replace(work.content, contacts=contacts))


def _contact(work: Work, given: Mapping[str, Any], place: int) -> Contact:
    path = ("contacts", str(place))
    known = given.get("id")
    check_known(known, {each.id for each in work.content.contacts}, (*path, "id"))
    fields = contact_fields(given, country_of(work), path)
    return Contact(id=known or work.new_id("Contact"), position=place, **fields)


SET_CONTACTS = UseCase(mutation="setContacts", decide=decide)
