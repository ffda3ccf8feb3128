"""Which payloads are live: the recipients whose phones run with a document, after an answer or a lead's decision.

A recipient runs with the last payload that it acknowledged. Where a lead completed a location by hand, or waived a
receipt, the recipient is taken to run with the payload. It ends when the recipient acknowledges a later payload, or
when the recipient, or a lead on its behalf, confirms the decommissioning.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from app.db import tables
from app.db.writing import Update
from app.domain.recipients import Recipient, live_payloads
from app.operations.aggregate import Aggregate

Values = Mapping[str, Any]


def acknowledged(aggregate: Aggregate, recipient: Recipient) -> tuple[frozenset[str], tuple[Update, ...]]:
    """The live payloads after a recipient's acknowledgement, which ends its earlier ones; and the recipients' updates.

    The rows of other recipients do not change.
    """
    sequences = {each.id: each.sequence for each in aggregate.record.payloads}
    latest = sequences[recipient.payload_id]
    ended = [
        each
        for each in aggregate.record.handed_off.recipients
        if each.user_id == recipient.user_id and each.live and sequences.get(each.payload_id, 0) < latest
    ]
    return _after(aggregate, live=[recipient], ended=ended)


def rejected(aggregate: Aggregate, recipient: Recipient) -> tuple[frozenset[str], tuple[Update, ...]]:
    """The live payloads after a recipient's rejection, and the recipients' updates.

    A lead who waived the receipt took the recipient to run with the payload; the recipient says that it does not.
    """
    return _after(aggregate, ended=[recipient] if recipient.live else [])


def waived(aggregate: Aggregate, recipient: Recipient, values: Values) -> tuple[frozenset[str], tuple[Update, ...]]:
    """The live payloads after a lead waived a receipt, and the recipients' updates; `values` describe the waiver."""
    return _after(aggregate, live=[recipient], values=values)


def decommissioned(
    aggregate: Aggregate, payload_id: str, recipients: Iterable[Recipient], values: Values
) -> tuple[frozenset[str], tuple[Update, ...]]:
    """The live payloads after recipients of a payload took it out of operation; and the recipients' updates."""
    return _after(aggregate, ended=recipients, values=values, dropped=frozenset({payload_id}))


def completed_by_hand(aggregate: Aggregate, payload_id: str) -> tuple[frozenset[str], tuple[Update, ...]]:
    """The live payloads after a lead completed the location with this payload; and the recipients' updates.

    Without recipients the lead's statement is the only one, so it replaces that of an earlier payload. A recipient that
    has decommissioned the payload does not run with it again.
    """
    recipients = aggregate.recipients_of(payload_id)
    running = [each for each in recipients if each.decommissioned_at is None]
    live, updates = _after(aggregate, live=running, dropped=without_recipients(aggregate))
    return (live if recipients else live | {payload_id}), updates


def without_recipients(aggregate: Aggregate) -> frozenset[str]:
    """The live payloads that have no recipients."""
    handed_off = aggregate.record.handed_off
    return handed_off.live - {each.payload_id for each in handed_off.recipients}


def _after(
    aggregate: Aggregate,
    *,
    live: Iterable[Recipient] = (),
    ended: Iterable[Recipient] = (),
    values: Values | None = None,
    dropped: AbstractSet[str] = frozenset(),
) -> tuple[frozenset[str], tuple[Update, ...]]:
    changed = {each.id: True for each in live} | {each.id: False for each in ended}
    recipients = [
        replace(each, live=changed.get(each.id, each.live)) for each in aggregate.record.handed_off.recipients
    ]
    updates = tuple(
        Update(tables.payload_recipient, {"id": each.id}, {"live": each.live, **(values or {})})
        for each in recipients
        if each.id in changed
    )
    return live_payloads(recipients, without_recipients(aggregate) - dropped), updates
