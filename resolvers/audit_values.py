"""The changed values of the audit log, as a viewer sees them."""

from msgspec.structs import replace

from app.db.rows import FieldChangeRow
from app.domain.viewer import Viewer
from app.domain.vocabulary import ValueState
from permissions.matrix import AUDIENCE_OF_VALUE
from permissions.policy import may_read_value


def shown(viewer: Viewer, changes: list[list[FieldChangeRow]]) -> list[list[FieldChangeRow]]:
    """The changes of each entry, without the values that the viewer may not read."""
    withheld = {column for column in AUDIENCE_OF_VALUE if not may_read_value(viewer, *column)}
    if not withheld:
        return changes
    return [
        [_withheld(each) if (each.table_name, each.field) in withheld else each for each in of_entry]
        for of_entry in changes
    ]


def _withheld(change: FieldChangeRow) -> FieldChangeRow:
    """The change without its values. What was absent or erased is still said to be so."""
    return replace(
        change,
        before=None,
        before_state=_state(change.before_state),
        after=None,
        after_state=_state(change.after_state),
    )


def _state(state: str) -> str:
    return ValueState.WITHHELD if state == ValueState.TOLD else state
