"""The connection to a collector of OTLP, which remembers why an export was not delivered, for one line of the log."""

import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from app.telemetry.bounded_http import BoundedAdapter

TELL_SECONDS = 60.0
"""Seconds between two lines about exports that are not delivered."""


class CollectorSession(requests.Session):
    """Sends the exports of one signal. The exporters' own lines quote URLs, exceptions and answers of the collector."""

    def __init__(self, signal: str, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`signal` is what is exported, such as spans."""
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, BoundedAdapter())
        self._signal = signal
        self._log = log
        self._clock = clock
        self._host: str | None = None
        self._reason = "not_sent"
        self._told_at: float | None = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request.

        Raises requests.RequestException, also for a redirect, which the exporters would take for a success, or
        urllib3.exceptions.HTTPError.
        """
        address = urlsplit(request.url or "")
        self._host = address.hostname if address.port is None else f"{address.hostname}:{address.port}"
        try:
            response = super().send(request, **options)
        except Exception as error:
            self._reason = type(error).__name__
            raise
        self._reason = f"status_{response.status_code}"
        if 300 <= response.status_code < 400:
            raise requests.HTTPError(self._reason, response=response)
        return response

    def tell(self) -> None:
        """Log that an export was not delivered, with the reason of the last attempt; once per TELL_SECONDS."""
        now = self._clock()
        if self._told_at is None or now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            facts = {"collector": self._host, "reason": self._reason}
            self._log.warning("%s are not delivered", self._signal, extra=facts)
