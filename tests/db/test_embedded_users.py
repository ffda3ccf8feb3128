"""Root runs the embedded PostgreSQL as an unprivileged user, who gets the data of an earlier one, and nothing else."""

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from app.postgres import embedded
from app.postgres.embedded import EmbeddedPostgresError, erase, start
from tests.cli.turnup import eventually

pytestmark = [
    pytest.mark.xdist_group("embedded"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; run once as root"),
]

EARLIER, LATER = "nobody", "daemon"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose cluster exists; one for all, because making one takes a second."""
    home = tmp_path_factory.mktemp("users") / "home"
    start(home, user=EARLIER).stop()
    yield home
    erase(home)


@pytest.fixture
def home(made: Path) -> Path:
    """The same, with data of the earlier user."""
    start(made, user=EARLIER).stop()
    assert owners(data_of(made)) == {EARLIER}
    return made


def data_of(home: Path) -> Path:
    with start(home, user=EARLIER) as running:
        return running.cluster.data


def owners(folder: Path) -> set[str]:
    return {path.owner() for path in (folder, *folder.rglob("*")) if not path.is_symlink()}


def starts(home: Path, user: str) -> bool:
    """Whether the cluster starts; a supervisor that has just refused another start gives its reason again."""
    with suppress(EmbeddedPostgresError):
        start(home, user=user).stop()
        return True
    return False


def uid(user: str) -> int:
    return pwd.getpwnam(user).pw_uid


async def test_another_user_gets_the_data_and_the_sockets(home: Path) -> None:
    with start(home, user=EARLIER) as running:
        url, cluster = running.cluster.dsn("turnup_owner", "turnup"), running.cluster
        connection = await asyncpg.connect(url)
        await connection.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS number")
        await connection.close()
    (cluster.data.parent / "owner").unlink()  # as in a home of an earlier version
    with start(home, user=LATER):
        assert owners(cluster.data) == {LATER}
        assert owners(cluster.socket_dir) == {LATER}
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT number FROM kept") == 42
        await connection.close()


def test_a_running_cluster_keeps_its_user(home: Path) -> None:
    with start(home, user=EARLIER) as running, start(home, user=LATER):
        assert owners(running.cluster.data) == {EARLIER}


def test_a_change_of_the_user_that_was_interrupted_is_continued(home: Path) -> None:
    data = data_of(home)
    for path in (data, *sorted(data.iterdir())[:5]):
        os.chown(path, uid(LATER), -1)
    with start(home, user=LATER):
        assert owners(data) == {LATER}


def test_what_a_symbolic_link_in_the_data_leads_to_keeps_its_owner(home: Path, tmp_path: Path) -> None:
    data, outside = data_of(home), tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    links = [data / "file", data / "folder"]
    links[0].symlink_to(outside / "file")
    links[1].symlink_to(outside)
    for link in links:
        os.chown(link, uid(EARLIER), -1, follow_symlinks=False)
    try:
        with start(home, user=LATER):
            assert owners(outside) == {"root"}
            assert {link.lstat().st_uid for link in links} == {uid(LATER)}
    finally:
        for link in links:
            link.unlink()


@pytest.mark.parametrize(
    ("owner", "reason"), [("root", "belongs to neither user"), (EARLIER, "has a second name")], ids=["root", "earlier"]
)
def test_a_file_that_may_be_elsewhere_too_is_refused_and_keeps_its_owner(home: Path, owner: str, reason: str) -> None:
    data = data_of(home)
    elsewhere = embedded.ROOT_STATE / f"elsewhere-{home.parent.name}"
    elsewhere.touch()
    os.chown(elsewhere, uid(owner), -1)
    os.link(elsewhere, data / "base" / "planted")
    try:
        with pytest.raises(EmbeddedPostgresError, match=reason):
            start(home, user=LATER)
        assert elsewhere.owner() == owner
    finally:
        (data / "base" / "planted").unlink()
        elsewhere.unlink()
    eventually(lambda: starts(home, LATER), within=30)


def test_a_data_directory_that_was_exchanged_for_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    data, outside = data_of(home), tmp_path / "outside"
    outside.mkdir()
    kept = data.rename(data.with_name("kept"))
    data.symlink_to(outside)
    os.chown(data, uid(EARLIER), -1, follow_symlinks=False)
    try:
        with pytest.raises(EmbeddedPostgresError):
            start(home, user=LATER)
        assert owners(outside) == {"root"}
    finally:
        data.unlink()
        kept.rename(data)
    eventually(lambda: starts(home, LATER), within=30)


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("no-such-user", "TURNUP_POSTGRES_USER: there is no user 'no-such-user' on this machine"),
        ("nul\0", "TURNUP_POSTGRES_USER: there is no user 'nul\\x00' on this machine"),
        ("root", "TURNUP_POSTGRES_USER: PostgreSQL does not run as root"),
    ],
)
def test_a_user_that_cannot_run_it_is_refused_before_anything_is_made(tmp_path: Path, user: str, said: str) -> None:
    with pytest.raises(EmbeddedPostgresError) as refused:
        start(tmp_path / "home", user=user)
    assert str(refused.value) == said
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("existing", "chosen", "shared"),
    [
        ({"turnup", "postgres", "nobody"}, "turnup", False),
        ({"postgres", "nobody"}, "postgres", False),
        ({"nobody"}, "nobody", True),
    ],
)
def test_without_a_choice_the_first_user_of_its_own_runs_it(
    monkeypatch: pytest.MonkeyPatch, existing: set[str], chosen: str, shared: bool
) -> None:
    def looked_up(name: str) -> pwd.struct_passwd:
        if name not in existing:
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", 999, 999, "", "/", "/bin/false"))

    monkeypatch.setattr(pwd, "getpwnam", looked_up)
    assert embedded._unprivileged(None).pw_name == chosen
    assert embedded.shares_user(None) == shared
    assert not embedded.shares_user("nobody")


def test_a_machine_without_any_such_user_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", missing)
    with pytest.raises(EmbeddedPostgresError, match="useradd --system turnup"):
        start(tmp_path / "home")
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
