"""Bounds how often something happens per client address, in the memory of this process.

The rate is a token bucket: a minute's amount at once, then one more each time its share of the minute has passed. After
a flood an address is therefore refused for a fraction of a second, not for the rest of a minute.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from app.limiting.limiter import MINUTE

MOST_ADDRESSES = 10_000
IPV6_PREFIX = 64  # one customer of a provider usually has all addresses of such a network


class AddressLimiter:
    """Counts events per address. When it holds too many addresses, the one that was counted longest ago is removed."""

    def __init__(
        self, per_minute: int, *, most_addresses: int = MOST_ADDRESSES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` returns seconds from an arbitrary start."""
        self._share_seconds = MINUTE / per_minute
        self._most_addresses = most_addresses
        self._clock = clock
        self._refilled_at: OrderedDict[str, float] = OrderedDict()
        """The time at which an address has its whole amount again, by address."""

    def wait_seconds(self, address: str) -> float:
        """Return the seconds until the address may cause another event; 0 when it may do so now."""
        now = self._clock()
        return max(0.0, self._refilled_at.get(address, now) + self._share_seconds - MINUTE - now)

    def count(self, address: str) -> None:
        """Count an event of an address that may cause one."""
        now = self._clock()
        self._refilled_at[address] = max(now, self._refilled_at.get(address, now)) + self._share_seconds
        self._refilled_at.move_to_end(address)
        oldest = next(iter(self._refilled_at.values()))
        if len(self._refilled_at) > self._most_addresses or oldest <= now:
            self._refilled_at.popitem(last=False)


def counted_address(host: str | None) -> str:
    """Return what is counted as one address: an IPv4 address, the /64 network of an IPv6 address, or "" for no address.

    `host` is None for a Unix socket. An IPv4 address in an IPv6 one counts as the IPv4 address.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(host or "")
    except ValueError:
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), IPV6_PREFIX), strict=False))
