"""The device catalogue: the models that can be rolled out, and the number of lines that each supports."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.db import tables, writing
from app.db.writing import Delete, Insert, Update, Write
from app.domain.refusals import InvalidInput
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, DeviceBrand
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import Command
from permissions.matrix import Action

MOST_MODELS = 500
LINES = (1, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModelValue:
    """A model of the new catalogue."""

    brand: DeviceBrand
    model: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDeviceModels(Command):
    """The complete device catalogue."""

    models: tuple[DeviceModelValue, ...]


async def set_device_models(context: AdministrationContext, command: SetDeviceModels) -> AdministrationChange:
    """Replace the catalogue. An existing model keeps its id. Raises InvalidInput."""
    models = command.models
    if len(models) > MOST_MODELS:
        raise InvalidInput(field="models", rule=f"at most {MOST_MODELS} models", path=("models",))
    named = [_named(each, place) for place, each in enumerate(models)]
    _check_named_once(named)
    wanted = {name: each.lines for name, each in zip(named, models, strict=True)}
    kept = {(row.brand, row.model): row for row in await writing.catalogue(context.transaction)}
    writes: list[Write] = [
        Delete(tables.device_model, {"id": row.id}) for name, row in kept.items() if name not in wanted
    ]
    for (brand, model), lines in wanted.items():
        known = kept.get((brand, model))
        if known is None:
            row = {"id": context.new_id("DeviceModel"), "brand": brand, "model": model, "lines": lines, "revision": 1}
            writes.append(Insert(tables.device_model, row))
        elif known.lines != lines:
            changed = {"lines": lines, "revision": known.revision + 1}
            writes.append(Update(tables.device_model, {"id": known.id}, changed))
    return AdministrationChange(writes=tuple(writes))


def _named(given: DeviceModelValue, place: int) -> tuple[str, str]:
    path = ("models", str(place))
    if not LINES[0] <= given.lines <= LINES[1]:
        raise InvalidInput(field="lines", rule=f"must be between {LINES[0]} and {LINES[1]}", path=(*path, "lines"))
    return given.brand, given_text("deviceModel.name", given.model, path=(*path, "model"))


def _check_named_once(named: Sequence[tuple[str, str]]) -> None:
    """Raises InvalidInput for a model that is listed twice. Case is ignored, as readiness ignores it."""
    seen: set[tuple[str, str]] = set()
    for place, (brand, model) in enumerate(named):
        if (brand, model.casefold()) in seen:
            path = ("models", str(place), "model")
            raise InvalidInput(field="model", rule="each model may appear only once, ignoring case", path=path)
        seen.add((brand, model.casefold()))


SET_DEVICE_MODELS = AdministrationMutation(
    name="setDeviceModels",
    command=SetDeviceModels,
    decide=set_device_models,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)
