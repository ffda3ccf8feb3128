"""Responses are compressed as the client asks, and never those that say no-transform."""

import gzip
import json
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.http import content_coding
from app.http.answers import UniformAnswers
from app.http.content_coding import LEAST_BYTES, MOST_BYTES, ON_THE_LOOP_BYTES, Coding, CompressedResponses, zstd

TEXT = b'{"name": "Store 8"}' * 200
SMALL, AT_THE_LIMIT, ABOVE = TEXT[:100], TEXT[:LEAST_BYTES], TEXT[: LEAST_BYTES + 1]
DECODED: dict[str | None, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
    None: bytes,
}


def answered(
    body: bytes = TEXT, accept: str | None = "zstd", *, status: int = 200, method: str = "GET", **fields: Any
) -> Any:
    """Return the response to a client that decodes nothing by itself."""
    headers = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in fields.items()}}

    async def respond(_request: Request) -> Response:
        return Response(body, status, headers)

    app = Starlette(
        routes=[Route("/", respond)], middleware=[Middleware(UniformAnswers), Middleware(CompressedResponses)]
    )
    http = TestClient(app)
    del http.headers["accept-encoding"]
    response: Any
    with http.stream(method, "/", headers={} if accept is None else {"accept-encoding": accept}) as response:
        response.raw_body = b"".join(response.iter_raw())
    return response


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, zstd;q=0.9", "gzip"),
        ("gzip;q=0.5, zstd;q=1", "zstd"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip ; q=0.5", "gzip"),
        ("gzip;Q=1.000", "gzip"),
        ("*", "zstd"),
        ("*;q=0.1", "zstd"),
        ("*, zstd;q=0", "gzip"),
        ("*;q=0, gzip", "gzip"),
        ("gzip;q=0.4, *;q=0.2", "gzip"),
        ("identity, gzip", "gzip"),
        ("identity;q=0.5, gzip;q=0.4", None),
        ("identity;q=0, gzip", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=0, zstd;q=0", None),
        ("*;q=0", None),
        ("br", None),
        # What is malformed is not asked for
        ("gzip;q=2", None),
        ("gzip;q=-1", None),
        ("gzip;q=nan", None),
        ("gzip;q=1e0", None),
        ("gzip;q=0.12345", None),
        ("gzip;level=9", None),
        ("gzip;", None),
        ("gzip zstd", None),
        (";;;,,,q=1,=", None),
        (",, ,gzip,", "gzip"),
        ("gzip;q=0, gzip", None),
        ("zstd" * 8_000, None),
    ],
)
def test_the_coding_is_the_one_with_the_highest_weight_that_the_client_accepts(
    accept: str | None, coding: str | None
) -> None:
    response = answered(accept=accept)
    assert response.headers.get("content-encoding") == coding
    assert DECODED[coding](response.raw_body) == TEXT
    assert int(response.headers["content-length"]) == len(response.raw_body)
    assert response.headers["vary"] == "Accept-Encoding"


def test_repeated_fields_are_one_list() -> None:
    assert (
        content_coding.accept_encoding(
            {"type": "http", "headers": [(b"accept-encoding", b"br"), (b"accept-encoding", b"gzip")]}
        )
        == "br, gzip"
    )


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_of_at_most_1024_bytes_is_sent_as_it_is(coding: str) -> None:
    assert [answered(body, coding).headers.get("content-encoding") for body in (b"", SMALL, AT_THE_LIMIT, ABOVE)] == [
        None,
        None,
        None,
        coding,
    ]


@pytest.mark.parametrize("accept", ["gzip, identity;q=0", "gzip, *;q=0"])
def test_a_small_body_is_compressed_for_a_client_that_accepts_nothing_else(accept: str) -> None:
    response = answered(SMALL, accept)
    assert gzip.decompress(response.raw_body) == SMALL
    assert response.headers["content-encoding"] == "gzip"


def test_a_body_that_compression_does_not_make_smaller_is_sent_as_it_is() -> None:
    noise = random.Random(1).randbytes(4_096)
    response = answered(noise)
    assert (response.raw_body, response.headers.get("content-encoding")) == (noise, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"cache_control": "no-store, no-transform"},
        {"cache_control": "No-Transform"},
        {"content_encoding": "br"},
        {"content_type": "image/png"},
        {"content_type": "application/octet-stream"},
        {"content_type": ""},
    ],
    ids=str,
)
def test_a_secret_and_what_is_compressed_already_are_left_alone(fields: dict[str, Any]) -> None:
    response = answered(**fields)
    assert response.raw_body == TEXT
    assert response.headers.get("content-encoding") == fields.get("content_encoding")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/graphql-response+json; charset=utf-8",
        "application/schema+json",
        "text/html; charset=utf-8",
        "TEXT/JavaScript",
        "image/svg+xml",
        "font/ttf",
    ],
)
def test_texts_are_compressed_whatever_their_type(content_type: str) -> None:
    assert answered(content_type=content_type).headers["content-encoding"] == "zstd"


def test_a_refusal_in_plain_text_can_still_be_translated() -> None:
    response = answered(b"I am a teapot" * 200, "gzip, identity;q=0", status=418, content_type="text/plain")
    assert json.loads(response.raw_body)["errors"][0]["message"].startswith("I am a teapot")
    assert "content-encoding" not in response.headers


def test_head_has_the_fields_of_get_and_no_body() -> None:
    got, asked = answered(), answered(method="HEAD")
    assert asked.raw_body == b""
    assert {**asked.headers, "x-request-id": ""} == {**got.headers, "x-request-id": ""}


def test_a_response_in_parts_is_passed_on() -> None:
    async def respond(_request: Request) -> Response:
        return StreamingResponse(iter([TEXT, TEXT]), media_type="application/json")

    app = Starlette(routes=[Route("/", respond)], middleware=[Middleware(CompressedResponses)])
    response = TestClient(app).get("/", headers={"accept-encoding": "gzip"})
    assert (response.content, "content-encoding" in response.headers) == (TEXT * 2, False)


def test_a_large_body_is_compressed_outside_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    where: dict[int, str] = {}
    compressed = content_coding.compressed

    def noted(body: bytes, *rest: Any) -> bytes:
        where[len(body)] = threading.current_thread().name
        return compressed(body, *rest)

    monkeypatch.setattr(content_coding, "compressed", noted)
    large = TEXT * (ON_THE_LOOP_BYTES // len(TEXT) + 1)
    for body in (large[:ON_THE_LOOP_BYTES], large):
        assert zstd.decompress(answered(body).raw_body) == body
    on_the_loop, in_a_thread = where.values()
    assert on_the_loop != in_a_thread


@pytest.mark.parametrize("coding", Coding)
def test_a_body_that_takes_long_to_compress_is_sent_as_it_is(coding: Coding) -> None:
    most = MOST_BYTES[coding]
    body = TEXT * (most // len(TEXT) + 1)
    for accept in (coding, f"{coding}, identity;q=0"):
        assert answered(body[:most], accept).headers["content-encoding"] == coding
        beyond = answered(body[: most + 1], accept)
        assert ("content-encoding" in beyond.headers, beyond.raw_body) == (False, body[: most + 1])


def test_any_decoder_of_the_web_can_decode_zstd() -> None:
    """RFC 9659 limits the window to 8 MiB."""
    large = random.Random(1).randbytes(1_000) * 8_000
    frame = answered(large).raw_body
    assert zstd.decompress(frame, options={zstd.DecompressionParameter.window_log_max: 23}) == large
