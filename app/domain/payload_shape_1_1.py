"""The structure of provisioning payloads, version 1.1.0: the differences from version 1.0.0.

A key that is not in version 1.0.0 is absent if it has no value. Until the first release, such keys can be added to this
version.
"""

from typing import Annotated, Literal

import msgspec

from app.domain.payload_shape import (
    E164,
    Identifier,
    Moment,
    PayloadContact,
    PayloadDevice,
    PayloadExtension,
    PayloadLocation,
    PayloadMetadata,
    PayloadPart,
    PayloadPhoneSystem,
    PayloadUser,
    PayloadWorkingHours,
    Positive,
    Text,
)
from app.domain.vocabulary import CallFlowKind, CallTarget

SiteCode = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=32, description="The account's own code for the site; absent when it has none."
    ),
]
MailboxNumber = Annotated[
    E164, msgspec.Meta(description="The number of the location's own mailbox (E.164); absent where there is none.")
]
ExtensionNumber11 = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{1,6}$", description="An internal number.")]


class PayloadLocation11(PayloadLocation):
    """The place itself."""

    site_code: SiteCode | msgspec.UnsetType = msgspec.UNSET


class PayloadContact11(PayloadContact):
    """Whom to ask; `phone` is as it was written."""

    phone_e164: (
        Annotated[E164, msgspec.Meta(description="`phone` in E.164; absent if it has no such form.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class PayloadOtherContact11(PayloadContact11, kw_only=True):
    """A further contact and what it is for."""

    purpose: Text


class PayloadContacts11(PayloadPart):
    """The first contact of each purpose, then all the rest."""

    primary: PayloadContact11
    technical: PayloadContact11 | None
    emergency: PayloadContact11 | None
    others: list[PayloadOtherContact11]


class PayloadPhoneSystem11(PayloadPhoneSystem):
    """How the location as a whole is reached and dials out."""

    caller_id_name: Annotated[str, msgspec.Meta(max_length=60)] | None
    extension_length: Annotated[int, msgspec.Meta(ge=2, le=7)] | None
    mailbox_number: MailboxNumber | msgspec.UnsetType = msgspec.UNSET


class PayloadDevice11(PayloadDevice):
    """A desk phone; `extension` is the number it rings for, if any."""

    extension: ExtensionNumber11 | None


class PayloadUser11(PayloadUser):
    """A person who holds an extension here; `devices` are the ids of the phones of those extensions."""

    mobile_e164: (
        Annotated[E164, msgspec.Meta(description="`mobile` in E.164; absent if it has no such form.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    extensions: list[ExtensionNumber11]


class PayloadExtension11(PayloadExtension):
    """An internal number and whom or what it rings."""

    number: ExtensionNumber11


class PayloadTarget11(PayloadPart):
    """Where a call is led; a mailbox without extension is the location's own."""

    kind: CallTarget
    extension: ExtensionNumber11 | None
    external_number: E164 | None
    mailbox_number: MailboxNumber | msgspec.UnsetType = msgspec.UNSET


class PayloadOption11(PayloadPart):
    """What a caller reaches by pressing `digit`."""

    digit: Annotated[str, msgspec.Meta(pattern="^[0-9*#]{1,2}$")]
    target: PayloadTarget11


class PayloadCallFlow11(PayloadPart):
    """How a call is answered: DIRECT rings `extensions` in their order, IVR offers `options`."""

    kind: CallFlowKind
    greeting: str | None
    timeout_seconds: Annotated[Positive | None, msgspec.Meta(description="Never null for IVR.")]
    retries: Annotated[Annotated[int, msgspec.Meta(ge=0)] | None, msgspec.Meta(description="Never null for IVR.")]
    extensions: list[ExtensionNumber11]
    options: list[PayloadOption11]
    timeout_target: PayloadTarget11 | None
    invalid_target: PayloadTarget11 | None


class Payload11(PayloadPart):
    """Everything a partner needs to set up one location."""

    location_id: Identifier
    location_name: Text
    account_id: Identifier
    account_name: Text
    timestamp: Moment
    version: Literal["1.1.0"]
    location: PayloadLocation11
    contacts: PayloadContacts11
    phone_system: PayloadPhoneSystem11
    devices: list[PayloadDevice11]
    users: list[PayloadUser11]
    extensions: list[PayloadExtension11]
    working_hours: list[PayloadWorkingHours]
    call_flow: PayloadCallFlow11
    metadata: PayloadMetadata
