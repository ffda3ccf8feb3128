"""Find nginx for the tests of restarts behind a proxy, or install Debian's.

    python3 deploy/nginx.py

Prints the path of the program. When there is none and it cannot be installed, prints the reason and returns 1. The
tests start their own nginx and do not use the package's service.
"""

import shutil
import sys

from debian import Unavailable, find_or_install


def main() -> int:
    """Print the path of nginx, or the reason why the tests of restarts cannot run."""
    try:
        print(find_or_install(find, "nginx"))
    except Unavailable as why:
        print(f"turnup: NO NGINX for the tests of restarts: {why}", file=sys.stderr)
        return 1
    return 0


def find() -> str | None:
    """Return the path of nginx on this machine, if there is one; sbin is not in the path of every user."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


if __name__ == "__main__":
    sys.exit(main())
