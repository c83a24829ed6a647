"""What can be broken in the testbed on purpose, by real means, and mended exactly."""

from runbooklib.testbed.faults.broken import break_, mend
from runbooklib.testbed.faults.catalogue import FAST, FAULTS, PAIRS, every, named
from runbooklib.testbed.faults.fault import Fault
from runbooklib.testbed.faults.scene import Scene, SceneError

__all__ = ["FAST", "FAULTS", "PAIRS", "Fault", "Scene", "SceneError", "break_", "every", "mend", "named"]
