"""Readiness, review and viewer actions of a location, computed by the business rules."""

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
    """The content that a lead approves: its digest, and its differences from the last approved content."""

    location_id: str
    revision: int
    digest: str
    changes: tuple[ContentDifference, ...]
    request_id: str | None


async def readiness(info: Info, location_id: str) -> tuple[Issue, ...]:
    """All issues of a location in scope. Raises NotFound."""
    return (await _aggregate(info, location_id)).issues


async def readiness_of(location: Parent[rows.LocationRow], info: Info) -> tuple[Issue, ...]:
    """All issues of this location."""
    return (await _preview(info, location.id)).issues


async def review(info: Info, location_id: str) -> Review:
    """The review of a location in scope. Raises NotFound."""
    return _review(await _aggregate(info, location_id))


async def review_of(location: Parent[rows.LocationRow], info: Info) -> Review:
    """The review of this location."""
    return _review(await _preview(info, location.id))


def _review(aggregate: Aggregate) -> Review:
    record = aggregate.record
    return Review(
        location_id=record.location.id,
        revision=record.location.revision,
        digest=aggregate.digest,
        changes=diff(aggregate.content_of(record.last_approved), aggregate.document),
        request_id=record.request.id if record.request else None,
    )


async def viewer_actions_of(location: Parent[rows.LocationRow], info: Info) -> tuple[ViewerAction, ...]:
    """The actions that the viewer can perform on this location, and the reasons against the others."""
    return actions_of(await _preview(info, location.id))


async def _aggregate(info: Info, location_id: str) -> Aggregate:
    row: Any = await objects.by_id(info, rows.LocationRow, identifier(location_id, "locationId"))
    return await _preview(info, row.id)


async def _preview(info: Info, location_id: str) -> Aggregate:
    """The preview of a location, read in one batch with all others that are requested on this level."""
    allowed = info.context.write_context.self_approval_allowed
    loader = info.context.reading.loader("previews", partial(previews, self_approval_allowed=allowed))
    aggregate: Aggregate = await loader.load(location_id)
    return aggregate
