"""A call that is good for each mutation of the schema, so that one that is added is walked through as well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from graphql import GraphQLObjectType, get_named_type

from app.domain.status_machine import TABLE
from app.domain.vocabulary import LocationAction, LocationStatus, Role, UserStatus
from tests.agreed import WHO_MAY
from tests.builders_db import a_device_model, a_service_token, a_session, a_user, an_account, an_invitation
from tests.harness import granting
from tests.operations.edits import EDITS
from tests.operations.scenario import a_key, a_mac, payload_fields
from tests.operations.test_verbs import MUTATION, conditions
from tests.operations.test_verbs import given as good_input

from .cases import CASES, Arrange, Sending

if TYPE_CHECKING:
    from .ground import Ground

Fresh = Callable[["Ground"], Awaitable[dict[str, Any]]]


def _edit(mutation: str) -> Arrange:
    async def arrange(ground: Ground, _items: int) -> Sending:
        location = await ground.a_location(LocationStatus.IN_PROGRESS)
        return _sending(ground.customer, mutation, EDITS[mutation](location), location.id)

    return arrange


def _verb(verb: LocationAction) -> Arrange:
    async def arrange(ground: Ground, _items: int) -> Sending:
        status = sorted(TABLE[verb].sources)[0]
        location = await ground.a_location(status, **conditions(status, verb))
        who = {Role.CUSTOMER: ground.customer, Role.PARTNER: ground.partner, Role.IMPLEMENTATION_LEAD: ground.lead}
        sender = next(user for role, user in who.items() if role in WHO_MAY[verb])
        return _sending(sender, MUTATION[verb], good_input(verb, location), location.id)

    return arrange


async def _close_override(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(LocationStatus.APPROVED, override_of=ground.lead)
    return _sending(ground.lead, "closeOverride", {"overrideId": location.override}, location.id)


async def _decommission(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(LocationStatus.COMPLETED)
    return _sending(ground.partner, "confirmDecommission", {"payloadId": location.live}, location.id)


async def _set_partners(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(LocationStatus.IN_PROGRESS)
    partners = [{"userId": location.recipient, "partnerPurpose": "CARRIER", "required": True}]
    given = {"locationId": location.id, "partners": {"listed": partners}}
    return _sending(ground.lead, "setLocationPartners", given, location.id)


async def _replace_device(ground: Ground, _items: int) -> Sending:
    location = await ground.a_location(LocationStatus.APPROVED)
    given = {"deviceId": location.device, "macAddress": a_mac(), "reason": "The phone at reception broke."}
    return _sending(ground.lead, "replaceDevice", given, location.id)


def _administration(mutation: str, fresh: Fresh) -> Arrange:
    async def arrange(ground: Ground, _items: int) -> Sending:
        given = await fresh(ground)
        return _sending(ground.lead, mutation, given, since=await ground.last_entry())

    return arrange


async def _an_account(ground: Ground) -> dict[str, Any]:
    async with ground.arranging():
        return {
            "accountId": await an_account(ground.connection),
            "expectedRevision": 1,
            "name": f"Fern Bakery {a_key()}",
        }


async def _a_partner(ground: Ground, status: UserStatus = UserStatus.ACTIVE) -> str:
    async with ground.arranging():
        return await a_user(ground.connection, Role.PARTNER, status=status)


async def _new_account(_ground: Ground) -> dict[str, Any]:
    return {"name": f"Fern Bakery {a_key()}"}


async def _new_location(ground: Ground) -> dict[str, Any]:
    return {"accountId": ground.account, "name": f"Dune Opticians - Quay {a_key()}"}


async def _new_test(ground: Ground) -> dict[str, Any]:
    return {"accountId": ground.account, "userId": ground.partner}


async def _new_user(_ground: Ground) -> dict[str, Any]:
    return {"name": "Ida Frost", "email": f"{a_key()}@dune.example", "role": "PARTNER"}


async def _edited_user(ground: Ground) -> dict[str, Any]:
    return {"userId": await _a_partner(ground), "expectedRevision": 1, "name": "Ida Frost"}


async def _granted_user(ground: Ground) -> dict[str, Any]:
    grants = [granting(ground.account)]
    return {"userId": await _a_partner(ground), "expectedRevision": 1, "grants": grants}


async def _stating_partner(ground: Ground) -> dict[str, Any]:
    return {"userId": await _a_partner(ground), "versions": ["1.0.0"]}


async def _active_user(ground: Ground) -> dict[str, Any]:
    return {"userId": await _a_partner(ground)}


async def _suspended_user(ground: Ground) -> dict[str, Any]:
    return {"userId": await _a_partner(ground, UserStatus.SUSPENDED)}


async def _unconfirmed_user(ground: Ground) -> dict[str, Any]:
    async with ground.arranging():
        return {"userId": await a_user(ground.connection, Role.PARTNER, made_by=[ground.lead_2])}


async def _signed_in_user(ground: Ground) -> dict[str, Any]:
    async with ground.arranging():
        user = await a_user(ground.connection, Role.PARTNER)
        await a_session(ground.connection, user)
    return {"userId": user}


async def _new_service_token(ground: Ground) -> dict[str, Any]:
    async with ground.arranging():
        user = await a_user(ground.connection, Role.PARTNER)
    everything = {"allOfUser": True}
    expires_at = (datetime.now(UTC) + timedelta(days=90)).isoformat()
    return {"userId": user, "name": "Poller", "accounts": everything, "actions": everything, "expiresAt": expires_at}


async def _service_token(ground: Ground) -> dict[str, Any]:
    async with ground.arranging():
        user = await a_user(ground.connection, Role.PARTNER)
        return {"serviceTokenId": await a_service_token(ground.connection, user)}


async def _session(ground: Ground) -> dict[str, Any]:
    async with ground.arranging():
        user = await a_user(ground.connection, Role.PARTNER)
        return {"sessionId": await a_session(ground.connection, user)}


async def _invited_person(_ground: Ground) -> dict[str, Any]:
    return {"name": "Ida Frost", "email": f"{a_key()}@dune.example", "role": "PARTNER", "grants": []}


async def _open_invitation(ground: Ground) -> dict[str, Any]:
    async with ground.arranging():
        return {"invitationId": await an_invitation(ground.connection)}


async def _catalogue(ground: Ground) -> dict[str, Any]:
    """The models that are there, and one more."""
    found = await ground.connection.fetch("SELECT brand, model AS name, lines FROM turnup.device_model ORDER BY id")
    return {"models": [*map(dict, found), {"brand": "SNOM", "name": a_key(), "lines": 4}]}


async def _new_model(_ground: Ground) -> dict[str, Any]:
    return {"brand": "SNOM", "name": a_key(), "lines": 4, "kind": "DESK_PHONE"}


async def _edited_model(ground: Ground) -> dict[str, Any]:
    return {**await _a_model(ground), "lines": 8}


async def _a_model(ground: Ground) -> dict[str, Any]:
    async with ground.arranging():
        return {"deviceModelId": await a_device_model(ground.connection), "expectedRevision": 1}


ADMINISTRATION: Mapping[str, Fresh] = {
    "createAccount": _new_account,
    "updateAccount": _an_account,
    "createLocation": _new_location,
    "createTestPayload": _new_test,
    "createUser": _new_user,
    "editUser": _edited_user,
    "setGrants": _granted_user,
    "setAcceptedPayloadVersions": _stating_partner,
    "suspendUser": _active_user,
    "reinstateUser": _suspended_user,
    "confirmUser": _unconfirmed_user,
    "createServiceToken": _new_service_token,
    "revokeServiceToken": _service_token,
    "inviteUser": _invited_person,
    "revokeInvitation": _open_invitation,
    "revokeSession": _session,
    "revokeSessions": _signed_in_user,
    "setDeviceModels": _catalogue,
    "addDeviceModel": _new_model,
    "editDeviceModel": _edited_model,
    "removeDeviceModel": _a_model,
}


def _sending(who: str, mutation: str, given: Mapping[str, Any], *touched: str, since: int = 0) -> Sending:
    kept = {**given, "idempotencyKey": a_key()}
    return Sending(who=who, mutation=mutation, given=kept, touched=touched, select=_objects(mutation), since=since)


def _objects(mutation: str) -> str:
    """The ids of whatever a mutation's payload shows."""
    shown = ((name, get_named_type(field.type)) for name, field in payload_fields(mutation).items())
    return " ".join(
        f"{name} {{ id }}" for name, kind in shown if isinstance(kind, GraphQLObjectType) and "id" in kind.fields
    )


EVERY: Mapping[str, Arrange] = {
    **{mutation: _edit(mutation) for mutation in EDITS},
    **{MUTATION[verb]: _verb(verb) for verb in TABLE if verb is not LocationAction.APPROVE_AGAIN},
    "closeOverride": _close_override,
    "confirmDecommission": _decommission,
    "replaceDevice": _replace_device,
    "setLocationPartners": _set_partners,
    **{mutation: _administration(mutation, fresh) for mutation, fresh in ADMINISTRATION.items()},
    **CASES,
}

# The mutations that may be sent together. setDeviceModels is sent alone: it removes the models that others are about.
TOGETHER: Mapping[str, Arrange] = {
    mutation: arrange for mutation, arrange in EVERY.items() if mutation != "setDeviceModels"
}
