"""Reasons are asked for where a verb wants one; bulk calls are refused as a whole before anything is written."""

from itertools import product

import pytest

from app.domain.bulk import VERBS_TOWARDS, check_items, verb_towards
from app.domain.reasons import reason_for
from app.domain.refusals import InvalidInput, LimitReached
from app.domain.status_machine import TABLE
from app.domain.vocabulary import LocationAction, LocationStatus


@pytest.mark.parametrize("verb", TABLE)
def test_a_verb_that_must_be_explained_refuses_silence(verb):
    assert reason_for(verb, " Site closes ") == "Site closes"
    if TABLE[verb].needs_reason:
        with pytest.raises(InvalidInput) as refusal:
            reason_for(verb, None)
        assert refusal.value.path == ("reason",)


def test_a_verb_that_needs_no_reason_takes_none():
    assert reason_for(LocationAction.UNBLOCK, None) is None


def test_a_bulk_call_takes_up_to_its_cap_of_different_locations():
    check_items("bulkGeneratePayloads", [f"location-{number}" for number in range(50)], field="locationIds")


@pytest.mark.parametrize(
    ("ids", "refusal"),
    [
        ([], InvalidInput),
        (["location-1", "location-2", "location-1"], InvalidInput),
        ([f"location-{number}" for number in range(51)], LimitReached),
    ],
)
def test_too_many_locations_or_none_or_one_twice_are_refused(ids, refusal):
    with pytest.raises(refusal) as refused:
        check_items("bulkGeneratePayloads", ids, field="locationIds")
    assert refused.value.path == ("locationIds",)


@pytest.mark.parametrize(
    ("target", "status", "verb"),
    [
        ("IN_PROGRESS", "BLOCKED", "UNBLOCK"),
        ("IN_PROGRESS", "CANCELLED", "REOPEN"),
        ("IN_PROGRESS", "NOT_STARTED", "REOPEN"),
        ("PENDING_APPROVAL", "IN_PROGRESS", "SUBMIT"),
        ("PROVISIONING", "APPROVED", "TRIGGER_PROVISIONING"),
        ("PROVISIONING", "PROVISIONING", "TRIGGER_PROVISIONING"),
        ("BLOCKED", "IN_PROGRESS", "BLOCK"),
        ("CANCELLED", "BLOCKED", "CANCEL"),
    ],
)
def test_a_wished_for_status_stands_for_a_verb(target, status, verb):
    assert verb_towards(LocationStatus(target), LocationStatus(status)) == verb


@pytest.mark.parametrize("status", ["IN_PROGRESS", "PENDING_APPROVAL", "BLOCKED", "CANCELLED"])
def test_a_location_that_is_there_already_needs_no_verb(status):
    assert verb_towards(LocationStatus(status), LocationStatus(status)) is None


@pytest.mark.parametrize("target", ["NOT_STARTED", "APPROVED", "COMPLETED"])
def test_some_statuses_cannot_be_wished_for(target):
    with pytest.raises(InvalidInput):
        verb_towards(LocationStatus(target), LocationStatus.IN_PROGRESS)


@pytest.mark.parametrize(("target", "status"), list(product(VERBS_TOWARDS, LocationStatus)))
def test_a_verb_that_is_taken_leads_to_the_wished_for_status(target, status):
    verb = verb_towards(target, status)
    if verb and status in TABLE[verb].sources:
        assert TABLE[verb].to is target
