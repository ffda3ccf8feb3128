"""The commands of docs/operations.md, run in a shell as the page says, against a server, PostgreSQL and Redis."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.docs.pages import ROOT, page, shell_blocks
from tests.harness import LEAD, OTHER_CUSTOMER, SUPERUSER_URL, TestDatabase, own_database, with_database
from tests.limiting.redis_server import a_redis
from tests.needs import needs
from tests.outages.processes import a_stem
from tests.outages.proxy import Mode

from .play import DENIED, LOCATIONS, STEP, Server, Stage

# One worker starts the server for all tests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("runbook")]

PAGE = page("docs/operations.md")
BEFORE, *COMMANDS = [command for command, _ in shell_blocks(PAGE.partition("\n## Before you begin\n")[2])]
TRIAL = next(command for command, _ in shell_blocks(PAGE.partition("\n### Try it without nginx\n")[2]))
JOURNAL = """journalctl --unit 'turnup@*' --since "$1" --output cat"""
OPERATOR = "runbook_operator"
NGINX_LOG = '203.0.113.7 [2026-11-30T10:00:00+00:00] "POST /graphql" 503 120\n' * 2


@dataclass
class Shell:
    """A shell of an operator, after the block of the page. Paths and addresses are those of the test."""

    server: Server
    replaced: dict[str, str]

    async def run(self, command: str) -> str:
        """Run a command of the page, which must succeed; returns what it prints on standard output."""
        script = f"set -eo pipefail\n{BEFORE}\n{command}"
        for shown, here in self.replaced.items():
            script = script.replace(shown, here)
        ended = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", script],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    async def found(self, containing: str) -> str:
        """Run the only command of the page that contains a text."""
        (command,) = [each for each in COMMANDS if containing in each]
        return await self.run(command)


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[TestDatabase]:
    """A database of the module's own, with the demo data."""
    async with own_database() as database:
        yield database


@pytest.fixture(scope="module")
async def shell(database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    """A shell beside a server that lost Redis for a moment, refused a customer, and met a stranger."""
    for program in ("curl", "jq", "psql"):
        needs(program)
    folder = tmp_path_factory.mktemp("runbook")
    with a_stem(folder) as stem, a_redis() as redis:
        async with AsyncExitStack() as stack:
            stage = Stage(stem, database, redis, stack)
            await stage.open()
            server = await stage.server(TURNUP_REDIS_URL=stage.redis.url(redis.url))
            await server.ready()
            stage.redis.set(Mode.RESET)
            await server.send(STEP, OTHER_CUSTOMER)
            stage.redis.set(Mode.PASS)
            for _ in range(3):
                await server.ask(LOCATIONS, LEAD)
            await server.send(DENIED, OTHER_CUSTOMER)
            await server.send(LOCATIONS, "nobody@turnup.example")
            _write(folder / "environment", server.variables)
            _write(
                folder / "operator",
                {"TURNUP_OWNER_DATABASE_URL": database.owner_url, "TURNUP_HOME": str(folder / "home")},
            )
            (folder / "nginx.log").write_text(NGINX_LOG)
            replaced = {
                "/etc/turnup/": f"{folder}/",
                "/opt/turnup/": f"{ROOT}/",
                JOURNAL: f"cat {server.process.log}",
                "127.0.0.1:8001": server.target,
                "/var/log/nginx/turnup.log": str(folder / "nginx.log"),
                "/tmp/turnup-prometheus": str(folder / "prometheus"),
            }
            yield Shell(server, replaced)


def _write(file: Path, values: dict[str, str]) -> None:
    """Write settings as docs/deployment.md shows them."""
    file.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))


def test_the_page_has_the_paths_that_the_shell_replaces(shell: Shell) -> None:
    assert [shown for shown in shell.replaced if shown not in PAGE] == []


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
async def test_a_command_of_the_runbook_succeeds(shell: Shell, command: str) -> None:
    await shell.run(command)


async def test_the_configuration_for_a_server_without_nginx_scrapes_it_without_a_token(shell: Shell) -> None:
    assert Path(needs("prometheus")).with_name("promtool").exists()
    await shell.run(TRIAL)
    made = Path(shell.replaced["/tmp/turnup-prometheus"]) / "prometheus.yml"
    assert "scheme: http\n" in made.read_text()
    assert 'targets: ["127.0.0.1:8000"]' in made.read_text()


async def test_the_shell_has_the_whole_url_of_the_database(shell: Shell) -> None:
    assert "&" in shell.server.variables["DATABASE_URL"]
    assert (await shell.run('printf %s "$DATABASE_URL"')) == shell.server.variables["DATABASE_URL"]


async def test_an_outage_of_redis_has_a_line_that_names_it(shell: Shell) -> None:
    assert "Redis cannot be reached" in (await shell.found("turnup.limiting"))


async def test_the_user_with_the_most_requests_is_the_last_one(shell: Shell) -> None:
    assert (await shell.found(".user_id // empty")).splitlines()[-1].split()[1] == '"user-lead"'


async def test_the_address_with_the_most_refused_requests_is_the_last_one(shell: Shell) -> None:
    assert (await shell.found("awk ")).split() == ["2", "203.0.113.7"]


async def test_an_unknown_user_is_found_in_the_log(shell: Shell) -> None:
    assert [json.loads(line)["message"] for line in (await shell.found("unknown_user.refused")).splitlines()] == [
        "unknown_user.refused"
    ]


async def test_an_operator_ends_the_session_that_others_wait_for(shell: Shell, database: TestDatabase) -> None:
    name = database.app_url.partition("?")[0].rpartition("/")[2]
    superuser_url = with_database(os.environ[SUPERUSER_URL], name)
    entry = PAGE.partition("### TurnupPoolExhausted\n")[2]
    (statement, *_) = re.findall(r"^```sql\n(.*?)^```$", entry, re.MULTILINE | re.DOTALL)
    superuser, holder = [await asyncpg.connect(url) for url in (superuser_url, database.owner_url)]
    waiting = asyncio.ensure_future(_nothing())
    try:
        await superuser.execute(f"CREATE ROLE {OPERATOR} IN ROLE pg_monitor, pg_signal_backend")
        await superuser.execute(f"SET SESSION AUTHORIZATION {OPERATOR}")
        await holder.execute("BEGIN; SET LOCAL ROLE turnup_definer")
        await holder.execute("UPDATE turnup.location SET name = name WHERE id = 'location-7'")
        waiting = asyncio.ensure_future(shell.server.ask(STEP, OTHER_CUSTOMER))
        ended = holder.get_server_pid()
        async with asyncio.timeout(30):
            while [ended] not in [row["waits_for"] for row in await superuser.fetch(statement)]:  # noqa: ASYNC110 - a view
                await asyncio.sleep(0.05)
        (found,) = [row for row in await superuser.fetch(statement) if row["pid"] == ended]
        assert (found["usename"], found["state"], found["waits_for"]) == ("turnup_owner", "idle in transaction", [])
        assert await superuser.fetchval("SELECT pg_terminate_backend($1)", ended)
        await waiting
    finally:
        waiting.cancel()
        await superuser.execute(f"RESET SESSION AUTHORIZATION; DROP ROLE {OPERATOR}")
        for each in (superuser, holder):
            await each.close()


async def _nothing() -> None:
    """Do nothing."""
