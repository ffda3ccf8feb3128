"""The entries and the changed values of the audit log, as a viewer sees them.

A stored text that is no member of its enum is shown as null: it was written by a newer version of the server, and the
other entries are shown nevertheless.
"""

from collections.abc import Container
from typing import Any

from msgspec.structs import replace
from sqlalchemy import DateTime
from strawberry import Parent

from app.audit import SYSTEM
from app.audit.replay import TRACKED
from app.db.rows import AuditEntryRow, FieldChangeRow
from app.domain.time_texts import read_date_time, show_date_time
from app.domain.viewer import Viewer
from app.domain.vocabulary import AuditChain, SystemAction, ValueState
from app.operations.audit_names import AuditAction, AuditCode, AuditedTable
from permissions.matrix import AUDIENCE_OF_VALUE
from permissions.policy import may_read_value

_ACTIONS = {each.value: each for each in AuditAction}
_CODES = {each.value: each for each in AuditCode}
_TABLES = {each.value: each for each in AuditedTable}
_TIMES = {(table.name, each.name) for table in TRACKED for each in table.columns if isinstance(each.type, DateTime)}
_FORBIDDEN = AuditCode("FORBIDDEN")


def chain(entry: Parent[AuditEntryRow]) -> AuditChain:
    """What the chain of an entry is about."""
    return AuditChain.SYSTEM if entry.chain == SYSTEM else AuditChain.ACCOUNT


def action(entry: Parent[AuditEntryRow]) -> AuditAction | None:
    """The action of an entry; None for an unknown one."""
    return _ACTIONS.get(entry.action)


def code(entry: Parent[AuditEntryRow]) -> AuditCode | None:
    """The code of a refused attempt; None for an applied write, and for an unknown code."""
    if entry.action == SystemAction.ROLE_DENIED:
        return _FORBIDDEN
    return None if entry.code is None else _CODES.get(entry.code)


def denied_field(entry: Parent[AuditEntryRow]) -> str | None:
    """The field that was refused because of the role; None for other entries. It is stored as the code."""
    return entry.code if entry.action == SystemAction.ROLE_DENIED else None


def table(change: Parent[FieldChangeRow]) -> AuditedTable | None:
    """The table of a changed value; None for an unknown one."""
    return _TABLES.get(change.table_name)


def shown(viewer: Viewer, changes: list[FieldChangeRow]) -> list[FieldChangeRow]:
    """The changes, without the values that the viewer may not read, and with times as all answers show them."""
    redacted = {column for column in AUDIENCE_OF_VALUE if not may_read_value(viewer, *column)}
    return [_shown(each, redacted) for each in changes]


def _shown(change: FieldChangeRow, redacted: Container[tuple[str, str]]) -> FieldChangeRow:
    column = (change.table_name, change.field)
    if column in redacted:
        return _redacted(change)
    return replace(change, before=_time(change.before), after=_time(change.after)) if column in _TIMES else change


def _time(stored: Any) -> Any:
    """A time in the form of DateTime. The log has PostgreSQL's form, which has no zeros at the end of a fraction."""
    moment = read_date_time(stored) if isinstance(stored, str) else None
    return stored if moment is None else show_date_time(moment)


def _redacted(change: FieldChangeRow) -> FieldChangeRow:
    """The change without its values. What was absent or erased is still said to be so."""
    return replace(
        change,
        before=None,
        before_state=_state(change.before_state),
        after=None,
        after_state=_state(change.after_state),
    )


def _state(state: str) -> str:
    return ValueState.REDACTED if state == ValueState.PRESENT else state
