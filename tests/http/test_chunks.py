"""A chunked body is decoded in the same way however it is divided."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.http.chunks import Chunks, MalformedChunks

PIECES = st.lists(st.binary(min_size=1, max_size=20), max_size=5)


def decoded(parts: list[bytes]) -> tuple[bytes, bytes | None] | None:
    """The body and what follows it, None for what is refused; no part is given after the end."""
    chunks, body, rest = Chunks(), b"", None
    for part in parts:
        if rest is not None:
            rest += part
            continue
        try:
            piece, rest = chunks.feed(part)
        except MalformedChunks:
            return None
        body += piece
    return body, rest


def divided(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(whole) + 1) for cut in cuts), len(whole)]
    return [whole[start:end] for start, end in pairwise(places)]


@given(
    pieces=PIECES,
    trailer=st.sampled_from([b"", b"X: a\r\n"]),
    rest=st.binary(max_size=20),
    cuts=st.lists(st.integers(0)),
)
def test_a_body_is_decoded_and_the_next_request_left(
    pieces: list[bytes], trailer: bytes, rest: bytes, cuts: list[int]
) -> None:
    whole = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n" + trailer + b"\r\n" + rest
    assert decoded(divided(whole, cuts)) == (b"".join(pieces), rest)


@given(
    whole=st.lists(st.sampled_from([b"0", b"1", b"a", b"\r", b"\n", b"\r\n", b";", b":", b"x", b" "])).map(b"".join),
    cuts=st.lists(st.integers(0)),
)
def test_any_bytes_are_read_in_the_same_way_however_they_are_divided(whole: bytes, cuts: list[int]) -> None:
    assert decoded(divided(whole, cuts)) == decoded([whole])
