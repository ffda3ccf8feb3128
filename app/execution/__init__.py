"""Breadth-first GraphQL execution for graphql-core and Strawberry, independent of the rest of this product."""

from app.execution.executor import BreadthFirst
from app.execution.fields import has_resolver
from app.execution.leaves import Native
from app.execution.markers import BATCH_RESOLVER, BY_CLASS, TYPED, VIEWER_ONLY, by_class
from app.execution.model import Allowance, Observer, Plan
from app.execution.run import Executed
from app.execution.schema import BreadthFirstSchema

__all__ = [
    "BATCH_RESOLVER",
    "BY_CLASS",
    "TYPED",
    "VIEWER_ONLY",
    "Allowance",
    "BreadthFirst",
    "BreadthFirstSchema",
    "Executed",
    "Native",
    "Observer",
    "Plan",
    "by_class",
    "has_resolver",
]
