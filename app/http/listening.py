"""End the queue of a listening socket without a reset: the kernel ignores new connections, and finishes those begun.

Linux ignores segments to a socket whose IP packets may pass fewer routers than a minimum (IP_MINTTL, RFC 5082).
Clients send with 64 or 128. A minimum of 255, the greatest value, therefore ignores the first segment of every new
connection. Segments that finish a handshake are not compared. The option needs no privileges, unlike a socket filter.
"""

import os
import socket
import sys
from contextlib import suppress

_IP_MINTTL = (socket.IPPROTO_IP, 21)
_IPV6_MINHOPCOUNT = (socket.IPPROTO_IPV6, 73)
_OPTIONS = {
    socket.AF_INET: (_IP_MINTTL,),
    socket.AF_INET6: (_IPV6_MINHOPCOUNT, _IP_MINTTL),  # the socket may have IPv4 clients too
}
_GREATEST = 255


def begin_no_connections(listener: int) -> None:
    """Let the kernel ignore new connections to a listening socket; those that have begun can still be accepted.

    Closing a listening socket resets the connections that wait in its queue, on which clients may have sent requests.
    After this call no more are added, so that the queue can be emptied first. A client that connects in between repeats
    its attempt a second later, and is refused when the socket is closed. Outside Linux, in sandboxes without
    the option, and for clients that send with 255, the queue may receive more connections before it is closed.
    """
    with socket.socket(fileno=os.dup(listener)) as same:
        _require(same, _GREATEST)


def receive_all(connection: socket.socket) -> None:
    """Let an accepted connection receive segments, even if its handshake ended after `begin_no_connections`.

    It has inherited the minimum then. A segment that the kernel ignored before this call is sent again by the client.
    """
    _require(connection, 0)


def _require(sock: socket.socket, hops: int) -> None:
    if sys.platform == "linux":
        for option in _OPTIONS.get(sock.family, ()):
            with suppress(OSError):  # a sandbox may lack the option; the server must stop nonetheless
                sock.setsockopt(*option, hops)
