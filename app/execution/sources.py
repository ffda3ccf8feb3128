"""Where the values of a field come from, for all objects of a level: attributes, resolvers, batch resolvers."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, cast

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


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch resolver that nothing stands before: a source, in two halves for who awaits its answers himself."""

    call: Callable[[Run, Place], Any]
    """Calls it for all parents of a level; gives what it gives, an awaitable perhaps."""
    is_async: bool
    """Whether it is a coroutine function, so that the call itself does nothing yet."""

    def __call__(self, run: Run, place: Place) -> Steps[Sequence[Any]]:
        """Call it and await what it gives."""
        return (yield from answers(self.call(run, place), len(place.level.objects)))


def batch(resolver: Callable[..., Any]) -> Source:
    """Call a batch resolver once."""

    def call(run: Run, place: Place) -> Any:
        return resolver(list(place.level.objects), run.info(place), **place.field.arguments.values(run.variables))

    return Batch(call, iscoroutinefunction(resolver))


def answers(given: Any, count: int) -> Steps[Sequence[Any]]:
    """The answers for so many parents that a batch resolver gave or will give; raises what it raises, and TypeError."""
    if hasattr(given, "__await__"):
        (given,) = yield Together([given])
        if isinstance(given, Exception):
            raise given
    return counted(given, count)


def counted(given: Any, count: int) -> Sequence[Any]:
    """The answers of a batch resolver; raises TypeError if it does not answer each of so many parents."""
    if isinstance(given, list | tuple) and type(given) not in SEQUENCES:
        given = list(iter(given))
    if type(given) not in SEQUENCES or len(given) != count:
        what = len(given) if isinstance(given, list | tuple) else type(given).__name__
        raise TypeError(f"A batch resolver must answer each of {count} parents in a list, not {what}.")
    return cast("Sequence[Any]", given)


SEQUENCES = {list, tuple}
"""Classes that hold as many items as their `len` says; their subclasses may do otherwise."""


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
