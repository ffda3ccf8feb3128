"""The examples of the reference: operations of one demo user per role, in the order in which a test runs them.

`examples` has two files per role. The `.graphql` file has the operations, each after a comment that describes it. The
`.json` file has by operation name its `variables` and its `data`, the answer to it. In the variables, a text such as
`@Review.review.digest` is the value at that path in the data of an earlier operation.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from graphql import FieldNode, OperationDefinitionNode, Source, parse

from app.db.demo import USERS, DemoUser
from app.domain.vocabulary import Role

FOLDER = Path(__file__).parent / "examples"
REFERENCE_MARK = "@"
LONGEST_LINE = 88  # characters


@dataclass(frozen=True, slots=True)
class Example:
    """One operation, the demo user who sends it, its variables with references, and the answer to it."""

    user: DemoUser
    name: str
    description: str
    operation: str
    root_fields: tuple[str, ...]
    """The root fields that it selects, such as `Query.location`."""
    variables: Mapping[str, Any]
    data: Any


@cache
def examples() -> tuple[Example, ...]:
    """Return all examples by role, each role's in their order."""
    return tuple(example for role in Role for example in _of_role(role))


def resolved(variables: Any, answers: Mapping[str, Any]) -> Any:
    """Return variables with the values of their references in the answers, by operation. Raises LookupError."""
    if isinstance(variables, Mapping):
        return {name: resolved(value, answers) for name, value in variables.items()}
    if isinstance(variables, list):
        return [resolved(value, answers) for value in variables]
    if isinstance(variables, str) and variables.startswith(REFERENCE_MARK):
        value: Any = answers
        for step in variables.removeprefix(REFERENCE_MARK).split("."):
            value = value[int(step) if isinstance(value, list) else step]
        return value
    return variables


def laid_out(value: Any, *, indent: int = 0) -> str:
    """Return JSON in which an object or a list that fits is one line."""
    line = json.dumps(value, ensure_ascii=False)
    if indent + len(line) <= LONGEST_LINE or not isinstance(value, dict | list) or not value:
        return line
    inner = " " * (indent + 2)
    parts = (
        [f"{json.dumps(key)}: {laid_out(each, indent=indent + 2)}" for key, each in value.items()]
        if isinstance(value, dict)
        else [laid_out(each, indent=indent + 2) for each in value]
    )
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(inner + part for part in parts) + "\n" + " " * indent + closing


def _of_role(role: Role) -> Iterable[Example]:
    user = next(each for each in USERS if each.role is role)
    source = FOLDER.joinpath(f"{role.lower()}.graphql").read_text(encoding="utf-8")
    given = orjson.loads(FOLDER.joinpath(f"{role.lower()}.json").read_bytes())
    end = 0
    for operation in parse(Source(source, f"{role.lower()}.graphql")).definitions:
        if not isinstance(operation, OperationDefinitionNode) or not operation.name or not operation.loc:
            raise ValueError(f"the examples of {role} are named operations")
        comment = source[end : operation.loc.start]
        end = operation.loc.end
        name = operation.name.value
        root = operation.operation.value.title()
        yield Example(
            user=user,
            name=name,
            description=" ".join(line.strip("# ") for line in comment.splitlines()).strip(),
            operation=source[operation.loc.start : end],
            root_fields=tuple(
                f"{root}.{each.name.value}"
                for each in operation.selection_set.selections
                if isinstance(each, FieldNode)
            ),
            variables=given[name]["variables"],
            data=given[name]["data"],
        )
