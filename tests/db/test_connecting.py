"""Connections to PostgreSQL notice a lost peer, and their sessions wait for nothing without a bound."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import pytest

from app.db.connecting import (
    Pooler,
    Unfit,
    app_options,
    check_bounds,
    connect,
    connect_as_owner,
    pooler_at,
)
from app.db.database import PROBE_SECONDS, Database
from app.db.failures import DatabaseUnavailable
from app.session_settings import APP, OWNER, SessionSetting, Transport
from tests import harness
from tests.outages.proxy import FaultProxy, Mode, socket_of


async def effective(connection: Any, declared: Sequence[SessionSetting]) -> dict[str, str]:
    rows = await connection.fetch(
        "SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name = ANY ($1)",
        [each.name for each in declared if each.transport is Transport.ANY],
    )
    return dict(rows)


def declared_texts(declared: Sequence[SessionSetting]) -> dict[str, str]:
    return {each.name: each.text for each in declared if each.transport is Transport.ANY}


@pytest.fixture
async def superuser() -> AsyncIterator[asyncpg.Connection]:
    if "TURNUP_TEST_SUPERUSER_URL" not in os.environ:
        pytest.skip("changes a role: give TURNUP_TEST_SUPERUSER_URL")
    connection = await asyncpg.connect(os.environ["TURNUP_TEST_SUPERUSER_URL"])
    yield connection
    await connection.close()


async def test_a_direct_connection_has_the_declared_bounds(database: harness.TestDatabase) -> None:
    options = await app_options(database.app_url, transaction_pooling=False)
    connection = await connect(database.app_url, **options)
    try:
        await check_bounds(connection)
        assert await effective(connection, APP) == declared_texts(APP)
    finally:
        await connection.close()


async def test_the_role_alone_gives_the_declared_bounds(database: harness.TestDatabase) -> None:
    connection = await asyncpg.connect(database.app_url)
    try:
        await check_bounds(connection)
        assert await effective(connection, APP) == declared_texts(APP)
    finally:
        await connection.close()


async def test_commands_of_the_owner_have_the_declared_bounds(database: harness.TestDatabase) -> None:
    connection = await connect_as_owner(database.owner_url)
    try:
        assert await effective(connection, OWNER) == declared_texts(OWNER)
        assert await connection.fetchval("SHOW statement_timeout") == "0"
    finally:
        await connection.close()


@pytest.mark.parametrize("setting", [each for each in APP if each.transport is Transport.ANY], ids=lambda s: s.name)
@pytest.mark.parametrize("value", ["0", "3600000"])
async def test_a_session_without_a_bound_is_refused_by_the_name_of_the_setting(
    database: harness.TestDatabase, setting: SessionSetting, value: str
) -> None:
    connection = await connect(database.app_url, server_settings={setting.name: value})
    try:
        with pytest.raises(Unfit, match=f"^DATABASE_URL: {setting.name} is .*turnup roles --sql"):
            await check_bounds(connection)
    finally:
        await connection.close()


async def test_a_stricter_bound_is_accepted(database: harness.TestDatabase) -> None:
    connection = await connect(database.app_url, server_settings={"lock_timeout": "500"})
    try:
        await check_bounds(connection)
    finally:
        await connection.close()


async def test_a_setting_in_the_url_replaces_the_declared_one(database: harness.TestDatabase) -> None:
    url = f"{database.app_url}&application_name=desk&lock_timeout=1500"
    connection = await connect(url, **await app_options(url, transaction_pooling=False))
    try:
        assert await connection.fetchval("SHOW application_name") == "desk"
        assert await connection.fetchval("SHOW lock_timeout") == "1500ms"
        await check_bounds(connection)
    finally:
        await connection.close()


async def test_the_sign_in_sets_the_statement_timeout_until_the_end_of_its_transaction(
    database: harness.TestDatabase,
) -> None:
    connection = await connect(database.app_url)
    try:
        async with connection.transaction():
            await connection.fetch("SELECT turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, $2)", harness.LEAD, 1_234)
            assert await connection.fetchval("SHOW statement_timeout") == "1234ms"
        assert await connection.fetchval("SHOW statement_timeout") == "30s"
    finally:
        await connection.close()


async def test_postgresql_itself_is_no_pooler(database: harness.TestDatabase) -> None:
    assert await pooler_at(database.app_url) is Pooler.NONE


@pytest.mark.parametrize("name", ["TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"])
async def test_the_operating_system_notices_a_lost_peer(database: harness.TestDatabase, name: str) -> None:
    with FaultProxy(socket_of(database.app_url)) as network:
        connection = await connect(network.url(database.app_url))
        client = connection._transport.get_extra_info("socket")
        try:
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert client.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) in range(1, 10_001)
        finally:
            connection.terminate()


async def test_a_proxy_that_forwards_everything_is_no_pooler(database: harness.TestDatabase) -> None:
    with FaultProxy(socket_of(database.app_url)) as network:
        assert await pooler_at(network.url(database.app_url)) is Pooler.NONE


def with_hosts(url: str, *networks: FaultProxy) -> str:
    """Return the URL with the hosts of several proxies."""
    split = urlsplit(networks[0].url(url))
    signed_in = split.netloc.rpartition("@")[0]
    places = ",".join(f"127.0.0.1:{network.port}" for network in networks)
    return urlunsplit(split._replace(netloc=f"{signed_in}@{places}"))


def with_hosts_in_the_query(url: str, *networks: FaultProxy) -> str:
    """Return the same in the other form of a URL."""
    split = urlsplit(url)
    query = dict(parse_qsl(split.query))
    query |= {"host": ",".join("127.0.0.1" for _ in networks), "port": ",".join(str(each.port) for each in networks)}
    return urlunsplit(split._replace(query=urlencode(query)))


@pytest.mark.parametrize("form", [with_hosts, with_hosts_in_the_query])
@pytest.mark.parametrize("mode", [Mode.BLACK_HOLE, Mode.REFUSE])
@pytest.mark.parametrize("wanted", ["", "&target_session_attrs=read-write"])
async def test_a_host_that_does_not_answer_leaves_the_time_to_the_next_one(
    database: harness.TestDatabase, form: Callable[..., str], mode: Mode, wanted: str
) -> None:
    place = socket_of(database.app_url)
    with FaultProxy(place) as first, FaultProxy(place) as second:
        url = form(database.app_url, first, second)
        url += wanted if "?" in url else wanted.replace("&", "?")
        first.set(mode)
        pool = await Database.open(url, size=2)
        try:
            async with pool.connection() as connection:
                assert connection._con._addr == ("127.0.0.1", second.port)
            assert await pool.probe(lambda connection: connection.fetchval("SELECT 1")) == 1
            first.set(Mode.PASS)
            second.set(mode)
            await pool.forget_connections()
            async with pool.connection() as connection:
                assert connection._con._addr == ("127.0.0.1", first.port)
        finally:
            await pool.close()


async def test_if_no_host_answers_the_wait_is_that_for_one(database: harness.TestDatabase) -> None:
    place = socket_of(database.app_url)
    with FaultProxy(place) as first, FaultProxy(place) as second:
        first.set(Mode.BLACK_HOLE)
        for mode in (Mode.BLACK_HOLE, Mode.REFUSE):
            second.set(mode)
            with pytest.raises(OSError):  # noqa: PT011 - of several kinds, one of which is TimeoutError
                await connect(with_hosts(database.app_url, first, second), timeout=1)


async def test_a_probe_succeeds_although_a_connection_takes_longer_than_its_time(
    database: harness.TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = await Database.open(database.app_url, size=1)
    opened = pool._connect

    async def slowly() -> Any:
        await asyncio.sleep(1.5 * PROBE_SECONDS)
        return await opened()

    monkeypatch.setattr(pool, "_connect", slowly)
    try:
        with pytest.raises(DatabaseUnavailable):
            await pool.probe(lambda connection: connection.fetchval("SELECT 1"))
        async with asyncio.timeout(30):
            while True:
                with suppress(DatabaseUnavailable):
                    assert await pool.probe(lambda connection: connection.fetchval("SELECT 1")) == 1
                    break
    finally:
        await pool.close()
