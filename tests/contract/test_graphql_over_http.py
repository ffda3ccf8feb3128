"""GraphQL over HTTP as others judge it: graphql-http's audits of the real server."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import page, table
from tests.harness import LEAD
from tests.needs import needs, needs_packages

from .served import Served, served

LANE = Path(__file__).parent
AUDITS = 61

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("audits")]


def test_all_audits_of_graphql_http_pass(capsys: pytest.CaptureFixture[str]) -> None:
    needs_packages(LANE)
    with served() as server:
        results = audited(server)
    passed = [each for each in results if each["status"] == "ok"]
    with capsys.disabled():
        print(f"\ngraphql-http: {len(passed)} of {len(results)} audits pass")  # noqa: T201 - the tally is asked for
    assert [each for each in results if each not in passed] == []
    assert len(passed) == AUDITS
    rows = table(page("docs/graphql-over-http.md"), "Cases of the specification")
    listed = [audit for _, _, _, _, audits, _ in rows if audits != "none" for audit in audits.split()]
    assert sorted(listed) == sorted(each["id"] for each in results)
    version = json.loads((LANE / "package.json").read_bytes())["dependencies"]["graphql-http"]
    assert f"graphql-http {version}" in page("docs/graphql-over-http.md")


def audited(server: Served) -> list[dict[str, str]]:
    """What each audit says: id, name, status (ok, notice, warn, error) and reason."""
    ended = subprocess.run(
        [needs("node"), "audit.mjs", f"{server.origin}/graphql"],
        cwd=LANE,
        env={**os.environ, "TURNUP_TOKEN": server.token(LEAD)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    results: list[dict[str, str]] = json.loads(ended.stdout)
    return results
