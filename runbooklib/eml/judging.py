"""Everything about one message that its bytes and DNS show, whoever sent it."""

from __future__ import annotations

from runbooklib.eml import content, correspondence, rules, sanity, unsubscribe
from runbooklib.eml.authentication import Authentication
from runbooklib.results import Check


def judge(proof: Authentication, about: str) -> list[Check]:
    """What its reader sees, its form and content, and what the big receivers ask of senders."""
    return [
        *correspondence.judge(proof, about),
        sanity.judge(proof.mail, about),
        *content.judge(proof.mail, about),
        unsubscribe.judge(proof, about),
        *rules.judge(proof, about),
    ]
