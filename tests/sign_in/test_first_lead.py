"""From a PostgreSQL that Turnup has never used to a lead in the browser and a partner that polls: a page's commands."""

import json
import os
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.auth.keys import trusting
from tests.bare_postgresql import BarePostgresql, bare_postgresql, embedded_programs
from tests.cli.turnup import environment, free_port, run
from tests.docs.pages import ROOT, comparable, page, varying
from tests.faults.behind_nginx import Instance, block, nginx
from tests.tls.authority import Authority

from .provider import TURNUP, running_provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sign-in")]

SECTION = page("docs/deployment.md").partition("\n## The first lead\n")[2].partition("\n### Users on the ")[0]
BLOCK = re.compile(r"^```(sh|graphql)\n(.*?)^```\n(?:\n```(?:json|text)\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
PASSWORDS = {"OWNER_PASSWORD": "correct-horse", "APP_PASSWORD": "battery-staple"}
SERVER = "https://api.example.com"
DATABASE = "db.example.com:5432"
EXPIRY = "2027-06-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Step:
    """A block of the section, in the language `sh` or `graphql`, and the answer below it, if there is one."""

    language: str
    text: str
    answer: str | None


STEPS = [Step(language, text, answer or None) for language, text, answer in BLOCK.findall(SECTION)]
IN_THE_BROWSER = next(place for place, step in enumerate(STEPS) if step.language == "graphql")
AT_THE_PARTNER = next(place for place, step in enumerate(STEPS) if "poller.py" in step.text)


@dataclass
class Reader:
    """Somebody who follows the section, with values of their own in place of those that the page shows."""

    folder: Path
    variables: dict[str, str]
    values: dict[str, str]
    browser: httpx.Client | None = None

    def follow(self, steps: list[Step]) -> None:
        """Run the steps one after the other, and compare what each answers with the page."""
        for step in steps:
            text = self.own(step.text)
            found = self.asked(text) if step.language == "graphql" else self.printed(text)
            if step.answer is not None:
                assert comparable(found) == comparable(step.answer), f"{text}\n{found}"
                self.values |= dict(zip(varying(step.answer), varying(found), strict=True))

    def own(self, text: str) -> str:
        for shown, value in self.values.items():
            text = text.replace(shown, value)
        return text

    def printed(self, command: str) -> str:
        """What a command prints. What it exports stays for the commands after it."""
        kept = self.folder / "environment"
        script = f"set -eu\n{command}\nexport -p > {shlex.quote(str(kept))}\n"
        if kept.exists():
            script = f". {shlex.quote(str(kept))}\n{script}"
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def asked(self, document: str) -> str:
        """The answer to an operation that the lead sends with the session, as GraphiQL does."""
        assert self.browser is not None
        response = self.browser.post("/graphql", json={"query": document}, headers={"X-Turnup-CSRF": "1"})
        body = response.json()
        del body["extensions"]
        return json.dumps(body, indent=2) + "\n"


@pytest.fixture
def bare() -> Iterator[BarePostgresql]:
    """A PostgreSQL without Turnup's roles, as Debian sets it up: passwords over TCP."""
    with bare_postgresql(embedded_programs(), "host all all localhost scram-sha-256") as made:
        yield made


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the environment and the pages of the checkout, in which the commands may write."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "docs").symlink_to(ROOT / "docs")
    return folder


def test_the_page_leads_from_a_bare_postgresql_to_a_lead_in_the_browser_and_a_partner_that_polls(
    bare: BarePostgresql, checkout: Path, tmp_path: Path
) -> None:
    port, subject = free_port(), _subject_of_the_page()
    origin, authority = f"https://127.0.0.1:{port}", Authority(tmp_path, "private")
    operator = environment(TURNUP_HOME=str(tmp_path / "home"), SSL_CERT_FILE=str(authority.ca_file)) | {
        **bare.superuser,
        **PASSWORDS,
        "PATH": f"{bare.programs}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    own = {
        DATABASE: f"localhost:{bare.port}",
        SERVER: origin,
        EXPIRY: (datetime.now(UTC) + timedelta(days=90)).isoformat(),
    }
    reader = Reader(checkout, operator, own)
    reader.follow(STEPS[:IN_THE_BROWSER])
    with running_provider({subject: {"name": "Olga Peters"}}) as provider:
        provider.set(origin=origin)
        client_id, client_secret = TURNUP
        settings = _settings_of_the_page() | {
            "DATABASE_URL": f"postgresql://turnup_app:{PASSWORDS['APP_PASSWORD']}@{own[DATABASE]}/turnup",
            "TURNUP_JWKS_URL": f"{provider.issuer}/jwks",
            "TURNUP_ISSUER": provider.issuer,
            "TURNUP_PUBLIC_URL": origin,
            "TURNUP_OIDC_CLIENT_ID": client_id,
            "TURNUP_OIDC_CLIENT_SECRET": client_secret,
            "TURNUP_STOP_DELAY_SECONDS": "0",
            "TURNUP_METRICS_TOKEN": secrets.token_hex(32),
        }
        server = Instance(
            free_port(), environment(TURNUP_HOME=str(tmp_path / "home"), **settings), tmp_path / "server.log"
        )
        certificate = authority.certificate("127.0.0.1")
        try:
            server.start()
            server.wait()
            with (
                nginx(tmp_path, [server.port], port=port, certificate=certificate),
                httpx.Client(base_url=origin, verify=trusting(authority.ca_file), trust_env=False) as browser,
            ):
                sign_in(browser, subject)
                reader.browser = browser
                reader.follow(STEPS[IN_THE_BROWSER:AT_THE_PARTNER])
                reader.variables["SECRET"] = reader.values["turnup_..."]
                reader.follow(STEPS[AT_THE_PARTNER:])
        finally:
            server.kill()
    owner = f"postgresql://turnup_owner:{PASSWORDS['OWNER_PASSWORD']}@{own[DATABASE]}/turnup"
    for command in (("verify",), ("replay",)):
        ended = run("audit", *command, TURNUP_OWNER_DATABASE_URL=owner, TURNUP_HOME=str(tmp_path / "home"))
        assert (ended.returncode, ended.stderr) == (0, "")


def sign_in(browser: httpx.Client, subject: str) -> None:
    """Open GraphiQL as somebody whom the provider then asks for a name."""
    asked = browser.get("/auth/login", params={"next": "/graphiql"}, follow_redirects=True)
    came_back = browser.post(asked.url, data={"name": subject}, follow_redirects=True)
    assert came_back.url == browser.base_url.join("/graphiql")


def _settings_of_the_page() -> dict[str, str]:
    """The settings of production that the page gives, without the store of budgets, which is not here."""
    given = dict(line.split("=", 1) for line in block("sh", "TURNUP_ENV=production").splitlines())
    del given["TURNUP_REDIS_URL"]
    return given


def _subject_of_the_page() -> str:
    (command,) = re.findall(r"turnup user add .*", SECTION)
    words = shlex.split(command)
    return words[words.index("--subject") + 1]
