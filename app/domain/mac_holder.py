"""The location that holds a MAC address, as leads see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MacHolder:
    """A location that holds MAC addresses, with its account's name."""

    location_id: str
    location_name: str
    account_name: str

    def __str__(self) -> str:
        """The holder in a message."""
        return f"{self.account_name}, {self.location_name} ({self.location_id})"
