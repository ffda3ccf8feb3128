"""Replace a location's list of contacts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.domain.content import Contact
from app.domain.limits import check_cap
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import check_known, check_once, contact_fields, country_of, edited, permitted


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """The list becomes what is given, in its order; a contact given by its id keeps it."""
    override_id = permitted(aggregate, Section.CONTACTS)
    aggregate.check_section_revision(Section.CONTACTS, given["expected_revision"])
    check_cap("contacts", given["contacts"], path=("contacts",))
    contacts = tuple(_contact(aggregate, each, place) for place, each in enumerate(given["contacts"]))
    check_once("id", [each.id for each in contacts], path=("contacts",))
    return edited(aggregate, Section.CONTACTS, override_id, replace(aggregate.content, contacts=contacts))


def _contact(aggregate: Aggregate, given: Mapping[str, Any], place: int) -> Contact:
    path = ("contacts", str(place))
    known = given.get("id")
    check_known(known, {each.id for each in aggregate.content.contacts}, (*path, "id"))
    fields = contact_fields(given, country_of(aggregate), path)
    return Contact(id=known or aggregate.new_id("Contact"), position=place, **fields)


SET_CONTACTS = UseCase(mutation="setContacts", decide=decide)
