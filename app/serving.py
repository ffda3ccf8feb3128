"""Runs uvicorn so that a server stops without losing a request, and a server that cannot start ends with one line.

A server that is told to stop goes through three phases. For `delay` seconds it still accepts connections and requests,
while `/readyz` says 503 and each response is the last of its connection. Then it accepts no further connections, and
completes the requests in progress for at most `drain` seconds. Then it closes its resources. A watchdog ends a process
for which all of this takes longer than it may.
"""

import asyncio
import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import asyncpg
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.supervisors import ChangeReload, Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.db.failures import DatabaseUnavailable, Overloaded
from app.db.safety import UnsafeRole
from app.http.connections import Connections
from app.http.listening import begin_no_connections
from app.http.protocol import CONNECTIONS
from app.manifest_files import RELOAD
from graphql_schema.manifests import ManifestRefused

SETTLE_SECONDS = 0.1
"""The time between the last connection that is begun and the end of listening, in which those begun are accepted."""
CLOSING_SECONDS = 6.0
"""The time for the end of the application: database, telemetry."""
WATCHDOG_SECONDS = 2.0
"""The time beyond all others after which a process is ended by force."""
TICK_SECONDS = 0.1

MOST_FAILED_STARTS = 5
"""A worker that ends this often in a row before it serves ends the server."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
STEADY_SECONDS = 60.0
"""A worker that served this long and ends is replaced at once."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

START_FAILURES = (
    UnsafeRole, DatabaseUnavailable, Overloaded, ManifestRefused, OSError, asyncpg.PostgresError,
    asyncpg.InterfaceError,
)  # fmt: skip
"""Why a start fails while the code is right. Other errors are logged with their stacks."""

log = logging.getLogger("turnup.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTimes:
    """The times of a stop, in seconds: `delay` until no further connections are accepted, `drain` for the requests."""

    delay: float
    drain: float

    @property
    def most(self) -> float:
        """The maximum from the signal to the end of the process."""
        return self.delay + SETTLE_SECONDS + self.drain + CLOSING_SECONDS + WATCHDOG_SECONDS


class Stop:
    """Whether and when a server stops: the first signal starts the delay, a further one ends it."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._delay_ends: float | None = None

    @property
    def begun(self) -> bool:
        """Whether the server was told to stop."""
        return self._delay_ends is not None

    def request(self, now: float) -> None:
        """Note a signal."""
        self._delay_ends = now + self._delay if self._delay_ends is None else min(now, self._delay_ends)

    def due(self, now: float) -> bool:
        """Return whether the delay has passed."""
        return self._delay_ends is not None and now >= self._delay_ends


class WorkerEnded(Exception):  # noqa: N818 - says what happened
    """A worker ended although nobody stopped the server. `exit_status` is negative after a signal."""

    def __init__(self, exit_status: int | None) -> None:
        super().__init__(exit_status)
        self.exit_status = exit_status


class Restarts:
    """When a worker that has ended is replaced, and when the server gives up."""

    def __init__(self) -> None:
        self._failed_starts = 0
        self._pause = 0.0

    def pause(self, served_seconds: float | None, *, others_served: bool) -> float | None:
        """Return the seconds until the next start, or None if the server must end.

        `served_seconds` is how long the worker served, None if it ended before. Without any worker that ever served,
        the first failure decides: the next start would fail like it.
        """
        if served_seconds is None:
            self._failed_starts += 1
            if not others_served or self._failed_starts >= MOST_FAILED_STARTS:
                return None
        else:
            self._failed_starts = 0
            if served_seconds >= STEADY_SECONDS:
                self._pause = 0.0
        pause, self._pause = self._pause, min(2 * self._pause or FIRST_PAUSE, LONGEST_PAUSE)
        return pause


@dataclass(frozen=True, slots=True)
class Siblings:
    """What a worker learns from the process that started it: the reading ends of two pipes, in which nothing is sent.

    The server closes the other ends. If it is killed, the system closes them, and nothing of them is left: of named
    semaphores, a process of Python that outlives the server would print a warning.
    """

    stopping: "Connection[Any, Any]"
    """Closed when the whole server stops, not only one of its workers."""
    hurried: "Connection[Any, Any]"
    """Closed when the delay ends."""

    @property
    def all_stop(self) -> bool:
        """Whether no other worker accepts the connections that this one leaves."""
        return self.stopping.poll()

    @property
    def must_hurry(self) -> bool:
        """Whether the delay ends, because of a second signal to the server or because the server was killed."""
        return self.hurried.poll()


class StoppingServer(uvicorn.Server):
    """A uvicorn server that stops in phases; see the module. `siblings` is None for a server of one process.

    With `reloads`, SIGHUP has the application load its files again. One that arrives during the start, or while files
    are loaded, has them loaded once more afterwards.

    A worker ignores further signals in its delay: a service manager sends one to each process of the server, and the
    server sends them one as well. The server itself counts the signals.
    """

    def __init__(
        self, config: uvicorn.Config, times: StopTimes, siblings: Siblings | None = None, *, reloads: bool = False
    ) -> None:
        config.timeout_graceful_shutdown = math.ceil(times.drain)
        super().__init__(config)
        self._times = times
        self._siblings = siblings
        self._stop = Stop(times.delay)
        self._announced = False
        self._reloads = reloads
        self._reload_wanted = False
        self._reloading: asyncio.Task[None] | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped."""
        if self._reloads:
            signal.signal(signal.SIGHUP, self.handle_hangup)
        self._watchdog = threading.Timer(self._times.most, _abandon, [self._times.most])
        self._watchdog.daemon = True
        try:
            super().run(sockets)
        finally:
            self._watchdog.cancel()

    def handle_hangup(self, _sig: int, _frame: FrameType | None) -> None:
        """Have the files loaded again, in the event loop."""
        self._reload_wanted = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, or end the delay. An interrupt at the keyboard ends the draining as well."""
        draining = self.should_exit
        super().handle_exit(sig, frame)
        now = time.monotonic()
        if not self._stop.begun:
            self._watchdog.start()
            self._stop.request(now)
        elif self._siblings is None:
            self._stop.request(now)
        self.should_exit = draining or self._stop.due(now)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, unless a signal arrives before. Exits with one line and status 1 if that fails."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # what `_held` keeps for a new process
        starting = asyncio.current_task()
        assert starting is not None  # noqa: S101 - for mypy: `serve` runs in a task
        watching = asyncio.create_task(self._cancel_when_stopped(starting))
        application, lifespan = self.config.loaded_app, StartReport(self.config.loaded_app)
        self.config.loaded_app = lifespan
        try:
            await super().startup(sockets)
        except asyncio.CancelledError:
            if not self._stop.begun:
                raise
            starting.uncancel()
            self.should_exit = True
        except SystemExit:
            sys.exit(f"turnup: {lifespan.failure or 'the server did not start'}")
        finally:
            self.config.loaded_app = application
            watching.cancel()

    async def _cancel_when_stopped(self, starting: "asyncio.Task[Any]") -> None:
        while not self._stop.begun:  # noqa: ASYNC110 - set by a signal handler, which wakes no event loop
            await asyncio.sleep(TICK_SECONDS)
        starting.cancel()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop listening."""
        if self._stop.begun and not self._announced:
            self._announce()
        if self._stop.begun and self._siblings is not None and self._siblings.must_hurry:
            self._stop.request(time.monotonic())
        if self._stop.due(time.monotonic()):
            self.should_exit = True
        if self._reload_wanted and not self._stop.begun and (self._reloading is None or self._reloading.done()):
            self._reload_wanted = False
            self._reloading = asyncio.create_task(self.lifespan.state[RELOAD]())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, drain the requests, and close the application, within the times."""
        self._announce()
        if self._reloading is not None:
            self._reloading.cancel()
        # With --reload, the next process accepts the connections of the same socket.
        ends_listening = sockets is None if self._siblings is None else self._siblings.all_stop
        if ends_listening:
            for server in self.servers:
                for listener in server.sockets:
                    begin_no_connections(listener.fileno())
            await asyncio.sleep(SETTLE_SECONDS)
        try:
            async with asyncio.timeout(self._times.drain + CLOSING_SECONDS):
                await super().shutdown(sockets)
        except TimeoutError:
            log.error("the application did not close in time")  # noqa: TRY400 - the stack is that of a timer

    def _announce(self) -> None:
        """Let readiness and all responses from now on say that the server stops."""
        self._announced = True
        connections: Connections | None = self.lifespan.state.get(CONNECTIONS)
        if connections is not None:
            connections.stopping = True
        for connection in list(self.server_state.connections):
            connection.last_response()  # type: ignore[union-attr] # - all are HttpConnections


class StartReport:
    """An ASGI app around another one: reports why its start, or its end, failed, without what the exception says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, except for the report of a failed start."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        started = False

        async def without_stack(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "lifespan.startup.complete"
            if message["type"] in {"lifespan.startup.failed", "lifespan.shutdown.failed"}:
                message = {"type": message["type"]}
            await send(message)

        try:
            await self._app(scope, receive, without_stack)
        except START_FAILURES as error:
            self.failure = f"the server did not start: {' '.join(str(error).split()) or type(error).__name__}"
            raise
        except Exception as error:
            log.exception("the application did not close" if started else "the server did not start")
            self.failure = f"the server did not start: {type(error).__name__}"
            raise


class Worker(Process):
    """A server process among several."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        times: StopTimes,
        siblings: Siblings,
        *,
        reloads: bool,
    ) -> None:
        super().__init__(config, sockets)
        self._server = StoppingServer(config, times, siblings, reloads=reloads)
        self._reloads = reloads
        self._must_reload = False
        self._asked_at: float | None = None
        self.has_begun = False
        """Whether it has imported the code, and handles signals."""
        self.served_since: float | None = None
        self.last_words = ""
        """Why it ended, if it knew."""

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the process of the worker. The server that started it prints why it failed."""
        if self._reloads:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server handles it; it reads the files later
        try:
            super().target(sockets)
        except SystemExit as ended:
            if isinstance(ended.code, str):
                self.child_conn.send(ended.code)
                sys.exit(1)
            raise

    def is_alive(self, timeout: float = 5) -> bool:
        """Return, without waiting, whether the process runs and answers the server's questions within `timeout`."""
        if not self.process.is_alive():
            return False
        now = time.monotonic()
        with suppress(OSError, EOFError):
            if self._asked_at is None:
                self.parent_conn.send(b"ping")
                self._asked_at = now
            self._listen(now)
        return self._asked_at is None or now - self._asked_at < timeout

    def reload(self) -> None:
        """Have it load the files again: now, or as soon as it handles signals."""
        self._must_reload = True
        self._pass_on()

    def _pass_on(self) -> None:
        if self._must_reload and self.has_begun and self.process.is_alive() and self.pid is not None:
            self._must_reload = False
            os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """End it by force, if it has not ended, and take what it said last."""
        with suppress(OSError, EOFError):
            self._listen(time.monotonic())
        super().kill()

    def _listen(self, now: float) -> None:
        """Take the answers: whether the server in the worker has started, or why it ended."""
        while self.parent_conn.poll():
            said = self.parent_conn.recv()
            if isinstance(said, str):
                self.last_words = said
                continue
            self._asked_at, self.has_begun = None, True
            if said and self.served_since is None:
                self.served_since = now
                log.info("worker %s serves", self.pid)
        self._pass_on()


class Workers(Multiprocess):
    """Starts the workers, replaces those that end, and stops them together."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], times: StopTimes, *, reloads: bool = False
    ) -> None:
        super().__init__(config, sockets)
        self._times = times
        self._reloads = reloads
        spawning = multiprocessing.get_context("spawn")
        stopping, self._until_stop = spawning.Pipe(duplex=False)
        hurried, self._until_hurry = spawning.Pipe(duplex=False)
        self._siblings = Siblings(stopping, hurried)
        self._restarts = [Restarts() for _ in range(config.workers)]
        self._start_at: dict[int, float] = {}
        """When the worker of a place starts again, for places without one."""
        self._served = False
        self.failure: str | None = None

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes = [self._started() for _ in range(self.processes_num)]

    def run(self) -> None:
        """Serve until a signal, or until a worker cannot be started."""
        self.init_processes()
        while not self.should_exit.wait(TICK_SECONDS):
            self.handle_signals()
            if not self.should_exit.is_set():  # else the workers may have got the signal as well
                self.keep_subprocess_alive()
        self._stop()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have ended or do not respond."""
        now = time.monotonic()
        for place, worker in enumerate(self.processes):
            assert isinstance(worker, Worker)  # noqa: S101 - for mypy: this class starts no others
            if place in self._start_at:
                if now >= self._start_at[place]:
                    del self._start_at[place]
                    self.processes[place] = self._started()
            elif worker.is_alive(self.config.timeout_worker_healthcheck):
                self._served = self._served or worker.served_since is not None
            else:
                self._replace(place, worker, now)

    def _replace(self, place: int, worker: Worker, now: float) -> None:
        worker.kill()
        worker.join()
        served = None if worker.served_since is None else now - worker.served_since
        pause = self._restarts[place].pause(served, others_served=self._served)
        # A worker that could not start has reported its reason itself.
        is_unexpected = served is not None or not worker.last_words
        then = "the server ends" if pause is None else f"replacing it in {pause:g} s"
        log.log(
            logging.ERROR if is_unexpected else logging.WARNING,
            "worker %s ended with exit status %s; %s",
            worker.pid,
            worker.exitcode,
            then,
            exc_info=WorkerEnded(worker.exitcode) if is_unexpected else None,
        )
        if pause is None:
            times = f" {MOST_FAILED_STARTS} times in a row" if self._served else ""
            reason = worker.last_words.removeprefix("turnup: ") or f"its exit status is {worker.exitcode}"
            self.failure = f"a worker ended{times} before it served: {reason}"
            self.should_exit.set()
            return
        self._start_at[place] = now + pause

    def _started(self) -> Worker:
        worker = Worker(self.config, self.sockets, self._times, self._siblings, reloads=self._reloads)
        with _held():
            worker.start()
        return worker

    def _stop(self) -> None:
        """Stop the workers; the delay ends early at a second signal, and with it the life of those that hang."""
        self._until_stop.close()
        for listener in self.sockets:
            listener.close()  # the workers have their own; the last one that closes it ends the listening
        running = [worker for place, worker in enumerate(self.processes) if place not in self._start_at]
        for worker in running:
            assert isinstance(worker, Worker)  # noqa: S101 - for mypy, as above
            if worker.is_alive() and not worker.has_begun:
                worker.process.kill()  # it has accepted nothing, and would end only after its imports
            else:
                worker.terminate()
        ends = time.monotonic() + self._times.most + WATCHDOG_SECONDS
        while any(worker.process.is_alive() for worker in running) and time.monotonic() < ends:
            if self.signal_queue:
                self.signal_queue.clear()
                self._until_hurry.close()
            time.sleep(TICK_SECONDS / 2)
        for worker in running:
            worker.process.kill()
            worker.process.join()

    def _ignore(self) -> None:
        log.warning("the signal has no effect: the number of workers is TURNUP_WORKERS, and SIGTERM stops the server")

    handle_ttin = handle_ttou = _ignore

    def handle_hup(self) -> None:
        """Have all workers load their files again, if the server has any."""
        if not self._reloads:
            self._ignore()
            return
        for place, worker in enumerate(self.processes):
            assert isinstance(worker, Worker)  # noqa: S101 - for mypy, as above
            if place not in self._start_at:
                worker.reload()


class Reloading(ChangeReload):  # type: ignore[valid-type, misc] # - one of two classes, by what is installed
    """Starts the server anew when code changes."""

    def startup(self) -> None:
        """Start the first server."""
        with _held():
            super().startup()

    def restart(self) -> None:
        """Replace the server."""
        with _held():
            super().restart()


def run(config: uvicorn.Config, times: StopTimes, *, reloads: bool) -> None:
    """Serve until stopped by SIGTERM or SIGINT. Exits with one line and status 1 if the server cannot start.

    With `reloads`, SIGHUP has each process load its files again.
    """
    with suppress(KeyboardInterrupt):
        if config.should_reload:
            server = StoppingServer(config, times, reloads=reloads)
            Reloading(config, target=server.run, sockets=[config.bind_socket()]).run()
        elif config.workers > 1:
            workers = Workers(config, [config.bind_socket()], times, reloads=reloads)
            workers.run()
            if workers.failure is not None:
                sys.exit(f"turnup: {workers.failure}")
        else:
            StoppingServer(config, times, reloads=reloads).run()


@contextmanager
def _held() -> Iterator[None]:
    """Hold signals to stop back, also from a process that is started meanwhile: until it can handle them.

    A terminal, and systemd by default, send them to every process of the server. During its imports a process would end
    with a stack, or as if it had failed.
    """
    # multiprocessing starts this process before its first other one, and then releases the signals.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _abandon(seconds: float) -> None:
    """End the process without any further step, because the steps hang. The message may hang as well."""
    message = f"turnup: the server did not stop within {seconds:.0f} s and was ended\n"
    telling = threading.Thread(target=_tell, args=(message,), daemon=True)
    telling.start()
    telling.join(TICK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def _tell(message: str) -> None:
    with suppress(AttributeError, OSError, ValueError):  # there may be no standard error
        sys.stderr.write(message)
        sys.stderr.flush()
