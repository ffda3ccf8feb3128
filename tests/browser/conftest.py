"""A browser, the real server, and pages that report every step outside their origin or their policy."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Route, ViewportSize, expect, sync_playwright

from tests.contract.served import Served, served
from tests.needs import needs, unavailable

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "web/src/examples"
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
WAIT_MS = 60_000  # two busy cores are slow; nothing waits longer than it has to
SIZE: ViewportSize = {"width": 1400, "height": 900}

expect.set_options(timeout=WAIT_MS)


@dataclass
class Opened:
    """A page, what it asked, and what it did that it should not."""

    page: Page
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def run(self, operation: str) -> Any:
        """Run with the keyboard what the cursor stands in; return the data once it is shown."""
        with self.page.expect_response(lambda response: _operation(response.request) == operation) as told:
            self.page.keyboard.press("Control+Enter")
        answer = told.value.json()
        expect(self.page.locator(".graphiql-spinner")).to_have_count(0)
        return answer

    def go_to(self, example: str, operation: str) -> None:
        """Put the cursor into an operation of the tab, which shows that example, with keys alone."""
        lines = (EXAMPLES / f"{example}.graphql").read_text().split("\n")
        line = next(
            number
            for number, words in enumerate(lines)
            if words.startswith((f"query {operation}", f"mutation {operation}"))
        )
        self.page.keyboard.press("Alt+q")
        expect(
            self.page.locator(".graphiql-query-editor textarea, .graphiql-query-editor .native-edit-context")
        ).to_be_focused()
        self.page.keyboard.press("Control+Home")
        for _ in range(line):
            self.page.keyboard.press("ArrowDown")

    def set_variables(self, **values: Any) -> None:
        """Paste the variables over those that stand there, with keys alone."""
        self.page.evaluate("text => navigator.clipboard.writeText(text)", json.dumps(values, indent=2))
        self.page.keyboard.press("Alt+i")
        expect(self.page.locator(".graphiql-editor-tool :focus")).to_have_count(1)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Control+v")
        for value in values.values():
            expect(
                self.page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines")
            ).to_contain_text(str(value))

    def choose(self, name: str) -> None:
        """Sign in as another of the demo people, with keys alone."""
        with self.page.expect_response(lambda response: _operation(response.request) == "IntrospectionQuery"):
            self.page.keyboard.press("Alt+r")
            expect(self.page.locator("#role")).to_be_focused()
            self.page.keyboard.type(name)
        expect(self.page.locator("#role option:checked")).to_contain_text(name)

    def answer(self, words: str) -> None:
        """Wait until the answer pane shows these words."""
        expect(self.page.locator(".result-window .view-lines")).to_contain_text(words.replace(" ", "\u00a0"))

    def status(self, words: str) -> None:
        """Wait until the line under the answer says these words."""
        expect(self.page.get_by_role("status")).to_contain_text(words)


def _operation(request: Request) -> str | None:
    if request.method != "POST" or not request.url.endswith("/graphql"):
        return None
    assert request.post_data_json is not None
    name = request.post_data_json.get("operationName")
    return str(name) if name else None


@pytest.fixture(scope="session")
def dist() -> Path:
    built = subprocess.run(
        [sys.executable, "deploy/graphiql.py"], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False
    )
    if built.returncode:
        unavailable("the GraphiQL page", built.stderr.strip())
    return ROOT / "web" / "dist"


@pytest.fixture(scope="module")
def server(dist: Path) -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture
def demo(server: Served) -> Served:
    """The server with the demo data as it was."""
    server.reset()
    return server


@pytest.fixture(scope="module")  # while the driver lives its event loop runs, and no other test could start one
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=needs("chromium"), args=FLAGS, chromium_sandbox=False)
        yield browser
        browser.close()


Open = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open the page of a server; at the end of the test it must have kept to its origin and policy."""
    opened: list[Opened] = []

    def open_one(server: Served, *, config: Callable[[Route], None] | None = None, size: Any = SIZE) -> Opened:
        context = browser.new_context(base_url=server.origin, viewport=size)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(TELL_VIOLATIONS)
        one = Opened(context.new_page())
        one.page.set_default_timeout(WAIT_MS)
        watch(one, server.origin)
        opened.append(one)
        if config:
            one.page.route("**/graphiql/config.json", config)
        with one.page.expect_response(lambda response: _operation(response.request) == "IntrospectionQuery"):
            one.page.goto("/graphiql")
        one.page.locator(".graphiql-query-editor .monaco-editor").wait_for()
        return one

    try:
        yield open_one
        for one in opened:
            assert one.page.evaluate("window.violations") == []
            assert one.faults == []
            assert len(one.asked) > 0
    finally:
        for one in opened:
            one.page.context.close()


def watch(one: Opened, *origins: str, refusals: tuple[int, ...] = (401, 403)) -> None:
    """Note what the page asks, and each step outside of these origins. Refusals have one of these statuses."""
    allowed = (*(f"{origin}/" for origin in origins), "data:")

    def on_request(request: Request) -> None:
        if not request.url.startswith(allowed):
            one.faults.append(f"asked elsewhere: {request.url}")
        if operation := _operation(request):
            one.asked.append((request.headers.get("authorization"), operation))

    def on_console(message: Any) -> None:
        # A refused request is logged by the browser itself; the page says it in words.
        is_refusal = any(f"the server responded with a status of {each} " in message.text for each in refusals)
        if message.type == "error" and not is_refusal:
            one.faults.append(f"console: {message.text}")

    one.page.on("request", on_request)
    one.page.on("console", on_console)
    one.page.on("pageerror", lambda error: one.faults.append(f"uncaught: {error}"))


def eventually(is_so: Callable[[], bool], page: Page) -> None:
    """Wait until it is so, while the page goes on working."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while not is_so():
        assert time.monotonic() < deadline, "it never came about"
        page.wait_for_timeout(50)
