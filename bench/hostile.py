"""Measures what hostile requests cost before they are executed: `.venv/bin/python -m bench.hostile`.

One row per family of tests/contract/hostile.py, at its largest size: the CPU time of reading the body, parsing,
checking, validating and pricing the document, and coercing the variables, without any cache, and the code of the
refusal. The last column is the time of planning, for documents that are accepted. Times are the shortest of several.
"""

import argparse

from tests.contract.hostile import FAMILIES, before_execution, planning


def main(kinds: list[str], repeats: int, above: float) -> None:
    """Print one table row per family, the costliest first."""
    rows = []
    for kind in kinds:
        for name, family in FAMILIES[kind].items():
            body = family.worst()
            for suggestions in (False, True) if kind == "documents" else (False,):
                measured = [before_execution(body, suggestions=suggestions) for _ in range(repeats)]
                seconds = min(each.seconds for each in measured)
                code, prepared = measured[0].code, measured[0].prepared
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
