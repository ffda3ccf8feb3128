"""Counts the objects of a response, level by level, along the selections of the operation.

JSON scalars are leaves of the operation, so their contents are not counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)


class Returned:
    """Counts the objects in the responses of one operation.

    Nothing is kept between two responses. The executor of this product counts the objects of most responses itself.
    """

    __slots__ = ("_document", "_operation")

    def __init__(self, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._document = document
        self._operation = operation

    def count(self, data: Mapping[str, Any] | None) -> int:
        """The objects below the root. Validation guarantees that a key is always an object or always a leaf."""
        if data is None:
            return 0
        definitions = self._document.definitions
        fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
        return _below([data], [self._operation.selection_set], fragments)


def _below(
    objects: Sequence[Mapping[str, Any]],
    selection_sets: Iterable[SelectionSetNode],
    fragments: Mapping[str, FragmentDefinitionNode],
) -> int:
    inner: dict[str, list[SelectionSetNode]] = {}
    _collect(selection_sets, fragments, inner, set())
    total = 0
    for key, sets in inner.items():
        values: Sequence[Any] = [each[key] for each in objects if each.get(key) is not None]
        while values and isinstance(values[0], list):
            values = [each for each in chain.from_iterable(values) if each is not None]
        if values:
            total += len(values) + _below(values, sets, fragments)
    return total


def _collect(
    selection_sets: Iterable[SelectionSetNode],
    fragments: Mapping[str, FragmentDefinitionNode],
    into: dict[str, list[SelectionSetNode]],
    seen: set[str],
) -> None:
    """Collect the selections below each key. A fragment is visited once, as in CollectFields of the specification."""
    for node in chain.from_iterable(each.selections for each in selection_sets):
        if isinstance(node, FieldNode) and node.selection_set is not None:
            key = node.alias.value if node.alias else node.name.value
            into.setdefault(key, []).append(node.selection_set)
        elif isinstance(node, InlineFragmentNode):
            _collect([node.selection_set], fragments, into, seen)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
            seen.add(node.name.value)
            _collect([fragments[node.name.value].selection_set], fragments, into, seen)
