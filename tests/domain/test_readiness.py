"""Readiness lists everything that is wrong, where it is wrong, at once, and nothing that is right."""

import re
import string
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from netaddr.eui import ieee  # type: ignore[import-untyped] # - the package has no type information

from app.domain.content import LocationContent
from app.domain.content_document import content_document
from app.domain.mac_holder import MacHolder
from app.domain.readiness import Outside, blocking, readiness
from app.domain.readiness.engine import RULES
from app.domain.readiness.findings import FINDINGS
from app.domain.readiness.makers import REGISTERED_AS, other_maker
from app.domain.readiness.reserved_numbers import EMERGENCY, SERVICES, is_service, shadows_emergency
from app.domain.vocabulary import DeviceBrand, Gate, IssueCode, Severity

from .builders import (
    a_contact,
    a_device,
    a_direct_flow,
    a_location,
    a_menu,
    a_partner,
    a_person,
    a_phone_system,
    an_address,
    an_extension,
    an_interval,
    an_option,
    hang_up,
    the_example_location,
    to_extension,
    to_mailbox,
    to_number,
)
from .defects import (
    DEFECTS,
    EXCLUDED_BY_OTHERS,
    a_location_with_every_defect,
    everything_outside,
    rejected,
)


def codes(content, outside=None):
    return {issue.code for issue in readiness(content, outside or Outside())}


def only(issues):
    (issue,) = issues
    return issue


def test_nothing_is_said_against_a_location_in_good_order():
    assert readiness(a_location()) == ()


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_is_found_where_it_is(name):
    defect = DEFECTS[name]
    found = readiness(a_location(**defect.changes), defect.outside)
    assert (defect.code, defect.path) in {(issue.code, issue.path) for issue in found}


def test_every_code_has_a_defect_that_shows_it_and_a_sentence():
    assert {defect.code for defect in DEFECTS.values()} == set(IssueCode) == set(FINDINGS)


def test_a_location_with_one_of_every_defect_shows_every_code_in_one_call():
    assert codes(a_location_with_every_defect(), everything_outside()) == set(IssueCode) - EXCLUDED_BY_OTHERS


def test_a_location_without_anything_lacks_everything_at_once():
    assert codes(LocationContent(location_id="location-1", account_id="account-1", name="")) == {
        IssueCode.NAME_MISSING,
        IssueCode.ADDRESS_INCOMPLETE,
        IssueCode.TIMEZONE_MISSING,
        IssueCode.PRIMARY_CONTACT_MISSING,
        IssueCode.PHONE_SYSTEM_MISSING,
        IssueCode.DEVICE_MISSING,
        IssueCode.HOURS_MISSING,
        IssueCode.CALL_FLOW_MISSING,
    }


def test_the_example_location_may_be_provisioned_with_two_warnings():
    issues = readiness(the_example_location())
    assert {(issue.code, issue.severity) for issue in issues} == {
        (IssueCode.PHONE_NOT_E164, Severity.WARNING),
        (IssueCode.MAC_OF_ANOTHER_MAKER, Severity.WARNING),
    }
    assert blocking(Gate.PROVISION, issues) == ()


def test_exactly_blockers_stand_in_the_way_of_anything():
    for finding in FINDINGS.values():
        assert bool(finding.blocks) is (finding.severity is Severity.BLOCKER)


def test_what_blocks_submission_blocks_what_comes_after_it():
    for finding in FINDINGS.values():
        assert finding.blocks in (frozenset(), {Gate.PROVISION}, {Gate.APPROVE, Gate.PROVISION}, frozenset(Gate))


def test_only_what_is_said_about_partners_blocks_the_hand_off_alone():
    """A lead changes partners in any status, so they need not be chosen before the approval."""
    assert {code for code, finding in FINDINGS.items() if finding.blocks == {Gate.PROVISION}} == {
        IssueCode.PARTNER_UNAVAILABLE,
        IssueCode.PAYLOAD_VERSION_NOT_ACCEPTED,
    }


@pytest.mark.parametrize(
    "name", ["Carrier One", "carrier one", "CARRIER-ONE", "Carrier.One", " carrierone ", "Carrier, One!"]
)
def test_a_provider_is_compared_with_partners_without_case_spaces_and_punctuation(name):
    location = a_location(phone_system=a_phone_system(provider=name))
    assert codes(location, Outside(partners=(a_partner(name="PBX Two"), a_partner(name="Carrier One")))) == set()


@pytest.mark.parametrize("name", ["Carrier", "Carrier On", "Carrier One Ltd", "One Carrier"])
def test_a_provider_of_another_name_is_told_without_a_partner_s_name(name):
    location = a_location(phone_system=a_phone_system(provider=name))
    issue = only(readiness(location, Outside(partners=(a_partner(name="Carrier Two"),), names_partners=True)))
    assert (issue.code, issue.severity, issue.blocks) == (
        IssueCode.PROVIDER_WITHOUT_PARTNER,
        Severity.INFO,
        frozenset(),
    )
    assert issue.message == f"No partner of the location has the name of the provider, {name}."


def test_nothing_is_said_about_partners_where_they_are_not_known_or_no_provider_is_named():
    assert codes(a_location(), Outside(partners=None)) == set()
    nameless = a_location(phone_system=a_phone_system(provider=None))
    assert codes(nameless, Outside(partners=(a_partner(),))) == set()


@pytest.mark.parametrize(("named", "shown"), [(True, "Carrier One and PBX Two"), (False, "A partner")])
def test_partners_that_cannot_answer_are_named_only_to_those_who_choose_them(named, shown):
    gone = [replace(a_partner(name=name), available=False) for name in ("PBX Two", "Carrier One")]
    location = a_location(phone_system=a_phone_system(provider=None))
    issue = only(readiness(location, Outside(partners=(*gone, a_partner(name="Third")), names_partners=named)))
    assert issue.message == f"{shown} cannot answer payloads: suspended, or without access to the account."
    assert issue.blocks == {Gate.PROVISION}


@pytest.mark.parametrize("finding", FINDINGS.values(), ids=FINDINGS)
def test_messages_and_fixes_are_whole_sentences(finding):
    for sentence in (finding.message, finding.fix):
        assert sentence[0] in string.ascii_uppercase + "{"
        assert sentence[-1] in ".)"


@pytest.mark.parametrize("name", DEFECTS)
def test_a_path_leads_to_a_place_in_the_content_document(name):
    defect = DEFECTS[name]
    location = a_location(**defect.changes)
    for issue in readiness(location, defect.outside):
        if issue.code in {IssueCode.REJECTED_BY_PARTNER, IssueCode.DEVICE_WITHOUT_EXTENSION}:
            continue
        place: Any = content_document(location)
        for step in issue.path.split("/")[1:]:
            place = place[int(step)] if isinstance(place, list) else place[step]


def test_no_finding_is_reported_twice():
    issues = readiness(a_location_with_every_defect(), everything_outside())
    assert len({(issue.code, issue.path) for issue in issues}) == len(issues)


def test_every_rule_speaks_up_somewhere():
    faulty = [(a_location(**defect.changes), defect.outside) for defect in DEFECTS.values()]
    assert [rule for rule in RULES if not any(any(rule(*each)) for each in faulty)] == []


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        an_address(country="DE", state=None),
        an_address(country="HK", state=None, zipcode=None),
        an_address(line2=None),
    ],
)
def test_an_address_needs_what_its_country_needs(address):
    assert readiness(a_location(address=address)) == ()


# Contacts and people


def test_several_contacts_of_one_purpose_are_in_order():
    assert readiness(a_location(contacts=(a_contact(), a_contact(id="contact-2", position=1)))) == ()


def test_a_missing_channel_of_a_contact_is_information_only():
    issue = only(readiness(a_location(contacts=(a_contact(email=None),))))
    assert (issue.severity, issue.blocks, issue.message) == (
        Severity.INFO,
        frozenset(),
        "The contact has no e-mail address.",
    )


def test_a_number_that_is_dialled_must_be_whole_where_a_contact_s_need_not():
    contact = only(readiness(a_location(contacts=(a_contact(e164=None),))))
    dialled = only(readiness(a_location(phone_system=a_phone_system(main_number_e164=None))))
    assert (contact.severity, dialled.severity) == (Severity.WARNING, Severity.BLOCKER)


def test_a_caller_id_name_may_have_fifteen_characters():
    assert readiness(a_location(phone_system=a_phone_system(caller_id_name="ACME MEDICAL GR"))) == ()


# Devices


def test_the_holder_of_an_address_is_named_only_where_it_was_told():
    for owner, message in [
        (None, "80:5E:C0:01:01:01 is in use at another location."),
        (
            MacHolder(location_id="location-2", location_name="Globex - Plant 2", account_name="Globex"),
            "80:5E:C0:01:01:01 is in use at Globex, Globex - Plant 2 (location-2).",
        ),
    ]:
        issue = only(readiness(a_location(), Outside(claimed_elsewhere={"805ec0010101": owner})))
        assert (issue.message, issue.blocks) == (message, frozenset(Gate))


def test_both_devices_of_one_address_are_named():
    issues = readiness(a_location(devices=(a_device(), a_device(id="phone-2"))))
    assert [issue.path for issue in issues if issue.code is IssueCode.MAC_TWICE] == [
        "/devices/phone-1/macAddress",
        "/devices/phone-2/macAddress",
    ]


def test_a_broadcast_address_is_both_a_group_s_and_made_up():
    found = codes(a_location(devices=(a_device(mac_address="f" * 12),)))
    assert {IssueCode.MAC_MULTICAST, IssueCode.MAC_LOCALLY_ADMINISTERED} <= found


def test_a_model_in_the_catalogue_is_found_in_any_case_of_letters():
    assert readiness(a_location(), Outside(models={(DeviceBrand.YEALINK, "t46s")})) == ()


@pytest.mark.parametrize(
    ("brand", "mac"),
    [
        (DeviceBrand.YEALINK, "001565010101"),
        (DeviceBrand.YEALINK, "805ec0010101"),
        (DeviceBrand.POLY, "0004f2010101"),
        (DeviceBrand.POLY, "482567010101"),
        (DeviceBrand.CISCO, "00000c010101"),
        (DeviceBrand.GRANDSTREAM, "000b82010101"),
        (DeviceBrand.SNOM, "000413010101"),
        (DeviceBrand.FANVIL, "0c383e010101"),
    ],
)
def test_each_maker_s_own_blocks_pass(brand, mac):
    assert other_maker(mac, brand) is None


def test_every_brand_with_a_maker_is_checked():
    assert set(REGISTERED_AS) == set(DeviceBrand) - {DeviceBrand.OTHER}


@pytest.mark.parametrize("name", sorted({name for names in REGISTERED_AS.values() for name in names}))
def test_every_maker_s_name_is_found_in_the_registry(name):
    assert any(re.match(name, owner, re.IGNORECASE) for owner in registered_owners())


@cache
def registered_owners():
    """Everybody who has a block in the IEEE's registry at hand."""
    registry = Path(ieee.__file__).with_name("oui.txt").read_text(encoding="utf-8")
    return set(re.findall(r"\(hex\)\s+(.+)", registry))


@pytest.mark.parametrize("brand", REGISTERED_AS)
def test_another_maker_s_block_is_noticed_and_named(brand):
    assert other_maker("00155d010101", brand) == "Microsoft Corporation"


def test_a_block_that_the_registry_does_not_know_or_shares_out_is_let_pass():
    assert other_maker("fafafa010101", DeviceBrand.YEALINK) is None
    assert other_maker("70b3d5010101", DeviceBrand.YEALINK) is None


def test_a_device_of_no_listed_brand_may_have_any_block():
    assert other_maker("00155d010101", DeviceBrand.OTHER) is None


# Extensions


@pytest.mark.parametrize("number", ["10", "22", "1001", "9000", "999999", "1911", "9880", "2110"])
def test_an_ordinary_number_is_nobody_else_s(number):
    system = a_phone_system(extension_length=None, outbound_prefix=None)
    assert readiness(a_location(phone_system=system, extensions=(an_extension(number=number),))) == ()


@pytest.mark.parametrize("code", EMERGENCY)
def test_each_emergency_code_is_guarded_from_its_second_digit_on(code):
    assert all(shadows_emergency(number, "US") for number in (code, code[:2], f"{code}0", f"{code}123"))
    assert not shadows_emergency(code[:1], "US")


@pytest.mark.parametrize("code", sorted(SERVICES))
def test_each_service_code_is_reserved_as_it_stands(code):
    assert is_service(code)
    assert not is_service(f"{code}0")


def test_every_country_s_own_emergency_number_is_guarded():
    assert shadows_emergency("112", "DE")
    assert shadows_emergency("000", "AU")
    assert not shadows_emergency("000", "US")
    assert shadows_emergency("911", None)


def test_an_extension_without_a_length_to_keep_may_have_any():
    system = a_phone_system(extension_length=None)
    assert readiness(a_location(phone_system=system, extensions=(an_extension(number="100"),))) == ()


@pytest.mark.parametrize("changes", [{"person_id": None}, {"device_id": None}])
def test_a_person_or_a_device_is_enough_for_an_extension(changes):
    assert IssueCode.EXTENSION_UNASSIGNED not in codes(a_location(extensions=(an_extension(**changes),)))


# Working hours


@pytest.mark.parametrize(
    "intervals",
    [
        (an_interval(1, "09:00", "12:00"), an_interval(1, "12:00", "17:00")),
        (an_interval(1, "22:00", "06:00", passes_midnight=True), an_interval(2, "06:00", "09:00")),
        (an_interval(7, "22:00", "06:00", passes_midnight=True), an_interval(1, "06:00", "09:00")),
        tuple(an_interval(weekday, "00:00", "00:00", passes_midnight=True) for weekday in range(1, 8)),
    ],
    ids=["a lunch without a break", "a night and its morning", "the turn of the week", "always open"],
)
def test_hours_that_touch_do_not_overlap(intervals):
    assert readiness(a_location(working_hours=intervals)) == ()


def test_a_wrong_interval_is_not_blamed_for_an_overlap_too():
    intervals = (an_interval(1, "17:00", "09:00"), an_interval(1, "16:00", "18:00"))
    assert codes(a_location(working_hours=intervals)) == {IssueCode.HOURS_INVERTED}


# Call flow


def test_a_menu_that_a_direct_flow_does_not_hand_over_is_no_obstacle():
    menu = {
        "options": (
            an_option("1", to_extension("extension-9")),
            an_option("1", to_number("555", None)),
            an_option("12"),
        ),
        "timeout_target": to_mailbox("extension-9"),
        "invalid_target": to_number(None, None),
    }
    assert codes(a_location(call_flow=a_menu(**menu))) == {
        IssueCode.IVR_DIGIT_TWICE,
        IssueCode.IVR_OPTION_UNREACHABLE,
        IssueCode.TARGET_DANGLING,
        IssueCode.DIALLED_NUMBER_NOT_E164,
    }
    assert readiness(a_location(call_flow=a_direct_flow(**menu))) == ()


def test_a_direct_flow_needs_no_menu():
    assert readiness(a_location(call_flow=a_direct_flow())) == ()


def test_keys_of_two_digits_go_together():
    assert readiness(a_location(call_flow=a_menu(options=(an_option("11"), an_option("12"), an_option("*"))))) == ()


@pytest.mark.parametrize("target", [hang_up(), to_mailbox(), to_mailbox("extension-1")])
def test_a_call_may_end_in_a_mailbox_or_be_hung_up(target):
    assert readiness(a_location(call_flow=a_menu(options=(an_option("1", target),)))) == ()


def test_a_shared_extension_s_mailbox_is_the_location_s_to_switch_on():
    flow = a_menu(timeout_target=to_mailbox("extension-1"))
    shared = a_location(call_flow=flow, extensions=(an_extension(person_id=None),), people=(a_person(voicemail=False),))
    assert IssueCode.TARGET_WITHOUT_VOICEMAIL not in codes(shared)


# A partner's rejection


def test_a_rejection_is_shown_with_the_partner_s_words_until_the_content_moves():
    location = a_location()
    issue = only(readiness(location, rejected(location)))
    assert (issue.path, issue.severity, issue.message) == (
        "/devices/phone-1/macAddress",
        Severity.WARNING,
        "A partner rejected this: No such device in stock. (UNKNOWN_DEVICE)",
    )
    assert readiness(replace(location, name="Acme Medical"), rejected(location)) == ()


def test_what_users_wrote_is_quoted_and_never_interpreted():
    issue = only(readiness(a_location(contacts=(a_contact(email="{0.__class__}@{x}"),))))
    assert issue.message == "{0.__class__}@{x} is not an e-mail address."
    assert not re.search(r"\{\w*\}", issue.fix)
