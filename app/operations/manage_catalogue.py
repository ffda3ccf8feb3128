"""The device catalogue: the models that can be rolled out, with the number of lines that each supports.

Leads replace the whole catalogue, or change one model at a time. An operator loads a catalogue file, which adds and
changes models and removes none. Models are compared by brand and name, ignoring case, as readiness compares them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from app.db import tables, writing
from app.db.writing import Delete, Insert, Update, Write
from app.domain.refusals import Conflict, InvalidInput, LimitReached, NotFound
from app.domain.text import clean
from app.domain.text import given as given_text
from app.domain.vocabulary import Budget, DeviceBrand, DeviceModelKind
from app.operations.administration import AdministrationChange, AdministrationContext, AdministrationMutation
from app.operations.commands import UNSET, Command, Unset, or_stored
from permissions.matrix import Action

MOST_MODELS = 500
LINES = (1, 100)

Path = tuple[str, ...]
Name = tuple[str, str]


class DeviceModelFields(Protocol):
    """The fields of a model. An optional field that is left out keeps its value; null empties it."""

    @property
    def brand(self) -> DeviceBrand | Unset:
        """The maker."""

    @property
    def name(self) -> str | Unset:
        """The name of the model."""

    @property
    def lines(self) -> int | Unset:
        """The number of lines."""

    @property
    def kind(self) -> DeviceModelKind | Unset | None:
        """The kind of equipment."""

    @property
    def maker(self) -> str | Unset | None:
        """The maker's name."""

    @property
    def source(self) -> str | Unset | None:
        """The source of these values."""

    @property
    def source_date(self) -> date | Unset | None:
        """The day when the values were read in the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModelValue:
    """A model, as it is listed or added."""

    brand: DeviceBrand
    name: str
    lines: int
    kind: DeviceModelKind | Unset | None = UNSET
    maker: str | Unset | None = UNSET
    source: str | Unset | None = UNSET
    source_date: date | Unset | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDeviceModels(Command):
    """The complete device catalogue."""

    models: tuple[DeviceModelValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDeviceModel(DeviceModelValue, Command):
    """A new model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditDeviceModel(Command):
    """Changes to a model."""

    device_model_id: str
    expected_revision: int
    brand: DeviceBrand | Unset = UNSET
    name: str | Unset = UNSET
    lines: int | Unset = UNSET
    kind: DeviceModelKind | Unset | None = UNSET
    maker: str | Unset | None = UNSET
    source: str | Unset | None = UNSET
    source_date: date | Unset | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDeviceModel(Command):
    """The model to remove."""

    device_model_id: str
    expected_revision: int


async def set_device_models(context: AdministrationContext, command: SetDeviceModels) -> AdministrationChange:
    """Replace the catalogue. An existing model with the same name, in the same case, keeps its id.

    Raises InvalidInput.
    """
    if len(command.models) > MOST_MODELS:
        raise InvalidInput(field="models", rule=f"at most {MOST_MODELS} models", path=("models",))
    kept = {(row.brand, row.model): row for row in await writing.catalogue(context.transaction)}
    wanted = _wanted(command.models, kept, _as_written)
    named = {(values["brand"], values["model"]) for _, values in wanted}
    writes: list[Write] = [
        Delete(tables.device_model, {"id": row.id}) for name, row in kept.items() if name not in named
    ]
    for row, values in wanted:
        writes += _written(context, row, values)
    return AdministrationChange(writes=tuple(writes))


async def add_device_model(context: AdministrationContext, command: AddDeviceModel) -> AdministrationChange:
    """Add a model. Raises InvalidInput, and LimitReached for a full catalogue."""
    values = _values(command, None, ())
    rows = await writing.catalogue(context.transaction)
    if len(rows) >= MOST_MODELS:
        raise LimitReached(limit=MOST_MODELS, counted="deviceModels")
    _check_free(rows, values)
    (insert,) = _written(context, None, values)
    return AdministrationChange(writes=(insert,), ids={"device_model": insert.row["id"]})


async def edit_device_model(context: AdministrationContext, command: EditDeviceModel) -> AdministrationChange:
    """Change a model. Raises NotFound, Conflict and InvalidInput."""
    rows = await writing.catalogue(context.transaction)
    row = _at_revision(rows, command.device_model_id, command.expected_revision)
    values = _values(command, row, ())
    _check_free([each for each in rows if each.id != row.id], values)
    return AdministrationChange(writes=tuple(_written(context, row, values)), ids={"device_model": row.id})


async def remove_device_model(context: AdministrationContext, command: RemoveDeviceModel) -> AdministrationChange:
    """Remove a model. Raises NotFound and Conflict."""
    rows = await writing.catalogue(context.transaction)
    row = _at_revision(rows, command.device_model_id, command.expected_revision)
    writes = (Delete(tables.device_model, {"id": row.id}),)
    return AdministrationChange(writes=writes, ids={"removed_device_model": row.id})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModels:
    """The difference that a catalogue file makes: names of models, and of changed ones the values before and after.

    `unlisted` are models that the file does not list. They stay.
    """

    writes: tuple[Write, ...]
    added: tuple[Name, ...]
    changed: Mapping[Name, Mapping[str, tuple[Any, Any]]]
    equal: tuple[Name, ...]
    unlisted: tuple[Name, ...]


async def load_device_models(context: AdministrationContext, models: Sequence[DeviceModelValue]) -> LoadedModels:
    """The changes that make the catalogue have these models. Raises InvalidInput, and LimitReached for too many."""
    before = {_compared(row.brand, row.model): row for row in await writing.catalogue(context.transaction)}
    wanted = _wanted(models, before, _compared)
    listed = {_compared(values["brand"], values["model"]) for _, values in wanted}
    if len(listed | before.keys()) > MOST_MODELS:
        raise LimitReached(limit=MOST_MODELS, counted="deviceModels")
    writes: list[Write] = []
    added, equal, changed = [], [], {}
    for row, values in wanted:
        name = (values["brand"], values["model"])
        writes += _written(context, row, values)
        if row is None:
            added.append(name)
        elif difference := _difference(row, values):
            changed[name] = {field: (getattr(row, field), after) for field, after in difference.items()}
        else:
            equal.append(name)
    return LoadedModels(
        writes=tuple(writes),
        added=tuple(added),
        changed=changed,
        equal=tuple(equal),
        unlisted=tuple((row.brand, row.model) for compared, row in before.items() if compared not in listed),
    )


def check_models(models: Sequence[DeviceModelValue]) -> None:
    """Raises InvalidInput for a list that could not be loaded into any catalogue."""
    if len(models) > MOST_MODELS:
        raise InvalidInput(field="models", rule=f"at most {MOST_MODELS} models", path=("models",))
    _wanted(models, {}, _compared)


def _wanted(
    models: Sequence[DeviceModelValue], rows: Mapping[Name, Any], key: Callable[[str, str], Name]
) -> list[tuple[Any, dict[str, Any]]]:
    """The row, if there is one, and the values of each model. `rows` have keys made by `key` of brand and name.

    Raises InvalidInput for a value that is not valid, and for a model that is listed twice, ignoring case.
    """
    found = []
    seen: set[Name] = set()
    for place, each in enumerate(models):
        path = ("models", str(place))
        row = rows.get(key(each.brand, given_text("deviceModel.name", each.name, path=(*path, "name"))))
        values = _values(each, row, path)
        compared = _compared(values["brand"], values["model"])
        if compared in seen:
            rule = "each model may appear only once, ignoring case"
            raise InvalidInput(field="name", rule=rule, path=(*path, "name"))
        seen.add(compared)
        found.append((row, values))
    return found


def _as_written(brand: str, model: str) -> Name:
    return brand, model


def _compared(brand: str, model: str) -> Name:
    return brand, model.casefold()


def _at_revision(rows: Sequence[Any], row_id: str, expected: int) -> Any:
    """The model with this id. Raises NotFound, and Conflict if it has another revision."""
    row = next((each for each in rows if each.id == row_id), None)
    if row is None:
        raise NotFound
    if row.revision != expected:
        raise Conflict(current_revision=row.revision, path=("expectedRevision",))
    return row


def _check_free(rows: Sequence[Any], values: Mapping[str, Any]) -> None:
    if _compared(values["brand"], values["model"]) in {_compared(row.brand, row.model) for row in rows}:
        raise InvalidInput(field="name", rule="already in the catalogue, ignoring case", path=("name",))


def _values(given: DeviceModelFields, row: Any, path: Path) -> dict[str, Any]:
    """The columns of a model: the given values, or those of its row where they are left out. Raises InvalidInput."""
    stored: dict[str, Any] = {name: getattr(row, name, None) for name in _COLUMNS}
    lines = or_stored(given.lines, stored["lines"])
    if not LINES[0] <= lines <= LINES[1]:
        raise InvalidInput(field="lines", rule=f"must be between {LINES[0]} and {LINES[1]}", path=(*path, "lines"))
    name, maker, source = given.name, given.maker, given.source
    values = {
        "brand": or_stored(given.brand, stored["brand"]),
        "model": stored["model"] if name is UNSET else given_text("deviceModel.name", name, path=(*path, "name")),
        "lines": lines,
        "kind": or_stored(given.kind, stored["kind"]),
        "maker": stored["maker"] if maker is UNSET else clean("deviceModel.maker", maker, path=(*path, "maker")),
        "source": stored["source"] if source is UNSET else clean("deviceModel.source", source, path=(*path, "source")),
        "source_date": or_stored(given.source_date, stored["source_date"]),
    }
    if values["source_date"] is not None and values["source"] is None:
        raise InvalidInput(field="sourceDate", rule="needs a source", path=(*path, "sourceDate"))
    return values


def _written(context: AdministrationContext, row: Any, values: Mapping[str, Any]) -> list[Any]:
    """The write that gives a model these values: none if it has them."""
    if row is None:
        return [Insert(tables.device_model, {"id": context.new_id("DeviceModel"), **values, "revision": 1})]
    changed = _difference(row, values)
    return [Update(tables.device_model, {"id": row.id}, {**changed, "revision": row.revision + 1})] if changed else []


def _difference(row: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != getattr(row, name)}


_COLUMNS = ("brand", "model", "lines", "kind", "maker", "source", "source_date")

SET_DEVICE_MODELS = AdministrationMutation(
    name="setDeviceModels",
    command=SetDeviceModels,
    decide=set_device_models,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

ADD_DEVICE_MODEL = AdministrationMutation(
    name="addDeviceModel",
    command=AddDeviceModel,
    decide=add_device_model,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

EDIT_DEVICE_MODEL = AdministrationMutation(
    name="editDeviceModel",
    command=EditDeviceModel,
    decide=edit_device_model,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)

REMOVE_DEVICE_MODEL = AdministrationMutation(
    name="removeDeviceModel",
    command=RemoveDeviceModel,
    decide=remove_device_model,
    action=Action.ADMINISTER,
    budget=Budget.EDITS,
    counts=(),
)
