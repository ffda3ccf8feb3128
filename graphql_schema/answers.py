"""The last step of a request: format the result of an execution, or the error that ended the request, as JSON."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from graphql_schema import errors
from graphql_schema.execution import Execution


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON of a response; `executed` distinguishes a GraphQL result from a refused request."""

    body: dict[str, Any]
    executed: bool

    @property
    def codes(self) -> list[str]:
        """The codes of the errors, in order."""
        return [error["extensions"]["code"] for error in self.body.get("errors", ())]


def executed(execution: Execution, request_id: str, *, maximum: int, written: Collection[str | int] | None) -> Answer:
    """The answer of an executed operation, with its cost and the `maximum` price.

    `written` contains the response keys of the root fields of a mutation that began to write. It is None for a query.
    """
    result = execution.result
    if result.data is None and result.errors and all(error.path is None for error in result.errors):
        return refused([errors.resolved(error) for error in result.errors], request_id)
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [_named(_resolved(error, written), request_id) for error in result.errors]
    cost = {"price": execution.price, "returned": execution.returned, "maximum": maximum}
    return Answer({**body, "extensions": {"cost": cost}}, executed=True)


def failed(error: Exception, request_id: str, *, outcome: str | None) -> Answer:
    """The answer of a request that an exception ended; `outcome` is that of a mutation's writes, None for a query."""
    formatted = errors.raised(error)
    if outcome is not None:
        formatted = errors.with_outcome(formatted, outcome)
    return refused([formatted], request_id)


def refused(formatted: list[dict[str, Any]], request_id: str) -> Answer:
    """The answer of a request that was refused with these errors."""
    return Answer({"errors": [_named(each, request_id) for each in formatted]}, executed=False)


def _resolved(error: GraphQLError, written: Collection[str | int] | None) -> dict[str, Any]:
    formatted = errors.resolved(error)
    return formatted if written is None else errors.with_outcome(formatted, errors.outcome_of(error, written))


def _named(error: dict[str, Any], request_id: str) -> dict[str, Any]:
    return {**error, "extensions": {**error["extensions"], "requestId": request_id}}
