"""The breadth-first executor: a replacement for graphql-core's `execute`, and its two halves, planning and running."""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from inspect import signature
from typing import Any, TypeGuard

from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    GraphQLSchema,
    VariableValues,
    assert_valid_schema,
    default_field_resolver,
    default_type_resolver,
)
from graphql import execute as execute_depth_first
from graphql.execution.executor import SELECTIONS_NESTED_TOO_DEEPLY
from graphql.pyutils import is_awaitable as default_is_awaitable
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from app.execution.cache import ScanResistantCache
from app.execution.leaves import Native
from app.execution.model import Allowance, Observer, OnFailure, Plan, PlanKey, Run, SharedState
from app.execution.planning import plan_operation, shape_for
from app.execution.run import run_operation
from app.execution.steps import start
from app.execution.variables import GivenVariables

MOST_PLAN_BYTES = 44 * 1024 * 1024
"""The maximum weight of the plans of one executor, with their documents."""

ResultOrAwaitable = ExecutionResult | Awaitable[ExecutionResult]


class BreadthFirst:
    """Executes operations one level at a time, resolving each field once for all objects of a level.

    `observer` is called for each field with a resolver, once per level (see `Observer`). `native` maps scalar names to
    values that stay Python objects in the result, for an encoder that supports them. `sequential_batches`
    awaits the batch resolvers of a level one after another instead of concurrently; this saves a task per resolver if
    they share one connection. `plans` is the maximum number of plans that `execute` caches, and `plan_bytes` the
    maximum of their estimated memory, documents included; a plan that takes over a quarter of it is not cached.

    `allowance` returns, by the context value of an operation, the number of objects that it may find; the executor asks
    before it resolves more. `ending` are the exceptions that end an operation; others are errors of their field.
    `failing` is called for each value that fails, also of an operation that is cancelled before it has a result.
    """

    def __init__(
        self,
        *,
        observer: Observer | None = None,
        native: Mapping[str, Native] | None = None,
        sequential_batches: bool = False,
        plans: int = 256,
        plan_bytes: int = MOST_PLAN_BYTES,
        allowance: Callable[[Any], Allowance] | None = None,
        ending: tuple[type[Exception], ...] = (),
        failing: OnFailure | None = None,
    ) -> None:
        self._observer = observer
        self._allowance = allowance
        self._ending = ending
        self._failing = failing
        self._sequential_batches = sequential_batches
        self._plans: ScanResistantCache[PlanKey, Plan] = ScanResistantCache(
            plans, lambda plan: plan.bytes, plan_bytes, plan_bytes // 4
        )
        self._shared = SharedState(native or {}, self._plans)

    def execute(  # noqa: PLR0917 - the signature is graphql-core's
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
        """Execute an operation. The arguments are those of graphql-core's `execute`, by position or by name.

        `GivenVariables` are not coerced again.

        Unsupported operations are executed by `fallback`: subscriptions, @defer and @stream, middleware,
        executor classes other than Strawberry's, custom default resolvers for fields or types, abort signals and hooks.
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
                    **{key: value for key, value in options.items() if key not in _HANDLED_OPTIONS},
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
        """Return the plan of an operation, from the cache if the same document object was planned before.

        The caller must check `declined` before it runs the plan. Raises TypeError if the schema is invalid.
        """
        # The plan holds references to both objects, so their ids stay unique while it is cached.
        key = (id(schema), id(document), operation_name, hide_suggestions)
        plan = self._plans.get(key)
        if plan is None:
            assert_valid_schema(schema)
            plan = plan_operation(schema, document, key, self._shared)
            # After an eviction another document may have the same id, so the cache recognises documents by their text.
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
    ) -> ResultOrAwaitable:
        """Run a plan that is not declined. Returns the result, or an awaitable of it if a resolver is asynchronous.

        `executor_class` creates the infos: by default Strawberry's class for its schemas, graphql-core's for others.
        """
        operation = plan.operation
        assert operation is not None  # noqa: S101 - a plan without an operation is declined
        if isinstance(variable_values, GivenVariables):
            variables: VariableValues | list[GraphQLError] = variable_values.coerced
        else:
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
            shape = shape_for(plan, variables)
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        except RecursionError:
            return ExecutionResult(None, [GraphQLError(SELECTIONS_NESTED_TOO_DEEPLY, operation)])
        allowance = self._allowance(context_value) if self._allowance else None
        run = Run(
            executor,
            plan,
            shape,
            self._observer,
            sequential_batches=self._sequential_batches,
            allowance=allowance,
            ending=self._ending,
            failing=self._failing,
            context_value=context_value,
        )
        return start(run_operation(run, shape))


_EXECUTORS = (None, Executor, StrawberryGraphQLCoreExecutionContext)

_HANDLED_OPTIONS = {
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
"""The parameters of graphql-core's `execute` after the type resolver."""


def _named(more: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options by name. Raises TypeError for too many positional options and for one given twice."""
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
    """Compare by identity, because the value may be neither hashable nor comparable."""
    return any(given is each for each in known)
