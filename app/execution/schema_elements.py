"""The elements of a schema as introspection describes them. Their fields are resolved once per process."""

from functools import lru_cache
from itertools import chain
from types import SimpleNamespace
from typing import Any, NamedTuple

from graphql import (
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

from app.execution.leaves import coerce

SCHEMA_TYPE = get_named_type(SchemaMetaFieldDef.type)
TYPE_TYPE = get_named_type(TypeMetaFieldDef.type)
INCLUDE_DEPRECATED = "includeDeprecated"
"""The only argument of the fields of introspection types."""

CHARACTERS_PER_VALUE = 64
"""A text counts as one more field value per this number of characters."""

PARTS_PER_COLUMN = 4
"""How many parts of a column are kept: one for each place where a query of the whole schema selects it."""


class Element:
    """A type, field, argument, enum value or directive of a schema, or the schema itself.

    Two types with the same notation, such as `[ID!]`, are one element. `source` is the value that graphql-core's
    resolvers of the introspection type receive.
    """

    __slots__ = ("object_type", "source")

    def __init__(self, object_type: GraphQLObjectType, source: Any) -> None:
        self.object_type = object_type
        self.source = source


class FieldValue(NamedTuple):
    """The value of a field of an element.

    The value is JSON if the field is a leaf, otherwise a tuple of elements, or None. A single element is a tuple of
    one.
    """

    value: Any
    further: int
    """The number of further field values that the size of a leaf counts for."""


class ColumnPart(NamedTuple):
    """The values of one column for several elements, in their order."""

    further: list[int]
    """See `FieldValue`."""
    below: tuple[Element, ...]
    """The elements that are values of a field that is no leaf, each once."""
    single: list[tuple[int, Element]]
    """By index, the values that are one element."""
    several: list[tuple[int, tuple[Element, ...]]]
    """By index, the values that are several elements."""


class Column(dict[Element, FieldValue]):
    """The values of one field of an introspection type by element, each resolved on first use."""

    def __init__(self, elements: "SchemaElements", field: str, include_deprecated: bool) -> None:
        super().__init__()
        self.part = lru_cache(maxsize=PARTS_PER_COLUMN)(self._part)
        """`_part`, kept for the elements that are asked for most: those of the whole schema."""
        self._elements = elements
        self._field = field
        self._include_deprecated = include_deprecated

    def __missing__(self, element: Element) -> FieldValue:
        value = self._elements.resolve(element, self._field, self._include_deprecated)
        further = len(value) // CHARACTERS_PER_VALUE if isinstance(value, str) else 0
        self[element] = found = FieldValue(value, len(value) if isinstance(value, list) else further)
        return found

    def _part(self, elements: tuple[Element, ...]) -> ColumnPart:
        found = [self[element] for element in elements]
        groups = [(place, each.value) for place, each in enumerate(found) if isinstance(each.value, tuple)]
        return ColumnPart(
            further=[each.further for each in found],
            below=tuple(dict.fromkeys(chain.from_iterable(items for _, items in groups))),
            single=[(place, items[0]) for place, items in groups if len(items) == 1],
            several=[(place, items) for place, items in groups if len(items) > 1],
        )


class SchemaElements:
    """The elements of one schema, created when they are first described."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._info = SimpleNamespace(schema=schema)
        self._elements: dict[tuple[str, object, int], Element] = {}
        self._columns: dict[tuple[str, str, bool], Column] = {}

    def schema(self) -> Element:
        """Return the element that `__schema` describes."""
        return self._element(SCHEMA_TYPE, self._schema)

    def type(self, name: object) -> Element | None:
        """Return the element that `__type` describes, None if the schema has no type of this name."""
        found = self._schema.get_type(name) if isinstance(name, str) else None
        return None if found is None else self._element(TYPE_TYPE, found)

    def column(self, object_type: GraphQLObjectType, field: str, include_deprecated: bool) -> Column:
        """Return the values of a field of an introspection type, for this value of its argument."""
        key = (object_type.name, field, include_deprecated)
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = Column(self, field, include_deprecated)
        return column

    def resolve(self, element: Element, field: str, include_deprecated: bool) -> Any:
        """Resolve a field of an element, see `FieldValue`."""
        if field == "isOneOf":  # Strawberry replaces the resolver in all schemas of the process, by one that can raise
            return getattr(element.source, "is_one_of", None)
        definition = element.object_type.fields[field]
        arguments = {INCLUDE_DEPRECATED: include_deprecated} if definition.args else {}
        resolver: Any = definition.resolve
        return self._completed(definition.type, resolver(element.source, self._info, **arguments))

    def _completed(self, type_: GraphQLOutputType, value: Any) -> Any:
        if is_non_null_type(type_):
            type_ = type_.of_type
        if value is None:
            return None
        if is_list_type(type_):
            items = [self._completed(type_.of_type, each) for each in value]
            return items if is_leaf_type(get_named_type(type_)) else tuple(chain.from_iterable(items))
        if is_leaf_type(type_):
            return coerce(type_, value)
        return (self._element(type_, value),)

    def _element(self, object_type: Any, source: Any) -> Element:
        key: tuple[str, object, int]
        if object_type is TYPE_TYPE:
            key = (object_type.name, str(source), 0)
        elif isinstance(source, tuple):  # the name and the definition of a field, an input value or an enum value
            key = (object_type.name, source[0], id(source[1]))
        else:
            key = (object_type.name, None, id(source))
        element = self._elements.get(key)
        if element is None:  # the element keeps its source alive, so that the id stays unique
            element = self._elements[key] = Element(object_type, source)
        return element


@lru_cache(maxsize=8)
def elements_of(schema: GraphQLSchema) -> SchemaElements:
    """Return the elements of a schema. They are shared by everything that describes the same schema."""
    return SchemaElements(schema)
