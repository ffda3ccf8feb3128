"""A Redis server for a test."""

from collections.abc import Iterator

import pytest

from .redis_server import RedisServer, a_redis


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server that runs, empty."""
    with a_redis() as server:
        yield server
