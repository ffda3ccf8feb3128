"""Addresses of clients, as limits count them."""

from ipaddress import IPv6Network

from app.http.loopback import parsed_address

IPV6_PREFIX = 64  # one customer of a provider usually has all addresses of such a network


def counted_address(host: str | None) -> str:
    """Return what is counted as one address: an IPv4 address, the /64 network of an IPv6 address, or "" for no address.

    `host` is None for a Unix socket. An IPv4 address in an IPv6 one counts as the IPv4 address.
    """
    address = parsed_address(host or "")
    if address is None:
        return ""
    return str(address) if address.version == 4 else str(IPv6Network((int(address), IPV6_PREFIX), strict=False))
