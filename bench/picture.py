"""Draws the table of docs/performance.md as docs/performance.svg: `.venv/bin/python -m bench.picture`.

Each bar is one server: its CPU and, lighter, PostgreSQL's, in milliseconds per request. Each case has its own scale.
The reference executor takes many times as long, so its figures are given as text.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"
HEAD = "| case | server | server CPU | PostgreSQL CPU | / reference | / bare | / breadth first | statements | bytes |"
CASES = ("nested page of 50", "one location nested", "flat 100")
OURS, REFERENCE = "breadth first", "reference"
LEFT_OUT = ("breadth first, no tokens", "breadth first, traced 10 %")

WIDTH, LABELS, BAR, GAP, TITLE = 860, 230, 16, 6, 44
RUN = WIDTH - LABELS - 150  # pixels of the longest bar
COLORS = {OURS: "#b3261e"}
OTHERS = "#44546a"


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds per request of one server for one case: its own and PostgreSQL's."""

    server: str
    own: float
    postgres: float


def costs(page: str) -> dict[str, list[Cost]]:
    """The costs in the first table with this head on a page, by case."""
    found: dict[str, list[Cost]] = {}
    for line in page.partition(HEAD)[2].strip().splitlines()[1:]:
        if not line.startswith("|"):
            break
        case, server, own, postgres, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        found.setdefault(case, []).append(Cost(server, float(own), float(postgres)))
    return found


def picture(page: str) -> str:
    """The SVG of a page's table."""
    measured = costs(page)
    drawn, top = [], 0
    for case in CASES:
        lines, top = _case(case, measured[case], top)
        drawn += lines
    style = "font: 13px system-ui, sans-serif; fill: #1f2933"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top + 12}" style="{style}">',
            f"<title>{escape('CPU milliseconds per request, server and PostgreSQL, in one run')}</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def _case(case: str, measured: list[Cost], top: int) -> tuple[list[str], int]:
    reference = next(each for each in measured if each.server == REFERENCE)
    shown = [each for each in measured if each.server not in {REFERENCE, *LEFT_OUT}]
    longest = max(each.own + each.postgres for each in shown)
    title = f"{case}: CPU ms per request (reference executor: {reference.own:.1f} + {reference.postgres:.1f})"
    lines = [f'<text x="12" y="{top + 28}" font-weight="600">{escape(title)}</text>']
    top += TITLE
    for each in sorted(shown, key=lambda cost: cost.own + cost.postgres):
        own, postgres = (round(part / longest * RUN) for part in (each.own, each.postgres))
        color = COLORS.get(each.server, OTHERS)
        weight = ' font-weight="600"' if each.server == OURS else ""
        base = top + BAR - 3
        lines += [
            f'<text x="{LABELS - 10}" y="{base}" text-anchor="end"{weight}>{escape(each.server)}</text>',
            f'<rect x="{LABELS}" y="{top}" width="{own}" height="{BAR}" fill="{color}"/>',
            f'<rect x="{LABELS + own}" y="{top}" width="{postgres}" height="{BAR}" fill="{color}" opacity="0.35"/>',
            f'<text x="{LABELS + own + postgres + 8}" y="{base}">{each.own:.2f} + {each.postgres:.2f}</text>',
        ]
        top += BAR + GAP
    return lines, top


if __name__ == "__main__":
    PICTURE.write_text(picture(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
