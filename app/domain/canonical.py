"""Canonical JSON (RFC 8785, JCS): equal values give equal bytes, so that their digests can be compared."""

import math
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring as _escaped
from typing import Any, TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | tuple[Json, ...] | Mapping[str, Json] | None"

_SAFE_INTEGER = 2**53 - 1


def canonical(value: Json) -> bytes:
    """Return the RFC 8785 form of `value` in UTF-8. Strings are used unchanged: normalise them (NFC) first.

    Raises ValueError for values without a canonical form: integers beyond 2**53 - 1 (section 3.2.2.3), non-finite
    numbers, lone surrogates, and anything that is not JSON.
    """
    return _written(value).encode("utf-8")


def _written(value: Json) -> str:
    write = _WRITERS.get(type(value)) or _writer_of(value)
    return write(value)


def _object(value: Mapping[str, Json]) -> str:
    # Members are sorted by the UTF-16 code units of their names (section 3.2.3). For ASCII names Python's own order is
    # the same.
    names = sorted(value) if "".join(value).isascii() else sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join([f"{_escaped(name)}:{_written(value[name])}" for name in names]) + "}"


def _array(value: Sequence[Json]) -> str:
    return "[" + ",".join(map(_written, value)) + "]"


def _writer_of(value: object) -> Callable[[Any], str]:
    """Return the writer for an instance of a subclass of a JSON type, such as an enumeration of strings."""
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write
    if isinstance(value, Mapping):
        return _object
    raise ValueError(f"{type(value).__name__} is not JSON")


def _integer(value: int) -> str:
    if abs(value) > _SAFE_INTEGER:
        raise ValueError(f"{value} cannot be held exactly by every reader of JSON")
    return str(value)


def _number(value: float) -> str:
    """Format a number as ECMAScript does (section 3.2.2.3): the shortest digits that parse to the same value.

    Python's repr yields the same digits; only the position of the decimal point and the form of the exponent differ.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is not JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading_zeros = len(whole + fraction) - len(digits)
    point = len(whole) - leading_zeros + int(exponent or 0)
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Put the decimal point after the first `point` digits, following ECMA-262 Number::toString."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "") + exponent


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    str: _escaped,
    dict: _object,
    type(None): lambda _null: "null",
    bool: lambda value: "true" if value else "false",
    int: _integer,
    list: _array,
    tuple: _array,
    float: _number,
}
