"""A Strawberry field taken apart into its guard, its arguments and its resolver, each used as seldom as it allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import getclosurevars, iscoroutinefunction
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLField, GraphQLSchema
from strawberry.extensions import FieldExtension
from strawberry.schema.schema_converter import GraphQLCoreConverter, get_arguments
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from .conversion import Conversions
from .guards import Refused, guard_of
from .locations import Place, infos
from .markers import BATCH_RESOLVER
from .sources import Attribute, Batch, Source, answers, each, outcome, read
from .steps import Steps

if TYPE_CHECKING:
    from strawberry.types import Info

    from .run import Run


_MADE_BY_STRAWBERRY = {
    code.co_name: code for code in GraphQLCoreConverter.from_resolver.__code__.co_consts if isinstance(code, CodeType)
}
_READS_ATTRIBUTE = _MADE_BY_STRAWBERRY["_get_basic_result"]
_RESOLVES = {_READS_ATTRIBUTE, _MADE_BY_STRAWBERRY["_resolver"], _MADE_BY_STRAWBERRY["_async_resolver"]}


def strawberry_field(definition: GraphQLField) -> StrawberryField | None:
    """The Strawberry field behind a field, if it resolves as Strawberry's own fields do."""
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if not isinstance(field, StrawberryField) or type(field).get_result is not StrawberryField.get_result:
        return None
    return field if _is_resolver_of(field, definition.resolve) else None


def strawberry_attribute(definition: GraphQLField, field: StrawberryField) -> Attribute | None:
    """The attribute a Strawberry field reads, None if anything stands between the two."""
    is_plain = cast("FunctionType", definition.resolve).__code__ is _READS_ATTRIBUTE
    return Attribute(field.python_name, default=False, get=field.default_resolver) if is_plain else None


def _is_resolver_of(field: StrawberryField, resolve: Any) -> bool:
    """Whether Strawberry made this function for this field.

    What was put around it since, by `functools.wraps` or otherwise, may refuse: it is called, never looked through.
    """
    if type(resolve) is not FunctionType or resolve.__code__ not in _RESOLVES or hasattr(resolve, "__wrapped__"):
        return False
    enclosed = getclosurevars(resolve).nonlocals
    if "field" not in enclosed:
        enclosed = getclosurevars(enclosed["_strawberry_info_from_graphql"]).nonlocals
    return bool(enclosed["field"] is field)


def strawberry_source(
    schema: GraphQLSchema, definition: GraphQLField, field: StrawberryField, attribute: Attribute | None
) -> Source:
    """How to get the values of a Strawberry field."""
    parts = _Parts(schema, field)
    if parts.guard is not None:
        if BATCH_RESOLVER in field.metadata:
            return parts.batch(field.metadata[BATCH_RESOLVER])
        if attribute is None and parts.guard.viewer_only:
            return parts.each
    return each(definition.resolve) if attribute is None and definition.resolve else read(cast("Attribute", attribute))


class _Parts:
    def __init__(self, schema: GraphQLSchema, field: StrawberryField) -> None:
        converter = cast("Any", schema)._strawberry_schema.schema_converter
        self._field = field
        self._config = converter.config
        self._scalars = converter.scalar_registry
        handled = converter._get_field_exception_handlers(field)
        self.guard = None if handled else guard_of(field)
        """None if other things take part in resolving the field, so that it must stay whole."""
        resolver = field.base_resolver
        parents = (resolver.parent_parameter, resolver.root_parameter) if resolver else ()
        info = resolver.info_parameter if resolver else None
        self._takes_self = resolver is not None and resolver.self_parameter is not None
        self._parent_names = [parameter.name for parameter in parents if parameter]
        self._info_name = info.name if info else None
        is_reshaped = (resolver is not None and type(resolver) is not StrawberryResolver) or any(
            type(part).map_arguments is not FieldExtension.map_arguments for part in field.extensions
        )
        """Whether only Strawberry knows what becomes of the arguments."""
        self._converts = bool(field.arguments or is_reshaped)
        self._convert = None if is_reshaped else Conversions(self._config, self._scalars).of_arguments(field.arguments)

    def batch(self, resolver: Callable[..., Any]) -> Source:
        """The field by its batch resolver, called with the parents that the guard lets through."""

        def call(run: Run, place: Place) -> Any:
            info = self._info(run.info(place))
            return resolver(list(place.level.objects), info, **self._level_arguments(run, place, info))

        def call_guarded(run: Run, place: Place) -> Steps[Sequence[Any]]:
            info = self._info(run.info(place))
            arguments = self._level_arguments(run, place, info)
            refused = yield from self._ask(place, info, arguments)
            objects = place.level.objects
            parents = [parent for index, parent in enumerate(objects) if index not in refused]
            if not parents:
                return [refused[index] for index in range(len(objects))]
            given = yield from answers(resolver(parents, info, **arguments), len(parents))
            if not refused:
                return given
            left = iter(given)
            return [refused[index] if index in refused else next(left) for index in range(len(objects))]

        return call_guarded if self.guard else Batch(call, iscoroutinefunction(resolver))

    def each(self, run: Run, place: Place) -> Steps[Sequence[Any]]:
        """The field by its ordinary resolver or attribute, behind a guard that is asked once."""
        objects = place.level.objects
        base = run.info(place)
        raw = infos(base, place)
        refused: Refused = {}
        if self.guard:
            info = self._info(base)
            arguments = self._level_arguments(run, place, info)
            refused = yield from self._ask(place, info, arguments)
            if not refused and len(objects) == 1:
                return [outcome(self._call, objects[0], raw, 0, arguments)]
        given = place.field.arguments.for_each(run.variables)
        return [
            refused[index] if index in refused else outcome(self._resolve, parent, raw, index, values)
            for index, (parent, values) in enumerate(zip(objects, given, strict=False))
        ]

    def _ask(self, place: Place, info: Info, arguments: dict[str, Any]) -> Steps[Refused]:
        assert self.guard  # noqa: S101  asked of guarded fields only
        objects = place.level.objects
        raw = infos(info._raw_info, place)
        return (
            yield from self.guard.ask(
                objects,
                lambda index: self._info(raw(index)),
                info,
                lambda index: {**arguments, **dict.fromkeys(self._parent_names, objects[index])},
                arguments,
            )
        )

    def _resolve(self, parent: Any, raw: Callable[[int], Any], index: int, given: dict[str, Any]) -> Any:
        if self._convert is None:
            positional, named = self._reshaped(parent, self._info(raw(index)), given)
            return self._field.get_result(parent, info=None, args=positional, kwargs=named)
        named = self._convert(given, self._info(raw(index))) if self._converts else {}
        return self._call(parent, raw, index, named)

    def _call(self, parent: Any, raw: Callable[[int], Any], index: int, named: dict[str, Any]) -> Any:
        """Call the resolver with converted arguments and with what else it asks for."""
        for name in self._parent_names:
            named[name] = parent
        if self._info_name is not None:
            named[self._info_name] = self._info(raw(index))
        positional = [parent] if self._takes_self else []
        return self._field.get_result(parent, info=None, args=positional, kwargs=named)

    def _info(self, raw: Any) -> Info:
        info: Info = self._config.info_class(_raw_info=raw, _field=self._field)
        return info

    def _level_arguments(self, run: Run, place: Place, info: Info) -> dict[str, Any]:
        """The arguments as Strawberry converts them, without those it fills in from parent and info."""
        if not self._converts:
            return {}
        given = place.field.arguments.values(run.variables)
        if self._convert is not None:
            return self._convert(given, info)
        _, named = self._reshaped(None, info, given)
        filled_in = {*self._parent_names, self._info_name}
        return {name: value for name, value in named.items() if name not in filled_in}

    def _reshaped(self, parent: Any, info: Info, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        return get_arguments(
            field=self._field,
            source=parent,
            info=info,
            kwargs=given,
            config=self._config,
            scalar_registry=self._scalars,
        )
