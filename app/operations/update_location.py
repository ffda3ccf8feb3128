"""Change a location's name, address, time zone or site code."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from app.domain.content import LocationContent
from app.domain.dialling import read_again
from app.domain.vocabulary import Budget, Section
from app.operations.aggregate import Aggregate
from app.operations.commands import UNSET, Command, Unset
from app.operations.context import LocationChange
from app.operations.editing import AddressPatch, address_with, edited, permitted, text
from app.operations.mutation import ContentEffect, LocationMutation, RecordedRefusals
from permissions.matrix import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateLocation(Command):
    """Changes to the location itself."""

    location_id: str
    expected_revision: int
    name: str | Unset = UNSET
    address: AddressPatch | Unset = UNSET
    timezone: str | Unset | None = UNSET
    site_code: str | Unset | None = UNSET


def decide(aggregate: Aggregate, command: UpdateLocation) -> LocationChange:
    """Change the given fields. Raises Locked, Conflict, InvalidInput.

    A change of the country changes the meaning of numbers in other sections, so an override must cover these sections
    as well. Raises OverrideScope.
    """
    override_id = permitted(aggregate, Section.LOCATION)
    aggregate.check_section_revision(Section.LOCATION, command.expected_revision)
    content = aggregate.content
    content = replace(
        content,
        name=text("location.name", command.name, content.name, ()) or "",
        timezone=text("location.timezone", command.timezone, content.timezone, ()),
        site_code=text("location.siteCode", command.site_code, content.site_code, ()),
    )
    if command.address is not UNSET:
        content = replace(content, address=address_with(content.address, command.address, ("address",)))
    if content.address.country != aggregate.content.address.country:
        content = read_again(content)
        permitted(aggregate, Section.LOCATION, *_with_other_numbers(aggregate.content, content))
    return edited(aggregate, Section.LOCATION, override_id, content)


def _with_other_numbers(before: LocationContent, after: LocationContent) -> Iterator[Section]:
    """The sections whose numbers change with the country."""
    for section, part in _NUMBERS.items():
        if part(before) != part(after):
            yield section


_NUMBERS: Mapping[Section, Callable[[LocationContent], object]] = {
    Section.CONTACTS: attrgetter("contacts"),
    Section.PHONE_SYSTEM: attrgetter("phone_system"),
    Section.PEOPLE: attrgetter("people"),
    Section.CALL_FLOW: attrgetter("call_flow"),
}


UPDATE_LOCATION = LocationMutation(
    name="updateLocation",
    command=UpdateLocation,
    decide=decide,
    action=Action.EDIT_ONBOARDING,
    budget=Budget.EDITS,
    content=ContentEffect.EDITS,
    refusals=RecordedRefusals.ON_LOCKED_LOCATIONS,
    counts=(),
)
