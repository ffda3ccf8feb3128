"""Caches of real clients, configured as docs/clients says, keep objects apart, whole and current."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from tests.contract.served import Served, served
from tests.docs.pages import ROOT, client_pages
from tests.harness import CUSTOMER, LEAD
from tests.needs import needs, needs_packages

Session = Callable[..., Any]

LANE = Path(__file__).parent
GENERATED = LANE / "__generated__"
MODULE = re.compile(r"^```js\n// (?P<name>\w+\.mjs)\n(?P<code>.*?)^```\n", re.MULTILINE | re.DOTALL)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """The packages, the modules that the pages print, and the documents that relay-compiler compiles."""
    needs_packages(LANE)
    GENERATED.mkdir(exist_ok=True)
    for found in MODULE.finditer(client_pages()):
        (GENERATED / found["name"]).write_text(found["code"], encoding="utf-8")
    compiler = ["node_modules/relay-compiler/cli.js", "--noWatchman", "--output", "quiet-with-errors"]
    compiled = subprocess.run(
        [needs("node"), *compiler, "relay.config.json"], cwd=LANE, capture_output=True, text=True, check=False
    )
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """Runs the session of a client, once for all tests, and returns what it reports."""
    with served() as server:
        yield cache(partial(_session, server))


def _session(server: Served, client: str, *arguments: str) -> Any:
    tokens = {"LEAD_TOKEN": server.token(LEAD), "CUSTOMER_TOKEN": server.token(CUSTOMER)}
    program = [needs("node"), "--conditions=development", str(LANE / f"{client}.mjs")]  # with the libraries' warnings
    ended = subprocess.run(
        [*program, f"{server.origin}/graphql", *arguments],
        cwd=ROOT,  # where the modules of the pages find schema.graphql
        env={**os.environ, **tokens},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


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


@pytest.mark.parametrize(("client", "complaint"), [("apollo", "Cache data may be lost"), ("urql", "Invalid key")])
def test_the_library_warns_without_the_configuration(session: Session, client: str, complaint: str) -> None:
    assert any(complaint in warning for warning in session(client, "bare")["warnings"])
