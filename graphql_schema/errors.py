"""Translates exceptions to errors of the API, with one table from class to code.

An exception that is not in the table is a bug: the client gets a constant message and the request id, and the exception
is logged.
"""

import re
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from graphql import FieldNode, GraphQLError, ValueNode

from app.db.database import UnknownUser
from app.db.failures import (
    CommitUnknown,
    DatabaseReadOnly,
    DatabaseUnavailable,
    LockTimeout,
    MigrationsMissing,
    Overloaded,
    StatementTimeout,
    StatementTooComplex,
    WritesOfOlderCode,
)
from app.db.loaders import MOST_ROWS, TooManyRows
from app.domain.refusals import InvalidInput, NotFound
from app.query_cost.limits import DocumentTooComplex
from graphql_schema.input_bounds import ValueOutOfBounds
from permissions.policy import Forbidden
from resolvers.budgets import BudgetsUnavailable, RateLimited, WritesClosed
from resolvers.mutations import ReadingFailed, ReadingLost
from resolvers.objects import SomeForbidden, SomeNotFound

# The codes of failures of the server, or of what it depends on. Every other code refuses what the client sent.
FAILURES = frozenset({"INTERNAL", "OVERLOADED", "TIMEOUT", "UNAVAILABLE"})

# Failures after which the client has to know the outcome of the write.
OUTCOME_CODES = frozenset({"TIMEOUT", "UNAVAILABLE", "OVERLOADED", "INTERNAL", "QUERY_TOO_COMPLEX"})

DEADLINE_MESSAGE = "The request exceeded the time limit."
INTERNAL_MESSAGE = "Internal server error. Report the request id to the operators of this server."

# What is Python's in the messages of graphql-core that are passed on. The first is about null in a document, or in a
# variable for a position that cannot be null; the second quotes what Python says about a number of very many digits.
_PYTHON_NULL, _NULL = "not to be None.", "not to be null."
_PYTHON_ERROR = re.compile(", but encountered error '.*'; found: ")

Facts = Callable[[Any], Mapping[str, Any]]


def _none(_error: Any) -> Mapping[str, Any]:
    return {}


def _indexes(error: Any) -> Mapping[str, Any]:
    return {"indexes": error.indexes}


# The code, the message (None: the message of the exception), and the facts for `extensions`.
TABLE: Mapping[type[BaseException], tuple[str, str | None, Facts]] = {
    Forbidden: ("FORBIDDEN", None, _none),
    SomeForbidden: ("FORBIDDEN", None, _indexes),
    NotFound: ("NOT_FOUND", None, _none),
    SomeNotFound: ("NOT_FOUND", "Some of the objects do not exist or are not visible to you.", _indexes),
    InvalidInput: ("BAD_USER_INPUT", None, lambda error: {"field": error.field}),
    ValueOutOfBounds: ("BAD_USER_INPUT", None, lambda error: {"field": error.field}),
    DocumentTooComplex: ("QUERY_TOO_COMPLEX", None, lambda error: {"limit": error.limit, "maximum": error.maximum}),
    TooManyRows: (
        "QUERY_TOO_COMPLEX",
        f"The lists of one level of the query have more than {MOST_ROWS} items. Request smaller pages.",
        lambda _error: {"limit": "rows", "maximum": MOST_ROWS},
    ),
    UnknownUser: ("UNAUTHENTICATED", None, _none),
    StatementTimeout: ("TIMEOUT", "The query exceeded the time limit.", _none),
    TimeoutError: ("TIMEOUT", DEADLINE_MESSAGE, _none),
    StatementTooComplex: (
        "QUERY_TOO_COMPLEX",
        "The request exceeds a limit of the database. Request less at once.",
        lambda _error: {"limit": "database"},
    ),
    DatabaseUnavailable: ("UNAVAILABLE", "The database is unavailable. Retry shortly.", _none),
    DatabaseReadOnly: ("UNAVAILABLE", "The database accepts no writes at the moment. Retry shortly.", _none),
    WritesOfOlderCode: (
        "UNAVAILABLE",
        "The server is being upgraded: this process is of an older version and only reads. Nothing was written. Retry"
        " shortly.",
        _none,
    ),
    MigrationsMissing: (
        "UNAVAILABLE",
        "The server is being upgraded: the database is not migrated yet. Nothing was written. Retry shortly.",
        _none,
    ),
    ReadingLost: ("UNAVAILABLE", "The change was committed, but the response could not be read.", _none),
    RateLimited: (
        "RATE_LIMITED",
        None,
        lambda error: {"budget": error.budget, "limit": error.limit, "retryAfterMs": error.retry_after_ms},
    ),
    BudgetsUnavailable: ("UNAVAILABLE", None, _none),
    WritesClosed: ("UNAVAILABLE", None, _none),
    Overloaded: ("OVERLOADED", "The server is handling too many requests. Retry shortly.", _none),
    LockTimeout: ("OVERLOADED", "Other requests are changing the same data. Retry shortly.", _none),
}


class RequestOutcome(StrEnum):
    """The outcome of a request for operators; the label of metrics."""

    OK = "ok"
    """Without errors. A mutation that the business rules refuse is one of these: its problems are data."""
    REFUSED = "refused"
    """With errors that the client caused."""
    FAILED = "failed"
    """With an error in FAILURES."""


class RequestRefused(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """The request ends before execution, with these errors and no data. `operation` is what it asked for, if known."""

    def __init__(self, errors: list[dict[str, Any]], operation: "RequestedOperation | None" = None) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors
        self.operation = operation


class RequestedOperation(NamedTuple):
    """What operators learn about an operation: its type, its name, and the distinct names of its root fields.

    A document that is not valid has no root fields here: their names may be any text of the client.
    """

    type: str
    name: str | None
    root_fields: tuple[str, ...] = ()


def refused(code: str, error: GraphQLError) -> dict[str, Any]:
    """An error that graphql-core found before execution, such as a syntax error, with a code."""
    message = _PYTHON_ERROR.sub(", found: ", error.message.replace(_PYTHON_NULL, _NULL))
    return {**_place(error), "message": message, "extensions": {"code": code}}


def raised(error: BaseException) -> dict[str, Any]:
    """The error for an exception that ended a request."""
    code, message, facts = _entry(error)
    return {"message": message, "extensions": {"code": code, **facts}}


def resolved(error: GraphQLError) -> dict[str, Any]:
    """The error for a field that could not be resolved, or for values that do not match their types."""
    if _is_about_input(error):
        return refused("BAD_USER_INPUT", error)
    return {**_place(error), **raised(cause_of(error))}


def with_outcome(formatted: dict[str, Any], outcome: str) -> dict[str, Any]:
    """The error of a write, with its outcome if the code leaves it open: NONE, APPLIED or UNKNOWN."""
    if formatted["extensions"]["code"] not in OUTCOME_CODES:
        return formatted
    return {**formatted, "extensions": {**formatted["extensions"], "outcome": outcome}}


def outcome_of(error: GraphQLError, written: Collection[str | int]) -> str:
    """The outcome of the write whose field failed. An error below a root field occurs after the commit."""
    if not error.path or error.path[0] not in written:
        return "NONE"
    if len(error.path) > 1 or isinstance(cause_of(error), ReadingFailed):
        return "APPLIED"
    return "UNKNOWN" if isinstance(cause_of(error), CommitUnknown) else "NONE"


def outcome_of_request(codes: Collection[str], own_share: bool = False) -> RequestOutcome:
    """The outcome of a request that was answered with errors of these codes.

    `own_share` is whether the client used up its own share of the server: that is no failure, whatever the code.
    """
    if not codes:
        return RequestOutcome.OK
    return RequestOutcome.REFUSED if own_share or FAILURES.isdisjoint(codes) else RequestOutcome.FAILED


def denied_field(error: GraphQLError) -> str | None:
    """The name of the field that the role does not include, or None if the error has another cause."""
    return field_of(error) if isinstance(cause_of(error), Forbidden) else None


def field_of(error: GraphQLError) -> str | None:
    """The name of the field that failed, or None if the error is about something else."""
    node = error.nodes[0] if error.nodes else None
    return node.name.value if isinstance(node, FieldNode) else None


def is_bug(error: BaseException) -> bool:
    """Whether the code of the error is INTERNAL. Such errors are logged."""
    formatted = resolved(error) if isinstance(error, GraphQLError) else raised(error)
    return bool(formatted["extensions"]["code"] == "INTERNAL")


def _is_about_input(error: GraphQLError) -> bool:
    """Whether graphql-core rejected a value that was sent: a variable as a whole, or a value used in an argument.

    Such an error has no path, or its location is the value; an error in a resolver has the location of the field.
    """
    at_value = error.path is None or any(isinstance(node, ValueNode) for node in error.nodes or ())
    return at_value and isinstance(cause_of(error), GraphQLError)


def cause_of(error: GraphQLError) -> BaseException:
    """The exception that was raised. graphql-core can wrap it more than once."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _entry(error: BaseException) -> tuple[str, str, Mapping[str, Any]]:
    for kind in type(error).__mro__:
        if kind in TABLE:
            code, message, facts = TABLE[kind]
            return code, message or str(error), facts(error)
    return "INTERNAL", INTERNAL_MESSAGE, {}


def _place(error: GraphQLError) -> dict[str, Any]:
    place: dict[str, Any] = {}
    if error.locations:
        place["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    if error.path:
        place["path"] = error.path
    return place
