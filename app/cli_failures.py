"""What a command says when it fails: one line on standard error, without secrets and without a stack.

The exit status is 1; it is 130 after an interrupt, and 141, without a line, when the reader of the output has gone.
TURNUP_TRACEBACK=true prints the stack of an unexpected error as well.
"""

import io
import logging
import os
import re
import select
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import asyncpg
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from app.db.failures import CommitUnknown, DatabaseUnavailable, Overloaded, StatementTimeout
from app.secret_files import PREFIX, SUFFIX, UnusableSecretFile, secrets_of, variable_of
from app.settings import Settings
from app.telemetry import metrics
from app.telemetry.errors import start_error_tracking
from app.telemetry.metrics import count_unexpected_beside_workers
from app.version import VERSION

PACKAGES = ("app", "graphql_schema", "permissions", "resolvers")
"""The packages of this product. The message of an exception that they declare says what to do, and has no secret."""
DRIVER = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
MASK = "[masked]"
ALIKE = 0.7
"""How similar a name must be, from 0 to 1, to be taken for a misspelt one."""

_OTHER_VARIABLES = frozenset({
    metrics.RESTARTS_FILE,
    "TURNUP_URL", "TURNUP_TOKEN", "TURNUP_TOKEN_COMMAND",  # of the example poller
})  # fmt: skip
_OF_TESTS = re.compile(r"TURNUP_(TEST_\w+|CAMPAIGN|PICTURE)")


@contextmanager
def in_one_line(settings: Settings | None = None) -> Iterator[None]:
    """End the process with one line when the block raises an exception. Standard output is written at its end.

    SystemExit passes: its message is one line already. `settings` say whether to print the stack.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("turnup: interrupted\n")
        sys.exit(128 + signal.SIGINT)
    except Exception as error:  # noqa: BLE001 - whatever a command raises
        _fail(_first(error), settings)


@contextmanager
def errors_tracked(settings: Settings, command: str) -> Iterator[None]:
    """Report the unexpected exception that the block raises, and those that it logs, to the error tracker."""
    dsn = settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None
    loggers = logging.getLogger()
    if dsn is not None and logging.lastResort is not None and not loggers.handlers:
        loggers.addHandler(logging.lastResort)  # Python uses it only while there is no other handler
    counted = count_unexpected_beside_workers if command == "serve" else None
    tracking = start_error_tracking(dsn, service_version=VERSION, environment=settings.env.value, counted=counted)
    try:
        yield
    except Exception as error:
        if not lines_of(_first(error)):
            tracking.report(error, command=command)
        raise
    finally:
        tracking.shutdown()
        tracking.close()
        if logging.lastResort is not None:
            loggers.removeHandler(logging.lastResort)


@contextmanager
def system_change(after_lost_commit: str) -> Iterator[None]:
    """Exit with one line when the database does not carry out a change of the command line.

    `after_lost_commit` says what to do if it is unknown whether the change was committed.
    """
    try:
        yield
    except (Overloaded, StatementTimeout):
        sys.exit("turnup: the database is busy; nothing was changed, try again")
    except CommitUnknown:
        sys.exit(f"turnup: the connection was lost during the commit; {after_lost_commit}")
    except DatabaseUnavailable:
        sys.exit("turnup: TURNUP_OWNER_DATABASE_URL: the connection was lost or refused; nothing was changed")


def driver_error(error: BaseException) -> BaseException:
    """Return the exception of the database driver that SQLAlchemy wraps, or the exception itself."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return error
    return error.orig.__cause__ or error.orig


def lines_of(error: BaseException) -> list[str]:
    """Return what an expected exception says: one line, or one per setting that is wrong. Empty for an unexpected one.

    The message of an unexpected exception may contain secrets.
    """
    if isinstance(error, ValidationError):
        return list(_problems(error))
    if isinstance(error, UnusableSecretFile):
        return str(error).splitlines()
    cause = driver_error(error)
    said = one_line(str(cause))
    if isinstance(cause, DRIVER):
        return [f"the database: {said or type(cause).__name__}"]
    if isinstance(cause, TimeoutError) and not said:
        return ["the database, or another server, did not answer in time"]
    if isinstance(cause, OSError):
        return [_line_of_system(cause, said)]
    return [said] if type(cause).__module__.partition(".")[0] in PACKAGES else []


def _line_of_system(error: OSError, said: str) -> str:
    if isinstance(error, BrokenPipeError):
        return "the connection to the database, or to another server, was lost"
    parts = (error.filename, error.strerror) if error.strerror else (said or type(error).__name__,)
    return ": ".join(one_line(str(each)) for each in parts if each is not None)


def one_line(message: str) -> str:
    """Return a library's message as the end of one line."""
    return " ".join(message.removeprefix("Value error, ").split())


def unknown_variables(names: Iterable[str]) -> Iterator[str]:
    """Yield a line per variable that looks like a setting of this product and is none."""
    fields = Settings.model_fields.items()
    settings = {variable_of(name, field) for name, field in fields}
    files = {variable_of(name, field) + SUFFIX for name, field in secrets_of(Settings).items()}
    known = {each.removeprefix(PREFIX): each for each in settings | files}
    for name in sorted(names):
        if not name.startswith(PREFIX) or name in {*known.values(), *_OTHER_VARIABLES} or _OF_TESTS.fullmatch(name):
            continue
        near = get_close_matches(name.removeprefix(PREFIX), sorted(known), n=1, cutoff=ALIKE)
        hint = f"; did you mean {known[near[0]]}?" if near else ""
        yield f"turnup: {name if name.isprintable() else ascii(name)} is not a setting{hint}"


def _fail(error: BaseException, settings: Settings | None) -> NoReturn:
    is_unread = isinstance(error, BrokenPipeError) and _reader_has_gone()
    if isinstance(error, OSError):
        _drop_unwritten_output()
    if is_unread:
        sys.exit(128 + signal.SIGPIPE)
    if settings is not None and settings.traceback:
        sys.stderr.write(_masked("".join(traceback.format_exception(error)), settings))
    lines = lines_of(error)
    if not lines:
        said = _masked(one_line(str(error)), settings)
        where = "" if settings is not None and settings.traceback else "; TURNUP_TRACEBACK=true prints the stack"
        lines = [f"unexpected {type(error).__name__}{said and f': {said}'}{where}"]
    sys.exit("\n".join(f"turnup: {line}" for line in lines))


def _first(error: BaseException) -> BaseException:
    """Return the first exception of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reader_has_gone() -> bool:
    """Whether nobody reads standard output. A connection to a server can end with the same exception."""
    output = select.poll()
    with suppress(io.UnsupportedOperation):
        output.register(sys.stdout.fileno(), select.POLLOUT)
        return any(found & (select.POLLERR | select.POLLHUP) for _, found in output.poll(0))
    return False


def _drop_unwritten_output() -> None:
    """Drop what standard output does not take: Python would try again at the end of the process, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _masked(text: str, settings: Settings | None) -> str:
    """Return a text without the secrets of the settings, and without what is before the host of a URL."""
    for name in secrets_of(Settings):
        secret = getattr(settings, name, None)
        if secret is None:
            continue
        url = secret.get_secret_value()
        with suppress(ValueError):
            password = urlsplit(url).password or ""
            for each in filter(None, (url, password, unquote(password))):
                text = text.replace(each, MASK)
    return re.sub(r"://[^\s/@]+@", f"://{MASK}@", text)


def _problems(error: ValidationError) -> Iterator[str]:
    """Yield one line per problem of the settings."""
    for each in error.errors(include_input=False, include_url=False):
        for line in each["msg"].splitlines():
            yield f"{_setting_of(each['loc'])}{one_line(line)}"


def _setting_of(location: tuple[int | str, ...]) -> str:
    """Return the name of a setting's environment variable, for a message."""
    if not location:
        return ""
    name = str(location[0])
    variable = name if name.isupper() else f"{PREFIX}{name.upper()}"
    return f"{variable + SUFFIX if os.environ.get(variable + SUFFIX) else variable}: "
