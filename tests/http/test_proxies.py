"""The client's address and scheme behind proxies: what a trusted proxy saw, and never what a client claims."""

from ipaddress import ip_network

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.http.proxies import MOST_PROXIES, TrustedProxies

PROXY, OTHER_PROXY, CLIENT, SPOOFED = "10.0.0.5", "10.0.0.6", "203.0.113.7", "198.51.100.1"
TRUSTED = ("10.0.0.0/24", "2001:db8:1::/48")


async def seen(
    *forwarded: str, peer: str | None = PROXY, proto: tuple[str, ...] = (), trusted: tuple[str, ...] = TRUSTED
) -> tuple[str | None, str]:
    """The client's address, with a port that is not the peer's, and the scheme, as the app sees them."""
    found: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        pass

    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    headers += [(b"x-forwarded-proto", value.encode("latin-1")) for value in proto]
    client = None if peer is None else (peer, 40_000)
    scope: Scope = {"type": "http", "client": client, "scheme": "http", "headers": headers}
    await TrustedProxies(app, map(ip_network, trusted))(scope, receive, send)
    scheme = str(found[0]["scheme"])
    if found[0]["client"] is None:
        return None, scheme
    host, port = found[0]["client"]
    return (host if port in {0, 40_000} else f"{host} {port}"), scheme


async def test_the_client_is_the_address_that_a_trusted_proxy_appended() -> None:
    assert await seen(CLIENT) == (CLIENT, "http")


@pytest.mark.parametrize("peer", [CLIENT, "127.0.0.1", "::1", "10.0.1.5", "2001:db8:2::1", "", "testclient", None])
async def test_a_peer_that_is_not_trusted_is_the_client_whatever_it_claims(peer: str | None) -> None:
    assert await seen(SPOOFED, peer=peer, proto=("https",)) == (peer, "http")


async def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert await seen(SPOOFED, proto=("https",), trusted=()) == (PROXY, "http")


@pytest.mark.parametrize("claimed", [SPOOFED, PROXY, "127.0.0.1", "::1", "garbage", "", ",,,", "unknown", " "])
async def test_what_a_client_sent_itself_is_not_believed(claimed: str) -> None:
    assert await seen(f"{claimed}, {CLIENT}") == (CLIENT, "http")
    assert await seen(claimed, CLIENT) == (CLIENT, "http")


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ((f"{SPOOFED}, {CLIENT}, {OTHER_PROXY}",), CLIENT),
        ((f"{SPOOFED}", f"{CLIENT}", f"{OTHER_PROXY}"), CLIENT),
        ((f"{CLIENT},{OTHER_PROXY},10.0.0.7",), CLIENT),
        ((f"{CLIENT}, 2001:db8:1::5, [2001:db8:1::6]:443, {OTHER_PROXY}:80",), CLIENT),
        ((f"{OTHER_PROXY}, 10.0.0.7",), OTHER_PROXY),
    ],
)
async def test_a_chain_of_trusted_proxies_leads_to_the_client(forwarded: tuple[str, ...], expected: str) -> None:
    assert await seen(*forwarded) == (expected, "http")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("203.0.113.7:1234", "203.0.113.7 1234"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:1234", "2001:db8::7 1234"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:1234", "203.0.113.7 1234"),
        ("  203.0.113.7\t", "203.0.113.7"),
    ],
)
async def test_an_address_is_read_in_each_of_its_forms(entry: str, expected: str) -> None:
    assert await seen(entry) == (expected, "http")


GARBAGE = [
    "", " ", ",", "unknown", "_hidden", "localhost", "203.0.113.7:", "203.0.113.7:x", "203.0.113.7:99999", "203.0.113",
    "203.0.113.7:-1", "203.0.113.07", "203.0.113.256", "203.0.113.7/24", "203.0.113.7 198.51.100.1", "[203.0.113.7]",
    "[2001:db8::7", "2001:db8::7]", "[2001:db8::7]x", "[2001:db8::7]:", "[2001:db8::7]:x", "[[2001:db8::7]]", "[]",
    "fe80::1%eth0", "[fe80::1%25eth0]:80", "1", "0x7f000001", '"203.0.113.7"', "for=203.0.113.7", "203.0.113.²", "ÿ",
    "\x00", "٣.٣.٣.٣".encode().decode("latin-1"), "1" * 10_000, ":" * 10_000, "[" * 10_000, "2001:db8::7:1234:::",
    "*", "0.0.0.0/0",
]  # fmt: skip


@pytest.mark.parametrize("entry", GARBAGE, ids=[f"{number}" for number in range(len(GARBAGE))])
async def test_what_is_not_an_address_never_becomes_the_clients(entry: str) -> None:
    assert await seen(entry) == (PROXY, "http")
    assert await seen(f"{SPOOFED}, {entry}") == (PROXY, "http")
    assert await seen(f"{SPOOFED}, {entry}, {OTHER_PROXY}") == (OTHER_PROXY, "http")


@pytest.mark.parametrize("filler", [SPOOFED, "garbage", PROXY, ""])
async def test_a_thousand_entries_change_nothing(filler: str) -> None:
    assert await seen(", ".join([*[filler] * 1_000, CLIENT])) == (CLIENT, "http")
    assert await seen(*[filler] * 1_000, CLIENT) == (CLIENT, "http")


async def test_of_a_chain_without_end_the_last_addresses_are_read() -> None:
    assert await seen(", ".join([CLIENT, *[OTHER_PROXY] * MOST_PROXIES])) == (OTHER_PROXY, "http")
    assert await seen(", ".join([CLIENT, *[OTHER_PROXY] * (MOST_PROXIES - 1)])) == (CLIENT, "http")


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.5", "2001:db8:1::5", "2001:0DB8:0001:0:0:0:0:5"])
async def test_a_proxy_is_recognized_in_every_form_of_its_address(peer: str) -> None:
    assert await seen(CLIENT, peer=peer) == (CLIENT, "http")


async def test_a_link_local_proxy_is_recognized_on_every_interface() -> None:
    assert await seen(CLIENT, peer="fe80::5%eth0", trusted=("fe80::/10",)) == (CLIENT, "http")
    assert await seen(CLIENT, peer="fec0::5%eth0", trusted=("fe80::/10",)) == ("fec0::5%eth0", "http")


@pytest.mark.parametrize("network", ["::ffff:10.0.0.5", "::ffff:10.0.0.0/120"])
async def test_a_proxy_may_be_listed_in_ipv6_form(network: str) -> None:
    assert await seen(CLIENT, peer="10.0.0.5", trusted=(network,)) == (CLIENT, "http")
    assert await seen(CLIENT, peer="::ffff:10.0.0.5", trusted=(network,)) == (CLIENT, "http")


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        (("https",), "https"),
        (("HTTPS",), "https"),
        (("http",), "http"),
        (("http, https",), "https"),
        (("http", "https"), "https"),
        (("wss",), "http"),
        (("javascript",), "http"),
        (("https://evil.example",), "http"),
        (("",), "http"),
        (("https,",), "http"),
        (("ÿ" * 1_000,), "http"),
    ],
)
async def test_the_scheme_is_the_one_that_the_last_proxy_saw(proto: tuple[str, ...], scheme: str) -> None:
    assert await seen(proto=proto) == (PROXY, scheme)
