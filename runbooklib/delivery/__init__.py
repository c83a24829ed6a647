"""Test messages both ways: planned, handed over, looked for where they should arrive, and judged.

DeliveryError  a message could not be handed over or looked for
"""

from runbooklib.delivery.arriving import Arrived, fetch
from runbooklib.delivery.judging import judge, path
from runbooklib.delivery.messages import DeliveryError, Letter, Letters, plan
from runbooklib.delivery.sending import Handed, Sent, send

__all__ = [
    "Arrived",
    "DeliveryError",
    "Handed",
    "Letter",
    "Letters",
    "Sent",
    "fetch",
    "judge",
    "path",
    "plan",
    "send",
]
