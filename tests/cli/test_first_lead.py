"""From a PostgreSQL that Turnup has never used to a lead's first query: the commands of the page, as an operator."""

import asyncio
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.auth.development import _public_jwk
from tests.auth.auth_builders import serving as serving_keys
from tests.bare_postgresql import BarePostgresql, bare_postgresql, embedded_programs
from tests.docs.pages import comparable, page, shell_blocks
from tests.faults.behind_nginx import Instance, block

from .turnup import environment, free_port, run

pytestmark = pytest.mark.slow

SECTION = page("docs/deployment.md").partition("\n## The first lead\n")[2].partition("\n## ")[0]
PASSWORDS = {"OWNER_PASSWORD": "correct-horse", "APP_PASSWORD": "battery-staple"}
SERVER = "https://api.example.com"
DATABASE = "db.example.com:5432"


@pytest.fixture
def bare() -> Iterator[BarePostgresql]:
    """A PostgreSQL without Turnup's roles, as Debian sets it up: passwords over TCP."""
    with bare_postgresql(embedded_programs(), "host all all localhost scram-sha-256") as made:
        yield made


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the environment of the checkout, in which the commands may write."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


async def answers(blocks: list[tuple[str, str | None]], folder: Path, variables: dict[str, str]) -> list[str]:
    """What each block prints, when all run in one shell."""
    script = "set -eu\n" + "".join(f"{command}printf '\\0'\n" for command, _ in blocks)
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        script,
        cwd=folder,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(300):
        printed, errors = await shell.communicate()
    assert (shell.returncode, errors.decode()) == (0, "")
    return printed.decode().split("\0")[:-1]


def alike(printed: list[str], blocks: list[tuple[str, str | None]]) -> None:
    """Every block printed what the page prints below it, except for ids."""
    shown = [(found, answer) for found, (_, answer) in zip(printed, blocks, strict=True) if answer is not None]
    found, expected = ("\0".join(each) for each in zip(*shown, strict=True))
    assert comparable(found) == comparable(expected)


async def test_the_page_leads_from_a_bare_postgresql_to_a_leads_first_query(
    bare: BarePostgresql, checkout: Path, tmp_path: Path
) -> None:
    port, home, key = free_port(), tmp_path / "home", Ed25519PrivateKey.generate()
    here = {DATABASE: f"localhost:{bare.port}", SERVER: f"http://127.0.0.1:{port}"}
    *before, first_query = [(_replaced(command, here), answer) for command, answer in shell_blocks(SECTION)]
    path = f"{bare.programs}:{os.environ['PATH']}"
    operator = environment(TURNUP_HOME=str(home)) | bare.superuser | PASSWORDS | {"PATH": path, "LC_ALL": "C.UTF-8"}
    alike(await answers(before, checkout, operator), before)
    async with serving_keys(_public_jwk(key)) as keys:
        settings = _settings_of_the_page() | {
            "DATABASE_URL": f"postgresql://turnup_app:{PASSWORDS['APP_PASSWORD']}@{here[DATABASE]}/turnup",
            "TURNUP_JWKS_URL": keys.url,
            "TURNUP_STOP_DELAY_SECONDS": "0",
        }
        server = Instance(port, environment(TURNUP_HOME=str(home), **settings), tmp_path / "server.log")
        now = int(time.time())
        claims = {"iss": settings["TURNUP_ISSUER"], "aud": settings["TURNUP_AUDIENCE"], "sub": _subject_of_the_page()}
        header = {"typ": "at+jwt", "kid": _public_jwk(key)["kid"]}
        token = jwt.encode({**claims, "iat": now, "exp": now + 600}, key, algorithm="EdDSA", headers=header)
        try:
            server.start()
            await asyncio.to_thread(server.wait)
            alike(await answers([first_query], checkout, operator | {"TOKEN": token}), [first_query])
        finally:
            server.kill()
    owner = f"postgresql://turnup_owner:{PASSWORDS['OWNER_PASSWORD']}@{here[DATABASE]}/turnup"
    for command in (("verify",), ("replay",)):
        ended = run("audit", *command, TURNUP_OWNER_DATABASE_URL=owner, TURNUP_HOME=str(home))
        assert (ended.returncode, ended.stderr) == (0, "")


def _replaced(text: str, replacements: dict[str, str]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def _settings_of_the_page() -> dict[str, str]:
    """The settings of production that the page gives, without the store of budgets, which is not here."""
    given = dict(line.split("=", 1) for line in block("sh", "TURNUP_ENV=production").splitlines())
    del given["TURNUP_REDIS_URL"]
    return given


def _subject_of_the_page() -> str:
    (command,) = re.findall(r"turnup user add .*", SECTION)[:1]
    words = shlex.split(command)
    return words[words.index("--subject") + 1]
