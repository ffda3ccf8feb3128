"""Strawberry's permission classes, asked for a whole level: once if they look at the viewer only, else per parent."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from strawberry.exceptions import PermissionReturnedAwaitableInSyncContextError, PermissionReturnedNonBooleanError
from strawberry.permission import BasePermission, PermissionExtension

from .markers import VIEWER_ONLY
from .steps import Steps, Together

if TYPE_CHECKING:
    from strawberry.types import Info
    from strawberry.types.field import StrawberryField

Refused = dict[int, Any]
"""By index of a parent: what stands there instead, an exception or the value of a permission that fails silently."""


def guard_of(field: StrawberryField) -> Guard | None:
    """The permissions of a field; None if other extensions take part in resolving it, so that it must stay whole."""
    resolving = [extension for extension in field.extensions if extension.has_resolver]
    permissions = [extension for extension in resolving if type(extension) is PermissionExtension]
    return Guard(permissions[::-1], field.is_async) if len(permissions) == len(resolving) else None


class Guard:
    """Permissions in the order they are asked."""

    def __init__(self, extensions: Sequence[PermissionExtension], is_async: bool) -> None:
        self._asked = [
            (extension, permission, is_async or not extension.supports_sync)
            for extension in extensions
            for permission in extension.permissions
        ]
        self.viewer_only = all(getattr(permission, VIEWER_ONLY, False) for _, permission, _ in self._asked)

    def __bool__(self) -> bool:
        return bool(self._asked)

    def ask(
        self,
        parents: Sequence[Any],
        info: Callable[[int], Info],
        level_info: Info,
        arguments: Callable[[int], dict[str, Any]],
        level_arguments: dict[str, Any],
    ) -> Steps[Refused]:
        """Ask each permission about the parents the ones before it let through.

        `info` and `arguments` give what a permission sees with one parent, the others what it sees with none.
        """
        refused: Refused = {}
        for extension, permission, may_wait in self._asked:
            left = [index for index in range(len(parents)) if index not in refused]
            if not left:
                break
            if getattr(permission, VIEWER_ONLY, False):
                verdicts = yield from _verdicts(
                    permission, [_asked(permission, None, level_info, level_arguments)], may_wait
                )
                if verdicts[0] is not True:
                    refused.update(dict.fromkeys(left, _refusal(extension, permission, verdicts[0])))
                continue
            verdicts = yield from _verdicts(
                permission,
                [_asked(permission, parents[index], info(index), arguments(index)) for index in left],
                may_wait,
            )
            for index, verdict in zip(left, verdicts, strict=True):
                if verdict is not True:
                    refused[index] = _refusal(extension, permission, verdict)
        return refused


def _asked(permission: BasePermission, source: Any, info: Info, arguments: dict[str, Any]) -> Any:
    try:
        return permission.has_permission(source, info, **arguments)
    except Exception as error:  # noqa: BLE001  becomes the error of this parent
        return error


def _verdicts(permission: BasePermission, answers: list[Any], may_wait: bool) -> Steps[list[bool | Exception]]:
    """Wait for the answers that must be waited for; whatever is no boolean becomes an error, never a yes."""
    waiting = [index for index, answer in enumerate(answers) if inspect.isawaitable(answer)]
    if waiting and may_wait:
        outcomes = yield Together([answers[index] for index in waiting])
        for index, outcome in zip(waiting, outcomes, strict=True):
            answers[index] = outcome
    return [_checked(permission, answer, may_wait) for answer in answers]


def _checked(permission: BasePermission, answer: Any, may_wait: bool) -> bool | Exception:
    if isinstance(answer, bool | Exception):
        return answer
    awaitable = inspect.isawaitable(answer)
    if inspect.iscoroutine(answer):
        answer.close()
    if awaitable and not may_wait:
        return PermissionReturnedAwaitableInSyncContextError(permission)
    return PermissionReturnedNonBooleanError(permission, answer)


def _refusal(extension: PermissionExtension, permission: BasePermission, verdict: bool | Exception) -> Any:
    if isinstance(verdict, Exception):
        return verdict
    try:
        return extension._on_unauthorized(permission)
    except Exception as error:  # noqa: BLE001  this is how a permission refuses
        return error
