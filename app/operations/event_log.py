"""Writes domain events to the log: one line per event, with ids and codes alone.

A change is logged after its commit, once, in one line per location that it changed, as the audit log has one entry per
location. A refused attempt is logged with its code. Dry runs, replays and attempts that were rolled back are not
logged. If the reply to a COMMIT was lost, there is no event: whether it was committed is not known.
"""

import logging
from typing import Any

from app.domain import events
from app.domain.events import NO_EFFECT, Effect, Event
from app.domain.viewer import Viewer
from app.domain.vocabulary import AuditOutcome, SystemAction

log = logging.getLogger("turnup.events")
log.addHandler(logging.NullHandler())  # a command without a log prints no events

_LEVELS = logging.getLevelNamesMapping()


def emit(
    event: Event,
    effect: Effect = NO_EFFECT,
    *,
    user_id: str | None = None,
    role: str | None = None,
    action: str | None = None,
    outcome: AuditOutcome | None = None,
    code: str | None = None,
    **facts: Any,
) -> None:
    """Write the line of an event. `facts` are the further fields that its description names; None is left out."""
    level = _LEVELS[event.level]
    if not log.isEnabledFor(level):
        return
    fields: dict[str, Any] = {
        "user_id": user_id,
        "role": role,
        "account_id": effect.account_id,
        "location_id": effect.location_id,
        "action": action,
        "outcome": outcome,
        "code": code,
        "override_id": effect.override_id,
        "payload_id": effect.payload_id,
        "object_id": effect.object_id,
        **facts,
    }
    log.log(level, event.name, extra={name: value for name, value in fields.items() if value is not None})


def emit_attempt(viewer: Viewer, mutation: str, effect: Effect, code: str | None) -> None:
    """Write the line of a mutation that was committed, or that was refused with a code."""
    event = events.applied(mutation, effect.verb) if code is None else events.refused(mutation)
    outcome = AuditOutcome.APPLIED if code is None else AuditOutcome.REFUSED
    emit(event, effect, user_id=viewer.id, role=viewer.role, action=mutation, outcome=outcome, code=code)


def emit_by_system(event: Event, action: SystemAction, effect: Effect = NO_EFFECT, **facts: Any) -> None:
    """Write the line of a change without a user, such as one of the command line, after its commit."""
    emit(event, effect, action=action, outcome=AuditOutcome.APPLIED, **facts)
