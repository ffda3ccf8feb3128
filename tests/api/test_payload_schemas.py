"""The JSON Schema of each payload version is served to anyone."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from app.domain.payload import VERSIONS
from tests.domain.builders import a_document
from tests.harness import Client

FROZEN = Path(__file__).parent.parent / "domain" / "provisioning-payload-1.0.0.json"


async def served(client: Client, version: str) -> Any:
    """The schema of a version as clients get it."""
    response = await client.http.get(f"/schemas/provisioning-payload-{version}.json")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/schema+json"
    return response.json()


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_schema_of_each_version_is_served_without_a_token(client: Client, version: str) -> None:
    schema = await served(client, version)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:turnup:provisioning-payload:{version}"


@pytest.mark.parametrize("version", VERSIONS)
async def test_documents_of_a_version_are_valid_against_the_served_schema_and_others_are_not(
    client: Client, version: str
) -> None:
    checker = Draft202012Validator(await served(client, version), format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [each for each in VERSIONS if checker.is_valid(a_document(version=each))] == [version]


async def test_the_served_schema_of_version_1_0_0_is_the_frozen_one(client: Client) -> None:
    frozen = FROZEN.read_bytes()
    assert sha256(frozen).hexdigest() == "16fc96b82b5a5f55263fef23cc57443396d5add7c7861d5e7b53b0047c505dc1"
    assert await served(client, "1.0.0") == orjson.loads(frozen)


async def test_a_version_that_does_not_exist_has_no_schema(client: Client) -> None:
    response = await client.http.get("/schemas/provisioning-payload-2.0.0.json")
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND")
