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
    """Counts the objects in the responses of one operation. The analysis of its selections is cached."""

    def __init__(self, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
        self._root = _Level(fragments, [operation.selection_set])

    def count(self, data: Mapping[str, Any] | None) -> int:
        """The objects below the root. Validation guarantees that a key is always an object or always a leaf."""
        return 0 if data is None else self._below([data], self._root)

    def _below(self, objects: Sequence[Mapping[str, Any]], level: "_Level") -> int:
        total = 0
        for key, inner in level.inner.items():
            values: Sequence[Any] = [each[key] for each in objects if each.get(key) is not None]
            while values and isinstance(values[0], list):
                values = [each for each in chain.from_iterable(values) if each is not None]
            if values:
                total += len(values) + self._below(values, inner)
        return total


class _Level:
    """The keys of one level that hold objects. The next level is computed when a response first has such objects."""

    def __init__(
        self, fragments: Mapping[str, FragmentDefinitionNode], selection_sets: Iterable[SelectionSetNode]
    ) -> None:
        self._fragments = fragments
        self._selection_sets = selection_sets
        self._inner: dict[str, _Level] | None = None

    @property
    def inner(self) -> "Mapping[str, _Level]":
        """The levels below, by response key."""
        if self._inner is None:
            found: dict[str, list[SelectionSetNode]] = {}
            _collect(self._selection_sets, self._fragments, found, set())
            self._inner = {key: _Level(self._fragments, sets) for key, sets in found.items()}
        return self._inner


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
