"""The command line of the device catalogue: turnup catalogue load.

It signs in as the owner, which may become the definer role, and the audit log records its changes without an actor.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from app.cli_failures import system_change
from app.domain.refusals import LimitReached
from app.operations.load_catalogue import BUILT_IN, CatalogueFileRefused, load_catalogue, read_catalogue
from app.operations.manage_catalogue import DeviceModelValue, LoadedModels, Name
from app.settings import Settings

# Returns a context that yields the database's URL for its owner.
Owner = Callable[[Settings], AbstractContextManager[str]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", owner: Owner) -> None:
    """Add `catalogue` and its subcommand."""
    catalogue = commands.add_parser("catalogue", help="load the device catalogue")
    kinds = catalogue.add_subparsers(required=True, metavar="COMMAND")
    loading = kinds.add_parser("load", help="add and change the models that a file lists; others stay")
    loading.add_argument(
        "file", type=Path, nargs="?", default=BUILT_IN, metavar="FILE", help="JSON; default: the product's own file"
    )
    loading.set_defaults(run=lambda settings, options: run_load(settings, options, owner))


def run_load(settings: Settings, options: argparse.Namespace, owner: Owner) -> None:
    """Load a catalogue file and print what was added and changed, and what is in the catalogue only."""
    models = _read(options.file)
    with owner(settings) as url, system_change("load the file again, which repeats nothing"):
        try:
            loaded = asyncio.run(load_catalogue(url, models))
        except LimitReached as refusal:
            sys.exit(f"turnup: {options.file}: with the models that it does not list, more than {refusal.limit} models")
    _print(loaded)


def _read(file: Path) -> tuple[DeviceModelValue, ...]:
    try:
        return read_catalogue(file)
    except CatalogueFileRefused as error:
        sys.exit(f"turnup: {file}: {error}")
    except OSError as error:
        sys.exit(f"turnup: {file}: {error.strerror}")


def _print(loaded: LoadedModels) -> None:
    for name in loaded.added:
        _say(f"added    {_shown(name)}")
    for name, fields in loaded.changed.items():
        values = (f"{field} {_value(before)} -> {_value(after)}" for field, (before, after) in fields.items())
        _say(f"changed  {_shown(name)}: {', '.join(values)}")
    for name in loaded.unlisted:
        _say(f"kept     {_shown(name)}: not in the file")
    _say(
        f"{len(loaded.added)} added, {len(loaded.changed)} changed, {len(loaded.equal)} unchanged,"
        f" {len(loaded.unlisted)} kept that the file does not list"
    )


def _shown(name: Name) -> str:
    return " ".join(name)


def _value(value: Any) -> str:
    return "none" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
