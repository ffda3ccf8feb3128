"""Strawberry fields: their permissions, arguments and resolvers, each called as rarely as the field allows."""

from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from types import CodeType, FunctionType
from typing import Any, cast

from graphql import GraphQLField, GraphQLSchema
from strawberry.extensions import FieldExtension
from strawberry.schema.schema_converter import GraphQLCoreConverter, get_arguments
from strawberry.types import Info
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from app.execution.conversion import Conversions
from app.execution.field_permissions import Denials, permissions_of
from app.execution.infos import infos
from app.execution.markers import BATCH_RESOLVER
from app.execution.model import Attribute, Place, Run, Source
from app.execution.sources import Batch, batch_results, call_each, read, result_or_error
from app.execution.steps import Steps

_CODE_OF_STRAWBERRY = {
    code.co_name: code for code in GraphQLCoreConverter.from_resolver.__code__.co_consts if isinstance(code, CodeType)
}
_READS_ATTRIBUTE = _CODE_OF_STRAWBERRY["_get_basic_result"]
_RESOLVES = {_READS_ATTRIBUTE, _CODE_OF_STRAWBERRY["_resolver"], _CODE_OF_STRAWBERRY["_async_resolver"]}


def strawberry_field(definition: GraphQLField) -> StrawberryField | None:
    """Return the Strawberry field of a GraphQL field if it still has the resolver that Strawberry created."""
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if not isinstance(field, StrawberryField) or type(field).get_result is not StrawberryField.get_result:
        return None
    return field if _is_resolver_of(field, definition.resolve) else None


def strawberry_attribute(definition: GraphQLField, field: StrawberryField) -> Attribute | None:
    """Return the attribute that a Strawberry field reads, None if a resolver or extension is involved."""
    is_plain = cast("FunctionType", definition.resolve).__code__ is _READS_ATTRIBUTE
    return Attribute(field.python_name, default=False, get=field.default_resolver) if is_plain else None


def _is_resolver_of(field: StrawberryField, resolve: Any) -> bool:
    """Return whether Strawberry created this function for this field.

    A wrapper that was added later, with `functools.wraps` or otherwise, may deny access. It must be called, so a
    wrapped function does not count.
    """
    if type(resolve) is not FunctionType or resolve.__code__ not in _RESOLVES or hasattr(resolve, "__wrapped__"):
        return False
    enclosed = _enclosed(resolve)
    if "field" not in enclosed:
        enclosed = _enclosed(enclosed["_strawberry_info_from_graphql"])
    return bool(enclosed["field"] is field)


def _enclosed(function: FunctionType) -> dict[str, Any]:
    """The variables of enclosing functions that a function uses. `inspect.getclosurevars` also looks up all others."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells}


def strawberry_source(
    schema: GraphQLSchema, definition: GraphQLField, field: StrawberryField, attribute: Attribute | None
) -> Source:
    """Return the source of a Strawberry field's values."""
    parts = _FieldParts(schema, field)
    if parts.permissions is not None:
        if BATCH_RESOLVER in field.metadata:
            return parts.batch(field.metadata[BATCH_RESOLVER])
        if attribute is None and parts.permissions.viewer_only:
            return parts.each
    return (
        call_each(definition.resolve)
        if attribute is None and definition.resolve
        else read(cast("Attribute", attribute))
    )


class _FieldParts:
    """A Strawberry field, separated into permissions, argument conversion and resolver."""

    def __init__(self, schema: GraphQLSchema, field: StrawberryField) -> None:
        converter = cast("Any", schema)._strawberry_schema.schema_converter
        self._field = field
        self._config = converter.config
        self._scalars = converter.scalar_registry
        handled = converter._get_field_exception_handlers(field)
        self.permissions = None if handled else permissions_of(field)
        """None if other extensions or exception handlers take part in resolving, so that the field must stay whole."""
        resolver = field.base_resolver
        parents = (resolver.parent_parameter, resolver.root_parameter) if resolver else ()
        info = resolver.info_parameter if resolver else None
        self._takes_self = resolver is not None and resolver.self_parameter is not None
        self._parent_names = [parameter.name for parameter in parents if parameter]
        self._info_name = info.name if info else None
        is_reshaped = (resolver is not None and type(resolver) is not StrawberryResolver) or any(
            type(part).map_arguments is not FieldExtension.map_arguments for part in field.extensions
        )
        """Whether an extension or a custom resolver class changes the arguments."""
        self._converts = bool(field.arguments or is_reshaped)
        self._convert = None if is_reshaped else Conversions(self._config, self._scalars).of_arguments(field.arguments)

    def batch(self, resolver: Callable[..., Any]) -> Source:
        """Return a source that calls the batch resolver for the parents that the permissions allow."""

        def call(run: Run, place: Place) -> Any:
            info = self._info(run.info(place))
            return resolver(list(place.level.objects), info, **self._level_arguments(run, place, info))

        def call_guarded(run: Run, place: Place) -> Steps[Sequence[Any]]:
            info = self._info(run.info(place))
            arguments = self._level_arguments(run, place, info)
            denials = yield from self._check(place, info, arguments)
            objects = place.level.objects
            parents = [parent for index, parent in enumerate(objects) if index not in denials]
            if not parents:
                return [denials[index] for index in range(len(objects))]
            returned = yield from batch_results(resolver(parents, info, **arguments), len(parents))
            if not denials:
                return returned
            remaining = iter(returned)
            return [denials[index] if index in denials else next(remaining) for index in range(len(objects))]

        return call_guarded if self.permissions else Batch(call, iscoroutinefunction(resolver))

    def each(self, run: Run, place: Place) -> Steps[Sequence[Any]]:
        """Call the ordinary resolver, or read the attribute, for each parent, after checking the permissions once."""
        objects = place.level.objects
        base = run.info(place)
        raw = infos(base, place)
        denials: Denials = {}
        if self.permissions:
            info = self._info(base)
            arguments = self._level_arguments(run, place, info)
            denials = yield from self._check(place, info, arguments)
            if not denials and len(objects) == 1:
                return [result_or_error(self._call, objects[0], raw, 0, arguments)]
        given = place.field.arguments.per_parent(run.variables)
        return [
            denials[index] if index in denials else result_or_error(self._resolve, parent, raw, index, values)
            for index, (parent, values) in enumerate(zip(objects, given, strict=False))
        ]

    def _check(self, place: Place, info: Info, arguments: dict[str, Any]) -> Steps[Denials]:
        assert self.permissions  # noqa: S101 - called for fields with permissions only
        objects = place.level.objects
        raw = infos(info._raw_info, place)
        return (
            yield from self.permissions.check(
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
        """Call the resolver with the converted arguments, and with the parent and the info where it takes them."""
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
        """Return the converted arguments without those that Strawberry takes from the parent and the info."""
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
