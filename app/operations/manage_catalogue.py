"""The device catalogue: the models that can be rolled out, and how many lines each can hold."""

from typing import Any

from app.db import tables, writing
from app.db.writing import Delete, Insert, Update, Write
from app.domain.refusals import InvalidInput
from app.domain.text import given as given_text
from app.operations.administration import AdminCase, Decision, Office
from app.operations.desk import Input

MOST_MODELS = 500
LINES = (1, 100)


async def set_device_models(office: Office, given: Input) -> Decision:
    """The catalogue becomes what is given; a model that stays keeps its id."""
    models = given["models"]
    if len(models) > MOST_MODELS:
        raise InvalidInput(field="models", rule=f"there may be at most {MOST_MODELS}", path=("models",))
    wanted = {_named(each, place): each["lines"] for place, each in enumerate(models)}
    if len(wanted) < len(models):
        raise InvalidInput(field="models", rule="each model may be named once", path=("models",))
    kept = {(row.brand, row.model): row for row in await writing.catalogue(office.transaction)}
    writes: list[Write] = [
        Delete(tables.device_model, {"id": row.id}) for name, row in kept.items() if name not in wanted
    ]
    for (brand, model), lines in wanted.items():
        known = kept.get((brand, model))
        if known is None:
            row = {"id": office.new_id("DeviceModel"), "brand": brand, "model": model, "lines": lines, "revision": 1}
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


SET_DEVICE_MODELS = AdminCase(mutation="setDeviceModels", decide=set_device_models)
