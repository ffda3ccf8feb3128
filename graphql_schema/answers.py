"""The last step of a request: format the result of an execution, or the error that ended the request, as JSON.

The request is also summarised for operators.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from graphql import GraphQLError

from app.domain.viewer import Viewer
from graphql_schema import errors
from graphql_schema.errors import RequestOutcome
from graphql_schema.execution import Execution

LONGEST_NAME = 128
"""The characters of an operation's name that a summary has."""
_IN_THE_LOG = (
    "operation_type", "operation_name", "root_fields", "document_hash", "trusted", "user_id", "role", "statements",
    "price", "returned",
)  # fmt: skip
_FACTS = attrgetter(*_IN_THE_LOG)


class FieldSummary(NamedTuple):
    """The outcome of one executed root field, and the distinct codes of its errors."""

    outcome: RequestOutcome
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The facts of an answered request for operators: names of the schema, ids, codes and numbers.

    The name of the operation is the client's; all others are bounded by the schema. What a request did not reach is
    None or empty.
    """

    operation_type: str | None = None
    operation_name: str | None = None
    root_fields: tuple[str, ...] = ()
    """The distinct root fields of the operation, executed or not."""
    document_hash: str | None = None
    trusted: bool | None = None
    """Whether the document is one of the trusted documents; None if there are none, or the request was not prepared."""
    user_id: str | None = None
    role: str | None = None
    outcome: RequestOutcome
    codes: tuple[str, ...]
    """The distinct codes of the errors."""
    fields: Mapping[str, FieldSummary]
    """The executed root fields by name."""
    statements: int
    """The statements of the transactions, with those that begin and end them. Not those that count incidents."""
    price: int | None = None
    """The objects that the request reserved."""
    returned: int | None = None
    """The objects that it returned."""

    def facts(self) -> dict[str, object]:
        """What the line of the request in the log has; None for what the request did not reach."""
        facts = zip(_IN_THE_LOG, _FACTS(self), strict=True)
        return {name: value for name, value in facts if value is not None and value != ()}


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON of a response; `executed` distinguishes a GraphQL result from a refused request.

    `holds_secret` is whether the JSON shows a secret, which nothing on its way may store or compress. `viewer` is who
    executed the operation; None for a refused request. `summary` is None before the request is summarised.
    """

    body: dict[str, Any]
    executed: bool
    holds_secret: bool = False
    viewer: Viewer | None = None
    summary: Summary | None = None

    def with_summary(self, summary: Summary) -> "Answer":
        """The same answer, summarised."""
        return Answer(self.body, self.executed, self.holds_secret, self.viewer, summary)

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
    return Answer(
        {**body, "extensions": {"cost": cost}},
        executed=True,
        holds_secret=execution.holds_secret,
        viewer=execution.viewer,
    )


def failed(error: Exception, request_id: str, *, outcome: str | None) -> Answer:
    """The answer of a request that an exception ended; `outcome` is that of a mutation's writes, None for a query."""
    formatted = errors.raised(error)
    if outcome is not None:
        formatted = errors.with_outcome(formatted, outcome)
    return refused([formatted], request_id)


def refused(formatted: list[dict[str, Any]], request_id: str) -> Answer:
    """The answer of a request that was refused with these errors."""
    return Answer({"errors": [_named(each, request_id) for each in formatted]}, executed=False)


def summaries_of(body: Mapping[str, Any], root_fields: Mapping[str, str]) -> dict[str, FieldSummary]:
    """The summary of each executed root field; `root_fields` are the names by response key.

    An error belongs to the root field in its path; without a path it belongs to all of them.
    """
    data = body.get("data")
    executed = [root_fields[key] for key in data] if isinstance(data, dict) else root_fields.values()
    if "errors" not in body:
        return dict.fromkeys(executed, _WITHOUT_ERRORS)
    codes: dict[str, dict[str, None]] = {name: {} for name in executed}
    for error in body["errors"]:
        path = error.get("path")
        for name in [root_fields[path[0]]] if path else list(codes):
            codes.setdefault(name, {})[error["extensions"]["code"]] = None
    return {name: FieldSummary(errors.outcome_of_request(found), tuple(found)) for name, found in codes.items()}


_WITHOUT_ERRORS = FieldSummary(RequestOutcome.OK)


def _resolved(error: GraphQLError, written: Collection[str | int] | None) -> dict[str, Any]:
    formatted = errors.resolved(error)
    return formatted if written is None else errors.with_outcome(formatted, errors.outcome_of(error, written))


def _named(error: dict[str, Any], request_id: str) -> dict[str, Any]:
    return {**error, "extensions": {**error["extensions"], "requestId": request_id}}
