"""turnup catalogue load: a file adds and changes models, and a file that is wrong changes nothing."""

import datetime
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.audit.replay import replay
from app.audit.verify import snapshot, verify
from app.db import demo
from app.domain.vocabulary import DeviceBrand
from app.operations.load_catalogue import BUILT_IN, CatalogueFileRefused, read_catalogue
from tests import harness
from tests.builders_db import a_device_model, committed
from tests.harness import TestDatabase, Turnup

T46S = {"brand": "YEALINK", "name": "T46S", "kind": "DESK_PHONE", "lines": 16}
GOOD = {"source": "Data sheets", "date": "2026-11-30", "models": [T46S]}


@pytest.fixture
async def place() -> AsyncIterator[TestDatabase]:
    """A migrated database without rows."""
    async with harness.own_database(harness.EMPTY_TEMPLATE) as made:
        yield made


async def catalogue(place: TestDatabase) -> list[dict[str, Any]]:
    async with committed(place) as connection:
        return [dict(row) for row in await connection.fetch("SELECT * FROM turnup.device_model ORDER BY brand, model")]


async def loads(place: TestDatabase) -> list[str | None]:
    """The actors of the entries of loads."""
    async with committed(place) as connection:
        found = await connection.fetch(
            "SELECT actor_id FROM turnup.audit_entry WHERE chain = 'system' AND action = 'CATALOGUE_LOADED'"
        )
    return [row["actor_id"] for row in found]


def written(folder: Path, content: object) -> str:
    file = folder / "catalogue.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(file)


def with_model(**changes: object) -> dict[str, object]:
    return {**GOOD, "models": [T46S, {**T46S, "name": "T54W", **changes}]}


async def test_a_production_database_gets_the_product_s_own_file(
    place: TestDatabase, turnup: Turnup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    loaded = await turnup(place, "catalogue", "load")
    models = read_catalogue(BUILT_IN)
    assert (loaded.status, loaded.error) == (0, "")
    assert loaded.out.splitlines()[0] == "added    YEALINK T21P E2"
    assert loaded.out.splitlines()[-1] == (
        f"{len(models)} added, 0 changed, 0 unchanged, 0 kept that the file does not list"
    )
    assert await loads(place) == [None]
    again = await turnup(place, "catalogue", "load")
    assert again.out == f"0 added, 0 changed, {len(models)} unchanged, 0 kept that the file does not list\n"
    assert await loads(place) == [None]
    async with snapshot(place.owner_url) as connection:
        assert (await verify(connection)).broken is None
    assert (await replay(place.owner_url)).differences == ()


PRODUCTION = {
    "TURNUP_ENV": "production",
    "TURNUP_JWKS_URL": "https://issuer.example/keys",
    "TURNUP_ISSUER": "https://issuer.example",
    "TURNUP_AUDIENCE": "https://turnup.example.com",
}


async def test_loading_says_what_it_added_and_changed_and_keeps_what_leads_added(
    place: TestDatabase, turnup: Turnup, tmp_path: Path
) -> None:
    async with committed(place) as connection:
        own = await a_device_model(connection, brand="OTHER", model="C530 IP", maker="Gigaset")
        changed = await a_device_model(connection, brand="YEALINK", model="t46s", lines=12, maker="Yealink")
    more = {**GOOD, "models": [T46S, {**T46S, "name": "T54W", "source": "The web page", "date": "2026-01-02"}]}
    loaded = await turnup(place, "catalogue", "load", written(tmp_path, more))
    assert loaded.out.splitlines() == [
        "added    YEALINK T54W",
        'changed  YEALINK T46S: model "t46s" -> "T46S", lines 12 -> 16, kind none -> "DESK_PHONE",'
        ' source none -> "Data sheets", source_date none -> 2026-11-30',
        "kept     OTHER C530 IP: not in the file",
        "1 added, 1 changed, 0 unchanged, 1 kept that the file does not list",
    ]
    found = {each["model"]: each for each in await catalogue(place)}
    assert (found["C530 IP"]["id"], found["T46S"]["id"], found["T46S"]["revision"]) == (own, changed, 2)
    assert (found["T46S"]["maker"], found["T54W"]["source"], str(found["T54W"]["source_date"])) == (
        "Yealink",
        "The web page",
        "2026-01-02",
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({**GOOD, "models": [T46S, {**T46S, "name": "t46s"}]}, 'models[1].name ("YEALINK" "t46s"): each model may'),
        (with_model(brand="NOKIA"), 'models[1].brand ("NOKIA" "T54W"): Invalid enum value "NOKIA"'),
        (with_model(kind="TOASTER"), 'models[1].kind ("YEALINK" "T54W"): Invalid enum value "TOASTER"'),
        (with_model(lines=0), 'models[1].lines ("YEALINK" "T54W"): must be between 1 and 100'),
        (with_model(lines=101), 'models[1].lines ("YEALINK" "T54W"): must be between 1 and 100'),
        (with_model(lines=10**30), 'models[1].lines ("YEALINK" "T54W"): '),
        (with_model(lines="16"), 'models[1].lines ("YEALINK" "T54W"): Expected `integer`, got `string`'),
        (with_model(lines=True), 'models[1].lines ("YEALINK" "T54W"): Expected `integer`, got `boolean`'),
        (with_model(lines=1.5), 'models[1].lines ("YEALINK" "T54W"): Expected `integer`, got `number`'),
        (with_model(maker=5), 'models[1].maker ("YEALINK" "T54W"): Expected `string | null`, got `integer`'),
        (with_model(kind="It's"), 'models[1].kind ("YEALINK" "T54W"): Invalid enum value "It\'s"'),
        (with_model(str=1), 'models[1] ("YEALINK" "T54W"): Object contains unknown field `str`'),
        (with_model(name="\ud800"), "not JSON in UTF-8"),
        (with_model(lines=None), 'models[1].lines ("YEALINK" "T54W"): Expected `integer`, got `null`'),
        (with_model(colour="grey"), 'models[1] ("YEALINK" "T54W"): Object contains unknown field `colour`'),
        (with_model(name=" "), 'models[1].name ("YEALINK" " "): must not be empty'),
        (with_model(name="x" * 61), "models[1].name ("),
        (with_model(name="T54\u001b[2JW"), 'models[1].name ("YEALINK" "T54\\u001b[2JW"): '),
        (with_model(date="30.11.2026", source="x"), 'models[1].date ("YEALINK" "T54W"): Invalid RFC3339 encoded date'),
        (with_model(source="A data sheet"), 'models[1].date ("YEALINK" "T54W"): missing'),
        ({**GOOD, "models": [{"brand": "YEALINK"}]}, 'models[0] ("YEALINK"): Object missing required field `name`'),
        ({**GOOD, "models": [T46S, 7]}, "models[1]: Expected `object`, got `integer`"),
        ({**GOOD, "models": {}}, "models: Expected `array`, got `object`"),
        ({"models": [T46S]}, 'models[0].source ("YEALINK" "T46S"): missing'),
        ({**GOOD, "version": 2}, "Object contains unknown field `version`"),
        ({**GOOD, "models": [{**T46S, "name": f"Z{each}"} for each in range(501)]}, "models: at most 500 models"),
        ([], "Expected `object`, got `array`"),
        ('{"models": [', "not JSON in UTF-8: line 1, column 13"),
        ("[" * 100_000, "not JSON in UTF-8"),
        (
            '{"models": [{"name": "T46S", "lines": 1, "lines": 2}]}',
            'the key "lines" of the model "T46S" appears twice',
        ),
        (f'{{"models": {"9" * 5_000}}}', "not JSON in UTF-8"),
        (" " * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
async def test_a_file_that_is_wrong_is_refused_in_one_line_and_changes_nothing(
    empty_database: TestDatabase, turnup: Turnup, tmp_path: Path, content: object, line: str
) -> None:
    file = written(tmp_path, content)
    refused = await turnup(empty_database, "catalogue", "load", file)
    assert (refused.status, refused.out) == (1, "")
    assert refused.error.startswith(f"turnup: {file}: {line}")
    assert len(refused.error.splitlines()) == 1
    assert len(refused.error) < 500
    assert await catalogue(empty_database) == []


async def test_a_file_that_is_no_text_or_not_there_is_refused_in_one_line(
    empty_database: TestDatabase, turnup: Turnup, tmp_path: Path
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe{}")
    for name, words in (("binary", "not JSON in UTF-8"), ("missing", "No such file or directory"), ("", "Is a direct")):
        file = tmp_path / name
        refused = await turnup(empty_database, "catalogue", "load", str(file))
        assert refused.error.startswith(f"turnup: {file}: {words}")
        assert len(refused.error.splitlines()) == 1


async def test_a_file_that_does_not_fit_beside_the_kept_models_changes_nothing(
    place: TestDatabase, turnup: Turnup, tmp_path: Path
) -> None:
    async with committed(place) as connection:
        await a_device_model(connection, model="C530 IP")
    many = {**GOOD, "models": [{**T46S, "name": f"Z{each}"} for each in range(500)]}
    file = written(tmp_path, many)
    refused = await turnup(place, "catalogue", "load", file)
    assert refused.error == f"turnup: {file}: with the models that it does not list, more than 500 models"
    assert [each["model"] for each in await catalogue(place)] == ["C530 IP"]


async def test_a_database_that_lacks_migrations_is_named(turnup: Turnup) -> None:
    async with harness.own_database("template1") as bare:
        refused = await turnup(bare, "catalogue", "load")
    assert (refused.status, len(refused.error.splitlines())) == (1, 1)
    assert "turnup migrate" in refused.error


def test_the_product_s_own_file_has_every_maker_and_the_models_of_the_demo_data() -> None:
    models = {(each.brand, each.name): each for each in read_catalogue(BUILT_IN)}
    assert {brand for brand, _ in models} == set(DeviceBrand) - {DeviceBrand.OTHER}
    assert {(brand, model): models[brand, model].lines for brand, model, _ in demo.DEVICE_MODELS} == {
        (brand, model): lines for brand, model, lines in demo.DEVICE_MODELS
    }


def test_each_model_of_the_product_s_own_file_names_the_document_with_its_number_of_lines() -> None:
    documents = r"(wazo-platform/wazo-provd-plugins, plugins/\w+/\w+/plugin-info|tetra-fox/asterix, PROVISIONING\.md)"
    models = read_catalogue(BUILT_IN)
    assert [each.name for each in models if not re.fullmatch(documents, str(each.source))] == []
    assert {each.source_date for each in models} == {datetime.date(2026, 11, 30)}


def test_a_message_holds_no_character_that_a_terminal_obeys(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps(with_model(brand="\u001b[2J\n")), encoding="utf-8")
    with pytest.raises(CatalogueFileRefused) as refused:
        read_catalogue(file)
    assert str(refused.value).isprintable()
