"""The makers' address blocks: the table is what the script writes, and it is read by the smallest block first."""

import re
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from app.domain.readiness import makers
from app.domain.readiness.address_blocks import BLOCKS
from app.domain.readiness.makers import REGISTERED_AS, other_maker
from app.domain.vocabulary import DeviceBrand

SCRIPT = Path(__file__).parents[2] / "deploy" / "address_blocks.py"
SPEC = spec_from_file_location("address_blocks", SCRIPT)
assert SPEC is not None
assert SPEC.loader is not None
script = module_from_spec(SPEC)
SPEC.loader.exec_module(script)

HEAD = "Registry,Assignment,Organization Name,Organization Address\r\n"


def registry(folder: Path, *lines: str, head: str = HEAD) -> Path:
    file = folder / f"{len(list(folder.iterdir()))}.csv"
    file.write_text(head + "".join(f"{line}\r\n" for line in lines), encoding="utf-8", newline="")
    return file


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accept registries of one assignment."""
    monkeypatch.setattr(script, "FEWEST_ASSIGNMENTS", dict.fromkeys(script.REGISTRIES, 1))


def test_the_table_is_what_the_script_writes():
    written = script.TABLE.read_text(encoding="utf-8")
    (read,) = re.findall(r"as they were on (\S+)\.", written)
    blocks = {brand.value: sorted(BLOCKS[brand.value]) for brand in REGISTERED_AS}
    assert written == script.table(blocks, date.fromisoformat(read))


def test_no_block_has_two_makers():
    every = [prefix for prefixes in BLOCKS.values() for prefix in prefixes]
    assert len(set(every)) == len(every)
    assert {len(prefix) for prefix in every} <= set(script.REGISTRIES.values())


@pytest.mark.parametrize("brand", REGISTERED_AS)
def test_every_block_of_a_maker_passes_for_it_and_is_another_s_for_the_others(brand):
    for prefix in BLOCKS[brand.value]:
        mac = prefix.ljust(12, "1")
        assert other_maker(mac, brand) is None
        assert all(other_maker(mac, other) for other in REGISTERED_AS if other is not brand)


@pytest.mark.parametrize(("mac", "brand"), [("3497d7010101", DeviceBrand.YEALINK), ("1c7126010101", DeviceBrand.SNOM)])
def test_a_block_that_the_older_registry_lacks_is_known(mac, brand):
    assert other_maker(mac, brand) is None
    assert other_maker(mac, DeviceBrand.CISCO) == brand.title()


def test_the_smallest_block_decides(monkeypatch):
    parts = {"70b3d5123": DeviceBrand.SNOM, "70b3d5": DeviceBrand.YEALINK, "70b3d54": DeviceBrand.POLY}
    monkeypatch.setattr(makers, "_BRANDS", parts)
    for mac, brand in (("70b3d5123001", "SNOM"), ("70b3d5400001", "POLY"), ("70b3d5500001", "YEALINK")):
        assert other_maker(mac, DeviceBrand(brand)) is None


@pytest.mark.usefixtures("few")
def test_prefixes_of_known_makers_are_read_from_all_three_registries(tmp_path):
    files = [
        registry(
            tmp_path, 'MA-L,001565,"XIAMEN YEALINK NETWORK TECHNOLOGY CO.,LTD","Xiamen"', "MA-L,00155D,Microsoft,"
        ),
        registry(tmp_path, "MA-M,8C1F641,Snom Technology GmbH,Berlin"),
        registry(tmp_path, "MA-S,70B3D5ABC,Polycom,", "MA-S,70B3D5ABD,Polyphony Ltd,", "MA-S,70B3D5ABE,Not Cisco,"),
    ]
    found = script.blocks_of(files)
    assert {brand: blocks for brand, blocks in found.items() if blocks} == {
        "YEALINK": ["001565"],
        "SNOM": ["8c1f641"],
        "POLY": ["70b3d5abc"],
    }


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("line", "head", "words"),
    [
        ("MA-L,00156,Yealink,", HEAD, "line 2 has no assignment"),
        ("MA-L,00156G,Yealink,", HEAD, "line 2 has no assignment"),
        ("CID,001565,Yealink,", HEAD, "line 2 has no assignment"),
        ("MA-L,001565,Yealink,", "Assignment,Organization Name\r\n", "the columns Registry"),
        ("MA-L,001565,Yealink,", HEAD, "0 assignments of MA-M"),
    ],
)
def test_a_file_that_is_no_registry_is_refused_in_one_line(tmp_path, line, head, words):
    with pytest.raises(script.NotTheRegistry) as refused:
        script.blocks_of([registry(tmp_path, line, head=head)])
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_registry_that_is_cut_off_is_refused(tmp_path):
    with pytest.raises(script.NotTheRegistry, match="1 assignments of MA-L; at least 30000 exist"):
        script.blocks_of([registry(tmp_path, "MA-L,001565,Yealink,")])


def test_what_changed_is_told():
    before, after = {"YEALINK": {"001565", "805ec0"}}, {"YEALINK": ["001565", "249ad8"]}
    assert list(script.differences(before, after)) == ["added   YEALINK 249ad8", "removed YEALINK 805ec0"]
