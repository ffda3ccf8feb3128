"""The structure of provisioning payloads, version 1.1.0: the additions to version 1.0.0.

A key that is not in version 1.0.0 is absent if it has no value. Until the first release, such keys can be added to this
version.
"""

from typing import Annotated, Literal

import msgspec

from app.domain.payload_shape import Payload, PayloadLocation

SiteCode = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=32, description="The account's own code for the site; absent when it has none."
    ),
]


class PayloadLocation11(PayloadLocation):
    """The place itself."""

    site_code: SiteCode | msgspec.UnsetType = msgspec.UNSET


class Payload11(Payload):
    """Everything a partner needs to set up one location."""

    version: Literal["1.1.0"]  # type: ignore[assignment] # - narrows the version of the base class to another literal
    location: PayloadLocation11
