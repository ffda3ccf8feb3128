"""Health checks: liveness and readiness of the process."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.http.refusals import RETRY_SECONDS, refusal_body

# Returns the state of each dependency of the server by name, True when it is available.
Checks = Callable[[], Awaitable[dict[str, bool]]]

LIVENESS, READINESS = "/healthz", "/readyz"
HEALTH_PATHS = frozenset({LIVENESS.encode(), READINESS.encode()})
"""The paths that are answered when there are too many connections."""
CHECKS_PER_SECOND = 10


class SharedChecks:
    """Runs one check at a time, and at most ten per second; further callers get the result of the last one.

    Anonymous callers can therefore hold no more than one database connection.
    """

    def __init__(self, checks: Checks, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds from an arbitrary start."""
        self._checks = checks
        self._clock = clock
        self._last: asyncio.Future[dict[str, bool]] | None = None
        self._second = 0
        self._begun = 0

    async def __call__(self) -> dict[str, bool]:
        """Return the states of the dependencies, at most a second old when a check takes no time."""
        if self._last is None or (self._last.done() and self._may_begin()):
            self._last = asyncio.ensure_future(self._checks())
        return await asyncio.shield(self._last)  # a cancelled caller must not cancel the check of the others

    def _may_begin(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._begun = second, 0
        self._begun += 1
        return self._begun <= CHECKS_PER_SECOND


def health_routes(checks: SharedChecks, stopping: Callable[[], bool] = lambda: False) -> list[BaseRoute]:
    """Return the routes of `/healthz`, always 200, and `/readyz`, 200 or 503 with a code.

    `/readyz` says 503 when a check fails, and at once when the server is `stopping`.
    """

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})

    async def readyz(request: Request) -> Response:
        found = {} if stopping() else await checks()
        failed = ", ".join(name for name, available in found.items() if not available)
        reason = "it is stopping" if stopping() else failed and f"failed checks: {failed}"
        if not reason:
            return JSONResponse({"status": "ready", **found}, headers={"Cache-Control": "no-store"})
        refusal = refusal_body("UNAVAILABLE", f"The server is not ready: {reason}.", request.state.request_id)
        headers = {"Cache-Control": "no-store", "Retry-After": str(RETRY_SECONDS)}
        return JSONResponse({"status": "not ready", **found, **refusal}, 503, headers)

    return [Route(LIVENESS, healthz), Route(READINESS, readyz)]
