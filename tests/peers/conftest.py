"""The peers that tests in this folder compare with."""

from __future__ import annotations

from pathlib import Path

import pytest
from sources import unpacked

PYSPF = "57a7ef01bda090173aafb6af0106251686ed73f03db4e911fcd34c57fc347186"


@pytest.fixture(scope="session")
def pyspf() -> Path:
    """The peer pyspf as its authors released it last, with the test suite of RFC 7208 in its folder test."""
    return unpacked("pyspf", "2.0.14", PYSPF)
