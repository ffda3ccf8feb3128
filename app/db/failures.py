"""The exceptions of the database, and which of them each of the driver's exceptions becomes.

PostgreSQL reports each error with an SQLSTATE, whose first two characters are its class (appendix A of its manual). The
table lists the states and classes that a server in operation meets: connections lost, locks, limits, resources. A state
that is in no entry, such as a violated constraint or an undefined column, is not translated.
"""

from collections.abc import Mapping
from types import TracebackType

import asyncpg
from asyncpg.exceptions import InvalidCachedStatementError, OutdatedSchemaCacheError


class DatabaseUnavailable(Exception):  # noqa: N818 - named like the error code
    """The database server cannot be reached or cannot work, or the connection was lost."""


class DatabaseReadOnly(DatabaseUnavailable):
    """The database accepts no writes: it is a standby, or was made read-only."""


class WritesOfOlderCode(DatabaseUnavailable):
    """A migration that this code does not know closed the database to its writes."""


class MigrationsMissing(DatabaseUnavailable):
    """The database lacks migrations that this code needs."""


class CommitUnknown(DatabaseUnavailable):
    """The connection was lost after COMMIT was sent and before it was answered."""


class Overloaded(Exception):  # noqa: N818 - named like the error code
    """No connection became free within the wait limit, or a write lost a conflict with concurrent ones."""


class LockTimeout(Overloaded):
    """Another transaction held a lock for too long."""


class TransactionConflict(Overloaded):
    """PostgreSQL rolled back the transaction because of others. The same transaction can succeed if it is repeated."""


class StatementTimeout(Exception):  # noqa: N818 - names what happened
    """A statement exceeded its transaction's statement timeout."""


class StatementTooComplex(Exception):  # noqa: N818 - named like PostgreSQL's error
    """A statement exceeds a limit of PostgreSQL, such as the depth of its stack."""


OPERATED: Mapping[str, type[Exception]] = {
    "08": DatabaseUnavailable,  # connection exception
    "25006": DatabaseReadOnly,
    "25P03": DatabaseUnavailable,  # idle in transaction session timeout
    "25P04": DatabaseUnavailable,  # transaction timeout
    "28": DatabaseUnavailable,  # invalid authorization: the password was changed
    "3D000": DatabaseUnavailable,  # the database does not exist
    "40": TransactionConflict,  # transaction rollback: deadlock, serialization failure
    "53": DatabaseUnavailable,  # insufficient resources: disk, memory, connections
    "54": StatementTooComplex,  # program limit exceeded
    "55006": DatabaseUnavailable,  # object in use: the database is being copied or dropped
    "55P03": LockTimeout,
    "57": DatabaseUnavailable,  # operator intervention: shutdown, restart, recovery
    "57014": StatementTimeout,  # query canceled
    "58": DatabaseUnavailable,  # system error: input and output
    "72": TransactionConflict,  # snapshot too old
    "F0": DatabaseUnavailable,  # configuration file error
}
"""What an SQLSTATE, or a class of SQLSTATEs, becomes."""

# Plans and types that a connection remembers from before a migration. The driver forgets them when it raises these.
_STALE = (InvalidCachedStatementError, OutdatedSchemaCacheError)
# InterfaceError and InternalClientError: the connection is closed, or its state is unknown. The driver raises its
# DataError, an InterfaceError, for a value of the wrong type, which is a bug in this code. A refused certificate is an
# OSError and a ValueError.
_DRIVER = (OSError, EOFError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def translation(error: BaseException) -> type[Exception] | None:
    """Return the exception of this module that an exception of the driver becomes, or None if it is not translated."""
    if isinstance(error, _STALE):
        return TransactionConflict
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return OPERATED.get(state) or OPERATED.get(state[:2])
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return None
    return DatabaseUnavailable if isinstance(error, _DRIVER) else None


class _Translated:
    """The context behind `translated`. One shared instance: contextlib would create one per statement."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is None:
            return
        translated_to = translation(error)
        if translated_to is not None:
            raise translated_to from error


_TRANSLATED = _Translated()


def translated() -> _Translated:
    """Translate the driver's exceptions of a server in operation to those of this module; others pass."""
    return _TRANSLATED
