"""Documents of many contents are valid against the published schema of their version, and tampered ones are not.

The schema is read by a validator that shares no code with the product.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.content import LocationContent
from app.domain.payload import VERSIONS, InvalidDocumentError, check_document
from app.domain.payload_version import allowed_versions
from app.domain.vocabulary import CallFlowKind, ContactPurpose
from tests.domain.builders import (
    a_contact,
    a_device,
    a_document,
    a_location,
    a_menu,
    a_person,
    a_phone_system,
    an_extension,
    an_option,
    hang_up,
    to_extension,
    to_mailbox,
)
from tests.domain.published_schema import violations

NEWEST = VERSIONS[-1]

PHONE_SYSTEMS = st.builds(
    a_phone_system,
    caller_id_name=st.sampled_from([None, "ACME", "X" * 15, "X" * 16, "X" * 60]),
    provider=st.none() | st.just("Carrier"),
    outbound_prefix=st.none() | st.just("8"),
    voicemail=st.just(True),
    extension_length=st.none(),
)
TARGETS = st.sampled_from([to_extension(), to_mailbox(), to_mailbox("extension-1"), hang_up()])
FLOWS = st.builds(
    a_menu,
    kind=st.sampled_from(CallFlowKind),
    greeting=st.none() | st.just("Welcome."),
    timeout_seconds=st.none() | st.integers(1, 300),
    retries=st.none() | st.integers(0, 10),
    timeout_target=TARGETS,
    invalid_target=st.none() | TARGETS,
    options=st.lists(TARGETS, min_size=1, max_size=3).map(
        lambda targets: tuple(an_option(str(digit), target) for digit, target in enumerate(targets))
    ),
    direct_targets=st.just(("extension-1",)),
)
CONTACTS = st.builds(
    a_contact,
    email=st.none() | st.just("alice@example.com"),
    e164=st.none() | st.just("+12125550101"),
    name=st.text("aä日 ", min_size=1, max_size=5).filter(str.strip),
)
CONTENTS = st.builds(
    a_location,
    site_code=st.none() | st.just("Store 7"),
    contacts=st.tuples(CONTACTS, st.just(a_contact(id="contact-2", purpose=ContactPurpose.TECHNICAL))),
    phone_system=PHONE_SYSTEMS,
    devices=st.sampled_from([(), (a_device(),), (a_device(serial_number=None, label=None),)]),
    people=st.builds(a_person, mobile_e164=st.none() | st.just("+12125550102"), email=st.none()).map(
        lambda one: (one,)
    ),
    extensions=st.sampled_from(["10", "1001", "123456", "1234567"]).map(lambda number: (an_extension(number=number),)),
    call_flow=FLOWS,
)


@given(CONTENTS)
def test_a_document_is_valid_against_the_schema_of_its_version_and_of_no_other(content: LocationContent) -> None:
    allowed = allowed_versions(content)
    assert NEWEST in allowed
    for version in VERSIONS:
        if version in allowed:
            document = a_document(content, version=version)
            assert [each for each in VERSIONS if not violations(document, each)] == [version]
        else:
            with pytest.raises(InvalidDocumentError):
                a_document(content, version=version)


@given(CONTENTS, st.sampled_from(VERSIONS), st.data())
def test_a_document_that_was_tampered_with_is_refused_by_the_schema_and_by_the_check(
    content: LocationContent, version: str, data: st.DataObject
) -> None:
    assume(version in allowed_versions(content))
    document = a_document(content, version=version)
    path, value = data.draw(st.sampled_from(sorted(places(document), key=lambda each: str(each[0]))))
    *way, last = path
    place: Any = document
    for step in way:
        place = place[step]
    place[last] = data.draw(st.sampled_from(wrong_for(value)))
    assert violations(document, version)
    with pytest.raises(InvalidDocumentError):
        check_document(document)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The path of each value in a document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield (*path, name), part
        yield from places(part, (*path, name))


def wrong_for(value: Any) -> list[Any]:
    """Values that no key accepts that has this value."""
    match value:
        case dict():
            return [[], 7, value | {"comment": "x"}]
        case list():
            return [{}, "x", [*value, {"comment": "x"}]]
        case _:
            return [[], {}, 0.5]
