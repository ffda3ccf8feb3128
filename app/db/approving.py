"""The decision of app.domain.approving about many locations at once, as conditions of SQL.

They hold exactly for the locations that the functions of the domain would approve, under the same policies: the tests
compare both in many situations. Each is about the location with the id in a column of the statement.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    FromClause,
    Function,
    Select,
    Text,
    TextClause,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    not_,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import array

from app.db import tables
from app.domain.vocabulary import LocationStatus


def editors(locations: str, *, edits: str, marks: str, approvals: str) -> str:
    """Return SQL for the users who edited each location after its last submission or approval.

    If the user who submitted it is unconfirmed, those who made that user are included if they edited the location
    after its last approval. So is the viewer, if somebody edited or submitted it after that who may be the viewer: with
    a service token that one of the two made for the other. The arguments are SQL for arrays: the ids of the locations
    and, as actions of the audit log, the edits, the submissions and approvals, and the approvals alone.
    """

    def after_the_last(marks: str, location: str) -> str:
        return f"""e.number > coalesce((SELECT max(m.number) FROM turnup.audit_entry m
                                  WHERE m.location_id = {location} AND m.outcome = 'APPLIED'
                                    AND m.action = ANY ({marks})), 0)"""

    return f"""SELECT e.location_id, e.actor_id FROM turnup.audit_entry e
       WHERE e.location_id = ANY ({locations}) AND e.outcome = 'APPLIED' AND e.actor_id IS NOT NULL
         AND e.action = ANY ({edits}) AND {after_the_last(marks, "e.location_id")}
       UNION
       SELECT s.location_id, s.maker FROM turnup.makers_of_submitters({locations}) s
       WHERE EXISTS (SELECT FROM turnup.audit_entry e
                     WHERE e.location_id = s.location_id AND e.outcome = 'APPLIED' AND e.actor_id = s.maker
                       AND e.action = ANY ({edits}) AND {after_the_last(approvals, "s.location_id")})
       UNION
       SELECT e.location_id, current_setting('turnup.user_id', true)
       FROM turnup.work_by_tokens() w JOIN turnup.audit_entry e ON e.actor_id = w.user_id
       WHERE e.location_id = ANY ({locations}) AND e.outcome = 'APPLIED'
         AND e.occurred_at >= w.since AND e.occurred_at < w.until
         AND e.action = ANY ({edits} || {marks}) AND {after_the_last(approvals, "e.location_id")}"""


def is_pending(status: Column[str]) -> ColumnElement[bool]:
    """Return whether a location is in the status from which it is approved. An index on the status finds it."""
    return status == literal_column(f"'{LocationStatus.PENDING_APPROVAL}'")


def has_pending_location(location_id: Column[str]) -> ColumnElement[bool]:
    """Return whether the location of a request is in that status."""
    location = tables.location.c
    return _exists(tables.location, location.id == location_id, is_pending(location.status))


def is_ready(location_id: Column[str]) -> ColumnElement[bool]:
    """Return whether no issue blocks the approval: the stored completeness, and what it leaves out.

    It leaves out addresses that other locations hold, and devices without an address, which do not block submission.
    """
    section, device = tables.section.c, tables.device.c
    return _decided(
        not_(_exists(tables.section, section.location_id == location_id, not_(section.complete))),
        not_(_exists(tables.device, device.location_id == location_id, device.mac_address.is_(None))),
        not_(_exists(func.turnup.claimed_elsewhere(array([location_id])))),
    )


def is_work_of_others(location_id: Column[str]) -> ColumnElement[bool]:
    """Return whether the user `viewer_id` neither submitted nor edited what would be approved.

    Its other parameters are the actions `edits`, `marks` and `approvals`, as for `editors`.
    """
    theirs = editors(f"ARRAY[{location_id}]", edits=":edits", marks=":marks", approvals=":approvals")
    unedited = text(f"NOT EXISTS (SELECT FROM ({theirs}) e WHERE e.actor_id = :viewer_id OFFSET 0)").bindparams(
        bindparam("viewer_id", type_=Text),
        *(bindparam(name, type_=ARRAY(Text)) for name in ("edits", "marks", "approvals")),
    )
    session = tables.onboarding_session.c
    submitted = _exists(
        tables.onboarding_session,
        session.location_id == location_id,
        session.closed_at.is_(None),
        session.submitted_by == bindparam("viewer_id", type_=Text),
    )
    return _decided(not_(submitted), unedited)


def _decided(*conditions: ColumnElement[bool] | TextClause) -> ColumnElement[bool]:
    """Return whether all conditions hold, as one expression, which PostgreSQL expects to hold for every other row.

    Of several conditions it expects that nearly no row meets all: it would decide about all rows and sort what is left.
    """
    return case((and_(*conditions), true()), else_=false())


def _exists(rows: FromClause | Function[Any], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether rows meet the conditions, looked up for one location after another.

    OFFSET keeps PostgreSQL from reading the rows of all locations at once, for a page that needs those of a few.
    """
    found: Select[Any] = select(literal_column("1")).select_from(rows).where(*conditions)
    return found.offset(literal_column("0")).exists()
