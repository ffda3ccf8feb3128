"""Find a Redis server for the tests of shared rate limits, or install Debian's.

    python3 deploy/redis.py

Prints the path of the server. When there is none and it cannot be installed, prints the reason and returns 1. The tests
start their own servers and do not use the package's service.
"""

import shutil
import sys

from debian import Unavailable, find_or_install

NAMES = ("redis-server", "valkey-server")


def main() -> int:
    """Print the path of the server, or the reason why the tests of shared rate limits cannot run."""
    try:
        print(find_or_install(find, "redis-server"))
    except Unavailable as why:
        print(f"turnup: NO REDIS for the tests of shared rate limits: {why}", file=sys.stderr)
        return 1
    return 0


def find() -> str | None:
    """Return the path of a Redis server on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


if __name__ == "__main__":
    sys.exit(main())
