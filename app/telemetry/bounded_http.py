"""HTTP to collectors of telemetry: each delivery is bounded in time and in what is read of the answer.

A delivery succeeds with a status of 2xx only. A redirect is not followed: it would send the data, and the key in the
header fields, to another address. The exporters of OTLP and the error tracker use connections of this module.
"""

import os
import socket
from contextvars import ContextVar
from io import BytesIO
from threading import Lock, Timer
from types import TracebackType
from typing import Any, TypeVar

from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

MOST_ANSWER_BYTES = 64 * 1024
"""Bytes of an answer's body. A longer one is not a collector's, and the delivery fails."""

Manager = TypeVar("Manager", bound=PoolManager)


def bounded(manager: Manager) -> Manager:
    """Make the deliveries of a pool manager bounded, each by the time that it or the manager is given; return it."""
    manager.pool_classes_by_scheme = {"http": BoundedPool, "https": BoundedTLSPool}
    return manager


class BoundedAdapter(HTTPAdapter):
    """Sends the requests of a session, each bounded by its timeout."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Create the connections."""
        super().init_poolmanager(*args, **options)
        bounded(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Return the connections to a proxy."""
        return bounded(super().proxy_manager_for(*args, **options))


class Deadline:
    """Shuts down the connections of a delivery when its time is over, so that whatever waits for them ends.

    A timeout of a socket begins anew with each byte: a collector that sends single bytes would never meet it.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self._timer = Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        """Begin the time."""
        self._timer.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """End the delivery."""
        self._timer.cancel()
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    def watch(self, connected: socket.socket) -> None:
        """Let the deadline apply to a connection."""
        # With a descriptor of its own: that of the connection may be closed, and be another's, when the time is over.
        with self._lock:
            self._sockets.append(socket.socket(fileno=os.dup(connected.fileno())))
            if self.passed:
                self._shut_down()

    def _pass(self) -> None:
        with self._lock:
            self.passed = True
            self._shut_down()

    def _shut_down(self) -> None:
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the collector has closed it


_deadline: ContextVar[Deadline] = ContextVar("deadline")


class WatchedConnection(HTTPConnection):
    """A connection to which the deadline of the delivery applies."""

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        _deadline.get().watch(connected)
        return connected

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request."""
        if not self.is_closed:  # it was opened by an earlier delivery
            _deadline.get().watch(self.sock)
        super().request(*args, **options)


class WatchedTLSConnection(WatchedConnection, HTTPSConnection):
    """The same with TLS."""


class BoundedPool(HTTPConnectionPool):
    """Connections to a collector."""

    ConnectionCls = WatchedConnection

    def urlopen(self, method: str, url: str, *args: Any, **options: Any) -> BaseHTTPResponse:
        """Send a request, and return the answer without its body.

        Raises urllib3.exceptions.HTTPError, of which ReadTimeoutError is one.
        """
        seconds = options.pop("timeout", self.timeout).connect_timeout
        with Deadline(seconds) as deadline:
            token = _deadline.set(deadline)
            try:
                response = super().urlopen(
                    method,
                    url,
                    *args,
                    **{**options, "timeout": Timeout(total=seconds), "redirect": False, "preload_content": False},
                )
                # Read, because a connection serves the next delivery only after the end of the answer.
                try:
                    length = len(response.read(MOST_ANSWER_BYTES + 1, decode_content=False))
                finally:
                    response.close()
                    response.release_conn()
            finally:
                _deadline.reset(token)
            if deadline.passed:
                raise ReadTimeoutError(self, url, f"the answer took longer than {seconds} s")
        if length > MOST_ANSWER_BYTES:
            raise HTTPError(f"the answer is longer than {MOST_ANSWER_BYTES} bytes")
        return HTTPResponse(
            BytesIO(),
            response.headers,
            response.status,
            reason=response.reason,
            preload_content=False,
            enforce_content_length=False,
        )


class BoundedTLSPool(BoundedPool, HTTPSConnectionPool):
    """The same with TLS."""

    ConnectionCls = WatchedTLSConnection
