"""Checks Strawberry's permission classes for a whole level: once if `viewer_only` is set, else once per parent."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from strawberry.exceptions import PermissionReturnedAwaitableInSyncContextError, PermissionReturnedNonBooleanError
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.types import Info
from strawberry.types.field import StrawberryField

from app.execution.markers import VIEWER_ONLY
from app.execution.steps import Concurrent, Steps

Denials = dict[int, Any]
"""By index of a parent: the exception, or the value of a permission that fails silently, to return for it."""


class FieldPermissions:
    """The permissions of a field in the order in which they are checked."""

    def __init__(self, extensions: Sequence[PermissionExtension], is_async: bool) -> None:
        self._checks = [
            (extension, permission, is_async or not extension.supports_sync)
            for extension in extensions
            for permission in extension.permissions
        ]
        self.viewer_only = all(getattr(permission, VIEWER_ONLY, False) for _, permission, _ in self._checks)

    def __bool__(self) -> bool:
        return bool(self._checks)

    def check(
        self,
        parents: Sequence[Any],
        info: Callable[[int], Info],
        level_info: Info,
        arguments: Callable[[int], dict[str, Any]],
        level_arguments: dict[str, Any],
    ) -> Steps[Denials]:
        """Check each permission for the parents that the previous ones allowed. Returns the denials.

        `info` and `arguments` return the arguments of a check for one parent; `level_info` and `level_arguments` are
        those of a `viewer_only` check.
        """
        denials: Denials = {}
        for extension, permission, may_wait in self._checks:
            left = [index for index in range(len(parents)) if index not in denials]
            if not left:
                break
            if getattr(permission, VIEWER_ONLY, False):
                results = yield from _results(
                    permission, [_has_permission(permission, None, level_info, level_arguments)], may_wait
                )
                if results[0] is not True:
                    denials.update(dict.fromkeys(left, _denial(extension, permission, results[0])))
                continue
            results = yield from _results(
                permission,
                [_has_permission(permission, parents[index], info(index), arguments(index)) for index in left],
                may_wait,
            )
            for index, result in zip(left, results, strict=True):
                if result is not True:
                    denials[index] = _denial(extension, permission, result)
        return denials


def permissions_of(field: StrawberryField) -> FieldPermissions | None:
    """Return the permissions of a field, None if its other extensions take part in resolving it."""
    resolving = [extension for extension in field.extensions if extension.has_resolver]
    permissions = [extension for extension in resolving if type(extension) is PermissionExtension]
    return FieldPermissions(permissions[::-1], field.is_async) if len(permissions) == len(resolving) else None


def _has_permission(permission: BasePermission, source: Any, info: Info, arguments: dict[str, Any]) -> Any:
    try:
        return permission.has_permission(source, info, **arguments)
    except Exception as error:  # noqa: BLE001 - the exception becomes the error of this parent
        return error


def _results(permission: BasePermission, answers: list[Any], may_wait: bool) -> Steps[list[bool | Exception]]:
    """Await the answers that are awaitable. An answer that is not a boolean becomes an error, never a permission."""
    waiting = [index for index, answer in enumerate(answers) if inspect.isawaitable(answer)]
    if waiting and may_wait:
        outcomes = yield Concurrent([answers[index] for index in waiting])
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


def _denial(extension: PermissionExtension, permission: BasePermission, result: bool | Exception) -> Any:
    if isinstance(result, Exception):
        return result
    try:
        return extension._on_unauthorized(permission)
    except Exception as error:  # noqa: BLE001 - a permission denies by raising
        return error
