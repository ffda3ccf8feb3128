"""Permission classes for the fields of the schema. They ask the policy about the viewer, nothing else.

A guard runs before its field is resolved, so that a refused field is never read. The answer depends on the viewer alone
(for `node` also on the type that the id names), never on the object.
"""

from functools import cache
from typing import Any, ClassVar

from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.types import Info

from permissions.matrix import Action
from permissions.policy import Forbidden, check_allowed, may_view_type_of


class Can(BasePermission):
    """Allows a field when the viewer may take `action`."""

    action: ClassVar[Action]
    viewer_only: ClassVar[bool] = True

    def has_permission(self, source: Any, info: Info[Any, Any], **_arguments: Any) -> bool:  # noqa: ARG002 - the signature is Strawberry's
        """Ask the policy. Raises Forbidden with the message of the refusal, and nothing about the requested object."""
        check_allowed(info.context.viewer, self.action)
        return True


JUDGES_EACH_ID = "judges_each_id"
"""Key in a field's `metadata`: its resolver asks `may_view_type_of` about each of several ids, so that one id that the
viewer may not view does not refuse the others."""


class CanViewTypeOfId(BasePermission):
    """Allows `node(id:)` when the viewer may view the type that the id's prefix names.

    An id of an unknown type passes; it will not be found.
    """

    viewer_only: ClassVar[bool] = True

    def has_permission(self, source: Any, info: Info[Any, Any], **arguments: Any) -> bool:  # noqa: ARG002 - the signature is Strawberry's
        """Ask the policy about the type."""
        return may_view_type_of(info.context.viewer, arguments["id"])

    def on_unauthorized(self) -> None:
        """Raise Forbidden without anything about the requested object."""
        raise Forbidden(None)


@cache
def can(action: Action) -> type[Can]:
    """Return the permission class of an action, such as `can(Action.APPROVE)`."""
    name = "Can" + "".join(word.title() for word in action.split("_"))
    return type(name, (Can,), {"action": action, "__doc__": f"Asks the matrix about {action}."})


def guarded(*permissions: type[BasePermission]) -> list[FieldExtension]:
    """Return the extensions that guard a field, without adding directives to the printed schema."""
    return [PermissionExtension([permission() for permission in permissions], use_directives=False)]
