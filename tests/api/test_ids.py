"""An id names one object: whoever asks, and wherever it is shown, it is the id of the same object."""

import pytest

from tests.harness import AUDITOR, CUSTOMER, LEAD, LISTED_CUSTOMER, PARTNER, SCOPED_LEAD, Client
from tests.ids import OBJECT_TYPES, WITH_ID, reaching, shown, visible, walked


def test_every_type_with_an_id_can_be_fetched_by_it_and_no_other_type_can() -> None:
    nodes = [name for name, type_ in OBJECT_TYPES.items() if "Node" in {each.name for each in type_.interfaces}]
    assert sorted(nodes) == WITH_ID
    assert {str(OBJECT_TYPES[name].fields["id"].type) for name in WITH_ID} == {"ID!"}


CONTENT = {"Location", "OnboardingSession", "Contact", "Device", "Person", "Extension", "WorkingHours", "Approval"}
FOR_CUSTOMERS = {"Account", "User", "DeviceModel", *CONTENT}
FOR_LEADS = {*FOR_CUSTOMERS, "ProvisioningPayload", "PayloadRecipient", "AuditEntry"}
# The types of which the demo data and the world of these tests show objects to each user.
SEEN = {
    LEAD: {*FOR_LEADS, "Invitation", "LocationPartner", "Override", "Receipt", "ServiceToken"},
    SCOPED_LEAD: FOR_LEADS,
    CUSTOMER: FOR_CUSTOMERS,
    LISTED_CUSTOMER: FOR_CUSTOMERS,
    PARTNER: {"Account", "User", "ProvisioningPayload", "Receipt"},
    AUDITOR: {"User", "AuditEntry"},
}


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("who", SEEN)
async def test_no_two_types_show_the_same_id_and_node_finds_the_object_that_showed_it(client: Client, who: str) -> None:
    data = await visible(client, who, f"{{ {reaching(OBJECT_TYPES['Query'])} }}")
    types = await walked(client, who, list(shown(data)))
    assert {identifier: names for identifier, names in types.items() if len(names) > 1} == {}
    assert {name for names in types.values() for name in names} == SEEN[who]
