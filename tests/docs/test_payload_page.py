"""The page for partners' engineers says what the schemas and the rules say, and its examples work."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from graphql import parse, validate

from app.domain.digest import document_digest
from app.domain.payload import DEFAULT_RETRIES, DEFAULT_TIMEOUT_SECONDS, VERSIONS, json_schema
from app.domain.readiness import Outside, readiness
from app.domain.vocabulary import IssueCode
from app.main import payload_schema_route
from graphql_schema.schema import schema
from tests.domain.builders import a_document, a_location, a_menu, a_partner

from .pages import page, table

PAGE = page("docs/payload.md")
OLD, NEW = VERSIONS


def code(language: str) -> str:
    """The one block of code of a language on the page."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    return str(found)


def places(part: Any, root: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each value that a schema describes, with its place; rows of a list, and the named contacts, are at `*`."""
    if "$ref" in part:
        part = root["$defs"][part["$ref"].rpartition("/")[2]]
    part, *_ = [each for each in part.get("anyOf", [part]) if each.get("type") != "null"]
    if "$ref" in part:
        yield from places(part, root, path)
        return
    yield path, part
    for name, inner in part.get("properties", {}).items():
        step = "*" if path == "/contacts" else name
        yield from places(inner, root, f"{path}/{step}")
    if "items" in part:
        yield from places(part["items"], root, path if path == "/contacts/*" else f"{path}/*")


def described(version: str) -> dict[str, dict[str, Any]]:
    return dict(places(json_schema(version), json_schema(version)))


def limits(part: dict[str, Any]) -> dict[str, Any]:
    """What a schema demands of a value, without that of its parts."""
    return {
        name: value for name, value in part.items() if name not in {"properties", "required", "items", "description"}
    }


def test_every_version_has_its_published_schema() -> None:
    assert [(version, path) for version, path, _ in table(PAGE, "Versions")] == [
        (version, payload_schema_route(version).path) for version in VERSIONS
    ]


def test_the_page_lists_every_key_that_version_1_0_0_does_not_have() -> None:
    entered = [place for place, old, _ in table(PAGE, "Which version a document has") if old == "no key"]
    derived = [place for place, _ in table(PAGE, "Derived values")]
    added = {
        place
        for place in described(NEW).keys() - described(OLD).keys()
        if not re.search(r"/callFlow/(timeout|invalid)Target/", place)
    }
    assert added == {place for place in (*entered, *derived) if place not in described(OLD)}


def test_the_page_lists_every_limit_that_is_wider_in_the_later_version() -> None:
    said = {place for place, old, _ in table(PAGE, "Which version a document has") if old != "no key"}
    old, new = described(OLD), described(NEW)
    wider = {place for place in old if limits(old[place]) != limits(new[place]) and place not in {"", "/version"}}
    number = limits(old["/extensions/*/number"])
    repeated = {place for place in wider if limits(old[place]) == number}
    assert wider - repeated | {"/extensions/*/number"} == said


@pytest.mark.parametrize(
    ("place", "before", "after"),
    [(place, before, after) for place, before, after in table(PAGE, "Which version a document has")],
)
def test_the_limits_on_the_page_are_those_of_the_schemas(place: str, before: str, after: str) -> None:
    for version, said in ((OLD, before), (NEW, after)):
        part = described(version).get(place)
        assert (part is None) is (said == "no key")
        if part is not None:
            assert [int(each) for each in re.findall(r"\d+", said.removesuffix("or more devices"))] == bounds(part), (
                said
            )


def bounds(part: dict[str, Any]) -> list[int]:
    """The numbers that limit a value."""
    if digits := re.fullmatch(r"\^\[1-9\]\[0-9\]\{(\d),(\d)\}\$", part.get("pattern", "")):
        return [1 + int(each) for each in digits.groups()]
    named = ("minItems", "minLength", "maxLength", "minimum", "maximum")
    found = [part[name] for name in named if name in part]
    return found or [0]


def test_the_defaults_on_the_page_are_those_of_the_documents() -> None:
    said = dict(table(PAGE, "Derived values"))
    for place, default in (("timeoutSeconds", DEFAULT_TIMEOUT_SECONDS), ("retries", DEFAULT_RETRIES)):
        assert said[f"/callFlow/{place}"] == f"for IVR: {default} if nothing was entered"
    flow = a_document(a_location(call_flow=a_menu(timeout_seconds=None, retries=None)), version=NEW)["callFlow"]
    assert (flow["timeoutSeconds"], flow["retries"]) == (DEFAULT_TIMEOUT_SECONDS, DEFAULT_RETRIES)


def test_the_mutation_on_the_page_fits_the_schema() -> None:
    assert validate(schema._schema, parse(code("graphql"))) == []


def test_the_messages_on_the_page_are_those_of_readiness() -> None:
    cases = [
        (a_location(site_code="Store 7"), (a_partner(OLD),)),
        (a_location(), (a_partner(OLD), a_partner(NEW, name="PBX House"))),
    ]
    said = []
    for location, partners in cases:
        issues = readiness(location, Outside(partners=partners, names_partners=True))
        said.append(next(each.message for each in issues if each.code is IssueCode.PAYLOAD_VERSION_NOT_ACCEPTED))
    assert code("text").splitlines() == said


@pytest.mark.parametrize("version", VERSIONS)
def test_the_code_on_the_page_computes_the_digest_and_finds_what_is_wrong(version: str) -> None:
    names: dict[str, Any] = {}
    exec(code("python"), names)
    document = a_document(version=version)
    assert names["digest_of"](document) == document_digest(document)
    assert names["violations"](document, json_schema(version)) == []
    broken = deepcopy(document)
    broken["timestamp"] = "2024-02-30T10:00:00Z"
    del broken["callFlow"]
    assert len(names["violations"](broken, json_schema(version))) == 2
