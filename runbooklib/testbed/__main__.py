"""`python -m runbooklib.testbed up|status|down`, for those who work on the testbed itself."""

from __future__ import annotations

import sys
from pathlib import Path

from runbooklib.places import project_root
from runbooklib.testbed import world


def main(arguments: list[str]) -> int:
    """Does what the first argument says."""
    root, word = project_root(Path.cwd()), (arguments or [""])[0]
    if word == "up":
        world.up(root, print, egress_25="--egress-25" in arguments)
    elif word == "down":
        world.down(root, print)
    elif word == "status":
        print(*world.status(root), sep="\n")  # noqa: T201 - a command line
    else:
        print("usage: python -m runbooklib.testbed up [--egress-25] | status | down")  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
