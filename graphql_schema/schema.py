"""The schema that the server executes; `schema.graphql` is its printed form."""

import strawberry
from graphql import is_introspection_type, is_specified_scalar_type, print_type
from strawberry.schema.config import StrawberryConfig

import graphql_schema.enums  # noqa: F401 - every enum is described before the schema is built
from graphql_schema import types
from graphql_schema.checks import check_types
from graphql_schema.input_bounds import check_lists
from graphql_schema.mutations import MutationRoot
from graphql_schema.one_of import mark_one_of
from graphql_schema.output_bounds import check_bounds
from graphql_schema.problems import PROBLEMS
from graphql_schema.queries import Query
from graphql_schema.scalars import SCALARS

schema = strawberry.Schema(
    query=Query,
    mutation=MutationRoot,
    types=[types.UserType, types.OverrideType, types.ReceiptType, *PROBLEMS],
    config=StrawberryConfig(auto_camel_case=True, scalar_map=SCALARS),
)
check_types(schema)
check_lists(schema._schema)
check_bounds(schema._schema)
mark_one_of(schema._schema)


def printed() -> str:
    """The schema in GraphQL's schema definition language, the content of schema.graphql, in the order of names.

    Strawberry's own printer leaves out that an argument or a field of an input is deprecated.
    """
    types = sorted(schema._schema.type_map.items())
    defined = [each for _, each in types if not is_introspection_type(each) and not is_specified_scalar_type(each)]
    return "\n\n".join(print_type(each) for each in defined) + "\n"
