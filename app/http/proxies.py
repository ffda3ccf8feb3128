"""The client's address and scheme behind reverse proxies: X-Forwarded-For and X-Forwarded-Proto of trusted peers.

uvicorn's own middleware takes any text as the client's address, and does not recognize an IPv4 proxy on an IPv6
socket. The client's address limits requests and connections, so it must be an address that a trusted proxy saw.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.addresses import HIGHEST_PORT, parsed_address

MOST_PROXIES = 32
"""The number of addresses of an X-Forwarded-For field that are read, from its end."""
SCHEMES = frozenset({"http", "https"})

# `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:443`.
_ENTRY = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<v4>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?"
    r"|(?P<v6>[0-9A-Fa-f:.]+)"
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class TrustedProxies:
    """Pure ASGI middleware; must be the outermost, so that everything behind it sees the client.

    A peer outside of the networks is the client itself, whatever its header fields claim.
    """

    def __init__(self, app: ASGIApp, networks: Iterable[Network]) -> None:
        self._app = app
        self._networks = tuple(map(unmapped, networks))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set `scope["client"]` and `scope["scheme"]`, then pass the request on."""
        if scope["type"] == "http":
            # The zone of a link-local peer is the name of a network interface.
            peer = parsed_address(scope["client"][0].partition("%")[0]) if scope.get("client") else None
            if peer is not None and self._trusts(peer):
                client = self._client(_values(scope, b"x-forwarded-for"))
                if client is not None:
                    scope["client"] = client
                scheme = _values(scope, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
                if scheme in SCHEMES:
                    scope["scheme"] = scheme
        await self._app(scope, receive, send)

    def _client(self, forwarded: str) -> tuple[str, int] | None:
        """Return address and port of the client, or None when the field has no address.

        Each proxy appends the address of its peer. Read from the end, the first address that is not a trusted proxy is
        therefore the client's: everything before it was sent by the client. The same holds before a malformed entry.
        """
        found = None
        for entry in reversed(forwarded.rsplit(",", MOST_PROXIES)[-MOST_PROXIES:]):
            address, port = _parsed_entry(entry.strip())
            if address is None:
                break
            found = (str(address), port)
            if not self._trusts(address):
                break
        return found

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _values(scope: Scope, name: bytes) -> str:
    return b",".join(value for field, value in scope["headers"] if field == name).decode("latin-1")


def _parsed_entry(entry: str) -> tuple[Address | None, int]:
    """Return address and port (0 if there is none) of an entry; None and 0 when it is malformed."""
    found = _ENTRY.fullmatch(entry)
    if found is None or int(found["port"] or 0) > HIGHEST_PORT:
        return None, 0
    return parsed_address(found["bracketed"] or found["v4"] or found["v6"]), int(found["port"] or 0)


def unmapped(network: Network) -> Network:
    """Return the IPv4 network of one that is written in IPv6 form (`::ffff:10.0.0.0/104`), as peers are compared."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network
