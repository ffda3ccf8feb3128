"""A Redis server for a test."""

from collections.abc import Iterator

import pytest

from tests.needs import needs

from .redis_server import RedisServer


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server that runs, empty."""
    server = RedisServer(needs("redis"))
    try:
        server.start()
        yield server
    finally:
        server.close()
