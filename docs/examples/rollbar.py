"""Sends the errors in a log of JSON lines to Rollbar: tail --follow=name turnup.log | python3 rollbar.py > /dev/null

It copies each line from standard input to standard output, whatever is in it, and reads on whatever fails: lines that
cannot be written are lost, and items that Rollbar does not take in time are dropped. Both are reported on standard
error, as are lines that are not those of TURNUP_LOG_FORMAT=json. ROLLBAR_TOKEN is a token with the scope
post_server_item, ROLLBAR_URL the address of Rollbar's API for items (its path is /api/1/item/); without either it does
not start. Uses the standard library of Python 3.11 or later only.
"""

import hashlib
import json
import os
import queue
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036 - it may run with another Python than the server
    sys.exit("rollbar: Python 3.11 or later is needed")

MOST_WAITING = 1_000
ANSWER_SECONDS = 10
LAST_SECONDS = 3
"""How long items may still be sent after the last line."""
PAUSE_SECONDS = 60
"""The time between two reports of the same failure."""
LEVELS = {"error": "error", "critical": "critical"}
OWN = ("message", "level", "timestamp", "version")
SETTINGS = ("ROLLBAR_TOKEN", "ROLLBAR_URL")
LONGEST_TITLE = 255

LIBRARIES = ("/lib/python3", "/site-packages/")
"""What is in the path of code that is not Turnup's own."""
SHARED = ("/app/db/", "/app/execution/", "/app/telemetry/", "/resolvers/paging.py")
"""What is in the path of code that many requests pass. What called it says more about an exception."""

Items = queue.Queue[dict[str, Any]]


def item_of(line: bytes) -> dict[str, Any] | None:
    """Return the item of a line, or None if it is no error. Raises ValueError for what is no line of Turnup's log."""
    try:
        fields = json.loads(line)
        level = LEVELS.get(fields["level"])
        if level is None:
            return None
        message, exceptions = fields["message"], fields.get("exception", [])
        types = [each["type"] for each in exceptions]
        places = places_of(fields, exceptions[0]["stack"]) if exceptions else []
        title = " in ".join([*types[:1], *places[:1]]) or message
        return {
            "environment": os.environ.get("ROLLBAR_ENVIRONMENT", "production"),
            "level": level,
            "timestamp": int(datetime.fromisoformat(fields["timestamp"]).timestamp()),
            "code_version": fields["version"],
            "title": title[:LONGEST_TITLE],
            "fingerprint": hashlib.sha256("\n".join([message, *types, *places]).encode()).hexdigest()[:40],
            "body": {"message": {"body": message}},
            "custom": {name: value for name, value in fields.items() if name not in OWN},
        }
    except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError("no line of JSON") from error


def places_of(fields: Mapping[str, Any], stack: list[str]) -> list[str]:
    """Return where an exception happened: the statement of the database, or two places, the most telling one first.

    The places are Turnup's innermost function outside of SHARED, or the field of the schema if there is none, and its
    innermost function. Frames have the form `path:number function`. Numbers of lines and the folder of the installation
    are left out, so that a place survives a release.
    """
    if "statement" in fields:
        return [fields["statement"]]
    own = [frame for frame in reversed(stack) if frame.startswith("/") and not any(each in frame for each in LIBRARIES)]
    unshared = [_without_number(frame) for frame in own if not any(each in frame for each in SHARED)]
    told = unshared[:1] or [fields[name] for name in ("field", "route") if name in fields][:1]
    return [*told, *map(_without_number, (own or stack[::-1])[:1])]


def _without_number(frame: str) -> str:
    path, _, rest = frame.rpartition(":")
    return f"{'/'.join(path.split('/')[-2:])} {rest.partition(' ')[2]}"


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
        try:
            item = item_of(line)
            if item is not None:
                items.put_nowait(item)
        except ValueError:
            failures.tell("a line is not one of TURNUP_LOG_FORMAT=json")
        except queue.Full:
            failures.tell("an item was dropped")


def main() -> None:
    """Copy and send until the lines have ended and LAST_SECONDS have passed. Exits with 1 without the settings."""
    missing = [name for name in SETTINGS if not os.environ.get(name)]
    if missing:
        sys.exit(f"rollbar: {' and '.join(missing)} must be set")
    items, failures = Items(MOST_WAITING), Failures()
    threading.Thread(target=send, args=(items, failures), daemon=True).start()
    copy(sys.stdin.buffer, Output(sys.stdout.fileno()), items, failures)
    ends = time.monotonic() + LAST_SECONDS
    while items.unfinished_tasks and time.monotonic() < ends:
        time.sleep(0.02)


if __name__ == "__main__":
    main()
