"""The declarations of all mutations by name, and the sets of names that shared code needs."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from app.domain import events
from app.domain.bulk import VERBS_TOWARDS
from app.domain.vocabulary import SystemAction
from app.operations.add_device import ADD_DEVICE
from app.operations.add_person import ADD_PERSON
from app.operations.answer_payload import ACKNOWLEDGE_PAYLOAD, REJECT_PAYLOAD
from app.operations.approve import APPROVE
from app.operations.bulk_mutations import BULK_APPROVE, BULK_GENERATE_PAYLOADS, BULK_UPDATE_STATUS
from app.operations.close_override import CLOSE_OVERRIDE
from app.operations.complete_provisioning import COMPLETE_PROVISIONING
from app.operations.confirm_decommission import CONFIRM_DECOMMISSION
from app.operations.create_test_payload import CREATE_TEST_PAYLOAD
from app.operations.edit_device import EDIT_DEVICE
from app.operations.edit_person import EDIT_PERSON
from app.operations.generate_payload import GENERATE_PAYLOAD
from app.operations.manage_accounts import CREATE_ACCOUNT, CREATE_LOCATION, UPDATE_ACCOUNT
from app.operations.manage_catalogue import (
    ADD_DEVICE_MODEL,
    EDIT_DEVICE_MODEL,
    REMOVE_DEVICE_MODEL,
    SET_DEVICE_MODELS,
)
from app.operations.manage_invitations import INVITE_USER, REVOKE_INVITATION
from app.operations.manage_service_tokens import CREATE_SERVICE_TOKEN, REVOKE_SERVICE_TOKEN
from app.operations.manage_sessions import REVOKE_SESSION, REVOKE_SESSIONS
from app.operations.manage_users import CONFIRM_USER, CREATE_USER, EDIT_USER, REINSTATE_USER, SET_GRANTS, SUSPEND_USER
from app.operations.move_device import MOVE_DEVICE
from app.operations.mutation import ContentEffect, DeclarationError, Mutation
from app.operations.open_override import OPEN_OVERRIDE
from app.operations.remove_device import REMOVE_DEVICE
from app.operations.remove_person import REMOVE_PERSON
from app.operations.replace_device import REPLACE_DEVICE
from app.operations.request_changes import REQUEST_CHANGES
from app.operations.set_accepted_payload_versions import SET_ACCEPTED_PAYLOAD_VERSIONS
from app.operations.set_call_flow import SET_CALL_FLOW
from app.operations.set_contacts import SET_CONTACTS
from app.operations.set_current_step import SET_CURRENT_STEP
from app.operations.set_extensions import SET_EXTENSIONS
from app.operations.set_location_partners import SET_LOCATION_PARTNERS
from app.operations.set_phone_system import SET_PHONE_SYSTEM
from app.operations.set_working_hours import SET_WORKING_HOURS
from app.operations.start_onboarding import START_ONBOARDING
from app.operations.submit_onboarding import SUBMIT_ONBOARDING
from app.operations.transitions import BLOCK, CANCEL, REOPEN, UNBLOCK, WITHDRAW_SUBMISSION
from app.operations.trigger_provisioning import TRIGGER_PROVISIONING
from app.operations.update_location import UPDATE_LOCATION
from app.operations.waive_receipt import WAIVE_RECEIPT


def by_name(declared: Iterable[Mutation[Any]]) -> Mapping[str, Mutation[Any]]:
    """The mutations by name. Raises DeclarationError if two have the same name."""
    found: dict[str, Mutation[Any]] = {}
    for mutation in declared:
        if mutation.name in found:
            raise DeclarationError(f"mutation {mutation.name} is declared twice")
        found[mutation.name] = mutation
    return MappingProxyType(found)


def names_with(effect: ContentEffect, mutations: Mapping[str, Mutation[Any]]) -> tuple[str, ...]:
    """The names of the mutations with this effect on content, as in the audit log."""
    return tuple(name for name, mutation in mutations.items() if mutation.content is effect)


def check_events(mutations: Iterable[str]) -> None:
    """Raises EventError unless each action of the audit log, and each item of a bulk change of status, has an event."""
    events.check_complete([*mutations, *SystemAction])
    for verbs in VERBS_TOWARDS.values():
        for verb in verbs.values():
            events.applied(BULK_UPDATE_STATUS.name, verb)


MUTATIONS = by_name(
    (
        START_ONBOARDING,
        SET_CURRENT_STEP,
        UPDATE_LOCATION,
        SET_CONTACTS,
        SET_PHONE_SYSTEM,
        ADD_DEVICE,
        EDIT_DEVICE,
        MOVE_DEVICE,
        REMOVE_DEVICE,
        ADD_PERSON,
        EDIT_PERSON,
        REMOVE_PERSON,
        SET_EXTENSIONS,
        SET_WORKING_HOURS,
        SET_CALL_FLOW,
        SUBMIT_ONBOARDING,
        WITHDRAW_SUBMISSION,
        APPROVE,
        REQUEST_CHANGES,
        BLOCK,
        UNBLOCK,
        CANCEL,
        REOPEN,
        OPEN_OVERRIDE,
        CLOSE_OVERRIDE,
        REPLACE_DEVICE,
        GENERATE_PAYLOAD,
        TRIGGER_PROVISIONING,
        COMPLETE_PROVISIONING,
        ACKNOWLEDGE_PAYLOAD,
        REJECT_PAYLOAD,
        WAIVE_RECEIPT,
        CONFIRM_DECOMMISSION,
        SET_LOCATION_PARTNERS,
        CREATE_TEST_PAYLOAD,
        BULK_UPDATE_STATUS,
        BULK_APPROVE,
        BULK_GENERATE_PAYLOADS,
        CREATE_ACCOUNT,
        UPDATE_ACCOUNT,
        CREATE_LOCATION,
        CREATE_USER,
        EDIT_USER,
        SET_GRANTS,
        SET_ACCEPTED_PAYLOAD_VERSIONS,
        SUSPEND_USER,
        REINSTATE_USER,
        CONFIRM_USER,
        REVOKE_SESSION,
        REVOKE_SESSIONS,
        CREATE_SERVICE_TOKEN,
        REVOKE_SERVICE_TOKEN,
        INVITE_USER,
        REVOKE_INVITATION,
        SET_DEVICE_MODELS,
        ADD_DEVICE_MODEL,
        EDIT_DEVICE_MODEL,
        REMOVE_DEVICE_MODEL,
    )
)

check_events(MUTATIONS)

EDITS = names_with(ContentEffect.EDITS, MUTATIONS)
SUBMITS = names_with(ContentEffect.SUBMITS, MUTATIONS)
APPROVES = names_with(ContentEffect.APPROVES, MUTATIONS)
