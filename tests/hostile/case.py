"""A hostile request: what is sent, in bytes, and by which family it was generated."""

import json
from dataclasses import KW_ONLY, dataclass
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    get_named_type,
    is_list_type,
    is_non_null_type,
)

from graphql_schema.schema import schema

SCHEMA = schema._schema
ADMINISTRATION = frozenset(
    {
        "confirmUser",
        "addDeviceModel",
        "createAccount",
        "createLocation",
        "createUser",
        "editDeviceModel",
        "editUser",
        "inviteUser",
        "reinstateUser",
        "createServiceToken",
        "revokeServiceToken",
        "revokeSession",
        "revokeSessions",
        "removeDeviceModel",
        "revokeInvitation",
        "setAcceptedPayloadVersions",
        "setDeviceModels",
        "setGrants",
        "suspendUser",
        "updateAccount",
    }
)
"""Mutations that change who may see what, or what canary queries read. Hostile requests do not use them."""
IDS = ("location-1", "location-2", "location-9", "account-1", "phone-1", "user-acme", "location-99", "no such id")

TOKEN = b"{token}"
"""The place of the token in the head of a request."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request without its token.

    Either `document` and `variables`, which are sent as JSON, or `body` as it is. `raw` replaces the whole request.
    `silent` allows the server to close the connection without a response.
    """

    family: str
    index: int = 0
    _: KW_ONLY
    document: str = ""
    variables: Any = None
    body: bytes | None = None
    fields: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    silent: bool = False

    def request(self, token: str, attempt: int = 0) -> bytes:
        """Return the request. Each attempt has another document, which no cache knows, where there is one."""
        if self.raw is not None:
            return self.raw.replace(TOKEN, token.encode())
        body = self.body
        if body is None:
            body = as_json({"query": self.document + " " * attempt, "variables": self.variables})
        fields = {"Host": "127.0.0.1", "Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        fields |= {"Content-Length": str(len(body)), **dict(self.fields)}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        return f"POST /graphql HTTP/1.1\r\n{head}\r\n".encode() + body


def as_json(value: Any) -> bytes:
    """Return JSON in UTF-8; unpaired surrogates, which UTF-8 does not have, are escaped."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def mutations() -> dict[str, GraphQLField]:
    """Return the mutations that hostile requests use."""
    kind = SCHEMA.mutation_type
    assert kind is not None
    return {name: each for name, each in kind.fields.items() if name not in ADMINISTRATION}


def queries() -> dict[str, GraphQLField]:
    """Return the root fields of queries."""
    kind = SCHEMA.query_type
    assert kind is not None
    return dict(kind.fields)


@dataclass
class GoodValues:
    """Draws valid values for input types, as variables or as literals."""

    random: Random
    ids: tuple[str, ...] = IDS
    texts: tuple[str, ...] = ("Acme", "North", "", "Front desk", "0")
    optional: float = 0.4

    def value(self, kind: Any, name: str = "", depth: int = 0) -> Any:
        """Return a value for a variable of this type."""
        random = self.random
        kind = kind.of_type if is_non_null_type(kind) else kind
        if is_list_type(kind):
            return [self.value(kind.of_type, name, depth + 1) for _ in range(random.randint(0, 2))]
        if isinstance(kind, GraphQLEnumType):
            return random.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType) and kind.is_one_of:
            each = random.choice(list(kind.fields))
            return {each: self.value(kind.fields[each].type, each, depth + 1)}
        if isinstance(kind, GraphQLInputObjectType):
            return {
                each: self.value(field.type, each, depth + 1)
                for each, field in kind.fields.items()
                if is_non_null_type(field.type) or (depth < 4 and random.random() < self.optional)
            }
        return {
            "ID": random.choice(self.ids),
            "Int": random.choice([1, 2, 3, 20]),
            "Float": 1.5,
            "Boolean": random.random() < 0.5,
            "DateTime": "2026-01-01T00:00:00+00:00",
            "Time": "09:00:00",
        }.get(kind.name, f"key-{random.randrange(2**48)}" if name == "idempotencyKey" else random.choice(self.texts))


def literal(value: Any, kind: Any) -> str:
    """Return a value as a literal of its type in a document."""
    if is_non_null_type(kind):
        return literal(value, kind.of_type)
    if isinstance(value, list) and is_list_type(kind):
        return f"[{', '.join(literal(each, kind.of_type) for each in value)}]"
    if isinstance(value, dict) and isinstance(kind, GraphQLInputObjectType):
        return "{" + ", ".join(f"{name}: {literal(each, kind.fields[name].type)}" for name, each in value.items()) + "}"
    return str(value) if isinstance(kind, GraphQLEnumType) else json.dumps(value)


def an_operation_with_variables(random: Random) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return a document of one root field with all its arguments as variables, their types, and valid values."""
    operation, roots = random.choice([("query", queries()), ("mutation", mutations())])
    name = random.choice([each for each, definition in roots.items() if definition.args])
    definition = roots[name]
    types = {argument: each.type for argument, each in definition.args.items()}
    values = {argument: GoodValues(random).value(kind, argument) for argument, kind in types.items()}
    declared = ", ".join(f"${argument}: {kind}" for argument, kind in types.items())
    given = ", ".join(f"{argument}: ${argument}" for argument in types)
    return f"{operation} Made({declared}) {{ {name}({given}) {selection(definition)} }}", types, values


def selection(definition: GraphQLField) -> str:
    """Return a small valid selection below a field."""
    fields = getattr(get_named_type(definition.type), "fields", None)
    if fields is None:
        return ""
    found = {
        "nodes": "nodes { __typename }",
        "problems": "problems { code path }",
        "id": "id",
        "name": "name",
    }
    return "{ __typename " + " ".join(text for name, text in found.items() if name in fields) + " }"
