"""The static price of an operation: an upper estimate of its cost, computed before any data is read.

An object costs 1 and a scalar costs 0. A root field of a mutation costs 10 instead of the 1 of its object. The
selections in `nodes` and `edges` of a connection count once per item of the requested page (`first`); those in a list
of the objects with given `ids` count once per id; the selections in any other list of objects count as often as the
schema's assumed size of the list. The price ignores @skip and
@include, does not merge selections of the same field, and assumes that every type condition applies. Within the
requested pages and assumed sizes the price is therefore never less than the cost of the execution. A list can be longer
than assumed: the execution has to reserve the objects that it finds beyond the price.

A field declares its cost under two keys of its GraphQL `extensions` or of its Strawberry `metadata`: `assumed_size`,
the usual number of items in its list, and `price`, the cost of the field itself, which replaces the defaults above.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    is_list_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from app.query_cost.limits import INTROSPECTION_FIELDS, SATURATED, DocumentTooComplex

__all__ = ["ASSUMED_SIZE", "PRICE", "Price", "PriceRules", "check_price", "declared_cost", "price_of"]

ASSUMED_SIZE = "assumed_size"
PRICE = "price"

PAGE_ARGUMENT = "first"
IDS_ARGUMENT = "ids"
PAGE_FIELDS = frozenset({"nodes", "edges"})


def price_of(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, rules: "PriceRules"
) -> "Price":
    """Compute the price of an operation of a validated document, in time linear in the length of the document.

    The result is valid for every request of that operation. Page sizes that come from variables remain open until
    `Price.given` receives the variables.
    """
    root = schema.get_root_type(operation.operation)
    if root is None:
        return Price(steps=(), total=0, rules=rules)
    pricing = _Pricing(
        schema=schema,
        rules=rules,
        mutation=root if operation.operation is OperationType.MUTATION else None,
        fragments={each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)},
        defaults={each.variable.name.value: each.default_value for each in operation.variable_definitions or ()},
    )
    total = pricing.selections(operation.selection_set, root).once
    return Price(steps=tuple(pricing.steps), total=total, rules=rules)


def check_price(price: int, rules: "PriceRules") -> None:
    """Raise DocumentTooComplex for a price above the maximum."""
    if price > rules.maximum:
        raise DocumentTooComplex(limit="price", maximum=rules.maximum)


@dataclass(frozen=True, kw_only=True)
class PriceRules:
    """The costs, and the default sizes where neither the request nor the schema declares one.

    A page counts as 1 to `largest_page` items: the field itself rejects requests for more. Introspection costs what it
    returns: its objects, and 1 per `values_per_object` field values, because it can select many values of one object.
    """

    maximum: int = 50_000
    object: int = 1
    scalar: int = 0
    mutation: int = 10
    values_per_object: int = 4
    characters_per_object: int = 64
    """A response name costs 1 per this number of characters, because every object repeats it."""
    page: int = 20
    largest_page: int = 100
    list_size: int = 10


@dataclass(frozen=True, kw_only=True)
class Price:
    """The price of an operation as a function of the variables that set its page sizes."""

    steps: "tuple[_Step, ...]"
    total: "_Amount"
    rules: PriceRules

    def given(self, variables: Mapping[str, object]) -> int:
        """Return the price for these coerced variables. A size that is neither a number nor a list is the largest."""
        if isinstance(self.total, int):
            return self.total
        values: list[int] = []
        for step in self.steps:
            value = step.constant
            for size, amount in step.terms:
                times = size if isinstance(size, int) else self._page(size, variables)
                value += times * (amount if isinstance(amount, int) else values[amount.step])
            values.append(min(SATURATED, value))
        return values[self.total.step]

    def _page(self, size: "_Page", variables: Mapping[str, object]) -> int:
        return _clamped(variables[size.variable], self.rules) if size.variable in variables else size.default


class _Page(NamedTuple):
    """A page size taken from a variable; `default` applies if the variable is absent."""

    variable: str
    default: int


class _Result(NamedTuple):
    """The amount that an earlier step computes."""

    step: int


_Size: TypeAlias = int | _Page
_Amount: TypeAlias = int | _Result


class _Step(NamedTuple):
    """A sum that depends on variables: a constant plus the product of each size and amount."""

    constant: int
    terms: tuple[tuple[_Size, _Amount], ...]


class _Cost(NamedTuple):
    """The cost of a selection set: once, and per item of the page if it belongs to a connection."""

    once: _Amount = 0
    each: _Amount = 0


@dataclass(kw_only=True)
class _Pricing:
    """The state of one price computation: the steps in evaluation order, and the costs of finished fragments."""

    schema: GraphQLSchema
    rules: PriceRules
    mutation: GraphQLObjectType | None
    fragments: Mapping[str, FragmentDefinitionNode]
    defaults: Mapping[str, ValueNode | None]
    steps: list[_Step] = field(default_factory=list)
    done: dict[str, _Cost] = field(default_factory=dict)

    def selections(self, selection_set: SelectionSetNode, parent: GraphQLNamedType) -> _Cost:
        costs = [self.selection(each, parent) for each in selection_set.selections]
        return _Cost(self.sum((1, each.once) for each in costs), self.sum((1, each.each) for each in costs))

    def selection(self, node: SelectionNode, parent: GraphQLNamedType) -> _Cost:
        if isinstance(node, FieldNode):
            return self.field(node, parent)
        if isinstance(node, FragmentSpreadNode):
            return self.fragment(node.name.value)
        if isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            inner = self.schema.type_map[condition.name.value] if condition else parent
            return self.selections(node.selection_set, inner)
        raise TypeError(f"not a selection: {node.kind}")

    def fragment(self, name: str) -> _Cost:
        if name not in self.done:
            definition = self.fragments[name]
            self.done[name] = _Cost()  # ends the recursion if a fragment spreads itself
            condition = self.schema.type_map[definition.type_condition.name.value]
            self.done[name] = self.selections(definition.selection_set, condition)
        return self.done[name]

    def field(self, node: FieldNode, parent: GraphQLNamedType) -> _Cost:
        name = node.name.value
        if name in INTROSPECTION_FIELDS:
            return _Cost()  # priced by what it returns
        named = len(node.alias.value) // self.rules.characters_per_object if node.alias else 0
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) or name == "__typename":
            return _Cost(self.rules.scalar + named)
        definition = parent.fields[name]
        result = get_named_type(definition.type)
        own = self.own_price(definition, parent) + named
        if node.selection_set is None:
            return _Cost(own)
        inner = self.selections(node.selection_set, result)
        whole = self.sum([(1, own), (1, inner.once), (self.size(node, definition, PAGE_ARGUMENT), inner.each)])
        if name in PAGE_FIELDS and is_connection(parent):
            return _Cost(each=whole)
        return _Cost(self.sum([(self.list_size(node, definition), whole)]))

    def own_price(self, definition: GraphQLField, parent: GraphQLNamedType) -> int:
        declared = declared_cost(definition, PRICE)
        if declared is not None:
            return declared
        if parent is self.mutation:
            return self.rules.mutation
        return self.rules.scalar if is_leaf_type(get_named_type(definition.type)) else self.rules.object

    def list_size(self, node: FieldNode, definition: GraphQLField) -> _Size:
        inner = definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
        if not is_list_type(inner):
            return 1
        for argument in (PAGE_ARGUMENT, IDS_ARGUMENT):
            if argument in definition.args:
                return self.size(node, definition, argument)
        return declared_cost(definition, ASSUMED_SIZE) or self.rules.list_size

    def size(self, node: FieldNode, definition: GraphQLField, name: str) -> _Size:
        """Return the size that an argument sets: its value, or its default, or the default page of the rules."""
        argument = definition.args.get(name)
        default = self.rules.page if argument is None else self.declared(argument)
        value = next((each.value for each in node.arguments or () if each.name.value == name), None)
        if isinstance(value, VariableNode):
            variable = value.name.value
            return _Page(variable, self.literal(self.defaults.get(variable), default))
        return self.literal(value, default)

    def declared(self, argument: GraphQLArgument) -> int:
        if argument.default is None:
            given = argument.default_value
            return self.rules.page if given is Undefined else _clamped(given, self.rules)
        return self.literal(argument.default.literal, _clamped(argument.default.value, self.rules))

    def literal(self, value: ValueNode | None, default: int) -> int:
        if isinstance(value, ListValueNode):
            return _clamped(len(value.values), self.rules)
        return _clamped(int(value.value), self.rules) if isinstance(value, IntValueNode) else default

    def sum(self, terms: Iterable[tuple[_Size, _Amount]]) -> _Amount:
        """Add amounts: now if all of them are known, otherwise as a step that is evaluated with the variables."""
        constant = 0
        later: list[tuple[_Size, _Amount]] = []
        for size, amount in terms:
            if isinstance(size, int) and isinstance(amount, int):
                constant += size * amount
            elif amount != 0:
                later.append((size, amount))
        if not later:
            return min(SATURATED, constant)
        if constant == 0 and len(later) == 1 and later[0][0] == 1:
            return later[0][1]
        self.steps.append(_Step(constant, tuple(later)))
        return _Result(len(self.steps) - 1)


def is_connection(named: GraphQLNamedType) -> bool:
    """Return whether a type is a connection: the Relay cursor connections specification defines it by its name."""
    return named.name.endswith("Connection")


def declared_cost(definition: GraphQLField, key: str) -> int | None:
    """Return what the schema declares about a field, in its extensions or in the metadata of its Strawberry field."""
    declared = definition.extensions.get(key)
    if declared is None:
        strawberry_field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        declared = getattr(strawberry_field, "metadata", {}).get(key)
    return declared if isinstance(declared, int) else None


def _clamped(asked: object, rules: PriceRules) -> int:
    """Return a size within the bounds of the rules: a number, or the length of a list."""
    size = len(asked) if isinstance(asked, list) else asked
    return max(1, min(size, rules.largest_page)) if type(size) is int else rules.largest_page
