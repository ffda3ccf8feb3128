"""Settings, read from environment variables once at start. An invalid value stops the start and is reported by name."""

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Environment(StrEnum):
    """The environment in which the server runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Executor(StrEnum):
    """The GraphQL executor."""

    BREADTH_FIRST = "breadth_first"
    REFERENCE = "reference"


class SelfApprovalPolicy(StrEnum):
    """The handling of leads who approve content that they submitted or edited themselves."""

    REFUSE = "refuse"
    ALLOW = "allow"


class Settings(BaseSettings):
    """All settings with their defaults. A variable's name is TURNUP_ and the field's name unless an alias is given."""

    model_config = SettingsConfigDict(env_prefix="TURNUP_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    owner_database_url: SecretStr | None = None
    home: Path = Path(".turnup")
    env: Environment = Environment.DEVELOPMENT
    host: str = Field("127.0.0.1", validation_alias="HOST")
    port: int = Field(8000, ge=1, le=65535, validation_alias="PORT")
    jwks_url: str | None = None
    issuer: str | None = None
    audience: str | None = None
    cors_origins: Annotated[tuple[str, ...] | None, NoDecode] = None
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...] | None, NoDecode] = None
    redis_url: SecretStr | None = None
    workers: int = Field(1, ge=1, le=64)
    pool_size: int = Field(10, ge=1, le=200)
    self_approval: SelfApprovalPolicy = SelfApprovalPolicy.REFUSE
    executor: Executor = Executor.BREADTH_FIRST
    sentry_dsn: SecretStr | None = Field(None, validation_alias="SENTRY_DSN")
    graphiql: bool | None = None
    limit_deadline_seconds: float = Field(15.0, gt=0, le=300)
    limit_body_bytes: int = Field(1024 * 1024, ge=1024, le=16 * 1024 * 1024)
    limit_price: int = Field(50_000, ge=1)
    # Rate limits per user per minute.
    limit_objects: int = Field(500_000, ge=1)
    limit_edits: int = Field(240, ge=1)
    limit_submits: int = Field(30, ge=1)
    limit_approvals: int = Field(120, ge=1)
    limit_payloads: int = Field(120, ge=1)
    limit_bulk_calls: int = Field(10, ge=1)
    limit_bulk_items: int = Field(500, ge=100)  # at least the largest bulk call
    limit_dry_runs: int = Field(500, ge=100)  # at least the largest bulk call

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Split a comma-separated list of origins; each is compared exactly and has no path."""
        if not isinstance(value, str):
            return value
        origins = tuple(each.strip() for each in value.split(",") if each.strip())
        for origin in origins:
            scheme, _, host = origin.partition("://")
            if scheme not in {"http", "https"} or not host or "/" in host or "*" in host:
                raise ValueError(f"{origin} is not an origin such as https://app.example.com")
        return origins

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        """Split a comma-separated list of addresses and networks, such as 10.0.0.5, 192.168.0.0/16."""
        return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _of_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(REDIS_SCHEMES):
            raise ValueError(f"it must begin with one of {', '.join(REDIS_SCHEMES)}")
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
        for problem in production_problems(self):
            raise ValueError(problem)
        return self

    @property
    def in_production(self) -> bool:
        """Whether the production defaults and checks apply."""
        return self.env is Environment.PRODUCTION

    @property
    def shows_graphiql(self) -> bool:
        """Whether /graphiql is served: in development unless switched off, in production only when switched on."""
        return not self.in_production if self.graphiql is None else self.graphiql

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins from which browsers may call the API."""
        if self.cors_origins is not None:
            return self.cors_origins
        return () if self.in_production else tuple(f"http://{host}:{p}" for host in LOCAL_HOSTS for p in LOCAL_PORTS)


REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
LOCAL_HOSTS = ("localhost", "127.0.0.1")
LOCAL_PORTS = (3000, 5173, 8000)


def production_problems(settings: Settings) -> list[str]:
    """Return the reasons why these settings must not run in production; empty in development."""
    if not settings.in_production:
        return []
    checks = {
        "TURNUP_JWKS_URL is missing: the development issuer is refused in production": settings.jwks_url is None,
        "TURNUP_ISSUER is missing": settings.issuer is None,
        "TURNUP_AUDIENCE is missing": settings.audience is None,
        "DATABASE_URL is missing: the embedded PostgreSQL is for development": settings.database_url is None,
        "TURNUP_WORKERS above 1 needs TURNUP_REDIS_URL: limits in memory are not shared": (
            settings.workers > 1 and settings.redis_url is None
        ),
        "DATABASE_URL and TURNUP_OWNER_DATABASE_URL are the same: the app must not own its tables": (
            settings.database_url is not None and settings.database_url == settings.owner_database_url
        ),
    }
    return [problem for problem, found in checks.items() if found]
