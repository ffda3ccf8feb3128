"""What a number without a prefix means follows the country of the address, whichever of the two is given last."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.content import PhoneSystem
from app.domain.vocabulary import LocationStatus, Section
from tests.builders_db import fresh
from tests.harness import first_row

from .scenario import Rollout, Scenario, Sent, complete_content

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus


async def revision_of(scenario: Scenario, location: Rollout, section: str) -> int:
    query = f'{{ location(id: "{location.id}") {{ sections {{ section revision }} }} }}'
    sections = (await scenario.client.ask(query, scenario.lead)).data["location"]["sections"]
    return next(int(each["revision"]) for each in sections if each["section"] == section)


async def moved_to(scenario: Scenario, who: str, location: Rollout, country: str) -> Sent:
    revision = await revision_of(scenario, location, "LOCATION")
    address = {"country": country}
    return await scenario.send(
        who, "updateLocation", locationId=location.id, expectedRevision=revision, address=address
    )


async def set_main_number(scenario: Scenario, location: Rollout, number: str) -> None:
    revision = await revision_of(scenario, location, "PHONE_SYSTEM")
    sent = await scenario.send(
        scenario.customer, "setPhoneSystem", locationId=location.id, expectedRevision=revision, mainNumber=number
    )
    assert sent.outcome == "DONE"


async def numbers(scenario: Scenario, location: Rollout) -> dict[str, Any]:
    row = await first_row(
        scenario.connection,
        "SELECT main_number, main_number_e164 FROM turnup.phone_system WHERE location_id = $1",
        location.id,
    )
    return dict(row)


async def test_another_country_gives_another_meaning_to_numbers_without_a_prefix(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    assert (await moved_to(scenario, scenario.customer, location, "GB")).outcome == "DONE"
    await set_main_number(scenario, location, "212 555 0101")
    assert await numbers(scenario, location) == {"main_number": "212 555 0101", "main_number_e164": "+442125550101"}
    assert (await moved_to(scenario, scenario.customer, location, "US")).outcome == "DONE"
    assert await numbers(scenario, location) == {"main_number": "212 555 0101", "main_number_e164": "+12125550101"}
    assert (await moved_to(scenario, scenario.customer, location, "GB")).outcome == "DONE"
    assert (await numbers(scenario, location))["main_number_e164"] == "+442125550101"


async def test_a_number_with_a_prefix_means_the_same_everywhere(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    await set_main_number(scenario, location, "+1 212 555 0101")
    assert (await moved_to(scenario, scenario.customer, location, "DE")).outcome == "DONE"
    assert (await numbers(scenario, location))["main_number_e164"] == "+12125550101"


async def test_an_override_of_the_address_alone_changes_no_numbers_of_other_sections(scenario: Scenario) -> None:
    name = fresh("location")
    content = complete_content(name, scenario.account)
    national = replace(
        content.phone_system or PhoneSystem(), main_number="212 555 0101", main_number_e164="+12125550101"
    )
    locked = await scenario.a_location(
        S.APPROVED,
        override_of=scenario.lead,
        sections=[Section.LOCATION],
        name=name,
        content=replace(content, phone_system=national),
    )
    assert (await moved_to(scenario, scenario.lead, locked, "GB")).outcome == "OVERRIDE_SCOPE"
    assert (await numbers(scenario, locked))["main_number_e164"] == "+12125550101"
