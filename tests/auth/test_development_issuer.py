"""The development issuer: tokens that our own verifier believes, from a key that is kept well."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.auth.claims import Claims, InvalidToken
from app.auth.development import AUDIENCE, ISSUER, KEY_FILE, DevelopmentIssuer
from app.auth.verifier import Verifier

from .auth_builders import NOW, Clock

ROOT = Path(__file__).resolve().parents[2]
START_ON_A_LINE = """
import sys
from pathlib import Path
from app.auth.development import DevelopmentIssuer
print("ready", flush=True)
sys.stdin.readline()
DevelopmentIssuer.load_or_create(Path(sys.argv[1]))
print((Path(sys.argv[1]) / "development-issuer.pem").read_text(), flush=True)
"""


def a_verifier_of(issuer, **changes):
    whole = {"issuer": ISSUER, "audience": AUDIENCE, "keys": issuer.public_keys(), "clock": Clock(), **changes}
    return Verifier(**whole)


async def test_a_token_of_the_development_issuer_is_believed_until_it_expires(tmp_path):
    issuer, clock = DevelopmentIssuer.load_or_create(tmp_path), Clock()
    bearer = f"Bearer {issuer.issue('lead', lifetime_seconds=3600, now=NOW + 0.9)}"
    verifier = a_verifier_of(issuer, clock=clock, leeway_seconds=0)
    assert await verifier.verify(bearer) == Claims("lead", NOW + 3600)
    clock.advance(3600)
    with pytest.raises(InvalidToken, match="expired"):
        await verifier.verify(bearer)


async def test_a_token_for_another_audience_is_refused(tmp_path):
    issuer = DevelopmentIssuer.load_or_create(tmp_path)
    token = issuer.issue("lead", lifetime_seconds=60, now=NOW, audience="elsewhere")
    with pytest.raises(InvalidToken, match="audience"):
        await a_verifier_of(issuer).verify(f"Bearer {token}")
    assert await a_verifier_of(issuer, audience="elsewhere").verify(f"Bearer {token}") == Claims("lead", NOW + 60)


def test_a_token_carries_what_the_access_token_profile_asks_for(tmp_path):
    issuer = DevelopmentIssuer.load_or_create(tmp_path)
    whole = jwt.decode_complete(issuer.issue("lead", lifetime_seconds=60, now=NOW), options={"verify_signature": False})
    kid, token_id = whole["header"].pop("kid"), whole["payload"].pop("jti")
    assert whole["header"] == {"alg": "EdDSA", "typ": "at+jwt"}
    assert whole["payload"] == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "lead",
        "client_id": "turnup-development",
        "iat": NOW,
        "exp": NOW + 60,
    }
    assert len(kid) == 43
    assert len(token_id) == 36


async def test_a_later_start_has_the_same_key(tmp_path):
    token = DevelopmentIssuer.load_or_create(tmp_path).issue("lead", lifetime_seconds=60, now=NOW)
    again = DevelopmentIssuer.load_or_create(tmp_path)
    assert await a_verifier_of(again).verify(f"Bearer {token}") == Claims("lead", NOW + 60)


async def test_another_home_has_another_key(tmp_path):
    token = DevelopmentIssuer.load_or_create(tmp_path / "one").issue("lead", lifetime_seconds=60, now=NOW)
    other = DevelopmentIssuer.load_or_create(tmp_path / "other")
    with pytest.raises(InvalidToken):
        await a_verifier_of(other).verify(f"Bearer {token}")


def test_derived_secrets_follow_from_the_key_and_the_purpose(tmp_path):
    one, again, other = (DevelopmentIssuer.load_or_create(tmp_path / home) for home in ("one", "one", "other"))
    secrets = [one.derived("first", 37), one.derived("second", 37), other.derived("first", 37)]
    assert {len(secret) for secret in secrets} == {37}
    assert len(set(secrets)) == 3
    assert again.derived("first", 37) == secrets[0]


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such modes")
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_only_the_owner_may_read_the_key_whatever_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        DevelopmentIssuer.load_or_create(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such modes")
def test_a_key_that_became_readable_for_others_is_closed_again(tmp_path):
    DevelopmentIssuer.load_or_create(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    DevelopmentIssuer.load_or_create(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"secret",
        b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
    ids=["empty", "text", "broken", "of another kind"],
)
def test_a_file_that_holds_something_else_is_named_and_left_alone(tmp_path, content):
    path = tmp_path / KEY_FILE
    path.write_bytes(content)
    with pytest.raises(ValueError, match="remove it") as refused:
        DevelopmentIssuer.load_or_create(tmp_path)
    assert str(path) in str(refused.value)
    assert "c2VjcmV0" not in str(refused.value)
    assert path.read_bytes() == content


def test_processes_that_start_at_once_end_with_the_same_key(tmp_path):
    command = [sys.executable, "-c", START_ON_A_LINE, str(tmp_path / "home")]
    starters = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("\n")
        starter.stdin.flush()
    keys = [starter.communicate(timeout=30)[0] for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert set(keys) == {(tmp_path / "home" / KEY_FILE).read_text() + "\n"}


async def test_threads_that_start_at_once_end_with_the_same_key(tmp_path):
    for attempt in range(20):
        home = tmp_path / str(attempt)
        with ThreadPoolExecutor(8) as pool:
            issuers = list(pool.map(DevelopmentIssuer.load_or_create, [home] * 8))
        verifier = a_verifier_of(issuers[0])
        for issuer in issuers:
            await verifier.verify(f"Bearer {issuer.issue('lead', lifetime_seconds=60, now=NOW)}")
        assert [entry.name for entry in home.iterdir()] == [KEY_FILE]


def test_nothing_shows_the_private_key(tmp_path):
    issuer = DevelopmentIssuer.load_or_create(tmp_path)
    pem_lines = (tmp_path / KEY_FILE).read_text().splitlines()
    shown = repr(issuer) + repr(vars(issuer)) + repr(issuer.public_keys())
    assert not any(line in shown for line in pem_lines)
    assert '"d"' not in shown
    assert "'d'" not in shown
