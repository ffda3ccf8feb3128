"""ILLEGAL_TRANSITION names the action that the client called, in whatever situation it was called."""

import re
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus

from .inputs import OF_A_LOCATION, OF_A_RECIPIENT, good_input
from .scenario import LOCKED, Scenario, Sent

S = LocationStatus
# Every status, and what a status does not say: content that needs another approval, and a receipt that is missing.
SITUATIONS: dict[str, tuple[LocationStatus, dict[str, Any]]] = {
    **{status.value: (status, {}) for status in S},
    **{f"moved while {status}": (status, {"moved": True}) for status in sorted(LOCKED)},
    "completed by hand": (S.COMPLETED, {"unanswered": True}),
}
SINGLE = [mutation for mutation in OF_A_LOCATION if not mutation.startswith("bulk")]
REFUSED_IN_SOME_STATUS = {
    *("startOnboarding", "submitOnboarding", "withdrawSubmission", "requestChanges", "approve", "generatePayload"),
    *("triggerProvisioning", "completeProvisioning", "rejectPayload", "block", "unblock", "cancel", "reopen"),
}
ITEMS = "results { problem { __typename ... on IllegalTransition { from action } } }"
# The items of bulk mutations are refused like the single mutations that they stand for.
BULK: list[tuple[str, dict[str, Any], str]] = [
    ("bulkApprove", {}, "APPROVE"),
    ("bulkGeneratePayloads", {}, "GENERATE_PAYLOAD"),
    ("bulkUpdateStatus", {"status": "IN_PROGRESS"}, "REOPEN"),
    ("bulkUpdateStatus", {"status": "PENDING_APPROVAL"}, "SUBMIT_ONBOARDING"),
    ("bulkUpdateStatus", {"status": "PROVISIONING"}, "TRIGGER_PROVISIONING"),
    ("bulkUpdateStatus", {"status": "BLOCKED"}, "BLOCK"),
    ("bulkUpdateStatus", {"status": "CANCELLED"}, "CANCEL"),
]


async def in_every_situation(scenario: Scenario, mutation: str, **more: Any) -> list[tuple[LocationStatus, Sent]]:
    who = scenario.partner if mutation in OF_A_RECIPIENT else scenario.lead
    found = []
    for status, turn in SITUATIONS.values():
        location = await scenario.a_location(status, **turn)
        other = await scenario.a_location(S.IN_PROGRESS) if mutation == "moveDevice" else location
        given = {**good_input(mutation, location, other), **more}
        if given.get("payloadId", "") is None:
            given["payloadId"] = "payload-of-nobody"
        found.append((status, await scenario.send(who, mutation, ITEMS if more else "", **given)))
    return found


@pytest.mark.parametrize("mutation", SINGLE)
async def test_a_refused_transition_names_the_mutation_that_was_called(scenario: Scenario, mutation: str) -> None:
    sent = await in_every_situation(scenario, mutation)
    refused = [(status, each.problem) for status, each in sent if each.outcome == "ILLEGAL_TRANSITION"]
    named = re.sub("([A-Z])", r"_\1", mutation).upper()
    assert [(problem["from"], problem["action"]) for _, problem in refused] == [
        (status, named) for status, _ in refused
    ]
    assert all(f"does not accept {named}." in problem["message"] for _, problem in refused)
    assert bool(refused) == (mutation in REFUSED_IN_SOME_STATUS)


@pytest.mark.parametrize(("mutation", "given", "action"), BULK)
async def test_a_refused_item_names_the_action_that_it_stands_for(
    scenario: Scenario, mutation: str, given: dict[str, Any], action: str
) -> None:
    sent = await in_every_situation(scenario, mutation, **given, dryRun=True)
    problems = [(status, each.payload["results"][0]["problem"]) for status, each in sent]
    refused = [(s, problem) for s, problem in problems if problem and problem["__typename"] == "IllegalTransition"]
    assert refused
    assert [(problem["from"], problem["action"]) for _, problem in refused] == [
        (status, action) for status, _ in refused
    ]
