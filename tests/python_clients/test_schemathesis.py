"""schemathesis generates no operation that the server cannot answer."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import randrange
from typing import Any

import pytest

from bench.measuring import Response
from tests.contract.served import UNLIMITED, Served, served
from tests.harness import LEAD
from tests.hostile.judging import faults
from tests.needs import needs_clients

RUN = Path(__file__).with_name("schemathesis_run.py")
CASES = 2_000
OBJECTS = """{
  viewer { user { id } }
  accounts(first: 5) { nodes { id } }
  locations(first: 20) { nodes { id devices { id } } }
  users(first: 20) { nodes { id } }
}"""

pytestmark = pytest.mark.slow


def ids_of_objects(server: Served) -> list[str]:
    """The ids of objects of the demo data, without the user who asks: nobody can ask once suspended."""
    asked = server.ask(OBJECTS, LEAD)
    locations = asked["locations"]["nodes"]
    devices = [device for location in locations for device in location["devices"][:2]]
    users = [each for each in asked["users"]["nodes"] if each != asked["viewer"]["user"]]
    return [each["id"] for each in (*asked["accounts"]["nodes"], *locations, *devices, *users)]


def sent(server: Served, cases: int, seed: int) -> list[dict[str, Any]]:
    """Run schemathesis. Returns the operations with the responses; fails the test if schemathesis finds something."""
    ended = subprocess.run(
        [str(needs_clients()), str(RUN), f"{server.origin}/graphql", str(cases), str(seed), *ids_of_objects(server)],
        env={**os.environ, "LEAD_TOKEN": server.token(LEAD)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, f"seed {seed}: {ended.stderr[-4000:]}"
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_the_server_answers_whatever_schemathesis_generates_from_the_schema() -> None:
    seed = randrange(2**32)
    with served(**UNLIMITED) as server:
        cases = sent(server, CASES, seed)
    answered = Counter[str]()
    found = []
    for each in cases:
        response = Response(each["status"], each["headers"], each["body"].encode())
        found += [f"{fault}: {each['operation']}" for fault in faults(response)]
        answered["data" if "errors" not in json.loads(response.body) else "errors"] += 1
    sys.stdout.write(f"\n{len(cases)} cases, seed {seed}: {answered}\n")
    assert found == []
    assert len(cases) >= CASES
    assert answered["data"] > CASES / 2
