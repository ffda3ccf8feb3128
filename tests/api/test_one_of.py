"""@oneOf inputs: exactly one field, not null, in documents and variables, whichever executor answers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import build_schema, print_type

from app.settings import Executor, Settings
from graphql_schema.schema import printed
from tests.harness import LEAD, Client, TestDatabase, granting

from .serving import serving

GRANT = 'mutation($grants: [GrantInput!]!) { setGrants(input: {userId: "user-acme", expectedRevision: 1, grants: $grants}) { user { id } problems { path } } }'  # noqa: E501 - one line reads best
NESTED = "mutation($input: SetCallFlowInput!) { setCallFlow(input: $input) { location { id } problems { path } } }"
RULE = "exactly one field must be specified, and the value for that field must be non-null."
FLOW = "callFlow { timeoutTarget { kind extension { id } externalNumber } options { target { kind extension { id } externalNumber } } }"  # noqa: E501 - one line reads best


@pytest.fixture(params=Executor)
async def server(request: pytest.FixtureRequest, settings: Settings, database: TestDatabase) -> AsyncIterator[Client]:
    """A server of each executor. Nothing is written: every call is refused, or from a revision that is not there."""
    async with serving(settings, database, executor=request.param) as client:
        yield client


def call(scope: str, variables: str = "") -> str:
    """A document with a scope, from a revision that is not there."""
    grant = f'{{accountId: "account-1", scope: {scope}}}'
    given = f'userId: "user-acme", expectedRevision: 99, grants: [{grant}]'
    return f"mutation{variables} {{ setGrants(input: {{{given}}}) {{ problems {{ code }} }} }}"


async def refusal(client: Client, document: str, **variables: Any) -> tuple[str, str]:
    """The code and the message of the only error; there is no data."""
    answer = await client.ask(document, LEAD, **variables)
    assert answer.body.get("data") is None
    (error,) = answer.body["errors"]
    return error["extensions"]["code"], error["message"]


@pytest.mark.parametrize(
    "scope",
    [
        "{}",
        "{allLocations: null}",
        "{locationIds: null}",
        '{allLocations: true, locationIds: ["location-1"]}',
        "{allLocations: true, locationIds: null}",
    ],
)
async def test_a_document_gives_exactly_one_field_that_is_not_null(server: Client, scope: str) -> None:
    code, message = await refusal(server, call(scope))
    assert code == "GRAPHQL_VALIDATION_FAILED"
    assert message == f"Within OneOf Input Object type 'GrantScopeInput', {RULE}"


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"allLocations": None},
        {"locationIds": None},
        {"allLocations": True, "locationIds": ["location-1"]},
        {"allLocations": True, "locationIds": None},
    ],
)
async def test_a_variable_gives_exactly_one_field_that_is_not_null(server: Client, scope: dict[str, Any]) -> None:
    rule = "must have exactly one field, and its value must not be null."
    inside = await refusal(server, GRANT, grants=[granting("account-1"), {"accountId": "account-1", "scope": scope}])
    assert inside == ("BAD_USER_INPUT", f"Invalid value for grants.1.scope: {rule}")
    whole = await refusal(server, call("$scope", "($scope: GrantScopeInput!)"), scope=scope)
    assert whole == ("BAD_USER_INPUT", f"Invalid value for scope: {rule}")


async def test_a_scope_cannot_be_left_out(server: Client) -> None:
    code, message = await refusal(server, GRANT, grants=[{"accountId": "account-1"}])
    assert (code, "scope" in message) == ("BAD_USER_INPUT", True)
    code, message = await refusal(server, call("null"))
    assert (code, "GrantScopeInput!" in message) == ("GRAPHQL_VALIDATION_FAILED", True)


@pytest.mark.parametrize(("kind", "field"), [("Boolean", "allLocations"), ("[ID!]", "locationIds")])
async def test_a_variable_that_is_a_field_cannot_be_null(server: Client, kind: str, field: str) -> None:
    for default in ("", " = true" if kind == "Boolean" else ' = ["location-1"]'):
        code, message = await refusal(server, call(f"{{{field}: $v}}", f"($v: {kind}{default})"))
        assert code == "GRAPHQL_VALIDATION_FAILED"
        assert message == "Variable '$v' must be non-nullable to be used for OneOf Input Object 'GrantScopeInput'."


async def test_a_nullable_position_has_the_same_rule(server: Client) -> None:
    given = 'locationId: "location-1", expectedRevision: 99, kind: IVR'
    for target, variables in (("{hangUp: $v}", "($v: Boolean)"), ("{externalNumber: $v}", "($v: String)")):
        document = f"mutation{variables} {{ setCallFlow(input: {{{given}, timeoutTarget: {target}}}) {{ replayed }} }}"
        code, message = await refusal(server, document)
        assert code == "GRAPHQL_VALIDATION_FAILED"
        assert "must be non-nullable to be used for OneOf Input Object 'TargetInput'" in message


@pytest.mark.parametrize(
    ("scope", "variables", "values"),
    [
        ("{allLocations: true}", "", {}),
        ('{locationIds: ["location-1"]}', "", {}),
        ('{locationIds: "location-1"}', "", {}),
        ("{allLocations: $v}", "($v: Boolean!)", {"v": True}),
        ("{locationIds: $v}", "($v: [ID!]!)", {"v": ["location-1", "location-2"]}),
        ("{locationIds: [$v]}", "($v: ID!)", {"v": "location-1"}),
        ("$v", "($v: GrantScopeInput!)", {"v": {"locationIds": "location-1"}}),
        ("$v", "($v: GrantScopeInput! = {allLocations: true})", {}),
    ],
)
async def test_a_field_that_is_given_in_any_way_is_accepted(
    server: Client, scope: str, variables: str, values: dict[str, Any]
) -> None:
    answer = await server.ask(call(scope, variables), LEAD, **values)
    assert answer.data == {"setGrants": {"problems": [{"code": "CONFLICT"}]}}


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ({"hangUp": False}, ["hangUp"]),
        ({"voicemailOfLocation": False}, ["voicemailOfLocation"]),
        ({"externalNumber": "x\u0000"}, ["externalNumber"]),
        ({"extensionId": "extension-99"}, ["extensionId"]),
        ({"voicemailOfExtensionId": "extension-99"}, ["voicemailOfExtensionId"]),
    ],
)
@pytest.mark.parametrize("at", ["timeoutTarget", "options"])
async def test_a_value_that_cannot_be_is_a_problem_at_its_field(
    server: Client, target: dict[str, Any], path: list[str], at: str
) -> None:
    read = await server.ask('{ location(id: "location-1") { sections { section revision } } }', LEAD)
    (revision,) = [each["revision"] for each in read.data["location"]["sections"] if each["section"] == "CALL_FLOW"]
    given = {"options": [{"digit": "1", "target": target}]} if at == "options" else {at: target}
    answer = await server.ask(
        NESTED, LEAD, input={"locationId": "location-1", "expectedRevision": revision, "kind": "IVR", **given}
    )
    place = ["options", "0", "target"] if at == "options" else [at]
    assert answer.data["setCallFlow"] == {"location": None, "problems": [{"path": [*place, *path]}]}


EXTENSION = {"id": "extension-1"}
STORED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"extensionId": "extension-1"}, {"kind": "EXTENSION", "extension": EXTENSION, "externalNumber": None}),
    ({"voicemailOfExtensionId": "extension-1"}, {"kind": "VOICEMAIL", "extension": EXTENSION, "externalNumber": None}),
    ({"voicemailOfLocation": True}, {"kind": "VOICEMAIL", "extension": None, "externalNumber": None}),
    (
        {"externalNumber": "+1 212 555 0101"},
        {"kind": "EXTERNAL_NUMBER", "extension": None, "externalNumber": "+1 212 555 0101"},
    ),
    ({"externalNumber": " "}, {"kind": "EXTERNAL_NUMBER", "extension": None, "externalNumber": None}),
    ({"hangUp": True}, {"kind": "HANG_UP", "extension": None, "externalNumber": None}),
]


async def test_each_field_of_a_target_is_kept_as_the_kind_that_it_stands_for(own_client: Client) -> None:
    options = [{"digit": str(place), "target": target} for place, (target, _) in enumerate(STORED)]
    given = {"locationId": "location-1", "expectedRevision": 1, "kind": "IVR", "options": options}
    answer = await own_client.ask(
        NESTED.replace("id }", f"{FLOW} }}"), LEAD, input={**given, "timeoutTarget": {"hangUp": True}}
    )
    flow = answer.data["setCallFlow"]["location"]["callFlow"]
    assert [each["target"] for each in flow["options"]] == [kept for _, kept in STORED]
    assert flow["timeoutTarget"] == STORED[-1][1]


async def test_introspection_and_the_printed_schema_say_which_inputs_are_one_of(server: Client) -> None:
    answer = await server.ask("{ __schema { types { name isOneOf } } }", LEAD)
    names = {each["name"] for each in answer.data["__schema"]["types"] if each["isOneOf"]}
    assert names == {
        "GrantScopeInput",
        "LocationPartnersInput",
        "OnBehalfOfInput",
        "TargetInput",
        "TokenAccountsInput",
        "TokenActionsInput",
    }
    for name in names:
        assert f"input {name} @oneOf {{" in print_type(build_schema(printed()).type_map[name])
