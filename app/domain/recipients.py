"""The partners of a location, and the recipients of a payload: the partners to whom it was released."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from app.domain.vocabulary import PartnerPurpose, ReceiptKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A partner to whom the next payload of a location would be released.

    `available` says whether the partner is active and has access to the account. `versions` are the versions of the
    document that it accepts, empty if it accepts all.
    """

    user_id: str
    name: str
    purpose: PartnerPurpose
    required: bool
    available: bool = True
    versions: frozenset[str] = frozenset()

    def accepts(self, version: str) -> bool:
        """Whether the partner accepts documents of a version."""
        return not self.versions or version in self.versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A partner to whom a payload was released. `live` says whether its phones run with the document."""

    id: str
    payload_id: str
    user_id: str
    required: bool
    live: bool = False
    waived_at: datetime | None = None
    decommissioned_at: datetime | None = None
    receipt_id: str | None = None
    answer: ReceiptKind | None = None
    answered_at: datetime | None = None

    @property
    def can_answer(self) -> bool:
        """Whether the recipient has neither answered nor decommissioned the payload."""
        return self.answer is None and self.decommissioned_at is None

    @property
    def is_awaited(self) -> bool:
        """Whether the receipt is still awaited: the recipient can answer, and no lead waived the receipt."""
        return self.can_answer and self.waived_at is None


def completes(recipient: Recipient, recipients: Iterable[Recipient]) -> bool:
    """Return whether the receipt of this recipient of a payload, or its waiver, is the last required one."""
    awaited = {each.id for each in recipients if each.required and each.is_awaited}
    return recipient.required and awaited <= {recipient.id}


def live_payloads(recipients: Iterable[Recipient], without_recipients: AbstractSet[str]) -> frozenset[str]:
    """Return the payloads that are live: for a recipient, or because a lead completed one that has no recipients."""
    return frozenset(each.payload_id for each in recipients if each.live) | without_recipients
