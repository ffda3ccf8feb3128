"""The issuer's key set over TLS with a certificate of a private authority."""

import logging
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.auth.development import DevelopmentIssuer, _public_jwk
from app.settings import Settings
from tests.auth.auth_builders import serving
from tests.harness import Answer, TestDatabase, served

from .authority import Authority

VIEWER = "{ viewer { role } }"


async def asked(database: TestDatabase, home: Path, *, host: str, signed_by: Authority, trusted: Path | None) -> Answer:
    """The answer of a server that takes its keys from a host whose certificate this authority signed."""
    jwk = _public_jwk(DevelopmentIssuer.load_or_create(home)._key)
    async with (
        serving(jwk, tls=signed_by.certificate(host).server_tls()) as keys,
        served(database, home, jwks_url=keys.url, jwks_ca_file=trusted) as client,
    ):
        return await client.ask(VIEWER)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "private")


async def test_the_certificate_of_a_private_authority_is_accepted_if_the_authority_is_trusted(
    database: TestDatabase, home: Path, authority: Authority
) -> None:
    answer = await asked(database, home, host="localhost", signed_by=authority, trusted=authority.ca_file)
    assert answer.data == {"viewer": {"role": "IMPLEMENTATION_LEAD"}}


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("localhost", "other.pem", "unable to get local issuer certificate"),
        ("localhost", None, "unable to get local issuer certificate"),
        ("keys.example", "private.pem", "Hostname mismatch"),
    ],
)
async def test_any_other_certificate_makes_the_keys_unavailable_and_the_log_says_why(
    database: TestDatabase,
    home: Path,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    host: str,
    trusted: str | None,
    reason: str,
) -> None:
    Authority(authority.ca_file.parent, "other")
    ca_file = authority.ca_file.with_name(trusted) if trusted else None
    with caplog.at_level(logging.WARNING, "turnup.auth"):
        answer = await asked(database, home, host=host, signed_by=authority, trusted=ca_file)
    assert (answer.status, answer.codes) == (503, ["UNAVAILABLE"])
    logged = [record.getMessage() for record in caplog.records if record.name == "turnup.auth"]
    assert len(logged) == 1
    assert reason in logged[0]


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nbm8=\n"])
def test_a_file_without_certificates_is_refused_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("TURNUP_JWKS_CA_FILE", str(file))
    with pytest.raises(ValidationError, match=f"{file}.*(No such file|not a file of certificates)"):
        Settings()


def test_a_private_key_alone_is_no_certificate(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNUP_JWKS_CA_FILE", str(authority.certificate("localhost").key))
    with pytest.raises(ValidationError, match="not a file of certificates"):
        Settings()
