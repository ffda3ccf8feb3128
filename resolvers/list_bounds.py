"""The bounds that lists of the schema declare, so that clients and the schema's own check know how long they can be."""

from typing import Any, Final

COMPLETE = "complete"
"""Key in a list's `metadata`: the list is never cut. The value is the maximum number of its items, or OF_CONTENT."""
HISTORY = "history"
"""Key in a list's `metadata`: the list contains the newest rows only, and a field beside it says if there are more."""

OF_CONTENT: Final = "content"
"""The bound of a list whose length follows from the content of one location, such as its issues."""

Bound = int | str


def bounded(description: str, complete: Bound | None) -> str:
    """Return the description of a list with its bound, or the description of another field as it is."""
    if complete is None:
        return description
    return f"{description} {'Always' if complete == OF_CONTENT else f'At most {complete:,}, always'} complete."


def bounds(complete: Bound | None) -> dict[str, Any]:
    """Return the `metadata` of a list with this bound."""
    return {} if complete is None else {COMPLETE: complete}
