"""The counts in Redis over TLS, with the certificate of a private authority."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from app.limiting.stores import Portion, store_at
from tests.cli.turnup import free_port
from tests.needs import needs

from .authority import Authority

pytestmark = pytest.mark.slow
START_SECONDS = 30.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authority")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """The port of a Redis that accepts only TLS."""
    certificate, number = Authority(folder, "private").certificate("localhost"), free_port()
    options = {
        "port": 0,
        "tls-port": number,
        "bind": "127.0.0.1",
        "tls-cert-file": certificate.certificate,
        "tls-key-file": certificate.key,
        "tls-ca-cert-file": folder / "private.pem",
        "tls-auth-clients": "no",
        "save": "",
    }
    arguments = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    deadline = time.monotonic() + START_SECONDS
    with subprocess.Popen(
        [needs("redis"), *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                assert time.monotonic() < deadline, "Redis did not start"
                if "Ready to accept connections" in line:
                    break
            else:
                pytest.fail("Redis ended")
            yield number
        finally:
            process.terminate()


async def test_counts_are_taken_with_a_verified_certificate(folder: Path, port: int) -> None:
    store = store_at(f"rediss://localhost:{port}?ssl_ca_certs={folder / 'private.pem'}")
    try:
        assert await store.take([Portion("count", 2, 3)], 60) is None
        assert await store.take([Portion("count", 2, 3)], 60) == 0
    finally:
        await store.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_that_cannot_be_verified_is_refused(folder: Path, port: int, host: str) -> None:
    trusted = Authority(folder, "other").ca_file if host == "localhost" else folder / "private.pem"
    store = store_at(f"rediss://{host}:{port}?ssl_ca_certs={trusted}")
    try:
        with pytest.raises(store.failures) as refused:
            await store.take([Portion("count", 1, 3)], 60)
        assert isinstance(refused.value, RedisConnectionError)
        assert "certificate verify failed" in str(refused.value.__cause__)
    finally:
        await store.close()
