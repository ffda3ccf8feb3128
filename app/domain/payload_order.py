"""The order of rows in payload documents, and which rows they have."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.content import Contact, Device, Extension, LocationContent, Person
from app.domain.vocabulary import ContactPurpose


@dataclass(frozen=True, slots=True)
class ContactsInOrder:
    """The first contact of each purpose, and the others in their order."""

    first: dict[ContactPurpose, Contact]
    others: list[Contact]


def contacts_in_order(contacts: Iterable[Contact]) -> ContactsInOrder:
    """Return the contacts sorted by position, the first of each purpose apart."""
    in_order = sorted(contacts, key=lambda contact: (contact.position, contact.id))
    first: dict[ContactPurpose, Contact] = {}
    for contact in in_order:
        first.setdefault(contact.purpose, contact)
    return ContactsInOrder(first, [contact for contact in in_order if contact is not first[contact.purpose]])


def devices_in_order(content: LocationContent) -> list[Device]:
    """Return the devices sorted by id."""
    return sorted(content.devices, key=lambda device: device.id)


def extensions_in_order(content: LocationContent) -> list[Extension]:
    """Return the extensions sorted by length and number."""
    return sorted(content.extensions, key=lambda extension: (len(extension.number), extension.number, extension.id))


def users_in_order(content: LocationContent) -> list[tuple[Person, list[Extension]]]:
    """Return the people who hold extensions, sorted by id, each with the extensions in their order."""
    held: dict[str, list[Extension]] = {}
    for extension in extensions_in_order(content):
        if extension.person_id:
            held.setdefault(extension.person_id, []).append(extension)
    return [(person, held[person.id]) for person in sorted(content.people, key=lambda row: row.id) if person.id in held]
