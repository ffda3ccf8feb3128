"""Sends the errors in a log of JSON lines to Rollbar: turnup serve 2>&1 | python3 rollbar.py >> turnup.log

It copies each line from standard input to standard output, whatever is in it, and reads on whatever fails: lines that
cannot be written are lost, and items that Rollbar does not take in time are dropped. Both are reported on standard
error. ROLLBAR_TOKEN is a token with the scope post_server_item, ROLLBAR_URL the address of Rollbar's API for items (its
path is /api/1/item/). Uses the standard library only.
"""

import json
import os
import queue
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

MOST_WAITING = 1_000
ANSWER_SECONDS = 10
LAST_SECONDS = 3
"""How long items may still be sent after the last line."""
PAUSE_SECONDS = 60
"""The time between two reports of the same failure."""
LEVELS = {"error": "error", "critical": "critical"}
OWN = ("message", "level", "timestamp", "version")

Items = queue.Queue[dict[str, Any]]


def item_of(line: bytes) -> dict[str, Any] | None:
    """Return the item of a line, or None if the line is none of JSON or no error."""
    try:
        fields = json.loads(line)
        if fields["level"] not in LEVELS:
            return None
        return {
            "environment": os.environ.get("ROLLBAR_ENVIRONMENT", "production"),
            "level": LEVELS[fields["level"]],
            "timestamp": int(datetime.fromisoformat(fields["timestamp"]).timestamp()),
            "code_version": fields["version"],
            "body": {"message": {"body": fields["message"]}},
            "custom": {name: value for name, value in fields.items() if name not in OWN},
        }
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return None


class Failures:
    """Reports failures on standard error, each kind once per PAUSE_SECONDS."""

    def __init__(self) -> None:
        self._told_at: dict[str, float] = {}

    def tell(self, what: str, error: Exception | None = None) -> None:
        """Report a failure. Raises nothing."""
        now = time.monotonic()
        if now - self._told_at.get(what, -PAUSE_SECONDS) >= PAUSE_SECONDS:
            self._told_at[what] = now
            with suppress(OSError):
                sys.stderr.write(f"rollbar: {what}{f': {type(error).__name__}: {error}' if error else ''}\n")
                sys.stderr.flush()


def send(items: Items, failures: Failures) -> None:
    """Send items for ever."""
    while True:
        item = items.get()
        try:
            body = json.dumps({"access_token": os.environ["ROLLBAR_TOKEN"], "data": item}).encode()
            request = urllib.request.Request(os.environ["ROLLBAR_URL"], body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
        except Exception as error:  # noqa: BLE001 - a garbled answer, a wrong address: the next item may arrive
            failures.tell("an item was not sent", error)
        finally:
            items.task_done()


class Output:
    """Writes lines to a descriptor at once. A line after one of which only a part was written begins a new line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_torn = False

    def write(self, line: bytes) -> None:
        """Write a line. Raises OSError."""
        rest = memoryview(b"\n" + line if self._is_torn else line)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
            self._is_torn = bool(rest)


def copy(lines: Iterable[bytes], output: Output, items: Items, failures: Failures) -> None:
    """Copy the lines until they end, and queue those that are errors."""
    for line in lines:
        try:
            output.write(line)
        except OSError as error:
            failures.tell("a line was not written", error)
        item = item_of(line)
        if item is not None:
            try:
                items.put_nowait(item)
            except queue.Full:
                failures.tell("an item was dropped")


def main() -> None:
    """Copy and send until the lines have ended and LAST_SECONDS have passed."""
    items, failures = Items(MOST_WAITING), Failures()
    threading.Thread(target=send, args=(items, failures), daemon=True).start()
    copy(sys.stdin.buffer, Output(sys.stdout.fileno()), items, failures)
    ends = time.monotonic() + LAST_SECONDS
    while items.unfinished_tasks and time.monotonic() < ends:
        time.sleep(0.02)


if __name__ == "__main__":
    main()
