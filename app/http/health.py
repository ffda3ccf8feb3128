"""Health checks: liveness and readiness of the process."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

# Returns the state of each dependency of the server by name, True when it is available.
Checks = Callable[[], Awaitable[dict[str, bool]]]

LIVENESS, READINESS = "/healthz", "/readyz"
HEALTH_PATHS = frozenset({LIVENESS.encode(), READINESS.encode()})
"""The paths that are answered when there are too many connections."""


def health_routes(checks: Checks) -> list[BaseRoute]:
    """Return the routes of `/healthz`, always 200, and `/readyz`, 200 or, when a check fails, 503."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})

    async def readyz(_request: Request) -> Response:
        found = await checks()
        ready = all(found.values())
        body = {"status": "ready" if ready else "not ready", **found}
        return JSONResponse(body, 200 if ready else 503, {"Cache-Control": "no-store"})

    return [Route(LIVENESS, healthz), Route(READINESS, readyz)]
