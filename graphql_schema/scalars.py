"""The scalars of dates and times. Their texts are specified; what they mean is read in app/domain/time_texts.py.

Text in another form does not fail where it is read, because only the field that takes it knows its path: the value is
then `Malformed`, which mutations and filters refuse.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any

import strawberry
from graphql import GraphQLError, StringValueNode, ValueNode

from app.domain.time_texts import read_date, read_date_time, read_time, show_date_time
from resolvers.inputs import Malformed

RFC_3339 = "https://www.rfc-editor.org/rfc/rfc3339#section-5.6"
HTML_TIME = "https://html.spec.whatwg.org/multipage/common-microsyntaxes.html#times"


def _scalar(
    name: str, description: str, url: str, *, show: Callable[[Any], str], read: Callable[[str], Any], form: str
) -> Any:
    """A scalar whose texts have a form: `read` returns None for others. What is no string is refused at its place."""
    rule = f"must be {form}"

    def parsed(value: Any, node: ValueNode | None = None) -> Any:
        if not isinstance(value, str):
            raise GraphQLError(f"{name} {rule}, as a string.", node)
        found = read(value)
        return Malformed(rule) if found is None else found

    def parsed_literal(node: ValueNode, _variables: Any = None) -> Any:
        return parsed(node.value if isinstance(node, StringValueNode) else None, node)

    return strawberry.scalar(
        name=name,
        description=description,
        specified_by_url=url,
        serialize=show,
        parse_value=parsed,
        parse_literal=parsed_literal,
    )


SCALARS: Mapping[object, Any] = {
    datetime: _scalar(
        "DateTime",
        "A time, in the form `date-time` of RFC 3339. In answers it is in UTC with six digits after the second, as in "
        "`2026-03-01T08:30:00.000000Z`. In inputs it has a capital `T`, seconds, and a capital `Z` or another offset "
        "from UTC, as in `2026-03-01T09:30:00+01:00`. Digits after the sixth are ignored. Leap seconds and the year "
        "0000 are refused.",
        RFC_3339,
        show=show_date_time,
        read=read_date_time,
        form="a time with its offset from UTC, such as 2026-03-01T09:30:00Z",
    ),
    date: _scalar(
        "Date",
        "A day, in the form `full-date` of RFC 3339: `YYYY-MM-DD`, as in `2026-03-01`.",
        RFC_3339,
        show=date.isoformat,
        read=read_date,
        form="a day in the form YYYY-MM-DD",
    ),
    time: _scalar(
        "Time",
        "A time of day without an offset, from `00:00:00` to `23:59:59`. In answers it is `HH:MM:SS`; in inputs the "
        "seconds can be left out, as in `09:30`. The form is a valid time string of HTML without fractions of a "
        "second.",
        HTML_TIME,
        show=time.isoformat,
        read=read_time,
        form="a time of day from 00:00 to 23:59:59, in the form HH:MM or HH:MM:SS",
    ),
}
