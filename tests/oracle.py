"""What every race and every crash ends in: the audit trail tells all that they left behind."""

from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from tests.harness import TestDatabase


async def the_trail_tells_all(database: TestDatabase) -> None:
    """The chains are whole, and the entries alone rebuild what stands in the tables."""
    async with snapshot(database.owner_url) as connection:
        assert (await verify(connection)).broken is None
    assert (await replay(database.owner_url)).differences == ()
