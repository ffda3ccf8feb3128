"""A Strawberry schema with the breadth-first executor."""

from collections.abc import Callable
from functools import partial
from typing import Any

import strawberry

from app.execution.executor import BreadthFirst


class BreadthFirstSchema(strawberry.Schema):
    """`strawberry.Schema` with the keyword `breadth_first`: the executor, or None for Strawberry's own."""

    def __init__(self, *args: Any, breadth_first: BreadthFirst | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.breadth_first = breadth_first

    def _get_execute_function(self) -> Callable[..., Any]:
        own = super()._get_execute_function()
        return own if self.breadth_first is None else partial(self.breadth_first.execute, fallback=own)
