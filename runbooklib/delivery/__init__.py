"""Test messages both ways: planned, handed over, looked for where they should arrive, and judged.

DeliveryError  a message could not be handed over or looked for
"""

from runbooklib.delivery.arriving import Arrived
from runbooklib.delivery.comparing import Truth, truth
from runbooklib.delivery.handover import Handed, Sent
from runbooklib.delivery.judging import judge
from runbooklib.delivery.messages import DeliveryError, Letter, Letters
from runbooklib.delivery.paths import path
from runbooklib.delivery.picture import picture
from runbooklib.delivery.planning import plan
from runbooklib.delivery.proving import Proven, prove
from runbooklib.delivery.saved import saved
from runbooklib.delivery.scoring import score
from runbooklib.delivery.sending import send
from runbooklib.delivery.testers import by_hand
from runbooklib.delivery.watching import fetch

__all__ = [
    "Arrived",
    "DeliveryError",
    "Handed",
    "Letter",
    "Letters",
    "Proven",
    "Sent",
    "Truth",
    "by_hand",
    "fetch",
    "judge",
    "path",
    "picture",
    "plan",
    "prove",
    "saved",
    "score",
    "send",
    "truth",
]
