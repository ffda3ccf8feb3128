"""Release the version that app/version.py holds.

    make release                 commit and tag the release
    make release ARGS=--check    only say what is missing

1. Nothing is uncommitted, the version has no tag, and CHANGELOG.md has the section "VERSION, unreleased".
2. The section gets today's date (UTC); schema.graphql is copied to docs/released/VERSION.graphql.
3. Both are committed as "release: VERSION" and tagged vVERSION.

`make release` runs `make check` before. What remains is printed: to push, and to begin the next version.
"""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNRELEASED = "## {}, unreleased\n"


class NotReleasable(Exception):  # noqa: N818 - a reason, printed as it is
    """The reason why the version cannot be released now."""


def release(root: Path, *, only_check: bool) -> str:
    """Release the version of the checkout at `root` and return it. Raises NotReleasable before anything is changed."""
    version = version_of(root)
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = UNRELEASED.format(version)
    if heading not in changes:
        raise NotReleasable(f'CHANGELOG.md has no section "{heading[3:-1]}"')
    if git(root, "tag", "--list", f"v{version}"):
        raise NotReleasable(f"the tag v{version} exists: set the next version in app/version.py")
    if git(root, "status", "--porcelain"):
        raise NotReleasable("there are uncommitted changes")
    if only_check:
        return version
    today = datetime.now(UTC).date().isoformat()
    (root / "CHANGELOG.md").write_text(changes.replace(heading, f"## {version}, {today}\n"), encoding="utf-8")
    released = root / "docs" / "released" / f"{version}.graphql"
    released.parent.mkdir(exist_ok=True)
    released.write_bytes((root / "schema.graphql").read_bytes())
    git(root, "add", "CHANGELOG.md", str(released))
    git(root, "commit", "--quiet", "--message", f"release: {version}")
    git(root, "tag", "--annotate", f"v{version}", "--message", f"Turnup {version}")
    return version


def version_of(root: Path) -> str:
    """Return the version in app/version.py. Raises NotReleasable when it is not three numbers, as in 1.0.0."""
    found = re.search(r'^VERSION = "(\d+\.\d+\.\d+)"$', (root / "app/version.py").read_text(encoding="utf-8"), re.M)
    if found is None:
        raise NotReleasable("app/version.py holds no version of three numbers, such as 1.0.0")
    return found[1]


def git(root: Path, *arguments: str) -> str:
    """Return the output of a git command."""
    ended = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)  # noqa: S607 - git is found on the PATH
    return ended.stdout.strip()


def main(arguments: list[str]) -> None:
    """Release the version, or only check it."""
    only_check = arguments == ["--check"]
    if arguments and not only_check:
        sys.exit("turnup: the only argument is --check")
    try:
        version = release(ROOT, only_check=only_check)
    except NotReleasable as why:
        sys.exit(f"turnup: not released: {why}")
    if only_check:
        print(f"{version} can be released: make release")
        return
    print(f"Released {version}. Next: git push --follow-tags; then set the next version in app/version.py")
    print('and begin CHANGELOG.md with its section, "## NEXT, unreleased".')


if __name__ == "__main__":
    main(sys.argv[1:])
