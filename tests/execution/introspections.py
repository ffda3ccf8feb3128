"""Introspection operations made up at random, and schemas with deprecated elements of every kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import GraphQLObjectType, build_schema, get_named_type, introspection_types, is_leaf_type, is_list_type
from graphql.type import get_nullable_type

DEPRECATED = build_schema("""
  "Marks something."
  directive @mark(old: Int = 1 @deprecated, tags: [String!]! = ["a"]) repeatable on FIELD | QUERY
  type Query implements Thing {
    id: ID!
    named(name: String = "x" @deprecated(reason: "Use id."), by: Order = {of: 3}, kind: Kind = NEW): [Thing!]
    old: Int @deprecated
    either: Either
  }
  interface Thing { id: ID! things(first: Int = 2, last: Int @deprecated): [[Thing!]]! @deprecated(reason: "No.")  }
  extend type Query { things(first: Int = 2, last: Int @deprecated): [[Thing!]]! }
  type Other implements Thing { id: ID! things(first: Int = 2, last: Int @deprecated): [[Thing!]]! }
  union Either = Query | Other
  enum Kind { NEW OLD @deprecated }
  input Order { of: Int = 3 up: Boolean! = true old: [Order!] @deprecated }
  scalar Moment @specifiedBy(url: "https://example.org/moment")
  type Mutation { change(to: Moment, one: One): Kind }
  input One @oneOf { a: Int b: String }
""")
"""A schema whose introspection differs with every `includeDeprecated`."""


ARGUMENTS = ["", "(includeDeprecated: true)", "(includeDeprecated: $deprecated)"]


@dataclass
class AnOperation:
    """A document with one operation, and its variables."""

    text: str
    variables: Mapping[str, Any]


@dataclass
class _Writer:
    random: Random
    type_names: list[str]
    conditions: bool
    fragments: list[str] = field(default_factory=list)
    selected: int = 0
    arguments: dict[str, str] = field(default_factory=dict)
    """By field: equal response names must have equal arguments."""

    def selections(self, type_: GraphQLObjectType, levels: int) -> str:
        """Selections without conflicts: a field has the same argument wherever its response name is selected."""
        parts: list[str] = []
        for _ in range(self.random.randint(1, 4)):
            self.selected += 1
            draw = self.random.random()
            if draw < 0.15:
                parts.append(f"...{self.condition()}{{{self.selections(type_, levels)}}}")
            elif draw < 0.3:
                self.fragments.append("")
                place = len(self.fragments) - 1
                self.fragments[place] = f"fragment F{place} on {type_.name} {{{self.selections(type_, levels)}}}"
                parts += [f"...F{place}{self.condition()}"] * self.random.choice([1, 1, 2])
            else:
                parts.append(self.field(type_, levels))
        return " ".join(parts)

    def field(self, type_: GraphQLObjectType, levels: int) -> str:
        name: str = self.random.choice([*type_.fields, "__typename"])
        if name == "__typename":
            return name
        definition = type_.fields[name]
        inner: Any = get_named_type(definition.type)
        if not is_leaf_type(inner) and (levels == 0 or self.selected > 40):
            return "__typename"
        key, argument = name, ""
        if definition.args:
            argument = self.arguments.setdefault(name, self.random.choice(ARGUMENTS))
        elif not is_list_type(get_nullable_type(definition.type)) and self.random.random() < 0.1:
            key = f"{name}_again: {name}"
        below = "" if is_leaf_type(inner) else f" {{{self.selections(inner, levels - 1)}}}"
        return f"{key}{argument}{self.condition()}{below}"

    def condition(self) -> str:
        if not self.conditions or self.random.random() < 0.8:
            return ""
        return self.random.choice([" @skip(if: $skip)", " @include(if: $include)", " @include(if: true)"])


def an_introspection(random: Random, type_names: list[str], *, conditions: bool = True) -> AnOperation:
    """An operation with one to three introspection fields; without `conditions`, nothing is skipped."""
    writer = _Writer(random, [*type_names, "Nothing"], conditions)
    roots: list[str] = []
    for index in range(random.randint(1, 3)):
        if random.random() < 0.5:
            inner = writer.selections(_introspection_type("__Schema"), 5)
            roots.append(f"s{index}: __schema{writer.condition()} {{{inner}}}")
        else:
            name = random.choice([f'"{random.choice(writer.type_names)}"', "$name"])
            inner = writer.selections(_introspection_type("__Type"), 5)
            roots.append(f"t{index}: __type(name: {name}){writer.condition()} {{{inner}}}")
    body = "{" + " ".join(roots) + "} " + " ".join(writer.fragments)
    types = {"deprecated": "Boolean! = false", "name": "String!", "skip": "Boolean!", "include": "Boolean! = true"}
    used = {name: type_ for name, type_ in types.items() if f"${name}" in body}
    declared = "(" + ", ".join(f"${name}: {type_}" for name, type_ in used.items()) + ")" if used else ""
    given: dict[str, Any] = {
        "deprecated": random.random() < 0.5,
        "name": random.choice(writer.type_names),
        "skip": random.random() < 0.5,
        "include": random.random() < 0.5,
    }
    optional = {"deprecated", "include"}
    variables = {name: given[name] for name in used if name not in optional or random.random() < 0.7}
    return AnOperation(f"query {declared} {body}", variables)


def _introspection_type(name: str) -> GraphQLObjectType:
    type_ = introspection_types[name]
    assert isinstance(type_, GraphQLObjectType)
    return type_
