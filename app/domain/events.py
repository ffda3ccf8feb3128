"""The catalogue of domain events: every line of the log that says what happened to the data, and who was refused.

An event has a name, `noun.past_tense`, which never changes once it is released. It belongs to actions of the audit log
(mutations by their names, and actions of the system), or states why the audit log has no entry for it. UNLOGGED has the
actions without an event. app/operations/registry.py checks at import that each action has its event or a reason;
app/operations/event_log.py writes lines.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from types import MappingProxyType

from app.domain.vocabulary import AuditOutcome, LocationAction, SystemAction

_NAME = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+")


@unique
class EventLevel(StrEnum):
    """The level of an event's line in the log."""

    INFO = "INFO"
    WARNING = "WARNING"
    """An attack would cause it as well, or an operator should look at it."""
    ERROR = "ERROR"
    """An operator must act."""


class EventError(TypeError):
    """The catalogue of events is wrong or incomplete."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Event:
    """One domain event. Raises EventError if it is declared wrongly."""

    name: str
    says: str
    """What happened, in one sentence for the documentation."""
    actions: tuple[str, ...] = ()
    """The actions of the audit log whose entries it goes with."""
    outcome: AuditOutcome = AuditOutcome.APPLIED
    """Whether it goes with the changes of these actions or with their refused attempts."""
    unaudited: str | None = None
    """Why it has no entry in the audit log. None for an event with actions."""
    level: EventLevel = EventLevel.INFO

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise EventError(f"event {self.name} is not named noun.past_tense")
        if bool(self.actions) == bool(self.unaudited):
            raise EventError(f"event {self.name} needs actions of the audit log, or the reason why it has no entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an attempt changed, or was refused for: ids alone, and the verb of a transition.

    `object_id` is the id of an object of another kind, such as a device, a user or a service token.
    """

    account_id: str | None = None
    location_id: str | None = None
    override_id: str | None = None
    payload_id: str | None = None
    object_id: str | None = None
    verb: LocationAction | None = None


NO_EFFECT = Effect()
_OWN_KINDS = frozenset({"account", "location", "override", "payload"})


def object_id_of(ids: Mapping[str, str]) -> str | None:
    """Return the first id, by kind, that an effect has no field for; None if there is none."""
    return next((each for kind, each in ids.items() if kind not in _OWN_KINDS and each), None)


# fmt: off
_OF_MUTATIONS = (
    Event(name="onboarding.started", says="The onboarding of a location was started.",
          actions=("startOnboarding",)),
    Event(name="current_step.set", says="The section that a customer works on was stored.",
          actions=("setCurrentStep",)),
    Event(name="location.created", says="A location was created.", actions=("createLocation",)),
    Event(name="location.updated", says="The name, address, time zone or site code of a location was changed.",
          actions=("updateLocation",)),
    Event(name="contacts.set", says="The contacts of a location were replaced.", actions=("setContacts",)),
    Event(name="phone_system.set", says="The phone system of a location was changed.", actions=("setPhoneSystem",)),
    Event(name="device.added", says="A device was added to a location.", actions=("addDevice",)),
    Event(name="device.edited", says="A device was changed.", actions=("editDevice",)),
    Event(name="device.moved", says="A device was moved to another location; one line for each of the two.",
          actions=("moveDevice",)),
    Event(name="device.removed", says="A device was removed.", actions=("removeDevice",)),
    Event(name="device.replaced", says="A phone of a locked location was replaced, under an override of its own.",
          actions=("replaceDevice",)),
    Event(name="person.added", says="A person was added to a location.", actions=("addPerson",)),
    Event(name="person.edited", says="A person was changed.", actions=("editPerson",)),
    Event(name="person.removed", says="A person was removed.", actions=("removePerson",)),
    Event(name="extensions.set", says="The extensions of a location were replaced.", actions=("setExtensions",)),
    Event(name="working_hours.set", says="The working hours of a location were replaced.",
          actions=("setWorkingHours",)),
    Event(name="call_flow.set", says="The call flow of a location was replaced.", actions=("setCallFlow",)),
    Event(name="onboarding.submitted", says="A location was submitted for approval.",
          actions=("submitOnboarding", "bulkUpdateStatus")),
    Event(name="onboarding.withdrawn", says="A submission was withdrawn.", actions=("withdrawSubmission",)),
    Event(name="approval.approved", says="The content of a location was approved.",
          actions=("approve", "bulkApprove")),
    Event(name="approval.refused", says="An attempt to approve was refused; `code` has the reason.",
          actions=("approve", "bulkApprove"), outcome=AuditOutcome.REFUSED),
    Event(name="changes.requested", says="A submission was sent back.", actions=("requestChanges",)),
    Event(name="location.blocked", says="A location was blocked.", actions=("block", "bulkUpdateStatus")),
    Event(name="location.unblocked", says="A location was unblocked.", actions=("unblock", "bulkUpdateStatus")),
    Event(name="location.cancelled", says="A location was cancelled.", actions=("cancel", "bulkUpdateStatus")),
    Event(name="location.reopened", says="A location was reopened.", actions=("reopen", "bulkUpdateStatus")),
    Event(name="override.opened", says="Sections of a locked location were opened for editing.",
          actions=("openOverride",)),
    Event(name="override.closed", says="An override was closed before it expired.", actions=("closeOverride",)),
    Event(name="payload.generated", says="A payload was generated.",
          actions=("generatePayload", "bulkGeneratePayloads")),
    Event(name="payload.released", says="A payload was released to the partners.",
          actions=("triggerProvisioning", "bulkUpdateStatus")),
    Event(name="payload.acknowledged", says="A partner acknowledged a payload.", actions=("acknowledgePayload",)),
    Event(name="payload.rejected", says="A partner rejected a payload.", actions=("rejectPayload",)),
    Event(name="payload.decommissioned", says="The phones of a payload are out of operation.",
          actions=("confirmDecommission",)),
    Event(name="receipt.waived", says="A lead stopped waiting for a recipient's receipt.", actions=("waiveReceipt",)),
    Event(name="location.completed", says="A lead completed a location by hand.", actions=("completeProvisioning",)),
    Event(name="location_partners.set", says="The partners of a location were replaced.",
          actions=("setLocationPartners",)),
    Event(name="test_payload.created", says="A test location was created, and its payload released.",
          actions=("createTestPayload",)),
    Event(name="account.created", says="An account was created.", actions=("createAccount",)),
    Event(name="account.updated", says="An account was renamed.", actions=("updateAccount",)),
    Event(name="user.created", says="A user was created.", actions=("createUser", SystemAction.USER_ADDED)),
    Event(name="user.edited", says="A user was changed.", actions=("editUser",)),
    Event(name="grants.set", says="The grants of a user were replaced.", actions=("setGrants",)),
    Event(name="payload_versions.set", says="The payload versions that a partner accepts were replaced.",
          actions=("setAcceptedPayloadVersions",)),
    Event(name="user.suspended", says="A user was suspended.", actions=("suspendUser", SystemAction.USER_SUSPENDED)),
    Event(name="user.reinstated", says="A suspended user was reinstated.",
          actions=("reinstateUser", SystemAction.USER_REINSTATED)),
    Event(name="user.confirmed", says="A user whom leads made was confirmed.",
          actions=("confirmUser", SystemAction.USER_CONFIRMED)),
    Event(name="session.revoked", says="A session was ended by its user or by a lead.", actions=("revokeSession",)),
    Event(name="sessions.revoked", says="All sessions of a user were ended.", actions=("revokeSessions",)),
    Event(name="service_token.created", says="A service token was created.", actions=("createServiceToken",)),
    Event(name="service_token.revoked", says="A service token was revoked.", actions=("revokeServiceToken",)),
    Event(name="user.invited", says="A person was invited.", actions=("inviteUser", SystemAction.USER_INVITED)),
    Event(name="invitation.revoked", says="An invitation was revoked.",
          actions=("revokeInvitation", SystemAction.INVITATION_REVOKED)),
    Event(name="device_models.set", says="The device catalogue was replaced.", actions=("setDeviceModels",)),
    Event(name="device_model.added", says="A model was added to the device catalogue.", actions=("addDeviceModel",)),
    Event(name="device_model.edited", says="A model of the device catalogue was changed.",
          actions=("editDeviceModel",)),
    Event(name="device_model.removed", says="A model was removed from the device catalogue.",
          actions=("removeDeviceModel",)),
)
# fmt: on

CHANGE_REFUSED = Event(
    name="change.refused",
    says="A mutation other than an approval was refused; `action` has the mutation, `code` the reason.",
    unaudited="the audit log records the refused attempts that the declaration of the mutation names",
)
INVITATION_ACCEPTED = Event(
    name="invitation.accepted",
    says="An invited person accepted an invitation and became a user; `object_id` is the invitation.",
    actions=(SystemAction.INVITATION_ACCEPTED,),
)
CATALOGUE_LOADED = Event(
    name="catalogue.loaded", says="A catalogue file was loaded.", actions=(SystemAction.CATALOGUE_LOADED,)
)
DATABASE_MIGRATED = Event(
    name="database.migrated",
    says="The database was migrated; `revision` is the new one.",
    actions=(SystemAction.MIGRATE,),
)
DEMO_LOADED = Event(name="demo.loaded", says="The demo data was loaded.", actions=(SystemAction.SEED_DEMO,))
LOCATIONS_LOADED = Event(
    name="locations.loaded",
    says="Plain locations were loaded for load tests; `count` is their number.",
    actions=(SystemAction.LOAD_UNAUDITED,),
)
PERMISSION_DENIED = Event(
    name="permission.denied",
    says="A field was refused because the role, the service token or the access of the viewer does not include it.",
    actions=(SystemAction.ROLE_DENIED,),
    level=EventLevel.WARNING,
)
IDENTITY_FORGED = Event(
    name="identity.forged",
    says="A request claimed another identity than that of its credential.",
    actions=(SystemAction.SECURITY_EVENT,),
    level=EventLevel.WARNING,
)
SUSPENDED_USER_REFUSED = Event(
    name="suspended_user.refused",
    says="A suspended user was refused.",
    actions=(SystemAction.SECURITY_EVENT,),
    level=EventLevel.WARNING,
)
UNKNOWN_USER_REFUSED = Event(
    name="unknown_user.refused",
    says="A credential of no user was refused.",
    unaudited="there is no user whom an entry could name",
    level=EventLevel.WARNING,
)
CREDENTIALS_FORGOTTEN = Event(
    name="credentials.forgotten",
    says="Sign-in attempts, sessions and service tokens that ended long ago were deleted; `count` is their number.",
    actions=(SystemAction.TOKENS_FORGOTTEN,),
)
DATA_ERASED = Event(
    name="data.erased",
    says="An operator erased a person, or the reason of an entry, from history.",
    actions=(SystemAction.ERASE,),
)
DOCUMENTS_ERASED = Event(
    name="documents.erased",
    says="Payload documents were erased, the use of which has ended; `count` is their number.",
    actions=(SystemAction.ERASE,),
)
AUDIT_VERIFIED = Event(
    name="audit.verified",
    says="The chains of the audit log were verified.",
    unaudited="reading the audit log changes nothing",
)
AUDIT_BROKEN = Event(
    name="audit.broken",
    says="The verification of the audit log found a broken chain, or changed objects of the database.",
    unaudited="reading the audit log changes nothing",
    level=EventLevel.ERROR,
)
BUDGET_EXCEEDED = Event(
    name="budget.exceeded",
    says="A user exceeded the limit of a budget; `budget` is its name.",
    unaudited="budgets are counted outside of the database",
    level=EventLevel.WARNING,
)
SESSION_STARTED = Event(
    name="session.started",
    says="A user signed in with a browser; `object_id` is the session.",
    unaudited="a sign-in changes no data that the audit log records; `UserSession` lists the sessions of a user",
)
SIGN_IN_FAILED = Event(
    name="sign_in.failed",
    says="A sign-in with a browser ended without a session; `code` has the outcome.",
    unaudited="nobody has signed in",
)
TOKEN_EXPIRY_NOTICED = Event(
    name="token_expiry.noticed",
    says="A service token was used that expires within 14 days; `expires_at` is its end.",
    unaudited="nothing has changed yet",
    level=EventLevel.WARNING,
)
SERVER_CONFIGURED = Event(
    name="server.configured",
    says="A server starts, with these settings. Of secrets and of `OTEL_` variables it says only whether they are set.",
    unaudited="settings are no data of the database",
)
TOKENS_WITHHELD = Event(
    name="tokens.withheld",
    says="A development server does not log the tokens of the demo users; `command` prints one.",
    unaudited="development tokens are stored nowhere",
)

EVENTS: tuple[Event, ...] = (
    *_OF_MUTATIONS,
    CHANGE_REFUSED,
    INVITATION_ACCEPTED,
    CATALOGUE_LOADED,
    DATABASE_MIGRATED,
    DEMO_LOADED,
    LOCATIONS_LOADED,
    PERMISSION_DENIED,
    IDENTITY_FORGED,
    SUSPENDED_USER_REFUSED,
    UNKNOWN_USER_REFUSED,
    CREDENTIALS_FORGOTTEN,
    DATA_ERASED,
    DOCUMENTS_ERASED,
    AUDIT_VERIFIED,
    AUDIT_BROKEN,
    BUDGET_EXCEEDED,
    SESSION_STARTED,
    SIGN_IN_FAILED,
    TOKEN_EXPIRY_NOTICED,
    SERVER_CONFIGURED,
    TOKENS_WITHHELD,
)

UNLOGGED: Mapping[str, str] = MappingProxyType(
    {
        SystemAction.BASELINE: "a migration writes it; all migrations that run together have one `database.migrated`",
        SystemAction.MARK_DATABASE: (
            "it goes with what first fills, migrates or serves the database, such as `demo.loaded`, `user.created`,"
            " `database.migrated` or `server.configured`"
        ),
    }
)
"""The actions of the audit log that have no event, and why."""


def check_complete(actions: Iterable[str], events: Iterable[Event] = EVENTS) -> None:
    """Raises EventError unless each of these actions has an event or is in UNLOGGED, and events name no others."""
    known = set(actions)
    named: set[str] = set()
    seen: set[str] = set()
    for event in events:
        if event.name in seen:
            raise EventError(f"event {event.name} is declared twice")
        seen.add(event.name)
        if unknown := sorted(set(event.actions) - known):
            raise EventError(f"event {event.name} names {unknown[0]}, which is no action of the audit log")
        if event.outcome is AuditOutcome.APPLIED:
            named |= set(event.actions)
    if both := sorted(named & set(UNLOGGED)):
        raise EventError(f"{both[0]} has an event and is listed in UNLOGGED")
    if missing := sorted(known - named - set(UNLOGGED)):
        raise EventError(f"{missing[0]} has no event: declare one in app/domain/events.py")


def applied(action: str, verb: LocationAction | None = None) -> Event:
    """Return the event of a change by a mutation.

    Of several events of one mutation, it is the event of the mutation after which the verb is named. Raises EventError
    if there is none.
    """
    found = _APPLIED.get(action, ())
    if len(found) == 1:
        return found[0]
    for event in found:
        if verb is not None and _mutation_of(verb) in event.actions:
            return event
    raise EventError(f"{action} has no event in app/domain/events.py for the verb {verb}")


def refused(action: str) -> Event:
    """Return the event of a refused attempt of a mutation."""
    return _REFUSED.get(action, CHANGE_REFUSED)


def _mutation_of(verb: LocationAction) -> str:
    first, *others = verb.name.lower().split("_")
    return first + "".join(word.capitalize() for word in others)


def _by_action(outcome: AuditOutcome) -> Iterator[tuple[str, Event]]:
    for event in _OF_MUTATIONS:
        if event.outcome is outcome:
            yield from ((action, event) for action in event.actions)


def _grouped() -> Mapping[str, tuple[Event, ...]]:
    grouped: dict[str, tuple[Event, ...]] = {}
    for action, event in _by_action(AuditOutcome.APPLIED):
        grouped[action] = (*grouped.get(action, ()), event)
    return MappingProxyType(grouped)


_APPLIED = _grouped()
_REFUSED: Mapping[str, Event] = MappingProxyType(dict(_by_action(AuditOutcome.REFUSED)))
