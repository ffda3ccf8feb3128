"""Hardware addresses (IEEE 802 EUI-48): parsed from any common notation, stored as twelve lower-case hex digits."""

import re
from collections.abc import Mapping

import netaddr  # type: ignore[import-untyped] # - the package has no type information

from app.domain.mac_holder import MacHolder
from app.domain.refusals import InvalidInput, MacInUse

_TWELVE_DIGITS = re.compile(r"[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_GROUP_BIT = 0x01
_LOCAL_BIT = 0x02


def read_mac(text: str, *, path: tuple[str, ...] = ()) -> str:
    """Return the address as twelve lower-case hex digits; colons, dashes, dots, spaces or no separator are accepted.

    Raises InvalidInput for anything that is not one EUI-48.
    """
    compact = "".join(text.split())
    if _TWELVE_DIGITS.fullmatch(re.sub("[:.-]", "", compact)) and netaddr.valid_mac(compact):
        return format(int(netaddr.EUI(compact, version=48)), "012x")
    raise InvalidInput(field="macAddress", rule="must be a MAC address of 12 hexadecimal digits", path=path)


def show_mac(mac: str) -> str:
    """Format an address for display: `00155d010101` becomes `00:15:5D:01:01:01`."""
    return bytes.fromhex(mac).hex(":").upper()


def in_use(held: Mapping[str, MacHolder | None]) -> MacInUse:
    """The refusal of addresses that other locations hold, by address. Holders are named if any is known: to leads."""
    macs = sorted(held)
    holders = tuple(held[mac] for mac in macs)
    return MacInUse(mac_addresses=tuple(map(show_mac, macs)), holders=holders if any(holders) else ())


def is_multicast(mac: str) -> bool:
    """Return whether the address is a group address, which no single device can have (IEEE 802, the I/G bit)."""
    return bool(int(mac[:2], 16) & _GROUP_BIT)


def is_locally_administered(mac: str) -> bool:
    """Return whether the address was chosen locally, not assigned by a manufacturer (IEEE 802, the U/L bit)."""
    return bool(int(mac[:2], 16) & _LOCAL_BIT)
