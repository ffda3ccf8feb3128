"""Strawberry's conversion of arguments, worked out once for a field instead of at every call.

Only the ordinary shapes are: leaves, lists, what is optional, input objects. The rest is left to Strawberry's function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any

from strawberry.relay.types import GlobalID
from strawberry.types.arguments import StrawberryArgument, _is_leaf_type, convert_argument
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional, has_object_definition
from strawberry.types.enum import has_enum_definition
from strawberry.types.lazy_type import LazyType
from strawberry.types.maybe import Some
from strawberry.types.unset import UNSET

if TYPE_CHECKING:
    from strawberry.schema.config import StrawberryConfig
    from strawberry.types import Info

Location = tuple[str | int, ...]
Conversion = Callable[[Any, "Info | None", Location], Any]
"""From a coerced value, with the info and the value's place in the arguments, to what the resolver gets."""


class Conversions:
    """The conversions of one schema, each made when it is first needed."""

    def __init__(self, config: StrawberryConfig, scalars: Mapping[Any, Any]) -> None:
        self._config = config
        self._scalars = scalars
        self._inputs: dict[Any, Conversion] = {}

    def of_arguments(
        self, arguments: Sequence[StrawberryArgument]
    ) -> Callable[[Mapping[str, Any], Info | None], dict[str, Any]]:
        """A function that does for these arguments what Strawberry's `convert_arguments` does."""
        known = [
            (self._config.name_converter.from_argument(each), each.python_name, self.of(each.type))
            for each in arguments
        ]

        def convert_all(values: Mapping[str, Any], info: Info | None) -> dict[str, Any]:
            return {
                python_name: convert(values[name], info, (name,))
                for name, python_name, convert in known
                if name in values
            }

        return convert_all

    def of(self, type_: Any) -> Conversion:
        """A function that does for values of a type what Strawberry's `convert_argument` does."""
        if isinstance(type_, StrawberryMaybe):
            return self._maybe(type_)
        while isinstance(type_, StrawberryOptional | LazyType):
            type_ = type_.of_type if isinstance(type_, StrawberryOptional) else type_.resolve_type()
        if isinstance(type_, StrawberryList):
            return self._list(type_)
        if type_ is not GlobalID and (_is_leaf_type(type_, self._scalars) or has_enum_definition(type_)):
            return _same
        if has_object_definition(type_) and type_.__strawberry_definition__.from_input is None:
            return self._input(type_)
        return self._own(type_)

    def _maybe(self, type_: StrawberryMaybe) -> Conversion:
        own, convert = self._own(type_), self.of(type_.of_type)
        takes_null = isinstance(type_.of_type, StrawberryOptional)

        def some(value: Any, info: Info | None, at: Location) -> Any:
            if value is None and not takes_null:
                return own(value, info, at)  # refuses it
            return Some(convert(value, info, at))

        return some

    def _list(self, type_: StrawberryList) -> Conversion:
        convert = self.of(type_.of_type)
        copies = convert is _same

        def each(value: Any, info: Info | None, at: Location) -> Any:
            if value is None or value is UNSET:
                return value
            if copies:
                return list(value)
            return [convert(item, info, (*at, index)) for index, item in enumerate(value)]

        return each

    def _input(self, type_: Any) -> Conversion:
        """An input may hold itself, so what its fields need is found out when the first one arrives."""
        known = self._inputs.get(type_)
        if known is not None:
            return known
        definition = type_.__strawberry_definition__
        fields: list[tuple[str, str, Conversion]] = []
        absent = {
            field.python_name: None
            for field in definition.fields
            if definition.is_input and field.default_value is MISSING and field.default_factory is MISSING
        }

        def build(value: Any, info: Info | None, at: Location) -> Any:
            if value is None or value is UNSET:
                return value
            if not fields:
                fields[:] = [
                    (
                        self._config.name_converter.from_field(field),
                        field.python_name,
                        self.of(field.resolve_type(type_definition=definition)),
                    )
                    for field in definition.fields
                ]
            given = {
                python_name: convert(value[name], info, (*at, name))
                for name, python_name, convert in fields
                if name in value
            }
            return type_(**{**absent, **given})

        self._inputs[type_] = build
        return build

    def _own(self, type_: Any) -> Conversion:
        def convert(value: Any, info: Info | None, at: Location) -> Any:
            return convert_argument(value, type_, self._scalars, self._config, info, path=at)

        return convert


def _same(value: Any, _info: Info | None, _at: Location) -> Any:
    return value
