"""Servers whose application fails to start or to end, in processes of their own: `python -m tests.cli.ailing KIND N`.

N is the number of workers, and PORT and FOLDER are in the environment.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from app.http.protocol import HttpConnection
from app.serving import StopTimes, run

logging.basicConfig(level=logging.INFO)  # in the workers as well

TIMES = StopTimes(delay=0, drain=1)


def exits() -> Starlette:
    sys.exit("turnup: HOST: not this one")


def dies() -> Starlette:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def refused() -> Starlette:
    return at_start(lambda: _raise(ConnectionRefusedError("the database\nrefuses")))


def broken() -> Starlette:
    return at_start(lambda: _raise(TypeError("s3cret")))


def second_refused() -> Starlette:
    """The first worker serves; all further ones fail."""
    try:
        (Path(os.environ["FOLDER"]) / "first").touch(exist_ok=False)
    except FileExistsError:
        return refused()
    return Starlette()


def ends_after_serving() -> Starlette:
    """It serves, and dies as soon as this was noticed; each leaves a mark."""

    def die() -> None:
        time.sleep(0.5)
        (Path(os.environ["FOLDER"]) / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    return at_start(threading.Thread(target=die, daemon=True).start)


def starts_for_ever() -> Starlette:
    return lifespan(start=asyncio.Event().wait)


def ends_for_ever() -> Starlette:
    return lifespan(end=asyncio.Event().wait)


def blocks_at_end() -> Starlette:
    async def block() -> None:
        time.sleep(3_600)  # noqa: ASYNC251 - on purpose

    return lifespan(end=block)


def at_start(act: Callable[[], None]) -> Starlette:
    async def start() -> None:
        act()

    return lifespan(start=start)


async def _nothing() -> None: ...


def lifespan(*, start: Callable[[], object] = _nothing, end: Callable[[], object] = _nothing) -> Starlette:
    @asynccontextmanager
    async def around(_app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        await start()  # type: ignore[misc] # - all are coroutine functions
        yield {}
        await end()  # type: ignore[misc] # - all are coroutine functions

    return Starlette(lifespan=around)


def _raise(error: Exception) -> None:
    raise error


if __name__ == "__main__":
    config = uvicorn.Config(
        f"tests.cli.ailing:{sys.argv[1]}",
        factory=True,
        port=int(os.environ["PORT"]),
        workers=int(sys.argv[2]),
        http=HttpConnection,
        log_config=None,
        timeout_worker_healthcheck=60,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run(config, TIMES, reloads=False)
