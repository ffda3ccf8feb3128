"""A good input for every editing mutation, and the sections that each one changes."""

from collections.abc import Callable, Mapping
from typing import Any

from app.domain.vocabulary import Section

from .scenario import Rollout

Given = dict[str, Any]


def _named(location: Rollout, **more: Any) -> Given:
    return {"locationId": location.id, "expectedRevision": 1, **more}


EDITS: Mapping[str, Callable[[Rollout], Given]] = {
    "setCurrentStep": lambda location: {"locationId": location.id, "step": "DEVICES"},
    "updateLocation": lambda location: _named(location, name=f"Harbour {location.id}"),
    "setContacts": lambda location: _named(
        location, contacts=[{"purpose": "PRIMARY", "fullName": "Ida Frost", "email": "ida@dune.example"}]
    ),
    "setPhoneSystem": lambda location: _named(location, callerIdName="DUNE"),
    "addDevice": lambda location: {"locationId": location.id, "brand": "YEALINK", "model": "T54W"},
    "editDevice": lambda location: {"deviceId": location.device, "expectedRevision": 1, "label": "Front desk"},
    "removeDevice": lambda location: {"deviceId": location.device, "expectedRevision": 1},
    "addPerson": lambda location: {"locationId": location.id, "firstName": "Ida"},
    "editPerson": lambda location: {"personId": location.person, "expectedRevision": 1, "lastName": "Frost"},
    "removePerson": lambda location: {"personId": location.person, "expectedRevision": 1},
    "setExtensions": lambda location: _named(
        location,
        extensions=[
            {
                "id": location.extension,
                "number": "1002",
                "label": "Desk",
                "personId": location.person,
                "deviceId": location.device,
            }
        ],
    ),
    "setWorkingHours": lambda location: _named(
        location, intervals=[{"weekday": 1, "opens": "09:00:00", "closes": "12:00:00"}]
    ),
    "setCallFlow": lambda location: _named(location, kind="DIRECT", directTargets=[location.extension]),
}

# An extension that loses its device or its person changes too.
SECTIONS: Mapping[str, frozenset[Section]] = {
    "setCurrentStep": frozenset(),
    "updateLocation": frozenset({Section.LOCATION}),
    "setContacts": frozenset({Section.CONTACTS}),
    "setPhoneSystem": frozenset({Section.PHONE_SYSTEM}),
    "addDevice": frozenset({Section.DEVICES}),
    "editDevice": frozenset({Section.DEVICES}),
    "removeDevice": frozenset({Section.DEVICES, Section.EXTENSIONS}),
    "addPerson": frozenset({Section.PEOPLE}),
    "editPerson": frozenset({Section.PEOPLE}),
    "removePerson": frozenset({Section.PEOPLE, Section.EXTENSIONS}),
    "setExtensions": frozenset({Section.EXTENSIONS}),
    "setWorkingHours": frozenset({Section.WORKING_HOURS}),
    "setCallFlow": frozenset({Section.CALL_FLOW}),
}
CONTENT_EDITS = sorted(mutation for mutation, sections in SECTIONS.items() if sections)
