"""The page for partners and its example agree with the server: digests, operations, codes, and what is sent again."""

import json
import runpy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import parse, validate
from hypothesis import given
from hypothesis import strategies as st

from app.db import demo
from app.domain.canonical import canonical
from app.domain.digest import document_digest
from app.domain.payload import VERSIONS, payload_document
from app.domain.payload_version import allowed_versions
from app.domain.vocabulary import ProblemCode
from app.settings import Settings
from graphql_schema.schema import schema
from tests.domain.builders import NOON

from .pages import ROOT, page, table

PAGE = page("docs/partners.md")
EXAMPLE = ROOT / "docs" / "examples" / "poller.py"
# The values of payload documents: no fractions, and no names beyond ASCII.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner),
)


@dataclass
class Stub:
    """A server that gives the answers of a list, one per request; None closes the connection. It keeps the requests."""

    answers: list[tuple[int, dict[str, Any] | str] | None]
    requests: list[SimpleNamespace] = field(default_factory=list)
    url: str = ""


@contextmanager
def stub(*answers: tuple[int, dict[str, Any] | str] | None) -> Iterator[Stub]:
    made = Stub(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.requests.append(SimpleNamespace(token=self.headers["Authorization"], **body))
            answer = made.answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if "<" in content else "application/json")
            if status == 503:
                self.send_header("Retry-After", "5")
            self.end_headers()
            self.wfile.write((content if isinstance(content, str) else json.dumps(content)).encode())

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}/graphql"
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Example:
    """The example as a module, with the pauses that it would make, and the time that has passed, in seconds."""

    module: dict[str, Any]
    pauses: list[float]
    passed: float = 0.0

    def __getattr__(self, name: str) -> Any:
        return self.module[name]


@contextmanager
def example(folder: Path, url: str = "http://127.0.0.1:1/graphql") -> Iterator[Example]:
    """The example, with tokens that are numbered, and without waiting."""
    numbers = folder / "tokens"
    command = f"sh -c 'echo t >> {numbers}; wc -l < {numbers}'"
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"URL": url, "TOKEN_COMMAND": command}.items():
            patched.setenv(f"TURNUP_{name}", value)
        patched.setenv("POLLER_FOLDER", str(folder))
        module = runpy.run_path(str(EXAMPLE))
        made = Example(module, [])
        clock = SimpleNamespace(sleep=made.pauses.append, monotonic=lambda: made.passed)
        patched.setitem(module["ask"].__globals__, "time", clock)
        yield made


def failed(code: str, **facts: Any) -> dict[str, Any]:
    return {"errors": [{"message": code, "extensions": {"code": code, **facts}}]}


DONE: dict[str, Any] = {"data": {"acknowledgePayload": {"problems": []}}}


@given(VALUES)
def test_the_example_writes_the_canonical_form_of_the_values_of_documents(value: Any) -> None:
    written = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert written.encode() == canonical(value)


def test_the_example_computes_the_digests_of_documents(tmp_path: Path) -> None:
    contents = [demo.example(), *(demo.content_of(each) for each in demo.BRANCHES if each.desks)]
    with example(tmp_path) as poller:
        for content in contents:
            for version in set(VERSIONS) & set(allowed_versions(content)):
                made = payload_document(
                    content,
                    version=version,
                    account_name='Zoë\'s Café \\ "Nord" \u2028',
                    now=NOON,
                    sequence=1,
                    generated_by="user-lead",
                    location_revision=1,
                    supersedes=None,
                )
                sent = json.loads(json.dumps(made))
                assert poller.digest(sent) == document_digest(made)
                assert sha256(canonical(made)).hexdigest() == document_digest(made)


def test_the_operations_of_the_example_and_of_the_page_are_valid(tmp_path: Path) -> None:
    with example(tmp_path) as poller:
        documents = [*poller.OPERATIONS.values(), PAGE.partition("```graphql\n")[2].partition("```")[0]]
    assert [validate(schema._schema, parse(document)) for document in documents] == [[]] * len(documents)


def test_a_failed_call_is_sent_again_until_it_is_answered(tmp_path: Path) -> None:
    answers = [
        (401, failed("UNAUTHENTICATED")),
        (429, failed("RATE_LIMITED", retryAfterMs=1234)),
        (200, failed("RATE_LIMITED", retryAfterMs=99)),
        (503, failed("OVERLOADED")),
        (502, "<html>Bad gateway</html>"),
        (200, "<html>A proxy</html>"),
        None,
        (200, {"data": {"acknowledgePayload": {"problems": [
            {"code": "IDEMPOTENCY_IN_PROGRESS", "message": "", "retryAfterMs": 500}]}}}),
        (200, DONE),
    ]  # fmt: skip
    with stub(*answers) as server, example(tmp_path, server.url) as poller:
        sent = {"payloadId": "payload-1", "idempotencyKey": "acknowledgePayload-payload-1"}
        assert poller.ask("acknowledgePayload", input=sent) == {"problems": []}
    assert [each.variables for each in server.requests] == [{"input": sent}] * len(answers)
    assert [each.token for each in server.requests] == ["Bearer 1"] + ["Bearer 2"] * (len(answers) - 1)
    least = [1, 1.234, 0.099, 5, 1, 1, 1, 0.5]  # what the server says, or a second
    assert all(said <= pause < said + 1 for said, pause in zip(least, poller.pauses, strict=True))
    assert len({pause - said for said, pause in zip(least, poller.pauses, strict=True)}) > 1


@pytest.mark.parametrize("body", ["<html>Bad gateway</html>", '{"errors": [{"mess', ""])
def test_a_refusal_whose_body_was_damaged_on_the_way_is_no_end_of_the_poller(tmp_path: Path, body: str) -> None:
    with stub((502, body), (200, body), (200, DONE)) as server, example(tmp_path, server.url) as poller:
        assert poller.ask("acknowledgePayload", input={}) == {"problems": []}


def test_the_example_asks_how_long_to_wait_for_an_earlier_call_with_its_key(tmp_path: Path) -> None:
    with example(tmp_path) as poller:
        for mutation in ("acknowledgePayload", "rejectPayload"):
            assert "... on IdempotencyInProgress { retryAfterMs }" in poller.OPERATIONS[mutation]


def test_a_refusal_ends_the_call_and_a_wrong_request_ends_the_poller(tmp_path: Path) -> None:
    refused = {"data": {"acknowledgePayload": {"problems": [{"code": "PAYLOAD_WITHDRAWN", "message": "Withdrawn."}]}}}
    with (
        stub((200, refused), (400, failed("BAD_USER_INPUT"))) as server,
        example(tmp_path, server.url) as poller,
    ):
        assert poller.ask("acknowledgePayload", input={}) is None
        with pytest.raises(SystemExit, match="BAD_USER_INPUT"):
            poller.ask("acknowledgePayload", input={})
    assert poller.pauses == []


@pytest.mark.parametrize("code", ["INVALID_INPUT", "LIMIT_REACHED"])
def test_a_rejection_that_can_never_be_right_ends_the_poller_instead_of_being_sent_at_every_poll(
    tmp_path: Path, code: str
) -> None:
    problem = {"code": code, "message": "reasons, 0, path: must lead to a value in the payload's document"}
    with (
        stub((200, {"data": {"rejectPayload": {"problems": [problem]}}})) as server,
        example(tmp_path, server.url) as poller,
        pytest.raises(SystemExit, match=f"{code}: .*path"),
    ):
        poller.ask("rejectPayload", input={})


@pytest.mark.parametrize("code", [code for code, _ in table(PAGE, "Answering")])
def test_a_problem_of_the_page_ends_the_answer_and_not_the_poller(tmp_path: Path, code: str) -> None:
    refused = {"data": {"acknowledgePayload": {"problems": [{"code": code, "message": ""}]}}}
    with stub((200, refused)) as server, example(tmp_path, server.url) as poller:
        assert poller.ask("acknowledgePayload", input={}) is None


def test_a_damaged_document_is_neither_applied_nor_answered(tmp_path: Path) -> None:
    with stub() as server, example(tmp_path, server.url) as poller:
        poller.receive({"id": "payload-1", "test": False, "document": {"a": 1}, "documentDigest": "0" * 64})
    assert server.requests == []
    assert list(tmp_path.glob("*.json")) == []


def test_reasons_reject_a_payload(tmp_path: Path) -> None:
    reasons = [{"path": "/devices/0", "code": "UNKNOWN_MODEL", "message": "We do not sell it."}]
    rejected: dict[str, Any] = {"data": {"rejectPayload": {"problems": []}}}
    with stub((200, rejected)) as server, example(tmp_path, server.url) as poller:
        poller.ask.__globals__["put_into_operation"] = lambda _payload: reasons
        payload = {"id": "payload-1", "test": True, "document": {"a": 1}}
        poller.receive({**payload, "documentDigest": poller.digest(payload["document"])})
    (sent,) = server.requests
    assert sent.variables["input"] == {
        "payloadId": "payload-1",
        "idempotencyKey": "rejectPayload-payload-1",
        "reasons": reasons,
    }


def a_page(*updated: str, more: bool = False) -> tuple[int, dict[str, Any]]:
    nodes = [{"id": f"payload-{place}", "updatedAt": each} for place, each in enumerate(updated)]
    info = {"hasNextPage": more, "endCursor": "a cursor"}
    return 200, {"data": {"provisioningPayloads": {"nodes": nodes, "pageInfo": info}}}


def test_a_change_that_becomes_visible_while_a_slow_poll_reads_its_pages_is_read_by_the_next_one(
    tmp_path: Path,
) -> None:
    """The first page is read at noon; a change can have a time from shortly before, and become visible after."""
    pages = (a_page("2026-11-29T12:00:00+00:00", more=True), a_page("2026-11-29T12:01:40+00:00"))
    with stub(a_page(), *pages, a_page(), a_page()) as server, example(tmp_path, server.url) as poller:

        def notices_slowly(_payload: Any) -> None:
            poller.passed += 100

        poller.ask.__globals__["notice"] = notices_slowly
        poller.poll()
        poller.poll()
    since = server.requests[-1].variables["filter"]["updatedSince"]
    assert datetime.fromisoformat(since) <= datetime.fromisoformat("2026-11-29T12:00:00+00:00") - poller.OVERLAP


def test_polls_that_find_nothing_keep_the_bookmark(tmp_path: Path) -> None:
    with (
        stub(a_page(), a_page("2026-11-29T12:00:00+00:00"), *[a_page()] * 4) as server,
        example(tmp_path, server.url) as poller,
    ):
        for _ in range(3):
            poller.poll()
            poller.passed += 1
    assert len({each.variables["filter"]["updatedSince"] for each in server.requests[3::2]}) == 1


def test_a_test_payload_goes_to_a_place_of_its_own(tmp_path: Path) -> None:
    with example(tmp_path) as poller:
        for number, test in enumerate((True, False)):
            poller.put_into_operation({"id": f"payload-{number}", "test": test, "document": {}})
    assert sorted(each.name for each in tmp_path.glob("*.json")) == ["payload-0.test.json", "payload-1.document.json"]


def test_the_overlap_is_four_times_the_time_limit_of_a_request(tmp_path: Path) -> None:
    limit = Settings.model_fields["limit_deadline_seconds"].default
    with example(tmp_path) as poller:
        assert poller.OVERLAP.total_seconds() == 4 * limit
    assert f"unless the operator has set `TURNUP_LIMIT_DEADLINE_SECONDS`. Start each poll {4 * limit:.0f} seconds" in (
        " ".join(PAGE.split())
    )


def test_the_problems_of_the_page_exist() -> None:
    assert {code for code, _ in table(PAGE, "Answering")} <= set(ProblemCode.__members__)
