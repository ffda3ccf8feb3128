"""Facts that readiness needs and the content does not contain."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from app.domain.rejection import Rejection
from app.domain.vocabulary import DeviceBrand


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Facts from outside the location.

    `claimed_elsewhere` maps hardware addresses that other locations claim to the name of that location, or to None when
    the viewer may not see it. `models` is the device catalogue, None when there is none. `rejection` is the last
    rejection by a partner, for any content.
    """

    claimed_elsewhere: Mapping[str, str | None] = field(default_factory=dict)
    models: AbstractSet[tuple[DeviceBrand, str]] | None = None
    rejection: Rejection | None = None


NOTHING_OUTSIDE = Outside()
