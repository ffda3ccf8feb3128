"""A mirror: it keeps a copy of every location that its user can see, and misses no change.

Standard library only. It can be killed at any moment and started again. Set TURNUP_URL, TURNUP_TOKEN_COMMAND (a command
that prints an access token) and MIRROR_FILE. docs/lists.md explains the loop.
"""

import json
import os
import random
import shlex
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

URL, TOKEN_COMMAND = os.environ["TURNUP_URL"], shlex.split(os.environ["TURNUP_TOKEN_COMMAND"])
PAUSE = float(os.environ.get("MIRROR_SECONDS", "30"))  # between two polls
OVERLAP = timedelta(seconds=float(os.environ.get("MIRROR_OVERLAP_SECONDS", "60")))  # see docs/lists.md
RETRIED = {"RATE_LIMITED", "OVERLOADED", "UNAVAILABLE", "TIMEOUT", "INTERNAL"}

QUERY = """query Changed($since: DateTime, $after: String) {
  locations(filter: {updatedSince: $since}, orderBy: {field: UPDATED_AT, direction: ASC}, first: 50, after: $after) {
    nodes { id name status revision updatedAt devices { id label revision } session { currentStep submittedAt } }
    pageInfo { hasNextPage endCursor } } }"""

copy = sqlite3.connect(os.environ["MIRROR_FILE"], check_same_thread=False)
copy.executescript("""CREATE TABLE IF NOT EXISTS location (id TEXT PRIMARY KEY, content TEXT NOT NULL);
                      CREATE TABLE IF NOT EXISTS bookmark (latest TEXT NOT NULL);""")
token = ""


def poll() -> None:
    """Read what changed since the last poll, and some of what the last poll has read."""
    row = copy.execute("SELECT latest FROM bookmark").fetchone()
    latest = row[0] if row else None  # null: read everything once
    since, started = latest and earlier(latest, OVERLAP), time.monotonic()
    with copy:  # the bookmark moves with the last page: a poll that was killed begins again
        for location in changed(since):
            copy.execute("INSERT OR REPLACE INTO location VALUES (?, ?)", (location["id"], json.dumps(location)))
            # The least recent come first. What becomes visible after a page was read is found by the next poll.
            latest = earlier(location["updatedAt"], timedelta(seconds=time.monotonic() - started))
        if latest:
            copy.execute("DELETE FROM bookmark")
            copy.execute("INSERT INTO bookmark VALUES (?)", (latest,))


def earlier(moment: str, by: timedelta) -> str:
    """A time before another one."""
    return (datetime.fromisoformat(moment) - by).isoformat()


def changed(since: str | None) -> Iterator[dict[str, Any]]:
    """The locations of all pages. A location that changes meanwhile moves to the end, so none is missed."""
    page: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        found = ask(since=since, after=page["endCursor"])
        yield from found["nodes"]
        page = found["pageInfo"]


def ask(**variables: Any) -> Any:
    """Send the query until it is answered."""
    global token
    while True:
        token = token or subprocess.run(TOKEN_COMMAND, check=True, capture_output=True, text=True).stdout.strip()
        answer = send({"query": QUERY, "variables": variables})
        if answer and not answer.get("errors"):
            return answer["data"]["locations"]
        errors = answer.get("errors") or [{"extensions": {"code": "UNAVAILABLE"}}]
        failure: dict[str, Any] = errors[0]["extensions"]
        if failure["code"] == "UNAUTHENTICATED":
            token = ""
        elif failure["code"] not in RETRIED:
            raise SystemExit(f"{failure['code']}: {errors[0]['message']}")
        wait = failure["retryAfterMs"] / 1000 if "retryAfterMs" in failure else answer.get("retryAfter", 1)
        time.sleep(wait + random.random())  # noqa: S311 - clients that were refused together return one by one


def send(body: dict[str, Any]) -> dict[str, Any]:
    """The server's answer, whatever its HTTP status; empty if there is none."""
    head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        try:
            response = urlopen(Request(URL, json.dumps(body).encode(), head), timeout=30)
        except HTTPError as error:
            response = error
        with response:
            answer: dict[str, Any] = json.load(response)
            answer["retryAfter"] = float(response.headers.get("Retry-After", 1))
    except (OSError, HTTPException, ValueError):
        answer = {}
    return answer


if __name__ == "__main__":
    while True:
        poll()
        time.sleep(PAUSE)
