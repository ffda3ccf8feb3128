"""The third step of a request: execute the operation, and count the objects of its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import ExecutionResult

from app.domain.viewer import Viewer
from app.execution import Executed
from graphql_schema.introspection import KeptAnswers, Key
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
    run: Execute, prepared: PreparedOperation, request: Request, context: Context, kept_answers: KeptAnswers
) -> Execution:
    """Run the operation: a query on one snapshot, the root fields of a mutation sequentially.

    An operation that selects nothing but introspection runs once, and its answer is kept.
    """
    key = _key(prepared, request)
    answer = kept_answers.get(key) if key else None
    if answer is not None:
        return Execution(answer.result, context.viewer, prepared.price, answer.returned)
    result = run(
        prepared.document,
        context_value=context,
        variable_values=dict(request.variables or {}),
        operation_name=request.operation_name,
    )
    if not isinstance(result, ExecutionResult):
        result = await result
    returned = _returned(prepared, result)
    if key and result.data is not None and not result.errors:
        result = kept_answers.keep(key, result.data, returned).result
    return Execution(result, context.viewer, prepared.price, returned)


def _key(prepared: PreparedOperation, request: Request) -> Key | None:
    """Everything that the answer depends on, None if it depends on data."""
    operation = prepared.operation
    if not operation.introspection.is_all:
        return None
    variables = operation.introspection.variables_in(request.variables or {})
    return request.query, operation.name, orjson.dumps(variables)


def _returned(prepared: PreparedOperation, result: ExecutionResult) -> int:
    counted = result.objects if isinstance(result, Executed) else None
    return prepared.operation.returned.count(result.data) if counted is None else counted
