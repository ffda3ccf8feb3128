"""Operations made up at random from a schema: aliases, merges, fragments, conditions, arguments, good and bad."""

from random import Random
from typing import Any, NamedTuple

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

NO_PROPAGATION = "@experimental_disableErrorPropagation"
PROPAGATION = " " * len(NO_PROPAGATION)
"""Stands in its place, so that errors have the same locations."""


class Operation(NamedTuple):
    """A document whose operation bears `%s` where directives may stand, and values for its variables."""

    text: str
    variables: dict[str, Any]


def an_operation(random: Random, schema: GraphQLSchema, kind: OperationType = OperationType.QUERY) -> Operation:
    """An operation that parses; it need not be valid, both executors have to cope."""
    return _Writer(random, schema).operation(kind)


class _Writer:
    def __init__(self, random: Random, schema: GraphQLSchema) -> None:
        self.random = random
        self.schema = schema
        self.fragments: dict[str, str] = {}
        self.budget = 60
        self.variables = {"yes": random.random() < 0.7, "no": random.random() < 0.3, "n": random.choice([0, 3, None])}

    def operation(self, kind: OperationType) -> Operation:
        root = self.schema.get_root_type(kind)
        assert root is not None
        body = self.selections(root, 0)
        header = f"{kind.value} Made($yes: Boolean!, $no: Boolean = false, $n: Int) %s {body}"
        return Operation("\n".join([header, *self.fragments.values()]), self.variables)

    def selections(self, type_: GraphQLNamedType, depth: int) -> str:
        count = self.random.randint(2, 6) if depth < 3 else self.random.randint(1, 3)
        chosen = [self.selection(type_, depth) for _ in range(count)]
        return "{ " + " ".join(chosen) + " }"

    def selection(self, type_: GraphQLNamedType, depth: int) -> str:
        roll = self.random.random()
        self.budget -= 1
        if roll < 0.08 or (isinstance(type_, GraphQLUnionType) and roll < 0.3):
            return f"__typename{self.conditions()}"
        if roll < 0.22 or isinstance(type_, GraphQLUnionType) or (is_abstract_type(type_) and roll < 0.5):
            return self.fragment(type_, depth)
        return self.field(type_, depth)

    def field(self, type_: GraphQLNamedType, depth: int) -> str:
        fields: dict[str, GraphQLField] = type_.fields  # type: ignore[attr-defined]
        if depth > 4 or self.budget < 0:
            fields = {name: f for name, f in fields.items() if is_leaf_type(get_named_type(f.type))} or fields
            if depth > 6:
                return "__typename"
        name = self.random.choice(list(fields))
        field = fields[name]
        named = get_named_type(field.type)
        arguments = self.arguments(field)
        alias = ""
        if self.random.random() < 0.2:
            alias = f"{self.random.choice('abc')}{self.random.choice([name, 'x'])}: "
        body = "" if is_leaf_type(named) else " " + self.selections(named, depth + 1)
        return f"{alias}{name}{arguments}{self.conditions()}{body}"

    def fragment(self, type_: GraphQLNamedType, depth: int) -> str:
        on = self.random.choice([type_, *self.related(type_)])
        roll = self.random.random()
        written = [name for name, body in self.fragments.items() if body]
        if roll < 0.25 and written:
            return f"...{self.random.choice(written)}{self.conditions()}"
        if roll < 0.5 and self.budget > 0:
            name = f"F{len(self.fragments)}"
            self.fragments[name] = ""  # reserves the name; until it has a body nothing spreads it
            body = self.selections(on, depth + 1)
            self.fragments[name] = f"fragment {name} on {on.name} {body}"
            return f"...{name}{self.conditions()}"
        condition = "" if on is type_ and roll < 0.8 else f" on {on.name}"
        return f"...{condition}{self.conditions()} {self.selections(on, depth + 1)}"

    def related(self, type_: GraphQLNamedType) -> list[GraphQLNamedType]:
        if isinstance(type_, GraphQLObjectType):
            return [*type_.interfaces, *(u for u in self.schema.type_map.values() if _holds(u, type_))]
        return list(self.schema.get_possible_types(type_))  # type: ignore[arg-type]

    def conditions(self) -> str:
        if self.random.random() < 0.85:
            return ""
        directive = self.random.choice(["skip", "include"])
        return f" @{directive}(if: {self.random.choice(['true', 'false', '$yes', '$no', '$yes', '$no'])})"

    def arguments(self, field: GraphQLField) -> str:
        given = [
            f"{name}: {self.value(argument)}"
            for name, argument in field.args.items()
            if is_non_null_type(argument.type) or self.random.random() < 0.6
        ]
        return f"({', '.join(given)})" if given and self.random.random() < 0.97 else ""

    def value(self, argument: GraphQLArgument) -> str:
        roll = self.random.random()
        if roll < 0.04:
            return "{}"
        return "$n" if roll < 0.15 else self.literal(argument.type)

    def literal(self, type_: Any) -> str:
        if is_non_null_type(type_):
            return self.literal(type_.of_type)
        if self.random.random() < 0.05:
            return "null"
        if is_list_type(type_):
            return f"[{', '.join(self.literal(type_.of_type) for _ in range(self.random.randint(0, 2)))}]"
        if isinstance(type_, GraphQLEnumType):
            return str(self.random.choice(list(type_.values)))
        if isinstance(type_, GraphQLInputObjectType):
            names = list(type_.fields)
            if type_.is_one_of and self.random.random() < 0.8:
                names = [self.random.choice(names)]
            return "{" + ", ".join(f"{name}: {self.literal(type_.fields[name].type)}" for name in names) + "}"
        return {"Int": "3", "Float": "1.5", "Boolean": "true"}.get(type_.name, '"x"')


def _holds(union: GraphQLNamedType, type_: GraphQLObjectType) -> bool:
    return isinstance(union, GraphQLUnionType) and type_ in union.types
