"""Result coercion of scalars and enums: a generated test for ordinary values, graphql-core for all others."""

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
    Undefined,
)
from strawberry.schema.schema_converter import CustomGraphQLEnumType

coerce: Callable[[GraphQLLeafType, Any], Any] = Executor.complete_leaf_value
"""Coerce a non-null value as graphql-core does. Raises the same errors."""


class NeedsSlowPath(Exception):  # noqa: N818 - control flow within the package, never an error
    """The fast path does not handle this value: a null, an exception or an awaitable."""


MAYBE_AWAITABLE, NULL_OR_ERROR, ORDINARY = range(3)
"""Kinds of values, by their class, from the slowest handling to the fastest. A value of the first kind may be awaitable
or callable, or may hide its class; one of the second is null, undefined or an exception."""


class ValueKinds(dict[type, int]):
    """The kind of values by their class, computed on first use."""

    def __missing__(self, class_: type) -> int:
        if len(self) >= 4096:  # bounds the dict if classes are created at run time
            self.clear()
        self[class_] = kind = _kind(class_)
        return kind

    def slowest(self, classes: Set[type]) -> int:
        """Return the kind among these classes that needs the slowest handling."""
        return min(map(self.__getitem__, classes), default=ORDINARY)


@dataclass(frozen=True, slots=True)
class Leaf:
    """How values of one scalar or enum are coerced for the response."""

    definition: GraphQLLeafType
    test: str | None
    """An expression over `{v}` that is true for values that need no coercion; None if every value needs it."""
    table: Mapping[Any, str] | None
    """The names of an enum by their Python values; None if the enum type must be called."""
    native: frozenset[type]
    """Classes whose values are left to the encoder without coercion; `{native}` in `test`."""
    always_valid: frozenset[type]
    """Classes whose values all pass the test."""
    native_if: str | None = None
    """The name of an attribute: a native value is coerced all the same if it is false."""


_TESTS = {
    GraphQLString.name: (GraphQLString, "type({v}) is str"),
    GraphQLID.name: (GraphQLID, "type({v}) is str"),
    GraphQLBoolean.name: (GraphQLBoolean, "({v} is True or {v} is False)"),
    GraphQLInt.name: (GraphQLInt, "type({v}) is int and -2147483648 <= {v} <= 2147483647"),
    GraphQLFloat.name: (GraphQLFloat, "type({v}) is float and {v} - {v} == 0"),  # false for infinities and NaN
}
_ALWAYS_VALID: dict[str, set[type]] = {GraphQLString.name: {str}, GraphQLID.name: {str}, GraphQLBoolean.name: {bool}}


@dataclass(frozen=True, slots=True)
class Native:
    """The values of a scalar that its encoder writes as the scalar does: those of some classes.

    With `unless_false`, the name of an attribute, a value whose attribute is false is coerced all the same.
    """

    classes: Collection[type]
    unless_false: str | None = None


_NO_NATIVE = Native(())


def leaf_of(type_: GraphQLLeafType, native: Mapping[str, Native]) -> Leaf:
    """Analyse a leaf type. `native` maps scalar names to the values that are not coerced."""
    found = native.get(type_.name, _NO_NATIVE)
    classes = frozenset(found.classes)
    if isinstance(type_, GraphQLEnumType):
        return Leaf(type_, None, _enum_table(type_), classes, frozenset())
    specified, test = _TESTS.get(type_.name, (None, None))
    if specified is not None and type_.coerce_output_value != specified.coerce_output_value:
        specified = test = None
    if classes:
        is_native = "type({v}) in {native}"
        if found.unless_false:
            is_native = f"({is_native} and {{v}}.{found.unless_false})"
        test = f"({test} or {is_native})" if test else is_native
    always_valid = classes | _ALWAYS_VALID.get(type_.name, set()) if specified else classes
    return Leaf(type_, test, None, classes, always_valid, found.unless_false)


def converter(leaf: Leaf, nullable: bool, kinds: ValueKinds) -> Callable[[Any], Any]:
    """Return a function that coerces one value that failed the test.

    It raises NeedsSlowPath, or the errors of graphql-core.
    """
    type_ = leaf.definition
    native, native_if = leaf.native, leaf.native_if

    def convert(value: Any) -> Any:
        class_ = type(value)
        if class_ in native and (native_if is None or getattr(value, native_if)):
            return value
        if kinds[class_] is ORDINARY:
            return coerce(type_, value)
        if value is None and nullable:
            return None
        raise NeedsSlowPath

    return convert


def column_converter(leaf: Leaf, nullable: bool, convert: Callable[[Any], Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """Return a function that coerces a whole column, including values that pass the test."""
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
    function: Callable[[Sequence[Any]], list[Any]] = eval(  # noqa: S307 - the source consists of the tests above
        _compiled(source), {"convert": convert, "native": leaf.native}
    )
    return function


def names_of(table: Mapping[Any, str], nullable: bool) -> dict[Any, str | None]:
    """The names of an enum by their Python values, and null as null if the field is nullable."""
    return {**table, None: None} if nullable else dict(table)


def is_disguised(class_: type) -> bool:
    """Return whether objects of this class override `__class__`, as proxies do."""
    return any("__class__" in vars(base) for base in class_.__mro__[:-1])


def _kind(class_: type) -> int:
    if (
        is_disguised(class_)
        or issubclass(class_, GeneratorType)
        or hasattr(class_, "__await__")
        or any("__call__" in vars(base) for base in class_.__mro__)
    ):
        return MAYBE_AWAITABLE
    return NULL_OR_ERROR if issubclass(class_, BaseException | type(None) | type(Undefined)) else ORDINARY


@cache
def _compiled(source: str) -> CodeType:
    return compile(source, "<column>", "eval")


def _enum_table(type_: GraphQLEnumType) -> dict[Any, str] | None:
    """Return the names by enum value and Python member, None if a look-up could differ from the type's own result."""
    known = (GraphQLEnumType.coerce_output_value, CustomGraphQLEnumType.coerce_output_value)
    if type(type_).coerce_output_value not in known:
        return None
    members: list[Enum] = list(type_.wrapped_cls) if isinstance(type_, CustomGraphQLEnumType) else []
    if any(not _hashes_by_name(member) and member != member.value for member in members):
        return None  # such a member equals a string that the type would reject
    table: dict[Any, str] = {}
    for value in [value.value for value in type_.values.values()] + members:
        if value is None or callable(value):
            continue
        try:
            table[value] = type_.coerce_output_value(value)
        except (TypeError, ValueError, GraphQLError):  # unhashable, or a member that the type does not list
            continue
    return table


def _hashes_by_name(member: Enum) -> bool:
    return bool(type(member).__hash__ == Enum.__hash__)
