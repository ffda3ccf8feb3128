"""Every decision about a viewer asks the policy, which knows the role and what a service token leaves of it."""

import ast
from collections.abc import Iterator

import pytest

from .sources import ROOT, imported_names, product_files

POLICY = "permissions/policy.py"
# What decides by role alone, for everybody with the role.
BY_ROLE_ALONE = {"allows", "MATRIX"}
# Who the viewer is, which no service token changes, and not what the viewer may do.
WHO_THE_VIEWER_IS = {
    "app/expiring_tokens.py fields_for": "an event of the log names the role",
    "app/operations/current_viewer.py as_now": "an event of the log names the role",
    "app/operations/event_log.py emit_attempt": "an event of the log names the role",
    "app/operations/set_accepted_payload_versions.py _partner": "a partner names itself only",
    "graphql_schema/authorisation.py authorise": "an event of the log names the role",
    "graphql_schema/authorisation.py check_identity": "the role that headers claim is compared",
    "graphql_schema/incidents.py incidents_in": "an event of the log names the role",
    "graphql_schema/incidents.py incidents_of": "an event of the log names the role",
    "graphql_schema/service.py _summarised": "operators see who sent a request",
    "graphql_schema/service.py denials": "an event of the log names the role",
    "graphql_schema/service.py facts": "reports and log lines of a bug name who sent the request",
    "resolvers/computed_fields.py live": "a partner sees its own part of a payload",
    "resolvers/computed_fields.py live_of_all": "a partner sees its own part of a payload",
    "resolvers/lists.py _awaiting_receipt": "a partner filters by its own receipts",
    "resolvers/viewer.py accepted_payload_versions": "a partner has payload versions of its own",
    "resolvers/viewer.py account_of_customer": "a customer works for one account",
}


def roles_read(tree: ast.AST, function: str = "") -> Iterator[str]:
    """Yield the name of the function around each `viewer.role`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from roles_read(node, node.name)
            continue
        if isinstance(node, ast.Attribute) and node.attr == "role" and _ends_in_viewer(node.value):
            yield function
        yield from roles_read(node, function)


def _ends_in_viewer(value: ast.AST) -> bool:
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    return name.lstrip("_") in {"viewer", "current"}


def test_only_the_policy_asks_the_matrix_about_a_role() -> None:
    asking = {
        str(path.relative_to(ROOT))
        for path in product_files()
        for module, name in imported_names(ast.parse(path.read_text(encoding="utf-8")))
        if module == "permissions.matrix" and name in {*BY_ROLE_ALONE, None}
    }
    assert asking == {POLICY}


def test_the_role_of_a_viewer_is_read_only_to_know_who_the_viewer_is() -> None:
    reading = {
        f"{path.relative_to(ROOT)} {function}"
        for path in product_files()
        for function in roles_read(ast.parse(path.read_text(encoding="utf-8")))
        if path != ROOT / POLICY
    }
    assert reading == set(WHO_THE_VIEWER_IS)


@pytest.mark.parametrize(
    ("code", "function"),
    [
        ("def f(tx):\n    return allows(tx.viewer.role, SUBMIT)", "f"),
        ("async def f(viewer):\n    return viewer.role is LEAD", "f"),
        ("def f(self):\n    return [each for each in ROLES if each is self._viewer.role]", "f"),
        ("ROLE = info.context.viewer.role", ""),
    ],
)
def test_the_search_finds_a_decision_by_role(code: str, function: str) -> None:
    assert list(roles_read(ast.parse(code))) == [function]


def test_the_search_passes_over_the_roles_of_other_users() -> None:
    assert list(roles_read(ast.parse("def f(user):\n    return user.role, user.viewer_role"))) == []
