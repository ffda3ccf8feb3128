"""Starts servers quickly, to be killed: a process that has everything loaded and becomes `turnup serve` by a fork.

Reads a port and the URL of a database per line, and writes the process id of the server that was started with them. Its
servers end when it ends.
"""

import ctypes
import gc
import os
import signal
import sys

from app.cli import main
from app.db import demo
from app.domain.readiness import readiness

PR_SET_PDEATHSIG = 1


def serve(port: str, database_url: str) -> None:
    """Become a server; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(2, 1)
    os.environ |= {"PORT": port, "DATABASE_URL": database_url}
    main(["serve"])


def warm_up() -> None:
    """Load what each server would load at its first call: the registry of makers, telephone numbers."""
    readiness(demo.content_of(next(each for each in demo.BRANCHES if each.desks)))
    gc.collect()
    gc.freeze()  # each server would traverse everything that is loaded


if __name__ == "__main__":
    warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            serve(*line.split())
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
