"""The schema that the server executes; `schema.graphql` is its printed form."""

import strawberry
from strawberry.schema.config import StrawberryConfig

import graphql_schema.enums  # noqa: F401 - every enum is described before the schema is built
from graphql_schema import types
from graphql_schema.checks import check_types
from graphql_schema.input_bounds import check_lists
from graphql_schema.mutations import MutationRoot
from graphql_schema.problems import PROBLEMS
from graphql_schema.queries import Query

schema = strawberry.Schema(
    query=Query,
    mutation=MutationRoot,
    types=[types.UserType, types.OverrideType, types.ReceiptType, *PROBLEMS],
    config=StrawberryConfig(auto_camel_case=True),
)
check_types(schema)
check_lists(schema._schema)


def printed() -> str:
    """The schema in GraphQL's schema definition language, the content of schema.graphql."""
    return f"{schema.as_str()}\n"
