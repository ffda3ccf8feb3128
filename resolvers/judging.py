"""What the rules say of a location at this moment: readiness, review, and what the viewer may do to it."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from strawberry import Parent

from app.db import rows
from app.domain.diff import Change, diff
from app.domain.issue import Issue
from app.domain.viewer_actions import ViewerAction
from app.operations.desk import Work
from app.operations.standing import actions_of, standings
from resolvers import objects
from resolvers.context import Info
from resolvers.inputs import identifier


@dataclass(frozen=True, slots=True)
class Review:
    """What a lead approves: the content by its digest, and how it differs from the last approved content."""

    location_id: str
    revision: int
    digest: str
    changes: tuple[Change, ...]
    request_id: str | None


async def readiness(info: Info, location_id: str) -> tuple[Issue, ...]:
    """Every issue of a location in reach. Raises NotFound."""
    return (await _work(info, location_id)).issues


async def readiness_of(location: Parent[rows.Location], info: Info) -> tuple[Issue, ...]:
    """Every issue of this location."""
    return (await _standing(info, location.id)).issues


async def review(info: Info, location_id: str) -> Review:
    """The content of a location in reach, to be read before it is approved. Raises NotFound."""
    work = await _work(info, location_id)
    dossier = work.dossier
    return Review(
        location_id=location_id,
        revision=dossier.location.revision,
        digest=work.digest,
        changes=diff(work.content_of(dossier.last_approved), work.document),
        request_id=dossier.request.id if dossier.request else None,
    )


async def viewer_actions_of(location: Parent[rows.Location], info: Info) -> tuple[ViewerAction, ...]:
    """What the viewer may do to this location."""
    return actions_of(await _standing(info, location.id))


async def _work(info: Info, location_id: str) -> Work:
    row: Any = await objects.by_type(info, "Location", identifier(location_id, "locationId"))
    return await _standing(info, row.id)


async def _standing(info: Info, location_id: str) -> Work:
    """Where a location stands, read in one go with all others that are asked for at this level."""
    allowed = info.context.desk.self_approval_allowed
    loader = info.context.reading.loader("standing", partial(standings, self_approval_allowed=allowed))
    work: Work = await loader.load(location_id)
    return work
