"""Which code may write: a migration can close the database to writes of servers of an older version.

`turnup.schema_state` has the revisions that did so: code below the greatest of them only reads. A write transaction
takes a shared lock, and reads the state in its next statement, whose snapshot is younger than the lock. A migration
that closes the database takes the lock alone, so that no write of older code runs while it commits.
"""

WRITES_LOCK = 7_264_916
"""The key of the advisory lock; the number is arbitrary and used for nothing else."""

BEGIN_WRITING = f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock_shared({WRITES_LOCK})"
WRITES_SINCE = "(SELECT max(writes_since) FROM turnup.schema_state)"


def may_write(writes_since: str | None, newest_revision: str) -> bool:
    """Return whether code with this newest revision may write. None: the table has no row, so nobody knows who may."""
    return writes_since is not None and writes_since <= newest_revision
