"""Prepares documents: parses, limits, validates and prices each document once, and caches it by its text."""

from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError

from app.execution.cache import ScanResistantCache
from app.execution.weights import document_bytes
from app.query_cost.limits import DocumentLimits, DocumentTooComplex, parse_document
from app.query_cost.price import Price, PriceRules, price_of
from graphql_schema.errors import RequestRefused, raised, refused
from graphql_schema.returned import Returned

MOST_ERRORS = 5

MOST_DOCUMENTS = 1_000
"""The maximum number of documents that a process caches."""
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024
"""The maximum memory of these documents, without their plans."""

OPERATION_BYTES = 1_000
STEP_BYTES = 150
TERM_BYTES = 150

# Fields with the same response key are compared in pairs. One unit of graphql-core's budget for this takes up to 2 µs,
# as measured, so with its default of 500,000 a document with 240 times `account { id }` blocks the event loop for a
# quarter of a second. Twenty fragments that select the same nested fields use 7,000 units. The rule reads the attribute
# when it starts.
MOST_COMPARISONS = 10_000
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = MOST_COMPARISONS


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document, its price, and the counter of the objects in its responses."""

    name: str | None
    type: OperationType
    price: Price
    returned: Returned


@dataclass(frozen=True, slots=True)
class Prepared:
    """A valid document, ready to be executed."""

    document: DocumentNode
    operations: tuple[Operation, ...]

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
        more than a quarter of that is prepared again for each request.
        """
        self._schema = schema
        self._limits = limits
        self._prices = prices
        self._suggestions = suggestions
        self._kept: ScanResistantCache[str, Prepared] = ScanResistantCache(size, _bytes_of, most_bytes, most_bytes // 4)

    def prepare(self, text: str) -> Prepared:
        """The prepared document of this text. Raises RequestRefused with the errors of the first check that fails."""
        prepared = self._kept.get(text)
        if prepared is None:
            prepared = self._made(text)
            self._kept.put(text, prepared)
        return prepared

    def _made(self, text: str) -> Prepared:
        try:
            document = parse_document(text, self._limits)
        except DocumentTooComplex as error:
            raise RequestRefused([raised(error)]) from error
        except GraphQLSyntaxError as error:
            raise RequestRefused([refused("GRAPHQL_PARSE_FAILED", error)]) from error
        errors = validate(self._schema, document, max_errors=MOST_ERRORS, hide_suggestions=not self._suggestions)[
            :MOST_ERRORS
        ]
        if any(isinstance(error, ValidationAbortedError) for error in errors):
            raise RequestRefused([_too_many_comparisons()])
        if errors:
            raise RequestRefused([refused("GRAPHQL_VALIDATION_FAILED", error) for error in errors])
        operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
        return Prepared(document, tuple(self._operation(document, each) for each in operations))

    def _operation(self, document: DocumentNode, node: OperationDefinitionNode) -> Operation:
        price = price_of(self._schema, document, node, self._prices)
        return Operation(node.name.value if node.name else None, node.operation, price, Returned(document, node))


def _bytes_of(prepared: Prepared) -> int:
    """The estimated memory of a prepared document. Unlike its plans, it does not grow when it is executed."""
    return document_bytes(prepared.document) + sum(map(_bytes_of_operation, prepared.operations))


def _bytes_of_operation(operation: Operation) -> int:
    steps = operation.price.steps
    return OPERATION_BYTES + STEP_BYTES * len(steps) + TERM_BYTES * sum(len(each.terms) for each in steps)


def _too_many_comparisons() -> dict[str, Any]:
    message = "The document selects the same fields too often. Merge the repeated selections."
    facts = {"code": "QUERY_TOO_COMPLEX", "limit": "comparisons", "maximum": MOST_COMPARISONS}
    return {"message": message, "extensions": facts}
