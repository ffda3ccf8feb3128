"""The ids of the current request and its current span, for lines of the log and for error reports.

Python copies the context of a request to every task and every timer that begins in it, also to one that goes on after
the request, such as the maintenance of a connection pool. What these do later belongs to no request: the end of a
request takes its ids out of all copies.
"""

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

TRACE_IDS = ("trace_id", "span_id")


class BoundRequest:
    """The ids of a request, which everything that begins within the block has until the block ends."""

    __slots__ = ("_ids", "_token")

    def __init__(self, ids: Mapping[str, str]) -> None:
        self._ids: Mapping[str, str] | None = ids
        self._token: Token[BoundRequest | None]

    def __enter__(self) -> None:
        """Begin the request."""
        self._token = _current.set(self)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """End the request, also for what goes on."""
        self._ids = None
        _current.reset(self._token)

    @property
    def ids(self) -> Mapping[str, str] | None:
        """The ids; None after the end."""
        return self._ids


_current: ContextVar[BoundRequest | None] = ContextVar("request", default=None)


def bind_request(request_id: str, client_request_id: str | None = None) -> BoundRequest:
    """Return a block in which `current_ids` has the id of a request, and the one that its client sent.

    The client's must be masked: error reports and lines have it as it is.
    """
    ids = {"request_id": request_id}
    return BoundRequest(ids if client_request_id is None else ids | {"client_request_id": client_request_id})


def current_ids() -> dict[str, str]:
    """Return the ids of the request, the trace and the span, as far as there are any; none after the request's end."""
    request = _current.get()
    ids: dict[str, str] = {}
    if request is not None:
        if request.ids is None:
            return ids
        ids.update(request.ids)
    span = get_current_span().get_span_context()
    if span.is_valid:
        ids["trace_id"], ids["span_id"] = format_trace_id(span.trace_id), format_span_id(span.span_id)
    return ids
