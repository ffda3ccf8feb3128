"""IP addresses of clients: how they are read, compared and counted."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IPV6_PREFIX = 64  # one customer of a provider usually has all addresses of such a network

HIGHEST_PORT = 65_535

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parsed_address(text: str) -> Address | None:
    """Return an IP address, or None when the text is not one. An IPv4 address in IPv6 form becomes IPv4."""
    if "%" in text:
        return None  # a zone is arbitrary text
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.version == 6 and address.ipv4_mapped) or address


def is_ipv6(text: str) -> bool:
    """Return whether the text is an IPv6 address; one with an IPv4 address in it is."""
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def unmapped_network(network: Network) -> Network:
    """Return the IPv4 network of one in IPv6 form (`::ffff:10.0.0.0/104`), because addresses are compared as IPv4."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network


def counted_address(host: str | None) -> str:
    """Return what is counted as one address: an IPv4 address, the /64 network of an IPv6 address, or "" for no address.

    `host` is None for a Unix socket. An IPv4 address in an IPv6 one counts as the IPv4 address.
    """
    address = parsed_address(host or "")
    if address is None:
        return ""
    return str(address) if address.version == 4 else str(IPv6Network((int(address), IPV6_PREFIX), strict=False))


def is_within(host: str, networks: Iterable[Network]) -> bool:
    """Return whether the address of a socket is in one of the networks, which are not mapped."""
    address = parsed_address(host)
    return address is not None and any(address in network for network in networks)
