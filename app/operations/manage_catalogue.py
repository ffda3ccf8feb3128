"""The device catalogue: the models that can be rolled out, and how many lines each can hold."""

from collections.abc import Sequence
from typing import Any

from app.db import tables, writing
from app.db.writing import Delete, Insert, Update, Write
from app.domain.refusals import InvalidInput
from app.domain.text import given as given_text
from app.operations.administration import AdminCase, AdministrationContext, Decision
from app.operations.context import Input

MOST_MODELS = 500
LINES = (1, 100)


async def set_device_models(context: AdministrationContext, given: Input) -> Decision:
    """The catalogue becomes what is given; a model that stays keeps its id."""
    models = given["models"]
    if len(models) > MOST_MODELS:
        raise InvalidInput(field="models", rule=f"there may be at most {MOST_MODELS}", path=("models",))
    named = [_named(each, place) for place, each in enumerate(models)]
    _check_named_once(named)
    wanted = {name: each["lines"] for name, each in zip(named, models, strict=True)}
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
    return Decision(writes=tuple(writes))


def _named(model: Any, place: int) -> tuple[str, str]:
    path = ("models", str(place))
    if not LINES[0] <= model["lines"] <= LINES[1]:
        raise InvalidInput(field="lines", rule=f"it must be from {LINES[0]} to {LINES[1]}", path=(*path, "lines"))
    return model["brand"], given_text("deviceModel.name", model["model"], path=(*path, "model"))


def _check_named_once(named: Sequence[tuple[str, str]]) -> None:
    """Raises InvalidInput at the second of two names that readiness takes for one: it does not look at the case."""
    seen: set[tuple[str, str]] = set()
    for place, (brand, model) in enumerate(named):
        if (brand, model.casefold()) in seen:
            path = ("models", str(place), "model")
            raise InvalidInput(field="model", rule="each model may be named once, in whatever case", path=path)
        seen.add((brand, model.casefold()))


SET_DEVICE_MODELS = AdminCase(mutation="setDeviceModels", decide=set_device_models)
