"""Find Prometheus for the tests of the alerts, or install Debian's.

    python3 deploy/prometheus.py

Prints the path of the server; promtool is beside it. When there is none and it cannot be installed, prints the reason
and returns 1. The tests start their own Prometheus and do not use the package's service.
"""

import shutil
import sys
from pathlib import Path

from debian import Unavailable, find_or_install


def main() -> int:
    """Print the path of Prometheus, or the reason why the tests of the alerts cannot run."""
    try:
        print(find_or_install(find, "prometheus"))
    except Unavailable as why:
        print(f"turnup: NO PROMETHEUS for the tests of the alerts: {why}", file=sys.stderr)
        return 1
    return 0


def find() -> str | None:
    """Return the path of a Prometheus on this machine that has promtool beside it, if there is one."""
    server = shutil.which("prometheus")
    return server if server and Path(server).with_name("promtool").exists() else None


if __name__ == "__main__":
    sys.exit(main())
