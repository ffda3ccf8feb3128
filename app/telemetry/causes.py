"""What caused an exception: the same for every request that meets the same bug, and nothing that a request contains."""

import linecache
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType

from app.observing import statement_of

OWN = ("app", "graphql_schema", "permissions", "resolvers")
"""The packages of this product."""
OF_FIELDS = ("app.execution",)
"""Own modules, or packages, that every field passes. An exception there is about a field."""
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

    `place` is that of the innermost own frame outside of modules that every field passes. Without one, it is that of
    the innermost own frame, and without any own frame that of the innermost frame; then it `is_shared`. It is None for
    an exception that was never raised. `statement` is the name of the statement of the database that failed. All
    statements pass the same code, so for an error of PostgreSQL in one without a name, such as COMMIT, the place
    `is_shared` as well.
    """

    types: tuple[str, ...]
    place: CodePlace | None
    is_shared: bool
    code: str | None
    statement: str | None = None

    def tags(self) -> dict[str, str]:
        """Return the code and the statement, if there are any."""
        return {name: value for name in ("code", "statement") if (value := getattr(self, name)) is not None}

    def fingerprint(self, field: str | None = None) -> list[str]:
        """Return what identifies the bug in all releases: the statement, or the text of the line, not its number.

        `field` is the field of the schema that failed. It is used where the place is shared.
        """
        parts = [*self.types, *filter(None, [self.code])]
        if self.statement is not None:
            return [*parts, self.statement]
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
    own = [place for place in innermost_first if place.is_own]
    unshared = [place for place in own if not place.is_in(OF_FIELDS)]
    places = unshared or own or innermost_first
    statement = next(filter(None, map(statement_of, reversed(chain))), None)
    return Cause(
        types=tuple(map(name_of, chain)),
        place=places[0] if places else None,
        is_shared=not unshared or (hasattr(chain[-1], "sqlstate") and statement is None),
        code=code_of(chain[-1]),
        statement=statement,
    )


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
