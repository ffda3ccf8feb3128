"""The load test notices every write that is lost, doubled or overwritten, and forgives the ones without an answer."""

from collections import Counter

import pytest

from bench.load.book import Book

APPROVAL, EDIT = ("approval", "location-1"), ("edit of a device", "phone-1")


def a_book() -> Book:
    """One approval and two edits of one device, all acknowledged; a refused approval."""
    book = Book()
    book.applied("load-1", [APPROVAL])
    book.applied("load-2", [EDIT])
    book.edited(EDIT, 1, 2, "first")
    book.applied("load-3", [EDIT])
    book.edited(EDIT, 2, 3, "second")
    book.applied("load-4", [])
    return book


STORED = {APPROVAL: 1, EDIT: 2}
ENTRIES = {"load-1": 1, "load-2": 1, "load-3": 1}
VALUES = {EDIT: "second"}


def test_writes_that_are_stored_once_are_no_finding() -> None:
    assert a_book().findings(STORED, ENTRIES, VALUES) == []


@pytest.mark.parametrize(
    ("stored", "entries", "values", "finding"),
    [
        ({**STORED, APPROVAL: 0}, ENTRIES, VALUES, "approval of location-1: 0 stored, 1 acknowledged: lost"),
        ({EDIT: 2}, ENTRIES, VALUES, "approval of location-1: 0 stored, 1 acknowledged: lost"),
        ({**STORED, APPROVAL: 2}, ENTRIES, VALUES, "approval of location-1: 2 stored, 1 acknowledged: doubled"),
        (
            {**STORED, ("receipt", "payload-1"): 1},
            ENTRIES,
            VALUES,
            "receipt of payload-1: 1 stored, 0 acknowledged: doubled",
        ),
        (STORED, {**ENTRIES, "load-2": 0}, VALUES, "entries of load-2: 0 stored, 1 acknowledged: lost"),
        (STORED, {**ENTRIES, "load-2": 2}, VALUES, "entries of load-2: 2 stored, 1 acknowledged: doubled"),
        (STORED, {**ENTRIES, "load-4": 1}, VALUES, "entries of load-4: 1 stored, 0 acknowledged: doubled"),
        (STORED, {**ENTRIES, "other": 1}, VALUES, "entries of other: 1 stored, 0 acknowledged: doubled"),
        (STORED, ENTRIES, {EDIT: "first"}, "edit of a device of phone-1: the value of revision 3 is lost"),
    ],
    ids=[
        "a write that is not stored",
        "a row that is gone",
        "a write that is stored twice",
        "a write that nobody sent",
        "a write without its entry",
        "a write with two entries",
        "a refused write with an entry",
        "an entry of a request that nobody sent",
        "an older value",
    ],
)
def test_each_difference_is_found(
    stored: dict[tuple[str, str], int],
    entries: dict[str, int],
    values: dict[tuple[str, str], str | None],
    finding: str,
) -> None:
    assert a_book().findings(stored, entries, values) == [finding]


def test_an_edit_that_overwrote_another_one_is_found() -> None:
    book = Book()
    book.applied("load-1", [EDIT])
    book.edited(EDIT, 1, 2, "mine")
    book.applied("load-2", [EDIT])
    book.edited(EDIT, 1, 3, "yours")
    (finding,) = book.findings({EDIT: 2}, {"load-1": 1, "load-2": 1}, {EDIT: "yours"})
    assert finding == "edit of a device of phone-1: revision 3 was made by an edit that read 1"


@pytest.mark.parametrize("happened", [0, 1])
def test_a_write_without_an_answer_may_have_happened_or_not(happened: int) -> None:
    book = Book()
    book.unanswered("load-1", [APPROVAL])
    assert book.findings({APPROVAL: happened}, {"load-1": happened}, {}) == []
    assert book.findings({APPROVAL: 2}, {"load-1": happened}, {}) != []


def test_the_answer_to_a_repeated_call_ends_the_uncertainty() -> None:
    book = Book()
    book.unanswered("load-1", [APPROVAL])
    book.unanswered("load-1", [APPROVAL])
    book.applied("load-1", [APPROVAL])
    assert book.acknowledged == {APPROVAL: 1}
    assert book.findings({APPROVAL: 1}, {"load-1": 1}, {}) == []
    assert book.findings({APPROVAL: 2}, {"load-1": 2}, {}) != []
    assert book.findings(Counter(), {}, {}) != []
