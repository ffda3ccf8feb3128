"""The shape of a provisioning payload, version 1.1.0: what it has beside version 1.0.0.

A key that version 1.0.0 does not have is absent while there is no value. Until the first release this version may gain
such keys.
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

    version: Literal["1.1.0"]  # type: ignore[assignment] # - a document has one version, and this is the other one
    location: PayloadLocation11
