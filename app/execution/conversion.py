"""Strawberry's conversion of arguments, prepared once per field instead of at every call.

This module converts leaves, lists, optional values and input objects. It calls Strawberry's function for the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from typing import Any

from strawberry import UNSET, LazyType, Some
from strawberry.relay import GlobalID
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info, has_object_definition
from strawberry.types.arguments import StrawberryArgument, _is_leaf_type, convert_argument
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional
from strawberry.types.enum import has_enum_definition

ArgumentPath = tuple[str | int, ...]
Conversion = Callable[[Any, Info | None, ArgumentPath], Any]
"""Converts a coerced value, given the info and the path of the value in the arguments, for the resolver."""


class Conversions:
    """The conversions of one schema, created on first use."""

    def __init__(self, config: StrawberryConfig, scalars: Mapping[Any, Any]) -> None:
        self._config = config
        self._scalars = scalars
        self._inputs: dict[Any, Conversion] = {}

    def of_arguments(
        self, arguments: Sequence[StrawberryArgument]
    ) -> Callable[[Mapping[str, Any], Info | None], dict[str, Any]]:
        """Return a function that does the same as Strawberry's `convert_arguments` for these arguments."""
        conversions = [
            (self._config.name_converter.from_argument(each), each.python_name, self.of(each.type))
            for each in arguments
        ]

        def convert_all(values: Mapping[str, Any], info: Info | None) -> dict[str, Any]:
            return {
                python_name: convert(values[name], info, (name,))
                for name, python_name, convert in conversions
                if name in values
            }

        return convert_all

    def of(self, type_: Any) -> Conversion:
        """Return a function that does the same as Strawberry's `convert_argument` for values of a type."""
        if isinstance(type_, StrawberryMaybe):
            return self._maybe(type_)
        while isinstance(type_, StrawberryOptional | LazyType):
            type_ = type_.of_type if isinstance(type_, StrawberryOptional) else type_.resolve_type()
        if isinstance(type_, StrawberryList):
            return self._list(type_)
        if type_ is not GlobalID and (_is_leaf_type(type_, self._scalars) or has_enum_definition(type_)):
            return _unchanged
        if has_object_definition(type_) and type_.__strawberry_definition__.from_input is None:
            return self._input(type_)
        return self._by_strawberry(type_)

    def _maybe(self, type_: StrawberryMaybe) -> Conversion:
        by_strawberry, convert = self._by_strawberry(type_), self.of(type_.of_type)
        takes_null = isinstance(type_.of_type, StrawberryOptional)

        def some(value: Any, info: Info | None, path: ArgumentPath) -> Any:
            if value is None and not takes_null:
                return by_strawberry(value, info, path)  # raises Strawberry's error
            return Some(convert(value, info, path))

        return some

    def _list(self, type_: StrawberryList) -> Conversion:
        convert = self.of(type_.of_type)
        copies = convert is _unchanged

        def each(value: Any, info: Info | None, path: ArgumentPath) -> Any:
            if value is None or value is UNSET:
                return value
            if copies:
                return list(value)
            return [convert(item, info, (*path, index)) for index, item in enumerate(value)]

        return each

    def _input(self, type_: Any) -> Conversion:
        """Convert an input object. Its fields are prepared at the first call: an input type may contain itself."""
        prepared = self._inputs.get(type_)
        if prepared is not None:
            return prepared
        definition = type_.__strawberry_definition__
        fields: list[tuple[str, str, Conversion]] = []
        absent = {
            field.python_name: None
            for field in definition.fields
            if definition.is_input and field.default_value is MISSING and field.default_factory is MISSING
        }

        def build(value: Any, info: Info | None, path: ArgumentPath) -> Any:
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
                python_name: convert(value[name], info, (*path, name))
                for name, python_name, convert in fields
                if name in value
            }
            return type_(**{**absent, **given})

        self._inputs[type_] = build
        return build

    def _by_strawberry(self, type_: Any) -> Conversion:
        def convert(value: Any, info: Info | None, path: ArgumentPath) -> Any:
            return convert_argument(value, type_, self._scalars, self._config, info, path=path)

        return convert


def _unchanged(value: Any, _info: Info | None, _at: ArgumentPath) -> Any:
    return value
