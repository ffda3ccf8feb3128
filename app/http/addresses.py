"""IP addresses: how texts are read as addresses, and which addresses limits count as one."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

HIGHEST_PORT = 65_535
IPV6_PREFIX = 64  # one customer of a provider usually has all addresses of such a network


def parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address, or None when the text is not one. An IPv4 address in IPv6 form becomes IPv4."""
    if "%" in text:
        return None  # a zone is arbitrary text
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.version == 6 and address.ipv4_mapped) or address


def counted_address(host: str | None) -> str:
    """Return what is counted as one address: an IPv4 address, the /64 network of an IPv6 address, or "" for no address.

    `host` is None for a Unix socket. An IPv4 address in an IPv6 one counts as the IPv4 address.
    """
    address = parsed_address(host or "")
    if address is None:
        return ""
    return str(address) if address.version == 4 else str(IPv6Network((int(address), IPV6_PREFIX), strict=False))
