"""Caches of real clients, configured as docs/clients says, keep objects apart, whole and current."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import pytest

from tests.contract.served import Served

from .programs import reported

Session = Callable[..., Any]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]


@pytest.fixture(scope="module")
def session(servers: Mapping[str, Served]) -> Session:
    """Runs the session of a client, once for all tests, and returns what it reports."""
    return cache(partial(_session, servers["off"]))


def _session(server: Served, client: str, *arguments: str) -> Any:
    return reported(server, client, f"{server.origin}/graphql", *arguments)


ADVICE = "The object has changed since you read it. Its current revision is 1."


def test_relay_shows_a_mounted_location_whole_whatever_else_is_written(session: Session) -> None:
    found = session("relay")
    assert found["warnings"] == []
    steps = found["steps"]
    assert {name: step["isMissingData"] for name, step in steps.items()} == dict.fromkeys(steps, False)
    desks = ["Desk 1", "Desk 2", "Desk 3"]
    assert {name: step["labels"] for name, step in steps.items()} == {
        **dict.fromkeys(steps, desks),
        "added": ["Bench", *desks],
    }
    assert steps["dryRun"]["outcomes"] == ["APPLIED", "REFUSED", "APPLIED"]
    assert {step["status"] for step in steps.values()} == {"PENDING_APPROVAL"}
    assert steps["removed"]["record"] == "NONEXISTENT"


def test_relay_keeps_the_intervals_that_did_not_change(session: Session) -> None:
    changed = session("relay")["steps"]["changed"]
    assert changed["problems"] == []
    assert [each["id"] for each in changed["after"]] == [each["id"] for each in changed["before"]]
    assert changed["after"][0]["opens"] == "09:30:00"


def test_relay_refetches_an_object_by_its_id(session: Session) -> None:
    refetched = session("relay")["refetched"]
    assert refetched["codes"] == [None, None, "KIOSK", None]
    assert refetched["problems"] == [["CONFLICT"], []]


def test_relay_adds_each_page_to_the_connection(session: Session) -> None:
    *_, whole = pages = session("relay")["pages"]
    assert len(set(whole)) == 12
    assert pages == [whole[:5], whole[:10], whole]


def test_relay_copes_with_partial_data_and_with_additions_of_a_later_release(session: Session) -> None:
    found = session("relay")
    assert found["partial"] == {"id": "location-3", "name": "Acme Medical - Harbor Street", "overrides": None}
    assert found["later"] == {"advice": [ADVICE], "label": "archived"}


def test_relay_would_notice_an_id_of_two_objects(session: Session) -> None:
    (first, *_) = session("relay")["warningsOfSharedIds"]
    assert "violated the globally unique id requirement" in first


@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_the_cache_answers_from_what_it_has_after_every_step(session: Session, client: str) -> None:
    found = session(client)
    assert found["warnings"] == []
    answered, shown = found["answered"], found["shown"]
    assert shown["afterOthers"] == answered
    assert found["outcomes"] == ["APPLIED", "REFUSED"]
    assert shown["afterDryRun"] == answered
    labels = [each["label"] for each in shown["afterAddition"]["location"]["devices"]]
    assert labels == ["Bench", "Desk 1", "Desk 2", "Desk 3"]
    assert shown["afterRemoval"] == answered
    assert shown["removed"] is None


@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_the_cache_copes_with_partial_data_and_with_additions_of_a_later_release(session: Session, client: str) -> None:
    found = session(client)
    location = found["partial"]["data"]["location"]
    assert (location["name"], location["overrides"]) == ("Acme Medical - Harbor Street", None)
    assert "Your role does not allow this action." in found["partial"]["error"]
    assert found["later"] == {"advice": [ADVICE], "label": "archived"}


@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_a_list_grows_by_each_page_that_the_client_loads(session: Session, client: str) -> None:
    pages = session(client)["pages"]
    whole = pages["whole"]
    assert len(whole) == 12
    assert pages["shown"] == [whole[:5], whole[:10], whole]


@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_an_optimistic_edit_is_shown_at_once_and_undone_by_a_conflict(session: Session, client: str) -> None:
    edits = session(client)["edits"]
    assert edits["codes"] == [None, "FRONT", None, "KIOSK", "FRONT", "FRONT"]
    assert (edits["refusal"], edits["problems"]) == ("CONFLICT", [])
    assert edits["revisions"]["inConflict"] == edits["revisions"]["read"]


@pytest.mark.parametrize(("client", "complaint"), [("apollo", "Cache data may be lost"), ("urql", "Invalid key")])
def test_the_library_warns_without_the_configuration(session: Session, client: str, complaint: str) -> None:
    assert any(complaint in warning for warning in session(client, "bare")["warnings"])
