"""The operations that people and partners send, each with the row of the table that it counts in."""

import os
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench import peers

POLLER_FILE = Path(__file__).parents[2] / "docs" / "examples" / "poller.py"
POLLER_SETTINGS = {"TURNUP_URL": "", "TURNUP_TOKEN_COMMAND": "", "POLLER_FOLDER": ""}


@dataclass(frozen=True, slots=True)
class Operation:
    """A document with one root field, or the one that the client reads."""

    kind: str
    root: str
    text: str


def _example() -> Any:
    """Return the partners' example as a module. It reads its settings when it is imported."""
    spec = spec_from_file_location("poller", POLLER_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with patch.dict(os.environ, POLLER_SETTINGS):
        spec.loader.exec_module(module)
    return module


POLLER = _example()

PROBLEMS = "problems { code message path ... on Conflict { currentRevision } }"
ITEMS = "results { locationId outcome problem { code } } problems { code message }"

HOME = Operation(
    "home: viewer and counts", "statusCounts", "query Home { viewer { name role } statusCounts { status count } }"
)
PAGE = Operation(
    "list: a page of 50",
    "locations",
    """query Page($after: String, $filter: LocationFilter) {
  locations(first: 50, after: $after, filter: $filter) {
    totalCount
    nodes { id name status updatedAt contentDigest address { city state } account { id name } }
    pageInfo { hasNextPage endCursor }
  }
}""",
)
SEARCH = Operation("list: a search by filters", "locations", PAGE.text.replace("query Page", "query Search"))
NESTED = Operation("list: a nested page", "locations", peers.NESTED)
LOCATION = Operation(
    "one location",
    "location",
    """query Location($id: ID!) {
  location(id: $id) {
    id name status revision updatedAt timezone siteCode contentDigest
    account { id name }
    address { line1 line2 city state zipcode country }
    sections { section revision complete }
    contacts { id purpose fullName email phone }
    devices { id brand model macAddress label revision extension { id number person { id firstName lastName } } }
    people { id firstName lastName email revision }
    workingHours { id weekday opens closes }
    callFlow { kind greeting }
    viewerActions { action allowed reason }
  }
}""",
)
READINESS = Operation(
    "readiness",
    "readiness",
    "query Readiness($id: ID!) { readiness(locationId: $id) { code severity path message fix blocks } }",
)
HISTORY = Operation(
    "audit log of a location",
    "auditLog",
    """query History($id: ID!) {
  auditLog(first: 20, filter: { locationId: $id }) { nodes { id action outcome code occurredAt actor { id name } } }
}""",
)
QUEUE = Operation(
    "queue of a lead",
    "approvals",
    """query Queue {
  approvals(filter: { viewerCan: APPROVE }, orderBy: { field: REQUESTED_AT, direction: ASC }) {
    nodes { id requestedAt location { id name account { id name } } }
    pageInfo { hasNextPage endCursor }
  }
}""",
)
REVIEW = Operation(
    "review",
    "review",
    """query Review($id: ID!) {
  review(locationId: $id) {
    revision digest changes { path before after } request { id requestedAt requestedBy { id name } }
  }
  readiness(locationId: $id) { code severity path blocks }
}""",
)


def mutation(kind: str, root: str, fields: str) -> Operation:
    """Return the operation of a mutation, whose input type has its name."""
    name = root[0].upper() + root[1:]
    return Operation(kind, root, f"mutation {name}($input: {name}Input!) {{ {root}(input: $input) {{ {fields} }} }}")


EDIT = "edit"
EDIT_DEVICE = mutation(EDIT, "editDevice", f"device {{ id label revision }} location {{ id status }} {PROBLEMS}")
EDIT_PERSON = mutation(EDIT, "editPerson", f"person {{ id lastName revision }} location {{ id status }} {PROBLEMS}")
UPDATE_LOCATION = mutation(
    EDIT, "updateLocation", f"location {{ id status address {{ line2 }} sections {{ section revision }} }} {PROBLEMS}"
)
SUBMIT = mutation("submit", "submitOnboarding", f"location {{ id status }} approval {{ id digest }} {PROBLEMS}")
APPROVE = mutation("approve", "approve", f"location {{ id status }} approval {{ id reviewStatus }} {PROBLEMS}")
REQUEST_CHANGES = mutation("request changes", "requestChanges", f"location {{ id status }} {PROBLEMS}")
GENERATE = mutation("generate and release", "generatePayload", f"payload {{ id state sequence }} {PROBLEMS}")
RELEASE = mutation("generate and release", "triggerProvisioning", f"location {{ id status }} {PROBLEMS}")
BULK_STATUS, BULK_APPROVE, BULK_GENERATE = (
    mutation("bulk of 20: run", root, ITEMS) for root in ("bulkUpdateStatus", "bulkApprove", "bulkGeneratePayloads")
)
DRY_RUN = "bulk of 20: dry run"

AWAITING = Operation("poll: awaiting receipt", "provisioningPayloads", POLLER.OPERATIONS["provisioningPayloads"])
CHANGES = Operation("poll: changes", "provisioningPayloads", POLLER.OPERATIONS["provisioningPayloads"])
ACKNOWLEDGE = Operation("acknowledge", "acknowledgePayload", POLLER.OPERATIONS["acknowledgePayload"])
