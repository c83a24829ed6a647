"""What users sent last, and who signed it, as Postfix's log and its signer's tell together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runbooklib.maillog import events
from runbooklib.maillog.groups import domain
from runbooklib.maillog.lines import Event

STARTED = re.compile(r"^OpenDKIM Filter \S+ starting|^starting the Postfix mail system")


@dataclass(frozen=True)
class Sent:
    """The newest message of a domain that a user sent to somebody else."""

    domain: str
    queue_id: str
    time: str
    signed: tuple[tuple[str, str], ...]  # domain and selector
    heard: bool  # whether a signer writes into this log, so that no signature means none was made


def last_sent(told: Sequence[Event]) -> list[Sent]:
    """One for each domain, of those sent since signer and Postfix were last started: older ones met other keys."""
    starts = [at for at, event in enumerate(told) if STARTED.search(event.text)]
    since = told[starts[-1] if starts else 0 :]
    return [_sent(told, name, *newest) for name, newest in _newest(since).items()]


def _newest(told: Iterable[Event]) -> dict[str, tuple[str, str]]:
    """For each sender domain, under which id its newest message came in, before any filter, and when it left."""
    senders, first, newest = dict[str, str](), dict[str, str](), dict[str, tuple[str, str]]()
    for event in (e for e in told if e.queue_id):
        if events.taken(event) and events.LOGIN.search(event.text):
            first[event.queue_id] = event.queue_id
        if (mail_from := events.sender(event)) is not None:
            senders[event.queue_id] = domain(mail_from)
        tried = events.attempt(event) if event.queue_id in first else None
        if tried is None or tried.status != "sent":
            continue
        if tried.filtered:
            first[tried.queued] = first[event.queue_id]
        elif events.LEAVING.search(event.program) and (name := senders.get(event.queue_id)):
            newest[name] = (first[event.queue_id], event.time)
    return newest


def _sent(told: Sequence[Event], name: str, queue_id: str, time: str) -> Sent:
    heard = any(e.program == "opendkim" or (e.program, e.queue_id) == ("rspamd", queue_id) for e in told)
    return Sent(name, queue_id, time, tuple(events.signers(told, queue_id)), heard)
