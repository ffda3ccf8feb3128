"""Whether a name or an address stays on this machine."""

import re
import socket

from app.http.addresses import HIGHEST_PORT, parsed_address

_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<name>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*))(?::(?P<port>[0-9]{0,5}))?"
)


def is_loopback_address(text: str) -> bool:
    """Return whether the text is an address of 127.0.0.0/8 or ::1."""
    address = parsed_address(text)
    return address is not None and address.is_loopback


def is_loopback_host(name: str) -> bool:
    """Return whether a host, an address or a name without a port, is this machine for everyone (RFC 6761)."""
    lower = name.lower()
    return lower == "localhost" or lower.endswith(".localhost") or is_loopback_address(lower)


def is_loopback_authority(host: str) -> bool:
    """Return whether the value of a Host field names this machine, with any port. A malformed value does not."""
    found = _AUTHORITY.fullmatch(host)
    if found is None or int(found["port"] or 0) > HIGHEST_PORT:
        return False
    return is_loopback_host(found["v6"] or found["name"])


def listens_on_loopback_only(host: str) -> bool:
    """Return whether a server that listens on this name or address is reachable from this machine alone.

    A name is resolved. A name that cannot be resolved is not reachable at all: nothing can listen on it.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return True
    return all(is_loopback_address(str(address[0])) for *_, address in found)
