"""The guard of a request's body: every refusal with its sentence, and all other JSON unharmed."""

import codecs
import json
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from app.http.body import BadRequest, BodyLimits, PayloadTooLarge, parse_json, parse_json_body, read_body

LIMITS = BodyLimits()


def refused(raw: bytes | str) -> str:
    """The sentence a body is refused with as BAD_REQUEST."""
    with pytest.raises(BadRequest) as refusal:
        parse_json_body(raw.encode() if isinstance(raw, str) else raw, LIMITS)
    assert refusal.value.code == "BAD_REQUEST"
    return str(refusal.value)


def with_variable(value: str) -> str:
    return f'{{"query": "{{a}}", "variables": {{"v": {value}}}}}'


BOM = "The body begins with a byte order mark (BOM), which JSON does not allow. Send UTF-8 without it."
WIDE = "The body is not UTF-8 but UTF-16 or UTF-32. Send UTF-8 without a byte order mark (BOM)."

# What is taken


def test_a_request_is_read_with_all_its_parameters() -> None:
    raw = b'{"query": "{a}", "operationName": "A", "variables": {"v": [1, -2.5, "\\u00e9", null]}, "extensions": {}}'
    assert parse_json_body(raw, LIMITS) == {
        "query": "{a}",
        "documentHash": None,
        "operationName": "A",
        "variables": {"v": [1, -2.5, "é", None]},
        "extensions": {},
    }


@pytest.mark.parametrize(
    "raw",
    [
        b'{"query": "{a}"}',
        b'{"query": "{a}", "operationName": null, "variables": null, "extensions": null}',
        b' \n{"query": "{a}", "id": 7, "other": [{}]}\t',
    ],
)
def test_what_is_absent_is_null_and_what_is_unknown_is_ignored(raw: bytes) -> None:
    assert parse_json_body(raw, LIMITS) == {
        "query": "{a}",
        "documentHash": None,
        "operationName": None,
        "variables": None,
        "extensions": None,
    }


def test_a_surrogate_pair_is_one_character_and_an_escaped_backslash_makes_none() -> None:
    raw = with_variable(r'["\ud83d\uDE00", "\\ud800"]').encode()
    assert parse_json_body(raw, LIMITS)["variables"] == {"v": ["😀", r"\ud800"]}


def test_brackets_within_strings_are_not_nesting() -> None:
    query = "{a(x: " + "[" * 300 + '\\"' + "{" * 300 + "}"
    assert parse_json_body(f'{{"query": "{query}"}}'.encode(), LIMITS)["query"] == query.replace("\\", "")


numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=3), st.booleans())
def test_json_comes_through_unharmed(variables: dict[str, object], escaped: bool) -> None:
    body = {"query": "{a}", "operationName": None, "variables": variables, "extensions": None}
    parsed = parse_json_body(json.dumps(body, ensure_ascii=escaped).encode(), LIMITS)
    assert parsed == {**body, "documentHash": None}


@given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")) | texts.map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        value = parse_json(raw, LIMITS)
    except BadRequest:
        return
    assert value == json.loads(raw)


# What is refused


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("[]", "Batching is not supported: the body must be one JSON object, not an array."),
        ('[{"query": "{a}"}]', "Batching is not supported: the body must be one JSON object, not an array."),
        ('"{a}"', "The body must be a JSON object."),
        ("null", "The body must be a JSON object."),
        ("{}", "`query` is missing."),
        ('{"query": null}', "`query` is missing."),
        ('{"query": {"a": 1}}', "`query` must be a string."),
        ('{"query": "{a}", "operationName": 1}', "`operationName` must be a string or null."),
        ('{"query": "{a}", "variables": "{}"}', "`variables` must be an object or null."),
        ('{"query": "{a}", "variables": []}', "`variables` must be an object or null."),
        ('{"query": "{a}", "variables": false}', "`variables` must be an object or null."),
        ('{"query": "{a}", "extensions": 1}', "`extensions` must be an object or null."),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_named(raw: str, sentence: str) -> None:
    assert refused(raw) == sentence


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("", "The body is not JSON: Expecting value (line 1, column 1)."),
        ("{a}", "The body is not JSON: Expecting property name enclosed in double quotes (line 1, column 2)."),
        ('{"query":\n "{a}"} x', "The body is not JSON: Extra data (line 2, column 9)."),
        ('{"query": "\t"}', "The body is not JSON: Invalid control character at (line 1, column 12)."),
        (b'{"query": "\xff"}', "The body is not UTF-8, from byte 11 on."),
        (b'{"query": "\xed\xa0\x80"}', "The body is not UTF-8, from byte 11 on."),
        *(('{"query": "{a}"}'.encode(encoding), WIDE) for encoding in ("utf-16", "utf-16-le", "utf-16-be")),
        *(('{"query": "{a}"}'.encode(encoding), WIDE) for encoding in ("utf-32", "utf-32-le", "utf-32-be")),
        (codecs.BOM_UTF16_BE + '{"query": "{a}"}'.encode("utf-16-be"), WIDE),
        (codecs.BOM_UTF32_BE + '{"query": "{a}"}'.encode("utf-32-be"), WIDE),
        ('\ufeff{"query": "{a}"}', BOM),
        ("\ufeff", BOM),
        ('\ufeff\ufeff{"query": "{a}"}', BOM),
        (' \ufeff{"query": "{a}"}', "The body is not JSON: Expecting value (line 1, column 2)."),
        ('{"query": "{a}", "query": "{b}"}', 'The body has the key "query" twice in one object.'),
        (with_variable('{"x": 1, "y": 2, "\\u0078": 1}'), 'The body has the key "x" twice in one object.'),
        (with_variable("NaN"), "The body contains NaN, which is not JSON."),
        (with_variable("[-Infinity]"), "The body contains -Infinity, which is not JSON."),
        (with_variable("1e400"), "The body contains a number that exceeds the range of a double."),
        (with_variable(r'"\ud800"'), "The body contains an unpaired surrogate."),
        (with_variable(r'"\uDE00\ud83d"'), "The body contains an unpaired surrogate."),
        (with_variable(r'{"\ud83d": 1}'), "The body contains an unpaired surrogate."),
        (with_variable(str(2**63)), "The body contains an integer that exceeds 64 bits."),
        (with_variable(str(-(2**63) - 1)), "The body contains an integer that exceeds 64 bits."),
        (with_variable("1" * 10_000), "The body contains an integer that exceeds 64 bits."),
    ],
)
def test_what_is_not_strict_json_is_refused(raw: bytes | str, sentence: str) -> None:
    assert refused(raw) == sentence


def test_a_get_requests_variables_are_refused_by_their_own_name() -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_json(b"", LIMITS, "`variables`")
    assert str(refusal.value) == "`variables` is not JSON: Expecting value (line 1, column 1)."


# Limits at their edges


@pytest.mark.parametrize(
    ("at", "beyond", "sentence"),
    [
        (
            with_variable("[" * 62 + "]" * 62),
            with_variable("[" * 63 + "]" * 63),
            "The body is nested more than 64 levels deep.",
        ),
        (
            with_variable('{"a":' * 62 + "1" + "}" * 62),
            with_variable('{"a":' * 63 + "1" + "}" * 63),
            "The body is nested more than 64 levels deep.",
        ),
        (
            with_variable("[1" + ",1" * (5_000 - 4) + "]"),
            with_variable("[1" + ",1" * (5_000 - 3) + "]"),
            "The body contains more than 5000 values.",
        ),
    ],
)
def test_a_body_at_a_limit_passes_and_one_beyond_it_is_refused(at: str, beyond: str, sentence: str) -> None:
    assert parse_json_body(at.encode(), LIMITS)["query"] == "{a}"
    assert refused(beyond) == sentence


def test_a_mebibyte_passes_and_one_byte_more_is_too_large() -> None:
    body = b'{"query": "{a}"}'
    assert parse_json_body(body.ljust(1024 * 1024), LIMITS)["query"] == "{a}"
    with pytest.raises(PayloadTooLarge) as refusal:
        parse_json_body(body.ljust(1024 * 1024 + 1), LIMITS)
    assert refusal.value.code == "PAYLOAD_TOO_LARGE"
    assert str(refusal.value) == "The body is larger than 1048576 bytes."


# Bombs


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 1_000_000,
        b"[]," * 340_000,
        b"[" + b'{"a":1},' * 130_000 + b"1]",
        b"[" + b"[" * 63 + b"]" * 63 + b"," * 1_000_000,
        b'"' + b'\\"' * 500_000,
        b"[" * 70 + b'"' + b'\\"' * 500_000 + b"\\",
        b'"a' * 500_000,
        b"1" * 1_000_000,
        b"1." + b"1" * 1_000_000,
        b'"' + b"\\ud83d" * 170_000 + b'"',
        b"[" + b"9223372036854775807," * 4_900 + b"1]",
    ],
    ids=lambda raw: f"{raw[:12].decode()}...",
)
def test_a_hostile_mebibyte_is_refused_at_once(raw: bytes) -> None:
    assert quickest(lambda: refused(raw)) < 0.05


def test_an_ordinary_body_costs_next_to_nothing() -> None:
    query = "query ($a: Int) {locations(first: $a) {nodes {" + " ".join(f"f{i} {{a b c}}" for i in range(120)) + "}}}"
    raw = json.dumps({"query": query, "variables": {"a": 1, "input": {"names": ["Zoë", "Bo"]}}}).encode()
    assert quickest(lambda: parse_json_body(raw, LIMITS)) < 0.000_5


def quickest(action: Callable[[], object]) -> float:
    def once() -> float:
        start = process_time()
        action()
        return process_time() - start

    return min(once() for _ in range(5))


# Reading


class Client:
    """Sends a body in chunks and counts how many were asked for."""

    def __init__(self, chunks: Sequence[bytes], *, leaves: bool = False) -> None:
        more = leaves or None
        self.messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": chunk, "more_body": more or i + 1 < len(chunks)}
            for i, chunk in enumerate(chunks)
        ]
        if leaves:
            self.messages.append({"type": "http.disconnect"})
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        return self.messages[self.asked - 1]


async def test_a_body_is_joined_from_its_chunks() -> None:
    client = Client([b"ab", b"", b"cd"])
    assert await read_body(client.receive, 4) == b"abcd"


async def test_a_message_without_a_body_is_an_empty_one() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    assert await read_body(receive, 4) == b""


async def test_reading_stops_at_the_first_byte_too_many() -> None:
    client = Client([b"ab", b"cde", b"f"])
    with pytest.raises(PayloadTooLarge):
        await read_body(client.receive, 4)
    assert client.asked == 2


@pytest.mark.parametrize("length", [b"5", b"0005", b"9" * 5_000])
async def test_a_body_announced_too_large_is_not_read(length: bytes) -> None:
    client = Client([b"abcd"])
    with pytest.raises(PayloadTooLarge):
        await read_body(client.receive, 4, [(b"host", b"x"), (b"Content-Length", length)])
    assert client.asked == 0


@pytest.mark.parametrize("length", [b"4", b"0", b"0" * 5_000])
async def test_a_body_announced_small_is_counted_all_the_same(length: bytes) -> None:
    with pytest.raises(PayloadTooLarge):
        await read_body(Client([b"abcde"]).receive, 4, [(b"content-length", length)])


@pytest.mark.parametrize("length", [b"", b"-1", b"4, 4", b"0x4"])
async def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    with pytest.raises(BadRequest, match="Content-Length must be a number of bytes"):
        await read_body(Client([b"abcd"]).receive, 4, [(b"content-length", length)])


async def test_a_client_that_leaves_ends_the_reading() -> None:
    with pytest.raises(ClientDisconnect):
        await read_body(Client([b"ab"], leaves=True).receive, 4)
