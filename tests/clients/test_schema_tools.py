"""Tools of other makers accept the schema: Relay's compiler, graphql-codegen with TypeScript's strict rules,
graphql-inspector, and graphql-eslint with its rules for schemas.
"""

import json
import subprocess
from pathlib import Path

import pytest
from graphql import build_schema

from tests.contract.fragments import CONFLICTING, CONFLICTING_FIELDS, in_pairs
from tests.docs.pages import ROOT

from .programs import LANE, ran

SCHEMA = (ROOT / "schema.graphql").read_text()

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]


def compiled(schema: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Compile a query of all fields of each two types of Node with Relay's compiler."""
    queries = [
        f"graphql`query pairs{name}Query($id: ID!) {{ node(id: $id) {{ {selection} }} }}`;"
        for name, selection in in_pairs(build_schema(schema), "Node").items()
    ]
    (folder / "schema.graphql").write_text(schema)
    (folder / "relay.json").write_text(json.dumps({"src": ".", "schema": "schema.graphql", "language": "javascript"}))
    (folder / "pairs.js").write_text("\n".join(['import { graphql } from "relay-runtime";', *queries]))
    return ran("relay-compiler", "--noWatchman", "relay.json", folder=folder)


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
    ended = ran("eslint", "--config", str(LANE / "eslint.config.js"), "--format", "json", "schema.graphql", folder=ROOT)
    assert ended.returncode in (0, 1), ended.stderr
    (linted,) = json.loads(ended.stdout)
    assert [(each["line"], each["ruleId"], each["message"]) for each in linted["messages"]] == []


def test_a_client_in_typescript_is_checked_strictly_against_the_generated_types(built: None) -> None:
    ended = ran("tsc", "--noEmit", "--project", "tsconfig.json")
    assert ended.returncode == 0, ended.stdout


def test_graphql_inspector_accepts_the_documents_of_the_clients(built: None) -> None:
    ended = ran("graphql-inspector", "validate", "trusted/*.graphql", str(ROOT / "schema.graphql"))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_graphql_inspector_refuses_a_document_with_a_field_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "wrong.graphql").write_text("query Wrong { viewer { shoeSize } }")
    ended = ran("graphql-inspector", "validate", "wrong.graphql", str(ROOT / "schema.graphql"), folder=tmp_path)
    assert ended.returncode == 1
    assert "shoeSize" in ended.stdout + ended.stderr


def test_graphql_inspector_finds_no_breaking_change_since_the_release() -> None:
    released = sorted((ROOT / "docs/released").glob("*.graphql"))[-1]
    ended = ran("graphql-inspector", "diff", str(released), str(ROOT / "schema.graphql"))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_graphql_inspector_notices_a_breaking_change(tmp_path: Path) -> None:
    (tmp_path / "old.graphql").write_text("type Query { a: Int b: Int }")
    (tmp_path / "new.graphql").write_text("type Query { a: Int }")
    ended = ran("graphql-inspector", "diff", "old.graphql", "new.graphql", folder=tmp_path)
    assert ended.returncode == 1
    assert "Field b was removed from object type Query" in ended.stdout + ended.stderr
