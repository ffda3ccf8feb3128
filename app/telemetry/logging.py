"""Logging: JSON lines on standard error, or text for people, for this product, uvicorn and all libraries.

Each line has the instance that wrote it and, within a request, the request id, the trace id and the span id. Lines
contain no personal data: values under sensitive keys and values that look like personal data or secrets are masked, and
an exception is logged with its type and stack, without its message. A line is one line: characters that do not print
are written as escapes, so that nothing that a client sends begins a line, or is obeyed by a terminal.
"""

import logging
import re
import traceback
from collections.abc import Mapping
from copy import copy
from datetime import date
from decimal import Decimal
from enum import Enum
from errno import errorcode
from os import environ
from pathlib import PurePath
from socket import gethostname
from typing import Any, TextIO, TypeGuard
from uuid import UUID

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from app.telemetry.causes import name_of
from app.telemetry.current_ids import TRACE_IDS, current_ids
from app.telemetry.output import LineHandler, standard_error
from app.version import VERSION

SERVICE = "turnup"
"""The name of this service in log lines, metrics and traces."""
OWN_LOGGER = "turnup"
"""The logger of this product, which alone logs below INFO: libraries log headers and URLs there."""
SILENT_LOGGERS = ("opentelemetry.exporter", "redis", "sentry_sdk.errors", "urllib3")
"""The loggers of libraries that write messages of exceptions, URLs and answers of others into their texts.

The product writes a line of its own where one of them fails: `turnup.tracing`, `turnup.metrics`, `turnup.errors` or
`turnup.limiting`.
"""

MASK = "[masked]"
LONGEST_TEXT = 1_000  # characters
MOST_ITEMS = 20
DEEPEST = 4
MOST_FRAMES = 30
MOST_CAUSES = 5

SENSITIVE_KEYS = frozenset({
    "arguments", "body", "cookie", "document", "firstname", "fullname", "headers", "input", "lastname", "mac", "name",
    "params", "parameters", "password", "query", "querystring", "subject", "url", "username", "values", "variables",
})  # fmt: skip
SENSITIVE_ENDINGS = (
    "address", "apikey", "authorization", "cookie", "dsn", "email", "mac", "password", "phone", "secret", "token",
)  # fmt: skip

FIRST_KEYS = ("timestamp", "level", "service", "version", "instance", "message", "logger")
"""The keys with which each line of JSON begins, in this order."""
OWN_KEYS = frozenset(FIRST_KEYS) - {"message"} | {"exc_info", *TRACE_IDS}  # set by this module

VETTED = "vetted"
"""The attribute of a record with facts that need no masking, which takes most of the time of a line.

They are ids, numbers, names and codes of this product, and names in GraphQL documents, which have no characters by
which personal data is recognized.
"""

_SENSITIVE_TEXT = (
    (re.compile(r"://[^\s/@]{1,256}@"), f"://{MASK}@"),
    (re.compile(r"\?[^\s\"'?]{0,256}=[^\s\"']*"), f"?{MASK}"),
    (re.compile(r"\b(bearer|basic) +[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), MASK),
    (re.compile(r"[\w.%+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), MASK),
    (re.compile(r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b|\b(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}\b", re.IGNORECASE), MASK),
    (re.compile(r"\+\d[\d ().-]{5,20}\d"), MASK),
)

EVENT_LOOP = "asyncio"
"""The logger of event loops, which write the objects that an exception concerns into the text: a task with its
exception, a callback with its arguments."""
_OBJECTS = re.compile(r"\s*(?:<|\((?!\))).*|\n.*", re.DOTALL)

QUOTING = "opentelemetry."
"""How the loggers begin that write values of environment variables into their texts. These can be secrets."""
_VARIABLE = re.compile(r"OTEL_[A-Z0-9_]+")

_NUMBERS = range(-(2**63), 2**63)  # what every reader of JSON takes
_PRINTED_AS_TEXT = (str, date, Decimal, PurePath, UUID)


class Configuration(dict[str, Any]):
    """Values under names of settings: a number is shown, whatever the name says, and none is left out."""


def start_logging(
    *,
    development: bool,
    as_text: bool | None = None,
    level: str = "INFO",
    port: int | None = None,
    stream: TextIO | None = None,
) -> LineHandler:
    """Send the lines of all loggers, structlog's and the standard library's, to one handler; replaces earlier handlers.

    Lines are JSON unless `as_text`, whose default is `development`. Text in development has the messages of exceptions.
    `port` is the one of the server that logs, which names it beside the host; None for a command.

    `stream` defaults to standard error. Libraries log from WARNING on, uvicorn from INFO on. Start uvicorn with
    `log_config=None`: its own configuration would replace this one. Raises ValueError for an unknown level.
    """
    as_text = development if as_text is None else as_text
    instance = gethostname() if port is None else f"{gethostname()}:{port}"
    origin = {"service": SERVICE, "version": VERSION, "instance": instance}
    shared: list[Processor] = [
        structlog.stdlib.ExtraAdder(),
        # The processors from here on add the keys in OWN_KEYS and overwrite a caller's.
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _stamped,
        _With(origin),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    stream = stream or standard_error()
    handler = LineHandler(stream)
    handler.setFormatter(
        LineFormatter(
            as_text=as_text,
            messages=development and as_text,
            origin=origin,
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                masked,
                *(_for_people(stream, messages=development) if as_text else _for_machines()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.getLogger(OWN_LOGGER).setLevel(level)
    own = logging.getLogger(OWN_LOGGER).level
    for name in SILENT_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    root.setLevel(max(own, logging.WARNING))
    logging.getLogger("uvicorn").setLevel(max(own, logging.INFO))
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    return handler


class LineFormatter(structlog.stdlib.ProcessorFormatter):
    """Formats records as lines; one with vetted facts in a tenth of the time."""

    def __init__(self, *, as_text: bool, messages: bool, origin: Mapping[str, str], **options: Any) -> None:
        """`messages` is whether lines have the messages of exceptions, `origin` what the process adds to each line."""
        super().__init__(**options)
        self._as_text = as_text
        self._messages = messages
        self._origin = origin

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        facts = getattr(record, VETTED, None)
        if record.name.startswith(QUOTING):
            record = _without_values(record)
        if facts is None:
            return super().format(record if self._messages else _without_messages(record))
        if self._as_text:
            record = copy(record)
            del record.__dict__[VETTED]
            record.__dict__.update(facts)
            return super().format(record)
        return _json(_vetted(record, facts, self._origin))


def masked(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: masks sensitive values, truncates long ones, shows other objects by their type."""
    return {printable(key): value if key in OWN_KEYS else _plain(key, value, 0) for key, value in event.items()}


def stack_of(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """Return an exception and its causes as types and frames, newest first, without messages and variables."""
    error: BaseException | None = exc_info[1]
    stacks: list[dict[str, Any]] = []
    while error is not None and len(stacks) < MOST_CAUSES:
        frames = traceback.StackSummary.extract(
            traceback.walk_tb(error.__traceback__), limit=-MOST_FRAMES, lookup_lines=False
        )
        stacks.append(
            {
                "type": f"{type(error).__module__}.{type(error).__qualname__}",
                "stack": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return stacks


def _for_people(stream: TextIO | None, *, messages: bool) -> list[Processor]:
    is_terminal = stream is not None and stream.isatty()
    colors = is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    formatter = _write_traceback if messages else _write_stack
    return [
        _without_instance if messages else _without_service,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=formatter),
    ]


def _for_machines() -> list[Processor]:
    return [
        structlog.processors.ExceptionRenderer(stack_of),
        structlog.processors.EventRenamer("message"),
        _in_order,
        structlog.processors.JSONRenderer(serializer=_json),
    ]


def _without_service(_logger: Any, _method: str, event: EventDict) -> EventDict:
    del event["service"], event["version"]
    return event


def _without_instance(logger: Any, method: str, event: EventDict) -> EventDict:
    """Remove what is the same in all lines of the one server that somebody develops with."""
    del event["instance"]
    return _without_service(logger, method, event)


def _in_order(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {**{name: event.pop(name) for name in FIRST_KEYS}, **event}


def _write_traceback(to: TextIO, exc_info: ExcInfo) -> None:
    """Write an exception for people, indented: a message with line breaks begins no line of the log."""
    for line in "".join(traceback.format_exception(*exc_info)).splitlines():
        to.write(f"\n    {printable(line)}")


def _write_stack(to: TextIO, exc_info: ExcInfo) -> None:
    """Write an exception for people without its message."""
    for each in stack_of(exc_info):
        to.write(f"\n    {each['type']}")
        for frame in each["stack"]:
            to.write(f"\n      {frame}")


def _without_messages(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record whose text has no message of an exception. The exception that it is about is kept.

    An exception in the text is shown as its type, and the text of the event loop ends before its first object.
    """
    if record.name == EVENT_LOOP:
        record = copy(record)
        record.msg, record.args = _OBJECTS.sub("", record.getMessage()), ()
        return record
    arguments = record.args.values() if isinstance(record.args, Mapping) else record.args or ()
    if any(map(_has_message, (record.msg, *arguments))):
        record = copy(record)
        record.msg = _without_message(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {name: _without_message(each) for name, each in record.args.items()}
        else:
            record.args = tuple(map(_without_message, arguments))
    return record


def _has_message(value: object) -> TypeGuard[BaseException]:
    """Return whether a value is an exception that something raised: not a warning, whose text is for developers."""
    return isinstance(value, BaseException) and not isinstance(value, Warning)


def _without_message(value: object) -> Any:
    """Return the type of an exception, with the name of its error number if it has one; of anything else, itself."""
    if not _has_message(value):
        return value
    number = errorcode.get(value.errno or 0) if isinstance(value, OSError) else None
    return name_of(value) if number is None else f"{name_of(value)} {number}"


def _without_values(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record whose text has only numbers and names of variables in place of the values that it quotes."""
    record = copy(record)
    if isinstance(record.args, Mapping):
        record.args = {name: _number_or_name(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(map(_number_or_name, record.args))
    return record


def _number_or_name(value: object) -> object:
    is_name = isinstance(value, str) and _VARIABLE.fullmatch(value) is not None
    return value if is_name or isinstance(value, int | float) else MASK


def _json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode()


def _vetted(record: logging.LogRecord, facts: Mapping[str, Any], origin: Mapping[str, str]) -> EventDict:
    """Return the line of a record with vetted facts."""
    level = record.levelname.lower()
    event = {**origin, "level": level, "message": record.msg, "logger": record.name, **current_ids(), **facts}
    return _in_order(None, "", _stamped(None, "", event))


_stamped = structlog.processors.TimeStamper(fmt="iso", utc=True)


class _With:
    """A structlog processor: adds what the process adds to each line, and the current ids."""

    def __init__(self, origin: Mapping[str, str]) -> None:
        self._origin = origin

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        for name in TRACE_IDS:
            event.pop(name, None)
        # uvicorn's copy of its message, coloured for terminals.
        event.pop("color_message", None)
        return {**current_ids(), **event, **self._origin}


def _plain(key: str, value: Any, depth: int) -> Any:  # noqa: PLR0911 - one line per type of value
    if isinstance(value, Configuration):
        return {name: _plain("", each, depth + 1) for name, each in value.items()}
    if _is_sensitive(key) and value is not None:
        return MASK
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value in _NUMBERS else str(value)
    if isinstance(value, Enum):
        return _plain(key, value.value, depth)
    if isinstance(value, _PRINTED_AS_TEXT):
        return plain_text(str(value))
    if depth < DEEPEST and isinstance(value, Mapping):
        items = list(value.items())[:MOST_ITEMS]
        return {plain_text(str(inner)): _plain(str(inner), each, depth + 1) for inner, each in items}
    if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_plain(key, each, depth + 1) for each in list(value)[:MOST_ITEMS]]
    return f"<{type(value).__qualname__}>"


def _is_sensitive(key: str) -> bool:
    bare = key.lower().replace("_", "").replace("-", "")
    return bare in SENSITIVE_KEYS or bare.endswith(SENSITIVE_ENDINGS)


def plain_text(text: str) -> str:
    """Return a text as lines have it: shortened, masked where it looks like personal data or a secret, printable."""
    return printable(_masked_text(text))


def _masked_text(text: str) -> str:
    if len(text) <= LONGEST_TEXT and (text.isalnum() or text.isidentifier()):
        return text  # every pattern needs a character that is neither a letter nor a digit nor an underscore
    shown = text[: 2 * LONGEST_TEXT]
    for pattern, replacement in _SENSITIVE_TEXT:
        shown = pattern.sub(replacement, shown)
    return f"{shown[:LONGEST_TEXT]}…" if len(shown) > LONGEST_TEXT or len(text) > 2 * LONGEST_TEXT else shown


def printable(text: str) -> str:
    """Return a text with escapes for characters that do not print: control characters, line and direction marks."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
