"""Limits the time in which a process ends after it was told to stop.

Every step of the shutdown has a limit of its own. Some waits are out of reach: a lookup of a name that the resolver
does not answer runs in a thread that cannot be cancelled, and the event loop and the interpreter wait for that thread.
"""

import logging
import os
import time
from threading import Thread

CLOSING_SECONDS = 20.0
"""The time for closing everything, after the last response. The limits of the single steps add up to less."""
EXIT_SECONDS = 3.0
"""The time for ending the process, when everything is closed."""

log = logging.getLogger("turnup.exit")


def limit_exit(seconds: float) -> None:
    """End this process with status 1 unless it has ended by itself after `seconds`."""
    Thread(target=_end_after, args=(seconds,), name="exit-limit", daemon=True).start()


def _end_after(seconds: float) -> None:
    time.sleep(seconds)
    log.error("the process did not end within %.0f s and is ended now", seconds)
    os._exit(1)
