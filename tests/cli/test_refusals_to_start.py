"""What the server refuses to start with: one line that names the variable, and exit status 1."""

import pytest
from pydantic import ValidationError

from app import cli
from app.settings import Settings

from .turnup import run

PRODUCTION = {
    "TURNUP_ENV": "production",
    "DATABASE_URL": "postgresql://turnup_app:s3cret@db.example/turnup",
    "TURNUP_JWKS_URL": "https://issuer.example/keys",
    "TURNUP_ISSUER": "https://issuer.example",
    "TURNUP_AUDIENCE": "turnup",
}

# Values that are wrong wherever the server runs: the variable, and what it must not be.
WRONG = [
    ("PORT", "http"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("TURNUP_ENV", "prod"),
    ("TURNUP_WORKERS", "0"),
    ("TURNUP_WORKERS", "many"),
    ("TURNUP_POOL_SIZE", "0"),
    ("TURNUP_SELF_APPROVAL", "yes"),
    ("TURNUP_EXECUTOR", "fast"),
    ("TURNUP_GRAPHIQL", "perhaps"),
    ("TURNUP_CORS_ORIGINS", "*"),
    ("TURNUP_CORS_ORIGINS", "https://*.example.com"),
    ("TURNUP_CORS_ORIGINS", "https://app.example.com/"),
    ("TURNUP_CORS_ORIGINS", "app.example.com"),
    ("TURNUP_LIMIT_BODY_BYTES", "1"),
    ("TURNUP_LIMIT_DEADLINE_SECONDS", "0"),
    ("TURNUP_LIMIT_PRICE", "-1"),
    ("TURNUP_JWKS_URL", "http://issuer.example/keys"),
    ("TURNUP_JWKS_URL", "https://user:s3cret@issuer.example/keys"),
    ("TURNUP_JWKS_URL", "keys"),
]

# What production refuses beside: the variables that differ from a good configuration, and the one that is named.
UNSAFE = [
    ({"TURNUP_JWKS_URL": ""}, "TURNUP_JWKS_URL"),
    ({"TURNUP_ISSUER": ""}, "TURNUP_ISSUER"),
    ({"TURNUP_AUDIENCE": ""}, "TURNUP_AUDIENCE"),
    ({"DATABASE_URL": ""}, "DATABASE_URL"),
    ({"TURNUP_WORKERS": "2"}, "TURNUP_REDIS_URL"),
    ({"TURNUP_OWNER_DATABASE_URL": PRODUCTION["DATABASE_URL"]}, "TURNUP_OWNER_DATABASE_URL"),
]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PRODUCTION, "TURNUP_OWNER_DATABASE_URL", "TURNUP_REDIS_URL", "TURNUP_WORKERS"):
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def last_words(*arguments: str) -> str:
    """What a command that ends with a mistake says about it on standard error; its exit status is 1 then."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert isinstance(ended.value.code, str)
    return ended.value.code


@pytest.mark.parametrize(("variable", "value"), WRONG)
def test_a_wrong_value_is_told_in_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    set_all(monkeypatch, {"HOST": "127.0.0.1", "PORT": "18999", variable: value})
    words = last_words("serve")
    assert words.startswith(f"turnup: {variable}: ")
    assert "\n" not in words


@pytest.mark.parametrize(("changes", "variable"), UNSAFE, ids=[variable for _, variable in UNSAFE])
def test_production_refuses_by_name_what_is_fit_for_development_only(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], variable: str
) -> None:
    set_all(monkeypatch, {**PRODUCTION, **changes})
    words = last_words("serve")
    assert words.startswith("turnup: ")
    assert variable in words
    assert "\n" not in words


def test_production_does_not_reload_changed_code(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert last_words("serve", "--reload") == "turnup: --reload is refused in production"


@pytest.mark.parametrize("changes", [changes for changes, _ in UNSAFE], ids=[variable for _, variable in UNSAFE])
def test_a_worker_refuses_like_the_command_line(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    set_all(monkeypatch, {**PRODUCTION, **changes})
    with pytest.raises(ValidationError):
        Settings()


def test_production_accepts_a_configuration_that_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert Settings().in_production


def test_production_accepts_several_workers_that_share_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**PRODUCTION, "TURNUP_WORKERS": "4", "TURNUP_REDIS_URL": "redis://limits.example"})
    assert Settings().workers == 4


def test_production_shows_graphiql_to_nobody_unless_it_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert not Settings().shows_graphiql


def test_production_lets_no_browser_call_from_elsewhere_unless_it_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert Settings().origins == ()


def test_settings_show_no_secret_when_they_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**PRODUCTION, "SENTRY_DSN": "https://s3cret@sentry.example/1"})
    set_all(
        monkeypatch, {"TURNUP_REDIS_URL": "redis://:s3cret@x", "TURNUP_OWNER_DATABASE_URL": "postgresql://o:s3cret@y"}
    )
    assert "s3cret" not in repr(Settings())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "not a URL such as postgresql://role:password@host/database"),
        ("postgresql://turnup_app:s3#cret@db.example/turnup", "not a URL such as"),
        ("postgresql://turnup_app:s3cret@127.0.0.1:1/turnup", "Connect call failed"),
    ],
)
@pytest.mark.parametrize("variable", ["DATABASE_URL", "TURNUP_OWNER_DATABASE_URL"])
def test_a_database_that_cannot_be_reached_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, reason: str
) -> None:
    set_all(monkeypatch, {variable: url})
    words = last_words("migrate")
    assert words.startswith(f"turnup: {variable}: ")
    assert reason in words
    assert "s3" not in words
    assert "\n" not in words


@pytest.mark.parametrize("command", ["serve"])
def test_a_mistake_ends_the_process_with_status_1_and_one_line(command: str) -> None:
    ended = run(command, TURNUP_POOL_SIZE="lots")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("turnup: TURNUP_POOL_SIZE: ")
    assert ended.stderr.count("\n") == 1


def test_demo_data_is_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert last_words("seed") == "turnup: demo data is refused in production"


def test_no_token_is_made_where_another_issuer_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {"TURNUP_JWKS_URL": PRODUCTION["TURNUP_JWKS_URL"]})
    assert "TURNUP_JWKS_URL" in last_words("token", "lead@turnup.example")
