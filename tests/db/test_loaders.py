"""The lists of one level are loaded together, up to a number of rows that fits in memory."""

from dataclasses import dataclass
from typing import Any

import pytest

from app.db import tables
from app.db.loaders import MOST_ROWS, ManyLoader, TooManyRows, many_statement


@dataclass(frozen=True, slots=True)
class Phone:
    location_id: str


@pytest.mark.parametrize("count", [MOST_ROWS, MOST_ROWS + 1])
async def test_lists_with_too_many_rows_are_refused(count: int) -> None:
    async def fetch(*_: Any) -> list[Any]:
        return [Phone("location-1")] * count

    loader = ManyLoader(tables.device.c.location_id, fetch)
    if count > MOST_ROWS:
        with pytest.raises(TooManyRows):
            await loader.each(["location-1"])
    else:
        assert [len(rows) for rows in await loader.each(["location-1"])] == [count]


@pytest.mark.parametrize("column", [tables.device.c.location_id, tables.audit_entry.c.location_id], ids=str)
def test_the_database_returns_at_most_one_row_beyond_the_limit(column: Any) -> None:
    assert many_statement(column).sql.rstrip().endswith(f"LIMIT {MOST_ROWS + 1}")
