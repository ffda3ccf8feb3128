"""Reading over HTTP with real tokens: what comes back for each object, relation by relation."""

import pytest

from tests.harness import CUSTOMER, LEAD, PARTNER, Client

from .conftest import World


async def test_the_viewer_is_who_the_token_says(client: Client) -> None:
    answer = await client.ask("{ viewer { user { id } name email role account { name } } }", CUSTOMER)
    assert answer.data == {
        "viewer": {
            "user": {"id": "user-acme"},
            "name": "Alice Johnson",
            "email": "customer@acme.example",
            "role": "CUSTOMER",
            "account": {"name": "Acme Medical Group"},
        }
    }


@pytest.mark.parametrize("who", [LEAD, PARTNER])
async def test_only_a_customer_works_for_an_account(client: Client, who: str) -> None:
    answer = await client.ask("{ viewer { email account { name } } }", who)
    assert answer.data == {"viewer": {"email": who, "account": None}}


CONTENT = """
query Content($id: ID!) {
  location(id: $id) {
    name status timezone revision createdAt updatedAt
    address { line1 line2 city state zipcode country }
    account { id name }
    sections { section revision complete }
    contacts { id purpose fullName email phone phoneE164 revision location { id } }
    phoneSystem {
      mainNumber mainNumberE164 callerIdName provider outboundPrefix voicemail extensionLength revision
    }
    devices {
      id brand model macAddress serialNumber label revision extension { id person { id } } location { id }
    }
    people { id firstName lastName email mobile mobileE164 voicemail revision extensions { id } location { id } }
    extensions { id number label revision person { id } device { id } location { id } }
    workingHours { id weekday opens closes passesMidnight }
    callFlow {
      kind greeting timeoutSeconds retries revision directTargets { id }
      options { digit target { kind extension { id } externalNumber externalNumberE164 } }
      timeoutTarget { kind extension { id } }
      invalidTarget { kind extension { id } }
    }
  }
}
"""


async def test_a_location_holds_all_of_its_content(client: Client, world: World) -> None:
    answer = await client.ask(CONTENT, world.customer, id=world.here)
    here = {"location": {"id": world.here}}
    extension = {"id": f"extension-{world.here}"}
    reception = {"kind": "EXTENSION", "extension": extension}
    assert answer.data == {
        "location": {
            "name": "Dune Opticians - Pier",
            "status": "PROVISIONING",
            "timezone": "America/New_York",
            "revision": 1,
            "createdAt": "2024-01-10T12:00:00.000000Z",
            "updatedAt": "2024-01-10T12:00:00.000000Z",
            "address": {
                "line1": "123 Main Street",
                "line2": "Suite 100",
                "city": "New York",
                "state": "NY",
                "zipcode": "10001",
                "country": "US",
            },
            "account": {"id": world.account, "name": "Dune Opticians"},
            "sections": [
                {"section": section, "revision": 1, "complete": True}
                for section in (
                    "CALL_FLOW",
                    "CONTACTS",
                    "DEVICES",
                    "EXTENSIONS",
                    "LOCATION",
                    "PEOPLE",
                    "PHONE_SYSTEM",
                    "WORKING_HOURS",
                )
            ],
            "contacts": [
                {
                    "id": f"contact-{world.here}",
                    "purpose": "PRIMARY",
                    "fullName": "Alice Johnson",
                    "email": "alice@example.com",
                    "phone": "+1-555-0101",
                    "phoneE164": None,
                    "revision": 1,
                    **here,
                }
            ],
            "phoneSystem": {
                "mainNumber": "+1 212 555 0100",
                "mainNumberE164": "+12125550100",
                "callerIdName": "ACME MEDICAL",
                "provider": "Carrier One",
                "outboundPrefix": None,
                "voicemail": True,
                "extensionLength": 4,
                "revision": 1,
            },
            "devices": [
                {
                    "id": f"device-{world.here}",
                    "brand": "YEALINK",
                    "model": "T46S",
                    "macAddress": "00:15:5D:01:01:01",
                    "serialNumber": "SN-0001",
                    "label": "Reception",
                    "revision": 1,
                    "extension": {**extension, "person": {"id": f"person-{world.here}"}},
                    **here,
                }
            ],
            "people": [
                {
                    "id": f"person-{world.here}",
                    "firstName": "Dana",
                    "lastName": "Cole",
                    "email": "dana@acme.example",
                    "mobile": None,
                    "mobileE164": None,
                    "voicemail": True,
                    "revision": 1,
                    "extensions": [extension],
                    **here,
                }
            ],
            "extensions": [
                {
                    **extension,
                    "number": "1001",
                    "label": "Reception",
                    "revision": 1,
                    "person": {"id": f"person-{world.here}"},
                    "device": {"id": f"device-{world.here}"},
                    **here,
                }
            ],
            "workingHours": [
                {
                    "id": f"hours-{world.here}-{day}",
                    "weekday": day,
                    "opens": "08:30:00",
                    "closes": "17:00:00",
                    "passesMidnight": False,
                }
                for day in range(1, 6)
            ],
            "callFlow": {
                "kind": "IVR",
                "greeting": "Thank you for calling Acme Medical. Press 1 for reception, 2 to leave a message.",
                "timeoutSeconds": 8,
                "retries": 2,
                "revision": 1,
                "directTargets": [],
                "options": [
                    {"digit": "1", "target": {**reception, "externalNumber": None, "externalNumberE164": None}},
                    {
                        "digit": "2",
                        "target": {
                            "kind": "VOICEMAIL",
                            "extension": None,
                            "externalNumber": None,
                            "externalNumberE164": None,
                        },
                    },
                ],
                "timeoutTarget": reception,
                "invalidTarget": {"kind": "HANG_UP", "extension": None},
            },
        }
    }


STORY = """
query Story($id: ID!) {
  location(id: $id) {
    session {
      id currentStep startedAt lastSavedAt submittedAt submittedBy { id name role email signInStatus } closedAt revision
      completeness { section complete } progress location { id }
    }
    approvals {
      id locationRevision digest reviewStatus requestedAt requestedBy { id } decidedAt decidedBy { id } comment
      selfApproved location { id }
    }
    overrides { id editableSections reason ticket openedAt openedBy { id } expiresAt endedAt location { id } }
    payloads { ...Handed }
    livePayload { ...Handed }
    auditLog {
      id chain chainAccountId chainNumber action outcome code deniedField actor { id } actorRole requestId
      clientRequestId statedReason statedReasonState occurredAt override { id } isOverride
      changes { nodes { table rowId field before beforeState after afterState } }
    }
  }
}
fragment Handed on ProvisioningPayload {
  id locationId accountId sequence version state document documentDigest contentDigest locationRevision generatedAt
  generatedBy { id } releasedAt releasedBy { id } supersededBy { id } withdrawnReason
  live test updatedAt
  recipients {
    user { id } partnerPurpose required live receipt { id } waivedAt waivedBy { id } waivedReason decommissionedAt
  }
  receipts { id answer documentDigest receivedAt receivedBy { id } reasons { path code message } }
  sourceAccount { id } sourceLocation { id }
}
"""


async def test_a_lead_reads_the_whole_story_of_a_location(client: Client, world: World) -> None:
    answer = await client.ask(STORY, LEAD, id=world.here)
    ids, lead, here = world.ids[world.here], {"id": "user-lead"}, {"location": {"id": world.here}}
    recipient = {
        "user": {"id": world.partner},
        "partnerPurpose": "CARRIER",
        "required": True,
        "live": False,
        "waivedAt": None,
        "waivedBy": None,
        "waivedReason": None,
        "decommissionedAt": None,
    }
    released = {
        "id": ids["ProvisioningPayload"],
        "locationId": world.here,
        "accountId": world.account,
        "sequence": 2,
        "version": "1.0.0",
        "state": "RELEASED",
        "document": {"locationId": world.here, "version": "1.0.0"},
        "documentDigest": "d" * 64,
        "contentDigest": "c" * 64,
        "locationRevision": 1,
        "generatedAt": "2024-01-10T14:02:00.000000Z",
        "generatedBy": lead,
        "releasedAt": "2024-01-10T15:00:00.000000Z",
        "releasedBy": lead,
        "supersededBy": None,
        "withdrawnReason": None,
        "live": False,
        "test": False,
        "updatedAt": "2024-01-10T15:00:00.000000Z",
        "recipients": [{**recipient, "receipt": None}],
        "receipts": [],
        "sourceAccount": {"id": world.account},
        "sourceLocation": {"id": world.here},
    }
    acknowledged = {
        **released,
        "id": answer.data["location"]["livePayload"]["id"],
        "sequence": 1,
        "state": "ACKNOWLEDGED",
        "generatedAt": "2024-01-10T14:01:00.000000Z",
        "live": True,
        "updatedAt": "2024-01-10T15:00:00.000000Z",
        "recipients": [{**recipient, "live": True, "receipt": {"id": ids["Receipt"]}}],
        "receipts": [
            {
                "id": ids["Receipt"],
                "answer": "ACKNOWLEDGED",
                "documentDigest": "d" * 64,
                "receivedAt": "2024-01-10T16:00:00.000000Z",
                "receivedBy": {"id": world.partner},
                "reasons": [],
            }
        ],
    }
    sections = (
        "CALL_FLOW",
        "CONTACTS",
        "DEVICES",
        "EXTENSIONS",
        "LOCATION",
        "PEOPLE",
        "PHONE_SYSTEM",
        "WORKING_HOURS",
    )
    assert answer.data == {
        "location": {
            "session": {
                "id": f"session-{world.here}",
                "currentStep": "CALL_FLOW",
                "startedAt": "2024-01-10T12:00:00.000000Z",
                "lastSavedAt": "2024-01-10T12:00:00.000000Z",
                "submittedAt": "2024-01-10T12:00:00.000000Z",
                "submittedBy": {
                    **lead,
                    "name": "Lena Ortiz",
                    "role": "IMPLEMENTATION_LEAD",
                    "email": "lead@turnup.example",
                    "signInStatus": "ACTIVE",
                },
                "closedAt": None,
                "revision": 1,
                "completeness": [{"section": section, "complete": True} for section in sections],
                "progress": 100,
                **here,
            },
            "approvals": [
                {
                    "id": ids["Approval"],
                    "locationRevision": 1,
                    "digest": "a" * 64,
                    "reviewStatus": "APPROVED",
                    "requestedAt": "2024-01-10T12:00:00.000000Z",
                    "requestedBy": lead,
                    "decidedAt": "2024-01-10T13:00:00.000000Z",
                    "decidedBy": lead,
                    "comment": "All well.",
                    "selfApproved": False,
                    **here,
                }
            ],
            "overrides": [
                {
                    "id": ids["Override"],
                    "editableSections": ["DEVICES", "CONTACTS"],
                    "reason": "The phones were swapped on site.",
                    "ticket": "OPS-7",
                    "openedAt": "2024-01-10T12:00:00.000000Z",
                    "openedBy": lead,
                    "expiresAt": "2024-01-10T13:00:00.000000Z",
                    "endedAt": "2024-01-10T12:30:00.000000Z",
                    **here,
                }
            ],
            "payloads": [released, acknowledged],
            "livePayload": acknowledged,
            "auditLog": [
                {
                    "id": ids["AuditEntry"],
                    "chain": "ACCOUNT",
                    "chainAccountId": world.account,
                    "chainNumber": 1,
                    "action": "EDIT_DEVICE",
                    "outcome": "APPLIED",
                    "code": None,
                    "deniedField": None,
                    "actor": lead,
                    "actorRole": "IMPLEMENTATION_LEAD",
                    "requestId": f"request-{world.here}",
                    "clientRequestId": f"client-{world.here}",
                    "statedReason": "The phones were swapped on site.",
                    "statedReasonState": "PRESENT",
                    "occurredAt": "2024-01-10T17:00:00.000000Z",
                    "override": {"id": ids["Override"]},
                    "isOverride": True,
                    "changes": {
                        "nodes": [
                            {
                                "table": "DEVICE",
                                "rowId": f"device-{world.here}",
                                "field": "label",
                                "before": "Reception",
                                "beforeState": "PRESENT",
                                "after": "Front desk",
                                "afterState": "PRESENT",
                            },
                            {
                                "table": "DEVICE",
                                "rowId": f"device-{world.here}",
                                "field": "voicemail",
                                "before": None,
                                "beforeState": "ABSENT",
                                "after": True,
                                "afterState": "PRESENT",
                            },
                        ]
                    },
                }
            ],
        }
    }


async def test_what_was_never_filled_in_is_null_or_empty(client: Client) -> None:
    answer = await client.ask(
        """{ location(id: "location-12") {
          address { line1 country } timezone contacts { id } phoneSystem { revision } devices { id } people { id }
          extensions { id } workingHours { id } callFlow { kind } session { id } approvals { id } overrides { id }
          payloads { id } livePayload { id } auditLog { id } } }"""
    )
    empty: list[str] = []
    assert answer.data == {
        "location": {
            "address": {"line1": None, "country": None},
            "timezone": None,
            "contacts": empty,
            "phoneSystem": None,
            "devices": empty,
            "people": empty,
            "extensions": empty,
            "workingHours": empty,
            "callFlow": None,
            "session": None,
            "approvals": empty,
            "overrides": empty,
            "payloads": empty,
            "livePayload": None,
            "auditLog": empty,
        }
    }


async def test_a_call_flow_that_rings_at_once_names_its_extensions_in_order(client: Client) -> None:
    answer = await client.ask(
        '{ location(id: "location-4") { callFlow { kind directTargets { number } options { digit } '
        "timeoutTarget { kind } invalidTarget { kind } } } }"
    )
    flow = {"kind": "DIRECT", "directTargets": [{"number": "2001"}, {"number": "2002"}], "options": []}
    assert answer.data == {"location": {"callFlow": {**flow, "timeoutTarget": None, "invalidTarget": None}}}


NODE_TYPES = (
    "Account",
    "User",
    "Location",
    "OnboardingSession",
    "Contact",
    "Device",
    "Person",
    "Extension",
    "WorkingHours",
    "Approval",
    "Override",
    "LocationPartner",
    "PayloadRecipient",
    "ProvisioningPayload",
    "Receipt",
    "AuditEntry",
    "DeviceModel",
    "UserSession",
    "ServiceToken",
    "Invitation",
)


@pytest.mark.parametrize("type_name", NODE_TYPES)
async def test_a_node_of_each_type_is_found_by_its_id_alone(client: Client, world: World, type_name: str) -> None:
    wanted = world.ids[world.here][type_name]
    answer = await client.ask("query($id: ID!) { node(id: $id) { __typename id } }", LEAD, id=wanted)
    assert answer.data == {"node": {"__typename": type_name, "id": wanted}}


async def test_the_node_types_are_all_that_the_schema_has(client: Client) -> None:
    answer = await client.ask('{ __type(name: "Node") { possibleTypes { name } } }')
    assert sorted(each["name"] for each in answer.data["__type"]["possibleTypes"]) == sorted(NODE_TYPES)


@pytest.mark.parametrize(
    ("field", "type_name"),
    [
        ("account", "Account"),
        ("location", "Location"),
        ("onboardingSession", "OnboardingSession"),
        ("provisioningPayload", "ProvisioningPayload"),
    ],
)
async def test_an_object_has_a_root_field_of_its_own(client: Client, world: World, field: str, type_name: str) -> None:
    wanted = world.ids[world.here][type_name]
    answer = await client.ask(f"query($id: ID!) {{ {field}(id: $id) {{ __typename id }} }}", LEAD, id=wanted)
    assert answer.data == {field: {"__typename": type_name, "id": wanted}}


async def test_an_id_of_another_type_is_missing(client: Client) -> None:
    answer = await client.ask('{ location(id: "account-1") { id } }')
    assert (answer.body["data"], answer.codes) == ({"location": None}, ["NOT_FOUND"])


async def test_ids_are_compared_to_the_letter(client: Client) -> None:
    answer = await client.ask('{ location(id: "Location-1") { id } }')
    assert (answer.body["data"], answer.codes) == ({"location": None}, ["NOT_FOUND"])


async def test_the_same_relation_under_several_names_and_through_fragments_is_the_same(client: Client) -> None:
    answer = await client.ask(
        """{ location(id: "location-1") { first: devices { id } ...More ... on Node { id } again: devices { ...D } } }
        fragment More on Location { devices { label } devices { id location { devices { id } } } }
        fragment D on Device { id }"""
    )
    phone = {"id": "phone-1"}
    assert answer.data == {
        "location": {
            "first": [phone],
            "devices": [{"label": "Reception", **phone, "location": {"devices": [phone]}}],
            "id": "location-1",
            "again": [phone],
        }
    }
