"""Measures what hostile requests cost before they are executed: `.venv/bin/python -m bench.hostile`.

One row per family of tests/contract/hostile.py, at its largest size: the CPU time of reading the body, parsing,
checking, validating and pricing the document, and coercing the variables, without any cache, and the code of the
refusal. The last column is the time of planning, for documents that are accepted. Times are the shortest of several.
"""

import argparse
from time import process_time
from typing import Any

from app.execution import BreadthFirst
from app.http.body import BodyLimits, BodyRefused, parse_json_body
from app.query_cost.limits import DocumentLimits
from app.query_cost.price import PriceRules
from graphql_schema.documents import Documents
from graphql_schema.errors import RequestRefused
from graphql_schema.requests import PreparedOperation, Request, prepare
from graphql_schema.schema import schema
from tests.contract.hostile import FAMILIES

SCHEMA = schema._schema
LIMITS = BodyLimits()
PRICES = PriceRules()


def before_execution(body: bytes, *, suggestions: bool = False) -> tuple[float, str, PreparedOperation | None]:
    """Do all that precedes the execution of a body. Returns the CPU seconds, the code of a refusal, the operation."""
    documents = Documents(SCHEMA, limits=DocumentLimits(), prices=PRICES, suggestions=suggestions)
    began = process_time()
    code, prepared = "accepted", None
    try:
        parameters = parse_json_body(body, LIMITS)
        prepared = prepare(_request(parameters), documents, PRICES)
    except BodyRefused as refusal:
        code = refusal.code
    except RequestRefused as refusal:
        code = refusal.errors[0]["extensions"]["code"]
    return process_time() - began, code, prepared


def planning(prepared: PreparedOperation) -> float:
    """The CPU seconds of planning an operation. Selections below the root are planned when they are first needed."""
    engine = BreadthFirst()
    began = process_time()
    engine.plan(SCHEMA, prepared.document, prepared.operation.name, hide_suggestions=True)
    return process_time() - began


def _request(parameters: Any) -> Request:
    return Request(
        subject="bench",
        request_id="bench",
        query=parameters["query"],
        operation_name=parameters["operationName"],
        variables=parameters["variables"],
        read_only=False,
        writing=lambda: None,
    )


def main(kinds: list[str], repeats: int, above: float) -> None:
    """Print one table row per family, the costliest first."""
    rows = []
    for kind in kinds:
        for name, family in FAMILIES[kind].items():
            body = family.worst()
            for suggestions in (False, True) if kind == "documents" else (False,):
                measured = [before_execution(body, suggestions=suggestions) for _ in range(repeats)]
                seconds = min(each[0] for each in measured)
                _, code, prepared = measured[0]
                plan = min(planning(prepared) for _ in range(repeats)) if prepared else 0.0
                mode = ", development" if suggestions else ""
                rows.append((seconds * 1e3, f"{kind}: {name}{mode}", len(body), code, plan * 1e3))
    print("| family | body bytes | CPU ms | outcome | planning ms |\n|---|---|---|---|---|")
    for took, name, size, code, plan_ms in sorted(rows, reverse=True):
        if took >= above:
            print(f"| {name} | {size:,} | {took:.1f} | {code} | {plan_ms:.1f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("kinds", nargs="*", default=list(FAMILIES), help="bodies, documents, variables, together (all)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="measurements per family (3)")
    parser.add_argument("--above", type=float, default=0.0, metavar="MS", help="print only families above so many ms")
    given = parser.parse_args()
    main(given.kinds, given.repeats, given.above)
