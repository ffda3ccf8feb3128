"""The files in which processes count together: a full disk costs counts, never the process; ended ones leave no files.

prometheus-client maps its files into memory. Writing to a page of a mapped file for which the file system has no block
left ends the process with SIGBUS, so blocks are reserved before they are written. Without blocks, a process keeps a
value, and writes it when it changes after there is space again.
"""

import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EINVAL, ENOSYS, EOPNOTSUPP
from pathlib import Path
from time import monotonic
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

FIRST_BYTES = 1 << 16
"""The size of a new file; it doubles when it is full."""
AGAIN_SECONDS = 1.0
"""Seconds after a failure in which no other attempt is made."""

READ_ATTEMPTS, ATTEMPT_SECONDS = 20, 0.01
"""A merge takes some milliseconds."""
SUMMED = ("counter", "histogram")
"""The kinds of files whose values are added up."""

_LIBRARYS: Any = MmapedDict  # its methods have no types
_MOST_BESIDE_KEY = 4 + 8 + 16  # its length, the padding, the value and its time
_CANNOT_RESERVE = frozenset({EINVAL, ENOSYS, EOPNOTSUPP})  # of file systems that know no reservations


def use_reserved_files() -> None:
    """Let prometheus-client write files with reserved blocks, if processes count together; before the first metric."""
    library: Any = values
    library.MmapedDict = ReservedFile  # the library has no setting for it


def use_folder() -> None:
    """Let the first metric of a process count in a folder that was named after prometheus-client was imported."""
    use_reserved_files()
    library: Any = values
    library.ValueClass = values.get_value_class()  # the library chooses it on import


class ReservedFile(MmapedDict):
    """A file of values by key. Those for which there is no space are not written; the caller has them."""

    _f: Any
    _m: Any

    def __init__(self, filename: str) -> None:
        self._fname = filename
        self._again_at = 0.0
        self._forget()
        with suppress(OSError):
            self._open()

    def read_value(self, key: str) -> tuple[float, float]:
        """Return a value and its time; zeros if it has no place."""
        return _LIBRARYS.read_value(self, key) if self._places(key) else (0.0, 0.0)

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Write a value and its time if it has a place."""
        if key in self._positions or self._places(key):  # most have one: a call less
            _LIBRARYS.write_value(self, key, value, timestamp)

    def _places(self, key: str) -> bool:
        """Give a key a place in the file, unless it has one; returns whether it has one now."""
        if key in self._positions:
            return True
        if monotonic() < self._again_at:
            return False
        try:
            if self._f is None:
                self._open()
            if key not in self._positions:
                self._reserve_for(key)
                _LIBRARYS._init_value(self, key)
        except OSError:
            self._capacity = 0 if self._m is None else len(self._m)  # it was doubled if the larger file was not mapped
            self._again_at = monotonic() + AGAIN_SECONDS
            return False
        return True

    def _open(self) -> None:
        """Open the file, which exists only with all of its blocks."""
        if not os.path.exists(self._fname):  # noqa: PTH110 - a name, as the library has it
            fresh = f"{self._fname}.new"  # no name that readers look for
            try:
                with open(fresh, "wb") as file:  # noqa: PTH123 - as above
                    _reserve(file.fileno(), FIRST_BYTES)
                    file.truncate(FIRST_BYTES)
                os.replace(fresh, self._fname)  # noqa: PTH105 - as above
            except OSError:
                with suppress(OSError):
                    os.unlink(fresh)  # noqa: PTH108 - as above
                raise
        try:
            _LIBRARYS.__init__(self, self._fname)
        except OSError:
            self._forget()
            raise

    def _reserve_for(self, key: str) -> None:
        """Reserve the blocks that the file will have with one more key."""
        needed = self._used + len(key.encode()) + _MOST_BESIDE_KEY
        if needed > self._capacity:
            size = self._capacity
            while size < needed:
                size *= 2
            _reserve(self._f.fileno(), size)

    def _forget(self) -> None:
        self._f = self._m = None
        self._positions: dict[str, int] = {}
        self._used = self._capacity = 0


def _reserve(descriptor: int, size: int) -> None:
    """Reserve the blocks of a file, where the system can. Raises OSError if there is no space."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise


def merge_ended(folder: Path, pids: Collection[int]) -> None:
    """Add up the counters and histograms of ended processes in one file of each kind, and remove theirs.

    While another process reads or merges, and while there is no space, they are left for later.
    """
    with suppress(OSError), _opened(folder) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for kind in SUMMED:
            files = [file for pid in pids if (file := folder / f"{kind}_{pid}.db").exists()]
            if files:
                _merge(folder / f"{kind}_ended.db", files)


@contextmanager
def unmerged(folder: Path) -> Iterator[None]:
    """Hold off merges while the files of a folder are read. Raises OSError if a merge goes on for too long."""
    with _opened(folder) as lock:
        for attempts_left in reversed(range(READ_ATTEMPTS)):
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not attempts_left:
                    raise
                time.sleep(ATTEMPT_SECONDS)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder for its lock, which needs no file: none can be removed, and none needs space."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _merge(into: Path, files: Sequence[Path]) -> None:
    """Replace files by one with the sums. Raises OSError before anything is changed."""
    totals: defaultdict[str, float] = defaultdict(float)
    for each in [into, *files] if into.exists() else files:
        for key, value, *_ in _LIBRARYS.read_all_values_from_file(each):
            totals[key] += value
    size = FIRST_BYTES
    while size < sum(len(key.encode()) + _MOST_BESIDE_KEY for key in totals) + _MOST_BESIDE_KEY:
        size *= 2
    fresh = into.with_suffix(".new")
    try:
        with fresh.open("wb") as file:
            _reserve(file.fileno(), size)
            file.truncate(size)
        merged = _LIBRARYS(str(fresh))
        for key, value in totals.items():
            merged.write_value(key, value, 0.0)
        merged.close()
        fresh.replace(into)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
    for each in files:
        each.unlink()
