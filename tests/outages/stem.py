"""Starts commands quickly: a process that has everything loaded and becomes `turnup` by a fork.

Reads a JSON object per line: the `arguments` of the command, its `variables`, and the `log` to which it prints. Writes
the process id. The processes end when this one ends.
"""

import ctypes
import gc
import json
import os
import signal
import sys

from app.cli import main

PR_SET_PDEATHSIG = 1


def become(arguments: list[str], variables: dict[str, str], log: str) -> None:
    """Become a command; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ |= variables
    main(arguments)
    sys.exit(0)


def take_orders() -> None:
    """Start a command per line of standard input, until its end."""
    gc.collect()
    gc.freeze()  # each server would traverse everything that is loaded
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(**json.loads(line))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    take_orders()
