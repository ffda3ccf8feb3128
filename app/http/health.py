"""Whether the process is alive, and whether it can serve."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

# What the server needs to serve, by name; each tells whether it is there.
Checks = Callable[[], Awaitable[dict[str, bool]]]


def health_routes(checks: Checks) -> list[BaseRoute]:
    """`/healthz` answers while the process runs; `/readyz` answers 200 when every check holds, else 503."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})

    async def readyz(_request: Request) -> Response:
        found = await checks()
        ready = all(found.values())
        body = {"status": "ready" if ready else "not ready", **found}
        return JSONResponse(body, 200 if ready else 503, {"Cache-Control": "no-store"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
