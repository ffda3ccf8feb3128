"""Hardware addresses (IEEE 802 EUI-48): read in any usual spelling, kept as twelve lower-case hex digits."""

import re

import netaddr  # type: ignore[import-untyped] # - it ships no types

from app.domain.refusals import InvalidInput

_TWELVE_DIGITS = re.compile(r"[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_GROUP_BIT = 0x01
_LOCAL_BIT = 0x02


def read_mac(text: str, *, path: tuple[str, ...] = ()) -> str:
    """Twelve lower-case hex digits from colons, dashes, dots, blanks or none between them.

    Raises InvalidInput for anything that is not one EUI-48.
    """
    compact = "".join(text.split())
    if _TWELVE_DIGITS.fullmatch(re.sub("[:.-]", "", compact)) and netaddr.valid_mac(compact):
        return format(int(netaddr.EUI(compact, version=48)), "012x")
    raise InvalidInput(field="macAddress", rule="it must be a hardware address of twelve hex digits", path=path)


def show_mac(mac: str) -> str:
    """As people read it: `00155d010101` as `00:15:5D:01:01:01`."""
    return bytes.fromhex(mac).hex(":").upper()


def is_multicast(mac: str) -> bool:
    """Whether the address names a group of stations; no single device has one (IEEE 802, the I/G bit)."""
    return bool(int(mac[:2], 16) & _GROUP_BIT)


def is_locally_administered(mac: str) -> bool:
    """Whether the address was made up rather than assigned by a maker (IEEE 802, the U/L bit)."""
    return bool(int(mac[:2], 16) & _LOCAL_BIT)
