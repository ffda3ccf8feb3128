"""Find PgBouncer for the tests of poolers, or install Debian's.

    python3 deploy/pgbouncer.py

Prints the path of the program. When there is none and it cannot be installed, prints the reason and returns 1. The
tests start their own poolers and do not use the package's service.
"""

import shutil
import sys
from pathlib import Path

from debian import Unavailable, find_or_install

DEBIAN = Path("/usr/sbin/pgbouncer")  # not in the PATH of every user


def main() -> int:
    """Print the path of PgBouncer, or the reason why the tests of poolers cannot run."""
    try:
        print(find_or_install(find, "pgbouncer"))
    except Unavailable as why:
        print(f"turnup: NO PGBOUNCER for the tests of poolers: {why}", file=sys.stderr)
        return 1
    return 0


def find() -> str | None:
    """Return the path of PgBouncer on this machine, if there is one."""
    return shutil.which("pgbouncer") or (str(DEBIAN) if DEBIAN.exists() else None)


if __name__ == "__main__":
    sys.exit(main())
