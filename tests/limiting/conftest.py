"""A Redis server for a test."""

from collections.abc import Iterator

import pytest

from .redis_server import RedisServer, program


@pytest.fixture(scope="session")
def redis_program() -> str:
    path, why = program()
    if not path:
        pytest.skip(why)
    return path


@pytest.fixture
def redis_server(redis_program: str) -> Iterator[RedisServer]:
    """A server that runs, empty."""
    server = RedisServer(redis_program)
    try:
        server.start()
        yield server
    finally:
        server.close()
