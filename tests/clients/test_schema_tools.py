"""Tools of other makers accept the schema: Relay's compiler, and graphql-eslint with its rules for schemas."""

import json
import subprocess
from pathlib import Path

import pytest
from graphql import build_schema

from tests.contract.fragments import CONFLICTING, CONFLICTING_FIELDS, in_pairs
from tests.docs.pages import ROOT
from tests.needs import needs_packages

LANE = Path(__file__).parent
SCHEMA = (ROOT / "schema.graphql").read_text()

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]


def run(tool: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of the lane's packages in a folder."""
    needs_packages(LANE)
    command = [str(LANE / "node_modules" / ".bin" / tool), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def compiled(schema: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Compile a query of all fields of each two types of Node with Relay's compiler."""
    queries = [
        f"graphql`query pairs{name}Query($id: ID!) {{ node(id: $id) {{ {selection} }} }}`;"
        for name, selection in in_pairs(build_schema(schema), "Node").items()
    ]
    (folder / "schema.graphql").write_text(schema)
    (folder / "relay.json").write_text(json.dumps({"src": ".", "schema": "schema.graphql", "language": "javascript"}))
    (folder / "pairs.js").write_text("\n".join(['import { graphql } from "relay-runtime";', *queries]))
    return run("relay-compiler", "--noWatchman", "relay.json", folder=folder)


def test_relay_s_compiler_accepts_all_fields_of_each_two_types_of_node_together(tmp_path: Path) -> None:
    ended = compiled(SCHEMA, tmp_path)
    assert ended.returncode == 0, ended.stderr
    compiled_queries = [*(tmp_path / "__generated__").glob("pairs*Query.graphql.js")]
    assert len(compiled_queries) == len(in_pairs(build_schema(SCHEMA), "Node"))


def test_relay_s_compiler_refuses_types_whose_fields_conflict(tmp_path: Path) -> None:
    ended = compiled(CONFLICTING, tmp_path)
    assert ended.returncode == 1
    assert {name for name in CONFLICTING_FIELDS if f"Field '{name}' is ambiguous" in ended.stderr} == CONFLICTING_FIELDS


def test_graphql_eslint_finds_nothing_in_the_schema() -> None:
    ended = run("eslint", "--config", str(LANE / "eslint.config.js"), "--format", "json", "schema.graphql", folder=ROOT)
    assert ended.returncode in (0, 1), ended.stderr
    (linted,) = json.loads(ended.stdout)
    assert [(each["line"], each["ruleId"], each["message"]) for each in linted["messages"]] == []
