"""Checks that the object types match the classes that they show, once when the schema is built.

A type for rows is compared with its row struct and its table, any other type with the attributes of its class. The
checks find errors that strawberry and mypy cannot see: a field without a column, a scalar or an enum that differs from
the column, a non-null field that can be null, a relation to another table than the one that its type shows.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import strawberry
from sqlalchemy import Column, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from strawberry.permission import PermissionExtension
from strawberry.scalars import JSON
from strawberry.types.base import StrawberryList, StrawberryObjectDefinition, StrawberryOptional, get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField

from app.db.content_columns import CELLS
from app.db.rows import ROW_OF_TABLE, Row
from app.db.tables import CLOSED_SET, HOLDS_IDS_OF, SCHEMA, metadata
from app.domain.vocabulary import ValueState
from graphql_schema.fields import NEVER_NULL, shown_by
from resolvers.objects import TABLE_OF_TYPE
from resolvers.paging import Connection
from resolvers.relations import LINK, Named, Pages, Part, Relation

TABLE_OF_ROW: Mapping[type, Table] = {row: table for table, row in ROW_OF_TABLE.items()}
# The API's names of the columns that hold content, for each class of rows.
_CONTENT_NAMES: Mapping[type | None, Mapping[str, str]] = {
    ROW_OF_TABLE[table]: {cell.column: cell.field.api_name for cell in cells} for table, cells in CELLS.items()
}


class SchemaMismatch(Exception):  # noqa: N818 - named after the problem
    """Types of the schema do not match the classes that they show. The message has one line per fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(["GraphQL types do not fit the classes that they show:", *faults]))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of a value: its class (None for any), whether it can be null (None if unknown), the items of a list.

    `of` is the class that a generic class, such as a page, is of; None if it is not generic, or of any.
    """

    kind: Any
    nullable: bool | None
    items: "ValueType | None" = None
    of: Any = None

    def __str__(self) -> str:
        if self.items is not None:
            return f"a list of {'nullable ' if self.items.nullable else ''}{self.items}"
        name = "JSON" if self.kind is JSON else getattr(self.kind, "__name__", "anything")
        return name if self.of is None else f"{name} of {self.of.__name__}"


@dataclass(frozen=True, slots=True)
class ShownAttribute:
    """An attribute of a shown class: a description of its source, its type, and its column, if any."""

    source: str
    type: ValueType
    column: Column[Any] | None = None


def check_types(schema: strawberry.Schema) -> None:
    """Compare each object type with the class that it shows. Raises SchemaMismatch with all faults."""
    definitions = [each.definition for each in schema.schema_converter.type_map.values()]
    objects = [
        each
        for each in definitions
        if isinstance(each, StrawberryObjectDefinition) and not (each.is_input or each.is_interface)
    ]
    faults = list(_wrong_nodes(schema, objects))
    for definition in objects:
        name = schema.config.name_converter.from_object(definition)
        is_root = definition.origin in (schema.query, schema.mutation)
        found = _of_root(definition) if is_root else (*_of_type(definition), *_wrong_names(schema, definition))
        faults += [f"{name}.{field}: {fault}" for field, fault in found]
    if faults:
        raise SchemaMismatch(sorted(faults))


def _wrong_nodes(schema: strawberry.Schema, objects: Sequence[StrawberryObjectDefinition]) -> Iterator[str]:
    """The types that are fetched by id from another table than the table of their rows."""
    for definition in objects:
        if any(each.name == "Node" for each in definition.interfaces):
            name = schema.config.name_converter.from_object(definition)
            table = TABLE_OF_TYPE.get(name)
            if table is None or ROW_OF_TABLE.get(table) is not shown_by(definition.origin):
                yield f"{name}.id: resolvers.objects.TABLE_OF_TYPE does not name the table of its rows"


def _wrong_names(schema: strawberry.Schema, definition: StrawberryObjectDefinition) -> Iterator[tuple[str, str]]:
    """The fields whose name is not the one that the content declares, which paths and `Issue.field` use."""
    declared = _CONTENT_NAMES.get(shown_by(definition.origin), {})
    for field in definition.fields:
        name = schema.config.name_converter.from_field(field)
        if LINK not in field.metadata and declared.get(field.python_name, name) != name:
            yield field.python_name, f"its name is {name}, but the content declares {declared[field.python_name]}"


def _of_root(definition: StrawberryObjectDefinition) -> Iterator[tuple[str, str]]:
    for field in definition.fields:
        if field.base_resolver is not None:
            for fault in _resolved(field, None):
                yield field.python_name, fault


def _of_type(definition: StrawberryObjectDefinition) -> Iterator[tuple[str, str]]:
    shown = shown_by(definition.origin)
    if shown is None:
        yield "*", "the type does not declare what it shows; declare it with `shows`"
        return
    if issubclass(shown, Row) and shown not in TABLE_OF_ROW:
        yield "*", f"{shown.__name__} is the row of no table"
        return
    for field in definition.fields:
        if _is_guarded(field) and not _type_of_graphql(field.type).nullable:
            yield field.python_name, "its guard may refuse, so it must be nullable"
        for fault in _of_field(field, shown):
            yield field.python_name, fault


def _of_field(field: StrawberryField, shown: type) -> Iterator[str]:
    match field.metadata.get(LINK):
        case Relation() as relation:
            yield from _related(field, shown, relation)
        case Part():
            yield from _misfits(ShownAttribute("the parent", ValueType(shown, nullable=False)), field)
        case Named(table):
            yield from _misfits(
                ShownAttribute(f"table {table.name}", ValueType(ROW_OF_TABLE[table], nullable=True)), field
            )
        case Pages(table):
            pages = ShownAttribute(f"table {table.name}", ValueType(Connection, nullable=False, of=ROW_OF_TABLE[table]))
            yield from _misfits(pages, field, may_be_null=True)
        case _ if field.base_resolver is not None:
            yield from _resolved(field, shown)
        case _:
            yield from _plain(field, shown)


def _plain(field: StrawberryField, shown: type) -> Iterator[str]:
    attribute = _attribute(shown, field.python_name)
    if isinstance(attribute, str):
        yield attribute
    else:
        yield from _misfits(attribute, field)


def _misfits(attribute: ShownAttribute, field: StrawberryField, *, may_be_null: bool = False) -> Iterator[str]:
    """How the type of a field differs from the attribute; `may_be_null` if the field can be null for other reasons."""
    declared, held, source = _type_of_graphql(field.type), attribute.type, attribute.source
    if not _fits(held, declared):
        yield f"its type is {declared}, but {source} holds {held}"
    elif field.metadata.get(NEVER_NULL):
        if held.nullable == declared.nullable:
            yield f"its nullability is that of {source}, so never_null must not be declared"
    elif held.nullable and not declared.nullable:
        yield f"it must be nullable, because {source} may be null"
    elif held.nullable is False and declared.nullable and not (may_be_null or _is_guarded(field)):
        yield f"it must not be nullable, because {source} is never null and no guard can refuse it"


def _fits(held: ValueType, declared: ValueType) -> bool:
    """Whether the classes and lists of two types agree. The nullability of the value itself is compared separately."""
    if held.items is not None and declared.items is not None:
        same_nullability = held.items.nullable in (None, declared.items.nullable)
        return same_nullability and _fits(held.items, declared.items)
    if held.items is not None or declared.items is not None:
        return held.items is None and held.kind is None
    return all(None in both or both[0] is both[1] for both in ((held.kind, declared.kind), (held.of, declared.of)))


def _related(field: StrawberryField, shown: type, relation: Relation) -> Iterator[str]:
    column, declared = relation.column, _type_of_graphql(field.type)
    row = ROW_OF_TABLE[column.table]
    key = _attribute(shown, relation.key)
    target = declared.items or declared
    if target.kind is not row:
        yield f"its type shows {target}, but column {column} belongs to {row.__name__}"
    if relation.to_many != (declared.items is not None):
        yield "many() needs a list" if relation.to_many else "one() needs a single object"
    if not relation.to_many and not _is_unique(column):
        yield f"one() needs a unique column, and {column} is not"
    if isinstance(key, str):
        yield f"its key: {key}"
        return
    if key.column is not None and not _roots(key.column) & _roots(column):
        yield f"its key {key.column} and column {column} do not hold ids of the same table"
    if relation.to_many:
        if key.type.nullable:
            yield f"many() needs a key that is never null, and {key.source} may be"
        if declared.nullable and not _is_guarded(field):
            yield "a list must not be nullable unless a guard can refuse it"
        if target.nullable:
            yield "the items of a list must not be nullable"
    elif not declared.nullable and (key.type.nullable or not _always_exists(key.column, column)):
        yield f"it must be nullable, because no foreign key guarantees a row for {key.source}"


def _resolved(field: StrawberryField, shown: type | None) -> Iterator[str]:
    """Mismatches in the annotations of a resolver; `shown` is None for a root type, whose resolvers have no parent."""
    resolver = field.base_resolver
    assert resolver is not None  # noqa: S101 - called only for fields with a resolver
    function = getattr(resolver.wrapped_func, "__func__", resolver.wrapped_func)
    hints = get_type_hints(function)
    parent = hints.get(resolver.parent_parameter.name) if resolver.parent_parameter else None
    parent = get_origin(parent) or parent
    if shown is not None and isinstance(parent, type) and parent is not shown:
        yield f"its resolver {function.__name__} takes {parent.__name__}, but the type shows {shown.__name__}"
    returned = ShownAttribute(f"resolver {function.__name__}", _type_of_hint(hints.get("return", Any)))
    yield from _misfits(returned, field, may_be_null=True)


def _attribute(shown: type, name: str) -> ShownAttribute | str:
    """The attribute of a shown class, or a description of the fault."""
    hints = get_type_hints(shown)
    described = getattr(shown, name, None)
    if isinstance(described, property):
        hints[name] = get_type_hints(described.fget).get("return", Any)
    if name not in hints:
        return f"{shown.__name__} has no attribute {name}"
    hinted = _type_of_hint(hints[name])
    table = TABLE_OF_ROW.get(shown)
    if table is None:
        return ShownAttribute(f"{shown.__name__}.{name}", hinted)
    if name not in table.c:
        stated = name.removesuffix("_state")
        if stated != name and stated in table.c:  # the state of another column in the audit log
            return ShownAttribute(f"the state of column {table.name}.{stated}", ValueType(ValueState, nullable=False))
        return f"table {table.name} has no column {name}"
    column = table.c[name]
    source = f"column {table.name}.{name}"
    stored = _type_of_column(column)
    if not _fits(_without_closed_sets(stored), hinted) or hinted.nullable not in (None, stored.nullable):
        return f"{shown.__name__}.{name} does not have the type of {source}"
    return ShownAttribute(source, stored, column)


def _type_of_column(column: Column[Any]) -> ValueType:
    closed = column.info.get(CLOSED_SET)
    if isinstance(column.type, JSONB):
        return ValueType(JSON, bool(column.nullable))
    kind = column.type.python_type
    if kind is list:
        items = column.type.item_type.python_type  # type: ignore[attr-defined] # - the type of an array
        return ValueType(None, bool(column.nullable), ValueType(closed or items, nullable=False))
    return ValueType(closed or kind, bool(column.nullable))


def _without_closed_sets(stored: ValueType) -> ValueType:
    """The type as the driver returns it: text for members of a closed set, any value for JSON."""
    if stored.items is not None:
        return ValueType(None, stored.nullable, _without_closed_sets(stored.items))
    if stored.kind is JSON:
        return ValueType(None, stored.nullable)
    is_closed = isinstance(stored.kind, type) and issubclass(stored.kind, Enum)
    return ValueType(str if is_closed else stored.kind, stored.nullable)


def _type_of_hint(hint: Any, *, nullable: bool | None = False) -> ValueType:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Annotated, ClassVar):
        return _type_of_hint(arguments[0])
    if origin in (Union, UnionType):
        inner = [each for each in arguments if each is not NoneType]
        may_be_null = len(inner) < len(arguments)
        return _type_of_hint(inner[0], nullable=may_be_null) if len(inner) == 1 else ValueType(None, may_be_null)
    if hint is Any or isinstance(hint, TypeVar):
        return ValueType(None, None)
    if isinstance(origin, type) and issubclass(origin, Collection) and not issubclass(origin, Mapping):
        is_list = issubclass(origin, (Sequence, AbstractSet))
        return ValueType(None, nullable, _type_of_hint(arguments[0])) if is_list else ValueType(None, nullable)
    if get_object_definition(origin or hint) is not None:
        return ValueType(shown_by(origin or hint), nullable)
    of = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], type) else None
    return ValueType(origin or hint, nullable, of=of)


def _type_of_graphql(type_: Any, *, nullable: bool = False) -> ValueType:
    """The type of the values that a GraphQL type shows; any for an interface, whose types show several classes."""
    if isinstance(type_, StrawberryOptional):
        return _type_of_graphql(type_.of_type, nullable=True)
    if isinstance(type_, StrawberryList):
        return ValueType(None, nullable, _type_of_graphql(type_.of_type))
    if isinstance(type_, StrawberryEnumDefinition):
        return ValueType(type_.wrapped_cls, nullable)
    definition = get_object_definition(type_)
    if definition is not None:
        of = next((shown_by(each) for each in definition.type_var_map.values() if isinstance(each, type)), None)
        return ValueType(shown_by(type_), nullable, of=of)
    return ValueType(str if type_ is strawberry.ID else type_, nullable)


def _is_guarded(field: StrawberryField) -> bool:
    return any(isinstance(each, PermissionExtension) for each in field.extensions)


def _is_unique(column: Column[Any]) -> bool:
    """Whether no two rows, or no two open rows, have the same value in the column."""
    table = column.table
    assert isinstance(table, Table)  # noqa: S101 - relations are written on tables
    keys = [list(table.primary_key.columns)]
    keys += [list(each.columns) for each in table.constraints if isinstance(each, UniqueConstraint)]
    keys += [list(each.columns) for each in table.indexes if each.unique]
    return [column] in keys


def _always_exists(key: Column[Any] | None, column: Column[Any]) -> bool:
    """Whether a foreign key from `key` guarantees a row with its value in `column`."""
    return key is not None and any(each.column is column for each in key.foreign_keys)


def _roots(column: Column[Any], passed: frozenset[Column[Any]] = frozenset()) -> frozenset[Column[Any]]:
    """The `id` columns whose values a column holds, found along its foreign keys; empty if it holds no ids."""
    if column.key == "id" and column.primary_key:
        return frozenset({column})
    passed |= {column}
    targets = {each.column for each in column.foreign_keys} - passed
    if HOLDS_IDS_OF in column.info:
        targets.add(metadata.tables[f"{SCHEMA}.{column.info[HOLDS_IDS_OF]}"].c.id)
    return frozenset().union(*(_roots(each, passed) for each in targets))
