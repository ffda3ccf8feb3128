"""An account's own code for a site: unique within the account, in reviews, history and payloads like all content."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus
from tests.builders_db import fresh

from .scenario import Rollout, Scenario, Sent, a_key

pytestmark = pytest.mark.usefixtures("replayed")

S = LocationStatus
ROUNDS = 8
READ = "location { id siteCode revision contentDigest }"


async def coded(scenario: Scenario, location: Rollout, site_code: str | None, who: str | None = None) -> Sent:
    return await (await coding(scenario, location, site_code, who))


async def coding(
    scenario: Scenario, location: Rollout, site_code: str | None, who: str | None = None
) -> Coroutine[Any, Any, Sent]:
    """The call that gives a location a code, to be awaited with others: the revision was read before."""
    revision = (await scenario.revisions(location.id))["LOCATION"]
    given = {"locationId": location.id, "expectedRevision": revision, "siteCode": site_code}
    return scenario.send(who or scenario.customer, "updateLocation", READ, **given)


async def created(scenario: Scenario, site_code: str | None, account: str | None = None) -> Sent:
    given = {"accountId": account or scenario.account, "name": fresh("Dune Opticians"), "siteCode": site_code}
    return await scenario.send(scenario.lead, "createLocation", READ, **given)


def a_code() -> str:
    return f"Store {a_key()[:8]}"


def refused(sent: Sent) -> dict[str, object]:
    assert sent.outcome == "INVALID_INPUT", sent
    return {name: sent.problem[name] for name in ("path", "field", "rule")}


TAKEN = {"path": ["siteCode"], "field": "siteCode", "rule": "already in use"}


async def test_a_code_is_set_at_creation_changed_kept_and_emptied(scenario: Scenario) -> None:
    first = (await created(scenario, f"  {(code := a_code())}  ")).payload["location"]
    assert first["siteCode"] == code
    location = await scenario.a_location(S.IN_PROGRESS)
    assert (await coded(scenario, location, "Cafe\u0301 9")).payload["location"]["siteCode"] == "Caf\u00e9 9"
    given = {"locationId": location.id, "expectedRevision": 2, "timezone": "America/Chicago"}
    kept = await scenario.send(scenario.customer, "updateLocation", READ, **given)
    assert kept.payload["location"]["siteCode"] == "Caf\u00e9 9"
    emptied = (await coded(scenario, location, None)).payload["location"]
    assert emptied["siteCode"] is None


async def test_emptying_the_code_brings_the_digest_back(scenario: Scenario) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    assert (await coded(scenario, location, a_code())).payload["location"]["contentDigest"] != location.digest
    assert (await coded(scenario, location, None)).payload["location"]["contentDigest"] == location.digest


@pytest.mark.parametrize(
    "site_code",
    # The last seven look like "Store7" or nearly so.
    [
        "x" * 33,
        "a\u202eb",
        "a\nb",
        "a\x00b",
        "Store\u200b7",
        "Store\u00ad7",
        "Store\ufeff7",
        "Store\u034f7",
        "Store7\ufe0f",
        "Store\u31647",
        "Store\u00a07",
    ],
)
async def test_a_code_that_cannot_be_kept_is_refused_at_its_place(scenario: Scenario, site_code: str) -> None:
    location = await scenario.a_location(S.IN_PROGRESS)
    for sent in (await coded(scenario, location, site_code), await created(scenario, site_code)):
        assert refused(sent)["path"] == ["siteCode"]


@pytest.mark.parametrize(
    ("first", "second"),
    [("Store 77", "sTORE 77"), ("Stra\u00dfe 77", "STRASSE 77"), ("Caf\u00e9 77", " CAFE\u0301 77 ")],
)
async def test_a_taken_code_is_refused_without_naming_the_other_site(
    scenario: Scenario, first: str, second: str
) -> None:
    holder = await scenario.a_location(S.IN_PROGRESS)
    location = await scenario.a_location(S.IN_PROGRESS)
    assert (await coded(scenario, holder, first)).outcome == "DONE"
    for sent in (await coded(scenario, location, second), await created(scenario, second)):
        assert refused(sent) == TAKEN
        assert holder.id not in str(sent.problem)
        assert holder.content.name not in str(sent.problem)
    assert (await created(scenario, second, scenario.away)).outcome == "DONE"
    assert (await coded(scenario, holder, first.upper())).outcome == "DONE"
    assert (await coded(scenario, holder, None)).outcome == "DONE"
    assert (await coded(scenario, location, second)).outcome == "DONE"
    await coded(scenario, location, None)


async def test_of_two_who_want_a_code_at_once_one_gets_it_and_the_other_the_refusal(scenario: Scenario) -> None:
    one, other = [await scenario.a_location(S.IN_PROGRESS) for _ in range(2)]
    for number in range(ROUNDS):
        code = a_code()
        first = created(scenario, code) if number % 3 == 0 else await coding(scenario, one, code)
        second = created(scenario, code.upper()) if number % 3 < 2 else await coding(scenario, other, code.upper())
        sent = await asyncio.gather(first, second)
        assert sorted(each.outcome for each in sent) == ["DONE", "INVALID_INPUT"]
        (loser,) = (each for each in sent if each.outcome != "DONE")
        assert refused(loser) == TAKEN


async def test_two_sites_that_swap_their_codes_at_once_never_fail_inside(scenario: Scenario) -> None:
    one, other = [await scenario.a_location(S.IN_PROGRESS) for _ in range(2)]
    for _ in range(ROUNDS):
        first, second = a_code(), a_code()
        await coded(scenario, one, None)
        await coded(scenario, other, None)
        await coded(scenario, one, first)
        await coded(scenario, other, second)
        sent = await asyncio.gather(await coding(scenario, one, second), await coding(scenario, other, first))
        assert {each.outcome for each in sent} <= {"DONE", "INVALID_INPUT"}


async def test_a_code_is_reviewed_approved_handed_over_and_told_by_the_trail(scenario: Scenario) -> None:
    location = await scenario.a_location(S.APPROVED)
    before = {"locationId": location.id, "idempotencyKey": a_key()}
    plain = await scenario.send(scenario.lead, "generatePayload", "payload { id version document }", **before)
    assert (plain.payload["payload"]["id"], plain.payload["payload"]["version"]) == (location.payload, "1.0.0")
    assert "siteCode" not in plain.payload["payload"]["document"]["location"]

    override: dict[str, Any] = {
        "locationId": location.id,
        "reason": "Their new numbering of sites.",
        "expiresInMinutes": 30,
    }
    await scenario.send(scenario.lead, "openOverride", editableSections=["DEVICES"], **override)
    code = a_code()
    assert (await coded(scenario, location, code, scenario.lead)).outcome == "OVERRIDE_SCOPE"
    opened = (await scenario.record(location.id)).override
    assert opened is not None
    await scenario.send(scenario.lead, "closeOverride", overrideId=opened.id)
    await scenario.send(scenario.lead, "openOverride", editableSections=["LOCATION"], **override)
    made = await coded(scenario, location, code, scenario.lead)
    assert made.outcome == "DONE"

    outdated = {"locationId": location.id, "idempotencyKey": a_key()}
    assert (await scenario.send(scenario.lead, "generatePayload", **outdated)).outcome == "APPROVAL_OUTDATED"
    asked = f"""{{ review(locationId: "{location.id}") {{ digest changes {{ path before after }} }}
                   location(id: "{location.id}") {{
                     asOf(revision: {made.payload["location"]["revision"]}) {{ digest content }}
                     readiness {{ path }}
                     auditLog {{ action changes {{ nodes {{ table field after }} }} }} }} }}"""
    told = (await scenario.client.ask(asked, scenario.lead)).data
    assert told["review"]["changes"] == [{"path": "/location/siteCode", "before": None, "after": code}]
    digest = told["review"]["digest"]
    assert told["location"]["asOf"]["digest"] == digest
    assert told["location"]["asOf"]["content"]["location"]["siteCode"] == code
    entry = next(
        each
        for each in told["location"]["auditLog"]
        if each["action"] == "UPDATE_LOCATION" and each["changes"]["nodes"]
    )
    assert {"table": "LOCATION", "field": "site_code", "after": code} in entry["changes"]["nodes"]

    approve = {"locationId": location.id, "expectedDigest": digest}
    assert (await scenario.send(scenario.lead_2, "approve", **approve)).outcome == "DONE"
    again = {"locationId": location.id, "idempotencyKey": a_key()}
    select = "payload { version document contentDigest }"
    payload = (await scenario.send(scenario.lead, "generatePayload", select, **again)).payload["payload"]
    assert (payload["version"], payload["document"]["version"], payload["contentDigest"]) == ("1.1.0", "1.1.0", digest)
    assert payload["document"]["location"]["siteCode"] == code
    versions = await scenario.connection.fetchrow(
        """SELECT l.digest_version, (SELECT max(digest_version) FROM turnup.approval a WHERE a.location_id = l.id),
                  (SELECT max(digest_version) FROM turnup.provisioning_payload p WHERE p.location_id = l.id)
           FROM turnup.location l WHERE l.id = $1""",
        location.id,
    )
    assert tuple(versions or ()) == (2, 2, 2)
