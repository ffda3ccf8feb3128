"""What the rules say of a location at this moment: readiness, review, and what the viewer may do to it."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from strawberry import Parent

from app.db import rows
from app.domain.diff import ContentDifference, diff
from app.domain.issue import Issue
from app.domain.viewer_actions import ViewerAction
from app.operations.aggregate import Aggregate
from app.operations.preview import actions_of, previews
from resolvers import objects
from resolvers.context import Info
from resolvers.inputs import identifier


@dataclass(frozen=True, slots=True)
class Review:
    """What a lead approves: the content by its digest, and how it differs from the last approved content."""

    location_id: str
    revision: int
    digest: str
    changes: tuple[ContentDifference, ...]
    request_id: str | None


async def readiness(info: Info, location_id: str) -> tuple[Issue, ...]:
    """Every issue of a location in reach. Raises NotFound."""
    return (await _aggregate(info, location_id)).issues


async def readiness_of(location: Parent[rows.LocationRow], info: Info) -> tuple[Issue, ...]:
    """Every issue of this location."""
    return (await _preview(info, location.id)).issues


async def review(info: Info, location_id: str) -> Review:
    """The content of a location in reach, to be read before it is approved. Raises NotFound."""
    aggregate = await _aggregate(info, location_id)
    record = aggregate.record
    return Review(
        location_id=location_id,
        revision=record.location.revision,
        digest=aggregate.digest,
        changes=diff(aggregate.content_of(record.last_approved), aggregate.document),
        request_id=record.request.id if record.request else None,
    )


async def viewer_actions_of(location: Parent[rows.LocationRow], info: Info) -> tuple[ViewerAction, ...]:
    """What the viewer may do to this location."""
    return actions_of(await _preview(info, location.id))


async def _aggregate(info: Info, location_id: str) -> Aggregate:
    row: Any = await objects.by_type(info, "Location", identifier(location_id, "locationId"))
    return await _preview(info, row.id)


async def _preview(info: Info, location_id: str) -> Aggregate:
    """Where a location stands, read in one go with all others that are asked for at this level."""
    allowed = info.context.write_context.self_approval_allowed
    loader = info.context.reading.loader("standing", partial(previews, self_approval_allowed=allowed))
    aggregate: Aggregate = await loader.load(location_id)
    return aggregate
