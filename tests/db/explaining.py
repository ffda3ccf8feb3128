"""How PostgreSQL runs the statements of a reading: their plans, instead of their rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.db.database import Database, Transaction
from app.db.reading import Reading
from app.db.statements import Statement
from tests.harness import by_token


@dataclass(frozen=True, slots=True)
class Plan:
    """How PostgreSQL ran a statement."""

    nodes: list[dict[str, Any]]

    @property
    def kinds(self) -> set[str]:
        return {node["Node Type"] for node in self.nodes}

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    @property
    def rows_read(self) -> int:
        """The rows that scans looked at, those included that a filter took away."""
        scans = [node for node in self.nodes if "Scan" in node["Node Type"] and "Relation Name" in node]
        return sum(int(n["Actual Rows"] * n["Actual Loops"]) + n.get("Rows Removed by Filter", 0) for n in scans)

    @property
    def rows_in_vain(self) -> int:
        """The rows that a filter took away."""
        return sum(int(node.get("Rows Removed by Filter", 0) * node["Actual Loops"]) for node in self.nodes)


class Explaining(Transaction):
    """A transaction that keeps the plan of each statement instead of running it."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction._connection, transaction.viewer, transaction._observe)
        self.plans: list[Plan] = []

    async def fetch(self, statement: Statement, **values: Any) -> list[Any]:
        # Only a statement that SQL itself prepared is planned for any values when told so.
        asked = ", ".join(literal(value) for value in statement.arguments(values))
        await self._connection.execute(f"PREPARE asked AS {statement.sql}")
        [root] = await self._connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({asked})")
        await self._connection.execute("DEALLOCATE asked")
        self.plans.append(Plan(list(nodes_of(root["Plan"]))))
        return []


def literal(value: Any) -> str:
    """A value as SQL reads it; the values of these tests hold no quotes."""
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(literal, value))}]::text[]"
    return str(value) if isinstance(value, int) else f"'{value}'"


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes_of(child)


async def plan_of(pool: Database, who: str, mode: str, ask: Any) -> Plan:
    async with pool.snapshot(by_token(who), timeout_ms=10_000) as transaction:
        await transaction._connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        explaining = Explaining(transaction)
        await ask(Reading(explaining, transaction._observe))
    return explaining.plans[-1]
