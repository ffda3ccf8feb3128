"""The whole path over HTTP with real tokens: from a customer's edit to a partner's receipt."""

import hashlib
import json

from tests.harness import CUSTOMER, LEAD, PARTNER, Client

LOCATION = "location-1"

EDIT = """
mutation Edit($device: ID!, $revision: Int!, $label: String) {
  editDevice(input: {deviceId: $device, expectedRevision: $revision, label: $label}) {
    device { label revision } location { status revision } problems { __typename code message path }
  }
}
"""
SUBMIT = """
mutation { submitOnboarding(input: {locationId: "location-1"}) {
  location { status session { submittedBy { name } } } approval { reviewStatus digest }
  problems { code ... on NotReady { issues { code path } } } } }
"""
REVIEW = '{ review(locationId: "location-1") { revision digest changes { path after } request { id reviewStatus } } }'
APPROVE = """
mutation Approve($digest: String!) {
  approve(input: {locationId: "location-1", expectedDigest: $digest, comment: "Looks good"}) {
    location { status } approval { reviewStatus digest comment decidedBy { name } } problems { code message }
  }
}
"""
GENERATE = """
mutation { generatePayload(input: {locationId: "location-1", idempotencyKey: "story-generate"}) {
  payload { id state sequence document documentDigest } replayed problems { code message } } }
"""
TRIGGER = """
mutation { triggerProvisioning(input: {locationId: "location-1", idempotencyKey: "story-trigger"}) {
  location { status } payload { state } problems { code message } } }
"""
POLL = """
{ provisioningPayloads(filter: {awaitingReceipt: true, locationId: "location-1"}) {
  nodes { id state document documentDigest } } }
"""
ACKNOWLEDGE = """
mutation Acknowledge($id: ID!, $digest: String!) {
  acknowledgePayload(input: {payloadId: $id, documentDigest: $digest, idempotencyKey: "story-ack"}) {
    payload { state } receipt { answer receivedBy { name } } problems { code message }
  }
}
"""


async def test_from_a_customers_edit_to_a_partners_receipt(own_client: Client) -> None:
    before = await own_client.ask('{ node(id: "phone-1") { ... on Device { revision } } }', CUSTOMER)
    revision = before.data["node"]["revision"]
    edited = await own_client.ask(EDIT, CUSTOMER, device="phone-1", revision=revision, label="Front desk")
    assert edited.data["editDevice"]["problems"] == []
    assert edited.data["editDevice"]["device"] == {"label": "Front desk", "revision": revision + 1}

    submitted = (await own_client.ask(SUBMIT, CUSTOMER)).data["submitOnboarding"]
    assert submitted["problems"] == []
    assert submitted["location"] == {
        "status": "PENDING_APPROVAL",
        "session": {"submittedBy": {"name": "Alice Johnson"}},
    }

    review = (await own_client.ask(REVIEW, LEAD)).data["review"]
    assert review["digest"] == submitted["approval"]["digest"]
    assert {"path": "/devices/phone-1/label", "after": "Front desk"} in review["changes"]

    approved = (await own_client.ask(APPROVE, LEAD, digest=review["digest"])).data["approve"]
    assert approved == {
        "location": {"status": "APPROVED"},
        "approval": {
            "reviewStatus": "APPROVED",
            "digest": review["digest"],
            "comment": "Looks good",
            "decidedBy": {"name": "Lena Ortiz"},
        },
        "problems": [],
    }

    generated = (await own_client.ask(GENERATE, LEAD)).data["generatePayload"]
    assert (generated["problems"], generated["payload"]["state"]) == ([], "GENERATED")
    assert (await own_client.ask(POLL, PARTNER)).data["provisioningPayloads"]["nodes"] == []
    again = (await own_client.ask(GENERATE, LEAD)).data["generatePayload"]
    assert again == {**generated, "replayed": True}

    triggered = (await own_client.ask(TRIGGER, LEAD)).data["triggerProvisioning"]
    assert triggered == {"location": {"status": "PROVISIONING"}, "payload": {"state": "RELEASED"}, "problems": []}

    (payload,) = (await own_client.ask(POLL, PARTNER)).data["provisioningPayloads"]["nodes"]
    digest = hashlib.sha256(as_rfc_8785(payload["document"])).hexdigest()
    assert digest == payload["documentDigest"]
    acknowledged = await own_client.ask(ACKNOWLEDGE, PARTNER, id=payload["id"], digest=digest)
    assert acknowledged.data["acknowledgePayload"] == {
        "payload": {"state": "ACKNOWLEDGED"},
        "receipt": {"answer": "ACKNOWLEDGED", "receivedBy": {"name": "Carrier One"}},
        "problems": [],
    }

    done = await own_client.ask('{ location(id: "location-1") { status livePayload { id } } }', LEAD)
    assert done.data["location"] == {"status": "COMPLETED", "livePayload": {"id": payload["id"]}}
    late = await own_client.ask(EDIT, CUSTOMER, device="phone-1", revision=revision + 1, label="Too late")
    assert late.data["editDevice"] == {
        "device": None,
        "location": None,
        "problems": [
            {
                "__typename": "Locked",
                "code": "LOCKED",
                "message": "The location is locked because its status is COMPLETED. "
                "An implementation lead can open an override.",
                "path": [],
            }
        ],
    }


def as_rfc_8785(document: object) -> bytes:
    """What a partner would write: the document has text, whole numbers, booleans and nulls only."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
