"""Runs the example poller once per line of input, in a fork, and kills it in between.

A line is the number of the poller's line at which SIGKILL ends it, counted as they run; with 0 it runs to its end. The
answer is `killed` or `done`.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

POLLER = Path(__file__).parents[2] / "docs" / "examples" / "poller.py"


def killed_at(step: int) -> Callable[[FrameType, str, Any], Any]:
    """Return a tracer that ends the process before the poller runs its line with this number."""
    left = step

    def lines(_frame: FrameType, event: str, _value: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return lines

    return lambda frame, _event, _value: lines if frame.f_code.co_filename == str(POLLER) else None


if __name__ == "__main__":
    poller = runpy.run_path(str(POLLER))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            if int(line):
                sys.settrace(killed_at(int(line)))
            poller["poll"]()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("done\n" if os.WIFEXITED(status) and not os.WEXITSTATUS(status) else "killed\n")
        sys.stdout.flush()
