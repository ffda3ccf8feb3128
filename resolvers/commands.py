"""Converts the input of a mutation to its command. Conversions are checked and compiled with the schema.

An input and its command have the same fields: `ID` is text, a list is a tuple, `Maybe[...]` is a type with Unset and
the default UNSET, and a nested input is a frozen dataclass. No reflection takes place during a request.

The input is the one that graphql-core coerced, by the names of the schema. A value of the right type that can have no
meaning in any call is refused here, with its path: a null for `Maybe[T]`, malformed text, a malformed id, and NUL.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date, datetime, time
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import strawberry
from strawberry import Maybe
from strawberry.types import has_object_definition
from strawberry.utils.str_converters import to_camel_case

from app.domain import ids
from app.domain.refusals import InvalidInput
from app.domain.text import CONTROL_CHARACTERS
from app.operations.commands import UNSET, Command, Unset
from app.operations.mutation import DeclarationError
from resolvers.inputs import Malformed

KEY = "idempotency_key"
_SENT_KEY = to_camel_case(KEY)
NOT_NULL = "must not be null; leave the field out instead"

C = TypeVar("C", bound=Command)
Given = Mapping[str, Any]
Conversion = Callable[[Any], Any]


class _Refused(Exception):  # noqa: N818 - an InvalidInput without its path, which grows on the way out
    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.steps: list[str] = []


def conversion(input_type: type, command: type[C]) -> Callable[[Given], C]:
    """A function that makes the command of an input, without the idempotency key. It raises InvalidInput.

    Raises DeclarationError, naming both, for a field that only one of them has, or whose type or default differs.
    """
    key = _fields_of_input(input_type).get(KEY)
    if key is None:
        raise DeclarationError(f"input {input_type.__name__} has no {KEY}")
    convert = _object(input_type, command, without=KEY)

    def to_command(given: Given) -> C:
        try:
            made: C = convert(given)
        except _Refused as refused:
            path = tuple(reversed(refused.steps))
            field = next(step for step in refused.steps if not step.isdigit())
            raise InvalidInput(field=field, rule=refused.rule, path=path) from None
        return made

    return to_command


def key_of(given: Given) -> str | None:
    """The idempotency key of an input."""
    key: str | None = given.get(_SENT_KEY)
    return key


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of an input or of a command: its type, and whether it can be null or left out of a patch."""

    type: Any
    nullable: bool
    may_be_absent: bool
    default: Any

    def __str__(self) -> str:
        parts = [getattr(self.type, "__name__", str(self.type))]
        parts += ["null"] if self.nullable else []
        parts += ["left out"] if self.may_be_absent else []
        default = "" if self.default in (MISSING, UNSET) else f", {self.default} by default"
        return " or ".join(parts) + default


def _object(input_type: type, command: type, *, without: str | None = None) -> Conversion:
    """The conversion of a top-level or nested input to a dataclass."""
    given = {name: each for name, each in _fields_of_input(input_type).items() if name != without}
    wanted = _fields_of_command(command)
    for name in given.keys() - wanted.keys():
        raise DeclarationError(f"{input_type.__name__}.{name} is not a field of the command {command.__name__}")
    for name in wanted.keys() - given.keys():
        raise DeclarationError(f"{command.__name__}.{name} is not a field of the input {input_type.__name__}")
    parts = [
        (
            name,
            to_camel_case(name),
            UNSET if each.may_be_absent else None,
            _field(f"{input_type.__name__}.{name}", each, f"{command.__name__}.{name}", wanted[name]),
        )
        for name, each in given.items()
    ]

    def build(values: Given) -> Any:
        converted = {}
        for name, key, absent, convert in parts:
            value = values.get(key, absent)
            if convert is not None and value is not UNSET:
                try:
                    value = convert(value)
                except _Refused as refused:
                    refused.steps.append(key)
                    raise
            converted[name] = value
        return command(**converted)

    return build


def _field(place: str, given: _Field, wanted_place: str, wanted: _Field) -> Conversion | None:
    """The conversion of a field's value, or None if the value does not change."""
    same = (given.nullable, given.may_be_absent, given.default) == (
        wanted.nullable,
        wanted.may_be_absent,
        wanted.default,
    )
    mismatch = f"{place} is {given}, but {wanted_place} is {wanted}"
    if not same:
        raise DeclarationError(mismatch)
    convert = _value(given.type, wanted.type, mismatch)
    if given.nullable:
        return _or_null(convert) if convert else None
    return _not_null(convert) if given.may_be_absent else convert


def _value(given: Any, wanted: Any, mismatch: str) -> Conversion | None:
    """The conversion of a value that is present, None if any value is converted to itself.

    Raises DeclarationError with the message `mismatch`.
    """
    if get_origin(given) is list:
        if get_origin(wanted) is not tuple or get_args(wanted)[1:] != (...,):
            raise DeclarationError(mismatch)
        return _list(_value(get_args(given)[0], get_args(wanted)[0], mismatch))
    if has_object_definition(given) and isinstance(wanted, type) and is_dataclass(wanted):
        return _object(given, wanted)
    if wanted != (str if given is strawberry.ID else given):
        raise DeclarationError(mismatch)
    return _CHECKS.get(given)


def _list(convert: Conversion | None) -> Conversion:
    if convert is None:
        return tuple

    def convert_all(values: list[Any]) -> tuple[Any, ...]:
        converted: list[Any] = []
        try:
            for value in values:
                converted.append(convert(value))
        except _Refused as refused:
            refused.steps.append(str(len(converted)))
            raise
        return tuple(converted)

    return convert_all


def _or_null(convert: Conversion) -> Conversion:
    return lambda value: None if value is None else convert(value)


def _not_null(convert: Conversion | None) -> Conversion:
    def convert_present(value: Any) -> Any:
        if value is None:
            raise _Refused(NOT_NULL)
        return convert(value) if convert else value

    return convert_present


def _identifier(value: str) -> str:
    if not ids.is_well_formed(value):
        raise _Refused(ids.RULE)
    return value


def _text(value: str) -> str:
    if "\0" in value:
        raise _Refused(CONTROL_CHARACTERS)
    return value


def _well_formed(value: Any) -> Any:
    if isinstance(value, Malformed):
        raise _Refused(value.rule)
    return value


_CHECKS: Mapping[Any, Conversion] = {
    strawberry.ID: _identifier,
    str: _text,
    date: _well_formed,
    datetime: _well_formed,
    time: _well_formed,
}


def _fields_of_input(input_type: type) -> dict[str, _Field]:
    hints = get_type_hints(input_type)
    found = {}
    for each in fields(input_type):
        hint = hints[each.name]
        may_be_absent = get_origin(hint) is Maybe
        type_, others = _members(get_args(hint)[0] if may_be_absent else hint)
        default = UNSET if may_be_absent else each.default
        found[each.name] = _Field(type_, NoneType in others, may_be_absent, default)
    return found


def _fields_of_command(command: type) -> dict[str, _Field]:
    hints = get_type_hints(command)
    found = {}
    for each in fields(command):
        type_, others = _members(hints[each.name])
        found[each.name] = _Field(type_, NoneType in others, Unset in others, each.default)
    return found


def _members(hint: Any) -> tuple[Any, set[Any]]:
    """The type of a value that is present, and the other members of the annotation: None, Unset."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    types = [each for each in members if each not in (NoneType, Unset)]
    return types[0] if len(types) == 1 else hint, set(members) - set(types)
