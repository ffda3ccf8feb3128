"""The provisioning payload: the document from which a partner sets a location up.

app/domain/payload_version.py chooses the version of a document.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.domain.canonical import Json
from app.domain.content import (
    CallFlow,
    Contact,
    LocationContent,
    PhoneSystem,
    Target,
    WorkingHours,
)
from app.domain.content_document import hours_in_order, options_in_order
from app.domain.digest import content_digest
from app.domain.mac_address import show_mac
from app.domain.payload_order import contacts_in_order, devices_in_order, extensions_in_order, users_in_order
from app.domain.payload_shape import Payload, PayloadPart
from app.domain.payload_shape_1_1 import Payload11
from app.domain.vocabulary import CallFlowKind, CallTarget, ContactPurpose

# The structure of each version, oldest first.
SHAPES: Mapping[str, type[PayloadPart]] = {"1.0.0": Payload, "1.1.0": Payload11}
VERSIONS = tuple(SHAPES)

# What documents with derived values say where the call flow of an IVR leaves the value open.
DEFAULT_TIMEOUT_SECONDS = 10
DEFAULT_RETRIES = 2


class InvalidDocumentError(ValueError):
    """The payload document does not match the structure of its version."""


def payload_document(
    content: LocationContent,
    *,
    version: str,
    account_name: str,
    now: datetime,
    sequence: int,
    generated_by: str,
    location_revision: int,
    supersedes: str | None,
) -> dict[str, Json]:
    """Return the validated document of a payload. Equal arguments give equal bytes.

    `sequence` is the number of the payload, starting at 1 for each location; `generated_by` is the id of a user and
    `supersedes` the id of the previous payload. Raises InvalidDocumentError for content that does not pass the
    readiness checks, or that the version cannot express.
    """
    document = {
        "locationId": content.location_id,
        "locationName": content.name,
        "accountId": content.account_id,
        "accountName": account_name,
        "timestamp": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": version,
        **content_members(content, version),
        "metadata": {
            "sequence": sequence,
            "contentDigest": content_digest(content),
            "generatedBy": generated_by,
            "locationRevision": location_revision,
            "supersedes": supersedes,
        },
    }
    check_document(document)
    return document


def content_members(content: LocationContent, version: str) -> dict[str, Json]:
    """Return the members of a document that hold content, not validated.

    Every value that was entered is among them, even if the version has no key for it; derived values are there only if
    the version has them. Rows are sorted by id, extensions by number, hours by weekday, options by digit.
    """
    derived = version != VERSIONS[0]
    numbers = {row.id: row.number for row in content.extensions}
    mailbox = content.phone_system.main_number_e164 if derived and content.phone_system else None
    return {
        "location": _location(content),
        "contacts": _contacts(content.contacts, derived=derived),
        "phoneSystem": _phone_system(content.phone_system, mailbox),
        "devices": _devices(content),
        "users": _users(content, derived=derived),
        "extensions": _extensions(content),
        "workingHours": _working_hours(content.working_hours),
        "callFlow": _call_flow(content.call_flow, numbers, mailbox, derived=derived),
    }


def check_document(document: Mapping[str, Json]) -> None:
    """Raise InvalidDocumentError, which names the first offending value, unless the document matches its version."""
    shape = SHAPES.get(str(document.get("version")), Payload)
    try:
        msgspec.convert(document, shape)
    except msgspec.ValidationError as reason:
        raise InvalidDocumentError(str(reason)) from reason


def json_schema(version: str) -> dict[str, Any]:  # Any: a schema nests to any depth
    """Return the JSON Schema 2020-12 of a version, with which partners validate documents."""
    shape = SHAPES[version]
    (reference,), definitions = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    names = {name: _part_name(name) for name in definitions}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:turnup:provisioning-payload:{version}",
        "title": f"Turnup provisioning payload {version}",
        **_renamed(reference, names),
        "$defs": {names[name]: _renamed(part, names) for name, part in definitions.items()},
    }


def _part_name(class_name: str) -> str:
    """The name of a part in the schema: the class name without its prefix and version."""
    name = class_name.rstrip("0123456789")
    return name.removeprefix("Payload") or name


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    """A part of a schema with the parts' names in references and titles."""
    if isinstance(part, dict):
        return {key: _renamed(value, names) for key, value in part.items()} | {
            key: value.replace(name, names[name])
            for key, value in part.items()
            if key in {"$ref", "title"} and isinstance(value, str) and (name := value.rpartition("/")[2]) in names
        }
    return [_renamed(each, names) for each in part] if isinstance(part, list) else part


def _present(**values: Json) -> dict[str, Json]:
    """The keys of later versions that have a value."""
    return {key: value for key, value in values.items() if value is not None}


def _location(content: LocationContent) -> dict[str, Json]:
    address = content.address
    return {
        "name": content.name,
        "address": {
            "line1": address.line1,
            "line2": address.line2,
            "city": address.city,
            "state": address.state,
            "zipcode": address.zipcode,
            "country": address.country,
        },
        "timezone": content.timezone,
        **_present(siteCode=content.site_code),
    }


def _contacts(contacts: Iterable[Contact], *, derived: bool) -> dict[str, Json]:
    ordered = contacts_in_order(contacts)
    named: dict[str, Json] = {
        purpose.lower(): _contact(ordered.first[purpose], derived=derived) if purpose in ordered.first else None
        for purpose in ContactPurpose
    }
    return named | {
        "others": [
            _contact(contact, derived=derived) | {"purpose": contact.purpose.value} for contact in ordered.others
        ]
    }


def _contact(contact: Contact, *, derived: bool) -> dict[str, Json]:
    return {
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        **_present(phoneE164=contact.e164 if derived else None),
    }


def _phone_system(system: PhoneSystem | None, mailbox: str | None) -> Json:
    if system is None:
        return None
    return {
        "mainNumber": system.main_number_e164,
        "callerIdName": system.caller_id_name,
        "provider": system.provider,
        "outboundPrefix": system.outbound_prefix,
        "voicemail": system.voicemail,
        "extensionLength": system.extension_length,
        **_present(mailboxNumber=mailbox if system.voicemail else None),
    }


def _devices(content: LocationContent) -> list[Json]:
    rung_by = {row.device_id: row.number for row in content.extensions if row.device_id}
    return [
        {
            "id": device.id,
            "brand": device.brand.value,
            "model": device.model,
            "macAddress": show_mac(device.mac_address) if device.mac_address else None,
            "serialNumber": device.serial_number,
            "label": device.label,
            "extension": rung_by.get(device.id),
        }
        for device in devices_in_order(content)
    ]


def _users(content: LocationContent, *, derived: bool) -> list[Json]:
    return [
        {
            "id": person.id,
            "firstName": person.first_name,
            "lastName": person.last_name,
            "email": person.email,
            "mobile": person.mobile,
            "voicemail": person.voicemail,
            "extensions": [extension.number for extension in held],
            "devices": [extension.device_id for extension in held if extension.device_id],
            **_present(mobileE164=person.mobile_e164 if derived else None),
        }
        for person, held in users_in_order(content)
    ]


def _extensions(content: LocationContent) -> list[Json]:
    return [
        {
            "id": extension.id,
            "number": extension.number,
            "label": extension.label,
            "userId": extension.person_id,
            "deviceId": extension.device_id,
        }
        for extension in extensions_in_order(content)
    ]


def _working_hours(intervals: Iterable[WorkingHours]) -> list[Json]:
    return [
        {
            "weekday": interval.weekday,
            "opens": interval.opens.strftime("%H:%M"),
            "closes": interval.closes.strftime("%H:%M"),
            "passesMidnight": interval.passes_midnight,
        }
        for interval in hours_in_order(intervals)
    ]


def _call_flow(flow: CallFlow | None, numbers: Mapping[str, str], mailbox: str | None, *, derived: bool) -> Json:
    if flow is None:
        return None
    is_menu = flow.kind is CallFlowKind.IVR
    explicit = derived and is_menu

    def target(each: Target | None) -> Json:
        return _target(each, numbers, mailbox) if each and is_menu else None

    return {
        "kind": flow.kind.value,
        "greeting": flow.greeting,
        "timeoutSeconds": DEFAULT_TIMEOUT_SECONDS
        if explicit and flow.timeout_seconds is None
        else flow.timeout_seconds,
        "retries": DEFAULT_RETRIES if explicit and flow.retries is None else flow.retries,
        "extensions": [numbers.get(identifier) for identifier in flow.direct_targets],
        "options": [
            {"digit": option.digit, "target": target(option.target)}
            for option in options_in_order(flow.options if is_menu else ())
        ],
        "timeoutTarget": target(flow.timeout_target),
        "invalidTarget": target(flow.invalid_target),
    }


def _target(target: Target, numbers: Mapping[str, str], mailbox: str | None) -> dict[str, Json]:
    is_mailbox_of_location = target.kind is CallTarget.VOICEMAIL and target.extension_id is None
    return {
        "kind": target.kind.value,
        "extension": numbers.get(target.extension_id) if target.extension_id else None,
        "externalNumber": target.external_number_e164,
        **_present(mailboxNumber=mailbox if is_mailbox_of_location else None),
    }
