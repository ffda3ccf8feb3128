"""Converts the GraphQL input of a mutation to its command. Conversions are checked and compiled with the schema.

An input and its command have the same fields: `ID` is text, a list is a tuple, `Maybe[...]` is a type with Unset and
the default UNSET, and a nested input is a frozen dataclass. No reflection takes place during a request.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import strawberry
from strawberry import Maybe
from strawberry.types import has_object_definition

from app.operations.commands import UNSET, Command, Unset
from app.operations.mutation import DeclarationError

KEY = "idempotency_key"

C = TypeVar("C", bound=Command)
Conversion = Callable[[Any], Any]


def conversion(input_type: type, command: type[C]) -> Callable[[Any], C]:
    """A function that makes the command of an input, without the idempotency key.

    Raises DeclarationError, naming both, for a field that only one of them has, or whose type or default differs.
    """
    if KEY not in get_type_hints(input_type):
        raise DeclarationError(f"input {input_type.__name__} has no {KEY}")
    return _object(input_type, command, without=KEY)


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
    conversions = [
        (name, _field(f"{input_type.__name__}.{name}", each, f"{command.__name__}.{name}", wanted[name]))
        for name, each in given.items()
    ]
    as_given = [name for name, convert in conversions if convert is None]
    converted = [(name, convert) for name, convert in conversions if convert is not None]

    def build(value: Any) -> Any:
        values = {name: getattr(value, name) for name in as_given}
        for name, convert in converted:
            values[name] = convert(getattr(value, name))
        return command(**values)

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
    if given.may_be_absent:
        return _patch(convert)
    return _or_null(convert) if convert and given.nullable else convert


def _value(given: Any, wanted: Any, mismatch: str) -> Conversion | None:
    """The conversion of a value that is present. Raises DeclarationError with the message `mismatch`."""
    if get_origin(given) is list:
        if get_origin(wanted) is not tuple or get_args(wanted)[1:] != (...,):
            raise DeclarationError(mismatch)
        return _list(_value(get_args(given)[0], get_args(wanted)[0], mismatch))
    if has_object_definition(given) and isinstance(wanted, type) and is_dataclass(wanted):
        return _object(given, wanted)
    if wanted != (str if given is strawberry.ID else given):
        raise DeclarationError(mismatch)
    return None


def _list(convert: Conversion | None) -> Conversion:
    if convert is None:
        return tuple
    return lambda values: tuple(map(convert, values))


def _or_null(convert: Conversion) -> Conversion:
    return lambda value: None if value is None else convert(value)


def _patch(convert: Conversion | None) -> Conversion:
    """Strawberry passes None for a field that is left out, and a Some for a field that is given."""
    if convert is None:
        return lambda value: UNSET if value is None else value.value
    inside = _or_null(convert)
    return lambda value: UNSET if value is None else inside(value.value)


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
