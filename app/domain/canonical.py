"""The canonical JSON of RFC 8785 (JCS): one value, one sequence of bytes, so that digests can be compared."""

import json
import math
from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | tuple[Json, ...] | Mapping[str, Json] | None"

_SAFE_INTEGER = 2**53 - 1
_ESCAPED = json.JSONEncoder(ensure_ascii=False).encode


def canonical(value: Json) -> bytes:
    """The RFC 8785 form of `value` in UTF-8; strings are taken as they are, so normalise them (NFC) before.

    Raises ValueError for what has no canonical form: integers beyond 2**53 - 1 (section 3.2.2.3), numbers that are not
    finite, lone surrogates, and anything that is not JSON.
    """
    return _written(value).encode("utf-8")


def _written(value: Json) -> str:
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=_utf16_units)
        return "{" + ",".join(f"{_ESCAPED(name)}:{_written(member)}" for name, member in members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_written, value)) + "]"
    return _scalar(value)


def _scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _ESCAPED(value)
        case int():
            return _integer(value)
        case float():
            return _number(value)
        case _:
            raise ValueError(f"{type(value).__name__} is not JSON")


def _utf16_units(member: tuple[str, Json]) -> bytes:
    """Members are sorted by the UTF-16 code units of their names (section 3.2.3)."""
    return member[0].encode("utf-16-be")


def _integer(value: int) -> str:
    if abs(value) > _SAFE_INTEGER:
        raise ValueError(f"{value} cannot be held exactly by every reader of JSON")
    return str(value)


def _number(value: float) -> str:
    """As ECMAScript writes a number (section 3.2.2.3): the shortest digits that read back.

    Python's repr yields the same digits and differs only in where it puts the point and how it writes the exponent.
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
    """`digits` with the decimal point after the first `point` of them, by the steps of ECMA-262 Number::toString."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "") + exponent
