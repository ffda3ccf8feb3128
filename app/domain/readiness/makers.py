"""The manufacturer of a hardware address, by the IEEE registries of address blocks.

The blocks of the makers that the product knows are a table of its own, which deploy/address_blocks.py refreshes. The
owners of all other blocks come from the copy of the registry in netaddr, which is older and lacks the small blocks.
"""

import re
from functools import lru_cache
from types import MappingProxyType

import netaddr  # type: ignore[import-untyped] # - the package has no type information

from app.domain.readiness.address_blocks import BLOCKS
from app.domain.vocabulary import DeviceBrand

# Patterns for the start of each manufacturer's name in the registry. OTHER has none: any block is accepted for it.
REGISTERED_AS = MappingProxyType(
    {
        DeviceBrand.YEALINK: (r"yealink\b", r"xiamen yealink\b"),
        DeviceBrand.POLY: (r"poly$", r"polycom\b", r"plantronics\b", r"obihai\b"),
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

    None when the owner is that manufacturer, when the brand names no manufacturer, or when no copy of the registry
    contains the block.
    """
    if brand not in REGISTERED_AS:
        return None
    maker = _brand_of(mac)
    if maker is brand:
        return None
    owner = _owner(mac[:6]) or (maker and maker.title())
    is_own = owner is not None and any(re.match(name, owner, re.IGNORECASE) for name in REGISTERED_AS[brand])
    return None if is_own else owner


def _brand_of(mac: str) -> DeviceBrand | None:
    """The brand whose block contains the address, from the smallest blocks to the largest."""
    for digits in _PREFIX_LENGTHS:
        brand = _BRANDS.get(mac[:digits])
        if brand is not None:
            return brand
    return None


_PREFIX_LENGTHS = (9, 7, 6)
_BRANDS = {prefix: DeviceBrand(brand) for brand, prefixes in BLOCKS.items() for prefix in prefixes}


@lru_cache(maxsize=4096)
def _owner(block: str) -> str | None:
    try:
        owner = str(netaddr.OUI(int(block, 16)).registration().org)
    except netaddr.NotRegisteredError:
        return None
    return None if owner == _SHARED else owner
