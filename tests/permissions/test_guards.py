"""Every path through the schema meets a guard, and no guard lets a role further than the matrix does."""

from collections.abc import Collection
from pathlib import Path

import pytest
import strawberry
from graphql import GraphQLObjectType

from app.domain.vocabulary import Role
from graphql_schema.schema import schema
from graphql_schema.types import AuditEntryType, DeviceType, Node, ProvisioningPayloadType
from permissions.guards import JUDGES_EACH_ID, Can, CanViewTypeOfId, can, guarded
from permissions.matrix import AUDIENCE, NEEDS_ALL_ACCOUNTS, Action
from permissions.policy import actions_of_token

from .walk import guards_of, walked

OPEN_FIELDS = {
    line for line in (Path(__file__).parent / "open_fields.txt").read_text().splitlines() if not line.startswith("#")
}
# Fields that fewer roles see than see the object.
LEADS = {Role.IMPLEMENTATION_LEAD}
WHO_SEES = {
    "User.email": LEADS,
    "User.allAccounts": LEADS,
    "User.confirmed": LEADS,
    "User.subject": LEADS,
    "User.issuer": LEADS,
    "User.signInStatus": LEADS,
    "User.grants": LEADS,
    "User.acceptedPayloadVersions": {Role.IMPLEMENTATION_LEAD, Role.PARTNER},
    "StatusChange.reasonForCustomer": LEADS,
    "StatusChange.reasonForPartner": LEADS,
    "ProvisioningPayload.withdrawnReason": LEADS,
    "Account.statusCounts": {Role.IMPLEMENTATION_LEAD, Role.CUSTOMER},
    "Location.hasMoreOverrides": LEADS,
    "Location.hasMorePayloads": LEADS,
    "Location.hasMoreAuditLog": LEADS,
}
BUILT = schema._schema

# Guards that repeat what the way to them already asked, in case another way is made.
REPEATED = {"ProvisioningPayload.sourceAccount", "Location.review"}


def test_only_the_listed_fields_are_reached_without_a_guard() -> None:
    assert walked(BUILT).open_fields == OPEN_FIELDS


def test_no_role_arrives_at_a_type_that_the_matrix_keeps_from_it() -> None:
    assert walked(BUILT).trespasses() == set()


def reached_by_tokens_without(action: Action, *, without: Collection[str] = ()) -> set[str]:
    """The types that need an action and that a token without it arrives at; its user and itself do not count."""
    actions = actions_of_token(frozenset(Action) - {action})
    walk = walked(BUILT, without=without, actions=actions, closed={"Viewer.user", "Viewer.session"})
    found = {name for name, roles in walk.roles_at_type.items() if roles and AUDIENCE.get(name) is action}
    return found - {"ServiceToken"}


@pytest.mark.parametrize("action", sorted(set(AUDIENCE.values())))
def test_a_token_without_an_action_arrives_at_no_type_that_needs_it(action: Action) -> None:
    assert reached_by_tokens_without(action) == set()


def test_addresses_and_rights_of_users_are_for_leads_alone() -> None:
    reached = walked(BUILT).roles_at_field
    assert {place: reached[place] for place in WHO_SEES} == WHO_SEES


def test_a_field_that_needs_access_to_all_accounts_says_so() -> None:
    described = {
        f"{name}.{key}": each.description
        for name, type_ in BUILT.type_map.items()
        if isinstance(type_, GraphQLObjectType)
        for key, each in type_.fields.items()
        if any(isinstance(guard, Can) and guard.action in NEEDS_ALL_ACCOUNTS for guard in guards_of(each))
    }
    assert described.keys() >= {
        "User.email",
        "Query.users",
        "Mutation.createAccount",
        "Mutation.setAcceptedPayloadVersions",
    }
    assert [place for place, words in described.items() if "leads of all accounts" not in str(words).lower()] == []


def test_every_node_type_has_an_audience() -> None:
    nodes = BUILT.get_possible_types(BUILT.type_map["Node"])  # type: ignore[arg-type]
    assert {each.name for each in nodes} <= set(AUDIENCE)


def test_every_type_with_an_audience_that_is_in_the_schema_is_reached_by_somebody() -> None:
    objects = {name for name, each in BUILT.type_map.items() if isinstance(each, GraphQLObjectType)}
    assert {name for name in AUDIENCE if name in objects and not walked(BUILT).roles_at_type[name]} == set()


@pytest.mark.parametrize("place", sorted(walked(BUILT).guarded_fields - REPEATED))
def test_a_guard_that_goes_missing_is_noticed(place: str) -> None:
    walk = walked(BUILT, without={place})
    leaked = {each for each, roles in WHO_SEES.items() if walk.roles_at_field[each] != roles}
    of_tokens = (reached_by_tokens_without(action, without={place}) for action in actions_that_guard(place))
    assert walk.open_fields - OPEN_FIELDS or walk.trespasses() or leaked or any(of_tokens)


def actions_that_guard(place: str) -> list[Action]:
    name, _, key = place.partition(".")
    type_ = BUILT.type_map[name]
    assert isinstance(type_, GraphQLObjectType)
    return [guard.action for guard in guards_of(type_.fields[key]) if isinstance(guard, Can)]


@strawberry.type
class Leaky:
    """A root whose fields are guarded badly, each in its own way."""

    unguarded: ProvisioningPayloadType | None = None
    guarded_weakly: list[AuditEntryType] | None = strawberry.field(
        resolver=lambda: None, extensions=guarded(can(Action.VIEW_LOCATIONS))
    )
    guarded_well: list[DeviceType] | None = strawberry.field(
        resolver=lambda: None, extensions=guarded(can(Action.VIEW_LOCATIONS))
    )
    node: Node | None = strawberry.field(resolver=lambda: None, extensions=guarded(CanViewTypeOfId))
    nodes: list[Node] | None = strawberry.field(resolver=lambda: None, metadata={JUDGES_EACH_ID: True})


LEAKY = strawberry.Schema(query=Leaky)._schema


def test_the_walk_notices_a_root_field_without_a_guard() -> None:
    opened = {place for place in walked(LEAKY).open_fields if place.startswith("Leaky.")}
    assert opened == {"Leaky.unguarded"}


def test_the_walk_notices_a_guard_that_is_too_weak() -> None:
    assert ("AuditEntry", Role.CUSTOMER) in walked(LEAKY).trespasses()


def test_the_walk_follows_what_an_unguarded_field_leads_to() -> None:
    assert "Location.devices" not in walked(LEAKY).open_fields
    assert {"ProvisioningPayload.document", "Receipt.reasons"} <= walked(LEAKY).open_fields
