"""Observers of round trips and steps, and what failed: what a tracer is, for those who may not know it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

# Called around each round trip or step with its kind ("sql", "command", "batch", "redis", "step"), the name of the
# statement, command, call or step, and facts; returns a context.
Observer = Callable[[str, str, Mapping[str, Any]], AbstractContextManager[Any]]


_STATEMENT = "turnup_statement"  # the attribute of an exception


def note_statement(error: BaseException, name: str) -> None:
    """Note on an exception the name of the statement that failed. The name is one of the code."""
    setattr(error, _STATEMENT, name)


def statement_of(error: BaseException) -> str | None:
    """Return the name of the statement that was noted on an exception."""
    name: str | None = getattr(error, _STATEMENT, None)
    return name


def unobserved(_kind: str, _name: str, _facts: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Observe nothing: the default observer."""
    return nullcontext()
