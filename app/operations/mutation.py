"""The declaration of a mutation, which contains everything that the product knows about it.

Its GraphQL field, guard, budget, transaction, audit entries and metrics all follow from the declaration.
app/operations/registry.py lists the declarations, graphql_schema/mutations.py their fields; each is checked at import.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import Enum, unique
from typing import Generic, TypeVar

from sqlalchemy import Table

from app.db import tables
from app.domain.vocabulary import Budget
from app.operations.aggregate import Aggregate
from app.operations.commands import Command
from app.operations.context import LocationChange
from permissions.matrix import Action

DIGEST = "expected_digest"


class DeclarationError(TypeError):
    """A declaration of a mutation is wrong or missing."""


@unique
class ContentEffect(Enum):
    """The effect of a mutation on content. The rule against self-approval finds the editors by it."""

    NONE = "NONE"
    EDITS = "EDITS"
    """The user who performs it cannot approve the content afterwards."""
    SUBMITS = "SUBMITS"
    """Editors of the content are counted from the last such mutation, unless they made the user who submitted."""
    APPROVES = "APPROVES"
    """Editors of the content are counted from the last such mutation."""


@unique
class RecordedRefusals(Enum):
    """The refused attempts that are recorded in the audit log."""

    NEVER = "NEVER"
    ON_LOCKED_LOCATIONS = "ON_LOCKED_LOCATIONS"
    ALWAYS = "ALWAYS"


@unique
class Counted(Enum):
    """The metrics of a mutation, in addition to the count of transitions past a lock."""

    SUBMISSIONS = "SUBMISSIONS"
    APPROVALS = "APPROVALS"
    """With the time that each approved submission has waited."""
    OVERRIDES_OPENED = "OVERRIDES_OPENED"
    BULK_ITEMS = "BULK_ITEMS"


C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mutation(Generic[C]):
    """One mutation. `name` is its GraphQL field and its action in the audit log; the command is named after it.

    Raises DeclarationError if its parts do not match.
    """

    name: str
    command: type[C]
    action: Action
    """The action that the role of the viewer must include."""
    budget: Budget
    """The budget that a call uses."""
    content: ContentEffect
    refusals: RecordedRefusals
    counts: tuple[Counted, ...]

    def __post_init__(self) -> None:
        if self.command.__name__ != self.type_name:
            raise DeclarationError(
                f"mutation {self.name} takes the command {self.type_name}, not {self.command.__name__}"
            )

    @property
    def type_name(self) -> str:
        """The common part of the names of its types, such as StartOnboarding."""
        return self.name[0].upper() + self.name[1:]

    @property
    def input_name(self) -> str:
        """The name of its own input type, such as StartOnboardingInput."""
        return f"{self.type_name}Input"

    @property
    def payload_name(self) -> str:
        """The name of its own payload type, such as StartOnboardingPayload."""
        return f"{self.type_name}Payload"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AggregateMutation(Mutation[C]):
    """A mutation of the location that its command names by `key`: its own id, or the id of its row in `table`."""

    table: Table = tables.location
    key: str = "location_id"
    needs_reviewed_content: bool = False
    """Whether the command contains the digest of the reviewed content."""
    needs_payload_document: bool = False
    """Whether the decision reads the document of the payload that the command names."""

    def __post_init__(self) -> None:
        Mutation.__post_init__(self)
        check_field(self.name, self.command, self.key)
        check_digest(self.name, self.command, needed=self.needs_reviewed_content)
        if self.needs_payload_document and self.table is not tables.provisioning_payload:
            raise DeclarationError(f"mutation {self.name} needs a payload document, and {self.key} names no payload")

    def row_id(self, command: C) -> str:
        """The id of the row that the command names."""
        named: str = getattr(command, self.key)
        return named

    def other_location_id(self, command: C) -> str | None:  # noqa: ARG002 - most mutations have one location
        """The id of a second location that the command names; None for most mutations."""
        return None

    def reviewed_digest(self, command: C) -> str | None:
        """The digest of the reviewed content; None for mutations that need no review."""
        return getattr(command, DIGEST) if self.needs_reviewed_content else None

    def changes(self, aggregates: Sequence[Aggregate], command: C) -> tuple[LocationChange, ...]:
        """The change of each locked location, in the order in which the command names them. Raises refusals."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocationMutation(AggregateMutation[C]):
    """A mutation of one location."""

    decide: Callable[[Aggregate, C], LocationChange]
    """Takes the locked location and the command. Raises refusals."""

    def changes(self, aggregates: Sequence[Aggregate], command: C) -> tuple[LocationChange, ...]:
        """The decision about the one location."""
        return (self.decide(aggregates[0], command),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoLocationMutation(AggregateMutation[C]):
    """A mutation of the location that its command names by `key` and of the one that it names by `other_key`."""

    decide: Callable[[Aggregate, Aggregate, C], tuple[LocationChange, LocationChange]]
    other_key: str

    def __post_init__(self) -> None:
        AggregateMutation.__post_init__(self)
        check_field(self.name, self.command, self.other_key)

    def other_location_id(self, command: C) -> str | None:
        """The id of the second location."""
        named: str = getattr(command, self.other_key)
        return named

    def changes(self, aggregates: Sequence[Aggregate], command: C) -> tuple[LocationChange, ...]:
        """The decision about both locations."""
        first, second = aggregates
        return self.decide(first, second, command)


def check_field(mutation: str, command: type, name: str) -> None:
    """Raises DeclarationError unless the command has a field of this name."""
    if name not in {each.name for each in fields(command)}:
        raise DeclarationError(f"mutation {mutation} names a row by {name}, which {command.__name__} does not have")


def check_digest(mutation: str, holder: type, *, needed: bool) -> None:
    """Raises DeclarationError unless the digest field exists exactly if it is needed."""
    has = DIGEST in {each.name for each in fields(holder)}
    if has and not needed:
        raise DeclarationError(f"mutation {mutation} takes {DIGEST} and declares no need of reviewed content")
    if needed and not has:
        raise DeclarationError(f"mutation {mutation} needs reviewed content, and {holder.__name__} has no {DIGEST}")
