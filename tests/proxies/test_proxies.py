"""What clients and operators see of a server behind nginx or HAProxy, configured as in docs/deployment.md."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest

from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.auth.keys import trusting
from app.http.heads import TARGET_BYTES
from tests.cli.turnup import environment, eventually, free_port
from tests.faults.behind_nginx import LEADS, Instance, Load, instances, play_restart, sent, settings_of_page, under_load
from tests.harness import TestDatabase
from tests.needs import needs

from .conftest import ANONYMOUS, BODY_SECONDS, KEEP_ALIVE_SECONDS
from .fronts import FRONTS, HOST, PREFIX, Front, haproxy_front

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("proxies")]
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the connections are those that Linux lists")

WHO = {"query": "{ viewer { name } }"}
ALL_TYPES = {"query": "{ __schema { types { name description fields { name description } } } }"}
MIB = 1024 * 1024
NGINX_IDLE_SECONDS = 3
"""The time after which nginx closes a connection to the server: `keepalive_timeout` of its `upstream`."""


@pytest.fixture(scope="module")
def bearer(home: Path) -> dict[str, str]:
    """The header fields of a request of a lead."""
    issuer = DevelopmentIssuer.load_or_create(home)
    token = issuer.issue(LEADS[0], lifetime_seconds=3600, now=time.time(), audience=AUDIENCE)
    return {"Authorization": f"Bearer {token}"}


def connections_to(port: int) -> set[str]:
    """The local ends of the connections to a port of this machine, those that were closed lately included."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [line.split()[1:3] for line in lines]
    return {own for own, other in ends if int(other.rpartition(":")[2], 16) == port}


def line_of(server: Instance, **facts: str) -> dict[str, Any]:
    """Wait for the line of a request in the log of the server, by what the line has."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["message"] == "request.answered" and facts.items() <= line.items()]

    eventually(lambda: found() != [], within=60)
    (line,) = found()
    return line


def curl(front: Front, *arguments: str) -> str:
    """What curl prints, which trusts the certificate of the proxy."""
    command = [needs("curl"), "--silent", "--show-error", "--cacert", str(front.ca_file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@needs_linux
def test_the_requests_of_a_client_share_few_connections_to_the_server(
    server: Instance, front: Front, bearer: dict[str, str]
) -> None:
    before = connections_to(server.port)
    with front.client() as client:
        for _ in range(30):
            assert client.post("/graphql", json=WHO, headers=bearer).status_code == 200
    assert len(connections_to(server.port) - before) <= 3


async def test_no_request_is_lost_to_a_connection_that_was_idle_until_the_server_or_the_proxy_closes_it(
    server: Instance, bearer: dict[str, str], tmp_path: Path
) -> None:
    spread = [base + step / 500 for base in (NGINX_IDLE_SECONDS, KEEP_ALIVE_SECONDS) for step in range(-10, 11)]

    async def ask_twice(front: Front, number: int, pause: float) -> None:
        await asyncio.sleep(number / 25)  # the server refuses a burst of requests
        async with httpx.AsyncClient(base_url=front.url, verify=trusting(front.ca_file), trust_env=False) as client:
            for seconds in (0.0, pause):
                await asyncio.sleep(seconds)
                answer = await client.post("/graphql", json=WHO, headers=bearer, timeout=60)
                assert answer.status_code == 200, answer.text

    with ExitStack() as stack:
        fronts = []
        for name, run in FRONTS.items():
            folder = tmp_path / name
            folder.mkdir()
            fronts.append(stack.enter_context(run(folder, [server.port])))
        await asyncio.gather(
            *(ask_twice(front, number, pause) for front in fronts for number, pause in enumerate(spread))
        )


def test_clients_speak_http_2_and_send_requests_side_by_side_on_one_connection(
    front: Front, bearer: dict[str, str]
) -> None:
    sends = ("--header", f"Authorization: {bearer['Authorization']}", "--json", json.dumps(WHO))
    told = curl(
        front,
        *("--http2", "--parallel", "--write-out", "%{http_version} %{response_code} %{num_connects}\n", *sends),
        *(f"{front.url}/graphql?number=[1-20]", "--output", "/dev/null"),
    )
    answers = [line.split() for line in told.splitlines()]
    assert [answer[:2] for answer in answers] == [["2", "200"]] * 20
    assert sum(int(connects) for _, _, connects in answers) == 1


def test_a_body_of_the_largest_size_passes_and_a_larger_one_is_refused_in_the_form_of_the_api(
    front: Front, bearer: dict[str, str]
) -> None:
    body = json.dumps(WHO).encode()
    json_headers = {**bearer, "Content-Type": "application/json"}
    with front.client() as client:
        largest = client.post("/graphql", content=body.ljust(MIB), headers=json_headers)
        assert largest.status_code == 200, largest.text
        refused = client.post("/graphql", content=body.ljust(MIB + 1), headers=json_headers)
    assert refused.status_code == 413
    assert [error["extensions"]["code"] for error in refused.json()["errors"]] == ["PAYLOAD_TOO_LARGE"]


@pytest.mark.parametrize(
    ("version", "length", "expected"),
    [
        ("--http1.1", TARGET_BYTES, "200"),
        ("--http1.1", TARGET_BYTES + 1, "414"),
        ("--http2", TARGET_BYTES - 8 * 1024, "200"),  # curl itself sends no more than 64 KiB of header fields
    ],
)
def test_a_long_url_passes_and_one_that_is_too_long_is_refused_in_the_form_of_the_api(
    front: Front, bearer: dict[str, str], tmp_path: Path, version: str, length: int, expected: str
) -> None:
    target = f"/graphql?{urlencode(WHO)}&x=".ljust(length, "z")
    (tmp_path / "url").write_text(f'url = "{front.url}{target}"\n')
    sends = ("--header", f"Authorization: {bearer['Authorization']}", "--config", str(tmp_path / "url"))
    body, _, status = curl(front, version, "--write-out", " %{response_code}", *sends).rpartition(" ")
    assert status == expected, body
    codes = [error["extensions"]["code"] for error in json.loads(body).get("errors", ())]
    assert codes == (["URI_TOO_LONG"] if expected == "414" else [])


@contextmanager
def raw(front: Front, body: bytes, headers: dict[str, str]) -> Iterator[socket.socket]:
    """A connection on which the head of a request was sent; its buffer for the response is as small as it can be."""
    fields = {"Host": HOST, "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    head = "POST /graphql HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        plain.settimeout(60)
        plain.connect((HOST, front.port))
        with trusting(front.ca_file).wrap_socket(plain, server_hostname=HOST) as connection:
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
            yield connection


def received(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the content of the response, once the proxy closed the connection."""
    answer = b""
    while some := connection.recv(64 * 1024):
        answer += some
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), content


def test_a_client_that_sends_more_slowly_than_the_server_allows_is_answered(
    front: Front, bearer: dict[str, str]
) -> None:
    body = json.dumps(WHO).encode()
    with raw(front, body, bearer) as connection:
        began = time.monotonic()
        for byte in body[:-1]:
            connection.sendall(bytes([byte]))
            time.sleep(1.5 * BODY_SECONDS / len(body))  # the time is what matters here
        assert time.monotonic() - began > BODY_SECONDS
        connection.sendall(body[-1:])
        assert received(connection)[0] == 200


def test_a_client_that_reads_slowly_gets_everything_and_does_not_occupy_the_server(
    server: Instance, front: Front, bearer: dict[str, str]
) -> None:
    own, body = uuid4().hex, json.dumps(ALL_TYPES).encode()
    with raw(front, body, {**bearer, "X-Request-Id": own}) as connection:
        connection.sendall(body)
        # The server has answered before the client reads anything.
        line_of(server, client_request_id=own)
        status, content = received(connection)
    assert status == 200
    assert len(content) > 100_000


def test_a_request_has_one_id_in_the_log_of_the_proxy_and_in_that_of_the_server(
    server: Instance, front: Front, bearer: dict[str, str]
) -> None:
    with front.client() as client:
        answer = client.post("/graphql?secret=s3cret", json=WHO, headers=bearer)
    line = line_of(server, request_id=answer.headers["x-request-id"])
    eventually(lambda: line["client_request_id"] in front.log(), within=10)
    (logged,) = [each for each in front.log().splitlines() if line["client_request_id"] in each]
    assert '"POST /graphql" 200' in logged
    assert "s3cret" not in front.log()


def test_an_id_that_the_client_chose_passes_the_proxy(server: Instance, front: Front, bearer: dict[str, str]) -> None:
    own = uuid4().hex
    with front.client() as client:
        answer = client.post("/graphql", json=WHO, headers={**bearer, "X-Request-Id": own})
    assert answer.headers["x-request-id"] != own
    assert line_of(server, client_request_id=own)["request_id"] == answer.headers["x-request-id"]
    eventually(lambda: own in front.log(), within=10)


def statuses(client: httpx.Client, claims: Callable[[int], dict[str, str]]) -> set[int]:
    """The statuses of more requests without a token than an address may send per minute."""
    return {client.post("/graphql", json=WHO, headers=claims(number)).status_code for number in range(ANONYMOUS + 5)}


def test_a_client_behind_the_proxy_is_limited_by_its_own_address_whatever_it_claims(front: Front) -> None:
    flood, other = ("127.0.0.11", "127.0.0.12") if front.name == "nginx" else ("127.0.0.13", "127.0.0.14")
    with front.client(flood) as client:
        assert statuses(client, lambda number: {"X-Forwarded-For": f"203.0.113.{number}"}) == {401, 429}
    with front.client(other) as client:
        assert client.post("/graphql", json=WHO).status_code == 401


def test_a_client_that_reaches_the_server_without_the_proxy_claims_in_vain(server: Instance) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.15", trust_env=False)
    with httpx.Client(base_url=f"http://{HOST}:{server.port}", transport=transport) as client:
        assert statuses(client, lambda number: {"X-Forwarded-For": f"203.0.113.{number}"}) == {401, 429}
        claims = {"X-Forwarded-For": "203.0.113.100", "X-Forwarded-Proto": "https"}
        assert client.get("/auth/logout", headers=claims).status_code in {421, 429}


def test_the_server_knows_that_the_browser_used_https(front: Front) -> None:
    with front.client() as client:
        assert client.get("/auth/logout", headers={"X-Forwarded-Proto": "http"}).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_tags_and_compressed_responses_pass_unchanged(
    server: Instance, front: Front, bearer: dict[str, str], coding: str
) -> None:
    asks = {**bearer, "Accept-Encoding": coding}
    direct = httpx.Client(base_url=f"http://{HOST}:{server.port}", trust_env=False, timeout=60)
    with front.client() as client, direct:
        for path, query in (("/graphql", ALL_TYPES), ("/schema.graphql", {})):
            first, expected = (each.get(path, params=query, headers=asks) for each in (client, direct))
            assert first.headers.get("content-encoding", "identity") == coding
            for name in ("cache-control", "content-length", "etag", "vary"):
                assert first.headers.get(name) == expected.headers.get(name), name
            again = client.get(path, params=query, headers={**asks, "If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", ["/metrics", "/metrics?a=b", "/%6detrics"])
def test_the_metrics_are_not_published(front: Front, path: str) -> None:
    assert curl(front, "--write-out", "%{response_code}", "--output", "/dev/null", front.url + path) == "404"


def test_under_a_path_of_a_shared_host_everything_is_below_it(shared_host: Front, bearer: dict[str, str]) -> None:
    with shared_host.client() as client:
        answer = client.post(f"{PREFIX}/graphql", json=WHO, headers=bearer)
        assert answer.status_code == 200, answer.text
        by_get = client.get(f"{PREFIX}/graphql", params=WHO, headers=bearer)
        assert by_get.json()["data"] == answer.json()["data"]
        schemas = client.get(f"{PREFIX}/schemas/")
        for listed in schemas.json()["schemas"]:
            assert client.get(schemas.url.join(listed["href"])).status_code == 200
        reference = client.get(f"{PREFIX}/reference")
        addresses = {each for each in re.findall('href="([^"#]+)"', reference.text) if not each.startswith("data:")}
        assert addresses >= {"schema.graphql", "schemas/"}
        for address in addresses:
            assert client.get(reference.url.join(address)).status_code == 200, address
        for path in ("/graphql", "/healthz", "/auth/logout", f"{PREFIX}x/healthz", f"{PREFIX}/metrics"):
            assert client.get(path).status_code == 404, path
        assert f'action="{PREFIX}/auth/logout"' in client.get(f"{PREFIX}/auth/logout").text


@contextmanager
def unready() -> Iterator[tuple[int, list[str]]]:
    """A stub of an instance that says that it is not ready. Yields its port, and the paths that it was asked for."""
    asked: list[str] = []

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Refuses) as stub:
        thread = threading.Thread(target=stub.serve_forever)
        thread.start()
        try:
            yield stub.server_port, asked
        finally:
            stub.shutdown()
            thread.join()


def test_haproxy_sends_nothing_to_an_instance_that_is_not_ready(
    server: Instance, bearer: dict[str, str], tmp_path: Path
) -> None:
    with unready() as (port, asked), haproxy_front(tmp_path, [port, server.port]) as front, front.client() as client:
        eventually(lambda: asked.count("/readyz") >= 2, within=30)
        eventually(lambda: "is DOWN" in front.log(), within=30)
        for _ in range(20):
            assert client.post("/graphql", json=WHO, headers=bearer).status_code == 200
    assert set(asked) == {"/readyz"}


def test_haproxy_sends_a_request_to_the_other_instance_if_the_first_refuses_the_connection(
    server: Instance, bearer: dict[str, str], tmp_path: Path
) -> None:
    with haproxy_front(tmp_path, [free_port(), server.port]) as front, front.client() as client:
        for _ in range(5):
            assert client.post("/graphql", json=WHO, headers=bearer).status_code == 200


@needs_linux
async def test_a_restart_behind_haproxy_loses_no_request(
    proxies_database: TestDatabase,
    server: Instance,
    home: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    variables = environment(DATABASE_URL=proxies_database.app_url, TURNUP_HOME=str(home), **settings_of_page())

    async def restart(load: Load) -> None:
        await sent(load, 100)
        await asyncio.to_thread(play_restart, tmp_path, restarted)
        is_used_again = f"turnup/turnup{restarted[0].port} is UP"
        await asyncio.to_thread(eventually, lambda: is_used_again in front.log(), within=60)
        await sent(load, 100)

    with (
        instances(tmp_path, variables) as restarted,
        haproxy_front(tmp_path, [restarted[0].port, server.port]) as front,
    ):
        load = await under_load(front.port, home, restart, tls=trusting(front.ca_file))
    record_property("tried", f"{load.sent} requests during a restart behind HAProxy, {load.lost.total()} lost")
    assert not load.lost
