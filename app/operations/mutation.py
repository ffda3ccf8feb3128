"""How a mutation is declared: everything that the product knows of it, once.

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
    """A mutation is declared wrongly, or not everywhere where it has to be."""


@unique
class ContentEffect(Enum):
    """What a mutation does to a location's content, as far as the rule against approving one's own work asks."""

    NONE = "NONE"
    EDITS = "EDITS"
    """Whoever makes it does not approve the content afterwards."""
    SUBMITS_OR_APPROVES = "SUBMITS_OR_APPROVES"
    """Who edited the content is asked from the last one on."""


@unique
class RecordedRefusals(Enum):
    """Which refused attempts the audit log keeps."""

    NEVER = "NEVER"
    ON_LOCKED_LOCATIONS = "ON_LOCKED_LOCATIONS"
    ALWAYS = "ALWAYS"


@unique
class Counted(Enum):
    """What operators count of a mutation, beside every transition past a lock."""

    SUBMISSIONS = "SUBMISSIONS"
    APPROVAL_WAITING_TIME = "APPROVAL_WAITING_TIME"
    OVERRIDES_OPENED = "OVERRIDES_OPENED"
    BULK_ITEMS = "BULK_ITEMS"


C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mutation(Generic[C]):
    """One mutation. `name` is its GraphQL field and its action in the audit log; the command is named after it.

    Raises DeclarationError when its parts do not fit.
    """

    name: str
    command: type[C]
    action: Action
    """What the viewer's role has to include."""
    budget: Budget
    """What a call counts toward."""
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
        """The name that its types have in common, such as StartOnboarding."""
        return self.name[0].upper() + self.name[1:]

    @property
    def input_name(self) -> str:
        """The input type that belongs to it alone, such as StartOnboardingInput."""
        return f"{self.type_name}Input"

    @property
    def payload_name(self) -> str:
        """The payload type that belongs to it alone, such as StartOnboardingPayload."""
        return f"{self.type_name}Payload"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AggregateMutation(Mutation[C]):
    """A mutation of the location that its command names by `key`: as such, or by a row of the location in `table`."""

    table: Table = tables.location
    key: str = "location_id"
    needs_reviewed_content: bool = False
    """Whether the command has the digest of the content that was reviewed."""

    def __post_init__(self) -> None:
        Mutation.__post_init__(self)
        check_field(self.name, self.command, self.key)
        check_digest(self.name, self.command, needed=self.needs_reviewed_content)

    def row_id(self, command: C) -> str:
        """The id of the row that the command names."""
        named: str = getattr(command, self.key)
        return named

    def other_location_id(self, command: C) -> str | None:  # noqa: ARG002 - one location is the rule
        """The id of a second location that the command names, None for most mutations."""
        return None

    def reviewed_digest(self, command: C) -> str | None:
        """The digest of the content that was reviewed, None for mutations that need no review."""
        return getattr(command, DIGEST) if self.needs_reviewed_content else None

    def changes(self, aggregates: Sequence[Aggregate], command: C) -> tuple[LocationChange, ...]:
        """What changes of each locked location, in the order in which the command names them. Raises refusals."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocationMutation(AggregateMutation[C]):
    """A mutation of one location."""

    decide: Callable[[Aggregate, C], LocationChange]
    """Given the location, locked, and the command."""

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
    """Raises DeclarationError unless what names the reviewed content is there exactly when it is needed."""
    has = DIGEST in {each.name for each in fields(holder)}
    if has and not needed:
        raise DeclarationError(f"mutation {mutation} takes {DIGEST} and declares no need of reviewed content")
    if needed and not has:
        raise DeclarationError(f"mutation {mutation} needs reviewed content, and {holder.__name__} has no {DIGEST}")
