"""The third step of a request: execute the operation, and count the objects of its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLError

from app.domain.viewer import Viewer
from app.execution import Executed
from graphql_schema import errors
from graphql_schema.allowance import ENDING, ObjectAllowance
from graphql_schema.introspection import KeptAnswers, Key
from graphql_schema.requests import PreparedOperation
from resolvers.context import Context

Execute = Callable[..., Any]
"""graphql-core's `execute`, or a function with the same arguments, with the schema bound."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A result, the user that it is for, the price reserved, the objects returned, and the price charged.

    `holds_secret` is whether the result shows a secret.
    """

    result: ExecutionResult
    viewer: Viewer
    price: int
    returned: int
    charged: int
    holds_secret: bool = False


async def execute(
    run: Execute,
    prepared: PreparedOperation,
    context: Context,
    *,
    allowance: ObjectAllowance,
    kept_answers: KeptAnswers,
) -> Execution:
    """Run the operation: a query on one snapshot, the root fields of a mutation sequentially.

    An operation that selects nothing but introspection runs once, and its answer is kept. Raises DocumentTooComplex or
    RateLimited for a result with more objects than allowed.
    """
    key = _key(prepared)
    answer = kept_answers.get(key) if key else None
    if answer is not None:
        charged = answer.returned + prepared.surcharge
        return Execution(answer.result, context.viewer, prepared.price, answer.returned, charged)
    result = run(
        prepared.document,
        context_value=context,
        variable_values=prepared.variables,
        operation_name=prepared.operation.name,
    )
    if not isinstance(result, ExecutionResult):
        result = await result
    returned = _returned(prepared, result)
    charged = returned + prepared.surcharge
    if result.data is None:
        if any(map(_ended, result.errors or ())):
            returned = charged = allowance.reserved
    else:
        reserving = allowance.reserve(returned)  # an executor that asked while it ran has reserved them already
        if reserving is not None:
            await reserving
        if key and not result.errors:
            result = kept_answers.keep(key, result.data, returned).result
    return Execution(result, context.viewer, allowance.reserved, returned, charged, context.holds_secret)


def _key(prepared: PreparedOperation) -> Key | None:
    """Everything that the answer depends on, None if it depends on data."""
    operation = prepared.operation
    if not operation.introspection.is_all:
        return None
    return operation.document_hash, operation.name, orjson.dumps(prepared.variables.coerced.coerced)


def _ended(error: GraphQLError) -> bool:
    """Whether the error ended the operation, which has then used what it reserved."""
    return error.path is None or isinstance(errors.cause_of(error), ENDING)


def _returned(prepared: PreparedOperation, result: ExecutionResult) -> int:
    counted = result.objects if isinstance(result, Executed) else None
    return prepared.operation.returned.count(result.data) if counted is None else counted
