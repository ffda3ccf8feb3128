"""Secrets in files: each setting that is a secret takes a variable with _FILE."""

import os
from pathlib import Path

import pytest

from app import cli
from app.secret_files import LARGEST_FILE, secrets_of, variable_of, variables_of_secrets
from app.settings import Settings
from tests.harness import TestDatabase

from .turnup import run

VALUES = {
    "DATABASE_URL": "postgresql://turnup_app:s3cret@db.example/turnup",
    "TURNUP_OWNER_DATABASE_URL": "postgresql://turnup_owner:s3cret@db.example/turnup",
    "TURNUP_OIDC_CLIENT_SECRET": "s3cret",
    "TURNUP_METRICS_TOKEN": "s3cret" * 8,
    "TURNUP_REDIS_URL": "rediss://:s3cret@limits.example",
    "SENTRY_DSN": "https://s3cret@sentry.example/1",
}
SIGN_IN = {
    "TURNUP_PUBLIC_URL": "https://turnup.example",
    "TURNUP_OIDC_ISSUER": "https://login.example",
    "TURNUP_OIDC_CLIENT_ID": "turnup",
}
"""The settings without which the secret of the client is refused."""
FIELDS = {variable_of(name, field): name for name, field in secrets_of(Settings).items()}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables_of_secrets(Settings):
        monkeypatch.delenv(name, raising=False)
    for name, value in SIGN_IN.items():
        monkeypatch.setenv(name, value)


def value_of(variable: str) -> str:
    found: str = getattr(Settings(), FIELDS[variable]).get_secret_value()
    return found


def last_words() -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(["token", "lead@turnup.example"])
    assert isinstance(ended.value.code, str)
    assert "s3cret" not in ended.value.code
    return ended.value.code


def test_every_secret_can_be_in_a_file() -> None:
    assert set(FIELDS) == set(VALUES)


@pytest.mark.parametrize("variable", VALUES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_secret_is_read_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, end: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(VALUES[variable].encode() + end.encode())
    monkeypatch.setenv(f"{variable}_FILE", str(file))
    assert value_of(variable) == VALUES[variable]
    monkeypatch.setenv(variable, "")  # an empty variable counts as not set
    assert value_of(variable) == VALUES[variable]
    monkeypatch.setenv(variable, VALUES[variable])
    monkeypatch.setenv(f"{variable}_FILE", "")
    assert value_of(variable) == VALUES[variable]


@pytest.mark.parametrize("variable", VALUES)
def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    file = tmp_path / "secret"
    file.write_text(VALUES[variable])
    monkeypatch.setenv(variable, VALUES[variable])
    monkeypatch.setenv(f"{variable}_FILE", str(file))
    assert last_words() == f"turnup: {variable} and {variable}_FILE are both set: unset one of them"


@pytest.mark.parametrize("variable", VALUES)
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "the file cannot be read: No such file or directory"),
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"\xff\xfe", "the file does not contain text in UTF-8"),
        (b"s3cret" * LARGEST_FILE, f"the file is larger than {LARGEST_FILE} bytes"),
        (b" https://s3cret.example", "it begins or ends with white space"),
        (b"https://s3cret.example\nsecond line", "it contains an invisible character"),
    ],
)
def test_a_file_without_a_secret_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: bytes | None, why: str
) -> None:
    file = tmp_path / "s3cret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(f"{variable}_FILE", str(file))
    assert last_words() == f"turnup: {variable}_FILE: {why}"


def test_a_folder_and_the_secret_itself_are_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path))
    monkeypatch.setenv("SENTRY_DSN_FILE", VALUES["SENTRY_DSN"])
    assert sorted(last_words().splitlines()) == [
        "turnup: DATABASE_URL_FILE: the file cannot be read: Is a directory",
        "turnup: SENTRY_DSN_FILE: the file cannot be read: No such file or directory",
    ]


def test_the_processes_of_a_server_need_no_file_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable, value in VALUES.items():
        file = tmp_path / variable
        file.write_text(f"{value}\n")
        monkeypatch.setenv(f"{variable}_FILE", str(file))
    settings = Settings()
    with pytest.MonkeyPatch.context() as patched:
        for variable in variables_of_secrets(Settings):
            patched.setenv(variable, os.environ.get(variable, ""))  # restored at the end
        cli._hand_down(settings, cli.Databases(VALUES["DATABASE_URL"], VALUES["TURNUP_OWNER_DATABASE_URL"]))
        for file in tmp_path.iterdir():
            file.unlink()
        of_a_worker = Settings()
        assert of_a_worker.owner_database_url is None
        assert of_a_worker.model_copy(update={"owner_database_url": settings.owner_database_url}) == settings


def test_a_command_reads_the_urls_of_both_roles_from_files(database: TestDatabase, tmp_path: Path) -> None:
    for role, url in (("app", database.app_url), ("owner", database.owner_url)):
        (tmp_path / role).write_text(f"{url}\n")
    ended = run(
        "migrate",
        "--check",
        DATABASE_URL_FILE=str(tmp_path / "app"),
        TURNUP_OWNER_DATABASE_URL_FILE=str(tmp_path / "owner"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("the database is at revision ")
