"""What a log or a queue tells of mail that has not got through, alike put together, and without what is over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from runbooklib.maillog import events
from runbooklib.maillog.events import Attempt, Refusal
from runbooklib.maillog.lines import Event

MOST = 50  # groups; a server that strangers try all day refuses each in other words
ADDRESSES, IDS = 200, 20  # recipients and queue ids that a group names: the newest
SAID = 600  # characters of an answer
WAITS, LOST, REFUSED = "deferred", "bounced", "rejected"
# What differs from one message to the next within the same answer: addresses, queue ids, a session's marks.
VARIES = re.compile(r"<[^>]*>|\b(?=\w*\d)[\w.-]{10,}\b")
FULL = re.compile(r"\b4\.3\.1\b")  # RFC 3463 3.4: no room, whoever comes
# What lies neither with the sender nor with the client: it is over for all when the recipient gets mail again.
ANYBODY = re.compile(r"\b[45]\.3\.[05]\b|\b5\.1\.1\b|User unknown|Relay access denied", re.IGNORECASE)
HOP = re.compile(r"(?:host|connect to|conversation with|server) (\S+\[[^\]]{1,100}\](?::\d+)?)")

Pair = tuple[str | None, str]  # the domains of sender and recipient; None where the log does not name the sender


@dataclass(frozen=True)
class Trouble:
    """One message that one recipient has not got, and why."""

    status: str
    said: str
    pair: Pair
    relay: str = ""  # host[address]:port, where there was one
    recipient: str = ""
    queue_id: str = ""


@dataclass(frozen=True)
class Group:
    """Troubles of one kind: the same words from the same host."""

    said: str
    status: str  # deferred and still in the queue, bounced, or rejected by our own server
    count: int
    senders: list[str]  # domains; an empty one is the null sender's
    recipients: list[str]
    relay: str
    addresses: list[str]  # the newest recipients
    ids: list[str]  # the newest messages

    def data(self) -> dict[str, Any]:
        return asdict(self)


def grouped(troubles: Iterable[Trouble]) -> list[Group]:
    """What strangers were refused after all that is the site's own, the largest first."""
    alike = dict[tuple[str, str, str], list[Trouble]]()
    for trouble in troubles:
        where = "" if trouble.status == REFUSED else trouble.relay  # they come from everywhere
        alike.setdefault((trouble.status, where, VARIES.sub("", trouble.said)), []).append(trouble)
    return sorted(map(_group, alike.values()), key=lambda group: (group.status == REFUSED, -group.count))[:MOST]


def _group(alike: list[Trouble]) -> Group:
    senders = sorted({sender for sender, _ in (t.pair for t in alike) if sender is not None})
    recipients = sorted({t.pair[1] for t in alike})
    addresses, ids = _newest((t.recipient for t in alike), ADDRESSES), _newest((t.queue_id for t in alike), IDS)
    last = alike[-1]
    return Group(last.said[:SAID], last.status, len(alike), senders, recipients, last.relay, addresses, ids)


def _newest(names: Iterable[str], most: int) -> list[str]:
    return list(dict.fromkeys(filter(None, names)))[-most:]


def queued(entry: Mapping[str, Any]) -> list[Trouble]:
    """Why a message waits, for each recipient of an entry as `postqueue -j` writes it."""
    sender = domain(str(entry.get("sender", "")).replace("MAILER-DAEMON", ""))
    troubles = list[Trouble]()
    for told in entry.get("recipients") or ():
        said, to = str(told.get("delay_reason") or ""), str(told.get("address", ""))
        if said:
            queue_id = str(entry.get("queue_id", ""))
            troubles.append(Trouble(WAITS, said, (sender, domain(to)), hop(said), to, queue_id))
    return troubles


def hop(said: str) -> str:
    """The host that an answer in Postfix's words is from; empty where it names none."""
    found = HOP.search(said)
    return found[1] if found else ""


def domain(address: str) -> str:
    """What stands after the @, in small letters."""
    return address.rpartition("@")[2].lower()


def unfinished(told: Iterable[Event]) -> list[Group]:
    """What was put off, bounced or refused, and has not got through since.

    It is over when something of the same sender's domain was sent to the same recipient's domain later, by whatever
    way; a refusal when the same sender and recipient were taken, or whoever wrote to a recipient that nobody could
    reach; and what the queue let go of waits no more.
    """
    account = _Account()
    for event in told:
        account.hear(event)
    return grouped(account.troubles())


@dataclass
class _Account:
    """What is still open after the events so far: pair → message and recipient → trouble."""

    open: dict[Pair, dict[tuple[str, str], Trouble]] = field(default_factory=dict)
    senders: dict[str, str] = field(default_factory=dict)  # by queue id
    held: dict[str, list[tuple[Pair, str]]] = field(default_factory=dict)  # what waits, by queue id
    barred: dict[str, dict[str, Trouble]] = field(default_factory=dict)  # recipient → sender → what nobody could send
    full: list[Trouble] = field(default_factory=list)  # refused for want of room

    def troubles(self) -> Iterator[Trouble]:
        """All that is open."""
        yield from (trouble for kept in self.open.values() for trouble in kept.values())
        yield from (trouble for kept in self.barred.values() for trouble in kept.values())
        yield from self.full

    def hear(self, event: Event) -> None:
        if (mail_from := events.sender(event)) is not None:
            self.senders[event.queue_id] = mail_from
        if events.expired(event):
            self._lost(event.queue_id)
        elif events.removed(event):
            self._let_go(event.queue_id)
        elif tried := events.attempt(event):
            self._attempt(event.queue_id, tried)
        elif refusal := events.refusal(event):
            self._refused(refusal, event.queue_id)
        elif events.taken(event):
            self.full.clear()

    def _attempt(self, queue_id: str, tried: Attempt) -> None:
        mail_from = self.senders.get(queue_id)
        pair = (None if mail_from is None else domain(mail_from), domain(tried.recipient))
        for recipient in {tried.recipient.lower(), tried.original.lower()}:
            self._close((pair[0], domain(recipient)), (mail_from or "", recipient))
        if tried.status == "sent" and not tried.filtered:
            self._got_through(pair)
            for recipient in {tried.recipient.lower(), tried.original.lower()}:
                self.barred.pop(recipient, None)
        elif tried.status in {WAITS, LOST}:
            relay = hop(tried.said) if tried.relay == "none" else tried.relay
            trouble = Trouble(tried.status, tried.said, pair, relay, tried.recipient, queue_id)
            self._note(pair, (queue_id, tried.recipient), trouble)
            self.held.setdefault(queue_id, []).append((pair, tried.recipient))

    def _refused(self, refusal: Refusal, queue_id: str) -> None:
        pair = (domain(refusal.sender), domain(refusal.recipient))
        said = Trouble(REFUSED, refusal.said, pair, refusal.client, refusal.recipient, queue_id)
        if FULL.search(refusal.said):
            self.full.append(said)
        elif ANYBODY.search(refusal.said):
            self.barred.setdefault(refusal.recipient, {})[refusal.sender] = said
        else:
            self._note(pair, (refusal.sender, refusal.recipient), said)

    def _note(self, pair: Pair, key: tuple[str, str], trouble: Trouble) -> None:
        self.open.setdefault(pair, {})[key] = trouble

    def _close(self, pair: Pair, key: tuple[str, str]) -> None:
        self.open.get(pair, {}).pop(key, None)

    def _got_through(self, pair: Pair) -> None:
        """What our own server refused is not over by that: another sender of the domain may do."""
        for closed in {pair, (None, pair[1])}:
            kept = {k: t for k, t in self.open.pop(closed, {}).items() if t.status == REFUSED}
            self.open |= {closed: kept} if kept else {}

    def _lost(self, queue_id: str) -> None:
        for pair, recipient in self.held.pop(queue_id, ()):
            if trouble := self.open.get(pair, {}).get((queue_id, recipient)):
                self._note(pair, (queue_id, recipient), replace(trouble, status=LOST))

    def _let_go(self, queue_id: str) -> None:
        for pair, recipient in self.held.pop(queue_id, ()):
            trouble = self.open.get(pair, {}).get((queue_id, recipient))
            if trouble and trouble.status == WAITS:
                self._close(pair, (queue_id, recipient))
