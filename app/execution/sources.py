"""Where the values of a field come from, for all objects of a level: attributes, resolvers, batch resolvers."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import default_field_resolver

from .locations import Place, infos
from .steps import Steps, Together

if TYPE_CHECKING:
    from .run import Run

Source = Callable[["Run", Place], Steps[Sequence[Any]]]
"""Gives one value for each object of the level, an exception for each that failed; raises what fails them all."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field without a resolver."""

    name: str
    default: bool
    """Read as graphql-core's default resolver does: keys of mappings too, null if missing, methods called."""
    get: Callable[[Any, str], Any] = getattr

    @property
    def is_dotted(self) -> bool:
        """Whether `object.name` in source form reads it."""
        return self.get is getattr and not keyword.iskeyword(self.name)


def read(attribute: Attribute) -> Source:
    """Read an attribute of each parent."""
    if attribute.default:
        return _read_default
    get, name = attribute.get, attribute.name

    def read_each(_run: Run, place: Place) -> Steps[Sequence[Any]]:
        yield from ()
        try:
            return [get(parent, name) for parent in place.level.objects]
        except Exception:  # noqa: BLE001  found again, at its parent, below
            return [outcome(get, parent, name) for parent in place.level.objects]

    return read_each


def each(resolve: Callable[..., Any]) -> Source:
    """Call an ordinary resolver for each parent."""

    def call_each(run: Run, place: Place) -> Steps[Sequence[Any]]:
        yield from ()
        info = infos(run.info(place), place)
        arguments = place.field.arguments.for_each(run.variables)
        return [
            outcome(resolve, parent, info(index), **values)
            for index, (parent, values) in enumerate(zip(place.level.objects, arguments, strict=False))
        ]

    return call_each


def batch(resolver: Callable[..., Any]) -> Source:
    """Call a batch resolver once."""

    def call_once(run: Run, place: Place) -> Steps[Sequence[Any]]:
        arguments = place.field.arguments.values(run.variables)
        return (yield from answers(resolver, place.level.objects, run.info(place), arguments))

    return call_once


def answers(
    resolver: Callable[..., Any], parents: Sequence[Any], info: Any, arguments: dict[str, Any]
) -> Steps[Sequence[Any]]:
    """What a batch resolver answers for these parents; raises what it raises, TypeError if it does not answer each."""
    given = resolver(list(parents), info, **arguments)
    if hasattr(given, "__await__"):
        (given,) = yield Together([given])
        if isinstance(given, Exception):
            raise given
    if not isinstance(given, list | tuple) or len(given) != len(parents):
        count = len(given) if isinstance(given, list | tuple) else type(given).__name__
        raise TypeError(f"A batch resolver must answer each of {len(parents)} parents in a list, not {count}.")
    return given


def outcome(function: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """What a function gives, or the exception it raises."""
    try:
        return function(*positional, **named)
    except Exception as error:  # noqa: BLE001  stands where the value would
        return error


def _read_default(run: Run, place: Place) -> Steps[Sequence[Any]]:
    parents = place.level.objects
    if all(type(parent) is dict for parent in parents):
        values = [parent.get(place.field.name) for parent in parents]
        if not any(map(callable, values)):
            return values
    return (yield from each(default_field_resolver)(run, place))
