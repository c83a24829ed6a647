"""What a refusal is about: the moment, whoever asks, a domain without mail, or what was asked.

Pure: the words of a reply in.
"""

from __future__ import annotations

import re

from runbooklib.delivery.questions import SMTP_PORT

LATER = re.compile(r"(?:\w+ ?\w*: )?4\d\d\b")  # RFC 5321 4.2.1, after the name of the command
FOR_GOOD = re.compile(r"(?:\w+ ?\w*: )?5\d\d\b")
# What is said of this machine, whatever it asks: the first is Postfix's word for a DNS blocklist.
CLIENT = re.compile(r"blocked using|client host rejected|helo command rejected", re.IGNORECASE)
# The domain of a sender or recipient has no mail: RFC 3463 3.2 (X.1.2, X.1.8), RFC 7505 4 (X.1.10, X.7.27).
NOWHERE = re.compile(r"\b[45]\.1\.(?:2|8|10)\b|\b5\.7\.27\b|nullmx|domain not found", re.IGNORECASE)
SENDER = re.compile(r"\b5\d\d\b.*sender address rejected|\b[45]\.1\.[78]\b", re.IGNORECASE)
RELAYING = re.compile(
    r"relay(?:ing)? (?:access )?(?:denied|not)|unable to relay|access denied|authentication (?:is )?required",
    re.IGNORECASE,
)
KEPT_OUT = "its policy keeps this machine out, which says nothing of others: run from another one"


def todo(said: str) -> str:
    """What to do where a refusal says nothing of anybody else; empty where it does."""
    if CLIENT.search(said):  # in front, since some of them are a 4yz that no waiting mends
        return KEPT_OUT
    return "it puts us off (greylisting? a limit?): run again in 10 minutes" if LATER.match(said) else ""


def unheard(said: str) -> str:
    """The same where a rule about domains without mail, as reserved names are, may have come first."""
    if NOWHERE.search(said):
        return "a rule about unknown domains comes before the one asked about, which was not heard: put that one first"
    return todo(said) or ("" if FOR_GOOD.match(said) else "that is no SMTP reply: see who answers there")


def of_relaying(said: str, port: int) -> bool:
    """Whether relaying was denied; Postfix's defer_unauth_destination does so by 454 4.7.1, and mailcow with it."""
    if CLIENT.search(said):  # so submission denies whoever has not logged in
        return port != SMTP_PORT and "access denied" in said.lower()
    if SENDER.search(said) or NOWHERE.search(said):
        return False
    return bool(RELAYING.search(said) or (FOR_GOOD.match(said) and "5.7.1" in said))


def of_sender(said: str) -> bool:
    """Whether a sender is refused whoever it writes to: nobody relays under it."""
    return bool(SENDER.search(said)) and not CLIENT.search(said)
