"""Find Alertmanager for the tests of the alerts, or install Debian's.

    python3 deploy/alertmanager.py

Prints the path of the server; amtool is beside it. When there is none and it cannot be installed, prints the reason and
returns 1. The tests start their own Alertmanager and do not use the package's service.
"""

import shutil
import sys
from pathlib import Path

from debian import Unavailable, find_or_install


def main() -> int:
    """Print the path of Alertmanager, or the reason why the tests of the alerts cannot run."""
    try:
        print(find_or_install(find, "prometheus-alertmanager"))
    except Unavailable as why:
        print(f"turnup: NO ALERTMANAGER for the tests of the alerts: {why}", file=sys.stderr)
        return 1
    return 0


def find() -> str | None:
    """Return the path of an Alertmanager on this machine that has amtool beside it, if there is one."""
    server = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    return server if server and Path(server).with_name("amtool").exists() else None


if __name__ == "__main__":
    sys.exit(main())
