"""The reasons of commands that change the status of a location."""

from dataclasses import replace
from typing import Protocol

from app.domain.reasons import reasons_for
from app.domain.vocabulary import LocationAction
from app.operations.commands import Unset, or_stored
from app.operations.context import LocationChange


class Reasoned(Protocol):
    """A command with an internal reason, and with reasons that customers and partners are shown."""

    @property
    def reason(self) -> str | None:
        """The internal reason."""

    @property
    def reason_for_customer(self) -> str | Unset | None:
        """The reason for customers."""

    @property
    def reason_for_partner(self) -> str | Unset | None:
        """The reason for partners."""


def with_reasons(change: LocationChange, verb: LocationAction, command: Reasoned) -> LocationChange:
    """The change with the reasons of a command. Raises InvalidInput, also if the verb requires a missing reason."""
    reasons = reasons_for(
        verb,
        command.reason,
        for_customer=or_stored(command.reason_for_customer, None),
        for_partner=or_stored(command.reason_for_partner, None),
    )
    return replace(
        change,
        reason=reasons.internal,
        reason_for_customer=reasons.for_customer,
        reason_for_partner=reasons.for_partner,
    )
