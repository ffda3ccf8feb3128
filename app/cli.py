"""The command line: serve | migrate | seed | token | schema | roles | audit | user | catalogue."""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupt during the imports prints no stack

import argparse
import asyncio
import multiprocessing
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import EACCES, EADDRINUSE
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import asyncpg
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette

from app import cli_audit, cli_catalogue, cli_user
from app.audit.objects import DatabaseChanged, changed_objects
from app.auth.development import AUDIENCE, DevelopmentIssuer
from app.cli_failures import DRIVER, driver_error, errors_tracked, in_one_line, one_line, unknown_variables
from app.db.connecting import CONNECT_SECONDS, app_options, check_bounds, check_owner, connect
from app.db.kind import OtherAccounts, check_not_production, kind_of, refuse_production, settle
from app.db.migrate import DatabaseIsNewer, Position, migrate, missing_sql, position
from app.db.safety import check_app_role
from app.db.seed import seed_many
from app.domain.events import (
    DATABASE_MIGRATED,
    DEMO_LOADED,
    LOCATIONS_LOADED,
    SERVER_CONFIGURED,
    TOKENS_WITHHELD,
)
from app.domain.installation import DatabaseKind
from app.domain.secrets import NewServiceToken
from app.domain.vocabulary import SystemAction
from app.http.connections import raise_descriptors
from app.http.protocol import HttpConnection
from app.main import DEMO_SIGN_INS, DEVELOPMENT_TOKEN_SECONDS, GRAPHIQL_DIST, from_environment
from app.operations.demo import load_demo, service_tokens_of_partners
from app.operations.event_log import emit, emit_by_system
from app.postgres import embedded
from app.postgres.roles import roles_sql
from app.progress import Progress
from app.secret_files import SUFFIX, secrets_of, variable_of, variables_of_secrets
from app.serving import STOP_SIGNALS, StopTimes, run
from app.settings import IN_A_PASSWORD, Settings, exposure, log_level_of, logs_json, shown
from app.telemetry import metrics
from app.telemetry.environment import configured, malformed
from app.telemetry.logging import Configuration, start_logging
from app.telemetry.output import exits_logged, take_over_output
from app.version import VERSION
from graphql_schema.evolution import newest_released, refused_changes
from graphql_schema.schema import printed

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "graphql_schema", "permissions", "resolvers")
SCHEMA_FILE = ROOT / "schema.graphql"
RELEASED_SCHEMAS = ROOT / "docs" / "released"
DATABASE = "turnup"
MOST_LOCATIONS = 1_000_000
NOT_A_URL = f"not a URL such as postgresql://role:password@host/database; {IN_A_PASSWORD}"
ABOUT_OPTIONS = ("root certificate", "`ssl", "direct TLS", "target_session_attrs", "Unsupported TLS", "No such TLS")
"""How the driver's messages about the options of a URL begin. Its other messages may quote a part of a password."""


@dataclass(frozen=True, slots=True)
class Databases:
    """The URLs of the database for its two roles; the owner's is needed only for migrations and seeds."""

    app: str | None
    owner: str | None
    embedded: bool = False


def main(arguments: list[str] | None = None) -> None:
    """Run one command. An error is reported in one line; the exit status is 2 for wrong usage, else 1."""
    if sys.stdout is None:
        sys.exit("turnup: standard output is closed")
    if sys.stderr is None:  # else a file or a connection would get the descriptor of standard error
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open until the process ends
    with in_one_line():
        options = parser().parse_args(arguments)
    with _output_of(options):
        with in_one_line():
            settings = Settings()
        for line in unknown_variables(os.environ):
            print(line, file=sys.stderr, flush=True)
        if options.run is serve:  # before the error tracker, which listens to what is logged
            start_logging(
                development=not settings.in_production,
                as_text=not settings.logs_json,
                level=settings.log_level.value,
                port=settings.port,
            )
        with in_one_line(settings), errors_tracked(settings, options.command):
            options.run(settings, options)


def _output_of(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Log the events of a command as JSON where a server logs JSON; of `serve`, log everything that it prints.

    The other commands print for people all the same. The settings may be wrong, and are not needed.
    """
    names = ("log_format", "env", "log_level")
    log_format, env, level = (os.environ.get(variable_of(name, Settings.model_fields[name])) for name in names)
    if not logs_json(log_format, env):
        return nullcontext()
    start_logging(development=False, level=log_level_of(level).value)
    if options.run is not serve:
        return nullcontext()
    take_over_output()
    return exits_logged()


class CommandParser(argparse.ArgumentParser):
    """A parser of a command or of its subcommands; each takes `--version`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_argument("--version", action="version", version=f"turnup {VERSION}", help="print the version")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and options."""
    root: argparse.ArgumentParser = CommandParser(prog="turnup", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="COMMAND", dest="command")
    serving = commands.add_parser("serve", help="serve the API; in development set up everything first")
    serving.add_argument("--reload", action="store_true", help="restart when Python code changes; development only")
    serving.set_defaults(run=serve)
    migrating = commands.add_parser("migrate", help="migrate the database to the newest revision")
    instead = migrating.add_mutually_exclusive_group()
    instead.add_argument("--check", action="store_true", help="change nothing; exit 1 listing what is missing")
    instead.add_argument("--sql", action="store_true", help="change nothing; print what is missing as a psql script")
    migrating.set_defaults(run=run_migrations)
    seed = commands.add_parser("seed", help="load the demo data into an empty database")
    seed.add_argument("--reset", action="store_true", help="delete everything first")
    seed.add_argument(
        "--accounts",
        type=int,
        metavar="N",
        help="the number of accounts that --reset deletes and that are no demo data",
    )
    seed.add_argument("--locations", type=_count, default=0, metavar="N", help="add N plain locations for load tests")
    seed.set_defaults(run=run_seed)
    token = commands.add_parser("token", help="print a development token")
    token.add_argument(
        "email", help="the user's subject, which is the address of a demo user, such as lead@turnup.example"
    )
    token.add_argument(
        "--service", action="store_true", help="the service token of a partner of the demo data, as a poller sends it"
    )
    token.set_defaults(run=print_token)
    schema = commands.add_parser("schema", help="print the GraphQL schema")
    schema.add_argument(
        "--check", action="store_true", help="fail when schema.graphql differs, or breaks clients of the newest release"
    )
    schema.set_defaults(run=print_schema)
    roles = commands.add_parser("roles", help="print the statements that create the database roles")
    roles.add_argument("--sql", action="store_true", required=True, help="as a script for psql")
    roles.set_defaults(run=print_roles)
    cli_audit.add_commands(commands, owner_database)
    cli_user.add_commands(commands, owner_database)
    cli_catalogue.add_commands(commands, owner_database)
    return root


def serve(settings: Settings, options: argparse.Namespace) -> None:
    """Serve until stopped; in development also start the database, load the demo data, build GraphiQL, print tokens.

    With `--reload` the server process is replaced when Python code changes. PostgreSQL keeps running, and new
    migrations are applied on the next start.
    """
    if options.reload and settings.in_production:
        sys.exit("turnup: --reload is refused in production")
    _check_address(settings)
    raise_descriptors()
    # uvicorn ends its process with the signal that stopped it; the database must be shut down before that.
    for stopping in STOP_SIGNALS:
        signal.signal(stopping, lambda *_: sys.exit(0))
    if settings.trusts_documents:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server handles it; it reads the files later
    with _restarts_counted() as restarted, databases(settings, restarted) as found:
        if found.owner is not None and not settings.in_production:
            with _as_owner(found):
                asyncio.run(_not_production(found))
        try:
            service_tokens = asyncio.run(_prepare(settings, found))
        except TimeoutError:
            sys.exit(f"turnup: the database did not answer within {CONNECT_SECONDS:.0f} s")
        _hand_down(settings, found)
        if settings.shows_graphiql and not settings.in_production:
            _build_graphiql(settings)
        _log_configuration(settings)
        _greet(settings, service_tokens)
        with _counting_together(settings):
            config = uvicorn.Config(
                "app.cli:app_of_worker",
                factory=True,
                host=settings.host,
                port=settings.port,
                workers=1 if options.reload else settings.workers,
                reload=options.reload,
                reload_dirs=[str(ROOT / package) for package in PACKAGES] if options.reload else None,
                http=HttpConnection,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                # uvicorn would believe every process on this machine; the app believes TURNUP_TRUSTED_PROXIES.
                proxy_headers=False,
                # A worker responds only after importing everything. On a busy machine that takes longer than uvicorn's
                # 5 s; the worker would then be replaced by another that takes as long.
                timeout_worker_healthcheck=60,
            )
            # A request that is accepted ends with its deadline; its answer takes a moment more.
            times = StopTimes(delay=settings.stop_delay, drain=settings.limit_deadline_seconds + 1)
            run(config, times, reloads=settings.trusts_documents)


@contextmanager
def _counting_together(settings: Settings) -> Iterator[None]:
    """Let several workers count in one folder, so that scraping any of them returns the sums of all."""
    if settings.workers == 1 or metrics.FOLDER in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="turnup-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[metrics.FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[metrics.FOLDER]


@contextmanager
def _restarts_counted() -> Iterator[Callable[[], None]]:
    """Yield a function that counts a restart of the embedded PostgreSQL in a file that the serving processes read."""
    with tempfile.NamedTemporaryFile(prefix="turnup-restarts-", buffering=0) as file:
        os.environ[metrics.RESTARTS_FILE] = file.name

        def restarted() -> None:
            file.write(b".")

        try:
            yield restarted
        finally:
            del os.environ[metrics.RESTARTS_FILE]


def app_of_worker() -> Starlette:
    """Return the app of a worker process; a worker exits cleanly when the server that started it has ended."""
    server = multiprocessing.parent_process()
    if server is not None:
        threading.Thread(target=_end_after, args=(server,), daemon=True).start()
    with in_one_line():
        settings = Settings()
        if settings.logs_json:
            start_logging(development=False, level=settings.log_level.value, port=settings.port)
            take_over_output()
        return from_environment()


def _end_after(server: BaseProcess) -> None:
    server.join()
    os.kill(os.getpid(), signal.SIGTERM)


def run_migrations(settings: Settings, options: argparse.Namespace) -> None:
    """Migrate the database to the newest revision; with `--check` or `--sql`, only say what is missing."""
    with databases(settings) as found, _as_owner(found):
        if options.check:
            _say_missing(asyncio.run(position(_either(found))))
        elif options.sql:
            sys.stdout.write(missing_sql(asyncio.run(position(_either(found)))))
        else:
            asyncio.run(_migrate(found))
            _say(str(asyncio.run(position(_owner(found)))))


def _say_missing(found: Position) -> None:
    """Print where the database is; exit with status 1 when migrations are missing."""
    _say(str(found))
    for migration in found.missing:
        _say(f"missing: {migration}")
    if found.missing:
        sys.exit(1)


def run_seed(settings: Settings, options: argparse.Namespace) -> None:
    """Load the demo data, or plain locations for load tests."""
    if settings.in_production:
        sys.exit("turnup: demo data is refused in production")
    with databases(settings) as found, _as_owner(found):
        owner, app = _owner(found), _app(found)
        asyncio.run(_not_production(found))
        asyncio.run(_migrate(found))
        load = partial(
            load_demo,
            owner,
            app,
            reset=options.reset,
            service_tokens=demo_service_tokens(settings),
            transaction_pooling=settings.transaction_pooling,
        )

        def loading(other_accounts: int | None) -> bool:
            with Progress("Loading the demo data"):
                return asyncio.run(load(other_accounts=other_accounts))

        try:
            loaded = loading(options.accounts)
        except OtherAccounts as refused:
            loaded = loading(_confirmed(refused))
        if loaded:
            emit_by_system(DEMO_LOADED, SystemAction.SEED_DEMO)
            print("Loaded the demo data.")
        elif not options.locations:
            print("The database already has data; --reset replaces it.")
        if options.locations:
            with Progress("Adding plain locations", "tables") as progress:
                asyncio.run(seed_many(owner, options.locations, report=progress.report))
            emit_by_system(LOCATIONS_LOADED, SystemAction.LOAD_UNAUDITED, count=options.locations)
            print(f"Added {options.locations} plain locations.")


def _confirmed(refused: OtherAccounts) -> int:
    """Ask at the terminal for the number of accounts that a reset deletes. Exits without one, or without a terminal."""
    print(f"{refused.listing}", file=sys.stderr)
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        sys.exit(
            f"turnup: {refused}: repeat with turnup seed --reset --accounts {refused.number}"
            f' (make reset ARGS="--accounts {refused.number}")'
        )
    try:
        answer = input(f"{refused}. To delete them, type their number: ".replace("a reset", "A reset", 1))
    except EOFError:
        answer = ""
    if answer.strip() != str(refused.number):
        sys.exit("turnup: nothing was deleted")
    return refused.number


def print_token(settings: Settings, options: argparse.Namespace) -> None:
    """Print a token of the development issuer for an email address, or with `--service` a demo partner's own token."""
    if not settings.signs_tokens:
        sys.exit("turnup: this command is for development only; get tokens from the issuer of TURNUP_JWKS_URL")
    if options.service:
        service_token = demo_service_tokens(settings).get(options.email)
        if service_token is None:
            sys.exit(f"turnup: {options.email} is no partner of the demo data; a lead makes the tokens of others")
        print(service_token.text, flush=True)
    else:
        print(development_token(settings, options.email), flush=True)
    if settings.database_url is not None or settings.owner_database_url is None:
        cli_user.warn_of_stranger(options.email, _existing_database(settings))


def print_schema(_settings: Settings, options: argparse.Namespace) -> None:
    """Print the schema, or with `--check` fail when schema.graphql differs or breaks clients of the newest release."""
    schema = printed()
    if not options.check:
        sys.stdout.write(schema)
        return
    if SCHEMA_FILE.read_text(encoding="utf-8") != schema:
        sys.exit("turnup: schema.graphql differs from the code; run make schema and review the difference")
    released = newest_released(RELEASED_SCHEMAS)
    if released is None:
        sys.exit("turnup: docs/released has no schema of a release, which the schema must not break")
    refused = refused_changes(released.read_text(encoding="utf-8"), schema, today=datetime.now(UTC).date())
    if refused:
        lines = [f"the schema would break clients of {released.stem}; see docs/evolution.md", *refused]
        sys.exit("turnup: " + "\n- ".join(lines))


def print_roles(_settings: Settings, _options: argparse.Namespace) -> None:
    """Print the script that a database administrator runs once on an external PostgreSQL."""
    print(roles_sql(None, None, DATABASE))


@contextmanager
def databases(settings: Settings, restarted: Callable[[], None] = lambda: None) -> Iterator[Databases]:
    """Yield the database's URLs: from the settings, or of the embedded PostgreSQL, which runs until the block ends.

    Each unexpected restart of the embedded PostgreSQL calls `restarted`, in another thread.
    """
    if settings.database_url is not None or settings.owner_database_url is not None:
        found = Databases(_plain(settings.database_url), _plain(settings.owner_database_url))
        if found.app is not None:
            options = app_options(found.app, transaction_pooling=settings.transaction_pooling)
            asyncio.run(_reached("DATABASE_URL", options))
        if found.owner is not None:
            asyncio.run(_reached("TURNUP_OWNER_DATABASE_URL", check_owner(found.owner)))
        yield found
        return
    if embedded.shares_user(settings.postgres_user):
        print(_SHARED_USER, file=sys.stderr, flush=True)
    with embedded.start(settings.home, user=settings.postgres_user, restarted=restarted) as postgres:
        cluster = postgres.cluster
        yield Databases(cluster.dsn("turnup_app", DATABASE), cluster.dsn("turnup_owner", DATABASE), embedded=True)


_SHARED_USER = (
    f"turnup: warning: PostgreSQL runs as {embedded.SHARED_USER}, as which other services may run: create a user with"
    f" useradd --system {embedded.OWN_USERS[0]}, or set {embedded.USER_VARIABLE}"
)


@contextmanager
def _existing_database(settings: Settings) -> Iterator[str | None]:
    """Yield the URL of the database for the app's role, or None if there is none: nothing is created."""
    if settings.database_url is not None:
        yield _plain(settings.database_url)
    elif not embedded.exists(settings.home):
        yield None
    else:
        with embedded.start(settings.home, user=settings.postgres_user) as postgres:
            yield postgres.cluster.dsn("turnup_app", DATABASE)


@contextmanager
def owner_database(settings: Settings) -> Iterator[str]:
    """Yield the URL of the database for the role that owns the tables. Exits with one line for its errors."""
    with databases(settings) as found, _as_owner(found):
        if found.embedded:
            asyncio.run(settle(_owner(found), embedded=True))  # before a command fills it
        yield _owner(found)


def development_token(settings: Settings, email: str) -> str:
    """Return a token that a development server with the same home accepts."""
    issuer = DevelopmentIssuer.load_or_create(settings.home)
    audience = settings.audience or AUDIENCE
    return issuer.issue(email, lifetime_seconds=DEVELOPMENT_TOKEN_SECONDS, now=time.time(), audience=audience)


def demo_service_tokens(settings: Settings) -> Mapping[str, NewServiceToken]:
    """Return the service tokens of the demo's partners by email address: they follow from the development issuer's key.

    There are none where another issuer signs the tokens.
    """
    if not settings.signs_tokens:
        return {}
    return service_tokens_of_partners(DevelopmentIssuer.load_or_create(settings.home).derived)


def _check_address(settings: Settings) -> None:
    """Exit with one line when the address cannot or must not be listened on, before anything is started."""
    exposed = exposure(settings)
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except UnicodeError:
            sys.exit("turnup: HOST: not the name or the address of a host")
        except OSError as error:
            variable = "PORT" if error.errno in {EACCES, EADDRINUSE} else "HOST"
            reasons = [f"cannot listen on {settings.host}:{settings.port}: {error.strerror}"]
            if error.errno == EADDRINUSE:
                reasons.append("set PORT to another port")
            if exposed is not None:
                reasons.append(exposed)
            sys.exit(f"turnup: {variable}: {'; '.join(reasons)}")
    if exposed is not None:
        sys.exit(f"turnup: HOST: {exposed}")


async def _reached(variable: str, attempt: Awaitable[object]) -> None:
    """Exit with one line when the database of a variable cannot be reached; the URL is not printed."""
    try:
        await attempt
    except TimeoutError:
        sys.exit(f"turnup: {variable}: the database did not answer within {CONNECT_SECONDS:.0f} s")
    except ssl.SSLCertVerificationError as error:
        sys.exit(f"turnup: {variable}: the server's certificate was refused: {one_line(error.verify_message)}")
    except (ValueError, ArithmeticError, LookupError) as error:  # the last two: a port above 65535, an empty host
        shown = str(error) if str(error).startswith(ABOUT_OPTIONS) else NOT_A_URL
        sys.exit(f"turnup: {variable}: {one_line(shown)}")
    except asyncpg.InvalidPasswordError as error:
        sys.exit(f"turnup: {variable}: {one_line(str(error))}; {IN_A_PASSWORD}")
    except asyncpg.TargetServerAttributeNotMatched:
        sys.exit(f"turnup: {variable}: no host has the target_session_attrs")
    except FileNotFoundError:
        sys.exit(f"turnup: {variable}: a file that the URL names does not exist: its socket, or one with certificates")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        sys.exit(f"turnup: {variable}: {one_line(str(error))}")


@contextmanager
def _as_owner(found: Databases) -> Iterator[None]:
    """Exit with one line when the owner's URL is another role's, or its database lacks migrations or is lost."""
    try:
        yield
    except TimeoutError:
        sys.exit(f"turnup: TURNUP_OWNER_DATABASE_URL: the database did not answer within {CONNECT_SECONDS:.0f} s")
    except Exception as error:
        cause = driver_error(error)
        if not isinstance(cause, DRIVER):
            raise
        why = None if isinstance(cause, asyncpg.InsufficientPrivilegeError) else _revision_problem(found, cause)
        sys.exit(f"turnup: {why or f'TURNUP_OWNER_DATABASE_URL: {one_line(str(cause))}'}")


def _revision_problem(found: Databases, cause: BaseException) -> str | None:
    """Return why a database lacks what a command asked it for: its revision is not the one of this code."""
    if found.owner is None or not isinstance(cause, asyncpg.SyntaxOrAccessError | asyncpg.InvalidSchemaNameError):
        return None
    with suppress(OSError, *DRIVER):
        there = asyncio.run(position(found.owner))
        if there.missing:
            return f"{there}: run turnup migrate"
        if there.is_newer:
            return str(there)
    return None


async def _prepare(settings: Settings, found: Databases) -> Mapping[str, NewServiceToken]:
    """Migrate and load the demo data where the owner's URL allows it; check that policies apply to the app's role.

    Returns the service tokens that the demo's partners have, by email address.
    """
    app = _app(found)
    pooling = settings.transaction_pooling
    newer = not await _migrated(found)
    await _checked(app, settings)
    if found.owner is None or settings.in_production or newer:
        return {}
    service_tokens = demo_service_tokens(settings)
    if await load_demo(found.owner, app, service_tokens=service_tokens, transaction_pooling=pooling):
        emit_by_system(DEMO_LOADED, SystemAction.SEED_DEMO)
    return service_tokens


async def _checked(url: str, settings: Settings) -> None:
    """Check that policies and bounds apply to the app's role, and that the database is for what it is served for.

    Also check that nobody changed what the migrations made. Raises TimeoutError after CONNECT_SECONDS.
    """
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = await connect(url, **await app_options(url, transaction_pooling=settings.transaction_pooling))
        try:
            await check_app_role(connection)
            await check_bounds(connection)
            kind = await kind_of(connection, as_production=settings.in_production)
            changed = await changed_objects(connection)
        finally:
            await connection.close(timeout=1)
    if not settings.in_production:
        refuse_production(kind)
    elif kind is DatabaseKind.DEMO:
        print(_DEMO_IN_PRODUCTION, file=sys.stderr, flush=True)
    if changed:
        _report(DatabaseChanged(changed), settings)


def _report(problem: DatabaseChanged, settings: Settings) -> None:
    if settings.refuses_changed_objects:
        raise problem
    print(f"turnup: warning: {problem}", file=sys.stderr, flush=True)


_DEMO_IN_PRODUCTION = (
    "turnup: warning: this database is a demo, which turnup seed --reset replaces, and the addresses of its leads are"
    " public; for production, create another database with turnup roles and turnup migrate"
)


async def _migrate(found: Databases) -> None:
    """Migrate as the owner, and mark a database that is older than its mark."""
    owner = _owner(found)
    with Progress("Migrating") as progress:
        applied = await migrate(owner, say=progress.say)
    if applied:
        emit_by_system(DATABASE_MIGRATED, SystemAction.MIGRATE, revision=applied[-1].revision)
    async with asyncio.timeout(CONNECT_SECONDS):
        await settle(owner, embedded=found.embedded)


async def _not_production(found: Databases) -> None:
    """Refuse a production database before it is changed in any way."""
    async with asyncio.timeout(CONNECT_SECONDS):
        await check_not_production(_owner(found), embedded=found.embedded)


async def _migrated(found: Databases) -> bool:
    """Migrate if the owner's URL is given. Returns False for a newer database, which is served as it is.

    A server of an older version must start during an upgrade, and when a release is taken back.
    """
    if found.owner is not None:
        with suppress(DatabaseIsNewer):
            await _migrate(found)
    async with asyncio.timeout(CONNECT_SECONDS):
        there = await position(_app(found))
    if there.is_newer or there.missing:
        way_out = "; run turnup migrate, /readyz returns 503 until then" if there.missing else ""
        print(f"turnup: {there}{way_out}", file=sys.stderr, flush=True)
    return not there.is_newer


def _hand_down(settings: Settings, found: Databases) -> None:
    """Pass the secrets to uvicorn's processes, which read the environment; remove the owner's credentials.

    All processes have the secrets with which the server started, also if the files have changed or are gone.
    """
    for name, field in secrets_of(Settings).items():
        secret = getattr(settings, name)
        if secret is not None:
            os.environ[variable_of(name, field)] = secret.get_secret_value()
        os.environ.pop(variable_of(name, field) + SUFFIX, None)
    os.environ["DATABASE_URL"] = _app(found)
    os.environ.pop("TURNUP_OWNER_DATABASE_URL", None)


def _log_configuration(settings: Settings) -> None:
    """Log the settings: in text, those that are set; in JSON, all. Warn of variables that are not understood."""
    values = shown(settings)
    if not settings.logs_json:
        named = {variable_of(name, Settings.model_fields[name]) for name in settings.model_fields_set}
        values = {variable: value for variable, value in values.items() if variable in named}
    emit(SERVER_CONFIGURED, settings=Configuration(values | configured(os.environ)))
    for name in malformed(os.environ):
        print(f"turnup: warning: {name} is not a list of name=value with commas between", file=sys.stderr, flush=True)


def _greet(settings: Settings, service_tokens: Mapping[str, NewServiceToken]) -> None:
    """Print the addresses and the development tokens. A log of JSON gets no tokens, and uvicorn logs the address."""
    if settings.logs_json:
        if settings.signs_tokens:
            emit(TOKENS_WITHHELD, command="turnup token EMAIL")
        return
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}"
    print(f"GraphQL  {address}/graphql", flush=True)
    if settings.shows_graphiql:
        print(f"GraphiQL {address}/graphiql", flush=True)
    if not settings.signs_tokens:
        return
    if settings.port != Settings.model_fields["port"].default:
        print(f"For the examples of the documentation: export PORT={settings.port}", flush=True)
    for label, email in DEMO_SIGN_INS.items():
        token = service_tokens[email].text if email in service_tokens else development_token(settings, email)
        print(f"{label:<8} {email:<26} {token}", flush=True)


def _build_graphiql(settings: Settings) -> None:
    """Build the GraphiQL page in the background; until it is ready the server explains its absence."""
    secrets = set(variables_of_secrets(Settings))
    if (GRAPHIQL_DIST / "index.html").exists():
        return
    build = subprocess.Popen(  # noqa: S603 - a script of this product, run by the same interpreter
        [sys.executable, str(ROOT / "deploy" / "graphiql.py")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if settings.logs_json else None,
        stdin=subprocess.DEVNULL,
        # npm and its scripts must not see secrets.
        env={name: value for name, value in os.environ.items() if name not in secrets},
        text=True,
    )
    if build.stderr is not None:
        threading.Thread(target=sys.stderr.writelines, args=(build.stderr,), daemon=True).start()


def _owner(found: Databases) -> str:
    if found.owner is None:
        sys.exit("turnup: TURNUP_OWNER_DATABASE_URL is required: the role that owns the tables")
    return found.owner


def _either(found: Databases) -> str:
    """The URL of either role; both may ask where the database is."""
    return found.owner or _app(found)


def _app(found: Databases) -> str:
    if found.app is None:
        sys.exit("turnup: DATABASE_URL is required in addition to TURNUP_OWNER_DATABASE_URL")
    return found.app


def _say(line: str) -> None:
    print(line, flush=True)


def _plain(url: SecretStr | None) -> str | None:
    return None if url is None else url.get_secret_value()


def _count(text: str) -> int:
    """Parse the number of rows to add."""
    try:
        count = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 1 <= count <= MOST_LOCATIONS:
        raise argparse.ArgumentTypeError(f"{count} is not between 1 and {MOST_LOCATIONS}")
    return count


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
