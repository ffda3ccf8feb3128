"""The differences between a payload's document and the last one that was acknowledged before it."""

import asyncio
from typing import Any

import orjson
from strawberry import Parent

from app.db import rows, tables
from app.db.acknowledged import acknowledged_before
from app.db.loaders import MOST_ROWS, TooManyRows
from app.domain.diff import ContentDifference, payload_changes
from resolvers.context import Info

Changes = tuple[ContentDifference, ...] | None

_ERASED = {"erased": True}
"""The document that remains of an erased one."""


async def changes_since_acknowledged(payload: Parent[rows.ProvisioningPayloadRow], info: Info) -> Changes:
    """The changes of one payload; None if no earlier one was acknowledged, or a document was erased."""
    reading = info.context.reading
    earlier_id = await reading.loader(acknowledged_before, acknowledged_before).load(payload.id)
    earlier = None if earlier_id is None else await reading.one(tables.provisioning_payload.c.id).load(earlier_id)
    return _between(earlier, payload)


async def changes_of_all(payloads: list[rows.ProvisioningPayloadRow], info: Info) -> list[Changes]:
    """The changes of all payloads of a level, in two statements. Raises TooManyRows.

    Documents are compared one at a time, and other requests run in between: two large ones take some milliseconds.
    """
    reading = info.context.reading
    loader = reading.loader(acknowledged_before, acknowledged_before)
    earlier_ids = await loader.load_many([each.id for each in payloads])
    earlier = await reading.one(tables.provisioning_payload.c.id).each(earlier_ids)
    found: list[Changes] = []
    total = 0
    for before, after in zip(earlier, payloads, strict=True):
        await asyncio.sleep(0)
        changes = _between(before, after)
        found.append(changes)
        total += len(changes or ())
        if total > MOST_ROWS:
            raise TooManyRows
    return found


def _between(before: rows.ProvisioningPayloadRow | None, after: rows.ProvisioningPayloadRow) -> Changes:
    if before is None:
        return None
    documents: list[Any] = [orjson.loads(each.document) for each in (before, after)]
    return None if _ERASED in documents else payload_changes(*documents)
