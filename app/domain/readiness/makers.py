"""The manufacturer of a hardware address, by the IEEE registry of organisationally unique identifiers."""

import re
from functools import lru_cache
from types import MappingProxyType

import netaddr  # type: ignore[import-untyped] # - the package has no type information

from app.domain.vocabulary import DeviceBrand

# Patterns for the start of each manufacturer's name in the registry. OTHER has none: any block is accepted for it.
REGISTERED_AS = MappingProxyType(
    {
        DeviceBrand.YEALINK: (r"yealink\b", r"xiamen yealink\b"),
        DeviceBrand.POLY: (r"poly$", r"polycom\b", r"plantronics\b"),
        DeviceBrand.CISCO: (r"cisco\b",),
        DeviceBrand.GRANDSTREAM: (r"grandstream\b",),
        DeviceBrand.SNOM: (r"snom\b",),
        DeviceBrand.FANVIL: (r"fanvil\b",),
    }
)

# The owner of blocks that the registry assigns in smaller parts; it does not record the owners of the parts.
_SHARED = "IEEE Registration Authority"


def other_maker(mac: str, brand: DeviceBrand) -> str | None:
    """Return the registered owner of the address's block when it is not the brand's manufacturer.

    None when the owner is that manufacturer, when the brand names no manufacturer, or when the installed copy of the
    registry does not contain the block.
    """
    owner = _owner(mac[:6])
    if owner is None or brand not in REGISTERED_AS:
        return None
    is_own = any(re.match(name, owner, re.IGNORECASE) for name in REGISTERED_AS[brand])
    return None if is_own else owner


@lru_cache(maxsize=4096)
def _owner(block: str) -> str | None:
    try:
        owner = str(netaddr.OUI(int(block, 16)).registration().org)
    except netaddr.NotRegisteredError:
        return None
    return None if owner == _SHARED else owner
