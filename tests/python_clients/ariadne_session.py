"""A session that the client of ariadne-codegen has with the server: python ariadne_session.py URL.

Prints what the client returned, as JSON.
"""

import json
import os
import sys

from turnup_client import (
    BulkUpdateStatusInput,
    Client,
    GraphQLClientGraphQLMultiError,
    LocationStatus,
    Section,
    UpdateLocationInput,
)
from turnup_client.update_location import UpdateLocationUpdateLocationProblemsConflict as Conflict

client = Client(url=sys.argv[1], headers={"Authorization": f"Bearer {os.environ['LEAD_TOKEN']}"})

pages = []
after: str | None = None
while True:
    page = client.locations(first=5, after=after).locations
    assert page is not None
    pages.append([each.id for each in page.nodes])
    if not page.page_info.has_next_page:
        break
    after = page.page_info.end_cursor

location = client.location("location-3").location
assert location is not None
assert location.sections is not None
revision = next(each.revision for each in location.sections if each.section is Section.LOCATION)
edit = UpdateLocationInput(locationId="location-3", expectedRevision=revision, name="Edited with ariadne-codegen")
edited = client.update_location(edit).update_location
refused = client.update_location(edit).update_location
assert edited is not None
assert edited.location is not None
assert refused is not None
(conflict,) = refused.problems
assert isinstance(conflict, Conflict)

dry_run = BulkUpdateStatusInput(
    locationIds=["location-3", "location-6"],
    status=LocationStatus.BLOCKED,
    reason="A flood",
    dryRun=True,
    idempotencyKey="ariadne-codegen",
)
bulk = client.bulk_update_status(dry_run).bulk_update_status
assert bulk is not None
assert bulk.results is not None

errors = []
try:
    client.location("nowhere")
except GraphQLClientGraphQLMultiError as raised:
    errors = raised.errors

print(  # noqa: T201 - the test reads it
    json.dumps(
        {
            "pages": pages,
            "name": edited.location.name,
            "conflict": {"code": conflict.code, "behind": conflict.current_revision - revision},
            "outcomes": [each.outcome for each in bulk.results],
            "errors": [{"path": each.path, "code": (each.extensions or {})["code"]} for each in errors],
        }
    )
)
