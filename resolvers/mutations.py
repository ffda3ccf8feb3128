"""From a mutation to a use case, and from its outcome, or its refusal, to the payload that the client selected from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from strawberry import Some
from strawberry.types.base import StrawberryMaybe, get_object_definition

from app.domain.refusals import Refusal
from app.operations.desk import Call, UseCase
from app.operations.frame import perform
from resolvers.context import Info

KEY = "idempotency_key"


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as data: an exception among a field's values would be taken for an error of that field."""

    refusal: Refusal

    def __getattr__(self, name: str) -> Any:
        """The refusal's facts."""
        return getattr(self.refusal, name)


@dataclass(frozen=True, slots=True)
class Result:
    """What a mutation's payload is made of: the ids of the objects concerned, or the problems."""

    ids: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False
    problems: tuple[Refused, ...] = ()


async def run(info: Info, use_case: UseCase, given: Any) -> Any:
    """Perform a use case; what the payload's selection reads afterwards is a fresh snapshot."""
    values = plain(given)
    call = Call(mutation=use_case.mutation, input=values, idempotency_key=values.pop(KEY, None))
    try:
        outcome = await perform(info.context.desk, use_case, call)
    except Refusal as refusal:
        return Result(problems=(Refused(refusal),))
    await info.context.renew_reading()
    return Result(ids=outcome.ids, replayed=outcome.replayed)


def plain(value: Any) -> Any:
    """An input as plain values by field names; a field that a patch leaves out is not there."""
    if isinstance(value, Some):
        return plain(value.value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    definition = None if isinstance(value, Enum) else get_object_definition(type(value))
    if definition is None:
        return value
    found = {each.python_name: (each.type, getattr(value, each.python_name)) for each in definition.fields}
    return {name: plain(held) for name, (kind, held) in found.items() if not (held is None and _may_be_absent(kind))}


def _may_be_absent(kind: Any) -> bool:
    return isinstance(kind, StrawberryMaybe)
