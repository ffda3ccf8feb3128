"""Python clients work with the server: gql, sgqlc, and the client that ariadne-codegen generates."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from tests.contract.served import Served, served
from tests.harness import LEAD
from tests.needs import needs_clients

Session = Callable[[str], Any]

ROOT = Path(__file__).parents[2]
LANE = Path(__file__).parent
CLIENTS = ("gql", "sgqlc", "ariadne")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("python-clients")]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def workplace(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sessions, and with what the tools generated from the schema and from operations.graphql."""
    folder = tmp_path_factory.mktemp("python_clients")
    shutil.copy(ROOT / "schema.graphql", folder)
    for source in (*LANE.glob("*_session.py"), LANE / "operations.graphql", LANE / "ariadne.toml"):
        shutil.copy(source, folder)
    run(folder, "-m", "ariadne_codegen", "--config", "ariadne.toml", "client")
    signed_in = ("-H", f"Authorization: Bearer {server.token(LEAD)}")
    run(folder, "-m", "sgqlc.introspection", *signed_in, f"{server.origin}/graphql", "introspected.json")
    run(folder, "-m", "sgqlc.codegen", "schema", "introspected.json", "turnup_schema.py")
    # Without its option --schema, with which sgqlc 18 demands arguments that have a default, such as `orderBy`.
    run(folder, "-m", "sgqlc.codegen", "operation", "turnup_schema", "turnup_operations.py", "operations.graphql")
    return folder


def run(folder: Path, *command: str, **variables: str) -> str:
    """Run Python in the environment of the clients, in a folder. Returns the output; fails the test for a status."""
    ended = subprocess.run(
        [str(needs_clients()), *command],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def session(server: Served, workplace: Path) -> Session:
    """Runs the session of a client, once for all tests, and returns what it reports."""
    return cache(partial(_session, server, workplace))


def _session(server: Served, workplace: Path, client: str) -> Any:
    printed = run(workplace, f"{client}_session.py", f"{server.origin}/graphql", LEAD_TOKEN=server.token(LEAD))
    return json.loads(printed)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_python_client_reads_a_list_page_by_page(server: Served, session: Session, client: str) -> None:
    pages = session(client)["pages"]
    assert [len(page) for page in pages] == [5, 5, 2]
    listed = server.ask("{ locations(first: 100) { nodes { id } } }", LEAD)["locations"]["nodes"]
    assert {each for page in pages for each in page} == {each["id"] for each in listed}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_python_client_edits_and_reads_the_conflict_of_a_second_edit(session: Session, client: str) -> None:
    found = session(client)
    assert found["name"].startswith(f"Edited with {client}")
    assert found["conflict"] == {"code": "CONFLICT", "behind": 1}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_python_client_reads_what_a_bulk_call_would_do_to_each_item(
    server: Served, session: Session, client: str
) -> None:
    assert session(client)["outcomes"] == ["APPLIED", "REFUSED"]
    assert server.ask('{ location(id: "location-3") { status } }', LEAD)["location"]["status"] != "BLOCKED"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_python_client_reads_the_path_and_the_code_of_an_error(session: Session, client: str) -> None:
    assert session(client)["errors"] == [{"path": ["location"], "code": "NOT_FOUND"}]


def test_generated_clients_and_their_use_pass_mypy_in_strict_mode(workplace: Path) -> None:
    """Apart from sgqlc's, whose modules have no types."""
    checked = ("turnup_client", "ariadne_session.py", "gql_session.py")
    options = ("--strict", "--python-executable", str(needs_clients()), "--cache-dir", ".mypy_cache")
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *checked], cwd=workplace, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
