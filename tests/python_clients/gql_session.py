"""A session that gql has with the server: python gql_session.py URL. Prints what the client returned, as JSON."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport

DOCUMENT = Path("operations.graphql").read_text(encoding="utf-8")

headers = {"Authorization": f"Bearer {os.environ['LEAD_TOKEN']}"}
client = Client(
    transport=HTTPXTransport(url=sys.argv[1], headers=headers),
    fetch_schema_from_transport=True,  # validates each request before it is sent
)


def execute(operation: str, **variables: Any) -> Any:
    """Execute an operation of the document. Raises TransportQueryError if the response has errors."""
    return client.execute(GraphQLRequest(DOCUMENT, operation_name=operation, variable_values=variables))


pages = []
after = None
while True:
    page = execute("Locations", first=5, after=after)["locations"]
    pages.append([each["id"] for each in page["nodes"]])
    if not page["pageInfo"]["hasNextPage"]:
        break
    after = page["pageInfo"]["endCursor"]

location = execute("Location", id="location-3")["location"]
revision = next(each["revision"] for each in location["sections"] if each["section"] == "LOCATION")
edit = {"locationId": "location-3", "expectedRevision": revision, "name": "Edited with gql"}
edited = execute("UpdateLocation", input=edit)["updateLocation"]
(conflict,) = execute("UpdateLocation", input=edit)["updateLocation"]["problems"]

dry_run = {"status": "BLOCKED", "reason": "A flood", "dryRun": True, "idempotencyKey": "gql"}
bulk = execute("BulkUpdateStatus", input={"locationIds": ["location-3", "location-6"], **dry_run})["bulkUpdateStatus"]

errors: list[Any] = []
try:
    execute("Location", id="nowhere")
except TransportQueryError as refused:
    errors = refused.errors or []

print(  # noqa: T201 - the test reads it
    json.dumps(
        {
            "pages": pages,
            "name": edited["location"]["name"],
            "conflict": {"code": conflict["code"], "behind": conflict["currentRevision"] - revision},
            "outcomes": [each["outcome"] for each in bulk["results"]],
            "errors": [{"path": each["path"], "code": each["extensions"]["code"]} for each in errors],
        }
    )
)
