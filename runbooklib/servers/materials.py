"""Files of this machine that params name, to be uploaded.

MaterialError  one cannot be read
"""

from __future__ import annotations

from runbooklib.places import locate
from runbooklib.results import RunbookError


def material(source: str) -> bytes:
    """A file of this machine that params name.

    Raises MaterialError when it cannot be read.
    """
    try:
        return locate(source).read_bytes()
    except OSError as error:
        raise MaterialError(
            f"{source} cannot be read here ({error.strerror}): name an existing file in params"
        ) from None


class MaterialError(RunbookError):
    """A file named in params, which is to be uploaded, cannot be read."""
