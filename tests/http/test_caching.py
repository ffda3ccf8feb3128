"""If-None-Match, as RFC 9110 compares tags."""

import pytest

from app.http.caching import entity_tag, is_current

TAG = entity_tag(b"content")
OPAQUE = TAG.removeprefix("W/")
OTHER = entity_tag(b"other")


@pytest.mark.parametrize(
    "sent",
    ["*", TAG, OPAQUE, f"{OTHER}, {TAG}", f"{OTHER},{OPAQUE}", f'"a,b" , {TAG}', f'"", {TAG},', f'W/"*", {TAG}'],
)
def test_the_content_is_current_if_its_tag_is_in_the_list_weak_or_strong(sent: str) -> None:
    assert is_current(sent, TAG)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        OTHER,
        f"{OTHER}, {entity_tag(b'third')}",
        '"*"',
        "W/*",
        "**",
        OPAQUE.strip('"'),
        f"w/x{OPAQUE.strip(chr(34))}",
        f'"{OPAQUE.strip(chr(34))}-gzip"',
        f'"a{OPAQUE.strip(chr(34))}"',
        OPAQUE.rstrip('"'),
        '"' * 30_000,
        "W/" * 15_000,
    ],
)
def test_the_content_is_not_current_for_other_tags_and_for_what_is_none(sent: str | None) -> None:
    assert not is_current(sent, TAG)


def test_the_same_bytes_in_the_same_order_have_the_same_tag_on_every_server() -> None:
    assert entity_tag(b"content") == 'W/"c681ff421fbd7af6dc373a7ced20fbeb"'
