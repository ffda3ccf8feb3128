"""Hostile bodies by family: each function draws the bytes of a body and header fields that differ from the usual."""

import gzip
import json
from collections.abc import Callable, Mapping
from random import Random
from urllib.parse import urlencode

from .case import Case

QUERY = '{"query": "{viewer{name}}"%s}'
MEGABYTE = 1024 * 1024
Fields = tuple[tuple[str, str], ...]


def with_variables(json_text: str) -> bytes:
    """Return a body whose variable `v` is this JSON text."""
    return (QUERY % f', "variables": {{"v": {json_text}}}').encode("utf-8", "surrogatepass")


def invalid_utf8(random: Random) -> tuple[bytes, Fields]:
    broken = random.choice([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80" * 1_000])
    text = with_variables('"x"')
    at = random.randrange(len(text))
    return text[:at] + broken + text[at:], ()


def other_encodings(random: Random) -> tuple[bytes, Fields]:
    name = random.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp037", "utf-7"])
    charset = random.choice(["", f"application/json; charset={name}"])
    return (QUERY % "").encode(name), (("Content-Type", charset),) if charset else ()


def duplicate_keys(random: Random) -> tuple[bytes, Fields]:
    count = random.choice([2, 1_000, 40_000])
    place = random.choice(["top", "inside"])
    pairs = ", ".join(f'"{random.choice(["a", "query", f"k{n}"])}": 1' for n in range(count))
    return ((QUERY % f", {pairs}").encode() if place == "top" else with_variables(f'{{{pairs}, "a": 1, "a": 2}}')), ()


def not_numbers(random: Random) -> tuple[bytes, Fields]:
    number = random.choice(
        [
            "NaN",
            "Infinity",
            "-Infinity",
            "1e400",
            "-1e400",
            "01",
            "1.",
            ".5",
            "+1",
            "0x1",
            "--1",
            "1" * 5000,
            "1e-99999",
            "9" * 19,
            "-" + "9" * 19,
            "1." + "0" * 100000,
            "9223372036854775808",
            "1e" + "9" * 10000,
        ]
    )
    return with_variables(number), ()


def deep_arrays(random: Random) -> tuple[bytes, Fields]:
    depth = random.choice([60, 70, 1_000, 100_000, 500_000])
    opening, closing = random.choice([("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
    ended = random.choice([0, 1, 1])
    return with_variables((opening * depth + "1" + closing * depth * ended)[: MEGABYTE - 100]), ()


def many_values(random: Random) -> tuple[bytes, Fields]:
    piece = random.choice(
        ["1", "1.2345678901234567e-300", '""', '"\\ud83d\\ude00"', "{}", "[]", '{"a": 1}', "null", '"\\u00e9"']
    )
    count = random.choice([1_000, 4_900, 20_000, 45_000, 200_000])
    return with_variables(("[" + ",".join([piece] * count))[: MEGABYTE - 60].rpartition(",")[0] + "]"), ()


def many_keys(random: Random) -> tuple[bytes, Fields]:
    count = random.choice([1_000, 20_000, 45_000])
    key = random.choice(['"%d": 1', '"\\u0061%d": 1', '"é%d": 1', '"%d": {}'])
    return with_variables("{" + ", ".join(key % n for n in range(count)) + "}"), ()


def many_chains(random: Random) -> tuple[bytes, Fields]:
    chain = '{"a":' * 58 + random.choice(["1", "1.5", '"\\ud83d\\ude00"']) + "}" * 58
    return with_variables("[" + ",".join([chain] * random.choice([10, 80, 800])) + "]"), ()


def long_texts(random: Random) -> tuple[bytes, Fields]:
    piece = random.choice(["x", "\\u00e9", '\\"', "\\\\", "é", "\\ud83d\\ude00", "[{,", '\\"[', "\\n", "\x00", "\x1f"])
    size = random.choice([1_000, 100_000, 1_000_000, 1_100_000])
    return with_variables(f'"{piece * (size // len(piece.encode()))}"'), ()


def truncated(random: Random) -> tuple[bytes, Fields]:
    text = with_variables('{"a": ["\\ud83d\\ude00", 1.5e3, true, null, {"b": "c"}]}')
    return text[: random.randrange(len(text))] + random.choice([b"", b"]", b"}", b"\0", b'"']), ()


def batches(random: Random) -> tuple[bytes, Fields]:
    count = random.choice([0, 1, 2, 1_000])
    return ("[" + ",".join([QUERY % ""] * count) + "]").encode(), ()


def other_values(random: Random) -> tuple[bytes, Fields]:
    return random.choice(
        [b"", b"null", b"1", b'"x"', b"true", b"{}", b"[]", b" ", b"\n" * 1_000_000, b"\0", b"{}{}", b"nul", b"//"]
    ), ()


def other_keys(random: Random) -> tuple[bytes, Fields]:
    key = random.choice(
        ["query", "operationName", "variables", "extensions", "id", "documentId", "__proto__", "a" * 100_000]
    )
    value = random.choice(
        ["1", "null", "[]", "{}", '"x"', "true", '"Nothing"', json.dumps({"persistedQuery": {"version": 1}})]
    )
    body = (
        "{"
        + ", ".join([f"{json.dumps(key)}: {value}", *(['"query": "{viewer{name}}"'] if key != "query" else [])])
        + "}"
    )
    return body.encode(), ()


def other_content_types(random: Random) -> tuple[bytes, Fields]:
    kind = random.choice(
        [
            "text/plain",
            "application/graphql",
            "application/jsonx",
            "application/json; charset=utf-16",
            "*/*",
            "/",
            ";",
            "application/json;",
            "application/json, text/plain",
            "application/json; charset=",
            "a" * 5000,
            "APPLICATION/JSON",
            "application/json; x=é",
            "application/json; charset=utf-8; charset=latin-1",
            "multipart/form-data; boundary=x",
            "application/graphql-response+json",
        ]
    )
    return (QUERY % "").encode(), (("Content-Type", kind),)


def forms(random: Random) -> tuple[bytes, Fields]:
    if random.random() < 0.5:
        body = urlencode({"query": "{viewer{name}}", "x": "y" * random.choice([1, 100_000])}).encode()
        return body, (("Content-Type", "application/x-www-form-urlencoded"),)
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\nx\r\n' for n in range(random.choice([1, 5_000]))
    )
    return f"{parts}--b--".encode(), (("Content-Type", "multipart/form-data; boundary=b"),)


def compressed(random: Random) -> tuple[bytes, Fields]:
    body = gzip.compress(b" " * random.choice([100, 10_000_000]) + (QUERY % "").encode(), mtime=0)
    encoding = random.choice(["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "x"])
    return body, (("Content-Encoding", encoding),)


def other_accepts(random: Random) -> tuple[bytes, Fields]:
    accept = random.choice(
        [
            "text/html",
            "*/*;q=0",
            "application/json;q=nan",
            "application/json;q=1e400",
            "," * 3000,
            "a/b," * 1500,
            "application/*;q=0.1",
            "application/graphql-response+json;q=0.5, application/json;q=0.5",
            "application/json;q=-1",
            ";q=1",
            "multipart/mixed",
        ]
    )
    return (QUERY % "").encode(), (("Accept", accept),)


def garbage(random: Random) -> tuple[bytes, Fields]:
    return random.randbytes(random.choice([1, 1_000, 100_000, MEGABYTE + 10])), ()


FAMILIES: Mapping[str, Callable[[Random], tuple[bytes, Fields]]] = {
    f"{each.__name__}_in_bodies": each
    for each in (
        invalid_utf8,
        other_encodings,
        duplicate_keys,
        not_numbers,
        deep_arrays,
        many_values,
        many_keys,
        many_chains,
        long_texts,
        truncated,
        batches,
        other_values,
        other_keys,
        other_content_types,
        forms,
        compressed,
        other_accepts,
        garbage,
    )
}


def a_body(family: str, random: Random) -> Case:
    """Return a request with a hostile body of a family."""
    body, fields = FAMILIES[family](random)
    return Case(family, body=body, fields=fields)
