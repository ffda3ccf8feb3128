"""The final check of every race and crash test: the audit log explains the complete content of the tables."""

from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from tests.harness import TestDatabase


async def audit_log_is_complete(database: TestDatabase) -> None:
    """Check that the chains are valid and that replaying the entries rebuilds the tables."""
    async with snapshot(database.owner_url) as connection:
        broken = (await verify(connection)).broken
        assert broken is None, broken
    assert (await replay(database.owner_url)).differences == ()
