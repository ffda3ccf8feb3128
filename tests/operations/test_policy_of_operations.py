"""Operations ask the permission matrix themselves: the guards on fields are not the only ones that do."""

from typing import Any

import pytest

from app.domain.vocabulary import LocationAction, Role
from app.domain.vocabulary import LocationStatus as S
from app.operations.registry import MUTATIONS as DECLARED
from permissions import matrix
from permissions.guards import Can
from permissions.matrix import MATRIX, Action

from .edits import EDITS
from .inputs import arranged, good_input
from .scenario import MUTATIONS, Rollout, Scenario
from .test_verbs import ANSWERS, MUTATION

BULK = ["bulkUpdateStatus", "bulkApprove", "bulkGeneratePayloads"]


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
async def test_without_its_guard_a_mutation_is_still_forbidden_to_a_role_that_lacks_the_action(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, rest: dict[S, Rollout], mutation: str
) -> None:
    monkeypatch.setattr(Can, "has_permission", lambda *_arguments, **_more: True)
    here, other = rest[S.PROVISIONING], rest[S.IN_PROGRESS]
    users = {
        Role.PARTNER: scenario.partner,
        Role.IMPLEMENTATION_LEAD: scenario.lead,
        Role.CUSTOMER: scenario.customer,
        Role.AUDITOR: scenario.auditor,
    }
    before = await scenario.state_of(here.id)
    for who in [user for role, user in users.items() if not matrix.allows(role, DECLARED[mutation].action)]:
        sent = await scenario.send(who, mutation, **good_input(mutation, here, other))
        assert sent.outcome == "FORBIDDEN"
    assert await scenario.state_of(here.id) == before


@pytest.mark.parametrize(
    "mutation", sorted(each for each in MUTATIONS if DECLARED[each].action in matrix.NEEDS_ALL_ACCOUNTS)
)
async def test_without_its_guard_what_concerns_all_accounts_is_still_forbidden_to_a_lead_of_some(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, rest: dict[S, Rollout], mutation: str
) -> None:
    monkeypatch.setattr(Can, "has_permission", lambda *_arguments, **_more: True)
    given = good_input(mutation, rest[S.PROVISIONING], rest[S.IN_PROGRESS])
    sent = await scenario.send(scenario.scoped_lead, mutation, **given)
    assert sent.outcome == "FORBIDDEN"
    assert sent.error is not None
    assert "needs access to all accounts" in sent.error["message"]


@pytest.mark.parametrize("mutation", sorted(EDITS))
async def test_a_lead_who_may_not_edit_any_onboarding_does_not_find_a_location_that_was_not_granted(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, rest: dict[S, Rollout], mutation: str
) -> None:
    monkeypatch.setattr(matrix, "MATRIX", {**MATRIX, Action.EDIT_ANY_ONBOARDING: frozenset()})
    location = rest[S.IN_PROGRESS]
    sent = await scenario.send(scenario.lead, mutation, **EDITS[mutation](location))
    assert sent.outcome == "NOT_FOUND"


@pytest.mark.parametrize("verb", MUTATION)
async def test_the_mutation_of_a_verb_asks_for_the_verbs_own_action(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, rest: dict[S, Rollout], verb: LocationAction
) -> None:
    action, mutation = matrix.ACTION_OF_LOCATION_ACTION[verb], MUTATION[verb]
    who = scenario.partner if verb in ANSWERS else scenario.lead
    sending = good_input(mutation, rest[S.PROVISIONING], rest[S.IN_PROGRESS])
    everything = frozenset(Role)
    monkeypatch.setattr(matrix, "MATRIX", {**dict.fromkeys(Action, everything), action: frozenset()})
    assert (await scenario.send(who, mutation, **sending)).outcome == "FORBIDDEN"


async def test_viewer_actions_and_the_awaiting_filter_follow_a_flipped_cell(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, location = await arranged(scenario, "approve")
    query = """query ($id: ID!, $filter: LocationFilter) {
      location(id: $id) { viewerActions { action reason } }
      locations(first: 100, orderBy: {field: UPDATED_AT, direction: DESC}, filter: $filter) { nodes { id } }
    }"""
    asked: dict[str, Any] = {"id": location.id, "filter": {"awaiting": "ME", "accountId": location.content.account_id}}

    async def seen(who: str) -> tuple[str | None, bool]:
        data = (await scenario.client.ask(query, who, **asked)).data
        reasons = {each["action"]: each["reason"] for each in data["location"]["viewerActions"]}
        return reasons["APPROVE"], location.id in {each["id"] for each in data["locations"]["nodes"]}

    assert await seen(scenario.customer) == ("FORBIDDEN", False)
    assert await seen(scenario.lead) == (None, True)
    flipped = MATRIX[Action.APPROVE] ^ {matrix.CUSTOMER, matrix.LEAD}
    monkeypatch.setattr(matrix, "MATRIX", {**MATRIX, Action.APPROVE: flipped})
    reason, awaited = await seen(scenario.customer)
    assert reason in {None, "SELF_APPROVAL"}
    assert awaited
    assert await seen(scenario.lead) == ("FORBIDDEN", False)
