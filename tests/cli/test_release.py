"""`make release` cuts exactly the version of app/version.py, and says what is missing before it changes anything."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
CHANGES = "# Changes\n\n## 1.2.0, unreleased\n\n- New.\n\n## 1.1.0, 2026-01-01\n\n- Old.\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of what a release reads, committed."""
    for name, text in {
        "app/version.py": '"""The version."""\n\nVERSION = "1.2.0"\n',
        "CHANGELOG.md": CHANGES,
        "schema.graphql": "type Query { viewer: ID }\n",
        "deploy/release.py": (DEPLOY / "release.py").read_text(),
        "docs/released/1.1.0.graphql": "type Query { nothing: ID }\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    for name, value in {"user.name": "Rita", "user.email": "rita@turnup.example", "commit.gpgsign": "false"}.items():
        git(tmp_path, "config", name, value)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "everything")
    return tmp_path


def git(checkout: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=checkout, check=True, capture_output=True, text=True).stdout.strip()


def release(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "deploy/release.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_release_is_a_tagged_commit_of_the_dated_changes_and_the_schema(checkout: Path) -> None:
    done = release(checkout)
    assert (done.returncode, done.stderr) == (0, "")
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "describe", "--exact-match") == "v1.2.0"
    assert git(checkout, "log", "-1", "--format=%s") == "release: 1.2.0"
    today = datetime.now(UTC).date().isoformat()
    assert git(checkout, "show", "v1.2.0:CHANGELOG.md") == CHANGES.replace("unreleased", today).strip()
    assert git(checkout, "show", "v1.2.0:docs/released/1.2.0.graphql") == "type Query { viewer: ID }"
    assert git(checkout, "diff", "--name-only", "HEAD~1") == "CHANGELOG.md\ndocs/released/1.2.0.graphql"


def test_the_schema_that_was_promised_before_the_release_is_replaced(checkout: Path) -> None:
    (checkout / "docs/released/1.2.0.graphql").write_text("type Query { early: ID }\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "the schema so far")
    assert release(checkout).returncode == 0
    assert git(checkout, "show", "v1.2.0:docs/released/1.2.0.graphql") == "type Query { viewer: ID }"


def test_a_check_changes_nothing(checkout: Path) -> None:
    before = git(checkout, "rev-parse", "HEAD")
    assert release(checkout, "--check").stdout == "1.2.0 can be released: make release\n"
    assert (git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain")) == (before, "")
    assert git(checkout, "tag") == ""


def uncommitted(checkout: Path) -> None:
    (checkout / "schema.graphql").write_text("type Query { other: ID }\n")


def already_tagged(checkout: Path) -> None:
    git(checkout, "tag", "v1.2.0")


def without_changes(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changes\n\n## 1.1.0, 2026-01-01\n")


def without_a_version(checkout: Path) -> None:
    (checkout / "app/version.py").write_text('VERSION = "next"\n')


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (uncommitted, "there are uncommitted changes"),
        (already_tagged, "the tag v1.2.0 exists: set the next version in app/version.py"),
        (without_changes, 'CHANGELOG.md has no section "1.2.0, unreleased"'),
        (without_a_version, "app/version.py holds no version of three numbers, such as 1.0.0"),
    ],
)
@pytest.mark.parametrize("arguments", [(), ("--check",)], ids=["release", "check"])
def test_what_is_missing_is_named_and_nothing_is_changed(
    checkout: Path, spoil: Callable[[Path], None], reason: str, arguments: tuple[str, ...]
) -> None:
    spoil(checkout)
    before = git(checkout, "log", "--all", "--format=%H %D"), git(checkout, "diff")
    refused = release(checkout, *arguments)
    assert (refused.returncode, refused.stderr) == (1, f"turnup: not released: {reason}\n")
    assert (git(checkout, "log", "--all", "--format=%H %D"), git(checkout, "diff")) == before
