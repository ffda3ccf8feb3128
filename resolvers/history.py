"""The content of a location as of a revision."""

from functools import partial
from typing import Any

from strawberry import Parent

from app.audit import history
from app.audit.history import AsOf
from app.db import rows
from app.db.database import Transaction
from app.domain.content_document import content_document
from app.domain.refusals import NotFound
from resolvers.context import Info


async def as_of(location: rows.LocationRow, info: Info, revision: int) -> AsOf:
    """The content as of a revision, read in one batch for all locations of a level. Raises NotFound."""
    loader = info.context.reading.loader(("as of", revision), partial(_contents, revision=revision))
    found: AsOf | None = await loader.load(location.id)
    if found is None:
        raise NotFound(path=("revision",))
    return found


def document(past: Parent[AsOf]) -> Any:
    """The content as the JSON document whose digest is stored."""
    return content_document(past.content)


async def _contents(tx: Transaction, location_ids: list[str], *, revision: int) -> list[AsOf | None]:
    found = await history.as_of(tx, location_ids, revision)
    return [found.get(location_id) for location_id in location_ids]
