"""A session that sgqlc has with the server, with generated types and operations: python sgqlc_session.py URL.

Prints what the client returned, as JSON.
"""

import json
import os
import sys
from typing import Any

from sgqlc.endpoint.http import HTTPEndpoint
from turnup_operations import Operations

endpoint = HTTPEndpoint(sys.argv[1], {"Authorization": f"Bearer {os.environ['LEAD_TOKEN']}"})
locations, location = Operations.query.locations, Operations.query.location
update_location = Operations.mutation.update_location
bulk_update_status = Operations.mutation.bulk_update_status


def execute(operation: Any, **variables: Any) -> Any:
    """Execute a generated operation, and return its data as generated types. Raises if the response has errors."""
    return operation + endpoint(operation, variables)


pages = []
after = None
while True:
    page = execute(locations, first=5, after=after).locations
    pages.append([each.id for each in page.nodes])
    if not page.page_info.has_next_page:
        break
    after = page.page_info.end_cursor

sections = execute(location, id="location-3").location.sections
revision = next(each.revision for each in sections if each.section == "LOCATION")
edit = {"locationId": "location-3", "expectedRevision": revision, "name": "Edited with sgqlc"}
edited = execute(update_location, input=edit).update_location
(conflict,) = execute(update_location, input=edit).update_location.problems

dry_run = {"status": "BLOCKED", "reason": "A flood", "dryRun": True, "idempotencyKey": "sgqlc"}
chosen = {"locationIds": ["location-3", "location-6"], **dry_run}
bulk = execute(bulk_update_status, input=chosen).bulk_update_status

refused = endpoint(location, {"id": "nowhere"})

print(  # noqa: T201 - the test reads it
    json.dumps(
        {
            "pages": pages,
            "name": edited.location.name,
            "conflict": {"code": conflict.code, "behind": conflict.current_revision - revision},
            "outcomes": [each.outcome for each in bulk.results],
            "errors": [{"path": each["path"], "code": each["extensions"]["code"]} for each in refused["errors"]],
        }
    )
)
