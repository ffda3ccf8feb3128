"""Where the values of a field come from, for all objects of a level: attributes, resolvers, batch resolvers, guards."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLField, GraphQLSchema, default_field_resolver
from strawberry.schema.schema_converter import GraphQLCoreConverter, get_arguments
from strawberry.types.field import StrawberryField

from .guards import Refused, guard_of
from .locations import Place, infos
from .markers import BATCH_RESOLVER
from .steps import Steps, Together

if TYPE_CHECKING:
    from strawberry.types import Info

    from .run import Run

Source = Callable[["Run", Place], Steps[Sequence[Any]]]
"""Gives one value for each object of the level, an exception for each that failed; raises what fails them all."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field without a resolver."""

    name: str
    default: bool
    """Read as graphql-core's default resolver does: keys of mappings too, null if missing, methods called."""
    get: Callable[[Any, str], Any] = getattr

    @property
    def is_dotted(self) -> bool:
        """Whether `object.name` in source form reads it."""
        return self.get is getattr and not keyword.iskeyword(self.name)


def attribute_of(definition: GraphQLField, name: str) -> Attribute | None:
    """The attribute a field reads, None if it has arguments or a resolver of its own."""
    if definition.args:
        return None
    if definition.resolve is None or definition.resolve is default_field_resolver:
        return None if BATCH_RESOLVER in definition.extensions else Attribute(name, default=True)
    field = _strawberry_field(definition)
    if field is not None and field.is_basic_field and _is_default(definition) and BATCH_RESOLVER not in field.metadata:
        return Attribute(field.python_name, default=False, get=field.default_resolver)
    return None


def is_batched(definition: GraphQLField) -> bool:
    """Whether a field carries a batch resolver."""
    field = _strawberry_field(definition)
    return BATCH_RESOLVER in (definition.extensions if field is None else field.metadata)


def source_of(schema: GraphQLSchema, definition: GraphQLField, attribute: Attribute | None) -> Source:
    """How to get the values of a field."""
    field = _strawberry_field(definition)
    if field is not None:
        whole = _StrawberryField(schema, field)
        batch = field.metadata.get(BATCH_RESOLVER)
        if whole.guard is not None and batch is not None:
            return whole.batch(batch)
        if whole.guard and whole.guard.viewer_only:
            return whole.guarded
    elif BATCH_RESOLVER in definition.extensions:
        return _batch(definition.extensions[BATCH_RESOLVER])
    if attribute is not None:
        return _read_default if attribute.default else _read(attribute)
    return _each(definition.resolve or default_field_resolver)


def _strawberry_field(definition: GraphQLField) -> StrawberryField | None:
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    known = isinstance(field, StrawberryField) and type(field).get_result is StrawberryField.get_result
    return field if known and getattr(definition.resolve, "__module__", "") == GraphQLCoreConverter.__module__ else None


def _is_default(definition: GraphQLField) -> bool:
    return getattr(definition.resolve, "_is_default", False)


def _read(attribute: Attribute) -> Source:
    get, name = attribute.get, attribute.name

    def read(_run: Run, place: Place) -> Steps[Sequence[Any]]:
        try:
            return [get(parent, name) for parent in place.level.objects]
        except Exception:  # noqa: BLE001  found again, at its parent, below
            return [_outcome(get, parent, name) for parent in place.level.objects]
        yield

    return read


def _read_default(run: Run, place: Place) -> Steps[Sequence[Any]]:
    parents = place.level.objects
    if all(type(parent) is dict for parent in parents):
        values = [parent.get(place.field.name) for parent in parents]
        if not any(map(callable, values)):
            return values
    return (yield from _each(default_field_resolver)(run, place))


def _each(resolve: Callable[..., Any]) -> Source:
    def call_each(run: Run, place: Place) -> Steps[Sequence[Any]]:
        info = infos(run.info(place), place)
        arguments = place.field.arguments.for_each(run.variables)
        return [
            _outcome(resolve, parent, info(index), **values)
            for index, (parent, values) in enumerate(zip(place.level.objects, arguments, strict=False))
        ]
        yield

    return call_each


def _batch(resolver: Callable[..., Any]) -> Source:
    def call_once(run: Run, place: Place) -> Steps[Sequence[Any]]:
        arguments = place.field.arguments.values(run.variables)
        return (yield from _answers(resolver, place.level.objects, run.info(place), arguments))

    return call_once


class _StrawberryField:
    """A Strawberry field taken apart into guard, arguments and what the guard lets through to."""

    def __init__(self, schema: GraphQLSchema, field: StrawberryField) -> None:
        converter = cast("Any", schema)._strawberry_schema.schema_converter
        self._field = field
        self._config = converter.config
        self._scalars = converter.scalar_registry
        handled = converter._get_field_exception_handlers(field)
        self.guard = None if handled else guard_of(field)
        """None if the field must stay whole."""
        resolver = field.base_resolver
        parents = (resolver.parent_parameter, resolver.root_parameter) if resolver else ()
        info = resolver.info_parameter if resolver else None
        self._parent_names = [parameter.name for parameter in parents if parameter]
        self._filled_in = {*self._parent_names, *([info.name] if info else [])}

    def batch(self, resolver: Callable[..., Any]) -> Source:
        """The field by its batch resolver, called with the parents that the guard lets through."""

        def call_once(run: Run, place: Place) -> Steps[Sequence[Any]]:
            info = self._info(run.info(place))
            arguments = self._level_arguments(info, place.field.arguments.values(run.variables))
            objects = place.level.objects
            refused = yield from self._ask(run, place, info, arguments)
            if not refused:
                return (yield from _answers(resolver, objects, info, arguments))
            parents = [parent for index, parent in enumerate(objects) if index not in refused]
            answers = iter((yield from _answers(resolver, parents, info, arguments)) if parents else ())
            return [refused[index] if index in refused else next(answers) for index in range(len(objects))]

        return call_once

    def guarded(self, run: Run, place: Place) -> Steps[Sequence[Any]]:
        """The field by its ordinary resolver or attribute, behind a guard that is asked once."""
        level_info = self._info(run.info(place))
        arguments = self._level_arguments(level_info, place.field.arguments.values(run.variables))
        refused = yield from self._ask(run, place, level_info, arguments)
        info = infos(run.info(place), place)
        given = place.field.arguments.for_each(run.variables)
        return [
            refused[index] if index in refused else _outcome(self._resolve, parent, self._info(info(index)), values)
            for index, (parent, values) in enumerate(zip(place.level.objects, given, strict=False))
        ]

    def _ask(self, run: Run, place: Place, info: Info, arguments: dict[str, Any]) -> Steps[Refused]:
        if not self.guard:
            return {}
        objects = place.level.objects
        raw = infos(run.info(place), place)
        return (
            yield from self.guard.ask(
                objects,
                lambda index: self._info(raw(index)),
                info,
                lambda index: {**arguments, **dict.fromkeys(self._parent_names, objects[index])},
                arguments,
            )
        )

    def _info(self, raw: Any) -> Info:
        info: Info = self._config.info_class(_raw_info=raw, _field=self._field)
        return info

    def _level_arguments(self, info: Info, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments as Strawberry converts them, without those it fills in from parent and info."""
        _, arguments = self._arguments(None, info, given)
        return {name: value for name, value in arguments.items() if name not in self._filled_in}

    def _resolve(self, parent: Any, info: Info, given: dict[str, Any]) -> Any:
        positional, arguments = self._arguments(parent, info, given)
        return self._field.get_result(parent, info=info, args=positional, kwargs=arguments)

    def _arguments(self, parent: Any, info: Info, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        return get_arguments(
            field=self._field,
            source=parent,
            info=info,
            kwargs=given,
            config=self._config,
            scalar_registry=self._scalars,
        )


def _answers(
    resolver: Callable[..., Any], parents: Sequence[Any], info: Any, arguments: dict[str, Any]
) -> Steps[Sequence[Any]]:
    answers = resolver(list(parents), info, **arguments)
    if hasattr(answers, "__await__"):
        (answers,) = yield Together([answers])
        if isinstance(answers, Exception):
            raise answers
    if not isinstance(answers, list | tuple) or len(answers) != len(parents):
        given = len(answers) if isinstance(answers, list | tuple) else type(answers).__name__
        raise TypeError(f"A batch resolver must answer each of {len(parents)} parents in a list, not {given}.")
    return answers


def _outcome(function: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    try:
        return function(*positional, **named)
    except Exception as error:  # noqa: BLE001  stands where the value would
        return error
