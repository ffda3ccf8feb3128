"""Relay connections: a page of a list, its edges, and its position in the list."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

import strawberry

from app.db.nested import Nested, NestedList
from app.db.paging import Order
from app.db.queries import COUNT_CAP
from app.domain.viewer import Viewer
from app.query_cost.price import PRICE
from graphql_schema.fields import After, First, column, shows
from resolvers import paging
from resolvers.context import Info
from resolvers.relations import LINK, Pages

T = TypeVar("T")


def paged(
    nested: Nested,
    order: Order,
    description: str,
    *,
    shown: Callable[[Viewer, list[Any]], list[Any]] | None = None,
) -> Any:
    """A field with the list that each of the type's rows has, in an order, a page at a time.

    `shown` returns the rows of a page as the viewer sees them.
    """
    listed = NestedList(nested, order, {})

    async def page(
        root: strawberry.Parent[Any], info: Info, first: First = paging.DEFAULT_PAGE, after: After = None
    ) -> paging.Connection[Any]:
        found = await paging.nested_connection(info.context.reading, listed, root.id, first, after)
        return replace(found, slice=found.slice.shown_as(shown(info.context.viewer, found.nodes))) if shown else found

    return strawberry.field(resolver=page, description=description, metadata={LINK: Pages(nested.table)})


# The price of counting a whole list, in objects: it may read thousands of rows to return one number.
COUNT_PRICE = 100


@shows(paging.PageInfo, "The position of a page in its list.")
class PageInfoType:
    has_next_page: bool = column("Whether more nodes follow this page.")
    has_previous_page: bool = column("Whether this page starts after a cursor.")
    start_cursor: str | None = column("The cursor of the first node. Null if the page is empty.")
    end_cursor: str | None = column("The cursor of the last node, to be sent as `after`. Null if the page is empty.")


@shows(paging.Edge, "A node of a list, and its cursor.")
class EdgeType(Generic[T]):
    cursor: str = column(
        "The position of the node in the list. Opaque; valid only for the same list, order and filters."
    )
    node: T = column("The node.")


@shows(paging.Connection, "A page of a list.")
class ConnectionType(Generic[T]):
    nodes: list[T] = column("The nodes of this page, in order.")
    edges: list[EdgeType[T]] = column("The same nodes, each with its cursor.")
    page_info: PageInfoType = column("The position of the page in the list.")

    @strawberry.field(
        description=f"The number of nodes in the whole list, counted up to {COUNT_CAP:,}.",
        metadata={PRICE: COUNT_PRICE},
    )
    @staticmethod
    async def total_count(root: strawberry.Parent[paging.Connection[Any]]) -> int:
        return min(await root.count(), COUNT_CAP)

    @strawberry.field(
        description="Whether the list has more nodes than `totalCount` can count.", metadata={PRICE: COUNT_PRICE}
    )
    @staticmethod
    async def total_count_is_capped(root: strawberry.Parent[paging.Connection[Any]]) -> bool:
        return await root.count() > COUNT_CAP
