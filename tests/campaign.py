"""Campaigns: slow lanes with many more attempts, run by hand. docs/campaigns.md lists the last that passed.

python -m tests.campaign NAME [SEED]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from random import randrange

from tests.lanes import LANES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "campaigns.md"
CAMPAIGNS = {name: lane for name, lane in LANES.items() if lane.campaign}


def main(arguments: list[str]) -> int:
    """Run the campaign with this name; return the exit status of its tests."""
    if not arguments or arguments[0] not in CAMPAIGNS:
        print(f"turnup: make campaign NAME=... takes one of: {', '.join(CAMPAIGNS)}", file=sys.stderr)
        return 2
    name, seed = arguments[0], int(arguments[1]) if arguments[1:] else randrange(2**32)
    commit, began = commit_of_the_checkout(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        options = [f"--figures={figures}", f"--randomly-seed={seed}", "--no-second-run"]
        status = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "slow", *options, *CAMPAIGNS[name].tests],
            cwd=ROOT,
            env={**os.environ, "TURNUP_CAMPAIGN": str(CAMPAIGNS[name].campaign)},
            check=False,
        ).returncode
        report = json.loads(figures.read_text()) if figures.exists() else {}
    if status:
        print(f"The campaign {name} failed; seed {seed}, commit {commit}.")
        return status
    tried = "; ".join(report["tried"]) or f"{CAMPAIGNS[name].campaign} times the slow lane"
    minutes = round((time.monotonic() - began) / 60)
    row = [name, f"{datetime.now(UTC):%Y-%m-%d}", commit, str(seed), str(report["passed"]), tried, f"{minutes} min"]
    PAGE.write_text(with_row(PAGE.read_text(), row))
    print(f"The campaign {name} passed; seed {seed}, commit {commit}: {tried}.")
    return 0


def commit_of_the_checkout() -> str:
    """Return the commit that is checked out, with a note if files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{PAGE.relative_to(ROOT)}")
    return git("rev-parse", "--short=10", "HEAD") + (" with changes" if changed else "")


def with_row(page: str, row: list[str]) -> str:
    """Return the page with the row of this campaign replaced. The rows are at the end of the page, sorted by name."""
    head, _, rows = page.rpartition("|---|\n")
    kept = [line for line in rows.splitlines() if not line.startswith(f"| {row[0]} |")]
    return f"{head}|---|\n" + "\n".join(sorted([*kept, f"| {' | '.join(row)} |"])) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
