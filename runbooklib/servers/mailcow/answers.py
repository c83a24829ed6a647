"""What mailcow's API answers, read strictly: its status says almost nothing, its words are keys of a language file.

A write is answered by a list of entries, some good, some bad, or by one dict; `log` in them echoes the request,
passwords of relays included, and is dropped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbooklib.https import short

GOOD, BAD = "success", frozenset({"danger", "error"})
SQL = frozenset({"mysql_error", "redis_error"})  # what follows these words may quote what was to be written
COMPLETED = "Task completed"  # said also where nothing was done


@dataclass(frozen=True)
class Entry:
    """One thing mailcow says of a write: success, danger, error, warning or info, a word, and what it is about."""

    kind: str
    word: str
    about: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(filter(None, (phrase(self.word), short(", ".join(self.about)))))


def entries(body: Any) -> tuple[Entry, ...]:
    """What was said, without what it echoes; empty where the body is no answer to a write."""
    told = body if isinstance(body, list) else [body]
    return tuple(_entry(each) for each in told if isinstance(each, Mapping) and "type" in each)


def _entry(told: Mapping[str, Any]) -> Entry:
    said = told.get("msg")
    first, *about = said if isinstance(said, list) and said else [said]
    word = first if isinstance(first, str) else ""
    shown = () if word in SQL else tuple(str(a) for a in about if isinstance(a, str | int) and a)
    return Entry(str(told["type"]), word, shown)


def complaint(body: Any) -> Entry | None:
    """What a read says in the place of what was asked for, where it says no with status 200."""
    return failed(entries(body)) if isinstance(body, Mapping) and "msg" in body else None


def failed(said: Iterable[Entry]) -> Entry | None:
    """The first entry that says no."""
    return next((e for e in said if e.kind in BAD), None)


def succeeded(said: Iterable[Entry]) -> bool:
    """Whether something was done, and nothing refused; whether it really was, only reading back shows."""
    kinds = {e.kind for e in said}
    return GOOD in kinds and not kinds & BAD


def items(body: Any) -> list[dict[str, Any]]:
    """A collection; mailcow writes an empty one as {}, and a single thing without a list around it."""
    if isinstance(body, list):
        return [dict(each) for each in body if isinstance(each, Mapping)]
    return [dict(body)] if body else []


# In our own words; what is not here is shown as mailcow's key.
PHRASES = {
    "access_denied": "no such domain, or no right to it",
    "alias_empty": "the alias has no address",
    "alias_invalid": "no address that mailcow takes for an alias:",
    "aliases_in_use": "the domain already has more aliases:",
    "comment_too_long": "a comment of more than 160 characters",
    "defquota_empty": "the quota of a new mailbox must not be 0",
    "dkim_domain_or_sel_invalid": "there is a key already, or selector or size are not taken:",
    "domain_cannot_match_hostname": "mailcow's own host name cannot be a mail domain",
    "domain_exists": "the domain is there already, perhaps as an alias domain:",
    "domain_invalid": "no domain that mailcow knows or takes",
    "domain_not_empty": "mailboxes are left in the domain:",
    "domain_not_found": "mailcow has no such domain:",
    "domain_quota_m_in_use": "the mailboxes of the domain hold more MiB than that:",
    "goto_empty": "the alias leads nowhere",
    "goto_invalid": "no address that an alias may lead to:",
    "is_alias": "an alias has this address:",
    "is_alias_or_mailbox": "an alias or mailbox has this address:",
    "is_spam_alias": "a temporary alias has this address:",
    "mailbox_defquota_exceeds_mailbox_maxquota": "the quota of a new mailbox is above that of the largest one",
    "mailbox_invalid": "no address that mailcow takes for a mailbox",
    "mailbox_quota_exceeded": "larger than the domain's largest mailbox may be, in MiB:",
    "mailbox_quota_exceeds_domain_quota": "the largest mailbox would be larger than the whole domain",
    "mailbox_quota_left_exceeded": "larger than what is left to the domain, in MiB:",
    "mailboxes_in_use": "the domain already has more mailboxes:",
    "max_alias_exceeded": "the domain has as many aliases as it may",
    "max_mailbox_exceeded": "the domain has as many mailboxes as it may:",
    "max_quota_in_use": "a mailbox of the domain is larger than that, in MiB:",
    "maxquota_empty": "the quota of the largest mailbox must not be 0",
    "mysql_error": "mailcow's database refused it",
    "object_exists": "it is there already:",
    "password_complexity": "the password is not as mailcow's password policy wants it",
    "password_mismatch": "the two passwords differ",
    "redis_error": "mailcow's Redis refused it",
    "relayhost_invalid": "mailcow has no such sender-dependent transport:",
    "invalid_host": "mailcow takes no such next hop",
}


def phrase(word: str) -> str:
    """A word of mailcow's in ours."""
    return PHRASES.get(word) or short(word)
