"""Which object type each value of a field is, as resolve_type and is_type_of say, asked as seldom as they allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from graphql import GraphQLAbstractType, GraphQLError, GraphQLObjectType, default_type_resolver
from graphql.pyutils import inspect

from .locations import Place, infos
from .markers import BY_CLASS
from .steps import Steps, Together
from .wrapping import CompositeType

if TYPE_CHECKING:
    from .run import Run

Types = list[GraphQLObjectType | Exception]


def runtime_types(run: Run, place: Place, type_: CompositeType, objects: Sequence[Any]) -> Steps[Types]:
    """The object type of each value, or why it has none."""
    info = infos(run.info(place), place)
    if isinstance(type_, GraphQLObjectType):
        types: Types = [type_] * len(objects)
    else:
        types = yield from _resolved(run, place, type_, objects, info)
    groups: dict[GraphQLObjectType, list[int]] = {}
    for index, found in enumerate(types):
        if isinstance(found, GraphQLObjectType) and found.is_type_of is not None:
            groups.setdefault(found, []).append(index)
    for found, indices in groups.items():
        answers = yield from _is_type_of(run, found, objects, indices, info)
        for index, answer in zip(indices, answers, strict=True):
            if isinstance(answer, Exception):
                types[index] = answer
            elif not answer:
                types[index] = GraphQLError(
                    f"Expected value of type '{found}' but got: {inspect(objects[index])}.", place.field.nodes
                )
    return types


def _resolved(
    run: Run, place: Place, type_: GraphQLAbstractType, objects: Sequence[Any], info: Callable[[int], Any]
) -> Steps[Types]:
    resolve = type_.resolve_type or default_type_resolver

    def ask(index: int) -> Any:
        return resolve(objects[index], info(index), type_)

    answers = yield from _answers(run, resolve, ask, objects, range(len(objects)))
    types: Types = []
    for index, answer in enumerate(answers):
        if isinstance(answer, Exception):
            types.append(answer)
            continue
        try:
            types.append(
                run.executor.ensure_valid_runtime_type(answer, type_, place.field.details, info(index), objects[index])
            )
        except Exception as error:  # noqa: BLE001  the object has no type, then
            types.append(error)
    return types


def _is_type_of(
    run: Run, type_: GraphQLObjectType, objects: Sequence[Any], indices: Sequence[int], info: Callable[[int], Any]
) -> Steps[list[Any]]:
    is_type_of: Any = type_.is_type_of

    def ask(index: int) -> Any:
        return is_type_of(objects[index], info(index))

    return (yield from _answers(run, is_type_of, ask, objects, indices))


def _answers(
    run: Run, function: Any, ask: Callable[[int], Any], objects: Sequence[Any], indices: Sequence[int]
) -> Steps[list[Any]]:
    """What the function says of the objects at these indices, or raises; one object stands for its class if it may."""
    if getattr(function, BY_CLASS, False):
        by_class = {type(objects[index]): index for index in reversed(indices)}
        answers = yield from _outcomes(run, ask, list(by_class.values()))
        found = dict(zip(by_class, answers, strict=True))
        return [found[type(objects[index])] for index in indices]
    return (yield from _outcomes(run, ask, indices))


def _outcomes(run: Run, ask: Callable[[int], Any], indices: Sequence[int]) -> Steps[list[Any]]:
    answers = [_outcome(ask, index) for index in indices]
    waiting = [place for place, answer in enumerate(answers) if run.executor.is_awaitable(answer)]
    if waiting:
        outcomes = yield Together([answers[place] for place in waiting])
        for place, outcome in zip(waiting, outcomes, strict=True):
            answers[place] = outcome
    return answers


def _outcome(ask: Callable[[int], Any], index: int) -> Any:
    try:
        return ask(index)
    except Exception as error:  # noqa: BLE001  the object has no type, then
        return error
