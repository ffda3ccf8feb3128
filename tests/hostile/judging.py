"""What every response to a hostile request must be."""

import json
from typing import Any

from app.http.refusals import GRAPHQL_STATUS, TRANSPORT_STATUS
from bench.measuring import Response

CODES = {*TRANSPORT_STATUS, *GRAPHQL_STATUS} - {"INTERNAL"}


def faults(response: Response) -> list[str]:
    """Return what is wrong with a response: it has to be JSON with data or with known codes, and never INTERNAL."""
    found = []
    if not response.headers.get("x-request-id"):
        found.append("no X-Request-Id")
    if response.headers.get("x-content-type-options") != "nosniff":
        found.append("no nosniff")
    try:
        body = json.loads(response.body)
    except ValueError:
        return [*found, f"{response.status} is not JSON: {response.body[:80]!r}"]
    if isinstance(body, list) and body and all(each == body[0] for each in body) and "data" not in body[0]:
        body = body[0]  # a batch is refused with the same error for each item
    if not isinstance(body, dict) or not ("data" in body or body.get("errors")):
        return [*found, f"{response.status} has neither data nor errors: {response.body[:80]!r}"]
    codes = [error.get("extensions", {}).get("code") for error in body.get("errors", [])]
    found += [f"{response.status} with code {code}: {body['errors']}"[:300] for code in codes if code not in CODES]
    if "data" not in body and codes and codes[0] in CODES and response.status not in statuses(codes[0]):
        found.append(f"{codes[0]} with status {response.status}")
    price, returned = cost(body)
    if returned > price:
        found.append(f"{returned} objects at a price of {price}")
    return found


def statuses(code: str) -> set[int]:
    """Return the statuses that a refusal with this code can have."""
    return {TRANSPORT_STATUS[code]} if code in TRANSPORT_STATUS else {200, GRAPHQL_STATUS[code]}


def cost(body: Any) -> tuple[int, int]:
    """Return the price and the number of objects of an executed operation; zeros for a refused one."""
    given = body.get("extensions", {}).get("cost", {}) if isinstance(body, dict) else {}
    return given.get("price", 0), given.get("returned", 0)
