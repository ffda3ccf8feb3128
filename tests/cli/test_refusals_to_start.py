"""What the server refuses to start with: one line that names the variable, and exit status 1."""

import socket
from pathlib import Path
from typing import NoReturn

import pytest
from pydantic import ValidationError

from app import cli
from app.auth import development
from app.main import from_environment
from app.postgres import embedded
from app.settings import Settings, exposure

from .turnup import free_port, run

PRODUCTION = {
    "TURNUP_ENV": "production",
    "DATABASE_URL": "postgresql://turnup_app:s3cret@db.example/turnup",
    "TURNUP_JWKS_URL": "https://issuer.example/keys",
    "TURNUP_ISSUER": "https://issuer.example",
    "TURNUP_AUDIENCE": "https://turnup.example.com",
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
    ("TURNUP_CHANGED_OBJECTS", "ignore"),
    ("TURNUP_EXECUTOR", "fast"),
    ("TURNUP_GRAPHIQL", "perhaps"),
    ("TURNUP_TRUSTED_DOCUMENTS", "on"),
    ("TURNUP_TRUSTED_DOCUMENTS_GRAPHIQL", "leads"),
    ("TURNUP_CORS_ORIGINS", "*"),
    ("TURNUP_CORS_ORIGINS", "https://*.example.com"),
    ("TURNUP_CORS_ORIGINS", "https://app.example.com/"),
    ("TURNUP_CORS_ORIGINS", "app.example.com"),
    ("TURNUP_CORS_ORIGINS", "https://App.example.com"),
    ("TURNUP_CORS_ORIGINS", "https://app.example.com:443"),
    ("TURNUP_CORS_ORIGINS", "http://localhost:80"),
    ("TURNUP_CORS_ORIGINS", "https://app.example.com:port"),
    ("TURNUP_CORS_ORIGINS", "https://app.example.com?"),
    ("TURNUP_CORS_ORIGINS", "https://user:s3cret@app.example.com"),
    ("TURNUP_CORS_ORIGINS", "null"),
    ("TURNUP_CORS_ORIGINS", "https://"),
    *(
        ("TURNUP_CORS_HEADERS", names)
        for names in (
            "*",
            "x-client, *",
            "x client",
            "x-client:",
            "x-client\nx-other",
            "x-cliént",
            "Cookie",
            "x-client,Set-Cookie",
            "Sec-Fetch-Site",
            "proxy-authorization",
            "Host",
            "Origin",
            "Content-Length",
            "Access-Control-Request-Headers",
            "X-Forwarded-For",
            "X-Turnup-CSRF",
        )
    ),
    ("TURNUP_TRUSTED_PROXIES", "proxy"),
    ("TURNUP_TRUSTED_PROXIES", "10.0.0.1/8"),
    ("TURNUP_TRUSTED_PROXIES", "*"),
    ("TURNUP_TOKEN_TYPES", "id+jwt"),
    ("TURNUP_TOKEN_TYPES", "at+jwt,logout+jwt"),
    ("TURNUP_TOKEN_TYPES", "*"),
    ("TURNUP_TOKEN_TYPES", ","),
    ("TURNUP_TOKEN_TYPES", "at+jwt JWT"),
    ("TURNUP_METRICS_TOKEN", "s3cret"),
    ("TURNUP_METRICS_TOKEN", "s3cret-für-Prometheus"),
    ("TURNUP_METRICS_TOKEN", "s3cret for Prometheus"),
    ("TURNUP_METRICS_TOKEN", "=s3cret-for-Prometheus"),
    ("TURNUP_KEY_TTL", "0"),
    ("TURNUP_KEY_TTL", "9"),
    ("TURNUP_KEY_TTL", "86400"),
    ("TURNUP_KEY_TTL", "soon"),
    ("TURNUP_INSECURE_DEVELOPMENT", "perhaps"),
    ("SENTRY_DSN", "s3cret"),
    ("SENTRY_DSN", "https://sentry.example/1"),
    ("TURNUP_REDIS_URL", "http://limits.example"),
    ("TURNUP_REDIS_URL", "rediss://:s3cret@limits.example:port"),
    ("TURNUP_REDIS_URL", "rediss://limits.example?db=s3cret"),
    ("TURNUP_REDIS_URL", "rediss://limits.example?s3cret=1"),
    ("TURNUP_REDIS_URL", "redis://localhost?ssl_cert_reqs=none"),
    ("TURNUP_REDIS_URL", "redis://localhost?protocol=9"),
    ("TURNUP_REDIS_URL", "rediss://limits.example?ssl_cert_reqs=perhaps"),
    ("TURNUP_REDIS_URL", "unix:///run/redis.sock?host=limits.example"),
    *(
        (variable, value)
        for variable in (
            "DATABASE_URL",
            "TURNUP_OWNER_DATABASE_URL",
            "HOST",
            "TURNUP_JWKS_URL",
            "TURNUP_ISSUER",
            "TURNUP_AUDIENCE",
            "TURNUP_PUBLIC_URL",
            "TURNUP_OIDC_ISSUER",
            "TURNUP_OIDC_CLIENT_ID",
            "TURNUP_OIDC_CLIENT_SECRET",
            "TURNUP_OIDC_SCOPES",
            "TURNUP_REDIS_URL",
            "SENTRY_DSN",
        )
        for value in (
            *(" ", "\t\n", " https://s3cret.example", "https://s3cret.example ", "turnup\u00a0"),
            *("\u200b", "\ufeffhttps://s3cret.example", "https://s3cret\t.example", "https://s3cret.example\u2060"),
        )
    ),
    ("TURNUP_LIMIT_BODY_BYTES", "1"),
    ("TURNUP_LIMIT_DEADLINE_SECONDS", "0"),
    ("TURNUP_LIMIT_PRICE", "-1"),
    ("TURNUP_JWKS_URL", "http://issuer.example/keys"),
    ("TURNUP_JWKS_URL", "https://user:s3cret@issuer.example/keys"),
    ("TURNUP_JWKS_URL", "keys"),
    ("TURNUP_JWKS_CA_FILE", "/nowhere/authorities.pem"),
    *(
        ("TURNUP_PUBLIC_URL", value)
        for value in (
            *("turnup.example", "https://turnup.example/", "https://turnup.example:443", "https://", "https://["),
            *(f"https://turnup.example{path}" for path in ("/a/", "//a", "/a//b", "/../a", "/a%2fb", "/a b", "/a?b")),
            *("https://s3cret@turnup.example", "http://turnup.example", "http://10.0.0.5:8000", "ftp://turnup.example"),
            *("HTTPS://turnup.example", "https://turnup.example?a=s3cret", "http://localhost.example"),
        )
    ),
    *(
        ("TURNUP_OIDC_ISSUER", value)
        for value in (
            *("login.example", "http://login.example", "https://user:s3cret@login.example"),
            *("https://login.example?a=s3cret", "https://login.example/#s3cret"),
        )
    ),
    ("TURNUP_OIDC_SCOPES", "email profile"),
    ("TURNUP_SESSION_IDLE_SECONDS", "299"),
    ("TURNUP_SESSION_SECONDS", "31536000"),
]

# What is missing for browser sign-in: the variables that differ from a complete set, and the one that is named.
INCOMPLETE = [
    ({"TURNUP_PUBLIC_URL": ""}, "TURNUP_PUBLIC_URL"),
    ({"TURNUP_OIDC_ISSUER": ""}, "TURNUP_OIDC_ISSUER"),
    ({"TURNUP_OIDC_ISSUER": "", "TURNUP_ISSUER": "no URL"}, "TURNUP_OIDC_ISSUER"),
    ({"TURNUP_OIDC_CLIENT_ID": "", "TURNUP_OIDC_CLIENT_SECRET": ""}, "TURNUP_OIDC_ISSUER"),
    ({"TURNUP_OIDC_CLIENT_ID": "", "TURNUP_OIDC_ISSUER": ""}, "TURNUP_OIDC_CLIENT_SECRET"),
    ({"TURNUP_SESSION_IDLE_SECONDS": "7200", "TURNUP_SESSION_SECONDS": "3600"}, "TURNUP_SESSION_IDLE_SECONDS"),
]
SIGN_IN = {
    "TURNUP_PUBLIC_URL": "http://127.0.0.1:8000",
    "TURNUP_OIDC_ISSUER": "https://login.example",
    "TURNUP_OIDC_CLIENT_ID": "turnup",
    "TURNUP_OIDC_CLIENT_SECRET": "s3cret",
}

# What production refuses beside: the variables that differ from a good configuration, and the one that is named.
UNSAFE = [
    ({"TURNUP_JWKS_URL": ""}, "TURNUP_JWKS_URL"),
    ({"TURNUP_ISSUER": ""}, "TURNUP_ISSUER"),
    ({"TURNUP_ISSUER": development.ISSUER}, "TURNUP_ISSUER"),
    ({"TURNUP_ISSUER": f"{development.ISSUER}/"}, "TURNUP_ISSUER"),
    ({"TURNUP_ISSUER": development.ISSUER.upper()}, "TURNUP_ISSUER"),
    ({"TURNUP_AUDIENCE": "Turnup"}, "TURNUP_AUDIENCE"),
    ({"TURNUP_AUDIENCE": "turnup/"}, "TURNUP_AUDIENCE"),
    ({"TURNUP_AUDIENCE": ""}, "TURNUP_AUDIENCE"),
    ({"TURNUP_AUDIENCE": development.AUDIENCE}, "TURNUP_AUDIENCE"),
    ({"DATABASE_URL": ""}, "DATABASE_URL"),
    ({"TURNUP_WORKERS": "2"}, "TURNUP_REDIS_URL"),
    ({"TURNUP_OWNER_DATABASE_URL": PRODUCTION["DATABASE_URL"]}, "TURNUP_OWNER_DATABASE_URL"),
    ({"TURNUP_INSECURE_DEVELOPMENT": "true"}, "TURNUP_INSECURE_DEVELOPMENT"),
    ({"TURNUP_PUBLIC_URL": "http://127.0.0.1:8000"}, "TURNUP_PUBLIC_URL"),
    (
        {"TURNUP_PUBLIC_URL": "https://turnup.example.com", "TURNUP_OIDC_CLIENT_ID": "turnup"},
        "TURNUP_OIDC_CLIENT_SECRET",
    ),
    *(
        ({"TURNUP_TRUSTED_PROXIES": networks}, "TURNUP_TRUSTED_PROXIES")
        for networks in ("10.0.0.5, 0.0.0.0/0", "::/0", "128.0.0.0/1", "::ffff:0:0/96", "::ffff:0:0/97", "2000::/3")
    ),
    *(
        ({"TURNUP_REDIS_URL": url}, "TURNUP_REDIS_URL")
        for url in (
            "redis://limits.example",
            "redis://:s3cret@limits.example:6379/0",
            "redis://10.0.0.5",
            "redis://[2001:db8::1]",
            "redis://0.0.0.0",
            "redis://localhost.example",
            "redis://127.0.0.1.example",
            "redis://localhost@limits.example",
            "redis:///0?host=limits.example",
            "redis://?host=limits.example",
            "redis://limits.example?connection_class=SSLConnection",
            "rediss://:s3cret@limits.example?ssl_cert_reqs=none",
            "rediss://:s3cret@limits.example?ssl_check_hostname=false",
        )
    ),
    *(
        ({"TURNUP_CORS_ORIGINS": origins}, "TURNUP_CORS_ORIGINS")
        for origins in (
            "http://app.example.com",
            "https://app.example.com, http://app.example.com:8080",
            "http://10.0.0.5:3000",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://0.0.0.0:3000",
            "http://[2001:db8::1]",
        )
    ),
]


OURS = ("HOST", *PRODUCTION, *SIGN_IN, *{variable for variable, _ in WRONG}, *{variable for _, variable in UNSAFE})


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not refused would serve for ever."""

    def started(*_arguments: object, **_options: object) -> NoReturn:
        pytest.fail("the start was not refused")

    monkeypatch.setattr(embedded, "start", started)


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
    assert "s3cret" not in words


@pytest.mark.parametrize(("changes", "variable"), UNSAFE, ids=[f"{number}" for number in range(len(UNSAFE))])
def test_production_refuses_by_name_what_is_fit_for_development_only(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], variable: str
) -> None:
    set_all(monkeypatch, {**PRODUCTION, **changes})
    words = last_words("serve")
    assert words.startswith("turnup: ")
    assert variable in words
    assert "\n" not in words
    assert "s3cret" not in words


@pytest.mark.parametrize(("changes", "variable"), INCOMPLETE, ids=[f"{number}" for number in range(len(INCOMPLETE))])
def test_a_part_of_browser_sign_in_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], variable: str
) -> None:
    set_all(monkeypatch, {**SIGN_IN, **changes})
    words = last_words("serve")
    assert words.startswith(f"turnup: {variable} ")
    assert "\n" not in words
    assert "s3cret" not in words


def test_production_names_everything_that_it_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**PRODUCTION, "DATABASE_URL": "", "TURNUP_ISSUER": development.ISSUER, "TURNUP_WORKERS": "2"})
    set_all(monkeypatch, {"TURNUP_CORS_ORIGINS": "http://a.example,http://b.example"})
    lines = last_words("serve").splitlines()
    assert [line.split()[1].rstrip(":") for line in lines] == [
        "TURNUP_ISSUER",
        "DATABASE_URL",
        "TURNUP_WORKERS",
        "TURNUP_CORS_ORIGINS",
        "TURNUP_CORS_ORIGINS",
    ]
    assert all(line.startswith("turnup: ") for line in lines)


def test_production_does_not_reload_changed_code(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert last_words("serve", "--reload") == "turnup: --reload is refused in production"


@pytest.mark.parametrize("changes", [changes for changes, _ in UNSAFE], ids=[f"{n}" for n in range(len(UNSAFE))])
def test_a_worker_refuses_like_the_command_line(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    set_all(monkeypatch, {**PRODUCTION, **changes})
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "s3cret" not in str(refused.value)


def test_production_accepts_a_configuration_that_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert Settings().in_production


def test_production_accepts_several_workers_that_share_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**PRODUCTION, "TURNUP_WORKERS": "4", "TURNUP_REDIS_URL": "rediss://limits.example"})
    assert Settings().workers == 4


@pytest.mark.parametrize(
    "url",
    [
        "rediss://:s3cret@limits.example:6379/0",
        "rediss://limits.example?ssl_cert_reqs=required",
        "redis://127.0.0.1",
        "redis://localhost:6380/1",
        "redis://[::1]",
        "redis:///0",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_production_accepts_a_redis_that_nobody_can_listen_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    set_all(monkeypatch, {**PRODUCTION, "TURNUP_REDIS_URL": url})
    assert Settings().in_production


def test_production_accepts_origins_that_nobody_can_listen_to(monkeypatch: pytest.MonkeyPatch) -> None:
    origins = "https://app.example.com", "https://app.example.com:8443", "http://localhost:3000", "http://[::1]:3000"
    set_all(monkeypatch, {**PRODUCTION, "TURNUP_CORS_ORIGINS": ", ".join(origins)})
    assert Settings().origins == origins


def test_names_of_header_fields_are_listed_once_and_without_regard_to_case(monkeypatch: pytest.MonkeyPatch) -> None:
    names = " Apollographql-Client-Name,apollographql-client-version,apollographql-client-name, ,X-Date"
    set_all(monkeypatch, {**PRODUCTION, "TURNUP_CORS_HEADERS": names})
    assert Settings().cors_headers == ("apollographql-client-name", "apollographql-client-version", "x-date")


def test_production_trusts_the_proxies_of_private_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = "10.0.0.0/8, 203.0.113.7, fc00::/7, fe80::/10, ::ffff:192.168.0.0/112"
    set_all(monkeypatch, {**PRODUCTION, "TURNUP_TRUSTED_PROXIES": networks})
    assert [str(each) for each in Settings().trusted_proxies or ()] == [
        "10.0.0.0/8",
        "203.0.113.7/32",
        "fc00::/7",
        "fe80::/10",
        "192.168.0.0/16",
    ]


@pytest.mark.parametrize(
    ("value", "types"),
    [("JWT", ["JWT"]), ("AT+JWT, jwt", ["at+jwt", "JWT"]), ("jwt,at+jwt,JWT,", ["JWT", "at+jwt"]), ("", ["at+jwt"])],
)
def test_types_of_tokens_are_read_without_regard_to_case(
    monkeypatch: pytest.MonkeyPatch, value: str, types: list[str]
) -> None:
    set_all(monkeypatch, {**PRODUCTION, "TURNUP_TOKEN_TYPES": value})
    assert list(map(str, Settings().token_types)) == types


def test_production_listens_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**PRODUCTION, "HOST": "0.0.0.0"})
    assert exposure(Settings()) is None


# Where development mode listens

EXPOSED = ("0.0.0.0", "::", "0", "192.168.1.7", "10.0.0.1", "203.0.113.7", "2001:db8::1", "::ffff:0.0.0.0")


@pytest.mark.parametrize("host", EXPOSED)
def test_development_listens_on_no_address_that_other_machines_reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    set_all(monkeypatch, {"HOST": host, "PORT": str(free_port()), "TURNUP_HOME": str(tmp_path / "home")})
    words = last_words("serve")
    assert words.startswith("turnup: HOST: ")
    assert f"{host} is reachable from other machines" in words
    assert "TURNUP_INSECURE_DEVELOPMENT=true" in words
    assert "\n" not in words
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("host", EXPOSED)
def test_an_app_that_another_server_starts_refuses_as_well(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    set_all(monkeypatch, {"HOST": host})
    with pytest.raises(SystemExit, match="TURNUP_INSECURE_DEVELOPMENT"):
        from_environment()


@pytest.mark.parametrize("answers", [["192.168.1.7"], ["127.0.0.1", "192.168.1.7"], ["::1", "2001:db8::1"]])
def test_a_name_is_refused_if_any_of_its_addresses_is_reachable(
    monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (each, 0)) for each in answers])
    set_all(monkeypatch, {"HOST": "workstation.example"})
    assert "workstation.example is reachable" in str(exposure(Settings()))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9", "127.1", "::1", "::ffff:127.0.0.1"])
def test_development_listens_on_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    set_all(monkeypatch, {"HOST": host})
    assert exposure(Settings()) is None


@pytest.mark.parametrize("host", EXPOSED)
def test_who_accepts_the_risk_may_listen_anywhere(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    set_all(monkeypatch, {"HOST": host, "TURNUP_INSECURE_DEVELOPMENT": "true"})
    assert exposure(Settings()) is None


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 64, "x" * 300, "-", "127.0.0.1:8000", "[::1]", "fe80::1"])
def test_a_host_that_is_none_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    set_all(monkeypatch, {"HOST": host, "PORT": str(free_port())})
    words = last_words("serve")
    assert words.startswith("turnup: HOST: ")
    assert "\n" not in words


def test_production_shows_graphiql_to_nobody_unless_it_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert not Settings().shows_graphiql


def test_production_lets_no_browser_call_from_elsewhere_unless_it_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PRODUCTION)
    assert Settings().origins == ()


def test_settings_show_no_secret_when_they_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {**PRODUCTION, "SENTRY_DSN": "https://s3cret@sentry.example/1"})
    set_all(
        monkeypatch, {"TURNUP_REDIS_URL": "rediss://:s3cret@x", "TURNUP_OWNER_DATABASE_URL": "postgresql://o:s3cret@y"}
    )
    assert "s3cret" not in repr(Settings())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "not a URL such as postgresql://role:password@host/database"),
        ("postgresql://turnup_app:s3#cret@db.example/turnup", "not a URL such as"),
        ("postgresql://turnup_app:s3@cr/t@127.0.0.1:1/turnup", "not a URL such as"),
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
