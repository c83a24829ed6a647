"""Symptom → cause → fix, on evidence that is a plain value: gathered now, or saved long ago.

Pure: rules read an Evidence and nothing else; only `bundle`, `keeping` and `hearing` touch files.
"""

from runbooklib.diagnosis.evidence import Evidence, Fact
from runbooklib.diagnosis.findings import RULES, Finding, diagnose, findings
from runbooklib.diagnosis.hearing import heard
from runbooklib.diagnosis.keeping import keep
from runbooklib.diagnosis.rules import Rule, Sign, Sureness, Symptom

__all__ = [
    "RULES",
    "Evidence",
    "Fact",
    "Finding",
    "Rule",
    "Sign",
    "Sureness",
    "Symptom",
    "diagnose",
    "findings",
    "heard",
    "keep",
]
