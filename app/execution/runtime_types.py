"""The object type of each value of a field, from resolve_type and is_type_of, called as rarely as they allow."""

from __future__ import annotations  # a run defines inner functions: evaluating their annotations costs time

from collections.abc import Callable, Sequence
from typing import Any

from graphql import GraphQLAbstractType, GraphQLError, GraphQLObjectType, default_type_resolver
from graphql.pyutils import inspect

from app.execution.infos import infos
from app.execution.markers import BY_CLASS
from app.execution.model import Place, Run
from app.execution.steps import Concurrent, Steps
from app.execution.wrapping import CompositeType

Types = list[GraphQLObjectType | Exception]


def runtime_types(run: Run, place: Place, type_: CompositeType, objects: Sequence[Any]) -> Steps[Types]:
    """Return the object type of each value, or the exception that explains why it has none."""
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

    def call(index: int) -> Any:
        return resolve(objects[index], info(index), type_)

    answers = yield from _call_function(run, resolve, call, objects, range(len(objects)))
    types: Types = []
    for index, answer in enumerate(answers):
        if isinstance(answer, Exception):
            types.append(answer)
            continue
        try:
            types.append(
                run.executor.ensure_valid_runtime_type(answer, type_, place.field.details, info(index), objects[index])
            )
        except Exception as error:  # noqa: BLE001 - the exception is the reason why the object has no type
            types.append(error)
    return types


def _is_type_of(
    run: Run, type_: GraphQLObjectType, objects: Sequence[Any], indices: Sequence[int], info: Callable[[int], Any]
) -> Steps[list[Any]]:
    is_type_of: Any = type_.is_type_of

    def call(index: int) -> Any:
        return is_type_of(objects[index], info(index))

    return (yield from _call_function(run, is_type_of, call, objects, indices))


def _call_function(
    run: Run, function: Any, call: Callable[[int], Any], objects: Sequence[Any], indices: Sequence[int]
) -> Steps[list[Any]]:
    """Return the function's result or exception per index. A `by_class` function is called once per class."""
    if getattr(function, BY_CLASS, False):
        by_class = {type(objects[index]): index for index in reversed(indices)}
        answers = yield from _call_all(run, call, list(by_class.values()))
        found = dict(zip(by_class, answers, strict=True))
        return [found[type(objects[index])] for index in indices]
    return (yield from _call_all(run, call, indices))


def _call_all(run: Run, call: Callable[[int], Any], indices: Sequence[int]) -> Steps[list[Any]]:
    answers = [_call_one(call, index) for index in indices]
    waiting = [position for position, answer in enumerate(answers) if run.executor.is_awaitable(answer)]
    if waiting:
        outcomes = yield Concurrent([answers[position] for position in waiting])
        for position, outcome in zip(waiting, outcomes, strict=True):
            answers[position] = outcome
    return answers


def _call_one(call: Callable[[int], Any], index: int) -> Any:
    try:
        return call(index)
    except Exception as error:  # noqa: BLE001 - the exception is the reason why the object has no type
        return error
