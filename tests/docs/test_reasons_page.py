"""The page on reasons says of each text who gives it and who reads it, and of each path where it is shown."""

from app.domain.payload_paths import content_paths
from app.domain.places import place_of
from tests.domain.builders import a_location
from tests.operations.test_internal_words import EXPLAINED, FOR_CUSTOMER, FOR_PARTNER, INTERNAL, texts

from .pages import page, table

PAGE = page("docs/reasons.md")


def test_the_page_has_every_text_that_leads_give() -> None:
    said = {
        text: sorted(mutations.replace("`", "").split(", ")) for text, mutations, *_ in table(PAGE, "Who reads what")
    }
    names = INTERNAL | FOR_CUSTOMER | FOR_PARTNER
    assert said == {name: sorted(each for each in EXPLAINED if name in texts(each)) for name in names}


def test_the_page_says_who_reads_each_text() -> None:
    said = {text: readers for text, _, *readers in table(PAGE, "Who reads what")}
    for text, readers in said.items():
        expected = ["yes" if text in FOR_CUSTOMER else "no", "yes" if text in FOR_PARTNER else "no"]
        assert readers == expected, text


def test_the_page_shows_where_a_partner_s_path_leads() -> None:
    for given, *shown in table(PAGE, "What customers see"):
        [path] = content_paths(a_location(), [given])
        place = place_of(path)
        assert shown == [path, *(str(each or "") for each in (place.section, place.object_id, place.field))]
