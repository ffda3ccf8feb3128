"""Reads the files of manifests, of which others may write, replace or remove any at any time."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from graphql_schema.manifests import Listed, ManifestRefused, texts_of

MOST_BYTES = 16 * 1024 * 1024
"""The maximum size of all files together."""
RELOAD = "reload"
"""The key of the state of the lifespan under which the server finds the coroutine function that loads them again."""


def read_manifests(paths: Iterable[Path]) -> dict[str, Listed]:
    """Return the documents in these files by SHA-256. Raises ManifestRefused, which names the file."""
    listed: dict[str, Listed] = {}
    left = MOST_BYTES
    for path in paths:
        try:
            content = _content(path, left)
            left -= len(content)
            listed |= {document_hash: Listed(text, str(path)) for document_hash, text in texts_of(content).items()}
        except ManifestRefused as refusal:
            raise ManifestRefused(f"{path}: {refusal.problem}") from None
        except OSError as error:
            raise ManifestRefused(f"{path}: it cannot be read: {error.strerror}") from None
    return listed


def _content(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file, of which none blocks. Raises ManifestRefused and OSError."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 - of a descriptor
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ManifestRefused("it is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise ManifestRefused(f"the files are larger than {MOST_BYTES:,} bytes together")
    return content
