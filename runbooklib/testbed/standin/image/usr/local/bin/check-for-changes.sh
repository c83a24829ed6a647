#!/usr/bin/python3 -I
"""The program check-for-changes.sh of the container."""

import sys

sys.path.insert(0, "/usr/local/lib/stand-in")

from mailserver.changes import main  # noqa: E402  the path has to be known first

sys.exit(main(sys.argv[1:]))
