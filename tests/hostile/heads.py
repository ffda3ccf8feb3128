"""Hostile request heads and framings by family: each function draws the bytes of a whole request."""

from collections.abc import Callable, Mapping
from random import Random
from urllib.parse import quote

from app.domain.secrets import SECRET_BYTES, SERVICE_TOKEN_BYTES, new_secret, new_service_token

from .case import TOKEN, Case

BODY = b'{"query": "{viewer{name}}"}'
HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"
SIGNED_IN = b"Authorization: Bearer " + TOKEN + b"\r\n"
USUAL = HOST + JSON + SIGNED_IN


def sent(fields: bytes, body: bytes = BODY, start: bytes = b"POST /graphql HTTP/1.1") -> bytes:
    """Return a request of these fields and Content-Length."""
    return start + b"\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(chunks: bytes, fields: bytes = USUAL) -> bytes:
    """Return a request in the chunked transfer coding."""
    return b"POST /graphql HTTP/1.1\r\n" + fields + b"Transfer-Encoding: chunked\r\n\r\n" + chunks


def methods(random: Random) -> bytes:
    method = random.choice(
        [b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"FOO", b"post", b"P\xc3\x96ST", b"A" * 1_000, b""]
    )
    return sent(USUAL, start=method + b" /graphql HTTP/1.1")


def targets(random: Random) -> bytes:
    target = random.choice(
        [
            b"/",
            b"/graphql/",
            b"//graphql",
            b"/graphql/../x",
            b"/%67raphql",
            b"/graphql%00",
            b"http://x/graphql",
            b"*",
            b"graphql",
            b"",
            b"/" + b"a" * 60000,
            b"/graphql?" + b"a=b&" * 15000,
            b"/graphql#x",
            b"/\xff",
            b"/graphql?query=%zz",
            b"/nothing",
        ]
    )
    return sent(USUAL, start=b"POST " + target + b" HTTP/1.1")


def queries_by_get(random: Random) -> bytes:
    query = random.choice(["{viewer{name}}", "{", "mutation{x}", "\0", "{viewer{name}}#" + "é" * 5_000, ""])
    more = random.choice(
        [
            "",
            "&query=x",
            "&variables={",
            '&variables={"v":1e999}',
            "&operationName=x",
            "&extensions=[]",
            "&" * 1_000,
            "&v=%ff",
        ]
    )
    return b"GET /graphql?query=" + quote(query).encode() + more.encode() + b" HTTP/1.1\r\n" + USUAL + b"\r\n"


def versions(random: Random) -> bytes:
    version = random.choice(
        [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/9.9", b"http/1.1", b"HTTP/1.1 x", b"", b"HTTP/1.1\t", b"ICY"]
    )
    return sent(USUAL, start=b"POST /graphql " + version)


def hosts(random: Random) -> bytes:
    host = random.choice(
        [
            b"",
            b"Host:\r\n",
            HOST + HOST,
            HOST + b"Host: other\r\n",
            b"Host: a b\r\n",
            b"Host: \xff\r\n",
            b"Host: x:99999999\r\n",
            b"Host: " + b"x" * 20_000 + b"\r\n",
        ]
    )
    return sent(host + JSON + SIGNED_IN)


def large_fields(random: Random) -> bytes:
    size = random.choice([1_000, 9_000, 30_000, 70_000, 300_000])
    name = random.choice(
        [
            b"X-A",
            b"Cookie",
            b"Authorization",
            b"traceparent",
            b"tracestate",
            b"X-Request-Id",
            b"X-Forwarded-For",
            b"A" * 5_000,
        ]
    )
    return sent(USUAL + name + b": " + random.choice([b"x", b"a=b,", b"\xe9"]) * size + b"\r\n")


def many_fields(random: Random) -> bytes:
    count = random.choice([50, 101, 500, 5_000])
    name = random.choice([b"x-%d", b"x", b"accept", b"cookie"])
    return sent(USUAL + b"".join((name % n if b"%d" in name else name) + b": y\r\n" for n in range(count)))


def strange_fields(random: Random) -> bytes:
    line = random.choice(
        [
            b"X : y",
            b" X: y",
            b"X",
            b": y",
            b"X: a\0b",
            b"X: a\x01b",
            b"X\xff: y",
            b"X: a\rb",
            b"X(: y",
            b"X: a\r\n folded",
            b"\tX: y",
            b"X:y\r",
        ]
    )
    return sent(USUAL + line + b"\r\n")


def line_ends(random: Random) -> bytes:
    end = random.choice([b"\n", b"\r", b"\r\r\n", b"\n\n"])
    return sent(USUAL).replace(b"\r\n", end)


def lengths(random: Random) -> bytes:
    length = random.choice(
        [
            b"-1",
            b"+25",
            b"0x19",
            b"25, 25",
            b"25, 26",
            b"99999999999999999999",
            b"25 ",
            b"2 5",
            b"",
            b"25\r\nContent-Length: 24",
            b"1e2",
            b"0",
            b"25\r\nTransfer-Encoding: chunked",
            b"25\r\nTransfer-Encoding: identity",
            b"1000000000",
        ]
    )
    return b"POST /graphql HTTP/1.1\r\n" + USUAL + b"Content-Length: " + length + b"\r\n\r\n" + BODY


def codings(random: Random) -> bytes:
    coding = random.choice(
        [
            b"gzip",
            b"chunked, gzip",
            b"gzip, chunked",
            b"chunked, chunked",
            b"xchunked",
            b"chunked\0",
            b"Chunked",
            b"\x0bchunked",
            b"identity",
        ]
    )
    return (
        b"POST /graphql HTTP/1.1\r\n"
        + USUAL
        + b"Transfer-Encoding: "
        + coding
        + b"\r\n\r\n19\r\n"
        + BODY
        + b"\r\n0\r\n\r\n"
    )


def chunks(random: Random) -> bytes:
    whole = random.choice(
        [
            b"".join(b"1\r\n%c\r\n" % each for each in BODY) + b"0\r\n\r\n",
            b"19;" + b"x=y;" * 2_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
            b"000000000000000000019\r\n" + BODY + b"\r\n0\r\n\r\n",
            b"-19\r\n" + BODY + b"\r\n0\r\n\r\n",
            b"19\r\n" + BODY + b"XX0\r\n\r\n",
            b"FFFFFFFFFFFFFFFFF\r\n" + BODY,
            b"19\n" + BODY + b"\n0\n\n",
            b"zz\r\n",
            b"100000\r\n" + b" " * 0x100000 + b"\r\n100000\r\n" + b" " * 0x100000 + b"\r\n0\r\n\r\n",
        ]
    )
    return chunked(whole)


def trailers(random: Random) -> bytes:
    field = random.choice(
        [
            SIGNED_IN,
            b"X-User-Role: LEAD\r\n",
            HOST,
            b"Content-Length: 3\r\n",
            b"X: y\r\n" * 500,
            b"X: " + b"y" * 50_000 + b"\r\n",
        ]
    )
    fields = random.choice([USUAL, HOST + JSON])
    return chunked(b"19\r\n" + BODY + b"\r\n0\r\n" + field + b"\r\n", fields)


def expectations(random: Random) -> bytes:
    return sent(
        USUAL + b"Expect: " + random.choice([b"100-continue", b"100-CONTINUE", b"x", b"100-continue, x"]) + b"\r\n"
    )


def upgrades(random: Random) -> bytes:
    fields = random.choice(
        [
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            b"Upgrade: h2c\r\n",
            b"Connection: Upgrade\r\n",
            b"Connection: Upgrade\r\nUpgrade: TLS/1.0, x, y\r\n",
        ]
    )
    return sent(USUAL + fields)


def prefaces(random: Random) -> bytes:
    return random.choice(
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\r\n\r\n\r\n",
            b"\0" * 100,
            b"GET\r\n\r\n",
            b"SSH-2.0-x\r\n",
        ]
    ) + random.choice([b"", b"\r\n\r\n", random.randbytes(50) + b"\r\n\r\n"])


def proxy_fields(random: Random) -> bytes:
    field = random.choice(
        [
            b"X-Forwarded-For: 1.2.3.4",
            b"X-Forwarded-For: " + b"x," * 2_000,
            b"X-Forwarded-Proto: gopher",
            b"Forwarded: for=_x",
            b"X-Forwarded-Host: evil",
            b"X-Forwarded-For: ::1, [::]:1, \xff",
        ]
    )
    return sent(USUAL + field + b"\r\n")


def tokens(random: Random) -> bytes:
    value = random.choice(
        [
            b"",
            b"Bearer",
            b"Bearer ",
            b"Basic eDp5",
            b"bearer " + TOKEN,
            b"Bearer  " + TOKEN,
            b"Bearer " + TOKEN + b" ",
            b"Bearer a.b.c",
            b"Bearer " + TOKEN + b"x",
            b"Bearer " + b"a" * 5000,
            b"Bearer " + TOKEN + b"," + TOKEN,
            b"Bearer \xff",
            b"Bearer eyJhbGciOiJub25lIn0.e30.",
            b"Bearer " + b"e30." * 2000,
            b"Bearer " + TOKEN + b"\r\nAuthorization: Bearer " + TOKEN,
        ]
    )
    return sent(HOST + JSON + b"Authorization: " + value + b"\r\n")


def service_tokens(random: Random) -> bytes:
    known = new_service_token(random.randbytes(SERVICE_TOKEN_BYTES)).text.encode()
    value = random.choice(
        [
            known,
            known[:-1],
            known + b"A",
            known[:-6] + b"000000",
            known.upper(),
            known.replace(b"turnup", b"ghp"),
            known + b"." + known + b"." + known,
            known + b" " + known,
            known + b", Bearer " + TOKEN,
            known + b"\r\nAuthorization: Bearer " + known,
            known[:20] + b"\xff" + known[21:],
            known[:20] + b"\0" + known[21:],
            b"turnup_",
            b"turnup_" + b"a" * 20_000,
            b"turnup_" + b"_" * 5_000,
        ]
    )
    return sent(HOST + JSON + b"Authorization: Bearer " + value + b"\r\n")


def session_cookies(random: Random) -> bytes:
    name, known = b"turnup_session=", new_secret(random.randbytes(SECRET_BYTES)).encode()
    cookie = random.choice(
        [
            name + known,
            name + known[:-1],
            name + known + b"A",
            name,
            name + b'"' + known + b'"',
            name + TOKEN,
            b"__Host-" + name + known,
            b"\xa0" + name + known,
            name + known + b"; " + name + known,
            (name + known + b"; ") * 100,
            (name + b"x;") * 1_500,
            b";" * 20_000,
            b"=" * 20_000,
            name + known + b"\r\nCookie: " + name + known,
            name + known[:20] + b"\0" + known[21:],
            name + b"\xff" * 10_000,
        ]
    )
    page = random.choice(
        [
            b"",
            b"X-Turnup-CSRF: 1\r\n",
            b"Sec-Fetch-Site: same-origin\r\n",
            b"Sec-Fetch-Site: cross-site\r\nX-Turnup-CSRF: 1\r\n",
            SIGNED_IN,
        ]
    )
    return sent(HOST + JSON + b"Cookie: " + cookie + b"\r\n" + page)


def identities(random: Random) -> bytes:
    field = random.choice(
        [
            b"X-User-Id: user-lead",
            b"X-User-Role: IMPLEMENTATION_LEAD",
            b"X-User-Id: \xff",
            b"X-User-Id: a\r\nX-User-Id: b",
            b"X-User-Role: " + b"x" * 5_000,
        ]
    )
    return sent(USUAL + field + b"\r\n")


def request_ids(random: Random) -> bytes:
    value = random.choice(
        [b"a" * 65, b"", b"a b", b"\xff", b"<script>", b"a\r\nX-Request-Id: b", b"../../x", b"%0d%0aSet-Cookie: x"]
    )
    return sent(USUAL + b"X-Request-Id: " + value + b"\r\n")


def traces(random: Random) -> bytes:
    field = random.choice(
        [
            b"traceparent: 00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01",
            b"traceparent: x" * 100,
            b"tracestate: " + b"a=b," * 1_000,
            b"baggage: " + b"a=b," * 1_000,
            b"traceparent: 00-" + b"f" * 32 + b"-" + b"f" * 16 + b"-01\r\ntracestate: secret=\xff",
        ]
    )
    return sent(USUAL + field + b"\r\n")


def connections(random: Random) -> bytes:
    value = random.choice(
        [b"close", b"keep-alive", b"Authorization, Content-Length", b"x" * 3_000, b"close, close", b"Host"]
    )
    return sent(USUAL + b"Connection: " + value + b"\r\n")


FAMILIES: Mapping[str, Callable[[Random], bytes]] = {
    f"{each.__name__}_in_heads": each
    for each in (
        methods,
        targets,
        queries_by_get,
        versions,
        hosts,
        large_fields,
        many_fields,
        strange_fields,
        line_ends,
        lengths,
        codings,
        chunks,
        trailers,
        expectations,
        upgrades,
        prefaces,
        proxy_fields,
        tokens,
        service_tokens,
        session_cookies,
        identities,
        request_ids,
        traces,
        connections,
    )
}


def a_head(family: str, random: Random) -> Case:
    """Return a request with a hostile head of a family. The server may close the connection while it is sent."""
    return Case(family, raw=FAMILIES[family](random), silent=True)
