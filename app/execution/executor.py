"""The breadth-first executor: graphql-core's `execute`, and the two halves of it that a server may call apart."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Mapping
from inspect import signature
from typing import Any, TypeGuard

from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    GraphQLSchema,
    assert_valid_schema,
    default_field_resolver,
    default_type_resolver,
)
from graphql import execute as execute_depth_first
from graphql.execution.executor import SELECTIONS_NESTED_TOO_DEEPLY
from graphql.pyutils.is_awaitable import is_awaitable as default_is_awaitable
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from .cache import FloodProofCache
from .plan import Habits, Plan
from .run import Observer, Run, operate
from .steps import begin

Outcome = ExecutionResult | Awaitable[ExecutionResult]


class BreadthFirst:
    """Executes operations one level at a time: each field once for all objects of a level.

    `observer` sees every field with a resolver and level (see `Observer`). `native` names, by scalar, the classes of
    values to leave as Python objects for an encoder that writes them itself. With `batches_in_turn` the batch resolvers
    of a level are awaited one after the other instead of together, which saves a task each where they would wait for
    the same connection anyway. `plans` bounds how many plans `execute` keeps.
    """

    def __init__(
        self,
        *,
        observer: Observer | None = None,
        native: Mapping[str, Collection[type]] | None = None,
        batches_in_turn: bool = False,
        plans: int = 256,
    ) -> None:
        self._observer = observer
        self._habits = Habits(native or {})
        self._in_turn = batches_in_turn
        self._plans: FloodProofCache[tuple[int, int, str | None, bool], Plan] = FloodProofCache(plans)

    def execute(  # noqa: PLR0917  graphql-core's signature
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: Any = None,
        context_value: Any = None,
        variable_values: dict[str, Any] | None = None,
        operation_name: str | None = None,
        field_resolver: Callable[..., Any] | None = None,
        type_resolver: Callable[..., Any] | None = None,
        *more: Any,
        fallback: Callable[..., Any] = execute_depth_first,
        **options: Any,
    ) -> Any:
        """Do what graphql-core's `execute` does, with its arguments, by position or by name.

        What is not supported goes as a whole to `fallback`: subscriptions, introspection, @defer and @stream,
        middleware, executor classes but Strawberry's, resolvers of one's own for all fields or types, abort signals
        and hooks.
        """
        if more:
            options = _named(more, options)
        if _is_supported(field_resolver, type_resolver, options):
            plan = self.plan(schema, document, operation_name, hide_suggestions=options.get("hide_suggestions", False))
            if plan.declined is None:
                return self.run(
                    plan,
                    root_value,
                    context_value,
                    variable_values,
                    executor_class=options.get("executor_class") or Executor,
                    max_coercion_errors=options.get("max_coercion_errors", 50),
                    is_async_iterable=options.get("is_async_iterable"),
                    **{key: value for key, value in options.items() if key not in _KNOWN},
                )
        return fallback(
            schema,
            document,
            root_value,
            context_value,
            variable_values,
            operation_name,
            field_resolver,
            type_resolver,
            **options,
        )

    def plan(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation_name: str | None = None,
        *,
        hide_suggestions: bool = False,
    ) -> Plan:
        """The plan of an operation, from the cache if this very document was planned before.

        Check `declined` before running it. Raises TypeError if the schema is invalid.
        """
        key = (
            id(schema),
            id(document),
            operation_name,
            hide_suggestions,
        )  # the plan keeps both, so the ids stay theirs
        plan = self._plans.get(key)
        if plan is None:
            assert_valid_schema(schema)
            plan = Plan(schema, document, operation_name, hide_suggestions, self._habits)
            # A document that went with its plan leaves its id to another, so it is known by its text.
            text = document.loc.source.body if document.loc else None
            self._plans.put(key, plan, known_as=(id(schema), text, operation_name) if text else None)
        return plan

    def run(
        self,
        plan: Plan,
        root_value: Any = None,
        context_value: Any = None,
        variable_values: dict[str, Any] | None = None,
        *,
        executor_class: type[Executor[Any]] | None = None,
        max_coercion_errors: int = 50,
        is_async_iterable: Callable[[Any], TypeGuard[AsyncIterable[Any]]] | None = None,
        **custom: Any,
    ) -> Outcome:
        """Run a plan that is not declined; gives the result, or an awaitable of it if something must be awaited.

        `executor_class` makes the infos; by default Strawberry's for its schemas, graphql-core's for others.
        """
        operation = plan.operation
        assert operation is not None  # noqa: S101  a plan without one is declined
        variables = plan.variables.values(variable_values or {}, max_coercion_errors)
        if isinstance(variables, list):
            return ExecutionResult(None, variables)
        if executor_class is None:
            is_strawberry = hasattr(plan.schema, "_strawberry_schema")
            executor_class = StrawberryGraphQLCoreExecutionContext if is_strawberry else Executor
        executor = executor_class(
            plan.schema,
            plan.fragment_definitions,
            plan.fragments,
            root_value,
            context_value,
            operation,
            variables,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_async_iterable=is_async_iterable,
            hide_suggestions=plan.hide_suggestions,
            **custom,
        )
        try:
            shape = plan.shape(variables)
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        except RecursionError:
            return ExecutionResult(None, [GraphQLError(SELECTIONS_NESTED_TOO_DEEPLY, operation)])
        return begin(operate(Run(executor, self._habits.grades, self._observer, self._in_turn), shape))


_EXECUTORS = (None, Executor, StrawberryGraphQLCoreExecutionContext)

_KNOWN = {
    "subscribe_field_resolver",
    "max_coercion_errors",
    "enable_early_execution",
    "middleware",
    "executor_class",
    "is_awaitable",
    "is_async_iterable",
    "hide_suggestions",
    "abort_signal",
    "hooks",
}


_OPTIONS = tuple(signature(execute_depth_first).parameters)[8:-1]
"""What graphql-core's `execute` takes after the type resolver."""


def _named(more: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The options, some of them given by position; raises TypeError for one too many or given twice."""
    named = dict(zip(_OPTIONS, more, strict=False))
    if len(named) < len(more):
        raise TypeError(f"execute() takes at most {8 + len(_OPTIONS)} positional arguments.")
    for name in named.keys() & options:
        raise TypeError(f"execute() got multiple values for argument '{name}'.")
    return named | options


def _is_supported(field_resolver: Any, type_resolver: Any, options: Mapping[str, Any]) -> bool:
    middleware = options.get("middleware")
    return (
        _is_one_of(field_resolver, None, default_field_resolver)
        and _is_one_of(type_resolver, None, default_type_resolver)
        and not getattr(middleware, "middlewares", middleware)
        and _is_one_of(options.get("executor_class"), *_EXECUTORS)
        and _is_one_of(options.get("is_awaitable"), None, default_is_awaitable, optimized_is_awaitable)
        and options.get("abort_signal") is None
        and options.get("hooks") is None
    )


def _is_one_of(given: Any, *known: Any) -> bool:
    """By identity: what is given need not be hashable, nor comparable."""
    return any(given is each for each in known)
