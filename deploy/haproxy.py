"""Find HAProxy for the tests behind a proxy, or install Debian's.

    python3 deploy/haproxy.py

Prints the path of the program. When there is none and it cannot be installed, prints the reason and returns 1. The
tests start their own HAProxy and do not use the package's service.
"""

import shutil
import sys

from debian import Unavailable, find_or_install


def main() -> int:
    """Print the path of HAProxy, or the reason why the tests behind it cannot run."""
    try:
        print(find_or_install(find, "haproxy"))
    except Unavailable as why:
        print(f"turnup: NO HAPROXY for the tests behind a proxy: {why}", file=sys.stderr)
        return 1
    return 0


def find() -> str | None:
    """Return the path of HAProxy on this machine, if there is one; sbin is not in the path of every user."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


if __name__ == "__main__":
    sys.exit(main())
