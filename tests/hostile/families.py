"""All families of hostile requests. A request is determined by the seed, its family and its index."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from random import Random

from . import bodies, documents, heads, variables
from .case import Case

KINDS: Mapping[str, Mapping[str, Callable[[Random], Case]]] = {
    "documents": {name: partial(documents.a_document, name) for name in documents.FAMILIES},
    "variables": {name: partial(variables.of_variables, name) for name in variables.FAMILIES},
    "bodies": {name: partial(bodies.a_body, name) for name in bodies.FAMILIES},
    "heads": {name: partial(heads.a_head, name) for name in heads.FAMILIES},
}
FAMILIES: Mapping[str, Callable[[Random], Case]] = {
    name: make for families in KINDS.values() for name, make in families.items()
}


def hostile(seed: int, family: str, index: int) -> Case:
    """Return the hostile request of a family with this index."""
    return replace(FAMILIES[family](Random(f"{seed} {family} {index}")), index=index)


def mixture(seed: int, count: int) -> Iterator[Case]:
    """Yield hostile requests of all families in turns."""
    names = list(FAMILIES)
    for number in range(count):
        yield hostile(seed, names[number % len(names)], number // len(names))
