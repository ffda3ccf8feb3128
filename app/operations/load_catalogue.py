"""Load a catalogue file, as an operator does on the command line: models are added and changed, none is removed.

The file is JSON with the key `models`: objects with `brand`, `name`, `lines`, `kind` and, if known, `maker`. `source`
and `date` say where the values come from, for the whole file or for one model.
"""

import ast
import datetime
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from app.domain.events import CATALOGUE_LOADED
from app.domain.refusals import InvalidInput
from app.domain.vocabulary import DeviceBrand, DeviceModelKind, SystemAction
from app.operations.administration import AdministrationChange, write
from app.operations.commands import UNSET
from app.operations.event_log import emit_by_system
from app.operations.manage_catalogue import DeviceModelValue, LoadedModels, check_models, load_device_models
from app.operations.system import as_system

BUILT_IN = Path(__file__).with_name("device_models.json")
MOST_BYTES = 1_000_000
LONGEST_MESSAGE = 300

_NO_MEMBER = "Invalid enum value "
_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


class CatalogueFileRefused(Exception):  # noqa: N818 - says what happened
    """A catalogue file cannot be loaded. The message is one line, which names the entry and the field."""


class _ListedModel(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    brand: DeviceBrand
    name: str
    kind: DeviceModelKind
    lines: int
    maker: str | None = None
    source: str | None = None
    date: datetime.date | None = None


class _CatalogueFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    models: list[_ListedModel]
    source: str | None = None
    date: datetime.date | None = None


async def load_catalogue(owner_url: str, models: Sequence[DeviceModelValue]) -> LoadedModels:
    """Make the catalogue have these models, in one transaction, and return the difference that this made.

    Raises InvalidInput, LimitReached, and what `as_system` raises.
    """
    async with as_system(owner_url, SystemAction.CATALOGUE_LOADED) as context:
        loaded = await load_device_models(context, models)
        await write(context.transaction, AdministrationChange(writes=loaded.writes))
    if loaded.writes:
        emit_by_system(CATALOGUE_LOADED, SystemAction.CATALOGUE_LOADED)
    return loaded


def read_catalogue(path: Path) -> tuple[DeviceModelValue, ...]:
    """The models of a catalogue file. Raises CatalogueFileRefused and OSError."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise CatalogueFileRefused(f"larger than {MOST_BYTES:,} bytes")
    raw = _json(content)
    try:
        found = msgspec.convert(raw, _CatalogueFile)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise CatalogueFileRefused(_one_line(raw, where.rstrip("`").lstrip("."), _in_words_of_json(what))) from error
    models = tuple(_value(raw, found, place) for place in range(len(found.models)))
    try:
        check_models(models)
    except InvalidInput as refusal:
        raise CatalogueFileRefused(_refused(raw, refusal)) from refusal
    return models


def _refused(raw: Any, refusal: InvalidInput) -> str:
    """The refusal of a value on one line."""
    first, *others = refusal.path
    where = first + "".join(f"[{each}]" if each.isdigit() else f".{each}" for each in others)
    return _one_line(raw, where, refusal.rule)


def _value(raw: Any, file: _CatalogueFile, place: int) -> DeviceModelValue:
    entry = file.models[place]
    source, source_date = (entry.source, entry.date) if entry.source else (file.source, entry.date or file.date)
    for name, given in (("source", source), ("date", source_date)):
        if not given:
            raise CatalogueFileRefused(
                _one_line(raw, f"models[{place}].{name}", f"missing: say the {name} here or for the whole file")
            )
    return DeviceModelValue(
        brand=entry.brand,
        name=entry.name,
        lines=entry.lines,
        kind=entry.kind,
        maker=UNSET if entry.maker is None else entry.maker,
        source=source,
        source_date=source_date,
    )


def _json(content: bytes) -> Any:
    try:
        value = json.loads(content.decode(), object_pairs_hook=_object)
        json.dumps(value, ensure_ascii=False).encode()  # unpaired surrogates can be escaped in JSON, but are no text
    except CatalogueFileRefused:
        raise
    except (ValueError, RecursionError) as error:
        place = f": line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise CatalogueFileRefused(f"not JSON in UTF-8{place}") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the file. JSON lets a key appear twice; of two values, one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        model = f" of the model {_quoted(found['name'])}" if "name" in found else ""
        raise CatalogueFileRefused(f"the key {_quoted(twice)}{model} appears twice")
    return found


def _in_words_of_json(what: str) -> str:
    """A message of msgspec, which names types and quotes values as Python does."""
    if what.startswith(_NO_MEMBER):
        return _NO_MEMBER + _quoted(ast.literal_eval(what.removeprefix(_NO_MEMBER)))
    if what.startswith("Expected `"):
        return re.sub(r"\w+", lambda word: _TYPES.get(word[0], word[0]), what)
    return what


def _one_line(raw: Any, where: str, what: str) -> str:
    """A message that names the entry, by its place and its model, and the field."""
    entry = re.match(r"models\[(\d+)\]", where)
    given = raw["models"][int(entry[1])] if entry else None
    names = [_quoted(given[key]) for key in ("brand", "name") if key in given] if isinstance(given, dict) else []
    named = f" ({' '.join(names)})" if names else ""
    message = f"{where}{named}: {what}" if where else what
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}..."


def _quoted(value: Any) -> str:
    """A value of the file in a message, without characters that a terminal obeys."""
    return json.dumps(value)[:80]
