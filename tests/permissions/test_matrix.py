"""The permission matrix, row by row as it was agreed on."""

import pytest

from app.domain.vocabulary import Role
from permissions.matrix import AUDIENCE, MATRIX, Action, allows

# C: customers, L: implementation leads, P: partners, A: auditors.
AGREED = """
VIEW_LOCATIONS          C L - -
VIEW_ALL_LOCATIONS      - L - -
EDIT_ONBOARDING         C L - -
EDIT_ANY_ONBOARDING     - L - -
OVERRIDE_LOCK           - L - -
SUBMIT                  C L - -
WITHDRAW                C L - -
APPROVE                 - L - -
REQUEST_CHANGES         - L - -
VIEW_PROVISIONING       - L P -
VIEW_ALL_PROVISIONING   - L - -
GENERATE_PAYLOAD        - L - -
TRIGGER_PROVISIONING    - L - -
VIEW_INTERNAL_REASONS   - L - -
VIEW_AUDIT              - L - A
VIEW_ALL_AUDIT          - L - A
ACKNOWLEDGE             - - P -
REJECT                  - - P -
WAIVE_RECEIPT           - L - -
CONFIRM_DECOMMISSION    - L P -
ASSIGN_PARTNERS         - L - -
VIEW_ACCEPTED_VERSIONS  - L P -
SET_ACCEPTED_VERSIONS   - L P -
RUN_BULK                - L - -
BLOCK                   - L - -
UNBLOCK                 - L - -
CANCEL                  - L - -
REOPEN                  - L - -
COMPLETE                - L - -
VIEW_ACCOUNTS           C L P -
VIEW_CATALOGUE          C L - -
VIEW_USERS              C L P A
MANAGE_OWN_SESSIONS     C L P A
CREATE_LOCATIONS        - L - -
ADMINISTER              - L - -
"""
ROWS = [line.split() for line in AGREED.strip().splitlines()]
ROLES = {"C": Role.CUSTOMER, "L": Role.IMPLEMENTATION_LEAD, "P": Role.PARTNER, "A": Role.AUDITOR}


@pytest.mark.parametrize(("action", "letters"), [(row[0], row[1:]) for row in ROWS])
def test_an_action_is_for_the_roles_agreed_on_and_nobody_else(action: str, letters: list[str]) -> None:
    agreed = {ROLES[letter] for letter in letters if letter != "-"}
    assert {role for role in Role if allows(role, Action(action))} == agreed


def test_every_action_was_agreed_on() -> None:
    assert [row[0] for row in ROWS] == [action.value for action in Action]


@pytest.mark.parametrize("role", Role)
def test_an_action_that_the_matrix_does_not_know_is_nobodys(role: Role) -> None:
    assert not allows(role, "LAUNCH_ROCKETS")  # type: ignore[arg-type]


def test_every_action_stands_in_the_matrix() -> None:
    assert set(MATRIX) == set(Action)


def test_an_audience_is_an_action_that_somebody_may_take() -> None:
    assert all(MATRIX[action] for action in AUDIENCE.values())
