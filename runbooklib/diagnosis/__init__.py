"""Symptom → cause → fix, on evidence that is a plain value: gathered now, or saved long ago.

Pure: rules read an Evidence and nothing else.
"""

from runbooklib.diagnosis.evidence import Evidence, Fact
from runbooklib.diagnosis.findings import RULES, diagnose
from runbooklib.diagnosis.rules import Rule

__all__ = ["RULES", "Evidence", "Fact", "Rule", "diagnose"]
