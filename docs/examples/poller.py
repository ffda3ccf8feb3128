"""A partner's poller: it receives payloads, puts them into operation once, acknowledges them, and notices changes.

Standard library only. It can be killed at any moment and started again. Set TURNUP_URL, TURNUP_TOKEN_COMMAND (a command
that prints a service token or an access token) and POLLER_FOLDER. docs/partners.md explains the protocol.
"""

import json
import os
import random
import shlex
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

URL, TOKEN_COMMAND = os.environ["TURNUP_URL"], shlex.split(os.environ["TURNUP_TOKEN_COMMAND"])
FOLDER = Path(os.environ["POLLER_FOLDER"])  # the bookmark and, in place of your own system, documents and statuses
PAUSE = float(os.environ.get("POLLER_SECONDS", "30"))  # between two polls
OVERLAP = timedelta(seconds=60)  # how long after its `updatedAt` a change can become visible, with a margin
WRONG = {"INVALID_INPUT", "LIMIT_REACHED"}  # the other problems mean that there is nothing left to answer
RETRIED = {"RATE_LIMITED", "OVERLOADED", "UNAVAILABLE", "TIMEOUT", "INTERNAL", "IDEMPOTENCY_IN_PROGRESS"}

FIELDS = """id test document documentDigest
            state live supersededBy { id } statusChange { action reason } receipts { answer } updatedAt"""
PROBLEMS = "problems { code message ... on IdempotencyInProgress { retryAfterMs } }"
OPERATIONS = {
    "provisioningPayloads": f"""query Poll($filter: ProvisioningPayloadFilter!, $after: String) {{
        provisioningPayloads(filter: $filter, orderBy: {{field: UPDATED_AT, direction: ASC}},
                             first: 50, after: $after) {{
          nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}""",
    "acknowledgePayload": f"""mutation Acknowledge($input: AcknowledgePayloadInput!) {{
        acknowledgePayload(input: $input) {{ {PROBLEMS} }} }}""",
    "rejectPayload": f"""mutation Reject($input: RejectPayloadInput!) {{
        rejectPayload(input: $input) {{ {PROBLEMS} }} }}""",
}
token = ""


def put_into_operation(payload: dict[str, Any]) -> list[dict[str, str]]:
    """Set the location up from `payload["document"]`. Returns the reasons for a rejection: `{path, code, message}`.

    This part is yours. After a kill it runs again, so it must do nothing for a payload that it has finished.
    """
    file = FOLDER / f"{payload['id']}.{'test' if payload['test'] else 'document'}.json"  # a test must reach no phone
    if not file.exists():
        save(file, payload["document"])
    return []


def notice(payload: dict[str, Any]) -> None:
    """React to a change, such as WITHDRAWN or SUPERSEDED, or a REOPEN of a location that you run. This is yours, too.

    The overlap repeats changes, so compare with what you know.
    """
    status = {name: value for name, value in payload.items() if name != "document"}
    file = FOLDER / f"{payload['id']}.status.json"
    if not file.exists() or json.loads(file.read_text()) != status:
        save(file, status)


def receive(payload: dict[str, Any]) -> None:
    """Verify the document, put it into operation, and answer. With its own key, a repeated answer counts once."""
    if digest(payload["document"]) != payload["documentDigest"]:
        return  # damaged on the way; the next poll fetches it again
    reasons = put_into_operation(payload)
    answer = {"reasons": reasons} if reasons else {"documentDigest": payload["documentDigest"]}
    mutation = "rejectPayload" if reasons else "acknowledgePayload"
    ask(mutation, input={**answer, "payloadId": payload["id"], "idempotencyKey": f"{mutation}-{payload['id']}"})


def digest(document: dict[str, Any]) -> str:
    """SHA-256 of the document's RFC 8785 form. For the values of these documents, json.dumps writes that form."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


def poll() -> None:
    """Answer what awaits a receipt, then read what changed since the last poll."""
    for payload in pages({"awaitingReceipt": True}):
        receive(payload)
    bookmark = FOLDER / "bookmark.json"
    latest = json.loads(bookmark.read_text()) if bookmark.exists() else None  # null: read everything once
    since, started = latest and earlier(latest, OVERLAP), time.monotonic()
    for payload in pages({"updatedSince": since}):
        notice(payload)
        # The least recent come first. What becomes visible after a page was read is found by the next poll.
        latest = earlier(payload["updatedAt"], timedelta(seconds=time.monotonic() - started))
    save(bookmark, latest)


def earlier(moment: str, by: timedelta) -> str:
    """A time before another one."""
    return (datetime.fromisoformat(moment) - by).isoformat()


def pages(conditions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The payloads of all pages. A payload that changes meanwhile moves to the end, so none is missed."""
    page: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        found = ask("provisioningPayloads", filter=conditions, after=page["endCursor"])
        yield from found["nodes"]
        page = found["pageInfo"]


def ask(field: str, **variables: Any) -> Any:
    """Send an operation until it is answered. Returns None for a refusal: the next poll shows the new state."""
    global token
    while True:
        token = token or subprocess.run(TOKEN_COMMAND, check=True, capture_output=True, text=True).stdout.strip()
        answer = send({"query": OPERATIONS[field], "variables": variables})
        data = (answer.get("data") or {}).get(field)
        failures = answer.get("errors") or (data or {}).get("problems")
        if data and not failures:
            return data
        failure: dict[str, Any] = failures[0] if failures else {"code": "UNAVAILABLE"}
        failure = {**failure, **failure.get("extensions", {})}
        if failure["code"] == "UNAUTHENTICATED":
            token = ""
        elif failure["code"] not in RETRIED:
            if data and failure["code"] not in WRONG:
                return None
            raise SystemExit(f"{failure['code']}: {failure['message']}")
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


def save(file: Path, value: Any) -> None:
    """Replace a file as a whole: after a kill it has the old value or the new one."""
    draft = file.with_suffix(".draft")
    with draft.open("w") as text:
        json.dump(value, text)
        text.flush()
        os.fsync(text.fileno())
    draft.replace(file)


if __name__ == "__main__":
    while True:
        poll()
        time.sleep(PAUSE)
