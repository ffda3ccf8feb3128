"""The closed sets of the audit log that follow from declarations: its actions, its codes, and its tables.

The audit log keeps the texts with which its entries were written. An entry that another version of the server wrote may
contain a text that is no member here.
"""

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from app.audit.replay import TRACKED
from app.db import tables
from app.domain.derived_enum import derived_enum, members_of
from app.domain.refusals import RefusalCode
from app.domain.vocabulary import SecurityEventKind, SystemAction
from app.operations.registry import MUTATIONS

INCIDENT = "incident"
"""The name under which an entry that counts denials or security events has their number."""
ERASED_IN = (tables.audit_entry.name, tables.field_change.name)
"""The tables of the audit log itself, of which the entry of an erasure names what was erased."""
REVOKED = tables.user_session.name
"""The table of sessions, of whose rows the audit log records only that they were revoked."""


def member_name(name: str) -> str:
    """The name of the enum member for a mutation or a table, such as ADD_DEVICE for addDevice."""
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


if TYPE_CHECKING:

    class AuditAction(StrEnum):
        """The actions in the audit log: the mutations, and the actions of the system."""

    class AuditCode(StrEnum):
        """The codes of refused attempts in the audit log."""

    class AuditedTable(StrEnum):
        """The tables whose changes the audit log records, its own tables for erasures, and the count of incidents."""

else:
    AuditAction = derived_enum(
        "AuditAction", __name__, [*((member_name(each), each) for each in MUTATIONS), *members_of(SystemAction)]
    )
    AuditCode = derived_enum("AuditCode", __name__, members_of(RefusalCode, SecurityEventKind))
    AuditedTable = derived_enum(
        "AuditedTable",
        __name__,
        [(member_name(each), each) for each in (*(table.name for table in TRACKED), REVOKED, *ERASED_IN, INCIDENT)],
    )
