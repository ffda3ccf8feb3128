"""Breadth-first GraphQL execution, knowing graphql-core and Strawberry and nothing of this product."""

from .executor import BreadthFirst
from .markers import BATCH_RESOLVER, BY_CLASS, TYPED, VIEWER_ONLY, by_class
from .plan import Plan
from .run import Executed, Observer
from .schema import BreadthFirstSchema

__all__ = [
    "BATCH_RESOLVER",
    "BY_CLASS",
    "TYPED",
    "VIEWER_ONLY",
    "BreadthFirst",
    "BreadthFirstSchema",
    "Executed",
    "Observer",
    "Plan",
    "by_class",
]
