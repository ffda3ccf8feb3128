"""A server that is told to stop, over raw sockets: it answers what it accepted, and says that it stops."""

import errno
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from app.http import listening
from app.http.listening import begin_no_connections, receive_all
from app.serving import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_FAILED_STARTS,
    STEADY_SECONDS,
    Restarts,
    Stop,
    StopTimes,
)

from .wire import LARGE, PATIENCE, Serving, eventually, serving

GET = b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"
READY = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HOLD = b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n"
LONG = StopTimes(delay=600, drain=60)
NONE = StopTimes(delay=0, drain=60)


def tell(server: Serving) -> None:
    """Send the signal to stop. The server runs in a thread, to which the system sends none."""
    assert server.server is not None
    server.server.handle_exit(signal.SIGTERM, None)


def listens(server: Serving) -> bool:
    """Return whether a new connection is accepted."""
    try:
        server.connect().end.close()
    except ConnectionRefusedError:
        return False
    return True


def stopping(server: Serving) -> bool:
    return server.connections is not None and server.connections.stopping


@pytest.fixture(params=["uvloop", "asyncio"])
def delaying(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server that was told to stop and still accepts requests."""
    with serving(request.param, LONG) as server:
        tell(server)
        eventually(lambda: stopping(server))
        yield server


def test_a_stopping_server_is_alive_not_ready_and_still_answers(delaying: Serving) -> None:
    for request, status in ((READY, 503), (HEALTH, 200), (GET, 200)):
        with delaying.connect() as wire:
            wire.send(request)
            answer = wire.answer()
            assert (answer.status, answer.fields["connection"]) == (status, "close")
            assert wire.closed()


def test_a_stopping_server_says_why_it_is_not_ready(delaying: Serving) -> None:
    assert b"The server is not ready: it is stopping." in delaying.ask(READY).body


def test_connections_that_were_open_are_told_at_their_next_answer() -> None:
    with serving(times=LONG) as server, server.connect() as idle, server.connect() as busy, server.connect() as new:
        idle.send(GET)
        assert "connection" not in idle.answer().fields
        busy.send(HOLD)
        eventually(lambda: len(server.seen) == 2)
        tell(server)
        eventually(lambda: stopping(server))
        server.released.set()
        idle.send(GET)
        new.send(GET)
        for wire in (busy, idle, new):
            answer = wire.answer()
            assert (answer.status, answer.fields["connection"]) == (200, "close")
            assert wire.closed()


def test_a_second_signal_ends_the_delay(delaying: Serving) -> None:
    assert listens(delaying)
    tell(delaying)
    eventually(lambda: not listens(delaying))


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_request_in_progress_is_answered_after_the_server_has_ended_to_listen(loop: str) -> None:
    with serving(loop, NONE) as server, server.connect() as wire, server.connect() as reading:
        wire.send(HOLD)
        reading.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: len(server.seen) == 2)
        tell(server)
        eventually(lambda: not listens(server))
        server.released.set()
        answer = wire.answer()
        assert (answer.status, answer.fields["connection"]) == (200, "close")
        assert len(reading.answer().body) == LARGE


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("part", [GET, GET[:9]], ids=["whole", "in part"])
def test_a_request_that_arrived_unread_before_the_end_of_its_connection_is_answered(loop: str, part: bytes) -> None:
    with serving(loop, NONE) as server, server.connect() as idle, server.connect() as ending:
        idle.send(GET)
        idle.answer()
        ending.send(b"GET /end_all HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: len(server.seen) == 2)
        idle.send(part)
        server.released.set()
        assert ending.answer().body == b"ended"
        idle.send(GET[len(part) :])
        answer = idle.answer()
        assert (answer.status, answer.fields["connection"]) == (200, "close")


def test_idle_connections_are_closed_and_new_ones_may_send_their_first_request() -> None:
    with serving(times=NONE) as server, server.connect() as idle, server.connect() as new, server.connect() as silent:
        idle.send(GET)
        idle.answer()
        eventually(lambda: server.open == 3)
        tell(server)
        assert idle.closed()
        new.send(GET)
        answer = new.answer()
        assert (answer.status, answer.fields["connection"]) == (200, "close")
        assert silent.closed()


def in_turn(listener: socket.socket, address: str) -> None:
    """Compare a client in the queue with one that comes after `begin_no_connections`, until the socket is closed."""
    with socket.socket(listener.family) as queued, socket.socket(socket.AF_INET) as late:
        queued.connect((address, *listener.getsockname()[1:]))
        begin_no_connections(listener.fileno())
        late.setblocking(False)
        assert late.connect_ex(("127.0.0.1", listener.getsockname()[1])) == errno.EINPROGRESS
        queued.sendall(b"request")
        with listener.accept()[0] as accepted:
            assert accepted.recv(100) == b"request"
            assert not select.select([listener], [late], [], 0)[0]
            listener.close()
            assert select.select([], [late], [], PATIENCE)[1]  # Linux tries again after a second
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
            accepted.sendall(b"response")
            assert queued.recv(100) == b"response"


@pytest.mark.skipif(sys.platform != "linux", reason="needs IP_MINTTL")
def test_the_queue_of_a_listening_socket_gets_no_connections_before_it_is_closed() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        in_turn(listener, "127.0.0.1")


@pytest.mark.skipif(sys.platform != "linux", reason="needs IP_MINTTL")
def test_a_listening_socket_of_both_families_gets_no_connections_of_either() -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", 0))
        listener.listen()
        in_turn(listener, "::1")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="gives up root")
def test_a_server_without_privileges_stops_accepting_in_the_same_way() -> None:
    with socket.socket() as listener:
        child = os.fork()
        if child == 0:
            with suppress(OSError):
                os.setuid(65534)
                begin_no_connections(listener.fileno())
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_DEFER_ACCEPT")
def test_a_connection_whose_handshake_ends_late_is_read() -> None:
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)  # the handshake ends with the first bytes
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(PATIENCE)
        client.connect(listener.getsockname())
        begin_no_connections(listener.fileno())
        client.sendall(b"one ")
        with listener.accept()[0] as accepted:
            accepted.settimeout(PATIENCE)
            assert accepted.recv(100) == b"one "
            client.sendall(b"two")
            assert not select.select([accepted], [], [], 0)[0]
            receive_all(accepted)
            assert accepted.recv(100) == b"two"


def test_a_system_without_the_option_lets_the_server_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_OPTIONS", {socket.AF_INET: ((socket.IPPROTO_IP, 9_999),)})
    with serving(times=NONE) as server, server.connect() as wire:
        wire.send(HOLD)
        eventually(lambda: len(server.seen) == 1)
        tell(server)
        eventually(lambda: not listens(server))
        server.released.set()
        assert wire.answer().status == 200


def test_the_delay_begins_with_the_first_signal_and_ends_with_the_second() -> None:
    stop = Stop(delay=5)
    assert not stop.begun
    assert not stop.due(1e9)
    stop.request(100)
    assert stop.begun
    assert (stop.due(104.9), stop.due(105)) == (False, True)
    stop.request(102)
    assert (stop.due(101.9), stop.due(102)) == (False, True)
    stop.request(200)
    assert stop.due(102)


def test_a_first_worker_that_cannot_start_ends_the_server() -> None:
    assert Restarts().pause(None, others_served=False) is None


def test_a_worker_that_fails_to_start_again_and_again_ends_the_server_after_growing_pauses() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(None, others_served=True) for _ in range(MOST_FAILED_STARTS)]
    assert pauses == [0, FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, None]


def test_a_worker_that_serves_and_ends_is_always_replaced_after_growing_pauses() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(1, others_served=True) for _ in range(20)]
    assert pauses[:3] == [0, FIRST_PAUSE, 2 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert restarts.pause(STEADY_SECONDS, others_served=True) == 0


def test_failed_starts_do_not_add_up_over_a_worker_that_served() -> None:
    restarts = Restarts()
    for _ in range(3 * MOST_FAILED_STARTS):
        assert restarts.pause(None, others_served=True) is not None
        assert restarts.pause(1, others_served=True) is not None
