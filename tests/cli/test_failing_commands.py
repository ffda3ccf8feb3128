"""Whatever a command fails with, it says so in one line, without a stack and without a secret."""

import argparse
import asyncio
import errno
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from app import cli
from app.cli_failures import in_one_line, unknown_variables
from app.db.failures import DatabaseUnavailable
from app.version import VERSION
from tests.harness import SUPERUSER_URL, TEMPLATE, TestDatabase, Turnup, own_database, with_database

from .turnup import CHECKOUT, environment, eventually, free_port, run

AUDITS = (("audit", "verify"), ("audit", "replay"), ("audit", "heads"), ("audit", "erase", "user-x", "--reason", "r"))
URL = "postgresql://role:s3cret@db.example/turnup"


def raised_by_a_command(error: BaseException) -> str | int | None:
    """How a command ends that raises an exception."""

    def fail(*_: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cli, "print_schema", fail)
        with pytest.raises(SystemExit) as ended:
            cli.main(["schema"])
    return ended.value.code


def wrapped_by_sqlalchemy(error: Exception) -> DBAPIError:
    translated = Exception("translated")
    translated.__cause__ = error
    return DBAPIError("SELECT 's3cret'", {"password": "s3cret"}, translated)


RAISED: dict[str, tuple[BaseException, str]] = {
    "a file": (FileNotFoundError(2, "No such file or directory", "/keys/a.pem"), "/keys/a.pem: No such file or"),
    "a full disk": (OSError(28, "No space left on device"), "No space left on device"),
    "several addresses": (OSError("Multiple exceptions: [Errno 111] one, [Errno 111] two"), "Multiple exceptions"),
    "a wait": (TimeoutError(), "the database, or another server, did not answer in time"),
    "a lost connection": (
        asyncpg.ConnectionDoesNotExistError("connection\nwas closed"),
        "the database: connection was",
    ),
    "a closed connection": (asyncpg.InterfaceError("connection is closed"), "the database: connection is closed"),
    "PostgreSQL's full disk": (asyncpg.DiskFullError("could not extend file"), "the database: could not extend file"),
    "SQLAlchemy": (wrapped_by_sqlalchemy(asyncpg.AdminShutdownError("terminating")), "the database: terminating"),
    "the product": (DatabaseUnavailable("the database\ncannot be reached"), "the database cannot be reached"),
    "a group": (ExceptionGroup("all", [ExceptionGroup("of", [OSError(28, "No space")])]), "No space"),
    "a defect": (KeyError("colour"), "unexpected KeyError: 'colour'; TURNUP_TRACEBACK=true prints the stack"),
    "a defect without a message": (RecursionError(), "unexpected RecursionError; TURNUP_TRACEBACK=true prints"),
    "a defect with a URL": (ValueError(f"invalid literal:\n{URL}"), "unexpected ValueError: invalid literal: postgres"),
}


@pytest.mark.parametrize("kind", RAISED)
def test_every_exception_is_told_in_one_line(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, line = RAISED[kind]
    said = raised_by_a_command(error)
    assert isinstance(said, str)
    assert said.startswith(f"turnup: {line}")
    assert "\n" not in said
    assert "s3cret" not in said
    assert capsys.readouterr().err == ""


def test_the_stack_is_printed_on_request_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TURNUP_TRACEBACK", "true")
    monkeypatch.setenv("DATABASE_URL", "postgresql://role:pa%40ss@db.example/turnup")
    said = raised_by_a_command(ValueError("role:pa@ss at db.example"))
    stack = capsys.readouterr().err
    assert stack.startswith("Traceback")
    assert "test_failing_commands.py" in stack
    assert said == "turnup: unexpected ValueError: role:[masked] at db.example"
    assert "pa@ss" not in stack


@pytest.mark.parametrize(
    "arguments", [("token", "lead@turnup.example"), ("audit", "heads"), ("migrate",), ("seed",), ("serve",)]
)
def test_a_home_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setenv("TURNUP_HOME", "/dev/null/home")
    monkeypatch.setenv("PORT", str(free_port()))
    said = last_words(*arguments)
    assert "/dev/null/home" in said
    assert "\n" not in said


def last_words(*arguments: str) -> str:
    handled = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
    assert isinstance(ended.value.code, str)
    assert ended.value.code.startswith("turnup: ")
    return ended.value.code


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"\xff\x00", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_contains_no_key_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(content)
    (tmp_path / "development-issuer.pem").write_bytes(content)
    (tmp_path / "heads").write_bytes(content)
    monkeypatch.setenv("TURNUP_HOME", str(tmp_path))
    for arguments in (
        ("token", "lead@turnup.example"),
        ("audit", "heads", "--key", str(key)),
        ("audit", "verify", "--heads", str(tmp_path / "heads"), "--key", str(key)),
    ):
        said = last_words(*arguments)
        assert str(tmp_path) in said
        assert "unexpected" not in said
        assert "\n" not in said


def test_the_key_of_signed_heads_is_named_when_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "heads").write_text("{}")
    said = last_words("audit", "verify", "--heads", str(tmp_path / "heads"), "--key", str(tmp_path / "none.pem"))
    assert said == f"turnup: {tmp_path / 'none.pem'}: No such file or directory"


def test_a_port_in_use_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        said = last_words("serve")
    assert said == f"turnup: PORT: cannot listen on 127.0.0.1:{port}: Address already in use; set PORT to another port"


# The output


def test_a_reader_that_goes_away_ends_a_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (("schema",), ("--help",), ("roles", "--sql")):
        ended = started(*arguments, stdout=writer)
        assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")
    os.close(writer)


@pytest.mark.parametrize("arguments", [("schema",), ("roles", "--sql"), ("--version",)])
def test_a_full_disk_is_told(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = started(*arguments, stdout=full.fileno())
    assert (ended.returncode, ended.stderr) == (1, "turnup: No space left on device\n")


def test_a_closed_output_is_told() -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f"exec {shlex.quote(sys.executable)} -m app.cli schema >&-"],
        env=environment(), cwd="/", stderr=subprocess.PIPE, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, "turnup: standard output is closed\n")


def started(*arguments: str, stdout: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env=environment(), cwd="/", stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_an_interrupt_during_the_imports_prints_no_stack() -> None:
    process = subprocess.Popen(  # whatever started the tests may ignore the signal, and a child inherits that
        ["env", "--default-signal=INT", sys.executable, "-m", "app.cli", "schema"],
        env=environment(), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # The schema is larger than the pipe, so the command does not end before it is interrupted.
    maps = Path(f"/proc/{process.pid}/maps")
    eventually(lambda: process.poll() is not None or "pydantic" in maps.read_text(), within=60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said in {"", "turnup: interrupted\n"}
    assert process.returncode in {-signal.SIGINT, 128 + signal.SIGINT}


# The database


@pytest.mark.parametrize("command", AUDITS)
async def test_a_database_that_is_not_migrated_is_told(
    turnup: Turnup, bare_database: TestDatabase, command: tuple[str, ...]
) -> None:
    ended = await turnup(bare_database, *command)
    assert ended.status == 1
    assert ended.error.startswith("turnup: the database is at revision none; the newest of this version is ")
    assert ended.error.endswith(": run turnup migrate")


@contextmanager
def losing_its_connections(database: TestDatabase) -> Iterator[None]:
    """Connections to this database are ended again and again."""
    ended = threading.Event()

    async def end_them() -> None:
        superuser = await asyncpg.connect(with_database(os.environ[SUPERUSER_URL], "postgres"))
        name = database.owner_url.partition("@/")[2].partition("?")[0]
        while not ended.is_set():
            await superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = $1 AND backend_start < clock_timestamp() - interval '30 ms'", name
            )  # fmt: skip
            await asyncio.sleep(0.001)
        await superuser.close()

    thread = threading.Thread(target=lambda: asyncio.run(end_them()))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_lost_connection_is_not_taken_for_a_reader_of_the_output_that_has_gone() -> None:
    with pytest.raises(SystemExit) as ended, in_one_line():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert ended.value.code == "turnup: the connection to the database, or to another server, was lost"


@pytest.mark.parametrize("command", [("migrate",), ("seed", "--locations", "20000"), *AUDITS])
async def test_a_database_that_goes_away_meanwhile_is_told(turnup: Turnup, command: tuple[str, ...]) -> None:
    async with own_database("template1" if command == ("migrate",) else TEMPLATE) as own:
        with losing_its_connections(own):
            ended = await turnup(own, *command)
    assert (ended.status, len(ended.error.splitlines())) in {(0, 0), (1, 1)}  # a command may be fast
    assert ended.error == "" or ended.error.startswith("turnup: ")
    assert "unexpected" not in ended.error


# Names of variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TURNUP_WORKER", "TURNUP_WORKERS"),
        ("TURNUP_PORT", "PORT"),
        ("TURNUP_DATABASE_URL", "DATABASE_URL"),
        ("TURNUP_OWNER_URL_FILE", "TURNUP_OWNER_DATABASE_URL_FILE"),
        ("TURNUP_TRUSTED_PROXY", "TURNUP_TRUSTED_PROXIES"),
        ("TURNUP_WORKERS_FILE", "TURNUP_WORKERS"),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest_name(name: str, meant: str) -> None:
    assert list(unknown_variables([name])) == [f"turnup: {name} is not a setting; did you mean {meant}?"]


def test_a_warning_shows_no_value_and_does_not_stop_the_command() -> None:
    ended = run("schema", TURNUP_PASSWORT="s3cret")
    assert ended.returncode == 0
    assert ended.stderr == "turnup: TURNUP_PASSWORT is not a setting\n"


def test_every_variable_of_the_checkout_is_known() -> None:
    folders = ("app", "bench", "deploy", "docs", "tests", "README.md", "Makefile")
    listed = subprocess.run(["git", "ls-files", *folders], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    names: set[str] = set()
    for path in listed.stdout.split():
        if path.endswith((".py", ".md", ".mjs", "Makefile")) and path != str(Path(__file__).relative_to(CHECKOUT)):
            names.update(re.findall(r"\bTURNUP_[A-Z_]*[A-Z]\b", (CHECKOUT / path).read_text()))
    assert len(names) > 40
    assert list(unknown_variables(names)) == []


# Versions


def parsers(root: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for action in root._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from parsers(inner, (*path, name))


@pytest.mark.parametrize("path", list(parsers(cli.parser())), ids=" ".join)
def test_every_command_prints_the_version(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*path, "--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"turnup {VERSION}\n")


@pytest.mark.parametrize("arguments", [(), ("serv",), ("migrate", "--now"), ("audit",), ("token",), ("migrate", "x")])
def test_wrong_usage_ends_with_status_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
