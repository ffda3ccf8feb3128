"""Relay connections: a page of a list, its edges, and where it stands."""

from typing import Generic, TypeVar

import strawberry

from app.db.queries import COUNT_CAP
from app.query_cost.price import PRICE
from graphql_schema.fields import column, shows
from resolvers import paging
from resolvers.context import Info

T = TypeVar("T")

# What counting a whole list costs, in objects: it may read thousands of rows to return a number.
COUNT_PRICE = 100


@shows(paging.PageInfo, "Where a page stands in its list.")
class PageInfoType:
    has_next_page: bool = column("Whether more rows follow.")
    has_previous_page: bool = column("Whether this page began behind a cursor.")
    start_cursor: str | None = column("The cursor of the first row; null on an empty page.")
    end_cursor: str | None = column("The cursor of the last row, to be passed as `after`; null on an empty page.")


@shows(paging.Edge, "A row of a list and the cursor that stands at it.")
class EdgeType(Generic[T]):
    cursor: str = column("Opaque; valid for the same list, order and filters only.")
    node: T = column("The row.")


@shows(paging.Connection, "A page of a list.")
class ConnectionType(Generic[T]):
    nodes: list[T] = column("The rows of this page, in order.")
    edges: list[EdgeType[T]] = column("The same rows, each with its cursor.")
    page_info: PageInfoType = column("Where the page stands.")

    @strawberry.field(
        description=f"How many rows the whole list has, counted up to {COUNT_CAP:,}.", metadata={PRICE: COUNT_PRICE}
    )
    @staticmethod
    async def total_count(root: strawberry.Parent[paging.Connection], info: Info) -> int:
        return min(await paging.total(info.context.reading, root), COUNT_CAP)

    @strawberry.field(
        description="Whether the list has more rows than `totalCount` counts to.", metadata={PRICE: COUNT_PRICE}
    )
    @staticmethod
    async def total_count_is_capped(root: strawberry.Parent[paging.Connection], info: Info) -> bool:
        return await paging.total(info.context.reading, root) > COUNT_CAP
