"""The subject, the role and the account of a user change, and what belonged to the earlier ones ends."""

import asyncio
from typing import Any

import pytest

from app.domain.vocabulary import LocationStatus, Role
from tests.builders_db import a_grant, a_user, fresh
from tests.harness import granting

from .scenario import Scenario, Sent

pytestmark = pytest.mark.usefixtures("replayed")

USER = "user { id role subject confirmed grants { account { id } } acceptedPayloadVersions }"
SUBJECT = "query($id: ID!) { node(id: $id) { ... on User { subject } } }"
CHANGES = """query($request: String!) { auditLog(filter: {requestId: $request}) {
  nodes { changes { nodes { table field before after beforeState afterState } } } } }"""
LOCATIONS = "{ locations { nodes { id } } }"


async def edited(scenario: Scenario, user: str, revision: int = 1, who: str | None = None, **changes: Any) -> Sent:
    given = {"userId": user, "expectedRevision": revision, **changes}
    return await scenario.send(who or scenario.lead, "editUser", USER, **given)


async def a_person(scenario: Scenario, role: Role = Role.CUSTOMER) -> str:
    """A user of a role, with access to the account unless the role needs none."""
    async with scenario.arranging():
        account = scenario.account if role is Role.CUSTOMER else None
        user = await a_user(scenario.connection, role, account)
        if role is not Role.IMPLEMENTATION_LEAD:
            await a_grant(scenario.connection, user, scenario.account)
    return user


async def test_a_new_subject_signs_in_and_the_old_one_does_not(scenario: Scenario) -> None:
    user, subject = await a_person(scenario), fresh("subject")
    assert (await edited(scenario, user, subject=subject)).payload["user"]["subject"] == subject
    assert (await scenario.client.ask("{ viewer { user { id } } }", subject)).data == {"viewer": {"user": {"id": user}}}
    assert (await scenario.client.ask("{ viewer { name } }", user)).codes == ["UNAUTHENTICATED"]


async def test_leads_read_subjects_and_the_audit_log_withholds_them(scenario: Scenario) -> None:
    user, subject = await a_person(scenario), fresh("subject")
    answer = await edited(scenario, user, subject=subject)
    assert (await scenario.client.ask(SUBJECT, scenario.lead_2, id=user)).data["node"] == {"subject": subject}
    log = await scenario.client.ask(CHANGES, scenario.lead, request=answer.request_id)
    (entry,) = log.data["auditLog"]["nodes"]
    (change,) = [each for each in entry["changes"]["nodes"] if each["field"] == "subject"]
    assert change == {
        **dict.fromkeys(("before", "after")),
        **dict.fromkeys(("beforeState", "afterState"), "REDACTED"),
        "table": "USER",
        "field": "subject",
    }
    (makers,) = [each for each in entry["changes"]["nodes"] if each["field"] == "made_by"]
    assert makers["after"] == [scenario.lead]
    assert subject not in str(log.body)


@pytest.mark.parametrize("who", ["customer", "clerk", "partner"])
async def test_nobody_but_leads_reads_a_subject_not_even_their_own(scenario: Scenario, who: str) -> None:
    asker = getattr(scenario, who)
    answer = await scenario.client.ask(SUBJECT.replace("subject", "subject confirmed"), asker, id=asker)
    assert (answer.body["data"], answer.codes) == (
        {"node": {"subject": None, "confirmed": None}},
        ["FORBIDDEN", "FORBIDDEN"],
    )


@pytest.mark.parametrize("mutation", ["createUser", "editUser"])
async def test_two_users_cannot_have_one_subject(scenario: Scenario, mutation: str) -> None:
    user = await a_person(scenario)
    given: dict[str, Any] = {"userId": user, "expectedRevision": 1}
    if mutation == "createUser":
        given = {"name": "Uma Frost", "email": f"{fresh('other')}@dune.example", "role": "PARTNER"}
    refused = await scenario.send(scenario.lead, mutation, **given, subject=scenario.partner)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["subject"])
    assert refused.problem["rule"] == "another user has this subject of the same issuer"


async def test_of_two_users_who_get_one_subject_at_once_one_has_it(scenario: Scenario) -> None:
    users, subject = [await a_person(scenario), await a_person(scenario)], fresh("subject")
    sent = await asyncio.gather(*(edited(scenario, user, subject=subject) for user in users))
    assert sorted(each.outcome for each in sent) == ["DONE", "INVALID_INPUT"]


@pytest.mark.parametrize("subject", ["", "   ", "x" * 256, "a\u0000b"])
async def test_a_subject_that_cannot_be_is_refused_by_its_field(scenario: Scenario, subject: str) -> None:
    refused = await edited(scenario, await a_person(scenario), subject=subject)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", ["subject"])


@pytest.mark.parametrize(("field", "value"), [("subject", "another"), ("role", "PARTNER"), ("role", "CUSTOMER")])
async def test_nobody_changes_their_own_subject_or_role(scenario: Scenario, field: str, value: str) -> None:
    lead = await a_person(scenario, Role.IMPLEMENTATION_LEAD)
    given: dict[str, Any] = {field: value} | ({"accountId": scenario.account} if value == "CUSTOMER" else {})
    refused = await edited(scenario, lead, who=lead, **given)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", [field])
    assert "another lead" in refused.problem["message"]
    same: dict[str, Any] = {"subject": lead, "role": "IMPLEMENTATION_LEAD", "name": "Lena Ortiz"}
    assert (await edited(scenario, lead, who=lead, **same)).outcome == "DONE"


async def test_a_customer_of_another_account_sees_nothing_until_granted(scenario: Scenario) -> None:
    user = await a_person(scenario)
    await scenario.a_location(LocationStatus.IN_PROGRESS)
    assert (await scenario.client.ask(LOCATIONS, user)).data["locations"]["nodes"]
    answer = await edited(scenario, user, accountId=scenario.away)
    assert (answer.payload["user"]["grants"], answer.payload["user"]["confirmed"]) == ([], True)
    assert (await scenario.client.ask(LOCATIONS, user)).data["locations"]["nodes"] == []
    grants = [granting(scenario.account)]
    refused = await scenario.send(scenario.lead, "setGrants", userId=user, expectedRevision=2, grants=grants)
    assert refused.outcome == "INVALID_INPUT", "the grants are those of the new account"


@pytest.mark.parametrize("to", list(Role))
@pytest.mark.parametrize("role", list(Role))
async def test_a_role_changes_to_every_other_and_takes_the_grants_along(
    scenario: Scenario, role: Role, to: Role
) -> None:
    user = await a_person(scenario, role)
    stated: dict[Role, dict[str, Any]] = {
        Role.CUSTOMER: {"accountId": scenario.account},
        Role.IMPLEMENTATION_LEAD: {"allAccounts": True},
    }
    answer = await edited(scenario, user, role=to.value, **stated.get(to, {}))
    assert answer.payload["user"]["role"] == to
    assert answer.payload["user"]["confirmed"] is (role is to)
    if role is not to:
        assert answer.payload["user"]["grants"] == []
    viewer = await scenario.client.ask("{ viewer { role } }", user)
    assert viewer.data == {"viewer": {"role": to}}


async def test_what_a_partner_stated_ends_with_the_role(scenario: Scenario) -> None:
    user = await a_person(scenario, Role.PARTNER)
    stated = await scenario.send(user, "setAcceptedPayloadVersions", versions=["1.0.0"])
    assert stated.outcome == "DONE"
    assert (await edited(scenario, user, role="IMPLEMENTATION_LEAD", allAccounts=False)).outcome == "DONE"
    answer = await edited(scenario, user, 2, role="PARTNER")
    assert answer.payload["user"]["acceptedPayloadVersions"] == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize(
    ("role", "changes", "path"),
    [
        (Role.PARTNER, {"role": "CUSTOMER"}, "accountId"),
        (Role.CUSTOMER, {"accountId": None}, "accountId"),
        (Role.PARTNER, {"accountId": "its"}, "accountId"),
        (Role.CUSTOMER, {"role": "IMPLEMENTATION_LEAD", "accountId": "its"}, "accountId"),
    ],
)
async def test_customers_have_an_account_and_others_none(
    scenario: Scenario, role: Role, changes: dict[str, Any], path: str
) -> None:
    user = await a_person(scenario, role)
    given = {**changes, **({"accountId": scenario.account} if changes.get("accountId") else {})}
    refused = await edited(scenario, user, **given)
    assert (refused.outcome, refused.problem["path"]) == ("INVALID_INPUT", [path])


async def test_an_account_that_is_not_there_is_not_found(scenario: Scenario) -> None:
    assert (await edited(scenario, await a_person(scenario), accountId="account-none")).outcome == "NOT_FOUND"


async def test_a_lead_who_becomes_a_customer_edits_nothing_under_the_override_that_it_opened(
    scenario: Scenario,
) -> None:
    user = await a_person(scenario, Role.IMPLEMENTATION_LEAD)
    location = await scenario.a_location(LocationStatus.APPROVED, override_of=user)
    assert (await edited(scenario, user, role="CUSTOMER", accountId=scenario.account)).outcome == "DONE"
    grants = [granting(scenario.account)]
    granted = await scenario.send(scenario.lead, "setGrants", userId=user, expectedRevision=2, grants=grants)
    assert granted.outcome == "DONE"
    given: dict[str, Any] = {"deviceId": location.device, "expectedRevision": 1, "label": "Mine"}
    assert (await scenario.send(user, "editDevice", **given)).outcome == "LOCKED"
    closed = await scenario.send(scenario.lead, "closeOverride", overrideId=location.override)
    assert closed.outcome == "DONE"


@pytest.mark.parametrize(("field", "second"), [("role", "FORBIDDEN"), ("subject", "USER_UNCONFIRMED")])
async def test_of_two_leads_who_change_each_other_at_once_one_prevails(
    scenario: Scenario, field: str, second: str
) -> None:
    for _ in range(6):
        leads = [await a_person(scenario, Role.IMPLEMENTATION_LEAD) for _ in range(2)]
        values: list[dict[str, Any]] = [{"role": "PARTNER"} if field == "role" else {field: fresh("a")} for _ in leads]
        sent = await asyncio.gather(
            edited(scenario, leads[1], who=leads[0], **values[0]), edited(scenario, leads[0], who=leads[1], **values[1])
        )
        assert sorted(each.outcome for each in sent) in (sorted(["DONE", second]), ["DONE", "UNAUTHENTICATED"])
