"""Normalises a location's phone numbers to E.164; numbers without a `+` are read as dialled within its country."""

from dataclasses import replace

from app.domain.content import Contact, LocationContent, Person, Target
from app.domain.phone_number import read_phone


def e164_of(number: str | None, country: str | None) -> str | None:
    """Return the number in E.164, or None when there is no number or it has no such form."""
    return read_phone(number, country=country).e164 if number else None


def read_again(content: LocationContent) -> LocationContent:
    """Return the content with the E.164 form of every number computed again, for the country of its address."""
    country = content.address.country

    def contact(each: Contact) -> Contact:
        return replace(each, e164=e164_of(each.phone, country))

    def person(each: Person) -> Person:
        return replace(each, mobile_e164=e164_of(each.mobile, country))

    def target(each: Target) -> Target:
        return replace(each, external_number_e164=e164_of(each.external_number, country))

    system, flow = content.phone_system, content.call_flow
    return replace(
        content,
        contacts=tuple(map(contact, content.contacts)),
        phone_system=system and replace(system, main_number_e164=e164_of(system.main_number, country)),
        people=tuple(map(person, content.people)),
        call_flow=flow
        and replace(
            flow,
            options=tuple(replace(each, target=target(each.target)) for each in flow.options),
            timeout_target=flow.timeout_target and target(flow.timeout_target),
            invalid_target=flow.invalid_target and target(flow.invalid_target),
        ),
    )
