"""Whose block a hardware address lies in, by the IEEE registry of organisationally unique identifiers."""

import re
from functools import lru_cache
from types import MappingProxyType

import netaddr  # type: ignore[import-untyped] # - it ships no types

from app.domain.vocabulary import DeviceBrand

# How each maker's name begins in the registry. OTHER stands for no maker, so every block may be its own.
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

# Blocks that the registry keeps to hand out in smaller parts: whose a part is, it does not say.
_SHARED = "IEEE Registration Authority"


def other_maker(mac: str, brand: DeviceBrand) -> str | None:
    """The registered owner of the address's block when it is not the brand's maker.

    None when it is, when the brand names no maker, and when the registry at hand does not know the block.
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
