"""What a database is for, and the identity of its content."""

from dataclasses import dataclass
from enum import StrEnum


class DatabaseKind(StrEnum):
    """What a database is for."""

    DEMO = "DEMO"
    PRODUCTION = "PRODUCTION"


@dataclass(frozen=True, slots=True)
class Installation:
    """The mark of a database. The id is that of its content: a reset makes a new one."""

    id: str
    kind: DatabaseKind
