"""A Prometheus of a test's own, with the configuration and the rules of deploy/prometheus in less time."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.cli.turnup import free_port
from tests.needs import needs

from .rules import CONFIGURATION, RULES, quicker

START_SECONDS = 30.0
POLL_SECONDS = 0.2


class Prometheus:
    """The API of a running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False)

    async def close(self) -> None:
        """Close the connections to it."""
        await self._http.aclose()

    async def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the API."""
        answer = (await self._http.get(f"/api/v1/{path}", params=parameters)).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def values(self, query: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        return list((await self.get("query", query=query))["result"])

    async def series(self, query: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Return the result of a query over a range of Unix seconds."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return list((await self.get("query_range", query=query, **times))["result"])

    async def until_scraped(self, servers: int, within: float = START_SECONDS) -> None:
        """Wait until so many servers were scraped. What a counter has when it is first seen is no increase."""
        deadline = time.monotonic() + within
        while len(await self.values('up{job="turnup"} == 1')) < servers:
            assert time.monotonic() < deadline, await self.get("targets")
            await asyncio.sleep(POLL_SECONDS)

    async def firing(self, instance: str = "") -> set[str]:
        """Return the names of the alerts that fire, of one instance those that are about it or about all together."""
        found = (await self.get("alerts"))["alerts"]
        return {
            each["labels"]["alertname"]
            for each in found
            if each["state"] == "firing" and (not instance or each["labels"].get("instance", instance) == instance)
        }

    async def until_firing(
        self, names: Collection[str], within: float, began: float, instance: str
    ) -> dict[str, float]:
        """Wait until each of these alerts has fired. Returns the seconds that each took since a monotonic time."""
        return await self._until(names, within, began, instance, fires=True)

    async def until_resolved(self, names: Collection[str], within: float, instance: str) -> dict[str, float]:
        """Wait until each of these alerts has not fired once. Returns the seconds that each took."""
        return await self._until(names, within, time.monotonic(), instance, fires=False)

    async def _until(
        self, names: Collection[str], within: float, began: float, instance: str, *, fires: bool
    ) -> dict[str, float]:
        took: dict[str, float] = {}
        while missing := set(names) - took.keys():
            firing = await self.firing(instance)
            passed = time.monotonic() - began
            took |= {name: passed for name in missing if (name in firing) == fires}
            state = "fire" if fires else "resolve"
            assert passed < within, f"{sorted(missing)} did not {state} within {within} s; firing: {sorted(firing)}"
            await asyncio.sleep(POLL_SECONDS)
        return took


@asynccontextmanager
async def a_prometheus(
    folder: Path, targets: Collection[str], token: str, *, alertmanager: str = ""
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes these targets, each a host and a port, with the rules divided by FACTOR.

    It sends alerts to the Alertmanager at a host and a port, or to none.
    """
    with _running(folder, targets, token, alertmanager) as (url, process):
        prometheus = Prometheus(url)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not await _is_ready(url):
                assert process.poll() is None, (folder / "prometheus.log").read_text()[-4_000:]
                assert time.monotonic() < deadline, "Prometheus is not ready"
                await asyncio.sleep(0.1)
            yield prometheus
        finally:
            await prometheus.close()


@contextmanager
def _running(
    folder: Path, targets: Collection[str], token: str, alertmanager: str
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    file = folder / "token"
    file.write_text(token)
    configuration = quicker(CONFIGURATION.read_text())
    configuration = _replaced(configuration, r"(credentials_file:) .*", rf"\1 {file}")
    configuration = _replaced(configuration, r"(scheme:) https", r"\1 http")
    alertmanagers = json.dumps([alertmanager] if alertmanager else [])
    configuration = _replaced(configuration, r'(- targets:) \["127.*', rf"\1 {alertmanagers}")
    configuration = _replaced(configuration, r'(- targets:) \["api.*', rf"\1 {json.dumps(list(targets))}")
    (folder / CONFIGURATION.name).write_text(configuration)
    (folder / RULES.name).write_text(quicker(RULES.read_text()))
    address = f"127.0.0.1:{free_port()}"
    command = [
        needs("prometheus"),
        f"--config.file={folder / CONFIGURATION.name}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield f"http://{address}", process
        finally:
            process.terminate()
            process.wait(30)


async def _is_ready(url: str) -> bool:
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False, verify=False) as http:
        try:
            return (await http.get("/-/ready")).status_code == 200
        except httpx.TransportError:
            return False


def _replaced(text: str, pattern: str, by: str) -> str:
    changed, count = re.subn(pattern, by, text)
    assert count == 1, pattern
    return changed
