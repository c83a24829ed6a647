"""What events of a log tell: attempts, refusals, senders, signatures (Postfix 3.7 wording)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runbooklib.maillog.lines import Event

ATTEMPT = re.compile(
    r"^\w+: to=<(?P<recipient>[^>]*)>, (?:orig_to=<(?P<original>[^>]*)>, )?relay=(?P<relay>[^,]+), "
    r"(?:[a-z_]+=[^,]*, )*?dsn=(?P<dsn>[\d.]+), status=(?P<status>\w+) \((?P<said>.*)\)$"
)
REQUEUED = re.compile(r"queued as (\w+)")
SIGNED = re.compile(r"DKIM-Signature field added \(s=(?P<selector>[^,\s]+), d=(?P<domain>[^)\s]+)\)")  # OpenDKIM
RSPAMD_SIGNED = re.compile(r"\bDKIM_SIGNED\([^)]*\)\{(?P<domain>[^:}\s]+):s=(?P<selector>[^;}\s]+)")
SENDER = re.compile(r"^\w+: (?:uid=\d+ )?from=<([^>]*)>")
LOGIN = re.compile(r"\bsasl_username=([^,\s]+)")
REFUSED = re.compile(  # before MAIL FROM and RCPT TO there is no address to name
    r"reject: [A-Z-]+ from (?P<client>[^\[]*\[[^\]]+\])\S*: (?P<said>(?:[45]\d\d )?(?P<dsn>[45])\.\d+\.\d+ .*?); "
    r"(?=(?:from|to|proto)=)(?:from=<(?P<sender>[^>]*)>,? ?)?(?:to=<(?P<recipient>[^>]*)>)?"
)
CLIENT = re.compile(r"^\S+: client=(?:[^\[\s]*\[(?P<address>[0-9A-Fa-f.:]+)\])?")
SIGNERS = {"opendkim": SIGNED, "rspamd": RSPAMD_SIGNED}  # by the program that writes so
LEAVING = re.compile(r"(?:^|/)smtp$")  # what hands mail to others: postfix/smtp, mailcow's enforced-tls-smtp/smtp
FILTERS = re.compile(r"\[(127\.0\.0\.1|::1)\]:\d+$")  # a content filter on the same machine, e.g. Amavis


@dataclass(frozen=True)
class Attempt:
    """One delivery attempt: `status` is sent, deferred or bounced, `said` the other side's words."""

    time: str
    program: str
    recipient: str
    relay: str
    dsn: str
    status: str
    said: str
    original: str = ""  # as the recipient was written, where an alias made another of it

    @property
    def filtered(self) -> bool:
        """Whether it only went to a filter on the same machine, which queues it anew."""
        return bool(FILTERS.search(self.relay))

    @property
    def queued(self) -> str:
        """The id under which the other side queued it, where it says so."""
        found = REQUEUED.search(self.said) if self.status == "sent" else None
        return found[1] if found else ""


@dataclass(frozen=True)
class Refusal:
    """A message that our server did not take, for now or for good: smtpd, postscreen or a milter said so."""

    time: str
    client: str
    sender: str
    recipient: str
    said: str
    permanent: bool


@dataclass(frozen=True)
class Departure:
    """An attempt to hand a message to somebody else, with where it came from."""

    sender: str  # MAIL FROM
    login: str  # who had logged in; empty for nobody
    door: str  # the program that took it in, such as postfix/submission/smtpd
    attempt: Attempt


def attempt(event: Event) -> Attempt | None:
    """The delivery attempt an event tells of, if it does."""
    told = ATTEMPT.match(event.text) if event.queue_id else None
    return Attempt(event.time, event.program, **told.groupdict("")) if told else None


def sender(event: Event) -> str | None:
    """MAIL FROM of the message an event is about, where it names it; empty for the null sender."""
    told = SENDER.match(event.text) if event.queue_id else None
    return told[1].lower() if told else None


def expired(event: Event) -> bool:
    """Whether the queue gave up on the message after it was put off for as long as it keeps one."""
    return bool(event.queue_id) and "status=expired, returned to sender" in event.text


def removed(event: Event) -> bool:
    """Whether the queue let go of the message: it was delivered, given back, or deleted."""
    return bool(event.queue_id) and event.text.endswith(": removed")


def taken(event: Event) -> bool:
    """Whether our server began to take a message in from somebody."""
    return bool(event.queue_id) and bool(CLIENT.search(event.text))


def follow(events: Sequence[Event], queue_id: str) -> list[Attempt]:
    """Every attempt to deliver what was queued under this id, through filters that gave it another."""
    ids, found = {queue_id}, list[Attempt]()
    for event in events:
        tried = attempt(event) if event.queue_id in ids else None
        if tried is None:
            continue
        found.append(tried)
        ids |= set(REQUEUED.findall(tried.said)) if tried.filtered else set()
    return found


def departures(events: Iterable[Event]) -> list[Departure]:
    """Every attempt to hand a message to somebody else, in the log's order."""
    senders, logins, doors, found = dict[str, str](), dict[str, str](), dict[str, str](), list[Departure]()
    for event in (e for e in events if e.queue_id):
        key, tried = event.queue_id, attempt(event)
        if (mail_from := sender(event)) is not None:
            senders[key] = mail_from
        if CLIENT.search(event.text):
            login = LOGIN.search(event.text)
            doors[key], logins[key] = event.program, login[1].lower() if login else ""
        if tried and LEAVING.search(event.program) and not tried.filtered:
            found.append(Departure(senders.get(key, ""), logins.get(key, ""), doors.get(key, ""), tried))
    return found


def client(events: Iterable[Event], queue_id: str) -> str:
    """The address from which a message came that was queued under this id; empty where the log does not say."""
    told = (CLIENT.search(e.text) for e in events if e.queue_id == queue_id)
    return next((found["address"] for found in told if found and found["address"]), "")


def signers(events: Iterable[Event], queue_id: str) -> list[tuple[str, str]]:
    """Domain and selector of each DKIM signature the server itself put on what was queued under this id."""
    own = [e for e in events if e.queue_id == queue_id]
    told = (SIGNERS[e.program].search(e.text) for e in own if e.program in SIGNERS)
    return [(found["domain"], found["selector"]) for found in told if found]


def refusals(events: Iterable[Event]) -> list[Refusal]:
    """What our server did not take from others, in the log's order."""
    return [told for told in map(refusal, events) if told]


def refusal(event: Event) -> Refusal | None:
    """What an event tells that our server did not take, if it does."""
    told = REFUSED.search(event.text) if "reject: " in event.text else None
    if told is None:
        return None
    people = (told["sender"] or "").lower(), (told["recipient"] or "").lower()
    return Refusal(event.time, told["client"], *people, told["said"], told["dsn"] == "5")
