"""A document has the oldest version that its content allows and every recipient accepts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.content import LocationContent
from app.domain.content_document import content_document
from app.domain.content_field import content_fields
from app.domain.limits import RANGES
from app.domain.payload import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT_SECONDS,
    VERSIONS,
    InvalidDocumentError,
)
from app.domain.payload_version import allowed_versions, payload_version, values_beyond
from app.domain.readiness import Outside, blocking, readiness
from app.domain.text import RULES
from app.domain.vocabulary import ContactPurpose, Gate, IssueCode, Severity

from .builders import (
    a_contact,
    a_direct_flow,
    a_document,
    a_location,
    a_menu,
    a_partner,
    a_phone_system,
    an_extension,
    an_option,
    hang_up,
    the_example_location,
    to_mailbox,
)
from .defects import CHANGES
from .published_schema import violations
from .test_digest import variants

OLD, NEW = VERSIONS


# Contents that version 1.0.0 does not allow, and what the later version is needed for.
BEYOND: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a site code": ({"site_code": "Store 7"}, ["/location/siteCode"]),
    "no devices": (
        {"devices": (), "extensions": (an_extension(device_id=None),)},
        ["/devices"],
    ),
    "a caller-id name of 16 characters": (
        {"phone_system": a_phone_system(caller_id_name="X" * 16)},
        ["/phoneSystem/callerIdName"],
    ),
    "an extension of 7 digits": (
        {
            "extensions": (an_extension(number="1234567"),),
            "phone_system": a_phone_system(extension_length=None),
            "call_flow": a_menu(timeout_target=to_mailbox("extension-1")),
        },
        ["/extensions/extension-1/number"],
    ),
    "an extension of 7 digits that a call rings directly": (
        {
            "extensions": (an_extension(number="1234567"),),
            "phone_system": a_phone_system(extension_length=None),
            "call_flow": a_direct_flow(),
        },
        ["/extensions/extension-1/number"],
    ),
    "extensions of 7 digits by rule": (
        {"extensions": (an_extension(number="1234567"),), "phone_system": a_phone_system(extension_length=7)},
        ["/extensions/extension-1/number", "/phoneSystem/extensionLength"],
    ),
    "several of them": (
        {"site_code": "7", "phone_system": a_phone_system(caller_id_name="X" * 60)},
        ["/location/siteCode", "/phoneSystem/callerIdName"],
    ),
}


def test_a_content_that_enters_nothing_new_has_version_1_0_0_whatever_can_be_derived_from_it():
    location = a_location(
        call_flow=a_menu(timeout_seconds=None, retries=None),
        contacts=(a_contact(), a_contact(id="contact-2", purpose=ContactPurpose.EMERGENCY)),
    )
    assert allowed_versions(location) == (OLD, NEW)
    assert values_beyond(location, OLD) == ()
    assert a_document(location)["version"] == OLD


@pytest.mark.parametrize("case", BEYOND)
def test_what_version_1_0_0_cannot_hold_needs_the_later_one_and_is_named(case):
    changes, fields = BEYOND[case]
    location = a_location(**changes)
    assert allowed_versions(location) == (NEW,)
    assert list(values_beyond(location, OLD)) == fields
    assert violations(a_document(location), NEW) == []
    with pytest.raises(InvalidDocumentError):
        a_document(location, version=OLD)


@pytest.mark.parametrize("case", BEYOND)
def test_a_value_that_needs_the_later_version_is_named_by_its_place_in_the_content(case):
    location = a_location(**BEYOND[case][0])
    for pointer in values_beyond(location, OLD):
        place: Any = content_document(location)
        for step in pointer.split("/")[1:]:
            place = place[step]


def test_what_no_version_can_express_asks_for_no_version():
    assert allowed_versions(a_location(timezone=None, phone_system=None)) == (OLD, NEW)


def test_a_location_that_is_still_empty_asks_for_no_version_but_by_its_missing_devices():
    empty = LocationContent(location_id="location-1", account_id="account-1", name="")
    assert values_beyond(empty, OLD) == ("/devices",)


CHOICES = [
    ([], [], OLD),
    ([], [()], OLD),
    ([], [(OLD,)], OLD),
    ([], [(NEW,)], NEW),
    ([], [(OLD, NEW)], OLD),
    ([], [(OLD,), (OLD, NEW)], OLD),
    ([], [(NEW,), (OLD, NEW), ()], NEW),
    ([], [(OLD,), (NEW,)], None),
    (["a site code"], [], NEW),
    (["a site code"], [(NEW,), ()], NEW),
    (["a site code"], [(OLD, NEW)], NEW),
    (["a site code"], [(OLD,)], None),
    (["no devices"], [(OLD,), (NEW,)], None),
]


@pytest.mark.parametrize(("cases", "accepted", "version"), CHOICES)
def test_the_version_is_the_oldest_that_the_content_allows_and_every_partner_accepts(cases, accepted, version):
    location = a_location(**{name: value for case in cases for name, value in BEYOND[case][0].items()})
    partners = [a_partner(*versions) for versions in accepted]
    assert payload_version(location, partners) == version
    assert payload_version(location, partners[::-1]) == version


def later_names(kind):
    """The names of the fields that content has since a later digest version than 1, at any depth."""
    for field in content_fields(kind):
        yield from later_names(field.kind) if field.is_structured else ()
        if field.since > 1:
            yield field.name


LATER = set(later_names(LocationContent))
CHANGED_LATER = {place: each for place, each in variants(a_location()) if place.rpartition(".")[2] in LATER}


def test_every_later_field_of_the_content_is_among_the_changes():
    assert {place.rpartition(".")[2] for place in CHANGED_LATER} == LATER


@pytest.mark.parametrize("place", CHANGED_LATER)
def test_every_later_field_of_the_content_needs_the_later_version_and_is_handed_over_in_it(place):
    location = CHANGED_LATER[place]
    (pointer,) = values_beyond(location, OLD)
    assert pointer in {path for path, _ in leaves(content_document(location))}
    document, plain = a_document(location), a_document(version=NEW)
    assert document["version"] == NEW
    assert violations(document, NEW) == []
    assert document | {"metadata": plain["metadata"]} != plain


def leaves(value, path=""):
    for name, part in value.items() if isinstance(value, dict) else ():
        yield from leaves(part, f"{path}/{name}")
    if not isinstance(value, dict):
        yield path, value


def test_the_later_version_holds_whatever_can_be_entered():
    longest = {name: "x" * RULES[name].longest for name in ("location.siteCode", "phoneSystem.callerIdName")}
    location = a_location(
        site_code=longest["location.siteCode"],
        phone_system=a_phone_system(
            caller_id_name=longest["phoneSystem.callerIdName"], extension_length=RANGES["extensionLength"][1]
        ),
    )
    assert violations(a_document(location), NEW) == []


# Readiness


def findings(location, *partners, named=True):
    issues = readiness(location, Outside(partners=partners, names_partners=named))
    return [issue for issue in issues if issue.code is IssueCode.PAYLOAD_VERSION_NOT_ACCEPTED]


@pytest.mark.parametrize(("cases", "accepted", "version"), CHOICES)
def test_readiness_blocks_provisioning_exactly_when_no_version_suits(cases, accepted, version):
    location = a_location(**{name: value for case in cases for name, value in BEYOND[case][0].items()})
    issues = findings(location, *(a_partner(*versions) for versions in accepted))
    assert bool(issues) is (version is None)
    assert all((issue.severity, issue.blocks) == (Severity.BLOCKER, {Gate.PROVISION}) for issue in issues)


def test_each_partner_that_does_not_accept_what_the_content_needs_is_named_with_the_fields():
    location = a_location(**BEYOND["several of them"][0])
    partners = (
        a_partner(OLD, name="Carrier One"),
        a_partner(name="PBX House"),
        a_partner(NEW, name="Fitters"),
        a_partner(OLD, name="Night Watch"),
    )
    assert [(issue.path, issue.message) for issue in findings(location, *partners)] == [
        (
            "/location/siteCode",
            f"{name} accepts only version 1.0.0 of the payload. The content needs version 1.1.0, because of "
            "/location/siteCode and /phoneSystem/callerIdName.",
        )
        for name in ("Carrier One", "Night Watch")
    ]


def test_partners_that_accept_no_version_in_common_are_all_named_and_no_field_is_to_blame():
    partners = (a_partner(OLD, name="Carrier One"), a_partner(NEW, name="PBX House"), a_partner(name="Fitters"))
    assert [(issue.path, issue.message) for issue in findings(a_location(), *partners)] == [
        (
            "",
            f"{name} accepts only version {version} of the payload. The partners of the location accept no version in "
            "common.",
        )
        for name, version in (("Carrier One", OLD), ("PBX House", NEW))
    ]


def test_readiness_advises_to_change_fields_only_where_fields_need_another_version():
    (by_field,) = findings(a_location(site_code="7"), a_partner(OLD))
    assert by_field.fix == ("Have the partner accept another version, choose other partners, or change these fields.")
    partners = (a_partner(OLD, name="Carrier One"), a_partner(NEW, name="PBX House"))
    assert {issue.fix for issue in findings(a_location(), *partners)} == {
        "Have the partner accept another version, or choose other partners."
    }


def test_the_partner_is_not_named_to_viewers_who_do_not_see_partners():
    (issue,) = findings(a_location(site_code="7"), a_partner(OLD), named=False)
    assert issue.message.startswith("A partner accepts only version 1.0.0 of the payload.")


def test_a_message_lists_ten_fields_and_counts_the_others():
    extensions = tuple(an_extension(id=f"extension-{place:02}", number=str(2345600 + place)) for place in range(30))
    (issue,) = findings(a_location(extensions=extensions), a_partner(OLD))
    assert issue.message.count("/extensions/") == 10
    assert issue.message.endswith("/extensions/extension-09/number and 20 more.")


# Derived values


def test_the_later_version_says_what_is_derived_and_otherwise_the_same():
    location = a_location(
        contacts=(a_contact(), a_contact(id="contact-2", position=1, phone="ask Alice", e164=None)),
        call_flow=a_menu(timeout_seconds=None, retries=None, options=(an_option("1", to_mailbox("extension-1")),)),
    )
    old, new = a_document(location, version=OLD), a_document(location, version=NEW)
    found = dict(leaves_of_lists(new))
    derived = {path: value for path, value in found.items() if dict(leaves_of_lists(old)).get(path) != value}
    assert derived == {
        "/version": NEW,
        "/contacts/primary/phoneE164": "+12125550101",
        "/phoneSystem/mailboxNumber": "+12125550100",
        "/users/0/mobileE164": "+12125550102",
        "/callFlow/timeoutSeconds": DEFAULT_TIMEOUT_SECONDS,
        "/callFlow/retries": DEFAULT_RETRIES,
        "/callFlow/timeoutTarget/mailboxNumber": "+12125550100",
    }
    assert dict(leaves_of_lists(old)).keys() <= found.keys()


def leaves_of_lists(value, path=""):
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from leaves_of_lists(part, f"{path}/{name}")
    if not isinstance(value, (dict, list)):
        yield path, value


def test_what_was_entered_is_not_replaced_by_a_default():
    flow = a_document(a_location(call_flow=a_menu(timeout_seconds=45, retries=0)), version=NEW)["callFlow"]
    assert (flow["timeoutSeconds"], flow["retries"]) == (45, 0)


def test_defaults_of_a_menu_are_not_said_of_a_direct_flow():
    flow = a_document(a_location(call_flow=a_direct_flow()), version=NEW)["callFlow"]
    assert (flow["timeoutSeconds"], flow["retries"]) == (None, None)


def test_a_location_without_voicemail_has_no_mailbox_number():
    location = a_location(
        phone_system=a_phone_system(voicemail=False), call_flow=a_menu(timeout_target=hang_up(), options=(an_option(),))
    )
    assert "mailboxNumber" not in str(a_document(location, version=NEW))


# Documents against the published schemas, by an independent validator


@given(st.sets(st.sampled_from(sorted(CHANGES)), max_size=4))
def test_content_that_nothing_keeps_from_provisioning_always_makes_a_document(names):
    changes: dict[str, Any] = {}
    for name in sorted(names):
        changes |= CHANGES[name]
    location = a_location(**changes)
    if not blocking(Gate.PROVISION, readiness(location)):
        document = a_document(location)
        assert violations(document, document["version"]) == []


def test_the_example_that_the_product_was_specified_with_stays_in_version_1_0_0():
    assert payload_version(the_example_location(), [a_partner(), a_partner(OLD, NEW)]) == OLD
    assert payload_version(replace(the_example_location(), site_code="7"), [a_partner()]) == NEW
