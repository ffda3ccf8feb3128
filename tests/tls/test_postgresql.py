"""PostgreSQL over TLS, with the certificate of a private authority and verification of the host's name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.turnup import run, serving
from tests.harness import Ended, TestDatabase, Turnup
from tests.needs import needs

from .authority import Authority
from .postgresql import TlsServer, tls_server

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Setup:
    """The server and the files of the authority that signed its certificate, and of another one."""

    server: TlsServer
    ca_file: Path
    other_ca_file: Path

    def url(self, role: str, **changes: Any) -> str:
        """Return a URL with verification, and with changes."""
        return self.server.url(role, **{"sslmode": "verify-full", "sslrootcert": self.ca_file, **changes})

    def urls(self) -> TestDatabase:
        return TestDatabase(self.url("turnup_app"), self.url("turnup_owner"))


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("authority")
    authority, other = Authority(folder, "private"), Authority(folder, "other")
    with tls_server(Path(needs("postgresql15")), authority.certificate("localhost")) as server:
        yield Setup(server, authority.ca_file, other.ca_file)


def test_migrate_serve_and_audit_work_with_a_verified_certificate(setup: Setup, tmp_path: Path) -> None:
    urls = {"DATABASE_URL": setup.url("turnup_app"), "TURNUP_OWNER_DATABASE_URL": setup.url("turnup_owner")}
    with serving(tmp_path / "home", **urls) as server:
        assert server.ask("{ viewer { role } }")["viewer"] == {"role": "IMPLEMENTATION_LEAD"}
        sessions = setup.server.run(
            "SELECT DISTINCT usename, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename ~ 'turnup'"
        )
        assert sessions.splitlines() == ["turnup_app|t"]
    for command in (["migrate"], ["audit", "verify"], ["audit", "replay"]):
        ended = run(*command, TURNUP_HOME=str(tmp_path / "home"), **urls)
        assert ended.returncode == 0, ended


@pytest.mark.parametrize("variable", ["DATABASE_URL", "TURNUP_OWNER_DATABASE_URL"])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sslrootcert": "OTHER"}, "the server's certificate was refused: unable to get local issuer certificate"),
        ({"host": "127.0.0.1"}, "the server's certificate was refused: IP address mismatch"),
        ({"sslrootcert": "/nowhere/ca.pem"}, "a file that the URL names does not exist"),
        ({"sslrootcert": "KEY"}, "no certificate"),
        ({"sslmode": "always"}, "`sslmode` parameter must be one of"),
        ({"sslmode": "disable"}, "no encryption"),
    ],
    ids=["wrong authority", "wrong host", "no file", "no certificate", "no mode", "no TLS"],
)
async def test_a_connection_that_cannot_be_verified_is_refused_in_one_line(
    setup: Setup, turnup: Turnup, variable: str, changes: dict[str, str], reason: str
) -> None:
    files = {"OTHER": setup.other_ca_file, "KEY": setup.server.folder / "server.key"}
    changed = {name: files.get(value, value) for name, value in changes.items()}
    urls = setup.urls()
    place = (
        TestDatabase(setup.url("turnup_app", **changed), urls.owner_url)
        if variable == "DATABASE_URL"
        else TestDatabase(urls.app_url, setup.url("turnup_owner", **changed))
    )
    refused_in_one_line(await turnup(place, "migrate"), variable, reason, setup)


async def test_a_server_without_tls_is_refused_in_one_line(setup: Setup, turnup: Turnup) -> None:
    setup.server.run("ALTER SYSTEM SET ssl = off; SELECT pg_reload_conf()")
    try:
        refused_in_one_line(await turnup(setup.urls(), "migrate"), "DATABASE_URL", "rejected SSL upgrade", setup)
    finally:
        setup.server.run("ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf()")


def refused_in_one_line(ended: Ended, variable: str, reason: str, setup: Setup) -> None:
    assert (ended.status, ended.out) == (1, "")
    assert ended.error.startswith(f"turnup: {variable}: ")
    assert reason in ended.error
    assert "\n" not in ended.error
    assert not any(password in ended.error for password in setup.server.passwords.values())
