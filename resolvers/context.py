"""What every resolver is given beside its arguments."""

from dataclasses import dataclass
from typing import Any

from strawberry.types import Info as StrawberryInfo

from app.db.reading import Reading
from app.domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Context:
    """One request: who asks, what they read from, and the id that ties logs, spans and audit entries together."""

    viewer: Viewer
    reading: Reading
    request_id: str


Info = StrawberryInfo[Context, Any]
