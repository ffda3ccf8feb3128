"""A Strawberry schema with all that Strawberry puts between a field and its value: permissions, extensions, conversion.

Who may see what, and what goes wrong, is decided by the numbers of the rows alone.
"""

# ruff: noqa: ARG002 - permissions and extensions have the signatures Strawberry gives them

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension
from strawberry.scalars import JSON

from app.execution import BATCH_RESOLVER, BreadthFirst, BreadthFirstSchema, by_class


class BookRow(msgspec.Struct, frozen=True):
    """A row: its class is not Strawberry's."""

    number: int
    title: Any
    status: Any
    pages: Any
    printed: Any
    isbn: Any
    price: Any
    tags: Any
    secret: str
    author_number: int
    hush: Any = ("h", "u")


class AuthorRow(msgspec.Struct, frozen=True):
    number: int
    name: Any
    born: Any
    rank: Any
    secret: str


class Odd(BasePermission):
    """Depends on the parent."""

    message = "not for even ones"

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return bool(source.number % 2 == 1)


class OddLater(BasePermission):
    message = "not for even ones, later"
    error_extensions = {"code": "EVEN"}  # noqa: RUF012 - as Strawberry declares it

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        await asyncio.sleep(0)
        if source.number == 4:
            raise ValueError("cannot tell of four")
        return bool(source.number % 2 == 1)


class Staff(BasePermission):
    """Depends on the viewer."""

    message = "staff only"
    viewer_only = True

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        info.context.asked += 1
        return bool(info.context.staff)


class StaffLater(BasePermission):
    message = "staff only, later"
    viewer_only = True

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        await asyncio.sleep(0)
        return bool(info.context.staff) and kwargs.get("of") != "nobody"


class Unsure(BasePermission):
    """Answers with what is no answer."""

    viewer_only = True

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return "yes"


class Shout(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return f"{next_(source, info, **kwargs)}!"


class ShoutLater(FieldExtension):
    async def resolve_async(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return f"{await next_(source, info, **kwargs)}?"


class Passing(FieldExtension):
    """Takes part in resolving, so that nobody may go round it."""

    async def resolve_async(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        info.context.passed += 1
        return await next_(source, info, **kwargs)


@strawberry.enum
class Status(StrEnum):
    NEW = "NEW"
    USED = "OLD"


@strawberry.enum
class Rank(Enum):
    LOW = 1
    HIGH = ("high",)


@strawberry.input
class Near:
    x: int = 1
    ranks: list[Rank] = strawberry.field(default_factory=list)
    note: strawberry.Maybe[str | None]


def _author(number: int) -> Any:
    if number == 3:
        raise LookupError("no author three")
    return None if number == 5 else AUTHORS[number % len(AUTHORS)]


async def author_of(root: Any, info: strawberry.Info) -> Any:
    await asyncio.sleep(0)
    return _author(root.author_number)


async def authors_of(books: list[Any], info: strawberry.Info) -> list[Any]:
    assert isinstance(info, strawberry.Info)
    info.context.batches += 1
    await asyncio.sleep(0)
    return [_caught(book.author_number) for book in books]


def books_of(root: Any, info: strawberry.Info, near: Near, of: str = "any") -> Any:
    if root.number == 6:
        return (book for book in BOOKS[:2])
    return [book for book in BOOKS if book.author_number == root.number][: near.x]


async def all_books_of(authors: list[Any], info: strawberry.Info, near: Near, of: str = "any") -> list[Any]:
    info.context.batches += 1
    return [books_of(author, info, near, of) for author in authors]


async def _some(count: int) -> AsyncIterator[BookRow]:
    for book in BOOKS[:count]:
        yield book


def _caught(number: int) -> Any:
    try:
        return _author(number)
    except LookupError as error:
        return error


@strawberry.interface
class Numbered:
    number: int

    @strawberry.field
    def place(self, info: strawberry.Info) -> str:
        assert isinstance(info, strawberry.Info)
        return f"{info.field_name} {info.path.as_list()} {info.context.staff} {type(self).__name__}"


@strawberry.type
class Author(Numbered):
    name: str | None
    born: date | None
    rank: Rank | None
    secret: str | None = strawberry.field(permission_classes=[Staff])
    odd_secret: str | None = strawberry.field(name="oddSecret", permission_classes=[Odd, Staff], default=None)
    books: list["Book | None"] | None = strawberry.field(
        resolver=books_of, metadata={BATCH_RESOLVER: all_books_of}, permission_classes=[StaffLater]
    )

    @classmethod
    @by_class
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return isinstance(value, AuthorRow | cls)

    @strawberry.field(permission_classes=[Staff])
    def salary(self, info: strawberry.Info, factor: float = 1.5, near: Near | None = None) -> float | None:
        root: Any = info.root_value
        return float(root * factor * self.number + (near.x if near else 0))


T = TypeVar("T")


@strawberry.type
class Page(Generic[T]):
    items: list[T | None]
    count: int | None

    @strawberry.field
    def more(self) -> bool:
        return len(self.items) > 2


@strawberry.type
class Book(Numbered):
    title: str | None
    status: Status | None
    pages: int | None
    printed: datetime | None
    isbn: UUID | None
    price: Decimal | None
    tags: list[str | None] | None
    secret: str | None = strawberry.field(extensions=[PermissionExtension([Odd()])])
    hush: list[str] | None = strawberry.field(extensions=[PermissionExtension([OddLater()], fail_silently=True)])
    author: Author | None = strawberry.field(resolver=author_of, metadata={BATCH_RESOLVER: authors_of})
    odd_author: Author | None = strawberry.field(
        resolver=author_of, metadata={BATCH_RESOLVER: authors_of}, permission_classes=[Staff, OddLater]
    )
    loud_author: Author | None = strawberry.field(
        resolver=author_of, metadata={BATCH_RESOLVER: authors_of}, extensions=[Passing()]
    )
    unsure: str | None = strawberry.field(permission_classes=[Unsure], default=None)

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return isinstance(value, BookRow | cls)

    @strawberry.field(extensions=[Shout()])
    def loud(root: strawberry.Parent[Any]) -> str:  # noqa: N805 - Strawberry fills it by its annotation
        return str(root.title)

    @strawberry.field(extensions=[ShoutLater()], permission_classes=[OddLater])
    async def louder(self) -> str | None:
        return str(self.title)

    @strawberry.field
    async def same(self, near: Near, ranks: list[Rank] | None = None, status: Status = Status.NEW) -> JSON | None:
        note = near.note.value if near.note else "absent"
        if self.number == 2:
            raise PermissionError("two has no same")
        ranked = [repr(rank) for rank in (ranks or near.ranks)]
        return JSON({"x": near.x, "ranks": ranked, "note": note, "s": repr(status)})

    @strawberry.field
    def siblings(self) -> list["Book"] | None:
        return _some(self.number % 3)  # type: ignore[return-value]


@strawberry.type
class Note:
    text: str
    about: Numbered | None

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return isinstance(value, cls)


Thing = Annotated[Author | Book | Note, strawberry.union("Thing")]


@strawberry.type
class Query:
    @strawberry.field
    async def books(self, first: int = 4) -> list[Book | None]:
        return BOOKS[:first]

    @strawberry.field
    def authors(self) -> list[Author | None] | None:
        return iter(AUTHORS)  # type: ignore[return-value]

    @strawberry.field
    def page(self) -> Page[Book] | None:
        return Page(items=BOOKS[1:4], count=3)

    @strawberry.field
    def things(self) -> list[Thing | None]:
        return [BOOKS[0], AUTHORS[1], Note(text="n", about=BOOKS[2]), None, BOOKS[4], Note(text="m", about=None)]

    @strawberry.field
    def numbered(self) -> list[Numbered | None]:
        return [AUTHORS[2], BOOKS[3], AUTHORS[0]]

    @strawberry.field(permission_classes=[Staff])
    def note(self) -> Note | None:
        return Note(text="t", about=AUTHORS[1])


@strawberry.type
class Mutation:
    @strawberry.mutation(permission_classes=[Staff])
    async def rename(self, info: strawberry.Info, number: int, near: Near | None = None) -> Book | None:
        info.context.order.append(number)
        await asyncio.sleep(0)
        book: Book | None = BOOKS[number]
        return book

    @strawberry.mutation
    def fail(self, info: strawberry.Info) -> Note:
        info.context.order.append("fail")
        raise RuntimeError("failed")

    @strawberry.mutation
    def order(self, info: strawberry.Info) -> list[str]:
        return [str(entry) for entry in info.context.order]


class Viewer:
    """The context: who asks, and what was done."""

    def __init__(self, staff: bool) -> None:
        self.staff = staff
        self.asked = 0
        self.batches = 0
        self.passed = 0
        self.order: list[Any] = []


AUTHORS: list[Any] = [
    AuthorRow(0, "Ann", date(1970, 1, 1), Rank.LOW, "s0"),
    AuthorRow(1, "Bo", None, Rank.HIGH, "s1"),
    AuthorRow(2, None, date(1980, 2, 3), 1, "s2"),
    AuthorRow(6, "Cy", "no date", ("high",), "s6"),
]
BOOKS: list[Any] = [
    BookRow(0, "Zero", "NEW", 10, None, None, Decimal("1.50"), ["a", None], "b0", 0),
    BookRow(1, "One", Status.USED, 2**31, datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1), Decimal(2), [], "b1", 1),
    BookRow(2, "Two", "OLD", None, datetime(2026, 1, 2), UUID(int=2), 3, ("t",), "b2", 3),
    BookRow(3, 3, Status.NEW, "12", None, "text", Decimal(4), None, "b3", 5),
    BookRow(4, "Four", "LOST", True, None, None, None, ["x", {}], "b4", 2),
    BookRow(5, "Five", "NEW", 1, None, None, Decimal(0), [1], "b5", 6),
]


def library(executor: BreadthFirst | None) -> BreadthFirstSchema:
    """The schema, under Strawberry's executor or this one."""
    return BreadthFirstSchema(Query, Mutation, breadth_first=executor)
