"""What every race and every crash ends in: the audit trail tells all that they left behind."""

from harness import TestDatabase

from app.audit.replay import replay
from app.audit.verify import snapshot, verify


async def the_trail_tells_all(database: TestDatabase) -> None:
    """The chains are whole, and the entries alone rebuild what stands in the tables."""
    async with snapshot(database.owner_url) as connection:
        broken = (await verify(connection)).broken
        assert broken is None, broken
    assert (await replay(database.owner_url)).differences == ()
