"""Facts that readiness needs and the content does not contain."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from app.domain.mac_holder import MacHolder
from app.domain.recipients import Partner
from app.domain.rejection import Rejection
from app.domain.vocabulary import DeviceBrand


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Facts from outside the location.

    `claimed_elsewhere` maps MAC addresses of the content that other locations hold to the holder, or to None when the
    viewer may not see it; `live_twice` does the same for the addresses of live payloads that live payloads of other
    locations name as well. `models` is the device catalogue, None when there is none. `rejection` is the last rejection
    by a partner, for any content. `partners` are the partners to whom the payload would be released, None when they are
    not known; they are named to the viewer only with `names_partners`.
    """

    claimed_elsewhere: Mapping[str, MacHolder | None] = field(default_factory=dict)
    live_twice: Mapping[str, MacHolder | None] = field(default_factory=dict)
    models: AbstractSet[tuple[DeviceBrand, str]] | None = None
    rejection: Rejection | None = None
    partners: Sequence[Partner] | None = None
    names_partners: bool = False


NOTHING_OUTSIDE = Outside()
