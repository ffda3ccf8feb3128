"""Logging: JSON lines on standard error, or text in development, for this product, uvicorn and all libraries.

Each line has the request id and the trace id. Lines contain no personal data: values under sensitive keys and values
that look like personal data or secrets are masked, and an exception is logged with its type and stack, without its
message.
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TextIO
from urllib.parse import quote, unquote
from uuid import UUID

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from app.telemetry.tracing import trace_id

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

OWN_KEYS = frozenset({"exc_info", "level", "logger", "timestamp", "trace_id"})  # set by this module

_SENSITIVE_TEXT = (
    (re.compile(r"://[^\s/@]{1,256}@"), f"://{MASK}@"),
    (re.compile(r"\?[^\s\"'?]{0,256}=[^\s\"']*"), f"?{MASK}"),
    (re.compile(r"\b(bearer|basic) +[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), MASK),
    (re.compile(r"[\w.%+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), MASK),
    (re.compile(r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b|\b(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}\b", re.IGNORECASE), MASK),
    (re.compile(r"\+\d[\d ().-]{5,20}\d"), MASK),
)

_PRINTED_AS_TEXT = (str, date, Decimal, PurePath, UUID)


def start_logging(*, development: bool, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send the lines of all loggers, structlog's and the standard library's, to one handler; replaces earlier handlers.

    `stream` defaults to standard error. Start uvicorn with `log_config=None`: its own configuration would replace this
    one. Raises ValueError for an unknown level.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.ExtraAdder(),
        # The processors from here on add the keys in OWN_KEYS and overwrite a caller's.
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_trace,
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
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                masked,
                *(_for_people(colors=stream.isatty()) if development else _for_machines()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    access = logging.getLogger("uvicorn.access")
    access.filters[:] = [_access_without_query]


def masked(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: masks sensitive values, truncates long ones, shows other objects by their type."""
    return {key: value if key in OWN_KEYS else _plain(key, value, 0) for key, value in event.items()}


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


def _for_people(*, colors: bool) -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]


def _for_machines() -> list[Processor]:
    return [
        structlog.processors.ExceptionRenderer(stack_of),
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_json),
    ]


def _json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode()


def _with_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event.pop("trace_id", None)
    trace = trace_id()
    if trace is not None:
        event["trace_id"] = trace
    # uvicorn's copy of its message, coloured for terminals.
    event.pop("color_message", None)
    return event


def _access_without_query(record: logging.LogRecord) -> bool:
    """Remove personal data from uvicorn's access lines: the query string, the client's address, parts of the path."""
    if isinstance(record.args, tuple) and len(record.args) == 5:
        _client, method, target, _version, status = record.args
        record.msg, record.args = "request", ()
        path = str(target).partition("?")[0]
        if "%" in path:  # uvicorn encodes the characters by which personal data is recognized
            path = quote(_plain_text(unquote(path)), safe="/[]")
        record.__dict__.update(method=method, path=path, status=status)
    return True


def _plain(key: str, value: Any, depth: int) -> Any:  # noqa: PLR0911 - one line per type of value
    if _is_sensitive(key) and value is not None:
        return MASK
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return _plain(key, value.value, depth)
    if isinstance(value, _PRINTED_AS_TEXT):
        return _plain_text(str(value))
    if depth < DEEPEST and isinstance(value, Mapping):
        items = list(value.items())[:MOST_ITEMS]
        return {_plain_text(str(inner)): _plain(str(inner), each, depth + 1) for inner, each in items}
    if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_plain(key, each, depth + 1) for each in list(value)[:MOST_ITEMS]]
    return f"<{type(value).__qualname__}>"


def _is_sensitive(key: str) -> bool:
    bare = key.lower().replace("_", "").replace("-", "")
    return bare in SENSITIVE_KEYS or bare.endswith(SENSITIVE_ENDINGS)


def _plain_text(text: str) -> str:
    shown = text[: 2 * LONGEST_TEXT]
    for pattern, replacement in _SENSITIVE_TEXT:
        shown = pattern.sub(replacement, shown)
    return f"{shown[:LONGEST_TEXT]}…" if len(shown) > LONGEST_TEXT or len(text) > 2 * LONGEST_TEXT else shown
