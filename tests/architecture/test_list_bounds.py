"""Every list of the schema states how long it can be, or is a page of a list."""

from typing import Any

import pytest
import strawberry
from graphql import GraphQLObjectType, build_schema, is_list_type, is_non_null_type

from app.domain.limits import CAPS
from graphql_schema.output_bounds import BoundlessList, check_bounds
from graphql_schema.schema import schema
from resolvers.list_bounds import COMPLETE, HISTORY, OF_CONTENT

TYPES: dict[str, Any] = schema._schema.type_map
COMPLETE_LISTS = {
    "Location.contacts": "contacts",
    "Location.devices": "devices",
    "Location.people": "people",
    "Location.extensions": "extensions",
    "Location.workingHours": "workingHours",
    "Location.partners": "partners",
    "Person.extensions": "extensions",
    "CallFlow.options": "options",
    "CallFlow.directTargets": "directTargets",
    "ProvisioningPayload.recipients": "recipients",
    "ProvisioningPayload.receipts": "recipients",
    "Receipt.reasons": "reasons",
    "BulkApprovePayload.results": "bulkApprove",
    "BulkUpdateStatusPayload.results": "bulkUpdateStatus",
    "BulkGeneratePayloadsPayload.results": "bulkGeneratePayloads",
}


@pytest.mark.parametrize(("place", "cap"), COMPLETE_LISTS.items())
def test_a_complete_list_says_the_limit_that_writes_are_held_to(place: str, cap: str) -> None:
    parent, name = place.split(".")
    assert TYPES[parent].fields[name].description.endswith(f" At most {CAPS[cap]}, always complete.")


def test_histories_are_the_only_lists_that_are_cut_and_say_so() -> None:
    cut = set()
    for parent in TYPES.values():
        for name, field in parent.fields.items() if isinstance(parent, GraphQLObjectType) else ():
            description = field.description or ""
            inner = field.type.of_type if is_non_null_type(field.type) else field.type
            if is_list_type(inner) and "newest 100" in description:
                cut.add(f"{parent.name}.{name}")
                assert f"hasMore{name[0].upper()}{name[1:]}" in parent.fields
                assert "complete" not in description
    assert cut == {"Location.approvals", "Location.overrides", "Location.payloads", "Location.auditLog"}


def made_of(**metadata: Any) -> Any:
    @strawberry.type
    class Query:
        things: list[int] = strawberry.field(metadata=metadata)

    return strawberry.Schema(Query)._schema


@pytest.mark.parametrize("metadata", [{COMPLETE: 3}, {COMPLETE: OF_CONTENT}])
def test_a_list_with_a_bound_passes(metadata: dict[str, Any]) -> None:
    check_bounds(made_of(**metadata))


@pytest.mark.parametrize("metadata", [{}, {HISTORY: True}])
def test_a_list_without_a_bound_is_found_when_the_schema_is_built(metadata: dict[str, Any]) -> None:
    with pytest.raises(BoundlessList, match=r"no bound: Query\.things$"):
        check_bounds(made_of(**metadata))


def test_pages_enum_values_objects_with_given_ids_and_facts_of_problems_need_no_bound() -> None:
    check_bounds(
        build_schema(
            """enum E {A} interface Problem {path: [String!]}
            type Refused implements Problem {path: [String!] of: [Int]}
            type AConnection {nodes: [Int] edges: [Int]}
            type Query {all: AConnection kinds: [E!]! some(ids: [ID!]!): [Query] problems: [Problem!]! one: Refused}"""
        )
    )
    with pytest.raises(BoundlessList, match=r"ACollection\.nodes$"):
        check_bounds(build_schema("type ACollection {nodes: [Int]} type Query {all: ACollection}"))
