"""A browser, and pages in it that report every step outside their origin or their policy."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from .stub import PEOPLE, Stub

ROOT = Path(__file__).resolve().parents[2]
# Without the flags on background work the browser looks its maker's hosts up at every start.
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TELL_VIOLATIONS = """
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) =>
        violations.push(`${event.violatedDirective}: ${event.blockedURI || event.sourceFile}`));
"""
WAIT_MS = 30_000


@dataclass
class Opened:
    """A page opened on a stub, and what it did that it should not."""

    page: Page
    stub: Stub
    origin: str
    faults: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The line that says how the last request ended."""
        return self.page.get_by_role("status").inner_text()

    def wait_for_status(self, words: str) -> None:
        self.page.get_by_role("status").filter(has_text=words).wait_for(timeout=WAIT_MS)

    def wait_for_request(self, authorization: str | None, operation: str) -> None:
        """Wait until the stub was asked for that operation with that header."""
        self.wait_until(lambda: (authorization, operation) in self.stub.asked)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_MS / 1000
        while not is_so():
            assert time.monotonic() < deadline, f"it never came about; asked were {self.stub.asked}"
            self.page.wait_for_timeout(50)


@pytest.fixture(scope="session")
def dist() -> Path:
    built = subprocess.run(
        [sys.executable, "deploy/graphiql.py"], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return ROOT / "web" / "dist"


@pytest.fixture(scope="module")  # while the driver lives its event loop runs, and no other test could start one
def browser() -> Iterator[Browser]:
    found = subprocess.run(
        [sys.executable, "deploy/chromium.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.fail(found.stderr)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found.stdout.strip(), args=FLAGS, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, dist: Path) -> Iterator[Callable[..., Opened]]:
    """Open the page with a configuration; at the end of the test it must have kept to its origin and policy."""
    with _many(browser, dist) as (opened, open_one):
        yield open_one
        for one in opened:
            assert one.page.evaluate("window.violations") == []
            assert one.faults == []


@contextmanager
def _many(browser: Browser, dist: Path) -> Iterator[tuple[list[Opened], Callable[..., Opened]]]:
    opened: list[Opened] = []
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def open_one(**config: Any) -> Opened:
        stub = Stub(dist, {"mode": "development", "people": PEOPLE, **config})
        server = uvicorn.Server(uvicorn.Config(stub.app(), port=0, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            assert thread.is_alive(), "the stub did not start"
            time.sleep(0.01)
        origin = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        one = Opened(_page(browser, origin), stub, origin)
        _watch(one)
        opened.append(one)
        one.page.goto(f"{origin}/graphiql")
        one.page.locator(".graphiql-query-editor .monaco-editor").wait_for(timeout=WAIT_MS)
        return one

    try:
        yield opened, open_one
    finally:
        for one in opened:
            one.page.context.close()
        for server, thread in servers:
            server.should_exit = True
            thread.join()


def _page(browser: Browser, origin: str) -> Page:
    context = browser.new_context(base_url=origin, viewport={"width": 1400, "height": 900})
    context.add_init_script(TELL_VIOLATIONS)
    return context.new_page()


def _watch(one: Opened) -> None:
    def on_request(request: Any) -> None:
        if not request.url.startswith((f"{one.origin}/", "data:")):
            one.faults.append(f"asked elsewhere: {request.url}")

    def on_console(message: Any) -> None:
        # A refused request is logged by the browser itself; the page says it in words.
        if message.type == "error" and "401 (Unauthorized)" not in message.text:
            one.faults.append(f"console: {message.text}")

    one.page.on("request", on_request)
    one.page.on("console", on_console)
    one.page.on("pageerror", lambda error: one.faults.append(f"uncaught: {error}"))
