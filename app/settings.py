"""Settings, read from environment variables once at start. An invalid value stops the start and is reported by name."""

import os
import re
from contextlib import suppress
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from sentry_sdk.utils import BadDsn, Dsn

from app.auth import development
from app.auth.claims import TokenType
from app.auth.discovery import issuer_url
from app.auth.fetching import provider_url
from app.auth.keys import trusting
from app.http.loopback import is_loopback_host, listens_on_loopback_only
from app.http.proxies import unmapped
from app.http.request_fields import withheld
from app.http.sign_in_paths import LOGIN, is_path_prefix, split_public_url
from app.limiting.stores import address_of
from app.secret_files import SecretFiles, secrets_of, variable_of

HOUR, DAY = 3_600, 86_400  # seconds


class Environment(StrEnum):
    """The environment in which the server runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Executor(StrEnum):
    """The GraphQL executor."""

    BREADTH_FIRST = "breadth_first"
    REFERENCE = "reference"


class ChangedObjectsPolicy(StrEnum):
    """Reaction of a server that starts to triggers, policies, functions or grants that somebody changed."""

    REFUSE = "refuse"
    WARN = "warn"


class LogChoice(StrEnum):
    """A choice about the log, which its variable may name in any case."""

    @classmethod
    def _missing_(cls, value: object) -> "LogChoice | None":
        named = value.strip().casefold() if isinstance(value, str) else None
        return next((each for each in cls if each.casefold() == named), None)


class LogFormat(LogChoice):
    """How the lines of the log are written."""

    JSON = "json"
    TEXT = "text"


class LogLevel(LogChoice):
    """The lowest level of the lines that this product logs."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


USUAL_LEVEL = LogLevel.INFO


class SelfApprovalPolicy(StrEnum):
    """The handling of leads who approve content that they submitted or edited themselves."""

    REFUSE = "refuse"
    ALLOW = "allow"


class TrustedDocumentsPolicy(StrEnum):
    """The use of trusted documents."""

    OFF = "off"
    PREFER = "prefer"
    """Requests may name one by its hash, or send any text."""
    ONLY = "only"
    """Any other document is refused."""


class Settings(BaseSettings):
    """All settings with their defaults. A variable's name is TURNUP_ and the field's name unless an alias is given.

    A SecretStr can also be in a file, which the variable with _FILE names.
    """

    model_config = SettingsConfigDict(
        env_prefix="TURNUP_",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # a message would contain passwords
    )

    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    owner_database_url: SecretStr | None = None
    home: Path = Path(".turnup")
    postgres_user: str | None = None
    env: Environment = Environment.DEVELOPMENT
    insecure_development: bool = False
    host: str = Field("127.0.0.1", validation_alias="HOST")
    port: int = Field(8000, ge=1, le=65535, validation_alias="PORT")
    jwks_url: str | None = None
    jwks_ca_file: Path | None = None
    issuer: str | None = None
    audience: str | None = None
    token_types: Annotated[tuple[TokenType, ...], NoDecode] = (TokenType.AT_JWT,)
    key_ttl: float = Field(60.0, ge=10, le=3_600)  # seconds
    public_url: str | None = None
    oidc_issuer: str | None = None  # TURNUP_ISSUER
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_scopes: str = "openid email"
    session_idle_seconds: int = Field(8 * HOUR, ge=300, le=30 * DAY)  # uses are written up to minutes later
    session_seconds: int = Field(DAY, ge=300, le=30 * DAY)
    cors_origins: Annotated[tuple[str, ...] | None, NoDecode] = None
    cors_headers: Annotated[tuple[str, ...] | None, NoDecode] = None
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...] | None, NoDecode] = None
    redis_url: SecretStr | None = None
    workers: int = Field(1, ge=1, le=64)
    pool_size: int = Field(10, ge=1, le=200)
    transaction_pooling: bool = False
    limit_user_connections: int | None = Field(None, ge=1, le=200)  # half of the pool
    limit_location_connections: int | None = Field(None, ge=1, le=200)  # a fifth of the pool
    self_approval: SelfApprovalPolicy = SelfApprovalPolicy.REFUSE
    changed_objects: ChangedObjectsPolicy | None = None
    executor: Executor = Executor.BREADTH_FIRST
    sentry_dsn: SecretStr | None = Field(None, validation_alias="SENTRY_DSN")
    metrics_token: SecretStr | None = Field(None, min_length=16)
    graphiql: bool | None = None
    reference: bool | None = None
    trusted_documents: TrustedDocumentsPolicy = TrustedDocumentsPolicy.OFF
    trusted_documents_files: Annotated[tuple[Path, ...] | None, NoDecode] = None
    trusted_documents_graphiql: bool = True
    traceback: bool = False
    log_level: LogLevel = USUAL_LEVEL
    log_format: LogFormat | None = None  # JSON in production, text in development
    limit_deadline_seconds: float = Field(15.0, gt=0, le=300)
    stop_delay_seconds: float | None = Field(None, ge=0, le=300)
    limit_body_bytes: int = Field(1024 * 1024, ge=1024, le=16 * 1024 * 1024)
    limit_price: int = Field(50_000, ge=1)
    # Limits of requests and connections, per process.
    limit_requests: int | None = Field(None, ge=1, le=1_000)
    limit_request_burst: int = Field(256, ge=0, le=10_000)
    limit_connections: int = Field(1_000, ge=1, le=50_000)
    limit_connections_per_address: int = Field(200, ge=1, le=50_000)
    limit_header_seconds: float = Field(10.0, gt=0, le=300)
    limit_body_seconds: float = Field(30.0, gt=0, le=3_600)
    limit_write_seconds: float = Field(30.0, gt=0, le=3_600)
    keep_alive_seconds: float = Field(75.0, gt=0, le=3_600)
    limit_anonymous: int = Field(600, ge=1)  # requests without a valid token, per client address per minute
    # Rate limits per user per minute.
    limit_objects: int = Field(500_000, ge=1)
    limit_edits: int = Field(240, ge=1)
    limit_submits: int = Field(30, ge=1)
    limit_approvals: int = Field(120, ge=1)
    limit_payloads: int = Field(120, ge=1)
    limit_bulk_calls: int = Field(10, ge=1)
    limit_bulk_items: int = Field(500, ge=100)  # at least the largest bulk call
    limit_dry_runs: int = Field(500, ge=100)  # at least the largest bulk call

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there is no such file
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there is no such folder
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read values given in code, then the environment, then the files of secrets."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @field_validator(
        "database_url",
        "owner_database_url",
        "postgres_user",
        "host",
        "jwks_url",
        "issuer",
        "audience",
        "public_url",
        "oidc_issuer",
        "oidc_client_id",
        "oidc_client_secret",
        "oidc_scopes",
        "redis_url",
        "sentry_dsn",
        "metrics_token",
        mode="before",
    )
    @classmethod
    def _exact(cls, value: object) -> object:
        """Refuse white space around a text, which is compared or used exactly, and invisible characters in it."""
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and text != text.strip():
            raise ValueError("it is blank" if text.isspace() else "it begins or ends with white space")
        if isinstance(text, str) and not text.isprintable():
            raise ValueError("it contains an invisible character")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _of_bearer(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what the field `Authorization` cannot transport as a bearer token (RFC 6750)."""
        if value is not None and not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", value.get_secret_value()):
            raise ValueError("it has other characters than letters from A to Z, digits and - . _ ~ + /")
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Split a comma-separated list of origins; each is compared exactly and has no path."""
        if not isinstance(value, str):
            return value
        origins = tuple(each.strip() for each in value.split(",") if each.strip())
        for origin in origins:
            if origin != _as_browsers_send(origin):
                shown = origin.rpartition("@")[2]  # without credentials
                raise ValueError(f"{shown} is not an origin such as https://app.example.com")
        return origins

    @field_validator("cors_headers", mode="before")
    @classmethod
    def _of_pages(cls, value: object) -> object:
        """Split a comma-separated list of names of header fields, which are compared without regard to case."""
        if not isinstance(value, str):
            return value
        names = tuple(dict.fromkeys(each.strip().lower() for each in value.split(",") if each.strip()))
        for name in names:
            refusal = withheld(name)
            if refusal is not None:
                raise ValueError(f"{name!r} {refusal}")
        return names

    @field_validator("token_types", mode="before")
    @classmethod
    def _of_tokens(cls, value: object) -> object:
        """Split a comma-separated list of types, which are compared without regard to case."""
        if not isinstance(value, str):
            return value
        known = {each.lower(): each for each in TokenType}
        named = [each.strip().lower() for each in value.split(",") if each.strip()]
        if not named or not known.keys() >= set(named):
            raise ValueError(f"give one or more of {', '.join(TokenType)}, separated by commas")
        return tuple(dict.fromkeys(known[each] for each in named))

    @field_validator("trusted_documents_files", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        """Split a list of paths, separated as in PATH."""
        return tuple(Path(each) for each in value.split(os.pathsep) if each) if isinstance(value, str) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        """Split a comma-separated list of addresses and networks, such as 10.0.0.5, 192.168.0.0/16."""
        if not isinstance(value, str):
            return value
        try:
            return tuple(unmapped(ip_network(each.strip())) for each in value.split(",") if each.strip())
        except ValueError as error:
            raise ValueError(f"{error}: give addresses or networks such as 10.0.0.5, 192.168.0.0/16") from None

    @field_validator("jwks_url")
    @classmethod
    def _of_key_set(cls, value: str | None) -> str | None:
        if value is not None:
            provider_url(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _of_this_server(cls, value: str | None) -> str | None:
        origin, path = split_public_url(value or "")
        if value is not None and (origin != _as_browsers_send(origin) or not is_path_prefix(path)):
            raise ValueError(
                "it is not an origin such as https://turnup.example.com, or one with the path under which a proxy "
                "serves it, such as https://example.com/turnup"
            )
        if value is not None and not _is_encrypted(value):
            raise ValueError("it must use https, or http on a loopback address")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _of_provider(cls, value: str | None) -> str | None:
        if value is not None:
            issuer_url(value)
        return value

    @field_validator("oidc_scopes")
    @classmethod
    def _asks_for_an_id_token(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("it must contain openid")
        return value

    @field_validator("jwks_ca_file")
    @classmethod
    def _of_certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            trusting(value)
        return value

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _of_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and is_misread(value.get_secret_value()):
            raise ValueError(f"not a URL such as postgresql://role:password@host/database; {IN_A_PASSWORD}")
        return value

    @field_validator("redis_url")
    @classmethod
    def _of_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(REDIS_SCHEMES):
            raise ValueError(f"it must begin with one of {', '.join(REDIS_SCHEMES)}")
        if value is not None and is_misread(value.get_secret_value()):
            raise ValueError(f"not a URL such as rediss://:password@host:6379/0; {IN_A_PASSWORD}")
        if value is not None:
            address_of(value.get_secret_value())
        return value

    @field_validator("sentry_dsn")
    @classmethod
    def _of_sentry(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                Dsn(value.get_secret_value())
            except (BadDsn, ValueError):  # the latter for a port that is none, or half a bracket
                raise ValueError("it is not a DSN such as https://key@sentry.example/1") from None
        return value

    @model_validator(mode="after")
    def _reserves_the_highest_price(self) -> "Settings":
        if self.limit_objects < self.limit_price:
            raise ValueError(
                "TURNUP_LIMIT_OBJECTS is below TURNUP_LIMIT_PRICE: the most expensive queries would always be refused"
            )
        return self

    @model_validator(mode="after")
    def _complete_and_safe(self) -> "Settings":
        problems = sign_in_problems(self) + trusted_document_problems(self) + production_problems(self)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def in_production(self) -> bool:
        """Whether the production defaults and checks apply."""
        return self.env is Environment.PRODUCTION

    @property
    def logs_json(self) -> bool:
        """Whether the lines of the log, and all else that a server prints, are JSON."""
        return logs_json(self.log_format, self.env)

    @property
    def signs_tokens(self) -> bool:
        """Whether the development issuer signs the access tokens, which production refuses."""
        return self.jwks_url is None

    @property
    def configured_issuer(self) -> str:
        """The issuer of the tokens of users who have none of their own."""
        return self.issuer or development.ISSUER

    @property
    def refuses_changed_objects(self) -> bool:
        """Whether a server does not start when objects of the database are not as the migrations make them."""
        if self.changed_objects is None:
            return self.in_production
        return self.changed_objects is ChangedObjectsPolicy.REFUSE

    @property
    def trusts_documents(self) -> bool:
        """Whether there are trusted documents, which are loaded at the start and again at each SIGHUP."""
        return self.trusted_documents is not TrustedDocumentsPolicy.OFF

    @property
    def most_requests(self) -> int:
        """The maximum number of requests in progress per process."""
        return self.limit_requests or max(LEAST_REQUESTS, self.pool_size)

    @property
    def stop_delay(self) -> float:
        """The seconds in which a stopping server still accepts requests."""
        if self.stop_delay_seconds is not None:
            return self.stop_delay_seconds
        return PRODUCTION_STOP_DELAY if self.in_production else 0.0

    @property
    def shows_graphiql(self) -> bool:
        """Whether /graphiql is served: in development unless switched off, in production only when switched on."""
        return not self.in_production if self.graphiql is None else self.graphiql

    @property
    def shows_reference(self) -> bool:
        """Whether /reference and /schema.graphql are served, by the rule of /graphiql."""
        return not self.in_production if self.reference is None else self.reference

    @property
    def signs_in_browsers(self) -> bool:
        """Whether people sign in with their browsers at an identity provider."""
        return self.oidc_client_id is not None

    @property
    def sign_in_url(self) -> str | None:
        """The address at which people sign in with their browsers; None if they cannot."""
        return f"{self.public_url}{LOGIN}" if self.signs_in_browsers else None

    @property
    def provider_issuer(self) -> str | None:
        """The issuer of the identity provider at which people sign in."""
        return self.oidc_issuer or self.issuer

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies are for HTTPS alone; in development they can be for a loopback address."""
        return self.in_production or (self.public_url or "").startswith("https://")

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins from which browsers may call the API."""
        if self.cors_origins is not None:
            return self.cors_origins
        return () if self.in_production else self._local_origins()

    def _local_origins(self) -> tuple[str, ...]:
        """Return the origins of pages on this machine: of usual development servers, and of this server."""
        ports = sorted({*LOCAL_PORTS, self.port})
        return tuple(f"http://{host}:{port}" for host in LOCAL_HOSTS for port in ports)


def logs_json(log_format: str | None, env: str | None) -> bool:
    """Return whether a server prints JSON: if the format is not set, or does not exist, in production."""
    with suppress(ValueError):
        return LogFormat(log_format or "") is LogFormat.JSON
    return env == Environment.PRODUCTION


def log_level_of(variable: str | None) -> LogLevel:
    """Return the level that a variable names; the usual one if it names none."""
    with suppress(ValueError):
        return LogLevel(variable or "")
    return USUAL_LEVEL


def shown(settings: Settings) -> dict[str, object]:
    """Return the values of all settings by their variables; of a secret, only whether it is set."""
    secrets = secrets_of(Settings)
    values: dict[str, object] = {}
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name in secrets:
            value = None if value is None else "set"
        values[variable_of(name, field)] = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return values


LEAST_REQUESTS = 15
"""The default limit of requests in progress with a small pool: enough for a page that sends several at once."""
PRODUCTION_STOP_DELAY = 5.0  # seconds
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
LOCAL_HOSTS = ("localhost", "127.0.0.1")
LOCAL_PORTS = (3000, 5173)


IN_A_PASSWORD = "in a password, write / ? # @ % and [ as %2F %3F %23 %40 %25 and %5B"  # noqa: S105 - advice


def is_misread(url: str) -> bool:
    """Return whether a character of the password ends the password's part of a URL, so that the rest is misread."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False  # the driver refuses it
    query = [each for each in parts.query.split("&") if "=" not in each]
    if "@" not in parts.netloc:
        return any("@" in each for each in (parts.path, parts.fragment, *query))
    host_is_of_password = bool(parts.hostname) and any(
        "@" in each for each in (parts.path.rpartition("/")[0], parts.fragment, *query)
    )
    return parts.netloc.count("@") > 1 or host_is_of_password


def sign_in_problems(settings: Settings) -> list[str]:
    """Return what the settings of browser sign-in lack, or which have no effect; empty for none or a complete set."""
    if not settings.signs_in_browsers:
        without_effect = {
            "TURNUP_OIDC_ISSUER": settings.oidc_issuer,
            "TURNUP_OIDC_CLIENT_SECRET": settings.oidc_client_secret,
        }
        return [f"{name} needs TURNUP_OIDC_CLIENT_ID" for name, value in without_effect.items() if value is not None]
    checks = {
        "TURNUP_PUBLIC_URL is missing: the identity provider sends browsers back to it": settings.public_url is None,
        "TURNUP_OIDC_ISSUER is missing: its default, TURNUP_ISSUER, is not the URL of an identity provider": (
            not _is_issuer(settings.provider_issuer)
        ),
        "TURNUP_SESSION_IDLE_SECONDS is above TURNUP_SESSION_SECONDS": (
            settings.session_idle_seconds > settings.session_seconds
        ),
    }
    return [problem for problem, found in checks.items() if found]


def trusted_document_problems(settings: Settings) -> list[str]:
    """Return what the settings of trusted documents lack, or which have no effect."""
    if settings.trusts_documents and not settings.trusted_documents_files:
        return ["TURNUP_TRUSTED_DOCUMENTS_FILES is missing: TURNUP_TRUSTED_DOCUMENTS needs a manifest"]
    if settings.trusted_documents_files and not settings.trusts_documents:
        return ["TURNUP_TRUSTED_DOCUMENTS_FILES needs TURNUP_TRUSTED_DOCUMENTS to be prefer or only"]
    return []


def production_problems(settings: Settings) -> list[str]:
    """Return the reasons why these settings must not run in production; empty in development."""
    if not settings.in_production:
        return []
    checks = {
        "TURNUP_JWKS_URL is missing: the development issuer is refused in production": settings.jwks_url is None,
        "TURNUP_ISSUER is missing": settings.issuer is None,
        "TURNUP_ISSUER is the development issuer": _names(settings.issuer, development.ISSUER),
        "TURNUP_AUDIENCE is missing": settings.audience is None,
        "TURNUP_AUDIENCE is the audience of the development issuer": _names(settings.audience, development.AUDIENCE),
        "DATABASE_URL is missing: the embedded PostgreSQL is for development": settings.database_url is None,
        "TURNUP_WORKERS above 1 needs TURNUP_REDIS_URL: limits in memory are not shared": (
            settings.workers > 1 and settings.redis_url is None
        ),
        "DATABASE_URL and TURNUP_OWNER_DATABASE_URL are the same: the app must not own its tables": (
            settings.database_url is not None and settings.database_url == settings.owner_database_url
        ),
        "TURNUP_REDIS_URL: Redis on another machine needs TLS and a verified certificate: use rediss://": (
            settings.redis_url is not None and not _is_private(settings.redis_url.get_secret_value())
        ),
        "TURNUP_INSECURE_DEVELOPMENT is refused in production": settings.insecure_development,
        "TURNUP_PUBLIC_URL must use https in production": (settings.public_url or "").startswith("http://"),
        "TURNUP_OIDC_CLIENT_SECRET is missing": (settings.signs_in_browsers and settings.oidc_client_secret is None),
    }
    unencrypted = [
        f"TURNUP_CORS_ORIGINS: {origin} is not encrypted: use https"
        for origin in settings.cors_origins or ()
        if not _is_encrypted(origin)
    ]
    too_large = [
        f"TURNUP_TRUSTED_PROXIES: {network} is not a network of proxies: its clients could claim any address"
        for network in settings.trusted_proxies or ()
        if network.prefixlen < LARGEST_NETWORKS[network.version]
    ]
    return [problem for problem, found in checks.items() if found] + unencrypted + too_large


def exposure(settings: Settings) -> str | None:
    """Return why the server must not listen on its host, or None. A name is resolved.

    In development the server gives out tokens for its demo users, and runs on keys of the machine.
    """
    if settings.in_production or settings.insecure_development or listens_on_loopback_only(settings.host):
        return None
    return (
        f"{settings.host} is reachable from other machines, and development mode is insecure: "
        "use 127.0.0.1, set TURNUP_ENV=production, or accept the risk with TURNUP_INSECURE_DEVELOPMENT=true"
    )


def _as_browsers_send(origin: str) -> str | None:
    """Return an origin in the only form in which browsers send it, or None when the text is not a URL."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not HOST_NAME.fullmatch(parts.hostname):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in {None, DEFAULT_PORTS[parts.scheme]} else f":{port}")


def _is_issuer(url: str | None) -> bool:
    try:
        issuer_url(url or "")
    except ValueError:
        return False
    return True


def _is_encrypted(origin: str) -> bool:
    """Return whether nobody between a browser and an origin can read or change what they exchange."""
    return origin.startswith("https://") or is_loopback_host(urlsplit(origin).hostname or "")


def _names(value: str | None, known: str) -> bool:
    """Return whether a value is a known one, or a spelling of it that people take for the same."""
    return value is not None and value.casefold().rstrip("/") == known.casefold()


def _is_private(redis_url: str) -> bool:
    """Return whether nobody between this process and Redis can read or change what they exchange."""
    address = address_of(redis_url)
    return address.verified or address.host is None or is_loopback_host(address.host)


LARGEST_NETWORKS = {4: 8, 6: 7}
"""The shortest prefix of a trusted network, by IP version: that of the largest private networks, 10/8 and fc00::/7."""

HOST_NAME = re.compile(r"[a-z0-9._:-]+")
DEFAULT_PORTS = {"http": 80, "https": 443}
