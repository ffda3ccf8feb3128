"""Observers of round trips and steps: what a tracer is, for those who may not know it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

# Called around each round trip or step with its kind ("sql", "command", "batch", "redis", "step"), the name of the
# statement, command, call or step, and facts; returns a context.
Observer = Callable[[str, str, Mapping[str, Any]], AbstractContextManager[Any]]


def unobserved(_kind: str, _name: str, _facts: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Observe nothing: the default observer."""
    return nullcontext()
