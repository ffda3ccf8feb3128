"""Sign-ins that nobody finishes, and answers of a provider that nobody asked for, in large numbers and over HTTP."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.auth.keys import trusting
from app.http.sign_in_paths import CALLBACK, LOGIN
from tests.builders_db import committed
from tests.harness import LEAD, TestDatabase

from .conftest import Site
from .provider import Provider

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sign-in")]

MANY, FORGED = 10_000, 2_000
CONNECTIONS = 4
MOST_GROWTH_KB = 16_000


def sent(site: Site, count: int, path: Callable[[int], str]) -> Counter[int]:
    """The statuses of requests from browsers without cookies."""
    address = urlsplit(site.origin)
    context = trusting(site.ca_file)

    def some(first: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        connection = HTTPSConnection(address.hostname or "", address.port, timeout=60, context=context)
        for number in range(first, count, CONNECTIONS):
            connection.request("GET", path(number))
            response = connection.getresponse()
            response.read()
            statuses[response.status] += 1
        connection.close()
        return statuses

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(some, range(CONNECTIONS)), Counter())


async def attempts(database: TestDatabase) -> int:
    async with committed(database) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM turnup.sign_in_attempt"))


def resident_kb(process: int) -> int:
    """The memory of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = [each for each in lines if each.startswith("VmRSS:")]
    return int(line.split()[1])


async def test_ten_thousand_sign_ins_that_nobody_finishes_are_bounded_and_keep_nobody_out(
    site: Site, provider: Provider, people_database: TestDatabase
) -> None:
    sent(site, 500, lambda _: LOGIN)
    before = resident_kb(site.process)
    assert sent(site, MANY, lambda _: LOGIN) == {303: MANY}
    assert await attempts(people_database) == MANY
    with site.browser() as browser:
        signed_in = provider.sign_in(browser, LEAD)
    assert signed_in.status_code == 303
    assert "turnup_session" in signed_in.headers["set-cookie"]
    forged = sent(site, FORGED, lambda number: f"{CALLBACK}?state={number:043}&code={number}")
    assert forged == {400: FORGED}
    assert await attempts(people_database) == MANY - 1
    assert resident_kb(site.process) - before < MOST_GROWTH_KB
