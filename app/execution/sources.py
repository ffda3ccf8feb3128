"""The sources of a field's values for all objects of a level: attributes, resolvers and batch resolvers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, cast

from graphql import default_field_resolver

from app.execution.infos import infos
from app.execution.model import Attribute, Place, Run, Source
from app.execution.steps import Concurrent, Steps


def read(attribute: Attribute) -> Source:
    """Return a source that reads an attribute of each parent."""
    if attribute.default:
        return _read_default
    get, name = attribute.get, attribute.name

    def read_each(_run: Run, place: Place) -> Steps[Sequence[Any]]:
        yield from ()
        try:
            return [get(parent, name) for parent in place.level.objects]
        except Exception:  # noqa: BLE001 - the slow path below raises it again, for its own parent
            return [result_or_error(get, parent, name) for parent in place.level.objects]

    return read_each


def call_each(resolve: Callable[..., Any]) -> Source:
    """Return a source that calls an ordinary resolver for each parent."""

    def call(run: Run, place: Place) -> Steps[Sequence[Any]]:
        yield from ()
        info = infos(run.info(place), place)
        arguments = place.field.arguments.per_parent(run.variables)
        return [
            result_or_error(resolve, parent, info(index), **values)
            for index, (parent, values) in enumerate(zip(place.level.objects, arguments, strict=False))
        ]

    return call


def introspect(run: Run, place: Place) -> Steps[Sequence[Any]]:
    """Answer an introspection field. Its value is complete, so the executor treats it as a leaf."""
    yield from ()
    value, objects = run.introspector(run.plan).answer(place.field.nodes)
    parents = len(place.level.objects)
    run.objects += objects * parents
    return [value] * parents


@dataclass(frozen=True, slots=True)
class Batch:
    """A source that calls a batch resolver without permissions in front of it."""

    call: Callable[[Run, Place], Any]
    """Calls the resolver for all parents of a level. Returns its results or an awaitable of them."""
    is_async: bool
    """Whether the resolver is a coroutine function, so that a call has no effect before it is awaited."""

    def __call__(self, run: Run, place: Place) -> Steps[Sequence[Any]]:
        """Call the resolver and await its results."""
        return (yield from batch_results(self.call(run, place), len(place.level.objects)))


def batch(resolver: Callable[..., Any]) -> Source:
    """Return a source that calls a batch resolver once per level."""

    def call(run: Run, place: Place) -> Any:
        return resolver(list(place.level.objects), run.info(place), **place.field.arguments.values(run.variables))

    return Batch(call, iscoroutinefunction(resolver))


def batch_results(returned: Any, count: int) -> Steps[Sequence[Any]]:
    """Await what a batch resolver returned for `count` parents. Raises its exception, or TypeError."""
    if hasattr(returned, "__await__"):
        (returned,) = yield Concurrent([returned])
        if isinstance(returned, Exception):
            raise returned
    return checked_results(returned, count)


def checked_results(returned: Any, count: int) -> Sequence[Any]:
    """Check the results of a batch resolver. Raises TypeError unless there is one per parent."""
    if isinstance(returned, list | tuple) and type(returned) not in SEQUENCES:
        returned = list(iter(returned))
    if type(returned) not in SEQUENCES or len(returned) != count:
        what = f"{len(returned)} results" if isinstance(returned, list | tuple) else type(returned).__name__
        raise TypeError(f"A batch resolver must return a list with one result per parent ({count}), not {what}.")
    return cast("Sequence[Any]", returned)


SEQUENCES = {list, tuple}
"""Classes with a reliable `len`. Their subclasses may override it."""


def result_or_error(function: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """Return the result of a function, or the exception that it raises."""
    try:
        return function(*positional, **named)
    except Exception as error:  # noqa: BLE001 - the exception takes the position of the value
        return error


def _read_default(run: Run, place: Place) -> Steps[Sequence[Any]]:
    parents = place.level.objects
    if all(type(parent) is dict for parent in parents):
        values = [parent.get(place.field.name) for parent in parents]
        if not any(map(callable, values)):
            return values
    return (yield from call_each(default_field_resolver)(run, place))
