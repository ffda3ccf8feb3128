"""Each architecture decision record under docs/adr has a number, a status and a date, and is listed in the README."""

import re
from datetime import date
from pathlib import Path

import pytest

from .pages import ROOT, page, table

FOLDER = "docs/adr"
RECORDS = sorted(path.name for path in (ROOT / FOLDER).glob("*.md") if path.name != "README.md")

_HEAD = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n"
    r"- Status: (?P<status>Accepted|Superseded by \d{4})\n"
    r"- Date: (?P<date>\S+)\n\n"
)


def head(record: str) -> re.Match[str]:
    """The head of a record: number, title, status and date."""
    found = _HEAD.match(page(f"{FOLDER}/{record}"))
    assert found, f"{record} does not start with its number, title, status and date"
    return found


def test_records_are_numbered_without_gaps() -> None:
    assert [record[:5] for record in RECORDS] == [f"{number:04}-" for number in range(1, len(RECORDS) + 1)]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_has_the_number_of_its_file_a_status_and_a_date(record: str) -> None:
    found = head(record)
    assert int(found["number"]) == int(record[:4])
    date.fromisoformat(found["date"])
    successor = found["status"].removeprefix("Superseded by ")
    assert successor == "Accepted" or any(other.startswith(f"{successor}-") for other in RECORDS if other != record)


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_states_context_decision_and_consequences(record: str) -> None:
    sections = re.findall(r"^## (.+)$", page(f"{FOLDER}/{record}"), re.M)
    assert sections == ["Context", "Decision", "Consequences"]


def test_the_table_lists_every_record() -> None:
    expected = [
        [found["number"], f"[{found['title']}]({record})", found["status"], found["date"]]
        for record, found in ((record, head(record)) for record in RECORDS)
    ]
    assert table(page(f"{FOLDER}/README.md"), "Decisions") == expected


@pytest.mark.parametrize("record", [*RECORDS, "README.md"])
def test_the_links_of_a_record_lead_to_pages(record: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page(f"{FOLDER}/{record}")):
        assert Path(ROOT, FOLDER, target).is_file(), target
