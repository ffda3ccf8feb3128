"""How the page's files are served."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

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


PEOPLE = [{"email": "lead@turnup.example", "token": "t"}]
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def a_client(
    dist: Path, *, client: str = "127.0.0.1", origin: str = "http://127.0.0.1:8000", **config: Any
) -> TestClient:
    app = Starlette(routes=graphiql_routes(dist, lambda: {"mode": "development", **config}))
    return TestClient(app, base_url=origin, client=(client, 50_000))


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


def test_an_asset_is_sent_in_the_coding_that_the_browser_prefers_and_compressed_once(dist: Path) -> None:
    client, file = a_client(dist), dist / "assets" / "large-abc.js"
    for coding in ("gzip", "zstd"):
        file.write_text(coding * 1_000)
        for _ in range(2):
            asset = client.get(f"/graphiql/assets/{file.name}", headers={"accept-encoding": coding})
            assert (asset.text, asset.headers["content-encoding"]) == (coding * 1_000, coding)
            assert asset.headers["vary"] == "Accept-Encoding"
            file.write_text("a name with a hash has one content")
    plain = client.get("/graphiql/assets/index-abc.js", headers={"accept-encoding": "identity"})
    assert (plain.text, "content-encoding" in plain.headers) == ("start()", False)


def test_the_page_is_sent_again_only_after_a_new_build(dist: Path) -> None:
    client = a_client(dist)
    first = client.get("/graphiql")
    known = {"if-none-match": first.headers["etag"]}
    again = client.get("/graphiql", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == POLICY
    (dist / "index.html").write_text("<!doctype html>the new page")
    assert client.get("/graphiql", headers=known).text == "<!doctype html>the new page"


@pytest.mark.parametrize(
    "name",
    ["../fingerprint", "..%2ffingerprint", "%2e%2e/fingerprint", "..%5cfingerprint", "%2e%2e", "%2e", "%00", "a/b.js"],
)
def test_no_name_leads_out_of_the_assets(dist: Path, name: str) -> None:
    answer = a_client(dist).get(f"/graphiql/assets/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_another_sites_page_does_not_get_the_development_tokens(dist: Path) -> None:
    client = a_client(dist, people=PEOPLE)
    own = {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8000"}
    for headers in ({"sec-fetch-site": "same-origin"}, own, {"sec-fetch-site": "none"}, {}):
        same = client.get("/graphiql/config.json", headers=headers)
        assert same.json()["people"][0]["token"] == "t"
        assert same.headers["cache-control"] == "no-store, no-transform"
    foreign = [
        *({"sec-fetch-site": site} for site in ("cross-site", "same-site", "", "elsewhere")),
        *({"origin": origin} for origin in ("http://localhost:3000", "http://127.0.0.1:8001", "null", "")),
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        [("origin", "http://127.0.0.1:8000"), ("origin", "http://localhost:3000")],
    ]
    assert {refused(client, headers) for headers in foreign} == {403}


async def test_a_proxy_that_adds_no_field_is_recognized_by_its_old_http(dist: Path) -> None:
    app = Starlette(routes=graphiql_routes(dist, lambda: {"mode": "development", "people": PEOPLE}))
    statuses = []
    for version in ("1.0", "1.1"):

        async def with_version(scope: Scope, receive: Receive, send: Send, version: str = version) -> None:
            await app({**scope, "http_version": version}, receive, send)

        transport = httpx.ASGITransport(with_version)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            statuses.append((await http.get("/graphiql/config.json")).status_code)
    assert statuses == [403, 200]


def refused(client: TestClient, headers: Any = None) -> int:
    """The status with which the configuration is refused; 0 when it is not."""
    answer = client.get("/graphiql/config.json", headers=headers)
    assert answer.status_code == 200 or "token" not in answer.text.replace("tokens", "")
    return 0 if answer.status_code == 200 else answer.status_code


@pytest.mark.parametrize("client", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8000", "127.0.0.1", "127.1.2.3:80", "localhost:8000", "LocalHost", "a.localhost:1", "[::1]:8000"],
)
def test_the_page_on_this_machine_gets_the_development_tokens(dist: Path, client: str, host: str) -> None:
    assert refused(a_client(dist, client=client, people=PEOPLE), {"host": host}) == 0


@pytest.mark.parametrize(
    "client", ["192.168.1.7", "10.0.0.1", "203.0.113.7", "2001:db8::1", "fe80::1", "0.0.0.0", "::", "testclient", ""]
)
def test_another_machine_does_not_get_the_development_tokens(dist: Path, client: str) -> None:
    assert refused(a_client(dist, client=client, people=PEOPLE)) == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "192.168.1.7:8000",
        "0.0.0.0:8000",
        "[::]:8000",
        "127.1:8000",
        "0x7f000001",
        "localhost:8000:8000",
        "localhost:99999",
        "localhost:x",
        "[::1",
        "::1",
        "user@localhost",
        "localhost/",
        "localhost, localhost",
        ".localhost",
        "",
    ],
)
def test_a_name_that_points_to_this_machine_does_not_get_the_development_tokens(dist: Path, host: str) -> None:
    assert refused(a_client(dist, people=PEOPLE), {"host": host}) == 403


def test_a_request_with_two_hosts_does_not_get_the_development_tokens(dist: Path) -> None:
    hosts = [("host", "127.0.0.1:8000"), ("host", "127.0.0.1:8000")]
    assert refused(a_client(dist, people=PEOPLE), hosts) == 403


@pytest.mark.parametrize(
    "name",
    [
        *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded", "Forwarded", "Via", "X-Real-IP"),
        *("CF-Connecting-IP", "X-Cluster-Client-IP", "Fly-Client-IP", "X-Original-Host", "X-Envoy-External-Address"),
        *("CDN-Loop", "Proxy-Connection", "Client-IP", "Tailscale-User-Login", "traceparent", "X-Proxy-Of-Tomorrow"),
    ],
)
@pytest.mark.parametrize("value", ["127.0.0.1", "203.0.113.7", "for=127.0.0.1", ""])
def test_what_passed_a_proxy_does_not_get_the_development_tokens(dist: Path, name: str, value: str) -> None:
    assert refused(a_client(dist, people=PEOPLE), {name: value}) == 403


def test_a_configuration_without_tokens_is_for_everyone(dist: Path) -> None:
    client = a_client(dist, client="203.0.113.7", origin="https://api.example")
    assert client.get("/graphiql/config.json").json() == {"mode": "development"}


def test_the_page_opens_with_a_slash_at_the_end(dist: Path) -> None:
    client = a_client(dist)
    assert client.get("/graphiql/").text == client.get("/graphiql").text == "<!doctype html>the page"


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/"])
@pytest.mark.parametrize("prefix", ["", "/turnup", "/of/several"])
def test_the_addresses_in_the_page_lead_to_its_files_under_any_path(dist: Path, path: str, prefix: str) -> None:
    (dist / "index.html").write_text('<script src="./assets/index-abc.js"></script>')
    (address,) = re.findall('src="(.*)"', a_client(dist).get(path).text)
    assert urljoin(f"https://example.com{prefix}{path}", address) == (
        f"https://example.com{prefix}/graphiql/assets/index-abc.js"
    )


def test_an_asset_is_sent_whole_whatever_range_is_wanted(dist: Path) -> None:
    for wanted in ("bytes=0-1", "bytes=x", "bytes=1-0", "bytes=9999-"):
        answer = a_client(dist).get("/graphiql/assets/index-abc.js", headers={"range": wanted})
        assert (answer.status_code, answer.text) == (200, "start()")


def test_a_page_that_is_not_built_yet_reloads_itself(tmp_path: Path) -> None:
    answer = a_client(tmp_path / "dist").get("/graphiql", headers=BROWSER)
    assert answer.status_code == 503
    assert '<meta http-equiv="refresh"' in answer.text
    assert "deploy/graphiql.py" in answer.text


def test_a_page_that_could_not_be_built_says_why_and_stays(tmp_path: Path) -> None:
    (tmp_path / "dist.failed").write_text("npm ci: no <network>\n")
    answer = a_client(tmp_path / "dist").get("/graphiql", headers=BROWSER)
    assert answer.status_code == 503
    assert "npm ci: no &lt;network&gt;" in answer.text
    assert "http-equiv" not in answer.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_a_page_that_is_not_built_yet_is_one_sentence_for_other_clients_than_browsers(
    tmp_path: Path, accept: str
) -> None:
    answer = a_client(tmp_path / "dist").get("/graphiql", headers={"accept": accept})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert answer.text == "The GraphiQL page is not built. Open it in a browser to see the reason."
