"""The third step of a request: execute the operation, and count the objects of its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import ExecutionResult, GraphQLError

from app.domain.viewer import Viewer
from app.execution import Executed
from graphql_schema import errors
from graphql_schema.allowance import ENDING, ObjectAllowance
from graphql_schema.requests import PreparedOperation, Request
from resolvers.context import Context

Execute = Callable[..., Any]
"""graphql-core's `execute`, or a function with the same arguments, with the schema bound."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A result, the user that it is for, and its cost: the price reserved and the objects returned."""

    result: ExecutionResult
    viewer: Viewer
    price: int
    returned: int


async def execute(
    run: Execute, prepared: PreparedOperation, request: Request, context: Context, allowance: ObjectAllowance
) -> Execution:
    """Run the operation: a query on one snapshot, the root fields of a mutation sequentially.

    Raises DocumentTooComplex or RateLimited for a result with more objects than allowed.
    """
    result = run(
        prepared.document,
        context_value=context,
        variable_values=prepared.variables,
        operation_name=request.operation_name,
    )
    if not isinstance(result, ExecutionResult):
        result = await result
    returned = _returned(prepared, result)
    if result.data is None:
        returned = allowance.reserved if any(map(_ended, result.errors or ())) else returned
    else:
        reserving = allowance.reserve(returned)  # an executor that asked while it ran has reserved them already
        if reserving is not None:
            await reserving
    return Execution(result, context.viewer, allowance.reserved, returned)


def _ended(error: GraphQLError) -> bool:
    """Whether the error ended the operation, which has then used what it reserved."""
    return error.path is None or isinstance(errors.cause_of(error), ENDING)


def _returned(prepared: PreparedOperation, result: ExecutionResult) -> int:
    counted = result.objects if isinstance(result, Executed) else None
    return prepared.operation.returned.count(result.data) if counted is None else counted
