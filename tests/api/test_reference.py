"""The API reference, the schema and the list of payload schemas: complete, and the same for everybody."""

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from graphql import is_introspection_type
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from app.domain.payload import VERSIONS
from app.domain.vocabulary import Role
from app.main import create_app
from app.settings import Settings
from graphql_schema.reference.audiences import audiences
from graphql_schema.reference.page import in_words
from graphql_schema.schema import schema
from tests.harness import Client, TestDatabase
from tests.permissions.walk import walked

ROOT = Path(__file__).parent.parent.parent
PUBLIC = ("/reference", "/schema.graphql", "/schemas/")


class Page(HTMLParser):
    """What a page contains: its anchors, the addresses that it leads to, and the text after each anchor."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.words: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if (anchor := given.get("id")) is not None:
            self.anchors.append(anchor)
            self.words[anchor] = ""
        self.links += [given["href"] or ""] if tag == "a" else []
        self.loads += [value or "" for name, value in attrs if name in {"src", "srcset", "action"}]
        self.loads += [given["href"] or ""] if tag == "link" else []

    def handle_data(self, data: str) -> None:
        if self.anchors:
            self.words[self.anchors[-1]] += data


@pytest.fixture(scope="module")
async def page(client: Client) -> Page:
    response = await client.http.get("/reference")
    assert response.status_code == 200
    return Page(response.text)


def declared() -> list[tuple[str, str | None]]:
    """Every type, field, argument and value of the schema by its path, with its description."""
    found: list[tuple[str, str | None]] = []
    for name, each in schema._schema.type_map.items():
        if is_introspection_type(each):
            continue
        found.append((name, each.description))
        for key, member in {**getattr(each, "fields", {}), **getattr(each, "values", {})}.items():
            found.append((f"{name}.{key}", member.description))
            found += [(f"{name}.{key}.{arg}", one.description) for arg, one in getattr(member, "args", {}).items()]
    return found


def test_every_type_field_argument_and_value_of_the_schema_has_an_anchor_and_its_description(page: Page) -> None:
    missing = [path for path, _ in declared() if path not in page.words]
    words = {path: " ".join(text.split()) for path, text in page.words.items()}
    silent = [
        path
        for path, description in declared()
        if path not in missing and " ".join((description or "").replace("`", "").split()) not in words[path]
    ]
    assert (missing, silent) == ([], [])
    assert len(declared()) > 1_000


def test_no_two_anchors_are_the_same(page: Page) -> None:
    assert sorted(page.anchors) == sorted(set(page.anchors))


async def test_every_link_leads_to_an_anchor_of_the_page_or_to_a_path_of_the_server(page: Page, client: Client) -> None:
    inside = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    outside = {link for link in page.links if not link.startswith("#")}
    assert inside - set(page.anchors) == set()
    assert outside == {"schema.graphql", "schemas/"}  # relative, for a proxy with a prefix
    assert [(await client.http.get(f"/{link}")).status_code for link in sorted(outside)] == [200, 200]


def test_the_page_loads_nothing(page: Page) -> None:
    assert page.loads == ["data:,"]


async def test_the_policy_of_the_page_allows_its_own_script_and_style_alone(client: Client) -> None:
    policy = (await client.http.get("/reference")).headers["content-security-policy"]
    directives = dict(each.split(" ", 1) for each in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert "'self'" not in policy
    assert "unsafe" not in policy
    assert directives.keys() >= {"script-src", "style-src", "base-uri", "form-action", "frame-ancestors"}


def test_the_reference_says_the_roles_that_a_walk_over_all_guards_finds() -> None:
    found, walk = audiences(schema._schema), walked(schema._schema)
    reached = {place: roles for place, roles in walk.roles_at_field.items() if roles}
    assert {place: found.of_field[place] for place in reached} == reached


def test_a_field_for_leads_of_all_accounts_says_so(page: Page) -> None:
    assert "Visible to leads of all accounts." in page.words["User.email"]
    assert "Open to leads of all accounts and partners." in page.words["Mutation.setAcceptedPayloadVersions"]


def test_what_can_be_left_out_or_null_is_said_in_words(page: Page) -> None:
    assert "optional, 20 if left out, never null" in page.words["Query.locations.first"]
    assert "required, never null, its items never null" in page.words["Query.nodes.ids"]
    assert "optional, null if left out, can be null" in page.words["ApproveInput.comment"]
    assert "optional, can be null" in page.words["EditDeviceInput.label"]
    assert "never null, its items can be null" in page.words["MacInUse.holders"]


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        (Role, "every signed-in user"),
        ({Role.PARTNER}, "partners"),
        ({Role.CUSTOMER, Role.IMPLEMENTATION_LEAD, Role.PARTNER}, "customers, leads and partners"),
        ((), "nobody"),
    ],
)
def test_roles_are_words(roles: set[Role], words: str) -> None:
    assert in_words(roles) == words


async def test_the_served_schema_is_the_contract(client: Client) -> None:
    response = await client.http.get("/schema.graphql")
    assert response.text == (ROOT / "schema.graphql").read_text()
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


async def test_the_list_of_payload_schemas_leads_to_each_version(client: Client) -> None:
    listed = (await client.http.get("/schemas/")).json()["schemas"]
    assert [each["version"] for each in listed] == list(VERSIONS)
    for each in listed:
        served = (await client.http.get(f"/schemas/{each['href']}")).json()
        Draft202012Validator.check_schema(served)
        assert served["$id"] == each["id"]


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_client_that_has_the_document_gets_no_second_copy(path: str, client: Client) -> None:
    first = await client.http.get(path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "public, max-age=300, must-revalidate"
    again = await client.http.get(path, headers={"if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await client.http.get(path, headers={"if-none-match": '"other"'})).content == first.content


@pytest.mark.parametrize("path", PUBLIC)
async def test_head_answers_like_get_without_the_document(path: str, client: Client) -> None:
    get, head = await client.http.get(path), await client.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    own = {"x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in own} == {
        k: v for k, v in get.headers.items() if k not in own
    }


@pytest.fixture
async def without_reference(database: TestDatabase, home: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(database_url=SecretStr(database.app_url), home=home, reference=False))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http:
        yield http


async def test_without_the_reference_the_payload_schemas_are_still_listed(without_reference: httpx.AsyncClient) -> None:
    statuses = [(await without_reference.get(path)).status_code for path in PUBLIC]
    assert statuses == [404, 404, 200]
