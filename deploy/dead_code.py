"""Find code of the product that nothing uses: `.venv/bin/python deploy/dead_code.py`, a part of `make check`.

vulture lists what no code in FOLDERS reads by name; tests do not count as use. ALLOWED names the few kinds of code that
something else reads, with the reason. An entry of ALLOWED that matches nothing is an error too.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("app", "bench", "deploy", "graphql_schema", "permissions", "resolvers")
MEMBERS = "members of its classes"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Names in files that match `path`, all members of their classes where no names are given, and who reads them."""

    path: str
    reason: str
    names: tuple[str, ...] = ()

    def __contains__(self, found: "Found") -> bool:
        named = found.name in self.names if self.names else found.in_class
        return named and fnmatchcase(found.path, self.path)


@dataclass(frozen=True, slots=True)
class Found:
    """Code that nothing reads; `path` is relative to the checkout."""

    path: str
    line: int
    kind: str
    name: str
    in_class: bool


ALLOWED = (
    Allowed("app/telemetry/output.py", "weakref reads it", ("atexit",)),
    Allowed("graphql_schema/*", "Strawberry reads the fields of types, inputs, queries and mutations"),
    Allowed("graphql_schema/types.py", "annotations in quotes name them", ("GrantType", "PayloadRecipientType")),
    Allowed("graphql_schema/documents.py", "graphql-core reads it", ("MAX_COMPLEXITY_BUDGET",)),
    Allowed("resolvers/lists.py", "members of enums, which clients send"),
    Allowed("resolvers/paging.py", "fields of the schema read them by name"),
    Allowed("resolvers/mutations.py", "fields of the schema read them by name"),
    Allowed("app/db/rows.py", "columns, which fields of the schema read by name"),
    Allowed("app/db/queries.py", "fields of the schema read it by name", ("count_is_capped",)),
    Allowed("app/db/rows.py", "the executor reads it by name", ("typed_attributes",)),
    Allowed("app/db/tables.py", "its metadata holds every table", ("mac_claim",)),
    Allowed("app/domain/events.py", "the catalogue in docs/logging.md has it", ("says",)),
    Allowed("app/telemetry/output.py", "Python calls them", ("showwarning", "unraisablehook")),
    Allowed("app/telemetry/bounded_http.py", "urllib3 reads them", ("ConnectionCls", "pool_classes_by_scheme")),
    Allowed("app/telemetry/errors.py", "the SDK calls it", ("_request",)),
    Allowed("app/telemetry/shared_files.py", "prometheus-client reads it", ("ValueClass",)),
    Allowed("app/domain/refusals.py", "facts, which become fields of problems by name"),
    Allowed("app/domain/payload_shape*.py", "members of the payload, which msgspec reads"),
    Allowed("app/domain/vocabulary.py", "values that clients send and columns hold"),
    Allowed("app/operations/move_device.py", "the declaration reads it by name", ("to_location_id",)),
    Allowed("app/settings.py", "pydantic reads them; budgets are looked up by name"),
    Allowed("app/http/body.py", "a parameter of GraphQL over HTTP, read by key", ("documentHash", "operationName")),
    Allowed("app/main.py", "Starlette's router reads it", ("redirect_slashes",)),
    Allowed("app/http/heads.py", "httptools calls it", ("on_header",)),
    Allowed(
        "app/http/protocol.py",
        "uvicorn and the event loop call and read them",
        (
            "connection_made",
            "connection_lost",
            "data_received",
            "eof_received",
            "send_500_response",
            "total_requests",
        ),
    ),
    Allowed("app/cli.py", "uvicorn imports it by name", ("app_of_worker",)),
    Allowed(
        "app/serving.py",
        "uvicorn reads and calls them",
        ("timeout_graceful_shutdown", "handle_hup", "handle_ttin", "handle_ttou"),
    ),
    Allowed("app/telemetry/errors.py", "Sentry's library calls it", ("on_dropped_event",)),
    Allowed("permissions/guards.py", "Strawberry calls it", ("on_unauthorized",)),
    Allowed(
        "app/db/migrations/versions/*",
        "Alembic reads them",
        ("down_revision", "branch_labels", "depends_on", "downgrade", "older_code_may_write"),
    ),
    Allowed(
        "app/db/steps.py",
        "migrations to come call them; remove a name that a migration uses",
        ("index", "check", "foreign_key", "validate", "column"),
    ),
    Allowed("bench/peers.py", "bench.requests has uvicorn import them by name", ("app_without_tokens", "built")),
    Allowed("bench/execution.py", "values of an enumeration, chosen by number", ("DRAFT", "IN_REVIEW")),
)


def unused(root: Path, folders: Iterable[str]) -> list[Found]:
    """Return the code in these folders that nothing reads."""
    vulture = Vulture()
    vulture.scavenge([str(root / folder) for folder in folders])
    found = []
    for item in vulture.get_unused_code():
        if item.typ == "import":
            continue  # ruff finds unused imports, and knows annotations in quotes
        line = Path(item.filename).read_text(encoding="utf-8").splitlines()[item.first_lineno - 1]
        path = Path(item.filename).relative_to(root).as_posix()
        found.append(Found(path, item.first_lineno, item.typ, item.name, in_class=line[:1].isspace()))
    return found


def complaints(found: list[Found], allowed: Iterable[Allowed]) -> list[str]:
    """Return one line per unused piece of code that is not allowed, and per entry of ALLOWED that matches nothing."""
    allowed = tuple(allowed)
    dead = [each for each in found if not any(each in entry for entry in allowed)]
    idle = [entry for entry in allowed if not any(each in entry for each in found)]
    return [
        *(f"{each.path}:{each.line}: unused {each.kind} {each.name}" for each in dead),
        *(
            f"deploy/dead_code.py: nothing unused in {entry.path}: {', '.join(entry.names) or MEMBERS}"
            for entry in idle
        ),
    ]


if __name__ == "__main__":
    lines = complaints(unused(ROOT, FOLDERS), ALLOWED)
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines))
