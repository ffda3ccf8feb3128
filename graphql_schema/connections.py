"""Relay connections: a page of a list, its edges, and its position in the list."""

from typing import Any, Generic, TypeVar

import strawberry

from app.db.queries import COUNT_CAP
from app.query_cost.price import PRICE
from graphql_schema.fields import column, shows
from resolvers import paging
from resolvers.context import Info

T = TypeVar("T")

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
    async def total_count(root: strawberry.Parent[paging.Connection[Any]], info: Info) -> int:
        return min(await paging.total(info.context.reading, root), COUNT_CAP)

    @strawberry.field(
        description="Whether the list has more nodes than `totalCount` can count.", metadata={PRICE: COUNT_PRICE}
    )
    @staticmethod
    async def total_count_is_capped(root: strawberry.Parent[paging.Connection[Any]], info: Info) -> bool:
        return await paging.total(info.context.reading, root) > COUNT_CAP
