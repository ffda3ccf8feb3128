"""Plans operations: collects the fields of each object type once and determines how they are resolved."""

from collections.abc import Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any
from weakref import ref

from graphql import (
    DefinitionNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    VariableNode,
    VariableValues,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from graphql.pyutils import Path
from graphql.type.directives import GraphQLDisableErrorPropagationDirective

from app.execution.arguments import Arguments
from app.execution.fields import attribute_of, is_batched, source_of
from app.execution.introspection import ANSWER
from app.execution.model import (
    Conditions,
    FieldHandling,
    Plan,
    PlanField,
    PlanKey,
    PlanShape,
    Run,
    Selection,
    SharedState,
)
from app.execution.sources import introspect
from app.execution.variables import Variables
from app.execution.weights import DETAIL, FIELD, PLAN, SELECTION, document_bytes
from app.execution.wrapping import unwrap

_DECLINED_DIRECTIVES = {"defer", "stream", GraphQLDisableErrorPropagationDirective.name}


def plan_operation(schema: GraphQLSchema, document: DocumentNode, key: PlanKey, shared: SharedState) -> Plan:
    """Plan one operation of a document. The plan's selections are planned when a run first needs them."""
    _, _, operation_name, hide_suggestions = key
    operation = _operation(document, operation_name)
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    facts = _DocumentFacts(document)
    definitions = operation.variable_definitions if operation else ()
    return Plan(
        key=key,
        own_bytes=PLAN + document_bytes(document),
        schema=schema,
        document=document,
        hide_suggestions=hide_suggestions,
        shared=shared,
        operation=operation,
        fragment_definitions=fragments,
        fragments={name: FragmentDetails(node) for name, node in fragments.items()},
        variables=Variables(schema, definitions or (), hide_suggestions),
        conditions=sorted(facts.conditions),
        declined=_why_declined(schema, operation, fragments, facts),
    )


def shape_for(plan: Plan, variables: VariableValues) -> PlanShape:
    """Return the shape of a plan for the values that its @skip and @include conditions have.

    Raises GraphQLError if the value of a condition is not a boolean, RecursionError if selections nest too deep.
    """
    values = [variables.coerced.get(name) for name in plan.conditions]
    conditions = tuple(None if value is None else bool(value) for value in values)
    shape = plan.shapes.get(conditions)
    if shape is None:
        shape = plan_shape(plan, conditions, variables)
        plan.keep(shape)
    return shape


def plan_shape(plan: Plan, conditions: Conditions, variables: VariableValues) -> PlanShape:
    """Plan the root selections of an operation. Raises like `shape_for`."""
    operation = plan.operation
    assert operation is not None  # noqa: S101 - a plan without an operation is declined
    root = plan.schema.get_root_type(operation.operation)
    assert root is not None  # noqa: S101 - a plan without a root type is declined
    fields = collect_fields(plan.schema, plan.fragments, variables, root, operation, plan.hide_suggestions)
    grouped = fields.grouped_field_set
    shape = PlanShape(conditions, operation)
    if operation.operation is OperationType.MUTATION:
        shape.selections = [
            _plan_selection(plan, shape, root, {key: details}, None) for key, details in grouped.items()
        ]
    else:
        shape.selections = [_plan_selection(plan, shape, root, grouped, None)]
    return shape


def selection_below(run: Run, field: PlanField, type_: GraphQLObjectType) -> Selection:
    """Return the selection below a field on one object type. Raises GraphQLError for a condition without a value."""
    selection = field.selections.get(type_.name)
    if selection is None:
        plan, shape = run.plan, run.shape
        fields = collect_subfields(
            plan.schema,
            plan.fragments,
            run.variables,
            shape.operation,
            type_,
            field.details,
            plan.hide_suggestions,
        )
        selection = _plan_selection(plan, shape, type_, fields.grouped_field_set, field)
        field.selections[type_.name] = selection
    return selection


def _plan_selection(
    plan: Plan,
    shape: PlanShape,
    type_: GraphQLObjectType,
    grouped: Mapping[str, list[FieldDetails]],
    above: PlanField | None,
) -> Selection:
    fields: list[PlanField] = []
    for key, details in grouped.items():
        definition = plan.schema.get_field(type_, details[0].node.name.value)
        if definition is not None:
            fields.append(_plan_field(plan, type_, key, details, definition, above))
    plan.grow(shape, SELECTION + FIELD * len(fields) + DETAIL * sum(len(field.details) - 1 for field in fields))
    return Selection(
        type_,
        fields,
        columns=[field for field in fields if field.source is not None],
        reads_by_default=any(
            field.source is None and field.attribute is not None and field.attribute.default for field in fields
        ),
    )


def _plan_field(  # noqa: PLR0917 - one caller, which has all of them at hand
    plan: Plan,
    parent_type: GraphQLObjectType,
    key: str,
    details: list[FieldDetails],
    definition: GraphQLField,
    above: PlanField | None,
) -> PlanField:
    nodes: list[FieldNode] = [detail.node for detail in details]
    name = nodes[0].name.value
    handling = plan.handling.get(
        id(definition)
    )  # the schema of the plan keeps the definition, so that the id is unique
    if handling is None:
        handling = plan.handling[id(definition)] = _handling(plan, definition, name)
    return PlanField(
        kinds=plan.shared.kinds,
        parent_type=parent_type,
        key=key,
        name=name,
        details=details,
        nodes=nodes,
        definition=definition,
        type=definition.type,
        wrapped=handling.wrapped,
        nullable=handling.wrapped.nullable,
        above=ref(above) if above else None,
        path=(*above.path, key) if above else (key,),
        info_path=Path(above.info_path if above else None, key, parent_type.name),
        is_typename=definition is TypeNameMetaFieldDef,
        leaf=handling.leaf,
        arguments=Arguments(definition, nodes[0], plan.hide_suggestions),
        attribute=handling.attribute,
        source=handling.source,
        is_resolved=handling.source not in {None, introspect} and handling.attribute is None,
        is_batched=handling.is_batched,
    )


def _handling(plan: Plan, definition: GraphQLField, name: str) -> FieldHandling:
    """Determine how a field of the schema is handled."""
    named = get_named_type(definition.type)
    wrapped = unwrap(definition.type)
    if definition is SchemaMetaFieldDef or definition is TypeMetaFieldDef:
        return FieldHandling(
            wrapped=replace(wrapped, is_leaf=True), leaf=ANSWER, attribute=None, source=introspect, is_batched=False
        )
    attribute = attribute_of(definition, name)
    is_read_with_row = definition is TypeNameMetaFieldDef or (attribute is not None and wrapped.is_leaf)
    return FieldHandling(
        wrapped=wrapped,
        leaf=plan.shared.leaf(named) if is_leaf_type(named) else None,
        attribute=attribute,
        source=None if is_read_with_row else source_of(plan.schema, definition, attribute),
        is_batched=is_batched(definition),
    )


class _DocumentFacts:
    """The directives, condition variables and fragment spreads in a document."""

    def __init__(self, document: DocumentNode) -> None:
        self.conditions: set[str] = set()
        self.directives: set[str] = set()
        self.spreads: dict[str, set[str]] = {}
        for definition in document.definitions:
            self._walk(definition)

    def _walk(self, definition: DefinitionNode) -> None:
        spreads = self.spreads.setdefault(getattr(getattr(definition, "name", None), "value", ""), set())
        nodes: list[Any] = [definition]
        while nodes:
            node = nodes.pop()
            if isinstance(node, FragmentSpreadNode):
                spreads.add(node.name.value)
            for directive in getattr(node, "directives", None) or ():
                self._add_directive(directive)
            if selected := getattr(node, "selection_set", None):
                nodes.extend(selected.selections)

    def _add_directive(self, directive: DirectiveNode) -> None:
        self.directives.add(directive.name.value)
        if directive.name.value in {"skip", "include"}:
            self.conditions.update(
                argument.value.name.value
                for argument in directive.arguments or ()
                if isinstance(argument.value, VariableNode)
            )


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None:
        return operations[0] if len(operations) == 1 else None
    named = [node for node in operations if node.name and node.name.value == name]
    return named[-1] if named else None


def _why_declined(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    facts: _DocumentFacts,
) -> str | None:
    reasons = {
        "no operation": operation is None,
        "subscription": operation is not None and operation.operation is OperationType.SUBSCRIPTION,
        "no root type": operation is not None and schema.get_root_type(operation.operation) is None,
        "incremental delivery": bool(schema.get_directive("defer") or schema.get_directive("stream")),
        "directive": bool(facts.directives & _DECLINED_DIRECTIVES),
        "fragment cycle": _has_cycle(facts.spreads),
        "fragment variables": any(node.variable_definitions for node in fragments.values()),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def _has_cycle(spreads: Mapping[str, set[str]]) -> bool:
    """Return whether fragments spread themselves. Validation rejects them; unvalidated, they would recurse."""
    try:
        TopologicalSorter(spreads).prepare()
    except CycleError:
        return True
    return False
