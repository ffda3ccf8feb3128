"""Refresh the makers' address blocks from the IEEE's registration files.

    PYTHONPATH=. .venv/bin/python deploy/address_blocks.py --date 2026-05-21 oui.csv mam.csv oui36.csv

The arguments are the CSV files of the registries MA-L, MA-M and MA-S, as the IEEE Registration Authority publishes
them, and the day of the copy. Rewrites app/domain/readiness/address_blocks.py, which has the blocks of the makers that
app/domain/readiness/makers.py knows, and prints what was added and removed. Of the files, only prefixes are kept.
"""

import argparse
import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

from app.domain.readiness.address_blocks import BLOCKS
from app.domain.readiness.makers import REGISTERED_AS

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "app" / "domain" / "readiness" / "address_blocks.py"
COLUMNS = ("Registry", "Assignment", "Organization Name")
REGISTRIES = {"MA-L": 6, "MA-M": 7, "MA-S": 9}
"""The registries, and the number of hexadecimal digits of their prefixes."""
FEWEST_ASSIGNMENTS = {"MA-L": 30_000, "MA-M": 4_000, "MA-S": 4_000}
"""A file with fewer is cut off: the registries only grow."""
WIDTH = 112

Blocks = Mapping[str, Iterable[str]]


class NotTheRegistry(Exception):  # noqa: N818 - says what happened
    """A file is not one of the IEEE's registration files, or not a whole one. The message is one line."""


def main() -> None:
    """Rewrite the table."""
    options = parser().parse_args()
    try:
        found = blocks_of(options.files)
    except NotTheRegistry as error:
        sys.exit(f"address_blocks: {error}")
    except OSError as error:
        sys.exit(f"address_blocks: {error.filename}: {error.strerror}")
    for line in differences(BLOCKS, found):
        print(line)
    TABLE.write_text(table(found, options.date), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parsed = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsed.add_argument("--date", type=date.fromisoformat, required=True, help="the day of the copy, as 2026-05-21")
    parsed.add_argument("files", nargs="+", type=Path, metavar="FILE", help="oui.csv, mam.csv and oui36.csv")
    return parsed


def blocks_of(files: Iterable[Path]) -> dict[str, list[str]]:
    """The prefixes of each brand, in order. Raises NotTheRegistry unless all three registries are whole; OSError."""
    found: dict[str, set[str]] = defaultdict(set)
    counts = dict.fromkeys(REGISTRIES, 0)
    for file in files:
        for registry, prefix, owner in assignments(file):
            counts[registry] += 1
            for brand, names in REGISTERED_AS.items():
                if any(re.match(name, owner, re.IGNORECASE) for name in names):
                    found[brand.value].add(prefix)
    for registry, count in counts.items():
        if count < FEWEST_ASSIGNMENTS[registry]:
            raise NotTheRegistry(f"{count} assignments of {registry}; at least {FEWEST_ASSIGNMENTS[registry]} exist")
    return {brand.value: sorted(found[brand.value]) for brand in REGISTERED_AS}


def assignments(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield registry, prefix in lower case and owner of each line. Raises NotTheRegistry and OSError."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            raise NotTheRegistry(f"{file}: the columns {', '.join(COLUMNS)} are missing")
        for row in rows:
            registry, prefix, owner = (row[column] or "" for column in COLUMNS)
            digits = REGISTRIES.get(registry)
            if digits is None or not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", prefix):
                raise NotTheRegistry(f"{file}: line {rows.line_num} has no assignment of MA-L, MA-M or MA-S")
            yield registry, prefix.lower(), owner


def differences(before: Blocks, after: Blocks) -> Iterator[str]:
    """Yield a line for each prefix that was added or removed."""
    for brand in after:
        old, new = set(before.get(brand, ())), set(after[brand])
        yield from (f"added   {brand} {prefix}" for prefix in sorted(new - old))
        yield from (f"removed {brand} {prefix}" for prefix in sorted(old - new))


def table(blocks: Blocks, read: date) -> str:
    """The module with the table."""
    lines = [
        '"""The address blocks of the makers, by brand: prefixes of 6, 7 or 9 hexadecimal digits.',
        "",
        f"Written by deploy/address_blocks.py from the IEEE's registries MA-L, MA-M and MA-S as they were on {read}.",
        '"""',
        "",
        "from collections.abc import Mapping",
        "from types import MappingProxyType",
        "",
        "_PREFIXES = {",
    ]
    for brand, prefixes in blocks.items():
        lines += [f'    "{brand}": """', *(f"        {line}" for line in wrapped(prefixes)), '    """,']
    lines += [
        "}",
        "",
        "BLOCKS: Mapping[str, frozenset[str]] = MappingProxyType(",
        "    {brand: frozenset(listed.split()) for brand, listed in _PREFIXES.items()}",
        ")",
        "",
    ]
    return "\n".join(lines)


def wrapped(prefixes: Iterable[str]) -> Iterator[str]:
    """Yield lines of prefixes."""
    line = ""
    for prefix in prefixes:
        if len(line) + len(prefix) >= WIDTH - 8:
            yield line
            line = ""
        line = f"{line} {prefix}".strip()
    if line:
        yield line


if __name__ == "__main__":
    main()
