"""Where lines go, and that neither a full disk nor a reader that has gone, or does not read, stops anything."""

import gc
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TextIO

import pytest

from app.telemetry.current_ids import bind_request
from app.telemetry.logging import VETTED, start_logging
from app.telemetry.output import WAIT_MS, LineHandler

pytestmark = pytest.mark.usefixtures("_logging_restored")

log = logging.getLogger("turnup.test")
HOSTILE = 'seen\r\n{"level":"critical"}\x1b[2J\x07\x85\u2028\u2029\u202e\ud800\x00'


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """The end of a pipe to read from, and the stream that writes to it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
    os.close(reading)


def test_a_full_disk_drops_lines_and_counts_them() -> None:
    with open("/dev/full", "w", encoding="utf-8") as stream:  # noqa: PTH123 - a device
        handler = start_logging(development=False, stream=stream)
        counted: list[int] = []
        handler.on_drop = lambda: counted.append(handler.dropped)
        for _ in range(100):
            log.info("seen")
    assert counted == list(range(1, 101))


def test_a_reader_that_has_gone_drops_lines(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    handler = start_logging(development=False, stream=stream)
    log.info("seen")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, reading)  # the only reader of the pipe has gone
    os.close(null)
    log.info("lost")
    assert handler.dropped == 1


def test_a_reader_that_does_not_read_delays_only_one_line_a_second(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    handler = start_logging(development=False, stream=stream)
    while not handler.dropped:
        log.info("x" * 900)
    before = handler.dropped
    began = time.monotonic()
    for _ in range(200):
        log.info("lost")
    taken = time.monotonic() - began
    assert handler.dropped == before + 200
    assert taken < 200 * WAIT_MS / 1000 / 4
    os.set_blocking(reading, False)
    kept = os.read(reading, 1_000_000).decode()
    handler._closed_until = 0.0  # a second later
    log.info("read again")
    assert json.loads(os.read(reading, 1_000_000))["message"] == "read again"
    assert all(json.loads(line)["message"] for line in kept.splitlines())


def test_a_pipe_that_another_process_fills_in_between_blocks_nobody(pipe: tuple[int, TextIO]) -> None:
    _, stream = pipe
    handler = start_logging(development=False, stream=stream)
    while not handler.dropped:
        log.info("x" * 900)
    before = handler.dropped
    handler._await_reader = lambda: None  # type: ignore[method-assign] # - there was room when it was asked

    def write() -> None:
        for _ in range(20):
            log.info("x" * 900)

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    writing.join(10)
    assert not writing.is_alive()
    assert handler.dropped > before
    assert os.get_blocking(stream.fileno()), "which other processes have, too"


def test_handlers_that_were_replaced_leave_no_file_open(pipe: tuple[int, TextIO]) -> None:
    _, stream = pipe
    start_logging(development=False, stream=stream)
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(20):
        start_logging(development=False, stream=stream)
    gc.collect()
    assert len([*Path("/proc/self/fd").iterdir()]) <= before


def test_a_line_that_was_written_in_part_ends_before_the_next_one(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    handler = start_logging(development=False, stream=stream)
    long = {f"part{number}": "x" * 1_000 for number in range(50)}
    while not handler.dropped:
        log.info("long", extra=long)
    os.set_blocking(reading, False)
    os.read(reading, 1_000_000)
    handler._closed_until = 0.0
    log.info("whole")
    rest, line = os.read(reading, 1_000_000).decode().splitlines()
    assert rest == ""
    assert json.loads(line)["message"] == "whole"


def test_a_process_without_standard_error_drops_lines() -> None:
    handler = LineHandler(None)
    handler.handle(logging.makeLogRecord({"msg": "seen"}))
    assert handler.dropped == 1


def test_a_line_that_cannot_be_formatted_is_replaced() -> None:
    stream = StringIO()
    start_logging(development=False, stream=stream)
    log.info("%d items", "no number")
    line = json.loads(stream.getvalue())
    assert (line["message"], line["level"], line["error"]) == (
        "a line of the log could not be formatted", "error", "TypeError",
    )  # fmt: skip


@pytest.mark.parametrize("as_text", [False, True], ids=["json", "text"])
def test_nothing_that_a_client_sends_begins_a_line_or_is_obeyed_by_a_terminal(as_text: bool) -> None:
    stream = StringIO()
    start_logging(development=True, as_text=as_text, stream=stream)
    with bind_request(HOSTILE, HOSTILE):
        log.info(HOSTILE, extra={"path": HOSTILE, HOSTILE: HOSTILE, "nested": [{HOSTILE: HOSTILE}]})
        log.info("seen", extra={VETTED: {"status": 200}})
    written = stream.getvalue()
    assert len(written.splitlines()) == 2
    assert [each for each in written if not each.isprintable()] == ["\n"] * 2


def test_the_message_of_an_exception_begins_no_line() -> None:
    stream = StringIO()
    start_logging(development=True, stream=stream)
    try:
        raise LookupError(f"no device\n2026-01-01T00:00:00Z [info     ] approval.approved{HOSTILE}")  # noqa: TRY301 - the exception that is logged
    except LookupError:
        log.exception("failed")
    first, *others = stream.getvalue().splitlines()
    assert "failed" in first
    assert all(line.startswith("    ") for line in others)
    assert "\x1b" not in stream.getvalue()


def test_text_of_a_server_in_production_has_no_message_of_an_exception() -> None:
    stream = StringIO()
    start_logging(development=False, as_text=True, stream=stream)
    try:
        raise LookupError("ada@acme.example")  # noqa: TRY301 - the exception that is logged
    except LookupError:
        log.exception("failed")
    assert "builtins.LookupError" in stream.getvalue()
    assert "ada@" not in stream.getvalue()


class Terminal(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "variables", "colored"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (StringIO(), {}, False),
    ],
    ids=["terminal", "no-color", "dumb-terminal", "file"],
)
def test_colour_goes_only_to_a_terminal(
    stream: StringIO, variables: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    start_logging(development=True, stream=stream)
    log.info("seen")
    assert ("\x1b[" in stream.getvalue()) is colored


def test_everything_that_a_process_prints_is_a_line_of_the_log() -> None:
    program = """
import logging, sys, threading, warnings
from app.telemetry.logging import start_logging
from app.telemetry.output import exits_logged, take_over_output
start_logging(development=False)
take_over_output()
print("printed", "twice")
print("turnup: warning: on standard error", file=sys.stderr)
sys.stdout.write("in "); sys.stdout.write("parts\\n")
warnings.warn("worn out", UserWarning)
thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
class Finalized:
    def __del__(self): raise LookupError("secret")
x = Finalized(); del x
logging.getLogger("library").info("chatter")
logging.getLogger("library").warning("a library's warning")
with exits_logged():
    sys.exit("turnup: HOST: not this one")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout) == (1, "")
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "printed twice"),
        ("warning", "warning: on standard error"),
        ("info", "in parts"),
        ("warning", "UserWarning: worn out"),
        ("critical", "an exception was not caught"),
        ("error", "an exception was ignored"),
        ("warning", "a library's warning"),
        ("error", "HOST: not this one"),
    ]
    assert [each["type"] for line in lines for each in line.get("exception", ())] == [
        "builtins.ZeroDivisionError", "builtins.LookupError",
    ]  # fmt: skip
    assert "secret" not in ended.stderr


TRACEBACKS = """
import asyncio, logging, sys, traceback
from app.telemetry.logging import start_logging
from app.telemetry.output import take_over_output
start_logging(development=False, as_text=AS_TEXT)
if not AS_TEXT: take_over_output()

def refuse(*_): raise ValueError("duplicate: Erika,\\n  Erika\\n\\nErika")

def refuse_again():
    try: refuse()
    except ValueError as error: raise KeyError("Erika") from error

def refuse_all():
    inner = ExceptionGroup("Erika", [ValueError("Erika\\nErika")])
    raise ExceptionGroup("Erika", [KeyError("Erika"), inner])

async def main():
    loop = asyncio.get_running_loop()
    async def fail(): refuse()
    async def ask(name): refuse()
    tasks = [asyncio.create_task(fail()), asyncio.create_task(ask("Erika"), name="Erika")]
    await asyncio.sleep(0)
    tasks.clear()
    loop.call_soon(refuse, "Erika")
    loop.call_exception_handler({"message": "a bad answer", "answer": "Erika", "exception": KeyError("Erika")})
    await asyncio.sleep(0)
    log, task = logging.getLogger("asyncio"), asyncio.create_task(ask("Erika"), name="Erika")
    log.warning("Executing %r took %.3f seconds", task, 2)
    log.warning("socket.send() raised exception.")

RUN
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("as_text", [False, True], ids=["json", "text"])
def test_what_the_event_loop_says_about_an_exception_has_no_message_and_no_object(loop: str, as_text: bool) -> None:
    ended = printed_by(TRACEBACKS.replace("RUN", f"import {loop}\n{loop}.run(main())"), as_text=as_text)
    assert "Erika" not in ended
    assert ended.count("ValueError") >= 3
    if not as_text:
        lines = [json.loads(line) for line in ended.splitlines()]
        assert {
            "a bad answer",
            "Task exception was never retrieved",
            "Executing",
            "socket.send() raised exception.",
        } <= {line["message"] for line in lines}
        assert any(line["message"].startswith("Exception in callback") for line in lines)


@pytest.mark.parametrize("function", ["refuse", "refuse_again", "refuse_all"])
@pytest.mark.parametrize("way", ["traceback.print_exc()", "print(traceback.format_exc())"], ids=["lines", "at-once"])
def test_a_printed_traceback_has_types_and_places_without_messages(function: str, way: str) -> None:
    run = f"""
try: {function}()
except Exception: {way}
print("afterwards: all")
"""
    lines = [json.loads(line) for line in printed_by(TRACEBACKS.replace("RUN", run), as_text=False).splitlines()]
    messages = [line["message"] for line in lines]
    assert not any("Erika" in each for each in messages)
    assert any(f"in {function}" in each for each in messages)
    types = {"refuse": {"ValueError"}, "refuse_again": {"ValueError", "KeyError"},
             "refuse_all": {"ValueError", "KeyError", "ExceptionGroup"}}  # fmt: skip
    assert types[function] <= {each.strip("| ") for each in messages}
    assert messages[-1] == "afterwards: all"


def test_a_record_that_another_handler_cannot_write_is_printed_without_its_arguments() -> None:
    run = """
logging.getLogger("other").addHandler(logging.StreamHandler())
logging.getLogger("other").propagate = False
logging.getLogger("other").error("%d devices", "Erika")
"""
    printed = printed_by(TRACEBACKS.replace("RUN", run), as_text=False)
    assert "--- Logging error ---" in printed
    assert "TypeError" in printed
    assert not any(line["message"].startswith("Arguments: ") for line in map(json.loads, printed.splitlines()))


def printed_by(program: str, *, as_text: bool) -> str:
    """What a program writes to standard error. It must not fail."""
    command = [sys.executable, "-c", program.replace("AS_TEXT", str(as_text))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")
    return ended.stderr


def test_an_exception_that_nothing_catches_is_a_line_of_the_log() -> None:
    program = """
from app.telemetry.logging import start_logging
from app.telemetry.output import take_over_output
start_logging(development=False)
take_over_output()
raise LookupError("secret")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert (ended.returncode, line["level"], line["exception"][0]["type"]) == (1, "critical", "builtins.LookupError")
    assert "secret" not in ended.stderr
