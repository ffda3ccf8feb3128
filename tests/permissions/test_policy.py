"""Each cell of the matrix decides: flipping one changes what it must, and nothing else."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from app.domain.viewer import EVERYTHING, Scope, Viewer
from app.domain.vocabulary import LocationAction, LocationStatus, Role, Verb
from app.domain.waiting import Awaiting
from permissions import matrix, policy
from permissions.guards import can
from permissions.matrix import MATRIX, Action
from permissions.policy import Forbidden
from tests.agreed import WHO_MAY

CUSTOMER, LEAD, PARTNER, AUDITOR = Role.CUSTOMER, Role.IMPLEMENTATION_LEAD, Role.PARTNER, Role.AUDITOR
GRANTED = Scope(accounts=frozenset({"account-1"}), locations=frozenset({"location-1"}))
HERE, ELSEWHERE = ("account-1", "location-1"), ("account-1", "location-2")

# What hangs on each action beside its guards.
VERBS = {
    Action.EDIT_ONBOARDING: {Verb.START},
    Action.SUBMIT: {Verb.SUBMIT},
    Action.WITHDRAW: {Verb.WITHDRAW},
    Action.REQUEST_CHANGES: {Verb.REQUEST_CHANGES},
    Action.APPROVE: {Verb.APPROVE, Verb.APPROVE_AGAIN},
    Action.GENERATE_PAYLOAD: {Verb.GENERATE_PAYLOAD},
    Action.TRIGGER_PROVISIONING: {Verb.TRIGGER_PROVISIONING},
    Action.ACKNOWLEDGE: {Verb.ACKNOWLEDGE},
    Action.REJECT: {Verb.REJECT},
    Action.BLOCK: {Verb.BLOCK},
    Action.UNBLOCK: {Verb.UNBLOCK},
    Action.CANCEL: {Verb.CANCEL},
    Action.REOPEN: {Verb.REOPEN},
    Action.COMPLETE: {Verb.COMPLETE},
    Action.WAIVE_RECEIPT: {Verb.WAIVE_RECEIPT},
}
LISTED: dict[Action, set[str]] = {
    Action.EDIT_ONBOARDING: {"EDIT", "START"},
    Action.OVERRIDE_LOCK: {"OPEN_OVERRIDE", "REPLACE_DEVICE"},
    Action.ASSIGN_PARTNERS: {"SET_PARTNERS"},
    Action.CONFIRM_DECOMMISSION: {"CONFIRM_DECOMMISSION"},
    **{
        action: {verb.value for verb in verbs} & set(LocationAction)
        for action, verbs in VERBS.items()
        if action is not Action.EDIT_ONBOARDING
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
# A viewer that does not see all payloads sees those that were released to it.
GRANTED_OF = {
    Action.VIEW_ALL_LOCATIONS: GRANTED,
    Action.VIEW_ALL_PROVISIONING: replace(GRANTED, recipient="user-1"),
    Action.EDIT_ANY_ONBOARDING: GRANTED,
    Action.VIEW_ALL_AUDIT: GRANTED,
}
SCOPES = {
    Action.VIEW_ALL_LOCATIONS: "scope",
    Action.VIEW_ALL_PROVISIONING: "provisioning",
    Action.EDIT_ANY_ONBOARDING: "editing",
    Action.VIEW_ALL_AUDIT: "auditing",
}


class Follows(NamedTuple):
    """Everything that the matrix decides for one role, and whom each status waits for."""

    guards: frozenset[Action]
    verbs: frozenset[Verb]
    listed: frozenset[str]
    listed_elsewhere: frozenset[str]
    scopes: dict[str, Scope]
    needs_no_grant: bool
    takes_listed_locations: bool
    awaited: dict[LocationStatus, Awaiting]


def follows(role: Role) -> Follows:
    viewer = policy.viewer_of(
        identifier="user-1",
        name="Ada",
        email="ada@x.example",
        role=role,
        granted=GRANTED,
        all_accounts=policy.can_be_limited(role),
        confirmed=True,
    )
    asking: Any = SimpleNamespace(context=SimpleNamespace(viewer=viewer))
    listed, elsewhere = (
        frozenset(map(str, policy.location_actions_of(viewer, account_id=account, location_id=location)))
        for account, location in (HERE, ELSEWHERE)
    )
    awaited = {
        status: who
        for who in (Awaiting.CUSTOMER, Awaiting.LEAD, Awaiting.PARTNER)
        for status in policy.statuses_awaiting(who, role)
    }
    return Follows(
        guards=frozenset(action for action in Action if can(action)().has_permission(None, asking)),
        verbs=policy.verbs_of(role),
        listed=listed,
        listed_elsewhere=elsewhere,
        scopes={name: getattr(viewer, name) for name in SCOPES.values()},
        needs_no_grant=policy.needs_no_grant(role, all_accounts=policy.can_be_limited(role)),
        takes_listed_locations=policy.takes_listed_locations(role),
        awaited=awaited,
    )


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
    expected = before.listed ^ LISTED.get(action, set())
    assert after.listed == expected
    elsewhere = after.listed_elsewhere ^ before.listed_elsewhere
    if action is Action.EDIT_ANY_ONBOARDING:
        assert elsewhere == LISTED[Action.EDIT_ONBOARDING] & before.listed, "out of the editing scope nothing is edited"
    elif action is Action.EDIT_ONBOARDING:
        assert elsewhere == (LISTED[action] if before.scopes["editing"] == EVERYTHING else set())
    else:
        assert elsewhere == LISTED.get(action, set())
    if action in SCOPES:
        name = SCOPES[action]
        assert after.scopes == before.scopes | {name: EVERYTHING if role in roles else GRANTED_OF[action]}
    else:
        assert after.scopes == before.scopes
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


@pytest.mark.parametrize(("verb", "role"), list(product(Verb, Role)))
def test_a_verb_is_for_the_roles_agreed_on(verb: Verb, role: Role) -> None:
    assert (verb in policy.verbs_of(role)) == (role in WHO_MAY[verb])


@pytest.mark.parametrize(
    ("who", "statuses"),
    [
        (Awaiting.CUSTOMER, {"NOT_STARTED", "IN_PROGRESS"}),
        (Awaiting.LEAD, {"PENDING_APPROVAL", "APPROVED", "BLOCKED"}),
        (Awaiting.PARTNER, {"PROVISIONING"}),
    ],
)
def test_a_location_awaits_whoever_takes_it_further(who: Awaiting, statuses: set[str]) -> None:
    assert policy.statuses_awaiting(who, LEAD) == statuses
    roles = {Awaiting.CUSTOMER: CUSTOMER, Awaiting.LEAD: LEAD, Awaiting.PARTNER: PARTNER}
    assert policy.statuses_awaiting(Awaiting.ME, roles[who]) == statuses


def test_only_customers_are_granted_single_locations_and_only_leads_of_all_accounts_and_auditors_need_no_grant() -> (
    None
):
    takes = {role: policy.takes_listed_locations(role) for role in Role}
    assert takes == {CUSTOMER: True, LEAD: False, PARTNER: False, AUDITOR: False}
    needless = {role: policy.needs_no_grant(role, all_accounts=False) for role in Role}
    assert needless == {CUSTOMER: False, LEAD: False, PARTNER: False, AUDITOR: True}
    assert policy.needs_no_grant(LEAD, all_accounts=True)


def a_viewer(role: Role, *, all_accounts: bool) -> Viewer:
    return policy.viewer_of(
        identifier="user-1",
        name="Ada",
        email="ada@x.example",
        role=role,
        granted=Scope(accounts=frozenset({"account-1"}), locations=None),
        all_accounts=all_accounts,
        confirmed=True,
    )


def test_a_lead_of_some_accounts_has_what_all_leads_have_within_these_accounts() -> None:
    scoped, whole = (a_viewer(LEAD, all_accounts=each) for each in (False, True))
    reach = {getattr(scoped, each) for each in SCOPES.values()}
    assert reach == {Scope(accounts=frozenset({"account-1"}), locations=None)}
    here = {"account_id": "account-1", "location_id": "location-1"}
    assert policy.location_actions_of(scoped, **here) == policy.location_actions_of(whole, **here)
    assert {getattr(whole, each) for each in SCOPES.values()} == {EVERYTHING}


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
    auditor = policy.viewer_of(
        identifier="user-1",
        name="Ada",
        email="ada@x.example",
        role=AUDITOR,
        granted=Scope(accounts=frozenset(), locations=None),
        all_accounts=False,
        confirmed=True,
    )
    assert {each for each in Action if policy.may(auditor, each)} == {
        Action.VIEW_AUDIT,
        Action.VIEW_ALL_AUDIT,
        Action.VIEW_USERS,
    }
    assert auditor.auditing == EVERYTHING
    assert {scope.accounts for scope in (auditor.scope, auditor.editing, auditor.provisioning)} == {frozenset()}
    assert policy.statuses_awaiting(Awaiting.ME, AUDITOR) == frozenset()


def test_a_verb_or_an_action_that_the_tables_forget_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    verbs = {verb: action for verb, action in matrix.ACTION_OF_VERB.items() if verb is not Verb.BLOCK}
    monkeypatch.setattr(policy, "ACTION_OF_VERB", verbs)
    assert all(Verb.BLOCK not in policy.verbs_of(role) for role in Role)
