"""Prepares documents: parses, limits, validates and prices each document once, and caches it by its text.

Variables are bounded and coerced here, before the price, which depends on their coerced values.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import islice
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError

from app.execution.cache import ScanResistantCache
from app.execution.variables import GivenVariables, Variables
from app.execution.weights import document_bytes
from app.query_cost.limits import DocumentLimits, DocumentTooComplex, parse_document
from app.query_cost.price import Price, PriceRules, price_of
from graphql_schema.errors import RequestedOperation, RequestRefused, raised, refused, resolved
from graphql_schema.input_bounds import BoundedLists, BoundedVariables, InputBounds, ValueOutOfBounds
from graphql_schema.introspection import IntrospectionPrice, check_roots
from graphql_schema.one_of import OneOfVariables
from graphql_schema.returned import Returned
from graphql_schema.wrong_values import wrong_values

MOST_ERRORS = 5
RULES = (*specified_rules, BoundedLists, OneOfVariables)

MOST_DOCUMENTS = 1_000
"""The maximum number of documents that a process caches."""
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024
"""The maximum memory of these documents, without their plans."""

OPERATION_BYTES = 2_000
STEP_BYTES = 150
TERM_BYTES = 150

# Fields with the same response key are compared in pairs. One unit of graphql-core's budget for this takes up to 2 µs,
# as measured, so with its default of 500,000 a document with 240 times `account { id }` blocks the event loop for a
# quarter of a second. Twenty fragments that select the same nested fields use 7,000 units. The rule reads the attribute
# when it starts.
MOST_COMPARISONS = 10_000
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = MOST_COMPARISONS

# Four rules compare each operation with every variable in the fragments that it spreads. With 38 operations and 280
# dollar signs, the most that the limit of tokens permits, they take as long as all other rules together. 25 operations
# with two variables each, used once, use 2,500.
MOST_VARIABLE_USES = 3_000


class Operation:
    """One operation of a valid document. What depends on its selections is computed when it is first needed."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        node: OperationDefinitionNode,
        *,
        document_hash: str,
        prices: PriceRules,
        bounds: InputBounds,
        suggestions: bool,
    ) -> None:
        self.name = node.name.value if node.name else None
        self.type = node.operation
        self.document_hash = document_hash
        self._schema = schema
        self._document = document
        self._node = node
        self._prices = prices
        self._bounds = bounds
        self._suggestions = suggestions

    @cached_property
    def price(self) -> Price:
        """The price of the data, as a function of the variables."""
        return price_of(self._schema, self._document, self._node, self._prices)

    @cached_property
    def introspection(self) -> IntrospectionPrice:
        """The price of the introspection, as a function of the variables."""
        return IntrospectionPrice(self._schema, self._document, self._node, self._prices)

    @cached_property
    def returned(self) -> Returned:
        """The counter of the objects in the responses."""
        return Returned(self._document, self._node)

    @cached_property
    def root_fields(self) -> Mapping[str, str]:
        """The names of the root fields by response key, with those of fragments, in the order of the document."""
        return dict(_root_fields(self._document, self._node.selection_set))

    @cached_property
    def root_field_names(self) -> tuple[str, ...]:
        """The distinct names of the root fields."""
        return tuple(dict.fromkeys(self.root_fields.values()))

    @property
    def requested(self) -> RequestedOperation:
        """What operators learn about it."""
        return RequestedOperation(self.type.value, self.name, self.root_field_names)

    @property
    def variable_names(self) -> list[str]:
        """The names of the variables that it defines."""
        return [each.variable.name.value for each in self._node.variable_definitions or ()]

    @property
    def is_priced(self) -> bool:
        """Whether the price was computed before."""
        return "price" in self.__dict__

    @property
    def bytes(self) -> int:
        """The estimated memory of what was computed so far."""
        weight = OPERATION_BYTES
        if self.is_priced:
            weight += sum(STEP_BYTES + TERM_BYTES * len(each.terms) for each in self.price.steps)
        return weight

    @cached_property
    def _bounded(self) -> BoundedVariables:
        return self._bounds.of(self._node.variable_definitions or ())

    @cached_property
    def _variables(self) -> Variables:
        return Variables(self._schema, self._node.variable_definitions or (), not self._suggestions)

    def variables(self, given: Mapping[str, Any]) -> GivenVariables:
        """The variables with their coerced values. Raises RequestRefused if a value is too long or has another type."""
        try:
            self._bounded.check(given)
        except ValueOutOfBounds as error:
            raise self._refused([error]) from error
        values = self._variables.values(given, MOST_ERRORS)
        if isinstance(values, list):
            found = wrong_values(self._schema, self._node.variable_definitions or (), given)
            raise self._refused(islice(found, MOST_ERRORS))
        return GivenVariables(given, values)

    def _refused(self, found: Iterable[ValueOutOfBounds]) -> RequestRefused:
        """The refusal of values, each at the definition of its variable."""
        nodes = {each.variable.name.value: each for each in self._node.variable_definitions or ()}
        return RequestRefused(
            [resolved(GraphQLError(str(each), nodes[each.variable], original_error=each)) for each in found]
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A valid document, ready to be executed."""

    document: DocumentNode
    operations: tuple[Operation, ...]
    document_bytes: int

    @property
    def bytes(self) -> int:
        """The estimated memory, without plans. It grows when an operation is first priced."""
        return self.document_bytes + sum([each.bytes for each in self.operations])

    def operation(self, name: str | None) -> Operation:
        """The operation to run. The name is required if the document has several. Raises RequestRefused."""
        wanted = [each for each in self.operations if name is None or each.name == name]
        if len(wanted) == 1:
            return wanted[0]
        if name is not None:
            problem = "`operationName` does not name an operation in the document."
        elif wanted:
            problem = "The document has several operations. Choose one with `operationName`."
        else:
            problem = "The document has no operation."
        raise RequestRefused([refused("BAD_REQUEST", GraphQLError(problem))])


class Documents:
    """A cache of prepared documents. One-off documents do not evict documents in use, nor their plans."""

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        limits: DocumentLimits,
        prices: PriceRules,
        suggestions: bool = False,
        size: int = MOST_DOCUMENTS,
        most_bytes: int = MOST_DOCUMENT_BYTES,
    ) -> None:
        """With `suggestions`, errors name similar fields and values of the schema.

        At most `size` documents are cached, and at most as many as take `most_bytes` in memory. A document that takes
        more than a quarter of that is prepared again for each request. Raises ValueError if a field of the schema
        returns the query type.
        """
        check_roots(schema)
        self._schema = schema
        self._limits = limits
        self._prices = prices
        self._suggestions = suggestions
        self._bounds = InputBounds(schema)
        self._kept: ScanResistantCache[str, Prepared] = ScanResistantCache(
            size, lambda prepared: prepared.bytes, most_bytes, most_bytes // 4
        )

    def prepare(self, text: str, operation_name: str | None = None) -> Prepared:
        """The prepared document of this text. Raises RequestRefused with the errors of the first check that fails.

        The refusal of a document that can be parsed has the operation of this name, or the only one.
        """
        prepared = self._kept.get(text)
        if prepared is None:
            prepared = self.made(text, operation_name)
            self._kept.put(text, prepared)
        return prepared

    def made(self, text: str, operation_name: str | None = None) -> Prepared:
        """The prepared document of this text, as `prepare` returns it, without the cache."""
        with _collections_postponed():
            return self._made(text, operation_name)

    def reweigh(self, text: str) -> None:
        """Weigh the document of this text again. Call this after an operation of it was priced."""
        self._kept.reweigh(text)

    def _made(self, text: str, operation_name: str | None) -> Prepared:
        try:
            document = parse_document(text, self._limits)
        except DocumentTooComplex as error:
            requested = None if error.document is None else _requested(_operations(error.document), operation_name)
            raise RequestRefused([raised(error)], requested) from error
        except GraphQLSyntaxError as error:
            raise RequestRefused([refused("GRAPHQL_PARSE_FAILED", error)]) from error
        operations = _operations(document)
        requested = _requested(operations, operation_name)
        if len(operations) * text.count("$") > MOST_VARIABLE_USES:
            raise RequestRefused([_too_many_variable_uses()], requested)
        found = validate(self._schema, document, RULES, max_errors=MOST_ERRORS, hide_suggestions=not self._suggestions)
        errors = found[:MOST_ERRORS]
        if any(isinstance(error, ValidationAbortedError) for error in errors):
            raise RequestRefused([_too_many_comparisons()], requested)
        if errors:
            raise RequestRefused([refused("GRAPHQL_VALIDATION_FAILED", each) for each in errors], requested)
        hashed = hash_of(text)
        prepared = tuple(self._operation(document, each, hashed) for each in operations)
        return Prepared(document, prepared, document_bytes(document))

    def _operation(self, document: DocumentNode, node: OperationDefinitionNode, document_hash: str) -> Operation:
        return Operation(
            self._schema,
            document,
            node,
            document_hash=document_hash,
            prices=self._prices,
            bounds=self._bounds,
            suggestions=self._suggestions,
        )


def hash_of(text: str) -> str:
    """The hash by which operators and clients recognise a document: SHA-256 of its UTF-8, in hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def _operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]


def _requested(operations: Iterable[OperationDefinitionNode], name: str | None) -> RequestedOperation | None:
    """What operators learn about the operation of this name, or the only one, in a document that may be invalid."""
    names = [(each.operation.value, each.name.value if each.name else None) for each in operations]
    wanted = [each for each in names if name is None or each[1] == name]
    return RequestedOperation(*wanted[0]) if len(wanted) == 1 else None


def _root_fields(document: DocumentNode, selected: SelectionSetNode) -> Iterator[tuple[str, str]]:
    """The response key and the name of each root field. A valid document has one name per response key."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    waiting = list(reversed(selected.selections))
    while waiting:
        node = waiting.pop()
        if isinstance(node, FieldNode):
            yield (node.alias or node.name).value, node.name.value
        elif isinstance(node, InlineFragmentNode):
            waiting.extend(reversed(node.selection_set.selections))
        elif isinstance(node, FragmentSpreadNode):
            fragment = fragments.pop(node.name.value, None)  # each fragment once, however often it is spread
            if fragment is not None:
                waiting.extend(reversed(fragment.selection_set.selections))


def _too_many_variable_uses() -> dict[str, Any]:
    message = "The document uses too many variables in too many operations. Send fewer operations in one document."
    facts = {"code": "QUERY_TOO_COMPLEX", "limit": "variable_uses", "maximum": MOST_VARIABLE_USES}
    return {"message": message, "extensions": facts}


@contextmanager
def _collections_postponed() -> Iterator[None]:
    """Postpone garbage collections while a document is prepared.

    Validation leaves reference cycles that keep the document in memory. A collection before its end would make the
    document old. Collecting a hundred thousand old objects takes more than 100 ms.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _too_many_comparisons() -> dict[str, Any]:
    message = "The document selects the same fields too often. Merge the repeated selections."
    facts = {"code": "QUERY_TOO_COMPLEX", "limit": "comparisons", "maximum": MOST_COMPARISONS}
    return {"message": message, "extensions": facts}
