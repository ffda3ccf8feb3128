"""Find a Chromium for the browser tests, or install Debian's.

    python3 deploy/chromium.py

Prints the path of the browser. When there is none and it cannot be installed, prints the reason and returns 1.
"""

import shutil
import sys

from debian import Unavailable, find_or_install

NAMES = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """Print the path of the browser, or the reason why the browser tests cannot run."""
    try:
        print(find_or_install(find, "chromium", "fonts-dejavu-core"))
    except Unavailable as why:
        print(f"turnup: NO BROWSER for the browser tests: {why}", file=sys.stderr)
        return 1
    return 0


def find() -> str | None:
    """Return the path of a Chromium on this machine, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


if __name__ == "__main__":
    sys.exit(main())
