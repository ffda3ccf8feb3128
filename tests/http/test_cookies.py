"""How the session cookie is set and read, over which connections it counts, and for which pages."""

import pytest

from app.http.cookies import SESSION, Cookie, check_same_origin
from app.http.graphql import joined
from app.http.refusals import TransportRefused

SECURE = Cookie(SESSION, secure=True)
LOCAL = Cookie(SESSION, secure=False)
NAME = b"__Host-turnup_session"


def sent(*cookies: bytes) -> dict[bytes, bytes]:
    return joined([(b"cookie", each) for each in cookies])


def test_browsers_keep_the_cookie_from_other_hosts_scripts_and_plain_http() -> None:
    assert SECURE.set("value", 60) == (
        "__Host-turnup_session=value; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert LOCAL.set("", 0) == "turnup_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    "cookie",
    [
        NAME + b"=a",
        NAME + b" = a ",
        b"first=1;" + NAME + b"=a",
        b"first=1; " + NAME + b"=a;\tlast=2",
        b";;" + NAME + b"=a;",
        b"turnup_session=b; " + NAME + b"=a",
        b"__host-turnup_session=b; __HOST-Turnup_Session=b; " + NAME + b"=a",
        b"x=" + b"y" * 30_000 + b"; " + NAME + b"=a",
        b"; ".join(b"c%d=v" % number for number in range(2_000)) + b"; " + NAME + b"=a",
    ],
)
def test_the_cookie_is_found_among_others_by_its_exact_name(cookie: bytes) -> None:
    assert SECURE.value(sent(cookie)) == "a"


@pytest.mark.parametrize(
    "cookie",
    [
        b"",
        b";",
        b"=",
        NAME,
        NAME[:-1] + b"=a",
        NAME + b"s=a",
        b"x" + NAME + b"=a",
        b"x=" + NAME + b"=a",
        b'"' + NAME + b'"=a',
        b"%5F%5FHost-turnup_session=a",
        b"turnup_session=a",
        # White space that a lenient parser removes, so that a cookie which any host can set would pass for this one.
        b"\xa0" + NAME + b"=a",
        b"\x85" + NAME + b"=a",
        b"\x1f" + NAME + b"=a",
        b"\xe2\x80\x80" + NAME + b"=a",
        b"$Version=1, " + NAME + b"=a",
    ],
)
def test_no_other_cookie_passes_for_it(cookie: bytes) -> None:
    assert not SECURE.values(sent(cookie)) or SECURE.value(sent(cookie)) == ""


@pytest.mark.parametrize("value", [b"", b'"a"', b"a b", b"a=b", b"a,b", b"\xff", b"a\xa0"])
def test_a_value_is_taken_as_it_is(value: bytes) -> None:
    assert SECURE.value(sent(NAME + b"=" + value + b"; last=2")) == value.decode("latin-1")


def test_a_cookie_that_is_sent_twice_is_refused_even_with_the_same_value() -> None:
    for fields in (sent(NAME + b"=a; " + NAME + b"=b"), sent(NAME + b"=a", NAME + b"=a"), sent(*[NAME + b"=a"] * 100)):
        with pytest.raises(TransportRefused, match="more than once") as refused:
            SECURE.value(fields)
        assert refused.value.code == "BAD_REQUEST"


def test_a_cookie_in_one_of_several_fields_is_found() -> None:
    assert SECURE.value(sent(b"first=1", NAME + b"=a", b"last=2")) == "a"


@pytest.mark.parametrize(
    ("cookie", "scheme", "host", "counts"),
    [
        (SECURE, "https", b"turnup.example", True),
        (SECURE, "http", b"turnup.example", False),
        (SECURE, "http", b"127.0.0.1:8000", False),
        (LOCAL, "http", b"127.0.0.1:8000", True),
        (LOCAL, "http", b"localhost", True),
        (LOCAL, "http", b"[::1]:8000", True),
        (LOCAL, "http", b"192.168.1.7:8000", False),
        (LOCAL, "http", b"turnup.example", False),
        (LOCAL, "http", b"localhost.turnup.example", False),
        (LOCAL, "https", b"turnup.example", False),
        (LOCAL, "http", b"", False),
    ],
)
def test_the_cookie_counts_over_https_or_on_this_machine(
    cookie: Cookie, scheme: str, host: bytes, counts: bool
) -> None:
    fields = {b"host": host} if host else {}
    if counts:
        cookie.check_transport(scheme, fields)
        return
    with pytest.raises(TransportRefused, match=cookie.name) as refused:
        cookie.check_transport(scheme, fields)
    assert refused.value.code == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "fields",
    [
        [(b"sec-fetch-site", b"same-origin")],
        [(b"x-turnup-csrf", b"1")],
        [(b"sec-fetch-site", b"same-origin"), (b"x-turnup-csrf", b"1")],
        [(b"sec-fetch-site", b"same-origin"), (b"x-turnup-csrf", b"0")],
    ],
)
def test_a_session_counts_for_pages_of_this_origin_and_for_clients_with_the_header(
    fields: list[tuple[bytes, bytes]],
) -> None:
    check_same_origin(joined(fields))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"sec-fetch-site", b"same-site")],
        [(b"sec-fetch-site", b"cross-site")],
        [(b"sec-fetch-site", b"none")],
        [(b"sec-fetch-site", b"")],
        [(b"sec-fetch-site", b"Same-Origin")],
        [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")],
        [(b"sec-fetch-site", b"same-origin, same-origin")],
        [(b"sec-fetch-mode", b"same-origin")],
        [(b"sec-fetch-site", b"cross-site"), (b"x-turnup-csrf", b"1")],
        [(b"sec-fetch-site", b"same-site"), (b"x-turnup-csrf", b"1")],
        [(b"sec-fetch-site", b"none"), (b"x-turnup-csrf", b"1")],
        [(b"x-turnup-csrf", b"")],
        [(b"x-turnup-csrf", b"true")],
        [(b"x-turnup-csrf", b"11")],
        [(b"x-turnup-csrf", b"1"), (b"x-turnup-csrf", b"1")],
        [(b"x-requested-with", b"XMLHttpRequest")],
        [(b"origin", b"https://turnup.example"), (b"referer", b"https://turnup.example/graphiql")],
    ],
)
def test_a_session_counts_for_no_other_page(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(TransportRefused, match="X-Turnup-CSRF: 1") as refused:
        check_same_origin(joined(fields))
    assert refused.value.code == "UNAUTHENTICATED"
