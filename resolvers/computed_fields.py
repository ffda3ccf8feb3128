"""Fields whose values no single column holds: formatted MAC addresses, progress, branches, grants."""

from datetime import datetime
from itertools import chain
from typing import Any

import orjson
from strawberry import Parent

from app.db import rows, tables
from app.domain.mac_address import show_mac
from app.domain.payload import VERSIONS
from app.domain.progress import progress as in_percent
from app.domain.rejection import RejectionReason
from app.domain.vocabulary import CallTrigger, Role
from permissions.matrix import Action, TokenAction
from permissions.policy import answers_payloads, may
from resolvers.context import Info
from resolvers.relations import if_of_location


def mac_address(device: Parent[rows.DeviceRow]) -> str | None:
    """A device's MAC address with colons."""
    return None if device.mac_address is None else show_mac(device.mac_address)


def document(payload: Parent[rows.ProvisioningPayloadRow]) -> Any:
    """A payload's document as JSON."""
    return orjson.loads(payload.document)


def status_reason(change: Parent[rows.StatusChangeRow], info: Info) -> str | None:
    """The reason of a status change that the viewer reads: the internal one, or the one for customers."""
    return change.reason if may(info.context.viewer, Action.VIEW_INTERNAL_REASONS) else change.reason_for_customer


async def progress(session: Parent[rows.OnboardingSessionRow], info: Info) -> int:
    """The share of complete sections of a location, in percent."""
    states: list[rows.SectionStateRow] = await info.context.reading.many(tables.section.c.location_id).load(
        session.location_id
    )
    return in_percent([state.complete for state in states])


async def options(flow: Parent[rows.CallFlowRow], info: Info) -> list[rows.CallFlowOptionRow]:
    """The branches for the keys of a menu, in order."""
    return await _branches(flow, info, CallTrigger.DIGIT)


async def timeout_target(flow: Parent[rows.CallFlowRow], info: Info) -> rows.CallFlowOptionRow | None:
    """The branch for a call without a key press, or None."""
    return next(iter(await _branches(flow, info, CallTrigger.TIMEOUT)), None)


async def invalid_target(flow: Parent[rows.CallFlowRow], info: Info) -> rows.CallFlowOptionRow | None:
    """The branch for a call with wrong keys, or None."""
    return next(iter(await _branches(flow, info, CallTrigger.INVALID)), None)


async def direct_targets(flow: Parent[rows.CallFlowRow], info: Info) -> list[rows.ExtensionRow]:
    """The extensions of the location that ring immediately when a call arrives, in ringing order."""
    targets = await _branches(flow, info, CallTrigger.DIRECT)
    wanted = [target.extension_id for target in targets if target.extension_id is not None]
    extensions = await info.context.reading.one(tables.extension.c.id).load_many(wanted)
    return [extension for extension in extensions if if_of_location(extension, flow) is not None]


async def live(payload: Parent[rows.ProvisioningPayloadRow], info: Info) -> bool:
    """Whether the viewer has a payload in operation or, if the viewer receives none, whether any recipient has."""
    if not answers_payloads(info.context.viewer.role):
        return payload.live
    return _runs(await info.context.reading.many(tables.payload_recipient.c.payload_id).load(payload.id))


async def live_of_all(payloads: list[rows.ProvisioningPayloadRow], info: Info) -> list[bool]:
    """`live` of all payloads of a level, in one statement."""
    if not answers_payloads(info.context.viewer.role):
        return [payload.live for payload in payloads]
    recipients = info.context.reading.many(tables.payload_recipient.c.payload_id)
    return [_runs(own) for own in await recipients.each([payload.id for payload in payloads])]


def _runs(own: list[rows.PayloadRecipientRow]) -> bool:
    """A partner sees its own recipients only."""
    return any(each.live for each in own)


async def receipt_of_recipient(recipient: Parent[rows.PayloadRecipientRow], info: Info) -> rows.ReceiptRow | None:
    """The recipient's answer, or None."""
    receipts = await info.context.reading.many(tables.receipt.c.payload_id).load(recipient.payload_id)
    return next((each for each in receipts if each.received_by == recipient.user_id), None)


def rejection_reasons(receipt: Parent[rows.ReceiptRow]) -> list[RejectionReason]:
    """The reasons of a rejection, in order; none for an acknowledgement."""
    return [RejectionReason(**reason) for reason in receipt.reasons]


async def rejection_reasons_of_all(receipts: list[rows.ReceiptRow], _info: Info) -> list[list[RejectionReason]]:
    """`rejection_reasons` of all receipts of a level."""
    return [rejection_reasons(each) for each in receipts]


async def is_confirmed(user: Parent[rows.UserRow]) -> bool:
    """Whether nobody made the user since the last confirmation."""
    return not user.made_by


async def are_confirmed(users: list[rows.UserRow], _info: Info) -> list[bool]:
    """`is_confirmed` of all users of a level."""
    return [not user.made_by for user in users]


async def is_current_session(session: Parent[rows.UserSessionRow], info: Info) -> bool:
    """Whether the request was sent with the session."""
    return session.id == info.context.viewer.credential_id


async def are_current_sessions(sessions: list[rows.UserSessionRow], info: Info) -> list[bool]:
    """`is_current_session` of all sessions of a level."""
    current = info.context.viewer.credential_id
    return [each.id == current for each in sessions]


def token_actions(token: Parent[rows.ServiceTokenRow]) -> list[TokenAction] | None:
    """The actions that a service token lists, in alphabetical order, without those that this version does not know."""
    return None if token.actions is None else [each for each in sorted(TokenAction) if each in token.actions]


async def token_actions_of_all(tokens: list[rows.ServiceTokenRow], _info: Info) -> list[list[TokenAction] | None]:
    """`token_actions` of all tokens of a level."""
    return list(map(token_actions, tokens))


async def last_use(token: Parent[rows.ServiceTokenRow], info: Info) -> datetime | None:
    """The time when a service token was last used, or None."""
    use = await info.context.reading.one(tables.service_token_use.c.token_id).load(token.id)
    return None if use is None else use.last_used_at


async def last_use_of_all(tokens: list[rows.ServiceTokenRow], info: Info) -> list[datetime | None]:
    """`last_use` of all tokens of a level, in one statement."""
    uses = await info.context.reading.one(tables.service_token_use.c.token_id).each([each.id for each in tokens])
    return [None if use is None else use.last_used_at for use in uses]


async def granted_accounts(invitation: Parent[rows.InvitationRow], info: Info) -> list[rows.AccountRow]:
    """The accounts to all of whose locations an invitation grants access."""
    found = await info.context.reading.one(tables.account.c.id).load_many(invitation.granted_account_ids)
    return [account for account in found if account is not None]


async def granted_accounts_of_all(invitations: list[rows.InvitationRow], info: Info) -> list[list[rows.AccountRow]]:
    """`granted_accounts` of all invitations of a level, in one statement."""
    wanted = list(dict.fromkeys(chain.from_iterable(each.granted_account_ids for each in invitations)))
    found = dict(zip(wanted, await info.context.reading.one(tables.account.c.id).each(wanted), strict=True))
    granted = ([found[account_id] for account_id in each.granted_account_ids] for each in invitations)
    return [[account for account in accounts if account is not None] for accounts in granted]


async def accepted_payload_versions(user: Parent[rows.UserRow], info: Info) -> list[str] | None:
    """The versions of the payload document that a partner accepts, oldest first; None for other users."""
    return await accepted_versions_of(user.id, Role(user.role), info)


async def accepted_versions_of(user_id: str, role: Role, info: Info) -> list[str] | None:
    """The versions of the payload document that a user accepts, oldest first; None for users who receive none."""
    if not answers_payloads(role):
        return None
    stated = await info.context.reading.many(tables.accepted_version.c.user_id).load(user_id)
    accepted = {each.version for each in stated} or VERSIONS
    return [version for version in VERSIONS if version in accepted]


async def _branches(flow: rows.CallFlowRow, info: Info, trigger: CallTrigger) -> list[rows.CallFlowOptionRow]:
    routes = await info.context.reading.many(tables.call_flow_option.c.location_id).load(flow.location_id)
    return [route for route in routes if route.trigger == trigger]
