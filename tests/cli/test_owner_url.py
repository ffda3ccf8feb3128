"""TURNUP_OWNER_DATABASE_URL takes what DATABASE_URL takes, and what is wrong with either is said in one line."""

import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from app import cli
from app.db.migrate import newest_revision
from tests.harness import TestDatabase, Turnup, own_database

from .turnup import free_port

CHECK = ("migrate", "--check")
AUDITS = (("audit", "verify"), ("audit", "replay"), ("audit", "heads"))
USERS = (("user", "list"), ("user", "suspend", "user-lead"))
COMMANDS = (("migrate",), CHECK, ("seed",), *AUDITS, *USERS)
ERASE = ("audit", "erase", "person_1", "--reason", "asked")
VARIABLES = ("DATABASE_URL", "TURNUP_OWNER_DATABASE_URL")


@pytest.fixture(params=VARIABLES)
def variable(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def parts(url: str) -> tuple[str, str, str, str, str]:
    """The role, password, socket folder, port and database of a URL of the tests."""
    split = urlsplit(url)
    query = parse_qs(split.query)
    return (
        split.username or "",
        split.password or "",
        query["host"][0],
        query["port"][0],
        split.path.removeprefix("/"),
    )


def with_passfile(url: str, folder: Path) -> str:
    """The URL without its password, which is in a file."""
    role, password, host, port, database = parts(url)
    file = folder / f"{role}.pgpass"
    file.write_text(f"*:*:*:{role}:{password}\n")
    file.chmod(stat.S_IRUSR)
    return f"postgresql://{role}@/{database}?host={host}&port={port}&passfile={quote(str(file))}"


def with_several_hosts(url: str, folder: Path) -> str:
    """The first host has no server."""
    role, password, host, port, database = parts(url)
    return f"postgresql://{role}:{quote(password)}@/{database}?host={folder},{host}&port={port},{port}"


def with_role_in_query(url: str, _folder: Path) -> str:
    role, password, host, port, database = parts(url)
    return f"postgresql://?host={host}&port={port}&user={role}&password={quote(password)}&dbname={database}"


FORMS: dict[str, Callable[[str, Path], str]] = {
    "sslmode=disable": lambda url, _: f"{url}&sslmode=disable",
    "sslmode=prefer": lambda url, _: f"{url}&sslmode=prefer",
    "application_name": lambda url, _: f"{url}&application_name=rollout",
    "options": lambda url, _: f"{url}&options=-c%20search_path%3Dpublic",
    "target_session_attrs": lambda url, _: f"{url}&target_session_attrs=read-write",
    "postgres://": lambda url, _: url.replace("postgresql://", "postgres://"),
    "several hosts": with_several_hosts,
    "passfile": with_passfile,
    "role in the query": with_role_in_query,
}


@pytest.mark.parametrize("form", FORMS)
async def test_the_owner_migrates_and_verifies_with_every_form_of_url(
    turnup: Turnup, tmp_path: Path, form: str
) -> None:
    async with own_database("template1") as bare:
        urls = TestDatabase(FORMS[form](bare.app_url, tmp_path), FORMS[form](bare.owner_url, tmp_path))
        migrated = await turnup(urls, "migrate")
        assert (migrated.status, migrated.error) == (0, "")
        assert f"{newest_revision()} applied" in migrated.out
        for command in (CHECK, *AUDITS):
            ended = await turnup(urls, *command)
            assert (ended.status, ended.error) == (0, ""), command


SECRET = "s3cret"
WRONG = {
    "no URL": SECRET,
    "another database": f"mysql://role:{SECRET}@127.0.0.1/turnup",
    "no port": f"postgresql://role:{SECRET}@127.0.0.1:{SECRET}/turnup",
    "a port that is too large": f"postgresql://role:{SECRET}@127.0.0.1:99999/turnup",
    "no host before a comma": f"postgresql://role:{SECRET}@,127.0.0.1/turnup",
    "an at sign in the password": f"postgresql://role:{SECRET}@{SECRET}@127.0.0.1/turnup",
    "a slash in the password": f"postgresql://role:{SECRET}/{SECRET}@127.0.0.1/turnup",
    "a bracket": f"postgresql://role:{SECRET}@[::1/turnup",
    "half a parameter": f"postgresql://role:{SECRET}@127.0.0.1/turnup?{SECRET}",
    "nobody listens": f"postgresql://role:{SECRET}@127.0.0.1:{{port}}/turnup",
    "no such host": f"postgresql://role:{SECRET}@nowhere.invalid/turnup",
    "no such socket": f"postgresql://role:{SECRET}@/turnup?host=/nowhere",
    "sslmode": f"postgresql://role:{SECRET}@127.0.0.1/turnup?sslmode=perhaps",
    "no certificate": f"postgresql://role:{SECRET}@127.0.0.1/turnup?sslmode=verify-full&sslrootcert=/nowhere",
    "no client certificate": f"postgresql://role:{SECRET}@127.0.0.1/turnup?sslmode=require&sslcert=/nowhere",
    "TLS version": f"postgresql://role:{SECRET}@127.0.0.1/turnup?ssl_min_protocol_version=1",
    "session attributes": f"postgresql://role:{SECRET}@127.0.0.1/turnup?target_session_attrs=any-will-do",
    "GSS library": f"postgresql://role:{SECRET}@127.0.0.1/turnup?gsslib=none",
    "hosts and ports": f"postgresql://role:{SECRET}@127.0.0.1,127.0.0.2/turnup?port=1,2,3",
}
# Wrong on a server that answers.
REFUSED: dict[str, Callable[[str], str]] = {
    "password": lambda url: url.replace(parts(url)[1], SECRET),
    "database": lambda url: url.replace(f"/{parts(url)[4]}?", "/nowhere?"),
    "parameter": lambda url: f"{url}&sslmod=require",
    "options": lambda url: f"{url}&options=-c%20nothing%3D1",
    "standby": lambda url: f"{url}&target_session_attrs=standby",
}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNUP_HOME", str(tmp_path))


def last_words(arguments: tuple[str, ...]) -> str:
    """What a command that ends with a mistake says about it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PORT", str(free_port()))
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
    assert isinstance(ended.value.code, str)
    return ended.value.code


def in_one_line(words: str, variable: str, *secrets: str) -> None:
    assert words.startswith(f"turnup: {variable}: ")
    assert "\n" not in words
    assert [secret for secret in (SECRET, *secrets) if secret in words] == []


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_url_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, variable: str, fault: str) -> None:
    monkeypatch.setenv(variable, WRONG[fault].format(port=free_port()))
    for command in (*COMMANDS, ("serve",)):
        in_one_line(last_words(command), variable)


@pytest.mark.parametrize("fault", REFUSED)
def test_a_url_that_the_server_refuses_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, database: TestDatabase, variable: str, fault: str
) -> None:
    for name, url in zip(VARIABLES, (database.app_url, database.owner_url), strict=True):
        monkeypatch.setenv(name, REFUSED[fault](url) if name == variable else url)
    for command in (*COMMANDS, ("serve",)):
        in_one_line(last_words(command), variable, parts(database.owner_url)[1], parts(database.app_url)[1])


@pytest.mark.parametrize("command", [("migrate",), ("seed",), *AUDITS, *USERS, ERASE, ("serve",)])
def test_another_role_as_the_owner_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, database: TestDatabase, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    monkeypatch.setenv("TURNUP_OWNER_DATABASE_URL", f"{database.app_url}&application_name=owner")
    in_one_line(last_words(command), "TURNUP_OWNER_DATABASE_URL", parts(database.app_url)[1])
