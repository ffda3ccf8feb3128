"""What caused an exception: the same for every request that meets the same bug, and nothing that a request contains."""

import linecache
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType

OWN = ("app", "graphql_schema", "permissions", "resolvers")
"""The packages of this product."""
OF_FIELDS = ("app.execution",)
"""Own modules, or packages, that every field passes. An exception there is about a field."""
OF_STATEMENTS = (
    "app.db.database",
    "app.db.failures",
    "app.db.loaders",
    "app.db.queries",
    "app.db.reading",
    "app.db.request_transactions",
    "app.db.statements",
    "resolvers.paging",
)
"""Own modules that many statements pass. An error of the database there is about what called them."""
MOST_CAUSES = 8

_CODE = re.compile(r"[A-Za-z0-9_:-]{1,80}")


@dataclass(frozen=True, slots=True)
class CodePlace:
    """A line of code. `line` is its number."""

    module: str
    function: str
    file: str
    line: int

    @property
    def is_own(self) -> bool:
        """Whether it is in a package of this product."""
        return self.module.partition(".")[0] in OWN

    def is_in(self, modules: Iterable[str]) -> bool:
        """Whether it is in one of these modules or packages."""
        return any(self.module == each or self.module.startswith(f"{each}.") for each in modules)


@dataclass(frozen=True, slots=True)
class Cause:
    """The types of an exception and of its causes, outermost first, the place, and the code of the error, if any.

    `place` is that of the innermost own frame outside of modules that others share. Without one, it is that of the
    innermost own frame, and without any own frame that of the innermost frame; then it `is_shared`. It is None for an
    exception that was never raised.
    """

    types: tuple[str, ...]
    place: CodePlace | None
    is_shared: bool
    code: str | None

    def fingerprint(self, field: str | None = None) -> list[str]:
        """Return what identifies the bug in all releases: the text of the line, not its number.

        `field` is the field of the schema that failed. It is used where the place is shared.
        """
        parts = [*self.types, *filter(None, [self.code])]
        if self.place is not None:
            text = linecache.getline(self.place.file, self.place.line).strip()
            parts += [f"{self.place.module}:{self.place.function}", *filter(None, [text])]
        if field is not None and self.is_shared:
            parts.append(field)
        return parts


def leaf_of(error: BaseException) -> BaseException:
    """Return the first exception of a group, or the exception itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def chain_of(error: BaseException) -> list[BaseException]:
    """Return the exception and its explicit causes, outermost first; at most MOST_CAUSES."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < MOST_CAUSES:
        leaf = leaf_of(cause)
        chain.append(leaf)
        cause = leaf.__cause__
    return chain


def cause_of(error: BaseException) -> Cause:
    """Return the cause of an exception."""
    chain = chain_of(error)
    innermost_first = [place for each in reversed(chain) for place in reversed(list(places_of(each.__traceback__)))]
    shared = OF_FIELDS + OF_STATEMENTS if hasattr(chain[-1], "sqlstate") else OF_FIELDS
    own = [place for place in innermost_first if place.is_own]
    unshared = [place for place in own if not place.is_in(shared)]
    places = unshared or own or innermost_first
    return Cause(tuple(map(name_of, chain)), places[0] if places else None, not unshared, code_of(chain[-1]))


def places_of(traceback: TracebackType | None) -> Iterator[CodePlace]:
    """Yield the lines of a traceback, outermost first."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = str(traceback.tb_frame.f_globals.get("__name__", "?"))
        yield CodePlace(module, code.co_qualname, code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next


def name_of(error: BaseException) -> str:
    """Return the qualified name of the type of an exception."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def code_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error of PostgreSQL, with the constraint if one was violated, or an exit status."""
    found = [getattr(error, name, None) for name in ("sqlstate", "constraint_name", "exit_status")]
    code = ":".join(str(each) for each in found if each is not None)
    return code if _CODE.fullmatch(code) else None
