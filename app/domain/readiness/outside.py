"""What readiness has to be told, because the content alone cannot tell it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from app.domain.rejection import Rejection
from app.domain.vocabulary import DeviceBrand


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Facts from beyond the location.

    `claimed_elsewhere` maps hardware addresses that other locations hold to the holder's name, or to None where the
    viewer may not learn it. `models` is the device catalogue, None when there is none to compare with. `rejection` is
    the last one of a partner, whatever content it was about.
    """

    claimed_elsewhere: Mapping[str, str | None] = field(default_factory=dict)
    models: AbstractSet[tuple[DeviceBrand, str]] | None = None
    rejection: Rejection | None = None


NOTHING_OUTSIDE = Outside()
