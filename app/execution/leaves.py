"""Result coercion of scalars and enums: a test in source form for the usual values, graphql-core for all others."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import CodeType, GeneratorType
from typing import Any

from graphql import (
    Executor,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
)
from graphql.pyutils import Undefined
from strawberry.schema.schema_converter import CustomGraphQLEnumType

coerce: Callable[[GraphQLLeafType, Any], Any] = Executor.complete_leaf_value
"""Coerce a value that is not null as graphql-core does; raises what graphql-core raises."""


class Unusual(Exception):  # noqa: N818
    """A value the fast way leaves to the careful one: null, an exception, an awaitable."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """How values of one scalar or enum become what a response holds."""

    definition: GraphQLLeafType
    test: str | None
    """An expression over `{v}` that holds for values standing in the response as they are; None if no value does."""
    table: Mapping[Any, str] | None
    """The names of an enum by what stands for them in Python; None if only the type itself can tell."""
    native: frozenset[type]
    """Classes left as they are, for an encoder that knows them; the name `native` in `test`."""
    sure: frozenset[type]
    """Classes all of whose values pass the test, whatever they are."""


_TESTS = {
    GraphQLString.name: (GraphQLString, "type({v}) is str"),
    GraphQLID.name: (GraphQLID, "type({v}) is str"),
    GraphQLBoolean.name: (GraphQLBoolean, "({v} is True or {v} is False)"),
    GraphQLInt.name: (GraphQLInt, "type({v}) is int and -2147483648 <= {v} <= 2147483647"),
    GraphQLFloat.name: (GraphQLFloat, "type({v}) is float and {v} - {v} == 0"),  # holds for finite numbers only
}
_SURE: dict[str, set[type]] = {GraphQLString.name: {str}, GraphQLID.name: {str}, GraphQLBoolean.name: {bool}}


def leaf_of(type_: GraphQLLeafType, native: Mapping[str, Collection[type]]) -> Leaf:
    """Read a leaf type once. `native` names the classes to leave as they are, by name of their scalar."""
    classes = frozenset(native.get(type_.name, ()))
    if isinstance(type_, GraphQLEnumType):
        return Leaf(type_, None, _enum_table(type_), classes, frozenset())
    specified, test = _TESTS.get(type_.name, (None, None))
    if specified is not None and type_.coerce_output_value != specified.coerce_output_value:
        specified = test = None
    if classes:
        test = f"({test} or type({{v}}) in {{native}})" if test else "type({v}) in {native}"
    sure = classes | _SURE.get(type_.name, set()) if specified else classes
    return Leaf(type_, test, None, classes, sure)


def converter(leaf: Leaf, nullable: bool, grades: "Grades") -> Callable[[Any], Any]:
    """A function of one value that fails the test: coerces it, or raises Unusual or what graphql-core raises."""
    type_ = leaf.definition
    native = leaf.native

    def convert(value: Any) -> Any:
        class_ = type(value)
        if class_ in native:
            return value
        if grades[class_] is PLAIN:
            return coerce(type_, value)
        if value is None and nullable:
            return None
        raise Unusual

    return convert


def column_converter(leaf: Leaf, nullable: bool, convert: Callable[[Any], Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """The same over a whole column, whatever passes the test included."""
    if leaf.table is not None:
        names = names_of(leaf.table, nullable)

        def name_all(values: Sequence[Any]) -> list[Any]:
            try:
                return [names[v] for v in values]
            except (KeyError, TypeError):
                return [convert(v) for v in values]

        return name_all
    if leaf.test is None:
        return lambda values: [convert(v) for v in values]
    source = f"lambda values: [v if {leaf.test.format(v='v', native='native')} else convert(v) for v in values]"
    function: Callable[[Sequence[Any]], list[Any]] = eval(  # noqa: S307  the source is made of the tests above
        _compiled(source), {"convert": convert, "native": leaf.native}
    )
    return function


def names_of(table: Mapping[Any, str], nullable: bool) -> dict[Any, str | None]:
    """The names of an enum, with null standing for itself where it may."""
    return {**table, None: None} if nullable else dict(table)


UNKNOWN, ARRIVED, PLAIN = range(3)
"""How much care a value needs, by its class: it may have to be awaited, be something to call, or not be what its class
says; it is null or an exception; it is an ordinary value."""


class Grades(dict[type, int]):
    """The grade of values by their class."""

    def __missing__(self, class_: type) -> int:
        if len(self) >= 4096:  # classes made at run time must not pile up
            self.clear()
        self[class_] = grade = _grade(class_)
        return grade

    def least(self, classes: Set[type]) -> int:
        """The grade of the class whose values need the most care."""
        return min(map(self.__getitem__, classes), default=PLAIN)


def is_disguised(class_: type) -> bool:
    """Whether objects of this class say for themselves what they are, as proxies do."""
    return any("__class__" in vars(base) for base in class_.__mro__[:-1])


def _grade(class_: type) -> int:
    if (
        is_disguised(class_)
        or issubclass(class_, GeneratorType)
        or hasattr(class_, "__await__")
        or any("__call__" in vars(base) for base in class_.__mro__)
    ):
        return UNKNOWN
    return ARRIVED if issubclass(class_, BaseException | type(None) | type(Undefined)) else PLAIN


@cache
def _compiled(source: str) -> CodeType:
    return compile(source, "<column>", "eval")


def _enum_table(type_: GraphQLEnumType) -> dict[Any, str] | None:
    """What the type answers for its values and its Python members, where a look-up gives just what the type would."""
    known = (GraphQLEnumType.coerce_output_value, CustomGraphQLEnumType.coerce_output_value)
    if type(type_).coerce_output_value not in known:
        return None
    members: list[Enum] = list(type_.wrapped_cls) if isinstance(type_, CustomGraphQLEnumType) else []
    if any(not _hashes_by_name(member) and member != member.value for member in members):
        return None  # such a member equals text that the type would refuse
    table: dict[Any, str] = {}
    for value in [value.value for value in type_.values.values()] + members:
        if value is None or callable(value):
            continue
        try:
            table[value] = type_.coerce_output_value(value)
        except (TypeError, ValueError, GraphQLError):  # unhashable, or a member the type does not list
            continue
    return table


def _hashes_by_name(member: Enum) -> bool:
    return bool(type(member).__hash__ == Enum.__hash__)
