"""Canonical JSON of any value is byte for byte what the library rfc8785 writes, or both refuse the value."""

from enum import IntEnum, StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.canonical import canonical


class Brand(StrEnum):
    """A text that is no plain str, as vocabulary in a document is."""

    SNOM = "snom"
    GREEK = "ελένη\U0001f600"


class Weekday(IntEnum):
    """A number that is no plain int."""

    MONDAY = 1


any_text = st.text()
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_text
    | st.text(st.sampled_from('\x00\x1f\x7f"\\/\b\f\n\r\t\u2028é\ud7ff\ue000\uffff\U0001f600\U0010ffff'))
    | st.sampled_from([*Brand, *Weekday])
)
any_json = st.recursive(
    scalars,
    lambda values: (
        st.lists(values, max_size=4)
        | st.lists(values, max_size=4).map(tuple)
        | st.dictionaries(any_text, values, max_size=6)
    ),
    max_leaves=12,
)


@given(any_json)
@settings(max_examples=400)
def test_any_value_is_written_or_refused_as_the_library_rfc8785_does(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - the two refuse in words of their own
            canonical(value)
    else:
        assert canonical(value) == expected
