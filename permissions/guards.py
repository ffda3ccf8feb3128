"""Permission classes for the fields of the schema. Each asks the matrix about the viewer's role, nothing else.

A guard is asked before its field is resolved, so that a refused field is never read. The answer depends on the
viewer alone (for `node` also on the type that the id names), never on the object.
"""

from functools import cache
from typing import Any, ClassVar

from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.types import Info

from app.domain import ids
from permissions.matrix import AUDIENCE, Action, allows
from permissions.policy import Forbidden


class Can(BasePermission):
    """Lets a field be resolved when the viewer's role includes `action`."""

    action: ClassVar[Action]
    viewer_only: ClassVar[bool] = True

    def has_permission(self, source: Any, info: Info[Any, Any], **_arguments: Any) -> bool:  # noqa: ARG002 - the signature is Strawberry's
        """Ask the matrix."""
        return allows(info.context.viewer.role, self.action)

    def on_unauthorized(self) -> None:
        """Refuse, naming the action and nothing that was asked for."""
        raise Forbidden(self.action)


class CanViewTypeOfId(BasePermission):
    """Lets `node(id:)` be resolved when the role includes viewing the type that the id's prefix names.

    An id of no known type passes: it will be missing.
    """

    viewer_only: ClassVar[bool] = True

    def has_permission(self, source: Any, info: Info[Any, Any], **arguments: Any) -> bool:  # noqa: ARG002 - the signature is Strawberry's
        """Ask the matrix about the type's audience."""
        action = AUDIENCE.get(ids.type_of(arguments["id"]) or "")
        return action is None or allows(info.context.viewer.role, action)

    def on_unauthorized(self) -> None:
        """Refuse, naming nothing that was asked for."""
        raise Forbidden(None)


@cache
def can(action: Action) -> type[Can]:
    """The permission class of an action, such as `can(Action.APPROVE)`."""
    name = "Can" + "".join(word.title() for word in action.split("_"))
    return type(name, (Can,), {"action": action, "__doc__": f"Asks the matrix about {action}."})


def guarded(*permissions: type[BasePermission]) -> list[FieldExtension]:
    """The extensions that put permission classes on a field, without adding directives to the printed schema."""
    return [PermissionExtension([permission() for permission in permissions], use_directives=False)]
