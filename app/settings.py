"""Settings, read from environment variables once at start. An invalid value stops the start and is reported by name."""

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from sentry_sdk.utils import BadDsn, Dsn

from app.auth import development
from app.auth.keys import key_set_url, trusting
from app.http.loopback import is_loopback_host, listens_on_loopback_only
from app.http.proxies import unmapped
from app.limiting.stores import address_of
from app.secret_files import SecretFiles


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


class SelfApprovalPolicy(StrEnum):
    """The handling of leads who approve content that they submitted or edited themselves."""

    REFUSE = "refuse"
    ALLOW = "allow"


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
    cors_origins: Annotated[tuple[str, ...] | None, NoDecode] = None
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
    graphiql: bool | None = None
    traceback: bool = False
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
        "redis_url",
        "sentry_dsn",
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
            key_set_url(value)
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
    def _safe_in_production(self) -> "Settings":
        problems = production_problems(self)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def in_production(self) -> bool:
        """Whether the production defaults and checks apply."""
        return self.env is Environment.PRODUCTION

    @property
    def refuses_changed_objects(self) -> bool:
        """Whether a server does not start when objects of the database are not as the migrations make them."""
        if self.changed_objects is None:
            return self.in_production
        return self.changed_objects is ChangedObjectsPolicy.REFUSE

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
    def origins(self) -> tuple[str, ...]:
        """The origins from which browsers may call the API."""
        if self.cors_origins is not None:
            return self.cors_origins
        return () if self.in_production else self._local_origins()

    def _local_origins(self) -> tuple[str, ...]:
        """Return the origins of pages on this machine: of usual development servers, and of this server."""
        ports = sorted({*LOCAL_PORTS, self.port})
        return tuple(f"http://{host}:{port}" for host in LOCAL_HOSTS for port in ports)


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
    }
    unencrypted = [
        f"TURNUP_CORS_ORIGINS: {origin} is not encrypted: use https"
        for origin in settings.cors_origins or ()
        if origin.startswith("http://") and not is_loopback_host(urlsplit(origin).hostname or "")
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
