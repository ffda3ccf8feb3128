"""Change a location's name, address or time zone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from operator import attrgetter

from app.domain.content import LocationContent
from app.domain.dialling import read_again
from app.domain.text import clean
from app.domain.vocabulary import Section
from app.operations.aggregate import Aggregate
from app.operations.context import Input, LocationChange, UseCase
from app.operations.editing import address_fields, edited, permitted


def decide(aggregate: Aggregate, given: Input) -> LocationChange:
    """Change what is given; raises Locked, Conflict, InvalidInput.

    Another country gives other meanings to the numbers of other sections, so that an override must cover these, too:
    raises OverrideScope.
    """
    override_id = permitted(aggregate, Section.LOCATION)
    aggregate.check_section_revision(Section.LOCATION, given["expected_revision"])
    content = aggregate.content
    if "name" in given:
        content = replace(content, name=clean("location.name", given["name"], path=("name",)) or "")
    if "timezone" in given:
        content = replace(content, timezone=clean("location.timezone", given["timezone"], path=("timezone",)))
    if given.get("address") is not None:
        address = replace(content.address, **address_fields(given["address"], ("address",)))
        content = replace(content, address=address)
    if content.address.country != aggregate.content.address.country:
        content = read_again(content)
        permitted(aggregate, Section.LOCATION, *_with_other_numbers(aggregate.content, content))
    return edited(aggregate, Section.LOCATION, override_id, content)


def _with_other_numbers(before: LocationContent, after: LocationContent) -> Iterator[Section]:
    """The sections whose numbers mean something else in another country."""
    for section, part in _NUMBERS.items():
        if part(before) != part(after):
            yield section


_NUMBERS: Mapping[Section, Callable[[LocationContent], object]] = {
    Section.CONTACTS: attrgetter("contacts"),
    Section.PHONE_SYSTEM: attrgetter("phone_system"),
    Section.PEOPLE: attrgetter("people"),
    Section.CALL_FLOW: attrgetter("call_flow"),
}


UPDATE_LOCATION = UseCase(mutation="updateLocation", decide=decide)
