"""What leads write for each other is read by nobody else, and what they write for customers or partners by those alone.

The test puts a word of its own into each text that leads can give with a mutation of a location, from each status, and
reads everything that a customer and a partner can reach, and the answers to every mutation that they may use.
"""

from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type, is_required_argument

from app.domain.vocabulary import LocationStatus, Role
from tests.permissions.walk import walked

from .inputs import OF_A_LOCATION, good_input, places_of_text, with_text
from .scenario import GRAPHQL, Rollout, Scenario, document
from .test_erasing import everything_of

S = LocationStatus

# The texts of mutations that only leads use, by the name of the field.
INTERNAL = {"reason", "ticket"}
FOR_CUSTOMER = {"reasonForCustomer", "comment"}
FOR_PARTNER = {"reasonForPartner"}
EXPLAINING = INTERNAL | FOR_CUSTOMER | FOR_PARTNER
STATES = [
    *((status, False) for status in S),
    *((status, True) for status in sorted(set(S) - {S.NOT_STARTED, S.COMPLETED})),  # a partner runs an earlier payload
]
WALK = walked(GRAPHQL)
TOGETHER = 10
"""The number of queries per request."""


def may_use(role: Role) -> list[str]:
    """The mutations of a location that a role may use."""
    return [each for each in OF_A_LOCATION if role in WALK.roles_at_field[f"Mutation.{each}"]]


def texts(mutation: str) -> list[str]:
    """The names of the texts that a mutation of leads takes."""
    return [str(place[0]) for place in places_of_text(mutation) if len(place) == 1]


# Leads alone give these, so what they say is not content; confirming a decommissioning is for partners as well.
EXPLAINED = [each for each in may_use(Role.IMPLEMENTATION_LEAD) if set(texts(each)) & (EXPLAINING)]


def test_every_text_that_only_leads_give_is_internal_or_for_somebody() -> None:
    leads = {each for each in may_use(Role.IMPLEMENTATION_LEAD) if each not in may_use(Role.CUSTOMER)}
    content = {"label", "model", "macAddress", "serialNumber"}  # of a device that a lead replaces
    named = {name for each in leads for name in texts(each)} - content - {"documentDigest"}
    assert named == EXPLAINING


# Everything that a viewer can read


def leaves(kind: GraphQLObjectType) -> str:
    return " ".join(
        name
        for name, field in kind.fields.items()
        if is_leaf_type(get_named_type(field.type)) and not any(map(is_required_argument, field.args.values()))
    )


def queries(root: str, role: Role) -> Iterator[str]:
    """Selections that reach each field of each type that a role reaches from a type, by a shortest way.

    Fields that are kept from the role are asked for as well.
    """
    seen, pending = {root}, deque([(root, "%s")])
    while pending:
        name, around = pending.popleft()
        kind = GRAPHQL.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        yield around % f"__typename {leaves(kind)}"
        for field, each in kind.fields.items():
            target = get_named_type(each.type)
            if is_leaf_type(target) or any(map(is_required_argument, each.args.values())):
                continue
            for found in GRAPHQL.get_possible_types(target) if target.name in {"Node", "Problem"} else [target]:
                inner = f"{field} {{ %s }}" if found is target else f"{field} {{ ... on {found.name} {{ %s }} }}"
                if found.name not in seen:
                    seen.add(found.name)
                    pending.append((found.name, around % inner))
                elif role in WALK.roles_at_field[f"{name}.{field}"]:
                    yield around % (inner % f"__typename {leaves(found)}")


async def read(scenario: Scenario, who: str, role: Role, location: Rollout) -> str:
    """The answers to every query about a location, or about its payloads for a partner."""
    roots = [("Location", f'location(id: "{location.id}") {{ %s }}')]
    if role is Role.PARTNER:
        rows = await scenario.connection.fetch(
            "SELECT id FROM turnup.provisioning_payload WHERE location_id = $1", location.id
        )
        roots = [
            ("ProvisioningPayload", f'node(id: "{row["id"]}") {{ ... on ProvisioningPayload {{ %s }} }}')
            for row in rows
        ]
    asked = [around % query for root, around in roots for query in queries(root, role)]
    values = "changes(first: 100) { nodes { before after } }"
    asked += [
        f'readiness(locationId: "{location.id}") {{ path message fix }}',
        f'review(locationId: "{location.id}") {{ changes {{ path before after }} request {{ comment }} }}',
        f'auditLog(filter: {{locationId: "{location.id}"}}) {{ nodes {{ statedReason {values} }} }}',
        f'provisioningPayloads(filter: {{locationId: "{location.id}"}}) {{ nodes {{ withdrawnReason document }} }}',
    ]
    texts = []
    for start in range(0, len(asked), TOGETHER):
        part = " ".join(f"a{place}: {query}" for place, query in enumerate(asked[start : start + TOGETHER]))
        answer = await scenario.client.ask(f"{{ {part} }}", who)
        assert answer.status == 200, answer.raw
        assert set(answer.codes) <= {"FORBIDDEN", "NOT_FOUND"}, (part, answer.body)
        texts.append(answer.raw.decode())
    return "\n".join(texts)


async def used(scenario: Scenario, who: str, role: Role, location: Rollout) -> str:
    """The answers to every mutation that a role may use."""
    texts = []
    for mutation in may_use(role):
        given = good_input(mutation, location, location)
        given |= {name: scenario.partner for name in given if name == "userId"}
        texts.append((await scenario.client.ask(document(mutation), who, input=given)).raw.decode())
    return "\n".join(texts)


class Words:
    """The words that were written, with the name of the text: each is in one text only."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.accepted: list[tuple[str, str]] = []

    def put(self, mutation: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """The input with words in its texts, and the words by name."""
        words = {name: f"Word{next(self.numbers)}Of{name}" for name in texts(mutation) if name in EXPLAINING}
        for name, word in words.items():
            given = with_text(given, (name,), word)
        return given, words

    def not_for(self, role: Role) -> list[str]:
        """The accepted words that are not for a role."""
        own = {Role.CUSTOMER: FOR_CUSTOMER, Role.PARTNER: FOR_PARTNER}[role]
        return [word for name, word in self.accepted if name not in own]


@pytest.mark.parametrize("mutation", EXPLAINED)
async def test_the_words_of_leads_are_read_by_those_whom_they_are_for(scenario: Scenario, mutation: str) -> None:
    words = Words()
    for status, live in STATES:
        location = await scenario.a_location(status, live=live)
        given, put = words.put(mutation, good_input(mutation, location, location))
        given |= {name: scenario.partner for name in given if name == "userId"}
        given |= {name: {"allRecipients": True} for name in given if name == "onBehalfOf"}
        await scenario.client.ask(document(mutation), scenario.lead, input=given)
        stored = await everything_of(scenario, location)
        accepted = [(name, word) for name, word in put.items() if word in stored]
        if accepted:
            words.accepted += accepted
            for who, role in ((scenario.customer, Role.CUSTOMER), (scenario.partner, Role.PARTNER)):
                text = await read(scenario, who, role, location) + await used(scenario, who, role, location)
                assert [word for word in words.not_for(role) if word in text] == [], (role, status)
    assert words.accepted


def test_the_walk_reaches_all_types_with_reasons() -> None:
    for role, wanted in (
        (Role.CUSTOMER, {"statusReason {", "readiness {", "approvals {"}),
        (Role.IMPLEMENTATION_LEAD, {"statusReason {", "withdrawnReason", "recipients {", "overrides {", "auditLog {"}),
    ):
        asked = " ".join(queries("Location", role))
        assert {each for each in wanted if each not in asked} == set()
    asked = " ".join(queries("ProvisioningPayload", Role.PARTNER))
    assert all(each in asked for each in ("statusChange {", "withdrawnReason", "receipts {", "supersededBy {"))
