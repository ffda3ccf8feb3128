"""What a bulk call does to its key: taken once something was applied, else as free as after any refusal."""

from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus

from .scenario import Rollout, Scenario, Sent, a_key

S = LocationStatus
POLICIES = ("PER_ITEM", "ALL_OR_NOTHING")
TOLD = "results { outcome problem { code } }"


async def blocked(scenario: Scenario, *locations: Rollout, **given: Any) -> Sent:
    """A call by which these locations are to wait."""
    ids = [each.id for each in locations]
    reason = "No cabling yet."
    return await scenario.send(
        scenario.lead, "bulkUpdateStatus", TOLD, locationIds=ids, status="BLOCKED", reason=reason, **given
    )


def outcomes(sent: Sent) -> list[str]:
    return [each["outcome"] for each in sent.payload["results"]]


async def kept(scenario: Scenario, key: str) -> int:
    """How often the key is kept, of whomever."""
    return int(await scenario.connection.fetchval("SELECT count(*) FROM turnup.idempotency_key WHERE key = $1", key))


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_call_that_applied_nothing_is_made_with_the_same_key_once_the_cause_is_mended(
    scenario: Scenario, policy: str
) -> None:
    location = await scenario.a_location(S.CANCELLED)
    given = {"policy": policy, "idempotencyKey": a_key()}
    refused = await blocked(scenario, location, **given)
    assert (outcomes(refused), refused.replayed) == (["REFUSED"], False)
    assert await kept(scenario, given["idempotencyKey"]) == 0
    await scenario.send(scenario.lead, "reopen", locationId=location.id, reason="A change order")
    done, again = [await blocked(scenario, location, **given) for _ in range(2)]
    assert (outcomes(done), done.replayed) == (["APPLIED"], False)
    assert (outcomes(again), again.replayed) == (["APPLIED"], True)


async def test_a_refused_item_of_all_or_nothing_leaves_the_key_free_for_all_of_them(scenario: Scenario) -> None:
    ready, cancelled = await scenario.a_location(S.IN_PROGRESS), await scenario.a_location(S.CANCELLED)
    given = {"policy": "ALL_OR_NOTHING", "idempotencyKey": a_key()}
    assert outcomes(await blocked(scenario, ready, cancelled, **given)) == ["UNCHANGED", "REFUSED"]
    await scenario.send(scenario.lead, "reopen", locationId=cancelled.id, reason="A change order")
    done = await blocked(scenario, ready, cancelled, **given)
    assert (outcomes(done), done.replayed) == (["APPLIED", "APPLIED"], False)


async def test_a_call_that_found_everything_done_leaves_the_key_free(scenario: Scenario) -> None:
    location = await scenario.a_location(S.BLOCKED)
    key = a_key()
    assert outcomes(await blocked(scenario, location, idempotencyKey=key)) == ["UNCHANGED"]
    assert await kept(scenario, key) == 0


async def test_a_call_that_applied_something_is_not_made_again_for_what_it_did_not(scenario: Scenario) -> None:
    ready, cancelled = await scenario.a_location(S.IN_PROGRESS), await scenario.a_location(S.CANCELLED)
    key = a_key()
    assert outcomes(await blocked(scenario, ready, cancelled, idempotencyKey=key)) == ["APPLIED", "REFUSED"]
    await scenario.send(scenario.lead, "reopen", locationId=cancelled.id, reason="A change order")
    again = await blocked(scenario, ready, cancelled, idempotencyKey=key)
    assert (outcomes(again), again.replayed) == (["APPLIED", "REFUSED"], True)
    assert (await scenario.state_of(cancelled.id)).status == S.IN_PROGRESS


async def test_a_replay_refuses_an_item_in_the_words_of_the_first_answer(scenario: Scenario) -> None:
    ready, new = await scenario.a_location(S.IN_PROGRESS), await scenario.a_location(S.NOT_STARTED)
    given = {"locationIds": [ready.id, new.id], "status": "PENDING_APPROVAL", "idempotencyKey": a_key()}
    words = "results { problem { code message path ... on IllegalTransition { from action allowed } } }"
    first, again = [await scenario.send(scenario.lead, "bulkUpdateStatus", words, **given) for _ in range(2)]
    refused = first.payload["results"][1]["problem"]
    assert (refused["action"], "START_ONBOARDING" in refused["allowed"]) == ("SUBMIT_ONBOARDING", True)
    assert (again.replayed, again.payload["results"]) == (True, first.payload["results"])


async def test_a_refused_approval_is_entered_though_its_key_stays_free(scenario: Scenario) -> None:
    location = await scenario.a_location(S.PENDING_APPROVAL, submitted_by=scenario.lead)
    key = a_key()
    items = [{"locationId": location.id, "expectedDigest": location.digest}]
    for attempt in (1, 2):
        sent = await scenario.send(scenario.lead, "bulkApprove", TOLD, items=items, idempotencyKey=key)
        assert [each["problem"]["code"] for each in sent.payload["results"]] == ["SELF_APPROVAL"]
        assert (sent.replayed, (await scenario.state_of(location.id)).entries) == (False, attempt)


@pytest.mark.parametrize("key", ["", "   ", "k" * 256, "k\u202ey"])
async def test_a_dry_run_refuses_a_key_that_cannot_be_read_as_the_real_run_does(scenario: Scenario, key: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    rehearsed, real = [await blocked(scenario, location, idempotencyKey=key, dryRun=dry) for dry in (True, False)]
    assert (rehearsed.outcome, rehearsed.problem["path"]) == ("INVALID_INPUT", ["idempotencyKey"])
    assert rehearsed.problem == real.problem
    assert (await scenario.state_of(location.id)).status == S.IN_PROGRESS


async def test_a_dry_run_takes_no_notice_of_what_its_key_was_used_for(scenario: Scenario) -> None:
    first, second = [await scenario.a_location(S.IN_PROGRESS) for _ in range(2)]
    key = a_key()
    assert outcomes(await blocked(scenario, first, idempotencyKey=key)) == ["APPLIED"]
    assert outcomes(await blocked(scenario, second, idempotencyKey=key, dryRun=True)) == ["APPLIED"]
