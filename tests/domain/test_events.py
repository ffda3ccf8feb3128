"""The catalogue of domain events: each audited action has its event, and each other event says why it has no entry."""

import re

import pytest

from app.domain import events
from app.domain.events import EVENTS, UNLOGGED, Effect, Event, EventError, check_complete, object_id_of
from app.domain.vocabulary import AuditOutcome, LocationAction
from app.operations.audit_names import AuditAction
from app.operations.mutation import Counted
from app.operations.registry import MUTATIONS, check_events

PAST = re.compile(r"[a-z_]+\.([a-z]+ed|set|withdrawn|withheld|forgotten|broken)")


def an_event(name: str = "wall.painted", *actions: str, outcome: AuditOutcome = AuditOutcome.APPLIED) -> Event:
    return Event(name=name, says="A wall was painted.", actions=actions or ("paintWall",), outcome=outcome)


def test_every_action_of_the_audit_log_has_an_event_or_a_reason_for_none() -> None:
    named = {action for event in EVENTS if event.outcome is AuditOutcome.APPLIED for action in event.actions}
    assert named | UNLOGGED.keys() == {action.value for action in AuditAction}


def test_an_action_with_both_an_event_and_a_reason_for_none_stops_the_import() -> None:
    with pytest.raises(EventError, match="BASELINE has an event and is listed in UNLOGGED"):
        check_complete(["BASELINE"], [an_event("wall.painted", "BASELINE")])


def test_every_event_is_named_in_the_past_tense() -> None:
    assert [event.name for event in EVENTS if not PAST.fullmatch(event.name)] == []


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_refused_attempt_has_the_event_of_approvals_if_its_mutation_counts_as_one(mutation: str) -> None:
    approves = Counted.APPROVALS in MUTATIONS[mutation].counts
    assert events.refused(mutation).name == ("approval.refused" if approves else "change.refused")


def test_an_item_of_a_bulk_change_of_status_has_the_event_of_the_single_mutation() -> None:
    submitted = events.applied("bulkUpdateStatus", LocationAction.SUBMIT_ONBOARDING)
    assert submitted is events.applied("submitOnboarding")


def test_a_mutation_without_an_event_stops_the_import() -> None:
    with pytest.raises(EventError, match=re.escape("paintWall has no event: declare one in app/domain/events.py")):
        check_events([*MUTATIONS, "paintWall"])


def test_an_event_of_a_refusal_alone_is_not_enough() -> None:
    with pytest.raises(EventError, match="paintWall has no event"):
        check_complete(["paintWall"], [an_event(outcome=AuditOutcome.REFUSED)])


def test_an_event_that_names_an_unknown_action_stops_the_import() -> None:
    with pytest.raises(EventError, match="names paintWall, which is no action of the audit log"):
        check_complete([], [an_event()])


def test_an_event_that_is_declared_twice_stops_the_import() -> None:
    with pytest.raises(EventError, match=re.escape("wall.painted is declared twice")):
        check_complete(["paintWall"], [an_event(), an_event()])


@pytest.mark.parametrize("name", ["painted", "Wall.painted", "wall.Painted", "wall painted", "wall.painted.twice"])
def test_an_event_is_named_by_a_noun_and_a_verb(name: str) -> None:
    with pytest.raises(EventError, match=re.escape("is not named noun.past_tense")):
        an_event(name)


def test_an_event_with_neither_actions_nor_a_reason_is_refused() -> None:
    with pytest.raises(EventError, match="or the reason why it has no entry"):
        Event(name="wall.painted", says="A wall was painted.")
    with pytest.raises(EventError, match="or the reason why it has no entry"):
        Event(name="wall.painted", says="A wall was painted.", unaudited="")
    with pytest.raises(EventError, match="or the reason why it has no entry"):
        Event(name="wall.painted", says="A wall was painted.", actions=("paintWall",), unaudited="why not")


def test_a_bulk_item_without_a_known_verb_has_no_event() -> None:
    with pytest.raises(EventError, match="bulkUpdateStatus has no event"):
        events.applied("bulkUpdateStatus", LocationAction.APPROVE)


def test_the_object_of_an_effect_is_what_it_has_no_field_for() -> None:
    assert object_id_of({"location": "location-1", "override": "override-1", "device": "phone-1"}) == "phone-1"
    assert object_id_of({"payload": "payload-1", "receipt": ""}) is None
    assert Effect(object_id="phone-1") != Effect()
