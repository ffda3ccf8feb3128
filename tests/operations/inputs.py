"""Good inputs made by walking the schema, so that a mutation is known to these tests as soon as the schema has it."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, GraphQLNonNull, get_named_type

from app.domain.vocabulary import LocationStatus

from .scenario import MUTATIONS, Rollout, Scenario, a_key, a_mac, input_fields

S = LocationStatus
Path = tuple[str | int, ...]

# The status in which a mutation is legal where IN_PROGRESS is not.
_STATUS = {
    "startOnboarding": S.NOT_STARTED,
    **dict.fromkeys(("withdrawSubmission", "requestChanges", "approve", "bulkApprove"), S.PENDING_APPROVAL),
    **dict.fromkeys(("generatePayload", "bulkGeneratePayloads", "triggerProvisioning"), S.APPROVED),
    **dict.fromkeys(("openOverride", "closeOverride", "replaceDevice"), S.APPROVED),
    **dict.fromkeys(("completeProvisioning", "acknowledgePayload", "rejectPayload", "waiveReceipt"), S.PROVISIONING),
    "confirmDecommission": S.COMPLETED,
    "unblock": S.BLOCKED,
    "reopen": S.CANCELLED,
}

# By the name of the field; every other text is new to the location.
_VALUES: Mapping[str, Callable[[Rollout, Rollout], Any]] = {
    "locationId": lambda here, _: here.id,
    "locationIds": lambda here, _: [here.id],
    "toLocationId": lambda _, other: other.id,
    "deviceId": lambda here, _: here.device,
    "personId": lambda here, _: here.person,
    "extensionId": lambda here, _: here.extension,
    "partners": lambda here, _: {"listed": [{"userId": here.recipient, "partnerPurpose": "PBX", "required": True}]},
    "onBehalfOf": lambda *_: None,
    "scope": lambda *_: {"allLocations": True},
    "target": lambda here, _: {"extensionId": here.extension},
    "timeoutTarget": lambda here, _: {"extensionId": here.extension},
    "invalidTarget": lambda here, _: {"voicemailOfExtensionId": here.extension},
    "directTargets": lambda here, _: [here.extension],
    "payloadId": lambda here, _: here.payload,
    "overrideId": lambda here, _: here.override or "override-of-nobody",
    "accountId": lambda here, _: here.content.account_id,
    "userId": lambda here, _: here.recipient,
    "sessionId": lambda *_: "usersession-of-nobody",
    "issuer": lambda *_: "https://issuer.example",
    "expectedRevision": lambda *_: 1,
    "expectedDigest": lambda here, _: here.digest,
    "documentDigest": lambda here, _: here.payload_digest,
    "idempotencyKey": lambda *_: a_key(),
    "status": lambda *_: "BLOCKED",
    "macAddress": lambda *_: a_mac(),
    "name": lambda *_: f"Entirely new {secrets.token_hex(6)}",
    "email": lambda *_: f"{secrets.token_hex(6)}@dune.example",
    "country": lambda *_: "CA",
    "siteCode": lambda *_: f"Store {secrets.token_hex(6)}",
    "digit": lambda *_: "7",
    "number": lambda *_: "1007",
    "outboundPrefix": lambda *_: "8",
    "path": lambda *_: "/devices",
    "weekday": lambda *_: 2,
    "opens": lambda *_: "08:00:00",
    "closes": lambda *_: "11:00:00",
    "extensionLength": lambda *_: 5,
    "timeoutSeconds": lambda *_: 7,
    "retries": lambda *_: 3,
    "expiresInMinutes": lambda *_: 5,
    "lines": lambda *_: 2,
    "deviceModelId": lambda *_: "model-yealink-t46s",
    "sourceDate": lambda *_: "2026-11-30",
    "serviceTokenId": lambda *_: "token-of-nobody",
    "versions": lambda *_: ["1.0.0"],
    "dryRun": lambda *_: False,
    "allAccounts": lambda *_: False,
    "accounts": lambda *_: {"allOfUser": True},
    "actions": lambda *_: {"allOfUser": True},
    "expiresAt": lambda *_: (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    "invitationId": lambda *_: "invitation-of-nobody",
}
_NAMING = frozenset({"locationId", "locationIds", "deviceId", "personId", "payloadId", "overrideId", "items"})
OF_A_LOCATION = sorted(mutation for mutation in MUTATIONS if _NAMING & set(input_fields(mutation)))
"""Those that say which location, device, person, payload or override they are about."""
OF_A_RECIPIENT = frozenset({"acknowledgePayload", "rejectPayload", "confirmDecommission"})
OF_NO_LOCATION = frozenset(
    {
        "confirmUser",
        "createAccount",
        "createServiceToken",
        "createLocation",
        "createTestPayload",
        "createUser",
        "editUser",
        "inviteUser",
        "reinstateUser",
        "setAcceptedPayloadVersions",
        "setDeviceModels",
        "addDeviceModel",
        "editDeviceModel",
        "removeDeviceModel",
        "revokeServiceToken",
        "revokeSession",
        "revokeSessions",
        "revokeInvitation",
        "setGrants",
        "suspendUser",
        "updateAccount",
    }
)
assert set(MUTATIONS) - set(OF_A_LOCATION) == OF_NO_LOCATION, "a mutation that names its location in another way"


async def arranged(
    scenario: Scenario, mutation: str, status: LocationStatus | None = None, *, live: bool = False
) -> tuple[str, Rollout]:
    """Who may run a mutation, and a location that takes it, or one in the status that is asked for.

    With `live` a partner acknowledged an earlier payload of the location.
    """
    status = status or _STATUS.get(mutation, S.IN_PROGRESS)
    opener = scenario.lead_2 if mutation == "closeOverride" else None
    who = scenario.partner if mutation in OF_A_RECIPIENT else scenario.lead
    return who, await scenario.a_location(status, override_of=opener, live=live)


def good_input(mutation: str, here: Rollout, other: Rollout) -> dict[str, Any]:
    """Every field that the mutation takes, about this location; lists have one member and name no row that is there."""
    return _object(input_fields(mutation), here, other)


def places_of_text(mutation: str) -> Iterator[Path]:
    """Where a mutation takes text that is kept: every String of its input that is no digest and no key."""
    yield from _texts(input_fields(mutation), ())


def places_of_null(mutation: str) -> Iterator[Path]:
    """Where a mutation takes null, at any depth and in lists."""
    yield from _nulls(input_fields(mutation), ())


def with_text(given: Any, place: Path, text: str | None) -> Any:
    """The input with another text, or null, at a place."""
    if not place:
        return text
    if isinstance(given, list):
        return [with_text(given[0], place[1:], text)]
    if place[0] not in given and place[0] != "id":  # another member of a @oneOf input
        return {place[0]: text}
    return {**given, place[0]: with_text(given.get(place[0]), place[1:], text)}


def _object(fields: Mapping[str, Any], here: Rollout, other: Rollout) -> dict[str, Any]:
    return {name: _value(name, field.type, here, other) for name, field in fields.items() if name != "id"}


def _value(name: str, kind: Any, here: Rollout, other: Rollout) -> Any:
    if name in _VALUES:
        return _VALUES[name](here, other)
    kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if isinstance(kind, GraphQLList):
        return [_value("", kind.of_type, here, other)]
    if isinstance(kind, GraphQLInputObjectType):
        assert not kind.is_one_of, f"no value for {name}, a {kind}"
        return _object(kind.fields, here, other)
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    return {"String": "Entirely new", "Boolean": True}[kind.name]


def _nulls(fields: Mapping[str, Any], above: Path) -> Iterator[Path]:
    for name, field in fields.items():
        kind = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        within = (*above, name)
        if kind is field.type and "cannot be null" not in field.description:
            yield within
        if isinstance(kind, GraphQLList):
            kind, within = get_named_type(kind), (*within, 0)
        if isinstance(kind, GraphQLInputObjectType) and not kind.is_one_of:
            yield from _nulls(kind.fields, within)


def _texts(fields: Mapping[str, Any], above: Path) -> Iterator[Path]:
    for name, field in fields.items():
        kind, within = get_named_type(field.type), (*above, name)
        if isinstance(field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type, GraphQLList):
            within = (*within, 0)
        if isinstance(kind, GraphQLInputObjectType):
            yield from _texts(kind.fields, within)
        elif kind.name == "String" and not name.endswith(("Digest", "Key")):
            yield within
