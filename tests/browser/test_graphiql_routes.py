"""How the page's files are served."""

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.http.graphiql import POLICY, graphiql_routes


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A built page of two files, with a secret beside it."""
    dist = tmp_path / "web" / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html>the page")
    (dist / "assets" / "index-abc.js").write_text("start()")
    (dist / "fingerprint").write_text("secret")
    return dist


def a_client(dist: Path, **config: Any) -> TestClient:
    return TestClient(Starlette(routes=graphiql_routes(dist, lambda: {"mode": "development", **config})))


def test_everything_carries_the_policy(dist: Path) -> None:
    client = a_client(dist)
    for path in ("/graphiql", "/graphiql/config.json", "/graphiql/assets/index-abc.js", "/graphiql/assets/none.js"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_assets_are_kept_for_ever_and_the_page_is_asked_for_again(dist: Path) -> None:
    client = a_client(dist)
    asset = client.get("/graphiql/assets/index-abc.js")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["content-type"].startswith("text/javascript")
    assert client.get("/graphiql").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "name",
    ["../fingerprint", "..%2ffingerprint", "%2e%2e/fingerprint", "..%5cfingerprint", "%2e%2e", "%2e", "%00", "a/b.js"],
)
def test_no_name_leads_out_of_the_assets(dist: Path, name: str) -> None:
    answer = a_client(dist).get(f"/graphiql/assets/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_another_sites_page_does_not_get_the_development_tokens(dist: Path) -> None:
    client = a_client(dist, people=[{"email": "lead@turnup.example", "token": "t"}])
    same = client.get("/graphiql/config.json", headers={"sec-fetch-site": "same-origin"})
    assert same.json()["people"][0]["token"] == "t"
    assert same.headers["cache-control"] == "no-store"
    for site in ("cross-site", "same-site"):
        assert client.get("/graphiql/config.json", headers={"sec-fetch-site": site}).status_code == 403


def test_a_page_that_is_not_built_yet_reloads_itself(tmp_path: Path) -> None:
    answer = a_client(tmp_path / "dist").get("/graphiql")
    assert answer.status_code == 503
    assert '<meta http-equiv="refresh"' in answer.text
    assert "deploy/graphiql.py" in answer.text


def test_a_page_that_could_not_be_built_says_why_and_stays(tmp_path: Path) -> None:
    (tmp_path / "dist.failed").write_text("npm ci: no <network>\n")
    answer = a_client(tmp_path / "dist").get("/graphiql")
    assert answer.status_code == 503
    assert "npm ci: no &lt;network&gt;" in answer.text
    assert "http-equiv" not in answer.text
