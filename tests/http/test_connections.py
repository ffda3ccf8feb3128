"""Which connections have a place, by which addresses they are counted, and which of them give way."""

import subprocess
import sys
from ipaddress import ip_network

import pytest

from app.http.connections import OTHER_DESCRIPTORS, ConnectionLimits, Connections, Refused, within_descriptors
from app.settings import Settings


class Peer:
    """A connection that notes whether it gave way."""

    def __init__(self, connections: Connections, host: str | None = "192.0.2.1") -> None:
        self.address = connections.address_of(None if host is None else (host, 1))
        self.gave_way = False

    def give_way(self) -> None:
        self.gave_way = True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("fe80::1%eth0", "fe80::2%eth0"),
    ],
)
def test_addresses_of_one_client_are_counted_together(one: str, other: str) -> None:
    connections = Connections(ConnectionLimits(per_address=1))
    assert connections.admit(Peer(connections, one))
    assert not connections.admit(Peer(connections, other))


@pytest.mark.parametrize(("one", "other"), [("2001:db8:0:1::1", "2001:db8:0:2::1"), ("192.0.2.1", "192.0.2.2")])
def test_addresses_of_two_clients_are_counted_separately(one: str, other: str) -> None:
    connections = Connections(ConnectionLimits(per_address=1))
    assert connections.admit(Peer(connections, one))
    assert connections.admit(Peer(connections, other))


@pytest.mark.parametrize("host", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", None])
def test_trusted_proxies_and_local_sockets_have_no_limit_per_address(host: str | None) -> None:
    exempt = (ip_network("::ffff:10.0.0.0/104"), ip_network("2001:db8::/32"))
    connections = Connections(ConnectionLimits(per_address=1, exempt=exempt))
    assert [connections.admit(Peer(connections, host)) for _ in range(3)] == [True] * 3


def test_other_addresses_have_the_limit_beside_trusted_proxies() -> None:
    connections = Connections(ConnectionLimits(per_address=1, exempt=(ip_network("10.0.0.0/8"),)))
    assert [connections.admit(Peer(connections)) for _ in range(2)] == [True, False]


def test_a_closed_connection_leaves_its_place_to_another() -> None:
    connections = Connections(ConnectionLimits(total=1, per_address=1))
    first = Peer(connections)
    connections.admit(first)
    connections.works(first)
    connections.discard(first)
    connections.discard(first)
    assert len(connections) == 0
    assert connections.admit(Peer(connections))


def test_connections_give_way_in_order_silent_ones_first_and_busy_ones_never() -> None:
    reasons: list[str] = []
    connections = Connections(ConnectionLimits(total=4), reasons.append)
    busy, idle, silent, later = (Peer(connections) for _ in range(4))
    for each in (busy, idle, silent, later):
        connections.admit(each)
    connections.works(busy)
    connections.works(idle)
    connections.rests(idle)
    new = [Peer(connections) for _ in range(4)]
    for each, gone in zip(new[:2], (silent, later), strict=True):
        assert connections.admit(each)
        connections.works(each)
        assert gone.gave_way
    assert not idle.gave_way
    assert connections.admit(new[2])
    connections.works(new[2])
    assert idle.gave_way
    assert not connections.admit(new[3])
    assert not busy.gave_way
    assert reasons == [Refused.GAVE_WAY] * 3


def test_the_reserve_keeps_the_newest_and_those_that_have_asked() -> None:
    connections = Connections(ConnectionLimits(total=1, reserve=2))
    busy = Peer(connections)
    connections.admit(busy)
    connections.works(busy)
    asking, silent, new = (Peer(connections) for _ in range(3))
    connections.admit(asking)
    connections.admit(silent)
    assert connections.promote(asking) is Refused.CONNECTION_LIMIT
    connections.admit(new)
    assert [each.gave_way for each in (asking, silent, new)] == [False, True, False]
    assert len(connections) == 3


def test_a_connection_of_the_reserve_takes_a_place_that_became_free() -> None:
    connections = Connections(ConnectionLimits(per_address=1))
    first, second = Peer(connections), Peer(connections)
    connections.admit(first)
    connections.admit(second)
    assert connections.promote(second) is Refused.ADDRESS_LIMIT
    connections.discard(first)
    assert connections.promote(second) is None
    assert not connections.admit(Peer(connections))


@pytest.mark.parametrize("descriptors", [300, 512, 1_024, 4_096, 65_536])
def test_all_connections_fit_into_the_file_descriptors(descriptors: int) -> None:
    limits = within_descriptors(ConnectionLimits(total=50_000), descriptors)
    assert limits.total + limits.reserve <= descriptors - OTHER_DESCRIPTORS
    assert limits.total > limits.reserve > 0


def test_a_low_limit_of_file_descriptors_is_raised_as_far_as_the_system_allows() -> None:
    code = (
        "import resource; from app.http.connections import descriptors, raise_descriptors\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)); raise_descriptors()\n"
        "print(descriptors() > 256 or hard == 256)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


def test_enough_file_descriptors_leave_the_limits_as_they_are() -> None:
    assert within_descriptors(ConnectionLimits(), 8_192) == ConnectionLimits()


def test_a_trusted_proxy_that_is_listed_in_ipv6_form_has_no_limit_per_address() -> None:
    settings = Settings.model_validate({"trusted_proxies": "::ffff:10.0.0.0/104"})
    connections = Connections(ConnectionLimits(per_address=1, exempt=settings.trusted_proxies or ()))
    assert [connections.admit(Peer(connections, "10.1.2.3")) for _ in range(3)] == [True] * 3
