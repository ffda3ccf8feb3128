"""The JSON Schema of each payload version is served to anyone."""

import pytest

from app.domain.payload import SHAPES, json_schema
from tests.harness import Client


@pytest.mark.parametrize("version", SHAPES)
async def test_the_schema_of_each_version_is_served_without_a_token(client: Client, version: str) -> None:
    response = await client.http.get(f"/schemas/provisioning-payload-{version}.json")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/schema+json"
    assert response.json() == json_schema(version)
