"""The price of introspection, and the answers that are kept because they depend on the request alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
)

from app.execution.cache import ScanResistantCache
from app.execution.introspection import Introspection
from app.query_cost.limits import DocumentTooComplex
from app.query_cost.price import PriceRules

MOST_NAMES_PER_LIST = 1
"""The response names under which one selection set may select a list field of introspection."""

MOST_KEPT = 256
MOST_KEPT_BYTES = 16 * 2**20
MOST_BYTES_PER_ANSWER = 2 * 2**20


class Cost(NamedTuple):
    """What introspection costs: objects, and the objects as which its field values count."""

    objects: int
    values: int


class IntrospectionPrice:
    """The price of the introspection in one operation: what it returns, whatever its @skip and @include decide."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, rules: PriceRules
    ) -> None:
        self._introspection = Introspection(schema, document, operation)
        self._rules = rules
        self.is_all = self._introspection.is_all
        """Whether the operation selects nothing but introspection."""
        self._takes_variables = bool(operation.variable_definitions)
        self._fixed = None if self._introspection.exists else Cost(0, 0)

    def given(self, variables: Mapping[str, object]) -> Cost:
        """Return the cost for these coerced variables. A cost over the maximum price may be incomplete.

        Raises DocumentTooComplex if a selection set selects a list field of introspection under several names.
        """
        repeated = self._introspection.repeated_list
        if repeated is not None:
            raise DocumentTooComplex(limit="introspection_lists", maximum=MOST_NAMES_PER_LIST, field=repeated)
        if self._fixed is not None:
            return self._fixed
        per_object = self._rules.values_per_object
        counted = self._introspection.count(variables, self._rules.maximum, per_object)
        cost = Cost(counted.objects, counted.values // per_object)
        if not self._takes_variables:
            self._fixed = cost
        return cost


def check_roots(schema: GraphQLSchema) -> None:
    """Raise ValueError if a field returns the query type: introspection below it would have no price."""
    for type_ in schema.type_map.values():
        for name, field in type_.fields.items() if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) else ():
            if get_named_type(field.type) is schema.query_type:
                raise ValueError(f"{type_}.{name} returns the query type.")


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The data of an answer, encoded as JSON, and the number of objects in it."""

    data: orjson.Fragment
    returned: int
    weight: int
    """The bytes that the answer and its key take."""

    @property
    def result(self) -> ExecutionResult:
        """The answer as the result of an execution. The endpoint copies encoded data into its response."""
        data: Any = self.data
        return ExecutionResult(data, None)


Key = tuple[str, str | None, bytes]


class KeptAnswers:
    """A bounded cache of the answers to operations that select nothing but introspection."""

    def __init__(self) -> None:
        self._kept: ScanResistantCache[Key, KeptAnswer] = ScanResistantCache(
            MOST_KEPT, lambda answer: answer.weight, MOST_KEPT_BYTES
        )

    def get(self, key: Key) -> KeptAnswer | None:
        """Return the answer to the operation of this key, None if there is none."""
        return self._kept.get(key)

    def keep(self, key: Key, data: Mapping[str, Any], returned: int) -> KeptAnswer:
        """Encode an answer, and keep it unless it is too large."""
        encoded = orjson.dumps(data)
        document_hash, _, variables = key
        answer = KeptAnswer(orjson.Fragment(encoded), returned, len(encoded) + len(document_hash) + len(variables))
        if answer.weight <= MOST_BYTES_PER_ANSWER:
            self._kept.put(key, answer)
        return answer
