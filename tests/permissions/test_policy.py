"""Each cell of the matrix decides: flipping one changes what it must, and nothing else."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from app.domain.status_machine import TABLE
from app.domain.viewer import EVERYTHING, NOTHING, Scope, Viewer
from app.domain.vocabulary import LocationAction, LocationStatus, Role
from app.domain.waiting import Awaiting
from permissions import matrix, policy
from permissions.guards import can
from permissions.matrix import MATRIX, NEVER_OF_TOKENS, Action, TokenAction
from permissions.policy import Forbidden
from tests.agreed import WHO_MAY

CUSTOMER, LEAD, PARTNER, AUDITOR = Role.CUSTOMER, Role.IMPLEMENTATION_LEAD, Role.PARTNER, Role.AUDITOR
GRANTED = Scope(accounts=frozenset({"account-1"}), locations=frozenset({"location-1"}))
HERE = {"account_id": "account-1", "location_id": "location-1"}
ELSEWHERE = {"account_id": "account-1", "location_id": "location-2"}

# What hangs on each action beside its guards.
VERBS = {
    Action.EDIT_ONBOARDING: {LocationAction.START_ONBOARDING},
    Action.SUBMIT: {LocationAction.SUBMIT_ONBOARDING},
    Action.WITHDRAW: {LocationAction.WITHDRAW_SUBMISSION},
    Action.REQUEST_CHANGES: {LocationAction.REQUEST_CHANGES},
    Action.APPROVE: {LocationAction.APPROVE, LocationAction.APPROVE_AGAIN},
    Action.GENERATE_PAYLOAD: {LocationAction.GENERATE_PAYLOAD},
    Action.TRIGGER_PROVISIONING: {LocationAction.TRIGGER_PROVISIONING},
    Action.ACKNOWLEDGE: {LocationAction.ACKNOWLEDGE_PAYLOAD},
    Action.REJECT: {LocationAction.REJECT_PAYLOAD},
    Action.BLOCK: {LocationAction.BLOCK},
    Action.UNBLOCK: {LocationAction.UNBLOCK},
    Action.CANCEL: {LocationAction.CANCEL},
    Action.REOPEN: {LocationAction.REOPEN},
    Action.COMPLETE: {LocationAction.COMPLETE_PROVISIONING},
    Action.WAIVE_RECEIPT: {LocationAction.WAIVE_RECEIPT},
}
LISTED: dict[Action, set[str]] = {
    Action.EDIT_ONBOARDING: {"EDIT", "START_ONBOARDING"},
    Action.OVERRIDE_LOCK: {"OPEN_OVERRIDE", "REPLACE_DEVICE"},
    Action.ASSIGN_PARTNERS: {"SET_LOCATION_PARTNERS"},
    Action.CONFIRM_DECOMMISSION: {"CONFIRM_DECOMMISSION"},
    **{
        action: {verb.name for verb in verbs} for action, verbs in VERBS.items() if action is not Action.EDIT_ONBOARDING
    },
}
# The status that waits for somebody to take the action. Of several roles that may, it waits for the customer first,
# then for the partner, then for the lead.
WAITS = {
    Action.EDIT_ONBOARDING: LocationStatus.NOT_STARTED,
    Action.SUBMIT: LocationStatus.IN_PROGRESS,
    Action.APPROVE: LocationStatus.PENDING_APPROVAL,
    Action.TRIGGER_PROVISIONING: LocationStatus.APPROVED,
    Action.ACKNOWLEDGE: LocationStatus.PROVISIONING,
    Action.UNBLOCK: LocationStatus.BLOCKED,
}
FIRST = ((CUSTOMER, Awaiting.CUSTOMER), (PARTNER, Awaiting.PARTNER), (LEAD, Awaiting.LEAD))  # auditors: never
# Without the first action a scope is empty; with the second one it is everything, otherwise what is granted.
SCOPES = {
    "scope": (Action.VIEW_LOCATIONS, Action.VIEW_ALL_LOCATIONS),
    "accounts": (Action.VIEW_ACCOUNTS, Action.VIEW_ALL_LOCATIONS),
    "editing": (Action.VIEW_LOCATIONS, Action.EDIT_ANY_ONBOARDING),
    "provisioning": (Action.VIEW_PROVISIONING, Action.VIEW_ALL_PROVISIONING),
    "auditing": (Action.VIEW_AUDIT, Action.VIEW_ALL_AUDIT),
}
# A viewer that does not see all payloads sees those that were released to it.
GRANTED_IN = dict.fromkeys(SCOPES, GRANTED) | {"provisioning": replace(GRANTED, recipient="user-1")}


class Follows(NamedTuple):
    """Everything that the matrix decides for one role, and whom each status waits for."""

    guards: frozenset[Action]
    verbs: frozenset[LocationAction]
    listed: frozenset[str]
    listed_elsewhere: frozenset[str]
    scopes: dict[str, Scope]
    needs_no_grant: bool
    takes_listed_locations: bool
    awaited: dict[LocationStatus, Awaiting]


def follows(role: Role, *, narrowed_to: frozenset[str] | None = None) -> Follows:
    viewer = a_viewer(role, all_accounts=policy.can_be_limited(role), granted=GRANTED, actions=narrowed_to)
    asking: Any = SimpleNamespace(context=SimpleNamespace(viewer=viewer))
    listed, elsewhere = (
        frozenset(each.name for each in set(LocationAction) - set(policy.forbidden_actions_of(viewer, **place)))
        for place in (HERE, ELSEWHERE)
    )
    awaited = {
        status: who
        for who in (Awaiting.CUSTOMER, Awaiting.LEAD, Awaiting.PARTNER)
        for status in policy.statuses_awaiting(who, viewer)
    }
    return Follows(
        guards=frozenset(action for action in Action if admits(action, asking)),
        verbs=policy.verbs_of(viewer),
        listed=listed,
        listed_elsewhere=elsewhere,
        scopes={name: getattr(viewer, name) for name in SCOPES},
        needs_no_grant=policy.needs_no_grant(role, all_accounts=policy.can_be_limited(role)),
        takes_listed_locations=policy.takes_listed_locations(role),
        awaited=awaited,
    )


def admits(action: Action, asking: Any) -> bool:
    try:
        return can(action)().has_permission(None, asking)
    except Forbidden:
        return False


@pytest.mark.parametrize(("action", "role"), list(product(Action, Role)))
def test_flipping_a_cell_changes_what_hangs_on_it_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, action: Action, role: Role
) -> None:
    others = [each for each in Role if each is not role]
    before, untouched = follows(role), [follows(each)._replace(awaited={}) for each in others]
    roles = MATRIX[action] ^ {role}
    monkeypatch.setattr(matrix, "MATRIX", {**MATRIX, action: roles})
    after = follows(role)

    assert [follows(each)._replace(awaited={}) for each in others] == untouched
    assert after.guards == before.guards ^ {action}
    assert after.verbs == before.verbs ^ VERBS.get(action, set())
    assert after.listed ^ before.listed == listed_for(action, before, after, HERE)
    assert after.listed_elsewhere ^ before.listed_elsewhere == listed_for(action, before, after, ELSEWHERE)
    for name, (some, every) in SCOPES.items():
        if action not in {some, every}:
            assert after.scopes[name] == before.scopes[name]
        elif some not in after.guards:
            assert after.scopes[name] == NOTHING
        else:
            assert after.scopes[name] == (EVERYTHING if every in after.guards else GRANTED_IN[name])
    awaited = dict(before.awaited)
    if action in WAITS:
        first = next((who for each, who in FIRST if each in roles), None)
        awaited.pop(WAITS[action], None)
        awaited |= {} if first is None else {WAITS[action]: first}
    assert after.awaited == awaited
    grants = (after.needs_no_grant, after.takes_listed_locations)
    if action not in {Action.VIEW_ALL_LOCATIONS, Action.VIEW_LOCATIONS, Action.VIEW_ACCOUNTS}:
        assert grants == (before.needs_no_grant, before.takes_listed_locations)
    elif action is Action.VIEW_ALL_LOCATIONS and role is not AUDITOR:
        assert after.needs_no_grant is (role in roles)


def listed_for(action: Action, before: Follows, after: Follows, place: dict[str, str]) -> set[str]:
    """What appears or disappears among the listed actions: out of the editing scope nothing is edited."""
    if action is Action.EDIT_ONBOARDING:
        return LISTED[action] if before.scopes["editing"].includes(**place) else set()
    moved = before.scopes["editing"].includes(**place) != after.scopes["editing"].includes(**place)
    edited = LISTED[Action.EDIT_ONBOARDING] if moved and Action.EDIT_ONBOARDING in before.guards else set()
    return LISTED.get(action, set()) | edited


@pytest.mark.parametrize(("action", "role"), [(each, role) for each, roles in MATRIX.items() for role in sorted(roles)])
def test_a_token_without_an_action_is_like_a_role_without_it(
    monkeypatch: pytest.MonkeyPatch, action: Action, role: Role
) -> None:
    narrowed = follows(role, narrowed_to=frozenset(Action) - {action})
    of_role = follows(role)
    monkeypatch.setattr(matrix, "MATRIX", {**MATRIX, action: MATRIX[action] - {role}})
    of_narrower_role = follows(role)

    def of_viewer(each: Follows) -> Follows:
        """Whom a status awaits, and what can be granted, is about roles."""
        same = {name: getattr(of_role, name) for name in ("awaited", "needs_no_grant", "takes_listed_locations")}
        return each._replace(**same)

    assert of_viewer(narrowed) == of_viewer(of_narrower_role)
    assert follows(role, narrowed_to=frozenset(Action)) == of_narrower_role
    assert follows(role, narrowed_to=frozenset()).guards == frozenset()


def test_a_location_does_not_await_a_token_that_may_not_take_it_further() -> None:
    viewer = a_viewer(LEAD, all_accounts=True, actions=frozenset(Action) - {Action.APPROVE})
    assert policy.statuses_awaiting(Awaiting.ME, viewer) == {LocationStatus.APPROVED, LocationStatus.BLOCKED}
    assert LocationStatus.PENDING_APPROVAL in policy.statuses_awaiting(Awaiting.LEAD, viewer)


def test_what_the_token_lacks_is_refused_in_other_words_than_what_the_role_lacks() -> None:
    viewer = a_viewer(CUSTOMER, all_accounts=False, actions=frozenset({Action.VIEW_LOCATIONS}))
    with pytest.raises(Forbidden, match="Your service token does not include this action"):
        policy.check_allowed(viewer, Action.SUBMIT)
    with pytest.raises(Forbidden, match="Your role does not allow this action"):
        policy.check_allowed(viewer, Action.APPROVE)


def test_a_token_never_includes_what_could_widen_it() -> None:
    assert policy.actions_of_token(frozenset(Action)) == frozenset(Action) - NEVER_OF_TOKENS
    assert policy.actions_of_token(None) == policy.actions_of_token(frozenset(Action))
    assert {Action(each) for each in TokenAction} == frozenset(Action) - NEVER_OF_TOKENS


def test_an_action_of_a_token_counts_only_with_those_that_it_requires() -> None:
    counts = policy.actions_of_token
    assert counts(frozenset({Action.APPROVE, Action.VIEW_LOCATIONS})) == frozenset()
    complete = frozenset({Action.APPROVE, Action.VIEW_LOCATIONS, Action.VIEW_ACCOUNTS, Action.VIEW_USERS})
    assert counts(complete) == complete
    assert {*policy.missing_for(Action.APPROVE, [])} == complete - {Action.APPROVE}
    assert counts(frozenset({"LAUNCH_ROCKETS"})) == frozenset()


@pytest.mark.parametrize("role", Role)
def test_a_role_includes_what_its_actions_require(role: Role) -> None:
    of_role = [action for action in TokenAction if policy.role_includes(role, action)]
    assert {action: missing for action in of_role if (missing := policy.missing_for(action, of_role))} == {}


@pytest.mark.parametrize(("verb", "role"), list(product(TABLE, Role)))
def test_a_verb_is_for_the_roles_agreed_on(verb: LocationAction, role: Role) -> None:
    assert (verb in policy.verbs_of(a_viewer(role, all_accounts=True))) == (role in WHO_MAY[verb])


@pytest.mark.parametrize(
    ("who", "statuses"),
    [
        (Awaiting.CUSTOMER, {"NOT_STARTED", "IN_PROGRESS"}),
        (Awaiting.LEAD, {"PENDING_APPROVAL", "APPROVED", "BLOCKED"}),
        (Awaiting.PARTNER, {"PROVISIONING"}),
    ],
)
def test_a_location_awaits_whoever_takes_it_further(who: Awaiting, statuses: set[str]) -> None:
    assert policy.statuses_awaiting(who, a_viewer(LEAD, all_accounts=True)) == statuses
    roles = {Awaiting.CUSTOMER: CUSTOMER, Awaiting.LEAD: LEAD, Awaiting.PARTNER: PARTNER}
    assert policy.statuses_awaiting(Awaiting.ME, a_viewer(roles[who], all_accounts=True)) == statuses


def test_only_customers_are_granted_single_locations_and_only_leads_of_all_accounts_and_auditors_need_no_grant() -> (
    None
):
    takes = {role: policy.takes_listed_locations(role) for role in Role}
    assert takes == {CUSTOMER: True, LEAD: False, PARTNER: False, AUDITOR: False}
    needless = {role: policy.needs_no_grant(role, all_accounts=False) for role in Role}
    assert needless == {CUSTOMER: False, LEAD: False, PARTNER: False, AUDITOR: True}
    assert policy.needs_no_grant(LEAD, all_accounts=True)


def a_viewer(
    role: Role,
    *,
    all_accounts: bool,
    granted: Scope = Scope(accounts=frozenset({"account-1"}), locations=None),  # noqa: B008 - a frozen value
    actions: frozenset[str] | None = None,
) -> Viewer:
    return policy.viewer_of(
        identifier="user-1",
        name="Ada",
        email="ada@x.example",
        role=role,
        granted=granted,
        all_accounts=all_accounts,
        confirmed=True,
        actions=actions,
    )


def test_a_lead_of_some_accounts_has_what_all_leads_have_within_these_accounts() -> None:
    scoped, whole = (a_viewer(LEAD, all_accounts=each) for each in (False, True))
    reach = {getattr(scoped, each) for each in SCOPES}
    assert reach == {Scope(accounts=frozenset({"account-1"}), locations=None)}
    assert policy.forbidden_actions_of(scoped, **HERE) == policy.forbidden_actions_of(whole, **HERE)
    assert {getattr(whole, each) for each in SCOPES} == {EVERYTHING}


def test_a_lead_of_some_accounts_changes_nothing_that_concerns_the_others() -> None:
    scoped, whole = (a_viewer(LEAD, all_accounts=each) for each in (False, True))
    assert {each for each in Action if policy.may(whole, each) and not policy.may(scoped, each)} == {
        Action.ADMINISTER,
        Action.SET_ACCEPTED_VERSIONS,
    }
    with pytest.raises(Forbidden, match="needs access to all accounts"):
        policy.check_allowed(scoped, Action.ADMINISTER)
    asking: Any = SimpleNamespace(context=SimpleNamespace(viewer=scoped))
    with pytest.raises(Forbidden, match="needs access to all accounts"):
        can(Action.ADMINISTER)().has_permission(None, asking)


def test_access_to_all_accounts_means_nothing_for_other_roles() -> None:
    assert a_viewer(PARTNER, all_accounts=True).provisioning.accounts == frozenset({"account-1"})
    assert policy.may(a_viewer(PARTNER, all_accounts=False), Action.SET_ACCEPTED_VERSIONS)


def test_an_auditor_reads_the_whole_audit_log_and_no_location() -> None:
    auditor = a_viewer(AUDITOR, all_accounts=False, granted=NOTHING)
    assert {each for each in Action if policy.may(auditor, each)} == {
        Action.VIEW_AUDIT,
        Action.VIEW_ALL_AUDIT,
        Action.VIEW_USERS,
        Action.MANAGE_OWN_SESSIONS,
    }
    assert auditor.auditing == EVERYTHING
    assert {scope.accounts for scope in (auditor.scope, auditor.editing, auditor.provisioning)} == {frozenset()}
    assert policy.statuses_awaiting(Awaiting.ME, auditor) == frozenset()


def test_a_verb_or_an_action_that_the_tables_forget_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {
        each: needs for each, needs in matrix.ACTION_OF_LOCATION_ACTION.items() if each is not LocationAction.BLOCK
    }
    monkeypatch.setattr(policy, "ACTION_OF_LOCATION_ACTION", listed)
    everybody = [a_viewer(role, all_accounts=True) for role in Role]
    assert all(LocationAction.BLOCK not in policy.verbs_of(each) for each in everybody)
    assert LocationAction.BLOCK not in policy.actions_on_locations()


def test_those_who_see_locations_are_told_of_every_action_but_the_answers_of_partners() -> None:
    answers = {LocationAction.ACKNOWLEDGE_PAYLOAD, LocationAction.REJECT_PAYLOAD}
    assert set(LocationAction) - set(policy.actions_on_locations()) == answers
