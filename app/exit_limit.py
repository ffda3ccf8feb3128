"""Limits the time in which a process ends after it was told to stop.

Every step of the shutdown has a limit of its own. Some waits are out of reach: a lookup of a name that the resolver does
not answer runs in a thread that cannot be cancelled, and both the event loop and the interpreter wait for that thread.
"""

import logging
import os
import time
from threading import Thread

EXIT_SECONDS = 20.0
"""The time for closing everything and ending the process, after the last response."""

log = logging.getLogger("turnup.exit")


def limit_exit(seconds: float = EXIT_SECONDS) -> None:
    """End this process with status 1 unless it has ended by itself after `seconds`. Everything is closed by then."""
    Thread(target=_end_after, args=(seconds,), name="exit-limit", daemon=True).start()


def _end_after(seconds: float) -> None:
    time.sleep(seconds)
    log.error("the process did not end within %.0f s and is ended now", seconds)
    os._exit(1)
